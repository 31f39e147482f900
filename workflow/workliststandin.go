package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// WhyStandIn is why somebody has what another is to do who signed.
type WhyStandIn string

// Why who signed does not do it.
const (
	StandInNamed       WhyStandIn = "named"        // the coordinator has given the amendment to them
	StandInGone        WhyStandIn = "gone"         // who signed is no reader here any more
	StandInUnlicensed  WhyStandIn = "unlicensed"   // may not practise
	StandInAbsent      WhyStandIn = "absent"       // is absent today
	StandInFirstReader WhyStandIn = "first-reader" // has turned out to have read the study first
)

// OwesAmendment is that the report is being amended, and who began cannot go on, or has given it away.
const OwesAmendment Owed = "amendment"

// standInsTx are the signed cases on which something is open that the actor can settle in
// the place of who signed, as isSignatory has it: each with the first of it that is due,
// and why it is theirs. It asks as often for fifty cases as for one.
func standInsTx(ctx context.Context, tx pgx.Tx, actor access.Actor) (owed []WorkItem, err error) {
	duty, may := standInDuty(actor.Role)
	if !may || actor.ID == uuid.Nil {
		return nil, nil
	}
	me, err := ReaderByIDTx(ctx, tx, actor.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	now, err := nowTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	signers, err := signersOfOpenTx(ctx, tx, actor.ID, now)
	if err != nil {
		return nil, err
	}
	items, signedBy, err := openForStandInTx(ctx, tx, actor, signers)
	if err != nil || len(items) == 0 {
		return nil, err
	}
	var ids []uuid.UUID
	for _, item := range items {
		ids = append(ids, item.CaseID)
	}
	byID, err := casesByIDTx(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	matters, err := MattersOfTx(ctx, tx, ids)
	if err != nil {
		return nil, err
	}
	var cases []*Case
	for _, id := range ids {
		if c := byID[id]; c != nil {
			cases = append(cases, c)
		}
	}
	needs, err := needsTx(ctx, tx, cases, duty)
	if err != nil {
		return nil, err
	}
	for i, c := range cases {
		item := items[slices.Index(ids, c.CaseID)]
		if signedBy[c.CaseID] == actor.ID { // what they amend themselves
			item.Owed = OwesAmendment
			owed = append(owed, item)
			continue
		}
		if item.StandIn = signers.why(c, signedBy[c.CaseID], actor.ID); item.StandIn == "" || len(Eligible(needs[i], me, now)) > 0 {
			continue
		}
		if c.owesInstead(&item, c.Choosable(matters[c.CaseID], actor), actor.Role); item.Owed != "" {
			owed = append(owed, item)
		}
	}
	return owed, nil
}

// owesInstead sets what is owed of the case, the first that is due, by who may stand in.
func (c *Case) owesInstead(item *WorkItem, known []KnownMatter, role access.Role) {
	may := EventsFor(c.State, role)
	item.Due = nil
	compares := slices.ContainsFunc(known, func(m KnownMatter) bool { return m.Open() && m.isVerification() && m.Content.FirstReport })
	for _, m := range known {
		what, event := m.owes()
		if !m.Open() || what == "" || !may[string(event)] || what == OwesLook && compares || item.Due != nil && !m.DueAt.Before(*item.Due) {
			continue
		}
		if c.State == Amending && what != OwesCall {
			what = OwesAmendment // it is settled by the amendment
		}
		item.Owed, item.Due = what, &m.DueAt
	}
	if item.Owed == "" && c.State == Amending {
		item.Owed = OwesAmendment
	}
}

// signers are those who signed a case on which something is open.
type signers struct {
	gone map[signer]WhyStandIn // who cannot settle it, by where the images were made
	who  map[uuid.UUID]Reader  // the active ones
}

// signer is somebody who signed, and where the images were made, by which they may practise or not.
type signer struct {
	ID           uuid.UUID
	Jurisdiction string
}

// openSigned are the signed cases c on which something is open, or that are amended, with who
// signed each (r). OFFSET 0 keeps the planner from asking for the last report of every case.
const openSigned = `
	FROM (
		SELECT c.tenant_id, c.case_id, c.task_id, c.patient_id, c.state, c.priority, c.opened_at, c.placer_value, c.exam,
		       c.reader_id, c.other_reader_id, c.adjudicator_id, c.supervisor_id
		FROM (SELECT m.case_id FROM matter m WHERE m.tenant_id = overread_tenant() AND m.settled_at IS NULL
		      UNION SELECT a.case_id FROM case_file a WHERE a.tenant_id = overread_tenant() AND a.state = 'amending') AS o
		JOIN case_file c ON c.tenant_id = overread_tenant() AND c.case_id = o.case_id
		WHERE c.state IN ('final', 'closed', 'amending')
		OFFSET 0) AS c
	CROSS JOIN LATERAL (
		SELECT r.signed_by FROM signed_report r
		WHERE r.tenant_id = c.tenant_id AND r.case_id = c.case_id
		ORDER BY r.report_no DESC
		LIMIT 1) AS r`

// signersOfOpenTx looks at everybody who signed such a case, and whether they are there.
func signersOfOpenTx(ctx context.Context, tx pgx.Tx, me uuid.UUID, now time.Time) (signers, error) {
	rows, err := tx.Query(ctx, `SELECT DISTINCT r.signed_by AS id, coalesce(c.exam->>'jurisdiction', '') AS jurisdiction`+openSigned+` WHERE r.signed_by <> @me`, pgx.NamedArgs{"me": me})
	if err != nil {
		return signers{}, fmt.Errorf("who signed what is open: %w", err)
	}
	pairs, err := pgx.CollectRows(rows, pgx.RowToStructByName[signer])
	if err != nil {
		return signers{}, fmt.Errorf("who signed what is open: %w", err)
	}
	if len(pairs) == 0 {
		return signers{}, nil
	}
	all, err := queryReaders(ctx, tx, nil)
	if err != nil {
		return signers{}, err
	}
	s := signers{map[signer]WhyStandIn{}, map[uuid.UUID]Reader{}}
	for _, r := range all {
		s.who[r.ID] = r
	}
	for _, pair := range pairs {
		r, here := s.who[pair.ID]
		today := DateOf(r.local(now))
		if _, absent := r.absence(today); !here {
			s.gone[pair] = StandInGone
		} else if absent {
			s.gone[pair] = StandInAbsent
		} else if len(unlicensed(Exam{Jurisdiction: pair.Jurisdiction}, r, today)) > 0 {
			s.gone[pair] = StandInUnlicensed
		}
	}
	return s, nil
}

// why somebody may stand in for who signed the case; "" where they may not (cannotAct, isStandIn).
func (s signers) why(c *Case, signedBy, me uuid.UUID) WhyStandIn {
	switch why := s.gone[signer{signedBy, c.Exam.Jurisdiction}]; {
	case why != "":
		return why
	case c.doubtedOf().readFirst(s.who[signedBy], c.Policy.unnamed()) != "":
		return StandInFirstReader
	case c.State == Amending && c.SupervisorID != nil && *c.SupervisorID == me:
		return StandInNamed
	}
	return ""
}

// openForStandInTx are the cases that may be the actor's to settle, the most pressing
// first, and who signed each.
func openForStandInTx(ctx context.Context, tx pgx.Tx, actor access.Actor, s signers) (items []WorkItem, signedBy map[uuid.UUID]uuid.UUID, err error) {
	args := pgx.NamedArgs{"me": actor.ID, "most": mostLooked, "gone": []uuid.UUID{}, "where": []string{}}
	for pair := range s.gone {
		args["gone"], args["where"] = append(args["gone"].([]uuid.UUID), pair.ID), append(args["where"].([]string), pair.Jurisdiction)
	}
	rows, err := tx.Query(ctx, `
		SELECT c.case_id, c.task_id, c.patient_id, c.state, c.priority, c.opened_at, c.placer_value AS "order",
		       coalesce(c.exam->>'display', '') AS exam, coalesce(c.exam->>'modality', '') AS modality, r.signed_by,
		       (SELECT min(m.due_at) FROM matter m WHERE m.tenant_id = c.tenant_id AND m.case_id = c.case_id AND m.settled_at IS NULL) AS due`+openSigned+`
		WHERE ((r.signed_by, coalesce(c.exam->>'jurisdiction', '')) IN (SELECT g.id, g.place FROM unnest(@gone::uuid[], @where::text[]) AS g (id, place))
		       OR c.state = 'amending' AND c.supervisor_id = @me
		       OR c.state = 'amending' AND r.signed_by = @me AND `+signedInRole[actor.Role]+`
		       OR EXISTS (SELECT FROM matter m WHERE m.tenant_id = c.tenant_id AND m.case_id = c.case_id AND m.settled_at IS NULL AND m.content->>'sameReader' = 'true'))
		ORDER BY array_position(ARRAY['stat', 'asap', 'urgent', 'routine'], c.priority), due NULLS LAST, c.opened_at
		LIMIT @most`, args)
	if err != nil {
		return nil, nil, fmt.Errorf("what is open to stand in for: %w", err)
	}
	signedBy = map[uuid.UUID]uuid.UUID{}
	for rows.Next() {
		var i WorkItem
		var who uuid.UUID
		if err := rows.Scan(&i.CaseID, &i.TaskID, &i.PatientID, &i.State, &i.Priority, &i.OpenedAt, &i.Order, &i.Exam, &i.Modality, &who, &i.Due); err != nil {
			return nil, nil, fmt.Errorf("what is open to stand in for: %w", err)
		}
		items, signedBy[i.CaseID] = append(items, i), who
	}
	return items, signedBy, rows.Err()
}

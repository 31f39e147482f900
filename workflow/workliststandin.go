package workflow

import (
	"context"
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
	all, err := queryReaders(ctx, tx, nil)
	if err != nil {
		return nil, err
	}
	signers := signers{}
	for _, r := range all {
		signers[r.ID] = r
	}
	me, here := signers[actor.ID]
	if !here {
		return nil, nil
	}
	now, err := nowTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	items, err := openForStandInTx(ctx, tx, actor, whoseSigned(actor.Role, me, DateOf(me.local(now))), signers.fit(now))
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
		signed := items[slices.Index(ids, c.CaseID)]
		item := signed.WorkItem
		who := signatoriesOf(Report{SignedBy: signed.FirstBy}, Report{SignedBy: signed.SignedBy, StandIn: signed.LastFor})
		if actor.ID == who.first || actor.ID == who.last { // what they amend themselves
			if item.Owed = OwesAmendment; actor.ID == who.first || signers.keeps(c, who, now) {
				owed = append(owed, item)
			}
			continue
		}
		if item.StandIn = signers.why(c, who, actor.ID, now); item.StandIn == "" || len(Eligible(needs[i], me, now)) > 0 {
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
	compares := slices.ContainsFunc(known, func(m KnownMatter) bool { return m.Open() && m.isVerification() && m.Content.ToCompare() })
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

// signers are the active readers, of whom some have signed.
type signers map[uuid.UUID]Reader

// fit are those who can act on every case that they have signed: they are here today, and
// nothing of what they may do has ended or is still to begin. Of the others it depends on the case.
// Whose licence was struck out altogether, rather than ended, is not looked for: the desk is told of theirs.
func (s signers) fit(now time.Time) []uuid.UUID {
	fit := []uuid.UUID{}
	for id, r := range s {
		today := DateOf(r.local(now))
		_, absent := r.absence(today)
		if absent || len(unlicensed(Exam{}, r, today)) > 0 || slices.ContainsFunc(r.Licences, func(l Licence) bool { return !today.within(l.ValidFrom, l.ValidTo) }) {
			continue
		}
		fit = append(fit, id)
	}
	return fit
}

// whyAway is why who signed cannot act on the case; "" where they can.
func (s signers) whyAway(c *Case, who uuid.UUID, now time.Time) WhyStandIn {
	r, here := s[who]
	if !here {
		return StandInGone
	}
	return c.whyAway(r, now)
}

func (c *Case) whyAway(r Reader, now time.Time) WhyStandIn {
	today := DateOf(r.local(now))
	_, absent := r.absence(today)
	switch {
	case absent:
		return StandInAbsent
	case len(unlicensed(c.Exam, r, today)) > 0:
		return StandInUnlicensed
	case c.doubtedOf().readFirst(r, c.Policy.unnamed()) != "":
		return StandInFirstReader
	}
	return ""
}

// why somebody who has signed nothing may stand in; "" where they may not (mayStandIn).
func (s signers) why(c *Case, signed signatories, me uuid.UUID, now time.Time) WhyStandIn {
	why := s.whyAway(c, signed.first, now)
	if signed.stoodIn() && s.whyAway(c, signed.last, now) == "" {
		why = "" // who stands in is there
	}
	if why == "" && c.amendsInstead(me, signed) {
		why = StandInNamed
	}
	return why
}

// keeps tells whether who signed the version in force in the place of another may go on.
func (s signers) keeps(c *Case, signed signatories, now time.Time) bool {
	return signed.given || s.whyAway(c, signed.first, now) != "" || c.amendsInstead(signed.last, signed)
}

// whoSigned are, of a case of the alias c before it, whose report it is, and who signed the
// version in force, and why they did where it is another.
const whoSigned = `CROSS JOIN LATERAL (
				SELECT r.signed_by FROM signed_report r
				WHERE r.tenant_id = overread_tenant() AND r.case_id = c.case_id AND r.report_no = 1) AS one
			CROSS JOIN LATERAL (
				SELECT r.signed_by, coalesce(r.content->>'standIn', '') AS stand_in FROM signed_report r
				WHERE r.tenant_id = overread_tenant() AND r.case_id = c.case_id
				ORDER BY r.report_no DESC
				LIMIT 1) AS r`

// signedItem is a signed case, and who signed it.
type signedItem struct {
	WorkItem

	FirstBy  uuid.UUID
	SignedBy uuid.UUID
	LastFor  WhyStandIn
}

// openForStandInTx are the cases that may be the actor's to settle, the most pressing first.
// OFFSET 0 keeps the planner from going through every case there is.
func openForStandInTx(ctx context.Context, tx pgx.Tx, actor access.Actor, theirs string, fit []uuid.UUID) ([]signedItem, error) {
	rows, err := tx.Query(ctx, `
		WITH doubted AS MATERIALIZED (
			SELECT case_id FROM matter
			WHERE tenant_id = overread_tenant() AND kind = 'verification' AND settled_at IS NULL AND content->>'sameReader' = 'true'
		), candidate AS MATERIALIZED (
			SELECT c.case_id
			FROM (SELECT DISTINCT case_id FROM matter WHERE tenant_id = overread_tenant() AND settled_at IS NULL OFFSET 0) AS c
			`+whoSigned+`
			WHERE one.signed_by <> ALL (@fit)
			UNION SELECT case_id FROM doubted
			UNION SELECT case_id FROM case_file WHERE tenant_id = overread_tenant() AND state = 'amending'
		)
		SELECT c.case_id, c.task_id, c.patient_id, c.state, c.priority, c.opened_at, c.placer_value AS "order",
		       coalesce(c.exam->>'display', '') AS exam, coalesce(c.exam->>'modality', '') AS modality,
		       one.signed_by AS first_by, r.signed_by, r.stand_in AS last_for,
		       (SELECT min(m.due_at) FROM matter m WHERE m.tenant_id = overread_tenant() AND m.case_id = c.case_id AND m.settled_at IS NULL) AS due
		FROM (SELECT f.case_id, f.task_id, f.patient_id, f.state, f.priority, f.opened_at, f.placer_value, f.exam, f.reader_id, f.other_reader_id, f.adjudicator_id, f.supervisor_id FROM candidate JOIN case_file f ON f.tenant_id = overread_tenant() AND f.case_id = candidate.case_id OFFSET 0) AS c
		`+whoSigned+`
		WHERE c.state IN ('final', 'closed', 'amending')
		  AND CASE WHEN @me IN (one.signed_by, r.signed_by) THEN c.state = 'amending' AND `+theirs+`
		      ELSE one.signed_by <> ALL (@fit) OR c.state = 'amending' AND (c.supervisor_id = @me OR c.exam->>'amendedBy' = @me::text) OR c.case_id IN (SELECT case_id FROM doubted) END
		ORDER BY `+rankOf+`, due NULLS LAST, c.opened_at
		LIMIT @most`, pgx.NamedArgs{"me": actor.ID, "most": mostLooked, "fit": fit})
	if err != nil {
		return nil, fmt.Errorf("what is open to stand in for: %w", err)
	}
	items, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[signedItem]) // Reasons are of desks
	if err != nil {
		return nil, fmt.Errorf("what is open to stand in for: %w", err)
	}
	return items, nil
}

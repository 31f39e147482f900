package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// ReadingPart is which part of a case an opinion is.
type ReadingPart string

// The parts. Whoever gave an opinion, it is kept and never changes.
const (
	PartFirst        ReadingPart = "first"        // of the reader, or of the first of two
	PartSecond       ReadingPart = "second"       // of the second of two, who knows nothing of the first
	PartProposal     ReadingPart = "proposal"     // a text of one of the two that both may agree on
	PartArbitration  ReadingPart = "arbitration"  // of a third reader who decides between the two
	PartAdjudication ReadingPart = "adjudication" // of a third reader who decides between the reader and the original
	PartRevision     ReadingPart = "revision"     // of the reader, after a supervisor has returned it
	PartCosign       ReadingPart = "cosign"       // of the supervisor who signs
	PartAmendment    ReadingPart = "amendment"    // of a report that was signed
)

// sealDraftTx closes the draft for good. It returns errNoDraft when there is none.
func sealDraftTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, status string, now time.Time) (Sealed, error) {
	d, err := draftTx(ctx, tx, caseID)
	if err != nil {
		return Sealed{}, err
	}
	_, sum, err := canonical(d.Content)
	if err != nil {
		return Sealed{}, err
	}
	rows, err := tx.Query(ctx, `
		UPDATE opinion
		SET status = @status, sealed_at = @now, content_sha256 = @sum
		WHERE case_id = @case_id AND opinion_no = @no AND status = 'draft'
		RETURNING `+sealedColumns,
		pgx.NamedArgs{"case_id": caseID, "no": d.No, "status": status, "now": now, "sum": sum[:]})
	if err != nil {
		return Sealed{}, fmt.Errorf("seal opinion: %w", err)
	}
	o, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Sealed])
	if err != nil {
		return Sealed{}, fmt.Errorf("seal opinion: %w", err)
	}
	o.SealedAt = o.SealedAt.UTC()
	return o, nil
}

// Sealed is an opinion that never changes again.
type Sealed struct {
	OpinionNo int
	ReaderID  uuid.UUID
	Part      ReadingPart
	Status    string // locked, or released: unfinished
	Content   Opinion
	SealedAt  time.Time
	SHA256    string // hex
}

const sealedColumns = `opinion_no, reader_id, part, status, content, sealed_at, encode(content_sha256, 'hex') AS sha256`

// sealedTx returns every sealed opinion of a case, the oldest first.
func sealedTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Sealed, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+sealedColumns+`
		FROM opinion
		WHERE case_id = $1 AND status <> 'draft'
		ORDER BY opinion_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("sealed opinions: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Sealed])
	if err != nil {
		return nil, fmt.Errorf("sealed opinions: %w", err)
	}
	for i := range all {
		all[i].SealedAt = all[i].SealedAt.UTC()
	}
	return all, nil
}

// lastLocked is the last opinion that somebody has locked as one of these parts.
func lastLocked(all []Sealed, reader uuid.UUID, parts ...ReadingPart) (Sealed, bool) {
	for _, o := range slices.Backward(all) {
		if o.ReaderID == reader && o.Status == "locked" && slices.Contains(parts, o.Part) {
			return o, true
		}
	}
	return Sealed{}, false
}

// lockedOpinion returns the opinion in force: the one that the case says, else
// the one that was locked last by somebody who still has a part in the case.
func (t *turn) lockedOpinion(ctx context.Context) (Sealed, error) {
	all, err := t.ledger.sealed(ctx, t.c.CaseID)
	if err != nil {
		return Sealed{}, err
	}
	return standing(t.c, all)
}

func standing(c *Case, all []Sealed) (Sealed, error) {
	for _, o := range slices.Backward(all) {
		has := func(who *uuid.UUID) bool { return who != nil && *who == o.ReaderID }
		switch {
		case c.OpinionNo != nil:
			if *c.OpinionNo == o.OpinionNo {
				return o, nil
			}
		case o.Status == "locked" && o.Part != PartProposal && (has(c.ReaderID) || has(c.AdjudicatorID) || has(c.SupervisorID)):
			return o, nil
		}
	}
	return Sealed{}, fmt.Errorf("case %s has no locked opinion", c.CaseID)
}

// pastReadersTx returns, of each case, who has sealed an opinion on it or on another of
// the same study, whole or not, or has decided one, or had it to decide: who has
// seen the original, or may have, does not read the study independently, even if
// they gave the case back. Of this one case a supervisor may sign what they
// returned, and a third reader take the third reading again that they gave back:
// unless it withholds what they have seen there (thirdIsBlind).
func pastReadersTx(ctx context.Context, tx pgx.Tx, cases []*Case, duty Duty) (map[uuid.UUID][]uuid.UUID, error) {
	var ids []uuid.UUID
	var studies []*string
	var blind, veils []bool
	for _, c := range cases {
		ids, studies = append(ids, c.CaseID), append(studies, c.StudyUID)
		blind, veils = append(blind, duty == ToAdjudicate && c.thirdIsBlind()), append(veils, c.Policy.BlindAdjudication)
	}
	rows, err := tx.Query(ctx, `
		WITH wanted AS (
			SELECT of, study, blind, veils
			FROM unnest(@ids::uuid[], @studies::text[], @blind::boolean[], @veils::boolean[]) AS w (of, study, blind, veils)
		), same AS (
			SELECT w.of, w.blind, w.veils, c.case_id, c.adjudicator_id, c.supervisor_id
			FROM wanted w
			JOIN case_file c ON c.case_id = w.of
			UNION ALL
			SELECT w.of, w.blind, w.veils, c.case_id, c.adjudicator_id, c.supervisor_id
			FROM wanted w
			JOIN case_file c ON c.study_uid = w.study AND c.case_id <> w.of
		)
		SELECT same.of, o.reader_id
		FROM opinion o
		JOIN same ON same.case_id = o.case_id
		WHERE o.status <> 'draft'
		UNION
		SELECT same.of, decided.by
		FROM same
		CROSS JOIN LATERAL (VALUES (adjudicator_id), (supervisor_id)) AS decided (by)
		WHERE case_id <> same.of AND decided.by IS NOT NULL
		UNION
		SELECT same.of, e.actor_id
		FROM case_event e
		JOIN same ON same.case_id = e.case_id
		WHERE e.actor_id IS NOT NULL
		  AND (e.actor_role = 'supervisor' AND e.event IN ('return', 'sign') AND (e.case_id <> same.of OR @duty <> 'supervise')
		    OR e.actor_role = 'adjudicator' AND e.event IN ('claim', 'adjudicate') AND (e.case_id <> same.of OR @duty <> 'adjudicate')
		    OR same.blind AND e.case_id = same.of AND (e.event = 'reveal'
		      OR e.actor_role = 'adjudicator' AND e.event IN ('claim', 'adjudicate') AND e.from_state = 'adjudication' AND NOT same.veils))`,
		pgx.NamedArgs{"ids": ids, "studies": studies, "duty": duty, "blind": blind, "veils": veils})
	if err != nil {
		return nil, fmt.Errorf("past readers: %w", err)
	}
	return byCase(rows)
}

// byCase collects rows of a case and an id.
func byCase(rows pgx.Rows) (map[uuid.UUID][]uuid.UUID, error) {
	found := map[uuid.UUID][]uuid.UUID{}
	var of, id uuid.UUID
	_, err := pgx.ForEachRow(rows, []any{&of, &id}, func() error {
		found[of] = append(found[of], id)
		return nil
	})
	return found, err
}

// sections are the texts of an opinion. An amendment may change each, and take
// back those that a report can be without.
var sections = []struct {
	name      string
	removable bool
	text      func(*Opinion) *string
}{
	{"technique", true, func(o *Opinion) *string { return &o.Technique }},
	{"comparison", true, func(o *Opinion) *string { return &o.Comparison }},
	{"findings", false, func(o *Opinion) *string { return &o.Findings }},
	{"impression", false, func(o *Opinion) *string { return &o.Impression }},
	{"recommendation", true, func(o *Opinion) *string { return &o.Recommendation }},
	{"actionable", true, func(o *Opinion) *string { return &o.Actionable }},
}

const conclusion = "conclusion" // the one section that is a list of codes

// Removable are the sections that an amendment may take back.
func Removable() []string {
	var names []string
	for _, s := range sections {
		if s.removable {
			names = append(names, s.name)
		}
	}
	return append(names, conclusion)
}

// over lays an opinion over an earlier one: sections that it does not give
// stay as they were, so that an amendment never drops what it does not name.
func (o Opinion) over(earlier Opinion) Opinion {
	for _, s := range sections {
		if now := s.text(&o); strings.TrimSpace(*now) == "" {
			*now = *s.text(&earlier)
		}
	}
	if o.Conclusions == nil {
		o.Conclusions = earlier.Conclusions
	}
	if o.Structured == nil {
		o.Structured = earlier.Structured
	}
	return o
}

// without takes sections back.
func (o Opinion) without(names []string) Opinion {
	for _, s := range sections {
		if slices.Contains(names, s.name) {
			*s.text(&o) = ""
		}
	}
	if slices.Contains(names, conclusion) {
		o.Conclusions = nil
	}
	return o
}

func (o Opinion) unknownCategory() bool {
	return o.Actionable != "" && !slices.Contains(actionables, o.Actionable)
}

var errCategory = fault.New(fault.BusinessRule, "the opinion's actionable category must be one of %s", strings.Join(actionables, ", "))

// ChangedSections are the sections that are not the same in two opinions.
func ChangedSections(before, after Opinion) (changed []string) {
	for _, s := range sections {
		if *s.text(&before) != *s.text(&after) {
			changed = append(changed, s.name)
		}
	}
	if !slices.Equal(before.Conclusions, after.Conclusions) {
		changed = append(changed, conclusion)
	}
	if before.Structured.Text() != after.Structured.Text() {
		changed = append(changed, "structured")
	}
	return changed
}

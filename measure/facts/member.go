package facts

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Members names cases of a query by where they are counted: one of these, or one of
// Definition.Exclusions. A figure has as many as its count says.
type Members string

// Of a time, those that have ended are counted, and the others are open.
const (
	MembersAll         Members = "all"
	MembersDenominator Members = "denominator"
	MembersCounted     Members = "counted"
	MembersOthers      Members = "others" // in the denominator and not counted
	MembersExcluded    Members = "excluded"
)

// condition is on the number of Definition.outcome.
func (d Definition) condition(of Members) (string, error) {
	switch of {
	case MembersAll:
		return "true", nil
	case MembersDenominator:
		return d.outcome() + " IN (0, 1)", nil
	case MembersCounted:
		return d.outcome() + " = 1", nil
	case MembersOthers:
		return d.outcome() + " = 0", nil
	case MembersExcluded:
		return d.outcome() + " > 1", nil
	}
	if i := slices.Index(d.Exclusions(), string(of)); i >= 0 {
		return fmt.Sprintf("%s = %d", d.outcome(), 2*(i+1)), nil
	}
	return "", fault.New(fault.Value, "of this measure there are no such cases")
}

// Member is a case that a figure is made of.
type Member struct {
	workflow.QualityHead
	At      time.Time // by which it belongs to the period
	Outcome int
	Minutes int // of a time: from its beginning to its end, or open so far
}

// Place is where it stands in its list: the newest first.
func (m Member) Place() workflow.Place { return workflow.Place{At: m.At, ID: m.CaseID} }

// Excluded is why the case is not in the denominator of a measure; "" where it is.
func (m Member) Excluded(d Definition) string {
	if m.Outcome < 2 {
		return ""
	}
	return d.exclude[m.Outcome/2-1].code
}

// Counted tells whether it is in the numerator, or has ended.
func (m Member) Counted() bool { return m.Outcome == 1 }

// MembersTx are cases that a figure is made of, after a place in their list. They are of the
// same rows as what Count counts, by the same conditions. For the role of quality alone.
func MembersTx(ctx context.Context, tx pgx.Tx, q Query, of Members, after workflow.Place, most int) ([]Member, error) {
	d := q.Measure
	condition, err := d.condition(of)
	if err != nil {
		return nil, err
	}
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	minutes := "0"
	if d.Timed() {
		minutes = d.detail()
	}
	besides := []string{condition}
	if !after.At.IsZero() {
		s.args["at"], s.args["id"] = after.At, after.ID
		besides = append(besides, d.basis+" <= @at", "("+d.basis+", case_id) < (@at, @id)")
	}
	s.args["most"] = most
	const order = ` ORDER BY at DESC, case_id DESC LIMIT @most`
	now, before := s.rows(`case_id, `+d.basis+` AS at, `+d.outcome()+` AS outcome, `+minutes+` AS minutes`, besides...)
	rows, err := tx.Query(ctx, `
		SELECT `+workflow.QualityHeadColumns+`, f.at, f.outcome, f.minutes
		FROM (SELECT case_id, at, outcome, minutes FROM ((`+now+order+`) UNION ALL (`+before+order+`)) x`+order+`) f
		JOIN case_file c USING (case_id)
		ORDER BY f.at DESC, f.case_id DESC`, s.args)
	if err != nil {
		return nil, fmt.Errorf("cases of a figure: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Member])
	if err != nil {
		return nil, fmt.Errorf("cases of a figure: %w", err)
	}
	return all, nil
}

// MembersCountedTx is how many cases there are of each, as Count counts them: of those that
// Members names, and of each reason of exclusion that a case has.
func MembersCountedTx(ctx context.Context, tx pgx.Tx, q Query) (map[Members]int, error) {
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	counts := map[Members]int{}
	rows, err := tx.Query(ctx, `SELECT outcome, count(*)::int FROM (`+s.union(s.q.Measure.outcome()+` AS outcome`)+`) f GROUP BY outcome`, s.args)
	if err != nil {
		return nil, fmt.Errorf("count cases of a figure: %w", err)
	}
	var outcome, cases int
	_, err = pgx.ForEachRow(rows, []any{&outcome, &cases}, func() error {
		counts[MembersAll] += cases
		switch {
		case outcome > 1:
			counts[MembersExcluded] += cases
			counts[Members(q.Measure.exclude[outcome/2-1].code)] += cases
			return nil
		case outcome == 1:
			counts[MembersCounted] += cases
		default:
			counts[MembersOthers] += cases
		}
		counts[MembersDenominator] += cases
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count cases of a figure: %w", err)
	}
	return counts, nil
}

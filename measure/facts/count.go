package facts

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Counts are the populations of a measure: Initial is Excluded and Denominator
// together, and of the denominator Numerator have what is counted; of a time, have ended.
type Counts struct{ Initial, Denominator, Numerator int }

// Excluded is how many are not in the denominator.
func (c Counts) Excluded() int { return c.Initial - c.Denominator }

// Reason is how many are not in the denominator for one reason, and of those without
// comparison why.
type Reason struct {
	Code  string // one of Definition.Exclusions
	Why   string // of no-comparison: the reason of the grade; else ""
	Cases int
}

// Stratum is the counts of the cases that have these words of the dimensions of Query.By,
// and of a time the durations of those in the denominator.
type Stratum struct {
	Key []string
	Counts
	Durations []Duration
}

// Table is the counts of a query.
type Table struct {
	Counts
	Durations []Duration // of a time
	Reasons   []Reason
	Strata    []Stratum // by their keys
	Part      *Part     // nil: all strata are there
	Pairs     [][]int   // grades of the reader by those of the third reader: none, minor, major; nil unless the measure has them
}

// Part says which part of the strata of a query a Table has, by their size.
type Part struct {
	Strata   int // there are
	From, To int // the first and the last that are listed, from 1
}

// What one answer lists at the most: 150 sites by 300 second readers are 45,000, and 54 MB
// (docs/performance.md); of a time each stratum has three figures.
const (
	mostStrata      = 50_000
	mostTimedStrata = 20_000

	pagesOfMost = 5 // where they are more, a page of them has a fifth of that
)

// Count counts the cases of a query, exactly, in one pass: the whole, why cases are
// excluded, the strata and their durations are of the same rows. It returns a fault of
// kind Value for a query that asks what there is not, and TooLarge for one with too many
// strata that asks for no page of them.
//
// PostgreSQL hands over a few numbers of each case, and they are added up here: grouped
// there, a year of a national service by two dimensions costs two to four times as much,
// the more the more strata there are.
func Count(ctx context.Context, tx pgx.Tx, q Query) (Table, error) {
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return Table{}, err
	}
	words, err := wordsTx(ctx, tx)
	if err != nil {
		return Table{}, err
	}
	sum := newTally(q.Measure)
	if err := s.each(ctx, tx, sum.add); err != nil {
		return Table{}, fmt.Errorf("count: %w", err)
	}
	most := mostStrata
	if q.Measure.Timed() {
		most = mostTimedStrata
	}
	var part *Part
	switch {
	case len(q.By) > 0 && len(sum.strata) > most:
		if q.Page == 0 {
			return Table{}, sum.tooMany(q.By, most)
		}
		if part, err = sum.cut(q.Page, most/pagesOfMost); err != nil {
			return Table{}, err
		}
	case q.Page > 1:
		return Table{}, noPage(q.Page, 1)
	}
	table := sum.table(s, words)
	table.Part = part
	return table, nil
}

func noPage(page, pages int) error {
	return fault.New(fault.Value, "there is no page %d of these strata: they are on %d", page, pages)
}

// seen is what is counted of one case.
type seen struct {
	key    [2]int32 // the numbers of its words; of a month which; 0 where cases are not told apart
	reason int32    // why it is excluded, from 1; 0: it is in the denominator
	counts bool     // it is in the numerator, or has ended
	detail int32    // of one without comparison why; of a time minutes; of two grades both
}

// detail is what is asked of a case besides, as SQL.
func (d Definition) detail() string {
	switch {
	case d.Timed():
		return `greatest(0, ceil(date_part('epoch', coalesce(` + d.to + `, @as_of) - ` + d.from + `) / 60))::int`
	case d.Pairs:
		return `CASE excluded WHEN 4 THEN no_comparison ELSE coalesce(reader_level * ` + fmt.Sprint(len(workflow.FactLevels)) + ` + adjudicator_level, 0)::int END`
	}
	return `CASE excluded WHEN 4 THEN no_comparison ELSE 0 END`
}

// outcome is the number of why a case is excluded, from 1, twice; of one in the
// denominator whether it is in the numerator.
func (d Definition) outcome() string {
	counts := cmp.Or(d.numerator, d.to+" IS NOT NULL")
	cases := make([]string, len(d.exclude))
	for i, e := range d.exclude {
		cases[i] = fmt.Sprintf("WHEN %s THEN %d", e.when, 2*(i+1))
	}
	return "CASE " + strings.Join(cases, " ") + " WHEN " + counts + " THEN 1 ELSE 0 END"
}

// each hands over the cases of the query, as they were known.
func (s *statement) each(ctx context.Context, tx pgx.Tx, do func(seen)) error {
	columns := []string{"0", "0", s.q.Measure.outcome(), s.q.Measure.detail()}
	for i, name := range s.q.By {
		columns[i] = s.key(name)
	}
	return s.numbers(ctx, tx, s.union(strings.Join(columns, ", ")), func(n []int32) {
		do(seen{key: [2]int32{n[0], n[1]}, reason: n[2] / 2, counts: n[2] == 1, detail: n[3]})
	})
}

// Listed is a case of a list, and where it is counted.
type Listed struct {
	CaseID      uuid.UUID
	TaskID      string
	Excluded    string // one of Definition.Exclusions, or ""
	InNumerator bool
}

// List is the cases of a query, by their ids. It is for the role of quality alone.
func List(ctx context.Context, tx pgx.Tx, q Query, most int) ([]Listed, error) {
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	d := q.Measure
	s.args["most"] = most
	rows, err := tx.Query(ctx, `
		SELECT f.case_id, c.task_id, f.outcome
		FROM (`+s.union(`case_id, `+d.outcome()+` AS outcome`)+`) f
		JOIN (SELECT case_id, task_id FROM case_file) c USING (case_id)
		ORDER BY case_id
		LIMIT @most`, s.args)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Listed, err error) {
		var outcome int
		err = row.Scan(&l.CaseID, &l.TaskID, &outcome)
		if l.InNumerator = outcome == 1 && !d.Timed(); outcome > 1 {
			l.Excluded = d.exclude[outcome/2-1].code
		}
		return l, err
	})
}

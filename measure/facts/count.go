package facts

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// Counts are the populations of a measure: Initial is Excluded and Denominator
// together, and of the denominator Numerator have what is counted.
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

// Stratum is the counts of the cases that have these words of the dimensions of Query.By.
type Stratum struct {
	Key []string
	Counts
}

// Table is the counts of a query.
type Table struct {
	Counts
	Reasons []Reason
	Strata  []Stratum // by their keys
	Pairs   [][]int   // grades of the reader by those of the third reader: none, minor, major; nil unless the measure has them
}

// mostStrata bounds what one answer lists.
const mostStrata = 20000

// Count counts the cases of a query, exactly. It returns a fault of kind Value for a
// query that asks what there is not, and TooLarge for one with too many strata.
func Count(ctx context.Context, tx pgx.Tx, q Query) (Table, error) {
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return Table{}, err
	}
	words, err := wordsTx(ctx, tx)
	if err != nil {
		return Table{}, err
	}
	var t Table
	if err := s.whole(ctx, tx, words, &t); err != nil {
		return t, err
	}
	if len(q.By) > 0 {
		if t.Strata, err = s.strata(ctx, tx, words); err != nil {
			return t, err
		}
	}
	if q.Measure.Pairs {
		t.Pairs, err = s.pairs(ctx, tx)
	}
	return t, err
}

// counts is the condition of the numerator; a time has none.
func (d Definition) counts() string { return cmp.Or(d.numerator, "false") }

// whole counts all of them, with why some are excluded.
func (s *statement) whole(ctx context.Context, tx pgx.Tx, words map[int]string, t *Table) error {
	d := s.q.Measure
	rows, err := tx.Query(ctx, `
		SELECT `+d.reason()+` AS reason, CASE WHEN excluded = 4 THEN no_comparison END AS why,
		       count(*), count(*) FILTER (WHERE `+d.counts()+`)
		FROM `+s.rows()+`
		GROUP BY 1, 2
		ORDER BY 1, 2`, s.args)
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	var reason, cases, numerator int
	var why *int
	_, err = pgx.ForEachRow(rows, []any{&reason, &why, &cases, &numerator}, func() error {
		t.Initial += cases
		if reason == 0 {
			t.Denominator += cases
			t.Numerator += numerator
			return nil
		}
		r := Reason{Code: d.exclude[reason-1].code, Cases: cases}
		if r.Code == workflow.ExcludedNoComparison && why != nil {
			r.Why = words[*why]
		}
		t.Reasons = append(t.Reasons, r)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count: %w", err)
	}
	slices.SortStableFunc(t.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(slices.Index(d.Exclusions(), a.Code), slices.Index(d.Exclusions(), b.Code)), strings.Compare(a.Why, b.Why))
	})
	return nil
}

// strata counts by the dimensions of the query.
func (s *statement) strata(ctx context.Context, tx pgx.Tx, words map[int]string) ([]Stratum, error) {
	d := s.q.Measure
	rows, err := tx.Query(ctx, `
		SELECT `+strings.Join(s.keys(), ", ")+`, count(*), count(*) FILTER (WHERE `+d.counted()+`),
		       count(*) FILTER (WHERE `+d.counted()+` AND `+d.counts()+`)
		FROM `+s.rows()+`
		GROUP BY 1, 2
		LIMIT `+fmt.Sprint(mostStrata+1), s.args)
	if err != nil {
		return nil, fmt.Errorf("count strata: %w", err)
	}
	var list []Stratum
	var key [2]int
	var c Counts
	_, err = pgx.ForEachRow(rows, []any{&key[0], &key[1], &c.Initial, &c.Denominator, &c.Numerator}, func() error {
		list = append(list, Stratum{s.words(key[:len(s.q.By)], words), c})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count strata: %w", err)
	}
	if len(list) > mostStrata {
		return nil, tooMany()
	}
	slices.SortFunc(list, func(a, b Stratum) int { return slices.Compare(a.Key, b.Key) })
	return list, nil
}

// words are the words of a key.
func (s *statement) words(key []int, words map[int]string) []string {
	list := make([]string, len(key))
	for i, no := range key {
		if s.q.By[i] == Month {
			list[i] = s.q.monthName(no - 1)
			continue
		}
		list[i] = words[no]
	}
	return list
}

// pairs is the square of the two grades.
func (s *statement) pairs(ctx context.Context, tx pgx.Tx) ([][]int, error) {
	table := make([][]int, len(workflow.FactLevels))
	for i := range table {
		table[i] = make([]int, len(workflow.FactLevels))
	}
	rows, err := tx.Query(ctx, `
		SELECT reader_level, adjudicator_level, count(*)
		FROM `+s.rows()+`
		WHERE `+s.q.Measure.counted()+`
		GROUP BY 1, 2`, s.args)
	if err != nil {
		return nil, fmt.Errorf("count pairs: %w", err)
	}
	var reader, adjudicator, cases int
	_, err = pgx.ForEachRow(rows, []any{&reader, &adjudicator, &cases}, func() error {
		table[reader][adjudicator] = cases
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count pairs: %w", err)
	}
	return table, nil
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
		SELECT f.case_id, c.task_id, `+d.reason()+` AS reason, coalesce(`+d.counted()+` AND `+d.counts()+`, false)
		FROM `+s.rows()+`
		JOIN (SELECT case_id, task_id FROM case_file) c USING (case_id)
		ORDER BY case_id
		LIMIT @most`, s.args)
	if err != nil {
		return nil, fmt.Errorf("list cases: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Listed, err error) {
		var reason int
		err = row.Scan(&l.CaseID, &l.TaskID, &reason, &l.InNumerator)
		if reason > 0 {
			l.Excluded = d.exclude[reason-1].code
		}
		return l, err
	})
}

package facts

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/measure/disclosure"
)

// leaf is the number of the outcome of a case that counts.
const leaf = `significance * 2 + (coalesce(management, 0) > 0)::int`

// signed is the rows of cases that were signed in the period, as they were known.
func (q Query) signed(by []string) *statement {
	q.Measure, q.By = Definition{basis: "period_at"}, by
	return q.statement()
}

// leafTables are the cases that count by their outcome: all, by each of some dimensions, and
// by pairs of them.
type leafTables struct {
	total      disclosure.Counts
	dimensions [][]outcomeRow
	pairs      [][]outcomeRow
}

type outcomeRow struct {
	key    []string
	counts disclosure.Counts
}

// leaves counts all tables in one pass.
func (q Query) leaves(ctx context.Context, tx pgx.Tx, names []string, pairs [][2]string, words map[int]string) (leafTables, error) {
	t := leafTables{total: make(disclosure.Counts, len(outcomes))}
	s := q.signed(names)
	columns := []string{leaf}
	for _, name := range names {
		columns = append(columns, s.key(name))
	}
	tables := make([]leafTable, 0, len(names)+len(pairs))
	for i := range names {
		tables = append(tables, leafTable{places: []int{i}})
	}
	for _, pair := range pairs {
		tables = append(tables, leafTable{places: []int{slices.Index(names, pair[0]), slices.Index(names, pair[1])}})
	}
	if err := hasten(ctx, tx); err != nil {
		return t, err
	}
	err := s.numbers(ctx, tx, s.union(strings.Join(columns, ", "), "excluded = 0", "signed_at IS NOT NULL"), func(row []int32) {
		t.total[row[0]]++
		for i := range tables {
			tables[i].add(row[1:], row[0])
		}
	})
	if err != nil {
		return t, fmt.Errorf("count outcomes: %w", err)
	}
	for i := range names {
		t.dimensions = append(t.dimensions, tables[i].rows(s, words))
	}
	for i := range pairs {
		t.pairs = append(t.pairs, tables[len(names)+i].rows(s, words))
	}
	return t, nil
}

// leafTable is one of them as it is counted.
type leafTable struct {
	places []int // of its dimensions in a row
	counts map[[2]int32]disclosure.Counts
}

func (t *leafTable) add(numbers []int32, outcome int32) {
	var key [2]int32
	for i, at := range t.places {
		key[i] = numbers[at]
	}
	counts := t.counts[key]
	if counts == nil {
		if t.counts == nil {
			t.counts = map[[2]int32]disclosure.Counts{}
		}
		counts = make(disclosure.Counts, len(outcomes))
		t.counts[key] = counts
	}
	counts[outcome]++
}

// rows are those of the table, in the order of the numbers of its words.
func (t *leafTable) rows(s *statement, words map[int]string) (list []outcomeRow) {
	keys := slices.SortedFunc(maps.Keys(t.counts), func(a, b [2]int32) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		row := outcomeRow{counts: t.counts[key]}
		for i, at := range t.places {
			word := s.word(s.q.By[at], key[i], words)
			if word == disclosure.Other {
				word = "other" // a word of a client's; the name of all others is ours
			}
			row.key = append(row.key, word)
		}
		list = append(list, row)
	}
	return list
}

package facts

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Query says which cases are counted, and by what they are told apart.
type Query struct {
	Measure  Definition
	From, To time.Time         // the period: From is in it, To is not
	Starts   time.Time         // where the first month begins, if From is before it: the hours that a change of the zone has left over are of that month
	AsOf     time.Time         // by what was known then
	Zone     *time.Location    // of months
	By       []string          // at most two names of dimensions, or Month
	Where    map[string]string // of a dimension the word that it has to have
	Cases    []uuid.UUID       // these alone; nil: all
	Page     int               // which part of the strata is listed where these are too many for one answer, from 1; 0: then they are refused
}

// Month is the stratifier of the month in which a case belongs to the period.
const Month = workflow.DimensionMonth

// MostBy is by how many dimensions cases are told apart at once.
const MostBy = 2

// Dimensions are the names by which cases may be told apart.
func Dimensions() []string {
	names := []string{Month}
	for _, d := range workflow.FactDimensions {
		names = append(names, d.Name)
	}
	return names
}

func columnOf(name string) (string, bool) {
	i := slices.IndexFunc(workflow.FactDimensions, func(d workflow.FactDimension) bool { return d.Name == name })
	if i < 0 {
		return "", false
	}
	return workflow.FactDimensions[i].Column, true
}

// SettledAfter is how long a transaction may still write what it began to write
// before: longer than any statement and its pauses may take (internal/pg). What is kept is
// counted as of a moment that is so long ago.
const SettledAfter = 2 * time.Minute

// LongestPeriod is how many years a period has at most.
const LongestPeriod = 50

// check returns a fault of kind Value.
func (q Query) check() error {
	if !q.From.Before(q.To) || q.To.After(q.From.AddDate(LongestPeriod, 0, 0)) {
		return fault.New(fault.Value, "the period ends after it begins, and within %d years", LongestPeriod)
	}
	if len(q.By) > MostBy || len(q.By) == 2 && q.By[0] == q.By[1] {
		return fault.New(fault.Value, "cases are told apart by at most two different stratifiers")
	}
	for _, name := range q.By {
		if !slices.Contains(Dimensions(), name) {
			return fault.New(fault.Value, "stratifier is one of: %s", strings.Join(Dimensions(), ", "))
		}
	}
	for name := range q.Where {
		if _, ok := columnOf(name); !ok {
			return fault.New(fault.Value, "cases are chosen by a dimension: %s", strings.Join(Dimensions()[1:], ", "))
		}
	}
	return nil
}

// months are the beginnings of those that the period touches, the first one at From.
func (q Query) months() []time.Time {
	list := []time.Time{q.From}
	local := q.begins().In(q.Zone)
	for i := 1; ; i++ {
		next := time.Date(local.Year(), local.Month()+time.Month(i), 1, 0, 0, 0, 0, q.Zone)
		if !next.Before(q.To) {
			return list
		}
		list = append(list, next)
	}
}

func (q Query) begins() time.Time {
	if q.Starts.After(q.From) {
		return q.Starts
	}
	return q.From
}

// statement is a query as SQL: the rows as of the moment, and what is asked of them.
type statement struct {
	q      Query
	args   pgx.NamedArgs
	months []time.Time
}

// statement is of a query without words of Where.
func (q Query) statement() *statement {
	s := &statement{q: q, args: pgx.NamedArgs{"from": q.From, "to": q.To, "as_of": q.AsOf, "cases": q.Cases}}
	if slices.Contains(q.By, Month) {
		s.months = q.months()
		s.args["months"] = s.months
	}
	return s
}

// newStatement finds the numbers of the words of Where. A word that no case has is
// met by none.
func newStatement(ctx context.Context, tx pgx.Tx, q Query) (*statement, error) {
	if err := q.check(); err != nil {
		return nil, err
	}
	s := q.statement()
	for name, word := range q.Where {
		var no int
		err := tx.QueryRow(ctx, `SELECT coalesce((SELECT word_no FROM measure_word WHERE word = $1), 0)`, word).Scan(&no)
		if err != nil {
			return nil, fmt.Errorf("word of a query: %w", err)
		}
		column, _ := columnOf(name)
		s.args["where_"+column] = no
	}
	return s, hasten(ctx, tx)
}

// hasten is for one pass over a year's rows, for which somebody waits: its groups in memory, and
// planned for this period, which a plan for any period would take for a short one. From 64 MB of
// facts on, which are some 300,000 cases, on all processors: of fewer, to start and to join the workers takes as
// much of these as the pass itself.
func hasten(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
		SELECT set_config('parallel_setup_cost', '0', true), set_config('parallel_tuple_cost', '0', true),
		       set_config('min_parallel_table_scan_size', '64MB', true), set_config('work_mem', '64MB', true),
		       set_config('plan_cache_mode', 'force_custom_plan', true)`)
	if err != nil {
		return fmt.Errorf("prepare a count: %w", err)
	}
	return nil
}

// union is these columns of one row for each case, as it was known then, that meets
// conditions besides.
func (s *statement) union(columns string, besides ...string) string {
	now, before := s.rows(columns, besides...)
	return now + ` UNION ALL ` + before
}

// rows are the two parts of it: of what is known still, and of what has changed since.
func (s *statement) rows(columns string, besides ...string) (now, before string) {
	conditions := []string{s.q.Measure.basis + " >= @from", s.q.Measure.basis + " < @to", "known_from <= @as_of"}
	for name := range s.q.Where {
		column, _ := columnOf(name)
		conditions = append(conditions, column+" = @where_"+column)
	}
	if s.q.Cases != nil {
		conditions = append(conditions, "case_id = ANY (@cases)")
	}
	where := strings.Join(append(conditions, besides...), " AND ")
	return `SELECT ` + columns + ` FROM measure_fact WHERE ` + where,
		`SELECT ` + columns + ` FROM measure_fact_past WHERE ` + where + ` AND known_until > @as_of`
}

// key is what cases are told apart by: the number of a word, or of a month.
func (s *statement) key(name string) string {
	if name == Month {
		return "width_bucket(" + s.q.Measure.basis + ", @months::timestamptz[])"
	}
	column, _ := columnOf(name)
	return column
}

// counted is the condition that a case is in the denominator.
func (d Definition) counted() string {
	parts := make([]string, len(d.exclude))
	for i, e := range d.exclude {
		parts[i] = "coalesce(" + e.when + ", false)"
		if strings.HasPrefix(e.when, "excluded = ") { // never NULL
			parts[i] = e.when
		}
	}
	return "NOT (" + strings.Join(parts, " OR ") + ")"
}

// wordsTx are the words by their numbers.
func wordsTx(ctx context.Context, tx pgx.Tx) (map[int]string, error) {
	rows, err := tx.Query(ctx, `SELECT word_no, word FROM measure_word`)
	if err != nil {
		return nil, fmt.Errorf("words: %w", err)
	}
	words := map[int]string{}
	var no int
	var word string
	_, err = pgx.ForEachRow(rows, []any{&no, &word}, func() error { words[no] = word; return nil })
	if err != nil {
		return nil, fmt.Errorf("words: %w", err)
	}
	return words, nil
}

// words are the words of a key.
func (s *statement) words(key []int32, words map[int]string) []string {
	list := make([]string, len(key))
	for i, no := range key {
		list[i] = s.word(s.q.By[i], no, words)
	}
	return list
}

func (s *statement) word(name string, no int32, words map[int]string) string {
	if name == Month {
		at := s.months[no-1]
		if no == 1 {
			at = s.q.begins()
		}
		return at.In(s.q.Zone).Format("2006-01")
	}
	return words[int(no)]
}

// numbers hands over the rows of a statement whose columns are all integers: the same
// slice each time.
func (s *statement) numbers(ctx context.Context, tx pgx.Tx, sql string, do func([]int32)) error {
	rows, err := tx.Query(ctx, sql, s.args)
	if err != nil {
		return err
	}
	defer rows.Close()
	var n []int32
	for rows.Next() { // a million of them: without Scan, which takes as long as all the rest
		formats, raw := rows.FieldDescriptions(), rows.RawValues()
		if n == nil {
			n = make([]int32, len(raw))
		}
		for i := range raw {
			if n[i], err = number(raw[i], formats[i].Format); err != nil {
				return err
			}
		}
		do(n)
	}
	return rows.Err()
}

// number reads an integer of PostgreSQL, whichever form it has: text where no statement is
// prepared.
func number(raw []byte, format int16) (int32, error) {
	if format == pgx.BinaryFormatCode && len(raw) == 4 {
		return int32(binary.BigEndian.Uint32(raw)), nil //nolint:gosec // it is one of 32 bits, with its sign
	}
	n, err := strconv.ParseInt(string(raw), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("a number of a count: %w", err)
	}
	return int32(n), nil
}

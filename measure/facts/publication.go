package facts

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/workflow"
)

// Publication is what may be shown of the cases that were signed in a quarter or year: those
// that count by their outcomes and dimensions, protected as one family
// (measure/disclosure), and beside them how many had no comparison. No sum of the two is
// published, so neither tells of the other.
type Publication struct {
	StartsOn     time.Time `json:"-"`
	AsOf         time.Time `json:"-"`
	Tables       *disclosure.Published
	NoComparison *int   // nil: few
	Whole        *Whole `json:",omitempty"` // nil: from before it was published
}

// Scheme is the version of Outcomes.
const Scheme = "1"

// outcomes are the leaves: significance, and whether the management changes.
var outcomes = []string{"none", "none-management", "unimportant", "unimportant-management", "important", "important-management"}

// Outcomes is the scheme of what is published: how many cases; with or without a
// discrepancy; its significance; whether it changes the management. By the policy it may
// end before: a cell of two dimensions is shown in the detail of the whole or not at all.
func Outcomes(detail string) *disclosure.Scheme {
	agree := outcomes[:2]
	levels := [][][]string{
		{agree, outcomes[2:]},
		{agree, outcomes[2:4], outcomes[4:]},
		{outcomes[0:1], outcomes[1:2], outcomes[2:3], outcomes[3:4], outcomes[4:5], outcomes[5:6]},
	}
	if i := slices.Index(workflow.PublicationDetails, detail); i >= 0 {
		levels = levels[:i+1]
	}
	return mustScheme(outcomes, levels...)
}

// numerators are the leaves that a published measure counts; its denominator is all.
var numerators = map[string][]string{
	"discrepancy-any":        outcomes[2:],
	"discrepancy-important":  outcomes[4:],
	"discrepancy-management": {outcomes[1], outcomes[3], outcomes[5]},
	"agreement":              outcomes[:2],
}

// NoComparison is the measure that is published for the whole alone.
const NoComparison = "no-comparison"

// Numerator are the leaves that a published measure counts; false for one that is not
// published by outcomes.
func Numerator(measure string) (disclosure.Leaves, bool) {
	names, ok := numerators[measure]
	if !ok {
		return 0, false
	}
	set, err := Outcomes("").Leaves(names...)
	return set, err == nil
}

// Every is all leaves.
func Every() disclosure.Leaves { return 1<<len(outcomes) - 1 }

// readers are the dimensions whose values are people.
var readers = []string{"original-reader", "second-reader"}

// IsReader tells a dimension whose values are people.
func IsReader(dimension string) bool { return slices.Contains(readers, dimension) }

// PublishTx publishes the oldest quarter, or by the policy the year, that is closed and due
// and has not been published, and returns how many. What two replicas do at once is the
// same, and stands once.
func PublishTx(ctx context.Context, tx pgx.Tx, now time.Time) (published int, err error) {
	if err := workflow.FactsReadyTx(ctx, tx); fault.Is(err, fault.Unavailable) {
		return 0, nil // later
	} else if err != nil {
		return 0, err
	}
	zone, err := workflow.ZoneTx(ctx, tx)
	if err != nil {
		return 0, err
	}
	policy, pairs, err := workflow.PublicationTx(ctx, tx)
	if err != nil {
		return 0, err
	}
	var first, last *time.Time
	err = tx.QueryRow(ctx, `
		SELECT (SELECT min(signed_at) FROM measure_fact), (SELECT max(to_at) FROM measure_publication)`).Scan(&first, &last)
	if err != nil {
		return 0, fmt.Errorf("what is to be published: %w", err)
	}
	if first == nil {
		return 0, nil
	}
	begin := quarterOf(*first, zone)
	if last != nil {
		begin = quarterOf(last.Add(time.Hour*24), zone) // past a change of the zone
	}
	end := begin.AddDate(0, 3, 0)
	// A year of which a quarter is published goes on by quarters: each case is in one family.
	if policy.Every == workflow.EveryYear && (last == nil || begin.Month() == time.January) {
		begin = time.Date(begin.Year(), time.January, 1, 0, 0, 0, 0, zone)
		end = begin.AddDate(1, 0, 0)
	}
	asOf := end.AddDate(0, 0, policy.AfterDays)
	if asOf.After(now.Add(-SettledAfter)) {
		return 0, nil
	}
	from := begin
	if last != nil { // in another zone than before it begins hours before or after the one before has ended: no case is in both, none in neither
		from = *last
	}
	if err := publishTx(ctx, tx, begin, from, end, asOf, now, zone, policy, pairs); err != nil {
		return 0, err
	}
	return 1, nil
}

func quarterOf(at time.Time, zone *time.Location) time.Time {
	local := at.In(zone)
	return time.Date(local.Year(), (local.Month()-1)/3*3+1, 1, 0, 0, 0, 0, zone)
}

// publishTx counts a quarter or year, hides what is to be hidden, and keeps the rest.
func publishTx(ctx context.Context, tx pgx.Tx, startsOn, from, to, asOf, now time.Time, zone *time.Location, policy workflow.Publication, pairs [][2]string) error {
	q := Query{From: from, To: to, Starts: startsOn, AsOf: asOf, Zone: zone}
	p, err := protect(ctx, tx, q, policy, pairs)
	if err != nil {
		return err
	}
	content, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("publication: %w", err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO measure_publication (tenant_id, starts_on, from_at, to_at, as_of, made_at, scheme, rules, content)
		VALUES (overread_tenant(), @starts::date, @from, @to, @as_of, @now, @scheme, @rules, @content)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"starts": startsOn.Format(time.DateOnly), "from": from, "to": to, "as_of": asOf, "now": now, "scheme": Scheme, "rules": disclosure.Version, "content": content})
	if err != nil {
		return fmt.Errorf("keep a publication: %w", err)
	}
	return nil
}

// protect counts and protects one family of cases. The key of what is hidden besides is
// kept nowhere: a quarter is published once.
func protect(ctx context.Context, tx pgx.Tx, q Query, policy workflow.Publication, pairs [][2]string) (*Publication, error) {
	words, err := wordsTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	f := disclosure.Family{Scheme: Outcomes(policy.Detail), Key: make([]byte, 32)}
	_, _ = rand.Read(f.Key) // never fails, Go 1.24
	counted, err := q.leaves(ctx, tx, policy.Dimensions, pairs, words)
	if err != nil {
		return nil, err
	}
	f.Total = counted.total
	for i, name := range policy.Dimensions {
		d := disclosure.Dimension{Name: name}
		if IsReader(name) {
			d.Least, d.LeastOf = disclosure.ReaderShown, Every()
		}
		for _, r := range counted.dimensions[i] {
			d.Values = append(d.Values, disclosure.Value{Code: r.key[0], Counts: r.counts})
		}
		f.Dimensions = append(f.Dimensions, d)
	}
	for i, names := range pairs {
		pair := disclosure.Pair{Row: names[0], Column: names[1]}
		for _, r := range counted.pairs[i] {
			pair.Cells = append(pair.Cells, disclosure.Cell{Row: r.key[0], Column: r.key[1], Counts: r.counts})
		}
		f.Pairs = append(f.Pairs, pair)
	}
	p := new(Publication)
	if p.Tables, err = disclosure.Protect(disclosure.Standard, f); err != nil {
		return nil, err
	}
	if p.NoComparison, err = q.noComparison(ctx, tx); err != nil {
		return nil, err
	}
	p.Whole, err = q.whole(ctx, tx, p.Tables.Total)
	return p, err
}

// noComparison is how many were signed without, nil where these are few.
func (q Query) noComparison(ctx context.Context, tx pgx.Tx) (*int, error) {
	s := q.signed(nil)
	var n int
	err := tx.QueryRow(ctx, `SELECT count(*) FROM (`+s.union(`excluded, signed_at`)+`) f WHERE excluded = 4 AND signed_at IS NOT NULL`, s.args).Scan(&n)
	if err != nil {
		return nil, fmt.Errorf("count cases without comparison: %w", err)
	}
	if n > 0 && n <= disclosure.Standard.Limit {
		return nil, nil
	}
	return &n, nil
}

// PublishedTx is what is published of the quarters that begin on these days, one or the
// four of a year: added up, or of a year that was published at once. It returns
// pgx.ErrNoRows unless all have been published.
func PublishedTx(ctx context.Context, tx pgx.Tx, days []string) (*Publication, error) {
	if len(days) > 1 {
		year, err := publishedTx(ctx, tx, days[:1], true)
		if !errors.Is(err, pgx.ErrNoRows) {
			return year, err
		}
	}
	return publishedTx(ctx, tx, days, false)
}

// publishedTx adds up what is published of the quarters, or years, of these first days.
func publishedTx(ctx context.Context, tx pgx.Tx, days []string, years bool) (*Publication, error) {
	rows, err := tx.Query(ctx, `
		SELECT starts_on, as_of, rules, content
		FROM measure_publication
		WHERE starts_on = ANY (@days::date[]) AND scheme = @scheme AND (to_at > from_at + interval '120 days') = @years
		ORDER BY starts_on`, pgx.NamedArgs{"days": days, "scheme": Scheme, "years": years})
	if err != nil {
		return nil, fmt.Errorf("publications: %w", err)
	}
	var parts []*disclosure.Published
	var wholes []*Whole
	year := &Publication{NoComparison: new(int)}
	var content []byte
	var version int
	_, err = pgx.ForEachRow(rows, []any{&year.StartsOn, &year.AsOf, &version, &content}, func() error {
		var p Publication
		if err := json.Unmarshal(content, &p); err != nil {
			return err
		}
		p.narrow(version)
		parts, wholes = append(parts, p.Tables), append(wholes, p.Whole)
		if p.NoComparison == nil {
			year.NoComparison = nil
		} else if year.NoComparison != nil {
			*year.NoComparison += *p.NoComparison
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("publications: %w", err)
	}
	if len(parts) < len(days) {
		return nil, pgx.ErrNoRows
	}
	year.Tables, year.Whole = disclosure.Sum(parts...), sumWhole(wholes)
	return year, nil
}

// ofOldRules is why a table by two dimensions is not shown that Protect might not make any more.
const ofOldRules = "it was published by rules of an older release, which hid less than those of today"

// narrow leaves out what was published before it was known what follows from it: of
// dimensions that are tied (workflow.FactTies) one is shown, of what third readers made
// of discrepancies what can be told beside the outcomes, and no table by two dimensions of an
// older version of the rules (disclosure.Version).
func (all *Publication) narrow(version int) {
	p := all.Tables
	if version < disclosure.Version {
		for i, t := range p.Pairs {
			p.Pairs[i] = disclosure.PublishedPair{Row: t.Row, Column: t.Column, Refused: ofOldRules}
		}
	}
	if all.Whole != nil {
		all.Whole.Overturn = overturnBeside(all.Whole.Overturn, p.Total)
	}
	names := make([]string, len(p.Dimensions))
	for i, d := range p.Dimensions {
		names[i] = d.Name
	}
	kept := workflow.Untied(names, false)
	gone := func(name string) bool { return !slices.Contains(kept, name) }
	p.Dimensions = slices.DeleteFunc(p.Dimensions, func(d disclosure.PublishedDimension) bool { return gone(d.Name) })
	p.Pairs = slices.DeleteFunc(p.Pairs, func(t disclosure.PublishedPair) bool { return gone(t.Row) || gone(t.Column) })
}

// Shown is one row of a published table.
type Shown struct {
	Key     []string
	Figures disclosure.Figures
}

// By is a published table by one or two dimensions: refused says why nothing of it is
// shown, published false that there is none by these dimensions.
func (p *Publication) By(names []string) (rows []Shown, refused string, published bool) {
	switch len(names) {
	case 1:
		for _, d := range p.Tables.Dimensions {
			if d.Name == names[0] {
				for _, v := range d.Values {
					rows = append(rows, Shown{[]string{v.Code}, v.Figures})
				}
				return rows, d.Refused, true
			}
		}
	case 2:
		for _, t := range p.Tables.Pairs {
			if !slices.Equal([]string{t.Row, t.Column}, names) && !slices.Equal([]string{t.Column, t.Row}, names) {
				continue
			}
			for _, c := range t.Cells {
				key := []string{c.Row, c.Column}
				if t.Row != names[0] {
					slices.Reverse(key)
				}
				rows = append(rows, Shown{key, c.Figures})
			}
			return rows, t.Refused, true
		}
	}
	return nil, "", false
}

package facts

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/measure/disclosure"
)

// What is published of all cases of a quarter together, beside the tables of outcomes:
// adjudication and who was right as counts, which divide blocks of these tables; what is
// not acknowledged, and times, as courses, of which shares are shown and no counts
// (docs/disclosure.md says why these may stand beside each other).

// Whole is these figures. It is nil in a publication from before they were published.
type Whole struct {
	Overturn     disclosure.Figures // of Adjudications
	Correct      disclosure.Figures // of Verifications
	Acknowledged *disclosure.Course // of signed cases, from the signature; nil: few
	Turnaround   *disclosure.Course // of cases ordered in the quarter, from the order
}

// The measures that are published of the whole alone, beside NoComparison.
const (
	Overturn        = "adjudication-overturn"
	Correct         = "second-opinion-correct"
	Unread          = "unread"
	Turnaround      = "turnaround"
	Acknowledgement = "acknowledgement"
)

// mustScheme is a scheme of the table below.
func mustScheme(leaves []string, levels ...[][]string) *disclosure.Scheme {
	s, err := disclosure.NewScheme(leaves, levels...)
	if err != nil {
		panic(err) // the table is wrong
	}
	return s
}

// Adjudications divides the cases that count: its first level is that of Outcomes.
func Adjudications() *disclosure.Scheme {
	return mustScheme([]string{"not-adjudicated", "upheld", "overturned"},
		[][]string{{"not-adjudicated"}, {"upheld", "overturned"}},
		[][]string{{"not-adjudicated"}, {"upheld"}, {"overturned"}})
}

// Verifications divides the discrepancies: its first two levels are those of Outcomes.
func Verifications() *disclosure.Scheme {
	found := []string{"not-verified", "not-correct", "correct"}
	return mustScheme(append([]string{"agreement"}, found...),
		[][]string{{"agreement"}, found},
		[][]string{{"agreement"}, found[:1], found[1:]},
		[][]string{{"agreement"}, found[:1], found[1:2], found[2:]})
}

// publishedHours are those within which cases have ended, as far as all of a quarter have
// been followed for so long.
var publishedHours = []int{1, 4, 8, 24, 48, 72, 168, 336, 720}

// countedAs is the measure with this id over the cases of a publication.
func (q Query) countedAs(ctx context.Context, tx pgx.Tx, id string) (Counts, error) {
	q.Measure, _ = DefinitionOf(id)
	t, err := Count(ctx, tx, q)
	return t.Counts, err
}

// overturnBeside is what is told of third readers beside the outcomes of all cases.
func overturnBeside(f, total disclosure.Figures) disclosure.Figures {
	discrepant, _ := Numerator("discrepancy-any")
	important, _ := Numerator("discrepancy-important")
	return Adjudications().Beside(disclosure.Standard, f, total, discrepant, important)
}

// whole counts what is published of all cases together, beside the total of their outcomes.
func (q Query) whole(ctx context.Context, tx pgx.Tx, total disclosure.Figures) (*Whole, error) {
	var counts []Counts
	for _, id := range []string{"agreement", Overturn, Correct} {
		c, err := q.countedAs(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		counts = append(counts, c)
	}
	all, third, right := counts[0], counts[1], counts[2]
	rule, w := disclosure.Standard, new(Whole)
	w.Overturn = overturnBeside(Adjudications().Show(rule, disclosure.Counts{all.Denominator - third.Denominator, third.Denominator - third.Numerator, third.Numerator}), total)
	w.Correct = Verifications().Show(rule, disclosure.Counts{all.Numerator, all.Denominator - all.Numerator - right.Denominator, right.Denominator - right.Numerator, right.Numerator})
	var err error
	if w.Acknowledged, err = q.course(ctx, tx, Acknowledgement); err != nil {
		return nil, err
	}
	w.Turnaround, err = q.course(ctx, tx, Turnaround)
	return w, err
}

// course counts a time. Of hours that not all of the cases have been followed for, by the
// as-of time, nothing is told: so no case is censored in between.
func (q Query) course(ctx context.Context, tx pgx.Tx, id string) (*disclosure.Course, error) {
	q.Measure, _ = DefinitionOf(id)
	all, err := Count(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	var within []disclosure.Within
	for _, hours := range publishedHours {
		if time.Duration(hours)*time.Hour > q.AsOf.Sub(q.To) {
			break
		}
		n := 0
		for _, d := range all.Durations {
			if d.Minutes <= 60*hours {
				n += d.Ended
			}
		}
		within = append(within, disclosure.Within{Hours: hours, Cases: n})
	}
	return disclosure.NewCourse(disclosure.Standard, all.Denominator, all.Numerator, within), nil
}

// sumWhole is a year from its quarters; nil where one of them is.
func sumWhole(parts []*Whole) *Whole {
	if slices.Contains(parts, nil) {
		return nil
	}
	var overturn, correct []disclosure.Figures
	var acknowledged, turnaround []*disclosure.Course
	for _, p := range parts {
		overturn, correct = append(overturn, p.Overturn), append(correct, p.Correct)
		acknowledged, turnaround = append(acknowledged, p.Acknowledged), append(turnaround, p.Turnaround)
	}
	return &Whole{disclosure.SumOf(overturn...), disclosure.SumOf(correct...), disclosure.SumCourses(acknowledged...), disclosure.SumCourses(turnaround...)}
}

// Of finds the figures of a measure that is published as counts of the whole, and the
// leaves of its denominator and numerator; false for another.
func (w *Whole) Of(id string) (f disclosure.Figures, of, counted disclosure.Leaves, found bool) {
	leaves := func(s *disclosure.Scheme, names ...string) disclosure.Leaves {
		set, err := s.Leaves(names...)
		if err != nil {
			panic(err) // the table is wrong
		}
		return set
	}
	switch s := Adjudications(); id {
	case Overturn:
		return w.Overturn, leaves(s, "upheld", "overturned"), leaves(s, "overturned"), true
	case Correct:
		s = Verifications()
		return w.Correct, leaves(s, "not-correct", "correct"), leaves(s, "correct"), true
	}
	return disclosure.Figures{}, 0, 0, false
}

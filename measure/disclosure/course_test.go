package disclosure

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/internal/linear"
)

// The attack on what is published of the whole beside the tables of outcomes: every
// figure of both, as equations and inequalities over all that a case can be: its site,
// its outcome, whether a third reader graded it and how, who was right, or why it is in
// no denominator, and when it was acknowledged.

// kind is what a signed case is, but for its site.
type kind struct {
	outcome string // none, unimportant, important, no-comparison, same-study
	third   string // not-adjudicated, upheld, overturned; "" of what does not count
	right   string // not-verified, not-correct, correct; "" of what is no discrepancy
	ack     int    // of ackTimes; the last is unread
}

var ackTimes = []int{4, 24, 720, -1} // hours; not by the end

func kinds() (all []kind) {
	for ack := range ackTimes {
		for _, third := range []string{"not-adjudicated", "upheld", "overturned"} {
			all = append(all, kind{"none", third, "", ack})
			for _, right := range []string{"not-verified", "not-correct", "correct"} {
				all = append(all, kind{"unimportant", third, right, ack}, kind{"important", third, right, ack})
			}
		}
		all = append(all, kind{"no-comparison", "", "", ack}, kind{"same-study", "", "", ack})
	}
	return all
}

// quarter is the cases of a quarter, by site and kind.
type quarter struct {
	kinds []kind
	cases [][]int
}

func (q quarter) sum(in func(site int, k kind) bool) (n int) {
	for site := range q.cases {
		for i, k := range q.kinds {
			if in(site, k) {
				n += q.cases[site][i]
			}
		}
	}
	return n
}

// factors are the unknowns of these cases, each times a factor.
func (q quarter) factors(into map[int]float64, factor float64, in func(site int, k kind) bool) map[int]float64 {
	if into == nil {
		into = map[int]float64{}
	}
	for site := range q.cases {
		for i, k := range q.kinds {
			if in(site, k) {
				into[site*len(q.kinds)+i] += factor
			}
		}
	}
	return into
}

func every(int, kind) bool { return true }

func outcomesOf(s *Scheme, q quarter, in func(site int, k kind) bool) Counts {
	c := make(Counts, len(s.names))
	for i, name := range s.names {
		c[i] = q.sum(func(site int, k kind) bool { return in(site, k) && k.outcome == name })
	}
	return c
}

// asked is a set of cases by what the schemes call it.
type asked struct {
	name string
	in   func(site int, k kind) bool
}

// hearScheme adds what is told of leaves.
func (a *attacker) hearScheme(q quarter, s *Scheme, f Figures, in func(site int, k kind) bool, leaf func(k kind) string) {
	for _, b := range f.Blocks {
		f := q.factors(nil, 1, func(site int, k kind) bool {
			i := slices.Index(s.names, leaf(k))
			return in(site, k) && i >= 0 && b.Leaves&(1<<i) != 0
		})
		a.rows = append(a.rows, linear.Row{Factors: f, Is: float64(b.Count)})
	}
}

// hearCourse adds shares in whole per cent, and between which hours percentiles are.
func (a *attacker) hearCourse(q quarter, c *Course) {
	if c == nil {
		return
	}
	atMost := func(share float64, sign float64, in func(int, kind) bool) { // sign × (cases in it − share × all) ≤ 0
		a.rows = append(a.rows, linear.Row{Factors: q.factors(q.factors(nil, -sign*share, every), sign, in), AtMost: true})
	}
	by := func(hours int) func(int, kind) bool {
		return func(_ int, k kind) bool { return ackTimes[k.ack] > 0 && ackTimes[k.ack] <= hours }
	}
	hear := func(cases int, in func(int, kind) bool) {
		if percent, ok := c.Share(cases); ok {
			atMost((float64(percent)+0.5)/100, 1, in)
			atMost((float64(percent)-0.5)/100, -1, in)
		}
	}
	for _, w := range c.Within {
		hear(w.Cases, by(w.Hours))
	}
	if c.Ended != nil {
		hear(c.Cases-*c.Ended, func(_ int, k kind) bool { return ackTimes[k.ack] < 0 })
	}
	for _, p := range []int{50, 75, 90} {
		if after, within, reached := c.By(p); reached {
			atMost(float64(p)/100, -1, by(within))
			if after > 0 {
				atMost(float64(p)/100, 1, by(after))
			}
		}
	}
}

// narrow is a set of few cases of which fewer values are possible than the rule
// promises, "" if there is none.
func (a *attacker) narrow(t testing.TB, rule Rule, q quarter, sets []asked) string {
	solver := linear.New(a.size, a.rows)
	for _, one := range sets {
		truth := q.sum(one.in)
		least, most, err := solver.Bounds(q.factors(nil, 1, one.in))
		if err != nil {
			t.Fatalf("%s: the solver gave up: %v", one.name, err)
		}
		if least > float64(truth)+1e-5 || most < float64(truth)-1e-5 {
			t.Fatalf("%s: the truth, %d, is not within %g to %g: the attack is wrong", one.name, truth, least, most)
		}
		if most-least < float64(rule.Width)-1e-5 {
			return fmt.Sprintf("%s is %g to %g (it is %d)", one.name, least, most, truth)
		}
	}
	return ""
}

// few are all sets of few cases: outcomes of a site or of all, what third readers and time
// said of all, why cases are in no denominator, and in which time they were acknowledged.
func (q quarter) few(rule Rule) (sets []asked) {
	add := func(name string, in func(int, kind) bool) {
		if n := q.sum(in); rule.small(n) {
			sets = append(sets, asked{name, in})
		}
	}
	subsets := func(of string, names []string, word func(kind) string, within func(int, kind) bool) {
		for set := 1; set < 1<<len(names); set++ {
			add(fmt.Sprintf("%s %b", of, set), func(site int, k kind) bool {
				i := slices.Index(names, word(k))
				return within(site, k) && i >= 0 && set&(1<<i) != 0
			})
		}
	}
	outcome := func(k kind) string { return k.outcome }
	comparable := []string{"none", "unimportant", "important"}
	for site := range q.cases {
		subsets(fmt.Sprintf("site %d, outcomes", site), comparable, outcome, func(s int, _ kind) bool { return s == site })
	}
	subsets("outcomes", comparable, outcome, every)
	subsets("not comparable", []string{"no-comparison", "same-study"}, outcome, every)
	subsets("third", []string{"not-adjudicated", "upheld", "overturned"}, func(k kind) string { return k.third }, every)
	subsets("right", []string{"not-verified", "not-correct", "correct"}, func(k kind) string { return k.right }, every)
	subsets("acknowledged", []string{"4", "24", "720", "-1"}, func(k kind) string { return fmt.Sprint(ackTimes[k.ack]) }, every)
	return sets
}

// drawnQuarter has groups of kinds that are large, rare or missing.
func drawnQuarter(r *rapid.T) quarter {
	q := quarter{kinds: kinds(), cases: make([][]int, 2)}
	sizes := map[string][]int{}
	for _, group := range []string{"none", "unimportant", "important", "no-comparison", "same-study", "third", "unread", "slow"} {
		sizes[group] = rapid.SampledFrom([][]int{{0}, {0, 0, 0, 0, 0, 1}, {0, 0, 1, 3}, {5, 20, 60}}).Draw(r, group)
	}
	for site := range q.cases {
		for _, k := range q.kinds {
			from := sizes[k.outcome]
			for group, is := range map[string]bool{"third": k.third == "upheld" || k.third == "overturned", "unread": ackTimes[k.ack] < 0, "slow": ackTimes[k.ack] == 720} {
				if is && slices.Max(sizes[group]) < slices.Max(from) {
					from = sizes[group]
				}
			}
			q.cases[site] = append(q.cases[site], rapid.SampledFrom(from).Draw(r, "cases"))
		}
	}
	return q
}

// publishedOf is all that is published of a quarter, as the attacker hears it.
func publishedOf(t testing.TB, q quarter) (*attacker, *Course) {
	s := mustScheme(t, []string{"none", "unimportant", "important"}, [][]string{{"none"}, {"unimportant", "important"}}, [][]string{{"none"}, {"unimportant"}, {"important"}})
	third := mustScheme(t, []string{"not-adjudicated", "upheld", "overturned"}, [][]string{{"not-adjudicated"}, {"upheld", "overturned"}}, [][]string{{"not-adjudicated"}, {"upheld"}, {"overturned"}})
	found := []string{"not-verified", "not-correct", "correct"}
	right := mustScheme(t, append([]string{"agreement"}, found...), [][]string{{"agreement"}, found}, [][]string{{"agreement"}, found[:1], found[1:]}, [][]string{{"agreement"}, found[:1], found[1:2], found[2:]})
	f := Family{Scheme: s, Total: outcomesOf(s, q, every), Dimensions: []Dimension{{Name: "site"}}}
	for site := range q.cases {
		f.Dimensions[0].Values = append(f.Dimensions[0].Values, Value{Code: fmt.Sprint(site), Counts: outcomesOf(s, q, func(at int, _ kind) bool { return at == site })})
	}
	p, err := Protect(Standard, f)
	if err != nil {
		t.Fatal(err)
	}
	a := &attacker{size: len(q.cases) * len(q.kinds)}
	outcome := func(k kind) string { return k.outcome }
	a.hearScheme(q, s, p.Total, every, outcome)
	for _, v := range p.Dimensions[0].Values {
		a.hearScheme(q, s, v.Figures, func(site int, _ kind) bool { return fmt.Sprint(site) == v.Code }, outcome)
	}
	none := func(_ int, k kind) bool { return k.outcome == "no-comparison" }
	if n := q.sum(none); !Standard.small(n) {
		a.rows = append(a.rows, linear.Row{Factors: q.factors(nil, 1, none), Is: float64(n)})
	}
	countOf := func(s *Scheme, leaf func(kind) string) Counts {
		c := make(Counts, len(s.names))
		for i, name := range s.names {
			c[i] = q.sum(func(_ int, k kind) bool { return leaf(k) == name })
		}
		return c
	}
	thirdOf := func(k kind) string { return k.third }
	a.hearScheme(q, third, third.Beside(Standard, third.Show(Standard, countOf(third, thirdOf)), p.Total, 6, 4), every, thirdOf)
	rightOf := func(k kind) string {
		if k.outcome == "none" {
			return "agreement"
		}
		return k.right
	}
	a.hearScheme(q, right, right.Show(Standard, countOf(right, rightOf)), every, rightOf)
	var within []Within
	for _, hours := range ackTimes[:3] {
		within = append(within, Within{hours, q.sum(func(_ int, k kind) bool { return ackTimes[k.ack] > 0 && ackTimes[k.ack] <= hours })})
	}
	course := NewCourse(Standard, q.sum(every), q.sum(func(_ int, k kind) bool { return ackTimes[k.ack] > 0 }), within)
	a.hearCourse(q, course)
	return a, course
}

// adjudicating is what a policy makes of a quarter: from this outcome on all of a reader's
// grades go to a third reader, and no others; what is upheld is as the reader had it.
func (q quarter) adjudicating(from string) (never func(int, kind) bool) {
	order := []string{"none", "unimportant", "important"}
	at := func(outcome string) int { return slices.Index(order, outcome) }
	never = func(_ int, k kind) bool {
		return at(k.outcome) >= 0 && (k.third == "upheld" && at(k.outcome) < at(from) || k.third == "not-adjudicated" && at(k.outcome) >= at(from) ||
			k.third == "overturned" && from == "important" && k.outcome == "important")
	}
	for site := range q.cases {
		for i, k := range q.kinds {
			if never(site, k) {
				q.cases[site][i] = 0
			}
		}
	}
	return never
}

// Who knows the policy knows which discrepancies a third reader has seen.
func TestWhatThirdReadersSawGivesNoSmallCountAwayToWhoKnowsThePolicy(t *testing.T) {
	t.Parallel()
	attacked, untold := 0, 0
	drawn := rapid.Custom(drawnQuarter)
	for seed := range 150 {
		for _, from := range []string{"unimportant", "important"} {
			q := drawn.Example(seed)
			never := q.adjudicating(from)
			a, _ := publishedOf(t, q)
			a.rows = append(a.rows, linear.Row{Factors: q.factors(nil, 1, never)})
			var sets []asked
			for _, one := range q.few(Standard) {
				if strings.HasPrefix(one.name, "third") || strings.HasPrefix(one.name, "outcomes") {
					sets = append(sets, one)
				}
			}
			attacked += len(sets)
			if found := a.narrow(t, Standard, q, sets); found != "" {
				t.Fatalf("quarter %d, %s: found: %s", seed, from, found)
			}
			// As it was shown before, without a look at the outcomes.
			third := mustScheme(t, []string{"not-adjudicated", "upheld", "overturned"}, [][]string{{"not-adjudicated"}, {"upheld", "overturned"}}, [][]string{{"not-adjudicated"}, {"upheld"}, {"overturned"}})
			c := make(Counts, 3)
			for i, name := range third.names {
				c[i] = q.sum(func(_ int, k kind) bool { return k.third == name })
			}
			a.hearScheme(q, third, third.Show(Standard, c), every, func(k kind) string { return k.third })
			if a.narrow(t, Standard, q, sets) != "" {
				untold++
			}
		}
	}
	if attacked < 100 || untold == 0 {
		t.Errorf("%d small counts were attacked, and %d quarters found out as they were shown before", attacked, untold)
	}
}

func TestWhatIsPublishedOfTheWholeGivesNoSmallCountAway(t *testing.T) {
	t.Parallel()
	told := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		q := drawnQuarter(r)
		a, course := publishedOf(t, q)
		if course != nil && len(course.Within) > 0 {
			told["hours"]++
		}
		if course != nil && course.Ended != nil {
			told["unread"]++
		}
		sets := q.few(Standard)
		if len(sets) > 8 {
			sets = rapid.Permutation(sets).Draw(r, "asked")[:8]
		}
		told["attacked"] += len(sets)
		if found := a.narrow(t, Standard, q, sets); found != "" {
			r.Fatalf("found: %s", found)
		}
	})
	if told["attacked"] < 200 || told["hours"] == 0 || told["unread"] == 0 {
		t.Errorf("of times nothing was told that could be attacked: %v", told)
	}
}

// How many were signed, as a count, beside how many were compared and how many could not
// be, gives away those of a study of which another judgement counts. So there are shares.
func TestTheCountBehindAShareGivesAwayWhatIsExcluded(t *testing.T) {
	t.Parallel()
	quarters := rapid.Custom(drawnQuarter)
	for seed := range 200 {
		q := quarters.Example(seed)
		a, _ := publishedOf(t, q)
		a.rows = append(a.rows, linear.Row{Factors: q.factors(nil, 1, every), Is: float64(q.sum(every))})
		if a.narrow(t, Standard, q, q.few(Standard)) != "" {
			return
		}
	}
	t.Error("200 quarters were attacked, and nothing was found")
}

// Of a third reader's grades the rest, which nobody has seen, must not be few either.
func TestWhatIsLeftOfAShareGivesItAway(t *testing.T) {
	t.Parallel()
	q := quarter{kinds: kinds(), cases: [][]int{make([]int, len(kinds())), make([]int, len(kinds()))}}
	put := func(k kind, n int) { q.cases[0][slices.Index(q.kinds, k)] = n }
	put(kind{"none", "not-adjudicated", "", 0}, 5)
	put(kind{"none", "upheld", "", 0}, 60)
	put(kind{"unimportant", "upheld", "not-verified", 0}, 20)
	put(kind{"important", "overturned", "not-verified", 0}, 20)
	a, _ := publishedOf(t, q)
	sets := q.few(Standard)
	if found := a.narrow(t, Standard, q, sets); found != "" {
		t.Fatal(found)
	}
	third := func(_ int, k kind) bool { return k.third == "upheld" || k.third == "overturned" }
	a.rows = append(a.rows, linear.Row{Factors: q.factors(nil, 1, third), Is: float64(q.sum(third))})
	if a.narrow(t, Standard, q, sets) == "" {
		t.Error("100 of 105 told nothing of the 5")
	}
}

func TestACourseTellsNoHoursThatAreOfFewCases(t *testing.T) {
	t.Parallel()
	c := NewCourse(Standard, 100, 95, []Within{{1, 3}, {4, 20}, {24, 28}, {72, 60}, {720, 93}})
	if c.Ended != nil || len(c.Within) != 2 || c.Within[0].Hours != 4 || c.Within[1].Hours != 72 {
		t.Errorf("%+v", c)
	}
	for percent, want := range map[int][2]int{20: {0, 4}, 50: {4, 72}, 60: {4, 72}} {
		if after, within, reached := c.By(percent); !reached || after != want[0] || within != want[1] {
			t.Errorf("%d %%: %d to %d, %v", percent, after, within, reached)
		}
	}
	if _, _, reached := c.By(61); reached {
		t.Error("61 % had ended")
	}
	if NewCourse(Standard, 10, 10, nil) != nil || NewCourse(Standard, 0, 0, nil) == nil {
		t.Error("ten cases are shown, or none are not")
	}
	year := SumCourses(c, NewCourse(Standard, 100, 80, []Within{{4, 20}, {24, 40}}))
	if year.Cases != 200 || year.Ended != nil || len(year.Within) != 1 || year.Within[0] != (Within{4, 40}) {
		t.Errorf("%+v", year)
	}
	if SumCourses(c, nil) != nil {
		t.Error("a year with a quarter of few cases")
	}
	if got, _ := (&Course{Cases: 200}).Share(1); got != 1 {
		t.Errorf("half a per cent is %d", got)
	}
	for n, want := range map[int]int{29: 0, 30: 30, 448: 200, 7_000: 5000} {
		if AtLeast(n) != want {
			t.Errorf("%d cases are at least %d", n, AtLeast(n))
		}
	}
}

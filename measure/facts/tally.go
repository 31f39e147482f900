package facts

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// tally adds up cases one by one.
type tally struct {
	of      Definition
	whole   Counts
	why     int32            // the reason of exclusion that has reasons of its own: no comparison
	reasons map[[2]int32]int // why cases are excluded, and of those without comparison why
	pairs   []int            // both grades
	places  map[uint64]int32 // of a key in strata
	strata  []group
	times   map[int32]int32 // of a time how many cases there are of group.times
}

// group is what is known of a stratum.
type group struct {
	key [2]int32
	Counts
	times []int32 // twice the minutes, and one more where it is still open
}

func newTally(d Definition) *tally {
	return &tally{of: d, why: int32(slices.Index(d.Exclusions(), workflow.ExcludedNoComparison) + 1), //nolint:gosec // a few
		reasons: map[[2]int32]int{}, pairs: make([]int, len(workflow.FactLevels)*len(workflow.FactLevels)), places: map[uint64]int32{}, times: map[int32]int32{}}
}

func (c *Counts) add(one seen) {
	c.Initial++
	if one.reason > 0 {
		return
	}
	c.Denominator++
	if one.counts {
		c.Numerator++
	}
}

func (t *tally) add(one seen) {
	key := uint64(one.key[0])<<32 | uint64(one.key[1]) //nolint:gosec // neither is negative
	at, there := t.places[key]
	if !there {
		at = int32(len(t.strata)) //nolint:gosec // no more than there are cases
		t.places[key] = at
		t.strata = append(t.strata, group{key: one.key})
	}
	g := &t.strata[at]
	g.add(one)
	t.whole.add(one)
	switch {
	case one.reason > 0 && one.reason == t.why:
		t.reasons[[2]int32{one.reason, one.detail}]++
	case one.reason > 0:
		t.reasons[[2]int32{one.reason}]++
	case t.of.Timed():
		twice := 2 * one.detail
		if !one.counts {
			twice++
		}
		g.times = append(g.times, twice)
		t.times[twice]++
	case t.of.Pairs:
		t.pairs[one.detail]++
	}
}

// tooMany refuses to list more strata than one answer has, and says how few words a filter
// would leave it.
func (t *tally) tooMany(by []string, most int) error {
	if len(by) == 1 {
		return fault.New(fault.TooLarge, "there are %d strata by %s, and at most %d are listed in one answer: ask for a shorter period", len(t.strata), by[0], most)
	}
	words := [2]map[int32]int{{}, {}}
	for _, g := range t.strata {
		words[0][g.key[0]]++
		words[1][g.key[1]]++
	}
	few := 0 // the dimension of fewer words, of each of which an answer can be asked for
	if len(words[1]) < len(words[0]) && by[1] != Month || by[0] == Month {
		few = 1
	}
	how := fmt.Sprintf("filter=%s|… with each of its words", by[few])
	if IsReader(by[few]) {
		how += " (readers=open, which is recorded)"
	}
	return fault.New(fault.TooLarge, "there are %d strata, of %d words of %s by %d of %s, and at most %d are listed in one answer: ask for %s, for a shorter period, or by one of the two",
		len(t.strata), len(words[0]), by[0], len(words[1]), by[1], most, how)
}

// cut leaves the strata of one page: those with the most cases first, and of as many cases in
// the order of the numbers of their words, which never changes. So as of one moment a page has
// the same strata whenever it is asked for.
func (t *tally) cut(page, size int) (*Part, error) {
	strata := len(t.strata)
	from := (page - 1) * size
	if page > strata/size+1 || from >= strata {
		return nil, noPage(page, (strata+size-1)/size)
	}
	to := min(from+size, strata)
	largest, smallest, before := t.sizes(from, to)
	t.strata = slices.DeleteFunc(t.strata, func(g group) bool { return g.Initial > largest || g.Initial < smallest })
	slices.SortFunc(t.strata, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.Initial, a.Initial), cmp.Compare(a.key[0], b.key[0]), cmp.Compare(a.key[1], b.key[1]))
	})
	t.strata = t.strata[from-before : to-before]
	return &Part{Strata: strata, From: from + 1, To: to}, nil
}

// sizes are how many cases the first and the last of a page's strata have, and how many strata
// have more: only those of such sizes have to be put in order, which are few of the many.
func (t *tally) sizes(from, to int) (largest, smallest, before int) {
	of := map[int]int{}
	for _, g := range t.strata {
		of[g.Initial]++
	}
	seen := 0
	for _, size := range slices.Backward(slices.Sorted(maps.Keys(of))) {
		if seen <= from {
			largest, before = size, seen
		}
		if smallest = size; seen+of[size] >= to {
			break
		}
		seen += of[size]
	}
	return largest, smallest, before
}

// table is what was added up, with the words of its numbers.
func (t *tally) table(s *statement, words map[int]string) Table {
	table := Table{Counts: t.whole, Reasons: t.excluded(words)}
	if t.of.Pairs {
		table.Pairs = slices.Collect(slices.Chunk(t.pairs, len(workflow.FactLevels)))
	}
	if t.of.Timed() {
		table.Durations = durations(slices.Collect(maps.Keys(t.times)), func(twice int32) int { return int(t.times[twice]) })
	}
	if len(s.q.By) == 0 {
		return table
	}
	table.Strata = make([]Stratum, len(t.strata))
	for i, g := range t.strata {
		table.Strata[i] = Stratum{s.words(g.key[:len(s.q.By)], words), g.Counts, durations(g.times, once)}
	}
	slices.SortFunc(table.Strata, func(a, b Stratum) int { return slices.Compare(a.Key, b.Key) })
	return table
}

// excluded are why cases are not in the denominator, in the order in which it is tried.
func (t *tally) excluded(words map[int]string) (list []Reason) {
	for key, cases := range t.reasons {
		r := Reason{Code: t.of.exclude[key[0]-1].code, Cases: cases}
		if key[0] == t.why {
			r.Why = words[int(key[1])]
		}
		list = append(list, r)
	}
	order := t.of.Exclusions()
	slices.SortFunc(list, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Code), slices.Index(order, b.Code)), strings.Compare(a.Why, b.Why))
	})
	return list
}

package disclosure

import (
	"cmp"
	"slices"
)

// table is one dimension while it is decided to which level each value is
// shown. Levels only ever sink, so the work ends; at the worst all are at 0.
//
// What somebody who computes knows are sums: of each value, the blocks of its
// level; of all values together, the sinks, which are the blocks of the total's
// level. Each value is thus a set of sources (the blocks that it shows) that
// send known amounts to the sinks, which receive known amounts: a transportation
// problem, whose solutions are what could be the case. How far the count of a
// value can move among the solutions is a maximal flow (flow.go).
type table struct {
	rule   Rule
	scheme *Scheme
	name   string
	level  int        // of the total: the best that any value has
	parts  [][]Leaves // by level: its blocks, each as a set of sinks
	values []*value   // in the order in which they are given up
	needed func(Counts) bool
}

type value struct {
	Value

	level int
	sinks Counts // by block of the total's level
	cases int
}

func newTable(rule Rule, s *Scheme, d Dimension, level int, order func(dimension, code string) string) *table {
	t := &table{rule: rule, scheme: s, name: d.Name, level: level, parts: s.parts(level)}
	t.needed = func(c Counts) bool { return d.Least == 0 || c.Of(d.LeastOf) >= d.Least }
	for _, v := range d.Values {
		one := &value{Value: v, level: min(level, s.finest(v.Counts, rule)), sinks: s.sinks(v.Counts, level)}
		one.cases = one.sinks.sum()
		if one.cases > 0 && !t.needed(v.Counts) {
			one.level = 0
		}
		t.values = append(t.values, one)
	}
	place := map[string]string{}
	for _, v := range d.Values {
		place[v.Code] = order(d.Name, v.Code)
	}
	slices.SortFunc(t.values, func(a, b *value) int { return cmp.Compare(place[a.Code], place[b.Code]) })
	return t
}

// parts are the blocks of each level down to the given one, as sets of the
// blocks of that one.
func (s *Scheme) parts(level int) [][]Leaves {
	parts := make([][]Leaves, level)
	for m := range parts {
		for _, wide := range s.levels[m] {
			var set Leaves
			for i, sink := range s.levels[level-1] {
				if wide&sink != 0 {
					set |= 1 << i
				}
			}
			parts[m] = append(parts[m], set)
		}
	}
	return parts
}

func (s *Scheme) sinks(c Counts, level int) Counts {
	if level == 0 {
		return Counts{c.Of(s.levels[0][0])}
	}
	sinks := make(Counts, len(s.levels[level-1]))
	for i, block := range s.levels[level-1] {
		sinks[i] = c.Of(block)
	}
	return sinks
}

func (c Counts) sum() (sum int) {
	for _, n := range c {
		sum += n
	}
	return sum
}

func (t *table) published() PublishedDimension {
	d := PublishedDimension{Name: t.name}
	if t.refused() {
		d.Refused = tooFew
		return d
	}
	for _, v := range t.values {
		d.Values = append(d.Values, PublishedValue{v.Code, t.scheme.figures(v.Counts, v.level)})
	}
	slices.SortFunc(d.Values, func(a, b PublishedValue) int { return cmp.Compare(a.Code, b.Code) })
	return d
}

// refused says that there are cases, and nothing is shown of any value that has some.
// Then it is not said either which values these are.
func (t *table) refused() bool {
	cases := func(v *value) bool { return v.cases > 0 }
	return slices.ContainsFunc(t.values, cases) && !slices.ContainsFunc(t.values, func(v *value) bool { return cases(v) && v.level > 0 })
}

// protect lowers levels until nothing that is hidden can be found.
func (t *table) protect() {
	for t.level > 0 && (t.lowerForRests() || t.lowerForWidths()) {
	}
}

// blocks are what a value of this level tells apart; one block at level 0, of
// which not even the size is told.
func (t *table) blocks(level int) []Leaves {
	return t.parts[max(level, 1)-1]
}

// lowerForRests looks at what follows by subtraction: of the total, what is
// shown. What is left must not be small, nor may it be one value alone.
func (t *table) lowerForRests() bool {
	for level := 1; level <= t.level; level++ {
		for _, block := range t.parts[level-1] {
			rest, values := 0, 0
			for _, v := range t.values {
				if n := v.sinks.Of(block); v.level < level && n > 0 {
					rest += n
					values++
				}
			}
			if !t.rule.tight(rest, values) {
				continue
			}
			if t.lowerNext(level-1, block) || t.lowerAll(level-2) {
				return true
			}
		}
	}
	return false
}

// lowerAll lowers all values to this level, where those of a level cannot be
// told from each other's reasons any more.
func (t *table) lowerAll(level int) (changed bool) {
	for _, v := range t.values {
		if v.cases > 0 && v.level > max(level, 0) {
			v.level = max(level, 0)
			changed = true
		}
	}
	return changed
}

// lowerForWidths looks at each sum of outcomes that is hidden because it is
// small, and whether enough values are possible for it.
func (t *table) lowerForWidths() bool {
	pools := t.pools()
	for _, v := range t.values {
		if v.level == t.level || v.cases == 0 {
			continue
		}
		for _, block := range t.blocks(v.level) {
			for sums := block; sums > 0; sums = (sums - 1) & block {
				if !t.rule.small(v.sinks.Of(sums)) || t.width(pools, v, block, sums) >= t.rule.Width {
					continue
				}
				if t.lowerNext(v.level, block) {
					return true
				}
				if v.level > 0 {
					v.level--
					return true
				}
			}
		}
	}
	return false
}

// lowerNext lowers to this level, of the values that are above it and have
// cases in the block, the first in the order of the family's key. The one with
// the fewest cases would hide least; but who knows that it was taken concludes
// from the counts that are shown how large the hidden ones are at the most (a
// minimality attack: Wong et al., VLDB 2007, 543). An order that is known tells
// which of them are hidden for themselves.
func (t *table) lowerNext(level int, block Leaves) bool {
	for _, v := range t.values {
		if v.level > level && v.sinks.Of(block) > 0 {
			v.level = level
			return true
		}
	}
	return false
}

// pools are, by level, what the values of that level have together. Values of
// one level are one source each block as far as the rest of them is concerned:
// what flows from them together can be divided among them in any way.
func (t *table) pools() []Counts {
	pools := make([]Counts, t.level)
	for m := range pools {
		pools[m] = make(Counts, len(t.parts[t.level-1]))
	}
	for _, v := range t.values {
		if v.level < t.level {
			for i, n := range v.sinks {
				pools[v.level][i] += n
			}
		}
	}
	return pools
}

// width is the largest less the least that the count of a value in these sinks,
// which are part of a block of its level, can be: at least so much, and no more
// is counted than the rule asks for.
func (t *table) width(pools []Counts, v *value, block, sums Leaves) int {
	exits := v.sinks
	if v.level == 0 {
		// How many cases it has is not told either: it can give all it has to
		// the others of level 0 and take all of theirs.
		if pools[0].sum() == v.cases {
			return 0
		}
		exits = pools[0]
		if free := exits.Of(sums); free >= t.rule.Width {
			return free
		}
	}
	up := t.flow(pools, v, exits, sums, block&^sums)
	if v.level == 0 {
		return exits.Of(sums) + up.push(t.rule.Width)
	}
	width := up.push(t.rule.Width)
	if width < t.rule.Width {
		width += t.flow(pools, v, exits, block&^sums, sums).push(t.rule.Width)
	}
	return width
}

// flow is the network of the others: what comes into one set of sinks in
// addition has to leave another, where exits says how much may.
func (t *table) flow(pools []Counts, v *value, exits Counts, in, out Leaves) *flow {
	f := &flow{in: in, out: out, exits: slices.Clone(exits)}
	for m, pool := range pools {
		if m == 0 && v.level == 0 {
			continue // they are the source itself
		}
		for _, block := range t.blocks(m) {
			s := source{block: block, sends: slices.Clone(pool)}
			if m == v.level {
				for i, n := range v.sinks {
					s.sends[i] -= n
				}
			}
			f.sources = append(f.sources, s)
		}
	}
	return f
}

package disclosure

import (
	"errors"
	"fmt"
	"slices"
)

// Leaves is a set of leaves of a Scheme: what a measure counts.
type Leaves uint16

// Counts has the number of cases of each leaf, in the order of the Scheme.
type Counts []int

// Of is how many cases have one of the leaves.
func (c Counts) Of(leaves Leaves) (sum int) {
	for i, n := range c {
		if leaves&(1<<i) != 0 {
			sum += n
		}
	}
	return sum
}

// Scheme is the outcomes that a case may have, and the levels of detail in
// which they are told: level 1 tells only how many cases there are; each
// further level divides blocks of the one before.
type Scheme struct {
	names  []string
	levels [][]Leaves // levels[0] is one block
}

// NewScheme makes a scheme of leaves and of its levels from the second on, each
// as its blocks of leaves. It fails unless each level divides the one before
// and has every leaf once.
func NewScheme(leaves []string, levels ...[][]string) (*Scheme, error) {
	if len(leaves) == 0 || len(leaves) > 12 {
		return nil, errors.New("a scheme has 1 to 12 leaves")
	}
	s := &Scheme{names: leaves}
	all := Leaves(1)<<len(leaves) - 1
	s.levels = [][]Leaves{{all}}
	for i, blocks := range levels {
		level := make([]Leaves, 0, len(blocks))
		seen := Leaves(0)
		for _, names := range blocks {
			block, err := s.Leaves(names...)
			switch {
			case err != nil:
				return nil, err
			case block == 0 || seen&block != 0:
				return nil, fmt.Errorf("level %d: blocks that overlap, or an empty one", i+2)
			case !slices.ContainsFunc(s.levels[i], func(wide Leaves) bool { return wide|block == wide }):
				return nil, fmt.Errorf("level %d does not divide level %d", i+2, i+1)
			}
			seen |= block
			level = append(level, block)
		}
		if seen != all {
			return nil, fmt.Errorf("level %d lacks leaves", i+2)
		}
		s.levels = append(s.levels, level)
	}
	return s, nil
}

// Names are the leaves, in the order of Counts.
func (s *Scheme) Names() []string { return slices.Clone(s.names) }

// Levels is how many levels of detail there are.
func (s *Scheme) Levels() int { return len(s.levels) }

// Leaves are the leaves of these names. It fails if there is no such leaf.
func (s *Scheme) Leaves(names ...string) (set Leaves, err error) {
	for _, name := range names {
		i := slices.Index(s.names, name)
		if i < 0 {
			return 0, fmt.Errorf("no outcome %q", name)
		}
		set |= 1 << i
	}
	return set, nil
}

// figures is what is told of counts at a level.
func (s *Scheme) figures(c Counts, level int) Figures {
	f := Figures{Level: level}
	if level == 0 {
		return f
	}
	for _, block := range s.levels[level-1] {
		f.Blocks = append(f.Blocks, Block{Leaves: block, Count: c.Of(block)})
	}
	return f
}

// finest is the finest level down to which no block is small.
func (s *Scheme) finest(c Counts, rule Rule) int {
	for i, level := range s.levels {
		for _, block := range level {
			if rule.small(c.Of(block)) {
				return i
			}
		}
	}
	return len(s.levels)
}

// Figures is what is shown of a total, a value or a cell: nothing at level 0,
// else the blocks of a level.
type Figures struct {
	Level  int
	Blocks []Block
}

// Block is a set of leaves and the number of cases that have one of them.
type Block struct {
	Leaves Leaves
	Count  int
}

// Of is the number of cases that have one of the leaves, and false if what is
// shown does not tell it. Every measure asks this for its numerator and its
// denominator; what it does not tell has no rate and no interval.
func (f Figures) Of(leaves Leaves) (sum int, shown bool) {
	left := leaves
	for _, b := range f.Blocks {
		if b.Leaves&leaves == b.Leaves {
			sum += b.Count
			left &^= b.Leaves
		}
	}
	if f.Level == 0 {
		return 0, false
	}
	// Nothing of nothing is nothing: a block of no case has no leaf with one.
	for _, b := range f.Blocks {
		if b.Count == 0 {
			left &^= b.Leaves
		}
	}
	return sum, left == 0
}

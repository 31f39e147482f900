package disclosure

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
)

// Other is the row of a table of two dimensions that has all the values that
// are not shown in full by themselves.
const Other = "(other)"

// Family is everything that is published of one set of cases.
type Family struct {
	Scheme     *Scheme
	Total      Counts
	Dimensions []Dimension
	Pairs      []Pair

	// Key orders the values that are hidden besides, where something has to be:
	// at random for whoever has it not, and the same again for the same key. It
	// is secret and stays with the publisher: who knows the order can tell what
	// is hidden for itself from what is hidden besides.
	Key []byte
}

// Dimension is a table by one dimension: each case has one value of it.
type Dimension struct {
	Name   string
	Values []Value

	// Least is how many cases of the leaves LeastOf a value needs to be shown
	// at all (ReaderShown); 0 asks for none. Cells of a pair need as many.
	Least   int
	LeastOf Leaves
}

// Value is one value of a dimension and its cases.
type Value struct {
	Code   string
	Counts Counts
}

// Pair is a table by two dimensions. Cells without cases may be left out.
type Pair struct {
	Row, Column string
	Cells       []Cell
}

// Cell is the cases that have a value of each of two dimensions.
type Cell struct {
	Row, Column string
	Counts      Counts
}

// Published is what may be shown of a family.
type Published struct {
	Total      Figures
	Dimensions []PublishedDimension
	Pairs      []PublishedPair
}

// PublishedDimension is what may be shown by one dimension. A value of level 0
// has cases, and nothing more is said of it.
type PublishedDimension struct {
	Name    string
	Refused string           // why nothing is shown, or ""
	Values  []PublishedValue // by code
}

// PublishedValue is what may be shown of one value.
type PublishedValue struct {
	Code    string
	Figures Figures
}

// PublishedPair is what may be shown by two dimensions.
type PublishedPair struct {
	Row, Column string
	Refused     string // why nothing is shown, or ""
	Cells       []PublishedCell
}

// PublishedCell is what may be shown of one cell: in as much detail as the
// total, or (level 0) nothing.
type PublishedCell struct {
	Row, Column string
	Figures     Figures
}

// Protect says what may be shown of a family. It fails if the tables do not add
// up to the total, or if the pairs close a circle.
func Protect(rule Rule, f Family) (*Published, error) {
	return protectIn(rule, f, func(dimension, code string) string {
		mac := hmac.New(sha256.New, f.Key)
		mac.Write([]byte(dimension + "\x00" + code))
		return string(mac.Sum(nil))
	})
}

// protectIn is Protect with the order in which values are given up.
func protectIn(rule Rule, f Family, order func(dimension, code string) string) (*Published, error) {
	if err := f.check(rule); err != nil {
		return nil, err
	}
	level := f.Scheme.finest(f.Total, rule)
	p := &Published{Total: f.Scheme.figures(f.Total, level)}
	tables := map[string]*table{}
	for _, d := range f.Dimensions {
		t := newTable(rule, f.Scheme, d, level, order)
		t.protect()
		tables[d.Name] = t
		p.Dimensions = append(p.Dimensions, t.published())
	}
	for _, pair := range f.Pairs {
		p.Pairs = append(p.Pairs, protectPair(rule, pair, tables[pair.Row], tables[pair.Column]))
	}
	return p, nil
}

func (f Family) check(rule Rule) error {
	if rule.Limit < 1 || rule.Width < 1 || rule.Width > rule.Limit {
		return errors.New("a rule has a limit of 1 or more, and a width of 1 up to the limit")
	}
	known := map[string]Dimension{}
	for _, d := range f.Dimensions {
		if _, twice := known[d.Name]; twice {
			return fmt.Errorf("dimension %s is there twice", d.Name)
		}
		known[d.Name] = d
		sum := make(Counts, len(f.Scheme.names))
		codes := map[string]bool{Other: true}
		for _, v := range d.Values {
			if codes[v.Code] {
				return fmt.Errorf("dimension %s has the value %q twice, or has one of the name of all others", d.Name, v.Code)
			}
			codes[v.Code] = true
			if err := sum.add(v.Counts); err != nil {
				return fmt.Errorf("dimension %s: %w", d.Name, err)
			}
		}
		if !slices.Equal(sum, f.Total) {
			return fmt.Errorf("dimension %s does not add up to the total", d.Name)
		}
	}
	return f.checkPairs(known)
}

// checkPairs holds the pairs to a forest, and their sums to the tables by one
// dimension.
func (f Family) checkPairs(known map[string]Dimension) error {
	group := map[string]string{}
	find := func(name string) string {
		for group[name] != "" {
			name = group[name]
		}
		return name
	}
	for _, p := range f.Pairs {
		for i, name := range []string{p.Row, p.Column} {
			d, found := known[name]
			if !found {
				return fmt.Errorf("no table by %s, and so none by %s and %s", name, p.Row, p.Column)
			}
			if err := p.addsUp(d, i == 0); err != nil {
				return err
			}
		}
		a, b := find(p.Row), find(p.Column)
		if a == b {
			return fmt.Errorf("the table by %s and %s closes a circle: from all tables of a circle together hidden counts can be computed", p.Row, p.Column)
		}
		group[a] = b
	}
	return nil
}

func (p Pair) addsUp(d Dimension, byRow bool) error {
	sums := map[string]Counts{}
	for _, v := range d.Values {
		sums[v.Code] = make(Counts, len(v.Counts))
	}
	for _, c := range p.Cells {
		code := c.Column
		if byRow {
			code = c.Row
		}
		if sums[code] == nil {
			return fmt.Errorf("a cell by %s and %s has a value that the table by %s has not", p.Row, p.Column, d.Name)
		}
		if err := sums[code].add(c.Counts); err != nil {
			return fmt.Errorf("a cell by %s and %s: %w", p.Row, p.Column, err)
		}
	}
	for _, v := range d.Values {
		if !slices.Equal(sums[v.Code], v.Counts) {
			return fmt.Errorf("the table by %s and %s does not add up to the one by %s", p.Row, p.Column, d.Name)
		}
	}
	return nil
}

func (c Counts) add(other Counts) error {
	if len(other) != len(c) {
		return fmt.Errorf("%d counts where the scheme has %d outcomes", len(other), len(c))
	}
	for i, n := range other {
		if n < 0 {
			return errors.New("a count below 0")
		}
		c[i] += n
	}
	return nil
}

package disclosure

import (
	"cmp"
	"maps"
	"slices"
)

// Sum is a year from what was published of its quarters: whatever is shown in
// all of them, added up, in the detail that all of them have. It tells nothing
// that they do not. A value that a quarter does not name has no cases in it. A table
// that not all quarters have (the policy said otherwise then) the year has not. It
// is nil without quarters. All must have been made with the same Scheme.
func Sum(parts ...*Published) *Published {
	if len(parts) == 0 {
		return nil
	}
	parts = alike(parts)
	year := &Published{Total: sumFigures(parts, func(p *Published) (Figures, bool) { return p.Total, true })}
	for i, d := range parts[0].Dimensions {
		year.Dimensions = append(year.Dimensions, sumDimension(parts, i, d.Name))
	}
	for i, pair := range parts[0].Pairs {
		year.Pairs = append(year.Pairs, sumPair(parts, i, PublishedPair{Row: pair.Row, Column: pair.Column}))
	}
	return year
}

// alike are parts with the tables that all of them have, in the order of the first.
func alike(parts []*Published) []*Published {
	all := make([]*Published, len(parts))
	for i, p := range parts {
		all[i] = &Published{Total: p.Total}
	}
	for _, d := range parts[0].Dimensions {
		of := func(p *Published) int {
			return slices.IndexFunc(p.Dimensions, func(o PublishedDimension) bool { return o.Name == d.Name })
		}
		if slices.ContainsFunc(parts, func(p *Published) bool { return of(p) < 0 }) {
			continue
		}
		for i, p := range parts {
			all[i].Dimensions = append(all[i].Dimensions, p.Dimensions[of(p)])
		}
	}
	for _, pair := range parts[0].Pairs {
		of := func(p *Published) int {
			return slices.IndexFunc(p.Pairs, func(o PublishedPair) bool { return o.Row == pair.Row && o.Column == pair.Column })
		}
		if slices.ContainsFunc(parts, func(p *Published) bool { return of(p) < 0 }) {
			continue
		}
		for i, p := range parts {
			all[i].Pairs = append(all[i].Pairs, p.Pairs[of(p)])
		}
	}
	return all
}

func sumDimension(parts []*Published, i int, name string) PublishedDimension {
	out := PublishedDimension{Name: name}
	codes := map[string]bool{}
	for _, p := range parts {
		if out.Refused = p.Dimensions[i].Refused; out.Refused != "" {
			return out
		}
		for _, v := range p.Dimensions[i].Values {
			codes[v.Code] = true
		}
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		out.Values = append(out.Values, PublishedValue{code, sumFigures(parts, func(p *Published) (Figures, bool) {
			return p.Dimensions[i].Of(code)
		})})
	}
	return out
}

// Of is what is shown of a value; false if the table does not name it, which,
// where the table is not refused, says that it has no cases.
func (d PublishedDimension) Of(code string) (Figures, bool) {
	for _, v := range d.Values {
		if v.Code == code {
			return v.Figures, true
		}
	}
	return Figures{}, false
}

// sumPair adds up cells of two values that have a line of their own wherever
// they have cases; what else there is goes without a word, as Other is not the
// same from quarter to quarter.
func sumPair(parts []*Published, i int, out PublishedPair) PublishedPair {
	at := map[[2]string]bool{}
	for _, p := range parts {
		if out.Refused = p.Pairs[i].Refused; out.Refused != "" {
			return out
		}
		for _, c := range p.Pairs[i].Cells {
			if c.Row != Other && c.Column != Other {
				at[[2]string{c.Row, c.Column}] = true
			}
		}
	}
	cells := slices.SortedFunc(maps.Keys(at), func(a, b [2]string) int {
		return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1]))
	})
	for _, c := range cells {
		out.Cells = append(out.Cells, PublishedCell{c[0], c[1], sumFigures(parts, func(p *Published) (Figures, bool) {
			return p.cell(i, c[0], c[1])
		})})
	}
	return out
}

// cell is what is shown of a cell; false if one of its values has no cases.
func (p *Published) cell(i int, row, column string) (Figures, bool) {
	for _, c := range p.Pairs[i].Cells {
		if c.Row == row && c.Column == column {
			return c.Figures, true
		}
	}
	for _, d := range p.Dimensions {
		if d.Name == p.Pairs[i].Row || d.Name == p.Pairs[i].Column {
			code := row
			if d.Name == p.Pairs[i].Column {
				code = column
			}
			if _, named := d.Of(code); d.Refused == "" && !named {
				return Figures{}, false
			}
		}
	}
	return Figures{}, true // it is part of Other
}

// sumFigures adds up figures at the level that all have. Parts that have no
// cases say false and add nothing.
func sumFigures(parts []*Published, of func(*Published) (Figures, bool)) (sum Figures) {
	var all []Figures
	for _, p := range parts {
		if f, named := of(p); named {
			if f.Level == 0 {
				return Figures{}
			}
			all = append(all, f)
		}
	}
	if len(all) == 0 {
		return Figures{}
	}
	coarsest := slices.MinFunc(all, func(a, b Figures) int { return cmp.Compare(a.Level, b.Level) })
	sum.Level = coarsest.Level
	for _, b := range coarsest.Blocks {
		count := 0
		for _, f := range all {
			n, _ := f.Of(b.Leaves)
			count += n
		}
		sum.Blocks = append(sum.Blocks, Block{b.Leaves, count})
	}
	return sum
}

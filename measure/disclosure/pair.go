package disclosure

import (
	"cmp"
	"slices"
)

// grid is a table of two dimensions while it is decided which cells are
// hidden. A hidden cell is hidden in every sink, so each sink is a table of its
// own, with known sums of rows and columns (the tables of one dimension). How
// far a hidden count can move is told by squares of hidden cells: one case from
// two opposite corners to the other two changes no sum. All four have cases: that a
// cell is empty may be known, since there is nothing like that (no mammography of
// the knee), and then nothing can move into it.
type grid struct {
	rule          Rule
	rows, columns []string
	sinks         [][]Counts // by row, column
	cases         [][]int
	few           [][]bool // for a reader (Dimension.Least)
	hidden        [][]bool
}

// Why a table is not shown. Both follow from what is shown of the whole.
const (
	tooFew   = "too few cases: nothing of this table could be shown without what is hidden being found"
	fewCells = "each of its cells has a count of 1 to 10 in the detail in which the whole is shown, or would give one away"
)

func protectPair(rule Rule, p Pair, rows, columns *table) PublishedPair {
	out := PublishedPair{Row: p.Row, Column: p.Column, Refused: tooFew}
	if rows.level == 0 {
		return out
	}
	out.Refused = fewCells
	merged := merged{rows: map[string]bool{}, columns: map[string]bool{}}
	for {
		g := newGrid(rule, p, rows, columns, merged)
		for g.worthwhile() {
			changed, stuck := g.hideMore()
			if stuck != nil {
				if !merged.add(g, *stuck) {
					return out
				}
				break
			}
			if !changed {
				return g.published(rows.scheme, rows.level, out)
			}
		}
		if !g.worthwhile() {
			return out
		}
	}
}

// merged is the values that are in Other although they are shown in full in
// their own table: their cells could not be hidden.
type merged struct{ rows, columns map[string]bool }

// add merges the row, else the column of a cell for which nothing could be done;
// false if it is a cell of what is merged.
func (m merged) add(g *grid, stuck [2]int) bool {
	if stuck[0] >= 0 && g.rows[stuck[0]] != Other {
		m.rows[g.rows[stuck[0]]] = true
		return true
	}
	if stuck[1] >= 0 && g.columns[stuck[1]] != Other {
		m.columns[g.columns[stuck[1]]] = true
		return true
	}
	return false
}

// newGrid has a row and a column for each value that is shown in full, and one
// for all others, and hides what is small.
func newGrid(rule Rule, p Pair, rows, columns *table, merged merged) *grid {
	g := &grid{rule: rule}
	s, level := rows.scheme, rows.level
	var row, column map[string]int
	g.rows, row = rows.lines(merged.rows)
	g.columns, column = columns.lines(merged.columns)
	counts := make([][]Counts, len(g.rows))
	for i := range counts {
		counts[i] = make([]Counts, len(g.columns))
		for j := range counts[i] {
			counts[i][j] = make(Counts, len(s.names))
		}
	}
	for _, c := range p.Cells {
		for i, n := range c.Counts {
			counts[row[c.Row]][column[c.Column]][i] += n
		}
	}
	for i := range counts {
		g.sinks = append(g.sinks, make([]Counts, len(g.columns)))
		g.cases = append(g.cases, make([]int, len(g.columns)))
		g.few = append(g.few, make([]bool, len(g.columns)))
		g.hidden = append(g.hidden, make([]bool, len(g.columns)))
		for j, c := range counts[i] {
			g.sinks[i][j] = s.sinks(c, level)
			g.cases[i][j] = c.sum()
			g.few[i][j] = g.cases[i][j] > 0 && (!rows.needed(c) || !columns.needed(c))
			g.hidden[i][j] = g.few[i][j] || slices.ContainsFunc(g.sinks[i][j], rule.small)
		}
	}
	return g
}

// lines are the lines of a dimension in a table of two, and which line each
// value is on.
func (t *table) lines(merged map[string]bool) (names []string, line map[string]int) {
	line = map[string]int{}
	var others []string
	for _, v := range t.values {
		if v.level < t.level || merged[v.Code] {
			others = append(others, v.Code)
			continue
		}
		line[v.Code] = len(names)
		names = append(names, v.Code)
	}
	for _, code := range others {
		line[code] = len(names)
	}
	if others != nil {
		names = append(names, Other)
	}
	return names, line
}

// worthwhile says whether a cell with cases of two values of their own is shown.
func (g *grid) worthwhile() bool {
	for i, row := range g.rows {
		for j, column := range g.columns {
			if row != Other && column != Other && !g.hidden[i][j] && g.cases[i][j] > 0 {
				return true
			}
		}
	}
	return false
}

// hideMore goes once over the table and hides what sums of lines and squares
// ask for; stuck is a line or a cell for which nothing can be done. The more is
// hidden the more room each cell has, so what held goes on to hold.
func (g *grid) hideMore() (changed bool, stuck *[2]int) {
	for i := range g.rows {
		if done, possible := g.hideRest(g.line(i, -1)); !possible {
			return true, &[2]int{i, -1}
		} else if done {
			changed = true
		}
	}
	for j := range g.columns {
		if done, possible := g.hideRest(g.line(-1, j)); !possible {
			return true, &[2]int{-1, j}
		} else if done {
			changed = true
		}
	}
	for i := range g.rows {
		for j := range g.columns {
			for sink, n := range g.sinks[i][j] {
				if !g.hidden[i][j] || !g.guarded(i, j, n) || g.width(i, j, sink) >= g.rule.Width {
					continue
				}
				if !g.addSquare(i, j, sink) {
					return true, &[2]int{i, j}
				}
				changed = true
			}
		}
	}
	return changed, nil
}

// guarded says whether a count of a hidden cell must be in doubt: a small one,
// and each of a cell that has too few cases for a reader.
func (g *grid) guarded(row, column, n int) bool {
	return g.rule.small(n) || n > 0 && g.few[row][column]
}

// line is the cells of a row or a column; -1 is neither.
func (g *grid) line(row, column int) (cells [][2]int) {
	if column < 0 {
		for j := range g.columns {
			cells = append(cells, [2]int{row, j})
		}
		return cells
	}
	for i := range g.rows {
		cells = append(cells, [2]int{i, column})
	}
	return cells
}

// hideRest hides cells of a line as long as what is hidden of it leaves too
// little room: always the first in the order of the key (lowerNext says why not
// the smallest). Not possible says that there is none left.
func (g *grid) hideRest(line [][2]int) (changed, possible bool) {
	for sink := range g.sinks[0][0] {
		for {
			rest, cells, next := 0, 0, -1
			for k, c := range line {
				n := g.sinks[c[0]][c[1]][sink]
				switch {
				case n > 0 && g.hidden[c[0]][c[1]]:
					rest += n
					cells++
				case n > 0 && next < 0:
					next = k
				}
			}
			if !g.rule.tight(rest, cells) {
				break
			}
			if next < 0 {
				return changed, false
			}
			g.hidden[line[next][0]][line[next][1]] = true
			changed = true
		}
	}
	return changed, true
}

// width is how far the count of a hidden cell can move in one sink, up and down
// together: at least so much, by squares of hidden cells, none of which uses a
// case twice.
func (g *grid) width(row, column, sink int) int {
	up, down, own := 0, 0, g.sinks[row][column][sink]
	inRow := make([]int, len(g.columns)) // what is left to take of the row
	for j := range g.columns {
		inRow[j] = g.sinks[row][j][sink]
	}
	for i := range g.rows {
		if i == row || !g.moves(i, column) {
			continue
		}
		inColumn := g.sinks[i][column][sink]
		for j := range g.columns {
			if j == column || !g.moves(row, j) || !g.moves(i, j) {
				continue
			}
			gain := min(inRow[j], inColumn)
			inRow[j] -= gain
			inColumn -= gain
			up += gain
			down = min(own, down+g.sinks[i][j][sink])
			if up+down >= g.rule.Width {
				return up + down
			}
		}
	}
	return up + down
}

// moves says that cases can leave a cell, and come.
func (g *grid) moves(row, column int) bool {
	return g.hidden[row][column] && g.cases[row][column] > 0
}

// addSquare hides what is not yet hidden of the first square, in the order of
// the key, that gives a cell enough room, else of the first that gives it
// any; false if none does.
func (g *grid) addSquare(row, column, sink int) bool {
	for _, enough := range []int{g.rule.Width, 1} {
		for i := range g.rows {
			for j := range g.columns {
				if i == row || j == column || g.hidden[i][j] && g.hidden[i][column] && g.hidden[row][j] {
					continue
				}
				if g.cases[i][j] == 0 || g.cases[i][column] == 0 || g.cases[row][j] == 0 {
					continue
				}
				room := min(g.sinks[row][j][sink], g.sinks[i][column][sink])
				if enough == 1 {
					room += min(g.sinks[row][column][sink], g.sinks[i][j][sink])
				}
				if room >= enough {
					g.hidden[i][j], g.hidden[i][column], g.hidden[row][j] = true, true, true
					return true
				}
			}
		}
	}
	return false
}

func (g *grid) published(s *Scheme, level int, out PublishedPair) PublishedPair {
	out.Refused = ""
	for i, row := range g.rows {
		for j, column := range g.columns {
			cell := PublishedCell{Row: row, Column: column}
			if !g.hidden[i][j] {
				cell.Figures = Figures{Level: level}
				for k, block := range s.levels[level-1] {
					cell.Figures.Blocks = append(cell.Figures.Blocks, Block{block, g.sinks[i][j][k]})
				}
			}
			out.Cells = append(out.Cells, cell)
		}
	}
	// By code: the order of the key is secret.
	slices.SortFunc(out.Cells, func(a, b PublishedCell) int {
		return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Column, b.Column))
	})
	return out
}

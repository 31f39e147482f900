package workflow

import "container/heap"

// arc is a pair that may be: a column for the row, and what it costs (never
// negative).
type arc struct {
	column int
	cost   int64
}

// solve gives each row a column of its own or leaves it out (-1), at the least
// cost. It is the assignment problem on a sparse matrix, by shortest augmenting
// paths: one row after the other is brought in by the cheapest chain of changes
// (Kuhn 1955; with potentials and Dijkstra's search Edmonds and Karp 1972, Tomizawa
// 1971). Each row is in the best place given the rows before it, so that the end
// is the best of all. It takes rows x arcs x log(columns) steps at worst.
//
// The dual variables u of rows and v of columns keep cost - u - v at zero or above
// on every arc, and at zero on those that are chosen.
func solve(rows [][]arc, columns int, leftOut []int64) []int {
	s := &solver{rows: rows, columns: columns, leftOut: leftOut}
	all := columns + len(rows) // each row has a column of its own, where it is left out
	s.u, s.v = make([]int64, len(rows)), make([]int64, all)
	s.rowOf, s.from, s.dist, s.done = make([]int, all), make([]int, all), make([]int64, all), make([]bool, all)
	for j := range s.rowOf {
		s.rowOf[j], s.dist[j] = -1, unreached
	}
	chosen := make([]int, len(rows))
	for i := range rows {
		chosen[i] = -1
	}
	for i := range rows {
		s.augment(i, chosen)
	}
	for i, j := range chosen {
		if j >= columns {
			chosen[i] = -1
		}
	}
	return chosen
}

const unreached = int64(1) << 62

type solver struct {
	rows    [][]arc
	columns int
	leftOut []int64
	u, v    []int64
	rowOf   []int // by column; -1: free
	from    []int // the row by which a column was reached
	dist    []int64
	done    []bool
	seen    []int // columns that were reached, to be forgotten after the search
	queue   reachedQueue
}

// augment brings a row in.
func (s *solver) augment(row int, chosen []int) {
	s.scan(row, 0)
	end := -1
	for end < 0 {
		next := heap.Pop(&s.queue).(reached)
		if s.done[next.column] {
			continue
		}
		s.done[next.column] = true
		if s.rowOf[next.column] < 0 {
			end = next.column
			break
		}
		s.scan(s.rowOf[next.column], next.dist)
	}
	length := s.dist[end]
	s.u[row] += length
	for _, j := range s.seen {
		if s.done[j] && j != end {
			s.v[j] -= length - s.dist[j]
			s.u[s.rowOf[j]] += length - s.dist[j]
		}
	}
	for j := end; ; {
		i := s.from[j]
		before := chosen[i]
		chosen[i], s.rowOf[j] = j, i
		if i == row {
			break
		}
		j = before
	}
	for _, j := range s.seen {
		s.dist[j], s.done[j] = unreached, false
	}
	s.seen, s.queue = s.seen[:0], s.queue[:0]
}

// scan reaches the columns of a row that lies so far.
func (s *solver) scan(row int, dist int64) {
	for _, a := range s.rows[row] {
		s.reach(row, a.column, dist+a.cost-s.u[row]-s.v[a.column])
	}
	own := s.columns + row
	s.reach(row, own, dist+s.leftOut[row]-s.u[row]-s.v[own])
}

func (s *solver) reach(row, column int, dist int64) {
	if s.done[column] || dist >= s.dist[column] {
		return
	}
	if s.dist[column] == unreached {
		s.seen = append(s.seen, column)
	}
	s.dist[column], s.from[column] = dist, row
	heap.Push(&s.queue, reached{column, dist})
}

// reached is a column and how far it is.
type reached struct {
	column int
	dist   int64
}

// reachedQueue has the nearest first; of those equally far the lowest column, so
// that the plan does not hang on chance.
type reachedQueue []reached

func (q reachedQueue) Len() int      { return len(q) }
func (q reachedQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q reachedQueue) Less(i, j int) bool {
	if q[i].dist != q[j].dist {
		return q[i].dist < q[j].dist
	}
	return q[i].column < q[j].column
}
func (q *reachedQueue) Push(x any) { *q = append(*q, x.(reached)) }
func (q *reachedQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

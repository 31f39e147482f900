package disclosure

// flow is a transportation problem with a solution (the truth), of which it is
// asked how much more can come into the sinks `in` if as much leaves the sinks
// `out`: the maximal flow of the residual network, by shortest augmenting paths
// (Edmonds and Karp, JACM 1972;19:248). Its few sinks and sources make it
// small, whatever the number of values.
type flow struct {
	in, out Leaves
	exits   Counts // how much may leave each sink of out
	sources []source
}

// source sends to the sinks of its block. What a sink does not get any more it
// can send to another of them.
type source struct {
	block Leaves
	sends Counts
}

// step is how the search came to a sink: from which, through which source.
type step struct {
	from   int
	source *source
}

// push moves up to want units and says how many.
func (f *flow) push(want int) (moved int) {
	for moved < want {
		steps, end := f.path()
		if end < 0 {
			break
		}
		amount := min(want-moved, f.exits[end])
		for at := end; steps[at].source != nil; at = steps[at].from {
			amount = min(amount, steps[at].source.sends[steps[at].from])
		}
		f.exits[end] -= amount
		for at := end; steps[at].source != nil; at = steps[at].from {
			steps[at].source.sends[steps[at].from] -= amount
			steps[at].source.sends[at] += amount
		}
		moved += amount
	}
	return moved
}

// path is a shortest way from a sink of in to one of out, -1 if there is none.
func (f *flow) path() (steps []step, end int) {
	steps = make([]step, len(f.exits))
	seen := f.in
	var queue []int
	for i := range f.exits {
		if f.in&(1<<i) != 0 {
			queue = append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if f.out&(1<<at) != 0 && f.exits[at] > 0 {
			return steps, at
		}
		for k := range f.sources {
			s := &f.sources[k]
			if s.block&(1<<at) == 0 || s.sends[at] == 0 {
				continue
			}
			for to := range f.exits {
				if s.block&^seen&(1<<to) != 0 {
					seen |= 1 << to
					steps[to] = step{at, s}
					queue = append(queue, to)
				}
			}
		}
	}
	return nil, -1
}

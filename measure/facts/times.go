package facts

import "slices"

// Duration is how many cases took so many minutes, begun ones counted as whole, and
// how many were still open after so many. A case that had not ended by the as-of time
// was open until then.
type Duration struct {
	Minutes     int
	Ended, Open int
}

// durations are those of cases (group.times), which it sorts, the shortest first.
func durations(times []int32) []Duration {
	slices.Sort(times)
	var list []Duration
	for _, twice := range times {
		minutes := int(twice / 2)
		if len(list) == 0 || list[len(list)-1].Minutes != minutes {
			list = append(list, Duration{Minutes: minutes})
		}
		if last := &list[len(list)-1]; twice%2 == 0 {
			last.Ended++
		} else {
			last.Open++
		}
	}
	return list
}

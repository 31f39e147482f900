package facts

import "slices"

// Duration is how many cases took so many minutes, begun ones counted as whole, and
// how many were still open after so many. A case that had not ended by the as-of time
// was open until then.
type Duration struct {
	Minutes     int
	Ended, Open int
}

// durations are those of times (group.times), each so many times; the shortest first. It
// sorts what it is given.
func durations(times []int32, cases func(int32) int) []Duration {
	slices.Sort(times)
	different, before := 0, int32(-1)
	for _, twice := range times {
		if twice/2 != before {
			different, before = different+1, twice/2
		}
	}
	list := make([]Duration, 0, different)
	for _, twice := range times {
		minutes := int(twice / 2)
		if len(list) == 0 || list[len(list)-1].Minutes != minutes {
			list = append(list, Duration{Minutes: minutes})
		}
		if last := &list[len(list)-1]; twice%2 == 0 {
			last.Ended += cases(twice)
		} else {
			last.Open += cases(twice)
		}
	}
	return list
}

func once(int32) int { return 1 }

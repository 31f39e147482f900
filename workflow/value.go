package workflow

import "slices"

// relativeValues say how much reading an exam is, by its modality, where a plain
// radiograph is 1. They are round figures in the order of the work RVUs of the
// US fee schedule: enough to weigh one reader's work against another's.
var relativeValues = []struct {
	modalities []string
	value      float64
}{
	{[]string{"CR", "DX", "RG", "IO", "PX", "BMD"}, 1},
	{[]string{"US", "RF"}, 3},
	{[]string{"MG"}, 4},
	{[]string{"CT"}, 6},
	{[]string{"MR", "XA", "NM"}, 7},
	{[]string{"PT"}, 10},
}

// otherValue is that of a modality which is not in the table, or unknown.
const otherValue = 4

// RelativeValue is how much reading an exam is; a plain radiograph is 1.
func (e Exam) RelativeValue() float64 {
	for _, row := range relativeValues {
		if slices.Contains(row.modalities, e.Modality) {
			return row.value
		}
	}
	return otherValue
}

// minutesPerValue is how long a second opinion on a plain radiograph takes, with
// its report: what is asked is rarely simple.
const minutesPerValue = 5

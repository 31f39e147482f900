package main

import (
	"encoding/json"
	"slices"

	"github.com/overread/overread/workflow"
)

// Some cases of the past were read by two, neither knowing of the other: drawn by lot, whatever
// is found in them, so that what the two say can be compared (kappa, docs/statistics.md).

// twiceShare is their share of the cases of those exams that two can read, where there is the time.
const twiceShare = 0.15

// act is how often a case is one in which somebody must act, and seen how often a reader sees
// which it is.
const (
	act  = 0.3
	seen = 0.92
)

// readTwice is who reads it besides; "" where nobody else can.
func readTwice(readers []string, reader string) string {
	i := slices.IndexFunc(readers, func(name string) bool { return name != reader })
	if i < 0 {
		return ""
	}
	return readers[i]
}

// twice has another read the case first. The reading protocol is that the more pressing of the
// two opinions stands.
func (p *past) twice(c *pastCase, d *workflow.Description, first string) (err error) {
	other := readerID(first)
	c.other, c.reading = &other, string(workflow.RecallIfOne)
	d.Reading = c.reading
	truth := "none"
	if p.lot.Float64() < act {
		truth = "non-critical"
	}
	if c.first, err = p.opinion(truth); err == nil {
		c.second, err = p.opinion(truth)
	}
	return err
}

// opinion is what one reader says of a case.
func (p *past) opinion(truth string) ([]byte, error) {
	if p.lot.Float64() > seen {
		truth = map[string]string{"none": "non-critical", "non-critical": "none"}[truth]
	}
	return json.Marshal(workflow.Opinion{Findings: "As the archive has it.", Impression: "As the archive has it.", Actionable: truth})
}

package fhir

import (
	"slices"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// theTwo are the texts of two readers between which somebody comes to one: what each of
// the two who confer stands by (workflow.knowsTheText), or the opinions between which a
// third decides. What only one of them says is marked.
func (p *readingPage) theTwo() {
	var one, other *screen.Sealed
	last := func(is func(o screen.Sealed) bool) *screen.Sealed {
		for i := range slices.Backward(p.page.Sealed) {
			if is(p.page.Sealed[i]) {
				return &p.page.Sealed[i]
			}
		}
		return nil
	}
	switch p.page.Stage {
	case screen.Conferring:
		onTable := []workflow.ReadingPart{workflow.PartFirst, workflow.PartSecond, workflow.PartProposal}
		one = last(func(o screen.Sealed) bool { return o.Own && slices.Contains(onTable, o.Part) })
		other = last(func(o screen.Sealed) bool { return !o.Own && slices.Contains(onTable, o.Part) })
	case screen.Arbitrating:
		one = last(func(o screen.Sealed) bool { return o.Part == workflow.PartFirst })
		other = last(func(o screen.Sealed) bool { return o.Part == workflow.PartSecond })
	default:
		return
	}
	if one == nil || other == nil {
		return
	}
	if p.page.Stage == screen.Conferring {
		one.Waits, other.Table = true, true
	}
	left, right := sectionsOf(*one), sectionsOf(*other)
	for i := range left {
		was, is := workflow.SideBySide(left[i].text, right[i].text)
		one.Marked = append(one.Marked, screen.MarkedSection{Section: left[i].name, Runs: was})
		other.Marked = append(other.Marked, screen.MarkedSection{Section: right[i].name, Runs: is})
	}
}

type textSection struct{ name, text string }

// sectionsOf are the sections of an opinion, those that are empty too.
func sectionsOf(o screen.Sealed) []textSection {
	return []textSection{
		{"Technique", o.Content.Technique}, {"Comparison", o.Content.Comparison}, {"Findings", o.Findings}, {"Impression", o.Content.Impression}, {"Recommendation", o.Content.Recommendation},
	}
}

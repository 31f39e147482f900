package fhir

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// A study and what was reported of it are one examination, however they are named; the one
// that is read is none of before.
func TestAnExaminationOfBeforeIsListedOnce(t *testing.T) {
	t.Parallel()
	study := func(id, uid string) *Node {
		return Object("resourceType", "ImagingStudy", "id", id, "description", "CT chest", "modality", []*Node{Object("code", "CT")},
			"identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:"+uid), Object("type", concept(v2Identifier, "ACSN", ""), "value", "A-"+uid)})
	}
	report := func(of ...string) *Node {
		n := Object("resourceType", "DiagnosticReport", "id", "r", "code", Object("text", "CT of the chest"))
		for _, id := range of {
			n.Append("imagingStudy", Object("reference", "ImagingStudy/"+id))
		}
		return n
	}
	uid := "1.9"
	p := &readingPage{study: "read", c: workflow.Case{StudyUID: &uid}}
	of := map[string]*screen.Prior{}
	first := p.priorOf(study("a", "1.1"), of)
	if diff := cmp.Diff(&screen.Prior{Title: "CT chest", Modality: "CT", Number: "A-1.1"}, first); diff != "" {
		t.Error(diff)
	}
	// In the order in which the page asks: the studies before the reports.
	for i, same := range []*Node{study("b", "1.1"), report("a"), report("b")} {
		if p.priorOf(same, of) != first {
			t.Errorf("%d: a copy, a report or a report of the copy is listed for itself", i)
		}
	}
	if other := p.priorOf(study("c", "1.2"), of); other == first || other == nil {
		t.Error("another study is not listed")
	}
	if lone := p.priorOf(report(), of); lone == nil || lone == first || lone.Title != "CT of the chest" {
		t.Error("a report without a study is not listed")
	}
	for name, read := range map[string]*Node{"the study": study("read", "1.3"), "a copy of it": study("d", "1.9"), "a report of it": report("read")} {
		if p.priorOf(read, of) != nil {
			t.Errorf("%s that is read is listed as one of before", name)
		}
	}
}

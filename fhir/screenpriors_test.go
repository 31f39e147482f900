package fhir

import (
	"testing"
	"time"

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

// What is compared with before all is of the same region and side, then of the same modality,
// and not later.
func TestTheExaminationToCompareWithIsOfTheSameRegion(t *testing.T) {
	t.Parallel()
	study := func(description, modality, side, at string) *Node {
		n := Object("resourceType", "ImagingStudy", "description", description, "modality", []*Node{Object("code", modality)}, "started", at)
		if side != "" {
			n.Append("series", Object("laterality", Object("system", "http://snomed.info/sct", "code", side)))
		}
		return n
	}
	const left, right = "7771000", "24028007"
	p := &readingPage{page: screen.Reading{Zone: time.UTC}}
	read := study("MR left knee", "MR", left, "2026-10-01T10:00:00Z")
	for name, row := range map[string]struct {
		others []*Node
		want   int
	}{
		"none":                          {nil, -1},
		"another region only":           {[]*Node{study("CT head", "CT", "", "2026-09-01T10:00:00Z")}, -1},
		"the same region, not newest":   {[]*Node{study("MR head", "MR", "", "2026-09-01T10:00:00Z"), study("MR knee", "MR", left, "2025-09-01T10:00:00Z")}, 1},
		"the modality before the date":  {[]*Node{study("XR knee", "DX", left, "2026-09-01T10:00:00Z"), study("MR knee", "MR", left, "2025-09-01T10:00:00Z")}, 1},
		"another modality, if no other": {[]*Node{study("CT head", "CT", "", "2026-09-01T10:00:00Z"), study("XR knee", "DX", left, "2025-09-01T10:00:00Z")}, 1},
		"not the other knee":            {[]*Node{study("MR knee", "MR", right, "2026-09-01T10:00:00Z")}, -1},
		"not a later one":               {[]*Node{study("MR knee", "MR", left, "2026-11-01T10:00:00Z"), study("MR knee", "MR", left, "2025-09-01T10:00:00Z")}, 1},
	} {
		if got := p.toCompareWith(read, row.others); got != row.want {
			t.Errorf("%s: %d, not %d", name, got, row.want)
		}
	}
	if p.toCompareWith(study("", "MR", "", ""), []*Node{study("", "MR", "", "")}) != -1 {
		t.Error("two studies of no known region are compared")
	}
}

// A result of a report has the name of the report's heading, and not that of its code.
func TestAResultIsCalledByItsHeading(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{"59776-5": "Findings", "19005-8": "Impression", "18783-1": "Recommendation", "718-7": "Haemoglobin"} {
		if got := partCalled(Object("code", concept(loinc, code, "Haemoglobin"))); got != want {
			t.Errorf("%s is called %q", code, got)
		}
	}
}

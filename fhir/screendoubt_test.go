package fhir

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/screen"
)

func TestTwoFindingsOfOneMismatchAreOneTable(t *testing.T) {
	t.Parallel()
	side := func(code string, values ...string) screen.Doubt {
		row := screen.DoubtRow{Element: "laterality", Agreement: "differs"}
		for _, v := range values {
			row.Said = append(row.Said, []string{v})
		}
		return screen.Doubt{Codes: []string{code}, Sources: []string{"order", "study"}, Rows: []screen.DoubtRow{row}}
	}
	var all []screen.Doubt
	for _, d := range []screen.Doubt{side("laterality", "right", "left"), side("pacs-laterality", "right", "left"), side("other", "right", "both")} {
		all = withDoubt(all, d)
	}
	want := []screen.Doubt{side("laterality", "right", "left"), side("other", "right", "both")}
	want[0].Codes = []string{"laterality", "pacs-laterality"}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Error(diff)
	}
}

// An EHR's word for somebody stands beside the name in the record; a page tells the name.
func TestWhoCameByALaunchIsCalledByName(t *testing.T) {
	t.Parallel()
	for said, want := range map[string][2]string{
		"Dr. Thea Marchetti (Practitioner/ordering)": {"Dr. Thea Marchetti", "Practitioner/ordering"},
		"Ana Costa":                  {"Ana Costa", ""},
		"Practitioner/ordering":      {"Practitioner/ordering", ""},
		"Ward 3 (night, and week)":   {"Ward 3 (night, and week)", ""},
		"Jo (PractitionerRole/a-1)":  {"Jo", "PractitionerRole/a-1"},
		"Jo (Practitioner/a b) Park": {"Jo (Practitioner/a b) Park", ""},
	} {
		e := trailEvent(Object("agent", []*Node{Object("requestor", true, "name", said)}))
		if got := [2]string{e.Person, e.Known}; got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}

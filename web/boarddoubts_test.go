package web

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/screen"
)

// What sources say is shown as a coordinator compares it: values first, ids by their ends,
// and another case as a way to it.
func TestWhatSourcesSayIsShownToBeCompared(t *testing.T) {
	t.Parallel()
	v := fileView{CaseFile: screen.CaseFile{Task: "t1"}, At: "/at/mercy/coordinator"}
	for _, row := range []struct {
		element, value string
		want           saidCell
	}{
		{"identifier", "https://hospital.example/mrn|101077", saidCell{Text: "101077", Of: "hospital.example/mrn"}},
		{"code", "http://loinc.org|36643-5", saidCell{Text: "36643-5", Of: "loinc.org"}},
		{"identifier", "|101077", saidCell{Text: "|101077"}},
		{"name", "Whitcombe | Gerald", saidCell{Text: "Whitcombe | Gerald"}},
		{"record", "01a21855-8f35-7652-840a-968f2db313e3", saidCell{Text: "…968f2db313e3", Code: true}},
		{"state", "intake-review", saidCell{Text: "intake-review", State: true}},
		{"case", "Task/t1", saidCell{Here: true, Link: "/at/mercy/coordinator/board/t1"}},
		{"case", "Task/t2", saidCell{Link: "/at/mercy/coordinator/board/t2"}},
	} {
		if diff := cmp.Diff(row.want, v.Cell(row.element, row.value)); diff != "" {
			t.Errorf("%s %s: %s", row.element, row.value, diff)
		}
	}
	if v.Differs("state", "differs") || !v.Differs("name", "differs") || v.Differs("name", "equal") {
		t.Error("two cases differ in their names, not in being two")
	}
}

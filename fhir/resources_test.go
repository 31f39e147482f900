package fhir

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// testdata/search-parameters.tsv are the search parameters of FHIR R4 for the
// types that we serve: base, code, type, url. The names are the
// specification's, not ours: ImagingStudy has basedon, Task.for is found by
// patient.
func TestEverySearchParameterIsOneOfFHIRR4(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/search-parameters.tsv")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		known[strings.TrimSpace(line)] = true
	}
	ours := []string{"DiagnosticReport imaging-study", "DiagnosticReport basedOn"}
	for _, row := range resourceTable() {
		for base, params := range map[string][]searchParam{row.name: row.search, "Resource": commonParams()} {
			for _, p := range defined(base, params) {
				official := known[strings.Join([]string{base, p.name, p.kind, p.definition}, "\t")]
				if !official && !slices.Contains(ours, base+" "+p.name) {
					t.Errorf("%s has no search parameter %s of type %s defined as %s", base, p.name, p.kind, p.definition)
				}
			}
		}
	}
}

func TestNoTypeOrParameterStandsTwiceInTheTable(t *testing.T) {
	t.Parallel()
	types := map[string]bool{}
	for _, row := range resourceTable() {
		if types[row.name] {
			t.Errorf("%s stands twice", row.name)
		}
		types[row.name] = true
		params := map[string]bool{}
		for _, p := range append(row.search, commonParams()...) {
			if params[p.name] {
				t.Errorf("%s has %s twice", row.name, p.name)
			}
			params[p.name] = true
		}
	}
}

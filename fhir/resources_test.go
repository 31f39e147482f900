package fhir

import "testing"

func TestNoTypeOrParameterStandsTwiceInTheTable(t *testing.T) {
	t.Parallel()
	types := map[string]bool{}
	for _, row := range resourceTable() {
		if types[row.name] {
			t.Errorf("%s stands twice", row.name)
		}
		types[row.name] = true
		row.complete()
		params := map[string]bool{}
		for _, p := range row.search {
			if params[p.name] {
				t.Errorf("%s has %s twice", row.name, p.name)
			}
			params[p.name] = true
		}
	}
}

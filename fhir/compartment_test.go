package fhir

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The table is FHIR's, as far as the types are served.
func TestCompartmentsAreThoseOfFHIRR4(t *testing.T) {
	t.Parallel()
	files := readFixtures(t, "fhir-r4/definitions")
	for root, members := range compartments {
		definition := mustParse(t, string(files["fhir-r4/definitions/CompartmentDefinition-"+strings.ToLower(root)+".json"]))
		official := map[string][]string{}
		for _, r := range definition.Each("resource") {
			for _, param := range r.Each("param") {
				if param.Text() == "{def}" { // the root itself
					continue
				}
				official[r.Text("code")] = append(official[r.Text("code")], param.Text())
			}
		}
		for _, row := range resourceTable() {
			if diff := cmp.Diff(official[row.name], members[row.name], cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s in the compartment of %s: %s", row.name, root, diff)
			}
		}
		for typ := range members {
			if official[typ] == nil {
				t.Errorf("%s is not in the compartment of %s", typ, root)
			}
		}
	}
}

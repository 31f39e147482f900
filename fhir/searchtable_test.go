package fhir

import (
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the files that are made from the specification instead of comparing with them")

// notServed are the standard search parameters that the table leaves out
// (docs/divergences.md).
var notServed = map[string]string{
	"Location near":   "needs geometry",
	"Resource _query": "names a query that the server defines, and there is none",
}

// official is what the specification says of a search parameter.
type official struct {
	URL, Code, Type, Expression string
	Base, Target                []string
}

// The table must be the specification's own list for the types that are served.
func TestTheTableOfSearchParametersIsThatOfFHIRR4(t *testing.T) {
	t.Parallel()
	var all []official
	if err := json.Unmarshal(readFixtures(t, "fhir-r4/definitions")["fhir-r4/definitions/search-parameters.json"], &all); err != nil {
		t.Fatal(err)
	}
	types := []string{"Resource"}
	for _, row := range resourceTable() {
		types = append(types, row.name)
	}
	var lines []string
	for _, p := range all {
		for _, base := range p.Base {
			if notServed[base+" "+p.Code] != "" || p.Expression == "" || !slices.Contains(types, base) {
				continue
			}
			var parts []string
			for part := range strings.SplitSeq(p.Expression, " | ") {
				if strings.HasPrefix(strings.TrimLeft(part, "("), base) && !strings.ContainsAny(strings.TrimLeft(part, "(")[len(base):][:min(1, len(strings.TrimLeft(part, "("))-len(base))], "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ") {
					parts = append(parts, part)
				}
			}
			targets := strings.Join(p.Target, " ")
			if len(p.Target) > 100 { // of anything
				targets = ""
			}
			lines = append(lines, strings.Join([]string{base, p.Code, p.Type, strings.TrimPrefix(p.URL, coreDefinition), targets, strings.Join(parts, " | ")}, "\t")+"\n")
		}
	}
	slices.Sort(lines)
	if *update {
		if err := os.WriteFile("searchtable.tsv", []byte(strings.Join(lines, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(strings.Join(lines, ""), "\n"), strings.Split(searchTable, "\n")); diff != "" {
		t.Errorf("the table differs from the specification; write it anew with -update:\n%s", diff)
	}
}

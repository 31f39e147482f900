package fhir

import (
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/workflow"
)

// translated is what a map of ours makes of a code, "" where it has nothing.
func translated(t *testing.T, id, system, code string, depends map[string]string) string {
	t.Helper()
	i := slices.IndexFunc(conceptMaps(), func(n *Node) bool { return n.Text("id") == id })
	if i < 0 {
		t.Fatalf("there is no map %s", id)
	}
	known := map[string][]workflow.Coding{}
	for element, value := range depends {
		known[Canonical+"/CodeSystem/"+element] = []workflow.Coding{{System: Canonical + "/CodeSystem/" + element, Code: value}}
	}
	matches, _ := translations(conceptMaps()[i], []workflow.Coding{{System: Canonical + "/CodeSystem/" + system, Code: code}}, "", false, known)
	if len(matches) > 1 {
		t.Fatalf("%s has %d translations of %s with %v", id, len(matches), code, depends)
	}
	if len(matches) == 0 {
		return ""
	}
	return matches[0].Get("part").Items()[1].Text("valueCoding", "code")
}

// Over the whole product of what a discrepancy may say, the published maps and the
// derivation that the server runs on are the same.
func TestTheScalesAreThoseOfThePublishedMaps(t *testing.T) {
	orNone := func(element string) []string { return append([]string{""}, workflow.Words(element)...) }
	combinations := 0
	for _, significance := range workflow.Words("significance") {
		for _, nature := range workflow.Words("nature") {
			for _, expectedness := range orNone("expectedness") {
				depends := map[string]string{"discrepancy-nature": nature, "discrepancy-expectedness": expectedness}
				want := [3]string{
					translated(t, "significance-to-level", "discrepancy-significance", significance, depends),
					translated(t, "significance-to-radpeer", "discrepancy-significance", significance, depends),
					translated(t, "significance-to-five-point", "discrepancy-significance", significance, depends),
				}
				for _, direction := range orNone("direction") {
					for _, management := range orNone("management") {
						for _, actionable := range orNone("actionable") {
							for _, asymmetry := range orNone("asymmetry") {
								d := workflow.Discrepancy{Finding: "f", Significance: significance, Nature: nature, Expectedness: expectedness,
									Direction: direction, Management: management, Actionable: actionable}
								if asymmetry != "" {
									d.Asymmetry = []string{asymmetry}
								}
								g := workflow.Grade{Discrepancies: []workflow.Discrepancy{d}}
								got := [3]string{string(g.Level()), g.RADPEER(), strconv.Itoa(g.FivePoint())}
								if got[2] == "0" {
									got[2] = ""
								}
								if got != want {
									t.Fatalf("%+v: %v, the maps say %v", d, got, want)
								}
								if combinations++; g.Actionable() != actionable || g.Management() != management || g.Asymmetric() != (asymmetry != "") {
									t.Fatalf("%+v: %s, %s, %v", d, g.Actionable(), g.Management(), g.Asymmetric())
								}
							}
						}
					}
				}
			}
		}
	}
	if combinations != 3*4*3*6*6*5*4 {
		t.Errorf("%d combinations", combinations)
	}
}

// The other maps are the tables of the chart.
func TestTheMapsIntoTheChartAreItsTables(t *testing.T) {
	for level, want := range agreementCodes {
		if got := translated(t, "level-to-agreement", "discrepancy-level", string(level), nil); got != want.Code {
			t.Errorf("%s: %s, want %s", level, got, want.Code)
		}
	}
	for word, want := range actionableCodes {
		if got := translated(t, "actionability-to-radlex", "actionability", word, nil); got != want.Code {
			t.Errorf("%s: %s, want %s", word, got, want.Code)
		}
	}
	for _, element := range []string{"nature", "asymmetry"} {
		for _, word := range workflow.Words(element) {
			if got, want := translated(t, element+"-to-learning-event-cause", wordSets[element], word, nil), workflow.LearningCause(element, word); got != want || got == "" {
				t.Errorf("%s: %q, want %q", word, got, want)
			}
		}
	}
}

func TestTheCodeSystemsOfGradesAreTheWordsOfTheOperations(t *testing.T) {
	for element, id := range wordSets {
		var got []string
		for _, c := range codesIn(t, "CodeSystem", id) {
			got = append(got, c.Code)
		}
		want := slices.Sorted(slices.Values(workflow.Words(element)))
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", id, diff)
		}
		if set := codesIn(t, "ValueSet", id); id != "actionability" && len(set) != len(want) {
			t.Errorf("the value set %s has %d codes", id, len(set))
		}
	}
}

func TestTheParametersOfGradesAreBoundToTheirValueSets(t *testing.T) {
	bound := map[string]bool{}
	var look func(rows []*Node)
	look = func(rows []*Node) {
		for _, row := range rows {
			if set := row.Text("binding", "valueSet"); set != "" {
				if set != Canonical+"/ValueSet/"+wordSets[row.Text("name")] {
					t.Errorf("%s is bound to %s", row.Text("name"), set)
				}
				bound[row.Text("name")] = true
			}
			look(row.Get("part").Items())
		}
	}
	for _, n := range operationDefinitions() {
		look(n.Get("parameter").Items())
	}
	if len(bound) != len(wordSets) {
		t.Errorf("bound are %v", bound)
	}
}

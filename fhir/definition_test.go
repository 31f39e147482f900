package fhir

import (
	"testing"

	"github.com/overread/overread/workflow"
)

func TestEveryDefinitionIsValid(t *testing.T) {
	seen := map[string]bool{}
	for _, content := range [][]*Node{codeSystems(), valueSets(SecondOpinionCodes), operationDefinitions(), searchParameters(), extensionDefinitions()} {
		for _, n := range content {
			if err := Validate(n); err != nil {
				t.Errorf("%s/%s: %v", n.Type(), n.Text("id"), err)
			}
			if url := n.Text("url"); seen[url] {
				t.Errorf("%s is defined twice", url)
			}
			seen[n.Text("url")] = true
		}
	}
}

func TestEveryOperationIsAnEventThatSomebodyMayFire(t *testing.T) {
	events := map[string]bool{}
	for _, row := range workflow.Transitions {
		events[string(row.Event)] = true
	}
	for _, op := range operations {
		if op.run == nil && !events[op.Name] {
			t.Errorf("$%s fires an event that no row of the transition table has", op.Name)
		}
	}
}

func TestEveryEventOfPeopleIsAnOperation(t *testing.T) {
	for _, row := range workflow.Transitions {
		people := false
		for _, role := range row.By {
			people = people || role != "system"
		}
		if _, err := operationCalled("$" + string(row.Event)); people && err != nil {
			t.Errorf("nobody can fire %s: %v", row.Event, err)
		}
	}
}

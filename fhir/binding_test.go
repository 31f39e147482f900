package fhir

import (
	"encoding/json"
	"strings"
	"testing"
)

// openSets are required bindings to sets that nobody can list here: all media
// types, languages, currencies; or that are the names of all types.
var openSets = []string{"mimetypes", "languages", "currencies", "all-types", "resource-types", "defined-types", "all-languages", "ucum-units"}

func TestEveryRequiredBindingIsHeldTo(t *testing.T) {
	tried := 0
	for name, body := range readFixtures(t, "fhir-r4/definitions") {
		var sd struct {
			Type, Derivation string
			Snapshot         struct {
				Element []struct {
					Path    string
					Binding struct{ Strength, ValueSet string }
				}
			}
		}
		if !strings.Contains(name, "StructureDefinition-") {
			continue
		}
		if err := json.Unmarshal(body, &sd); err != nil {
			t.Fatal(err)
		}
		for _, e := range sd.Snapshot.Element {
			set, _, _ := strings.Cut(e.Binding.ValueSet[strings.LastIndexByte(e.Binding.ValueSet, '/')+1:], "|")
			if e.Binding.Strength != "required" || sd.Derivation != "specialization" || oneOf(set, openSets...) {
				continue
			}
			found := elementAt(e.Path)
			if tried++; found == nil || found.codes == nil && found.concepts == nil {
				t.Errorf("%s: %s", e.Path, set)
			}
		}
	}
	if tried < 50 {
		t.Errorf("only %d bindings", tried)
	}
}

// elementAt finds an element by its path in a StructureDefinition.
func elementAt(path string) *element {
	names := strings.Split(path, ".")
	in := resourceShape(names[0])
	if in == nil {
		in = dataTypeShape(names[0])
	}
	var e *element
	for _, name := range names[1:] {
		if in == nil {
			return nil
		}
		if e = in.elements[name]; e == nil {
			return nil
		}
		in = e.shape()
	}
	return e
}

// dataTypeShape finds a data type by an element that has it, in a Task's input.
func dataTypeShape(name string) *shape {
	if e := elementAt("Task.input.value" + name); e != nil {
		return e.shape()
	}
	if e := map[string]*element{"Narrative": elementAt("Task.text"), "Extension": elementAt("Task.extension")}[name]; e != nil {
		return e.shape()
	}
	return nil
}

package fhir

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// definitional are the types of which we publish our own content and which have
// no StructureDefinition among the fixtures: taken from the official
// profiles-resources.xml of FHIR R4 4.0.1, as HAPI's validation resources have it.
var definitional = map[string]string{
	"CapabilityStatement": "id meta implicitRules url version name title status experimental date publisher contact useContext jurisdiction kind instantiates imports software software.modifierExtension software.name software.version software.releaseDate implementation implementation.modifierExtension implementation.description implementation.url implementation.custodian fhirVersion format patchFormat implementationGuide rest rest.modifierExtension rest.mode rest.security rest.security.modifierExtension rest.security.cors rest.security.service rest.resource rest.resource.modifierExtension rest.resource.type rest.resource.profile rest.resource.supportedProfile rest.resource.operation rest.resource.operation.modifierExtension rest.resource.operation.name rest.resource.operation.definition rest.operation messaging messaging.modifierExtension messaging.supportedMessage messaging.supportedMessage.modifierExtension messaging.supportedMessage.mode messaging.supportedMessage.definition document document.modifierExtension document.mode document.profile\tstatus date kind fhirVersion format\timplicitRules modifierExtension status",
	"CodeSystem":          "id meta implicitRules url identifier version name title status experimental date publisher contact useContext jurisdiction caseSensitive valueSet hierarchyMeaning compositional versionNeeded content supplements count filter filter.modifierExtension filter.code filter.description filter.operator filter.value property property.modifierExtension property.code property.uri property.description property.type\tstatus content\timplicitRules modifierExtension status",
	"ConceptMap":          "id meta implicitRules url identifier version name title status experimental date publisher contact useContext jurisdiction source[x] target[x]\tstatus\timplicitRules modifierExtension status",
	"OperationDefinition": "id meta implicitRules url version name title status kind experimental date publisher contact useContext jurisdiction affectsState code base resource system type instance\tname status kind code system type instance\timplicitRules modifierExtension status",
	"SearchParameter":     "id meta implicitRules url version name status experimental date publisher contact description useContext jurisdiction code base type\turl name status description code base type\timplicitRules modifierExtension status",
	"StructureDefinition": "id meta implicitRules url identifier version name title status experimental date publisher contact useContext jurisdiction keyword fhirVersion kind abstract context context.modifierExtension context.type context.expression contextInvariant type baseDefinition derivation\turl name status kind abstract type\timplicitRules modifierExtension status",
	"ValueSet":            "id meta implicitRules url identifier version name title status experimental date publisher contact useContext jurisdiction immutable\tstatus\timplicitRules modifierExtension status",
}

// What is a summary is what FHIR R4 says. go test ./fhir -run TestTheTableOfSummaries -update
func TestTheTableOfSummariesIsMadeOfTheStructureDefinitions(t *testing.T) {
	t.Parallel()
	var lines []string
	for typ, columns := range definitional {
		lines = append(lines, typ+"\t"+columns+"\n")
	}
	files := readFixtures(t, "fhir-r4/definitions")
	attachment := mustParse(t, string(files["fhir-r4/definitions/StructureDefinition-Attachment.json"]))
	for name, body := range files {
		if !strings.Contains(name, "/StructureDefinition-") {
			continue
		}
		d := mustParse(t, string(body))
		if d.Text("kind") != "resource" || d.Text("abstract") == "true" {
			continue
		}
		lines = append(lines, summaryLine(d, attachment))
	}
	slices.Sort(lines)
	want := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile("summary.tsv", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, summaryText); diff != "" {
		t.Error(diff)
	}
	for _, row := range resourceTable() {
		if _, ok := summaries()[row.name]; !ok {
			t.Errorf("there is no summary of %s", row.name)
		}
	}
}

func summaryLine(d, attachment *Node) string {
	typ := d.Text("type")
	var summary, mandatory, modifiers []string
	kept := map[string]bool{typ: true}
	for _, e := range d.Each("snapshot", "element") {
		path := e.Text("path")
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			continue
		}
		name, top := strings.TrimPrefix(path, typ+"."), path[:i] == typ
		if top && e.Text("min") != "0" {
			mandatory = append(mandatory, name)
		}
		if top && e.Text("isModifier") == "true" {
			modifiers = append(modifiers, name)
		}
		if e.Text("isSummary") != "true" || !kept[path[:i]] {
			continue
		}
		kept[path] = true
		summary = append(summary, name)
		if e.Text("type", "code") == "Attachment" { // its data are not for a summary
			for _, part := range attachment.Each("snapshot", "element") {
				if part.Text("isSummary") == "true" {
					summary = append(summary, name+"."+strings.TrimPrefix(part.Text("path"), "Attachment."))
				}
			}
		}
	}
	return typ + "\t" + strings.Join(summary, " ") + "\t" + strings.Join(mandatory, " ") + "\t" + strings.Join(modifiers, " ") + "\n"
}

// FHIR R4 search.html#summary and #elements.
func TestAViewShowsPartOfEachResource(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	for question, want := range map[string]string{
		"_summary=false":           "resourceType id meta status code subject basedOn result imagingStudy text conclusion effectiveDateTime",
		"_summary=true":            "resourceType id meta status code subject effectiveDateTime",
		"_summary=text":            "resourceType id meta status code text",
		"_summary=data":            "resourceType id meta status code subject basedOn result imagingStudy conclusion effectiveDateTime",
		"_elements=conclusion":     "resourceType id meta status code conclusion",
		"_elements=effective,text": "resourceType id meta status code text effectiveDateTime",
		"_elements=effective[x]":   "resourceType id meta status code effectiveDateTime",
	} {
		wanted := strings.Fields(want)
		slices.Sort(wanted)
		bundle := w.get("/fhir/DiagnosticReport?" + question)
		whole := question == "_summary=false"
		for where, n := range map[string]*Node{
			"a search": bundle.node.Each("entry", "resource")[0],
			"a read":   w.get(w.fill("/fhir/DiagnosticReport/{report}?") + question).node,
			"a vread":  w.get(w.fill("/fhir/DiagnosticReport/{report}/_history/1?") + question).node,
		} {
			names := n.Names()
			slices.Sort(names)
			if diff := cmp.Diff(wanted, names); diff != "" {
				t.Errorf("%s with %s: %s", where, question, diff)
			}
			if tagged := n.Text("meta", "tag", "code") == "SUBSETTED"; tagged == whole {
				t.Errorf("%s with %s is tagged: %v", where, question, tagged)
			}
			if _, err := Decode(n.Bytes(), "DiagnosticReport"); err != nil {
				t.Errorf("%s with %s is not valid: %v", where, question, err)
			}
		}
	}
	got := w.get(w.fill("/fhir/Observation?_id={bone}&_revinclude=DiagnosticReport:result&_summary=true"))
	if included := got.node.Each("entry", "resource"); len(included) != 2 || included[1].Get("conclusion") != nil || included[1].Text("meta", "tag", "code") != "SUBSETTED" {
		t.Errorf("what is included is whole: %s", got.body)
	}
	w.get(w.fill("/fhir/Patient/{zoe}?_summary=count")).want(t, http.StatusBadRequest, "value")
	w.get(w.fill("/fhir/Patient/{zoe}?_elements=colour")).want(t, http.StatusBadRequest, "value")
	if got := w.get("/fhir/CodeSystem/case-state?_summary=true"); got.status != http.StatusOK || got.node.Get("concept") != nil || got.node.Get("url") == nil {
		t.Errorf("a summary of what is ours: %d %s", got.status, got.body)
	}
}

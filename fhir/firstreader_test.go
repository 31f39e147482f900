package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

const tanaka = "1000000046"

// numbered gives the reader a number of the register of providers.
func (c *clinic) numbered() {
	c.t.Helper()
	c.sql(`UPDATE reader SET credential = credential || '{"identifiers": ["` + npi + `|` + tanaka + `"]}' WHERE reader_id = '` + c.readers[access.Reader].ID.String() + `'`)
}

func TestNobodyReadsTheirOwnOriginalHoweverItNamesThem(t *testing.T) {
	t.Parallel()
	by := func(system string) *Node {
		return Object("type", "Practitioner", "identifier", Object("system", system, "value", tanaka))
	}
	list := func(n ...*Node) []*Node { return n }
	stranger := list(by("urn:somebody:else"))
	for name, row := range map[string]struct {
		spoil func(c *clinic, o *spoiltOrder)
		why   string
	}{
		"nobody of ours": {func(_ *clinic, o *spoiltOrder) { o.report.Set("performer", stranger) }, ""},
		"interpreter of the study": {func(_ *clinic, o *spoiltOrder) {
			o.study.Set("interpreter", list(by(npi)))
		}, "is the original reader"},
		"performer of a result": {func(_ *clinic, o *spoiltOrder) {
			for _, e := range o.entries {
				if n := e.Get("resource"); n.Type() == "Observation" {
					n.Set("performer", list(by(npi)))
				}
			}
		}, "is the original reader"},
		"performer of a contained result": {func(_ *clinic, o *spoiltOrder) {
			o.report.Set("contained", list(Object("resourceType", "Observation", "id", "o", "status", "final", "code", Object("text", "x"), "performer", list(by(npi)))))
			o.report.Set("result", list(Object("reference", "#o")))
		}, "is the original reader"},
		"preliminary report": {func(_ *clinic, o *spoiltOrder) {
			night := Object("resourceType", "DiagnosticReport", "id", "night", "status", "preliminary", "code", Object("text", "XR"),
				"subject", Object("reference", "Patient/example"), "imagingStudy", list(Object("reference", "ImagingStudy/xr1")), "resultsInterpreter", list(by(npi)))
			o.entries = append(o.entries, entryOf(night, ehrBase+"/DiagnosticReport/night"))
		}, "is the original reader"},
		"author of a document": {func(_ *clinic, o *spoiltOrder) {
			letter := Object("resourceType", "DocumentReference", "id", "doc", "status", "current", "type", concept(loinc, "18748-4", ""),
				"subject", Object("reference", "Patient/example"), "author", list(by(npi)),
				"content", list(Object("attachment", Object("contentType", "text/plain", "data", "eA=="))))
			o.entries = append(o.entries, entryOf(letter, ehrBase+"/DocumentReference/doc"))
			o.order.Append("supportingInfo", Object("reference", "DocumentReference/doc"))
		}, "is the original reader"},
		"OID of the number": {func(_ *clinic, o *spoiltOrder) {
			o.report.Set("resultsInterpreter", list(by("urn:oid:2.16.840.1.113883.4.6")))
		}, "is the original reader"},
		"name only": {func(_ *clinic, o *spoiltOrder) {
			o.report.Remove("performer")
			o.report.Set("resultsInterpreter", list(Object("display", "READER, Second MD")))
		}, "bears the name of the original reader"},
		"name in a role without number": {func(_ *clinic, o *spoiltOrder) {
			o.report.Set("contained", list(Object("resourceType", "PractitionerRole", "id", "r", "practitioner", Object("display", "Dr. Second Reader"))))
			o.report.Set("resultsInterpreter", list(Object("reference", "#r")))
		}, "bears the name of the original reader"},
		"member of a team": {func(_ *clinic, o *spoiltOrder) {
			o.report.Set("contained", list(Object("resourceType", "CareTeam", "id", "t", "participant", list(Object("member", by(npi))))))
			o.report.Set("performer", list(Object("reference", "#t")))
		}, "is the original reader"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.numbered()
			o := orderToSpoil(t, "own")
			row.spoil(c, o)
			o.send(c)
			c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
			c.tick()
			got := c.act(access.Reader, o.taskID, "$claim", "independent", true)
			if row.why == "" {
				got.want(t, http.StatusOK, "")
			} else if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, row.why) {
				t.Errorf("%d %s: %s", got.status, got.body, c.task(o.taskID).Bytes())
			}
		})
	}
}

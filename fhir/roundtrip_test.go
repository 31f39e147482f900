package fhir

import (
	"encoding/json"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// refusedToStore are official examples that decode, but may not be stored here,
// and why. Those that do not even decode are rightlyRefused (decode_test.go).
var refusedToStore = map[string]string{}

// elsewhere is where the examples' resources are whose types are not served here.
const elsewhere = "https://elsewhere.example/fhir/"

// least are the elements without which a resource of the type is refused.
var least = map[string]string{
	"Basic":                `"code":{"text":"x"}`,
	"Binary":               `"contentType":"text/plain"`,
	"Communication":        `"status":"completed"`,
	"CommunicationRequest": `"status":"active"`,
	"Condition":            `"subject":{"display":"x"}`,
	"Consent":              `"status":"active","scope":{"text":"x"},"category":[{"text":"x"}],"policyRule":{"text":"x"},"patient":{"display":"x"}`,
	"DiagnosticReport":     `"status":"final","code":{"text":"x"}`,
	"DocumentReference":    `"status":"current","content":[{"attachment":{"title":"x"}}]`,
	"Encounter":            `"status":"finished","class":{"code":"AMB"}`,
	"Endpoint":             `"status":"active","connectionType":{"code":"x"},"payloadType":[{"text":"x"}],"address":"https://elsewhere.example"`,
	"Group":                `"type":"person","actual":true`,
	"ImagingStudy":         `"status":"available","subject":{"display":"x"}`,
	"Location":             `"name":"x"`,
	"MeasureReport":        `"status":"complete","type":"individual","measure":"https://elsewhere.example/Measure/x","period":{"start":"2026"}`,
	"Media":                `"status":"completed","content":{"title":"x"}`,
	"Observation":          `"status":"final","code":{"text":"x"}`,
	"Organization":         `"name":"x"`,
	"Patient":              `"active":true`,
	"Practitioner":         `"active":true`,
	"PractitionerRole":     `"active":true`,
	"Provenance":           `"target":[{"display":"x"}],"recorded":"2026-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]`,
	"ServiceRequest":       `"status":"active","intent":"order","subject":{"display":"x"}`,
	"Subscription":         `"status":"off","reason":"x","criteria":"Task?","channel":{"type":"rest-hook"}`,
	"Task":                 `"status":"draft","intent":"order"`,
}

// The official examples refer to each other and to resources that are in no
// example. Here a reference must lead somewhere, so each of these is first put
// here with its least content; and a reference to a type that is not served is
// sent as an absolute one, which is kept as it is. Nothing is switched off.
func TestOfficialExamplesComeBackAsTheyWereStored(t *testing.T) {
	t.Parallel()
	files := readFixtures(t, "fhir-r4/examples")
	c := startClinic(t)
	examples := map[string]*Node{}
	for name, body := range files {
		n, err := Parse(body, Limits{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		row := c.server.resources[n.Type()]
		switch {
		case row == nil:
			continue
		case !row.allows("update"): // AuditEvents are the server's own
			if got := c.put("/fhir/"+n.Type()+"/"+n.Text("id"), n.jsonText()); got.status != http.StatusMethodNotAllowed {
				t.Errorf("%s: %d %s", name, got.status, got.body)
			}
			continue
		}
		sendable(c.server, n)
		examples[name] = n
	}
	if len(examples) < 150 {
		t.Fatalf("only %d examples of the types served", len(examples))
	}
	c.putLeast(examples)
	stored := 0
	for _, name := range slices.Sorted(maps.Keys(examples)) {
		n := examples[name]
		reason := rightlyRefused[name] + refusedToStore[name]
		address := "/fhir/" + n.Type() + "/" + n.Text("id")
		got := c.put(address, n.jsonText())
		if refused := got.status >= 400; refused != (reason != "") {
			t.Errorf("%s: %d, and is listed as refused: %q\n%s", filepath.Base(name), got.status, reason, got.body)
		}
		if got.status >= 400 {
			continue
		}
		stored++
		if diff := cmp.Diff(content(t, n.jsonText()), content(t, c.get(address, "Accept", fhirTypes[0]).body)); diff != "" {
			t.Errorf("%s comes back changed: %s", filepath.Base(name), diff)
		}
	}
	for name := range refusedToStore {
		if examples[name] == nil {
			t.Errorf("%s is listed as refused, and is no example of a type served", name)
		}
	}
	t.Logf("%d of %d examples stored and read back", stored, len(examples))
}

// sendable makes references to what is not served absolute.
func sendable(s *Server, n *Node) {
	for _, k := range linksOf(n, n.Type()) {
		if row := s.resources[k.target.typ]; !k.isURI && k.target.local() && (row == nil || !row.allows("update")) {
			k.node.SetText(elsewhere + k.node.Text())
		}
	}
}

// putLeast puts what the examples refer to.
func (c *clinic) putLeast(examples map[string]*Node) {
	c.t.Helper()
	done := map[string]bool{}
	for _, n := range examples {
		for _, k := range linksOf(n, n.Type()) {
			own := k.target.relative() == n.Type()+"/"+n.Text("id")
			if k.isURI || own || !k.target.local() || c.server.resources[k.target.typ] == nil || done[k.target.relative()] {
				continue
			}
			done[k.target.relative()] = true
			body := `{"resourceType":"` + k.target.typ + `","id":"` + k.target.id + `",` + least[k.target.typ] + `}`
			if got := c.put("/fhir/"+k.target.relative(), body); got.status != http.StatusCreated {
				c.t.Errorf("the least of %s: %d %s", k.target.relative(), got.status, got.body)
			}
		}
	}
}

// content is a resource without what the server says of its versions, its
// numbers as they are written.
func content(t *testing.T, text string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var v map[string]any
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	if meta, ok := v["meta"].(map[string]any); ok {
		delete(meta, "versionId")
		delete(meta, "lastUpdated")
		if len(meta) == 0 {
			delete(v, "meta")
		}
	}
	return v
}

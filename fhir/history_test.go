package fhir

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// told is a page of a history in short: method, address, status of each entry.
func (a response) told() []string {
	lines := []string{}
	for _, e := range a.node.Get("entry").Items() {
		lines = append(lines, fmt.Sprintf("%s %s %s v%s resource=%t", e.Text("request", "method"), e.Text("request", "url"),
			strings.Fields(e.Text("response", "status"))[0], strings.Trim(e.Text("response", "etag"), `W/"`), e.Get("resource") != nil))
	}
	return lines
}

// clock is a time that a test moves on.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func TestAHistoryTellsEveryVersionNewestFirst(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r := startREST(t, func(s *Server) { s.now, s.store.now = c.now, c.now })
	step := func() { c.at = c.at.Add(24 * time.Hour) }
	id := r.mustCreate("Patient", patientJSON("1"))
	step()
	r.put("/fhir/Organization/a", `{"resourceType":"Organization","id":"a","name":"A"}`)
	step()
	r.patch("/fhir/Organization/a", `[{"op":"replace","path":"/name","value":"B"}]`)
	step()
	r.remove("/fhir/Organization/a")
	step()
	r.put("/fhir/Organization/a", `{"resourceType":"Organization","id":"a","name":"C"}`)
	instance := []string{
		"PUT Organization/a 200 v4 resource=true", "DELETE Organization/a 204 v3 resource=false",
		"PUT Organization/a 200 v2 resource=true", "PUT Organization/a 201 v1 resource=true",
	}
	system := slices.Concat(instance, []string{"POST Patient 201 v1 resource=true"})
	for path, want := range map[string][]string{
		"/fhir/Organization/a/_history":                                     instance,
		"/fhir/Organization/_history":                                       instance,
		"/fhir/_history":                                                    system,
		"/fhir/Patient/" + id + "/_history":                                 system[4:],
		"/fhir/Observation/_history":                                        {},
		"/fhir/_history?_since=2026-03-04T12:00:00Z":                        system[:2],
		"/fhir/_history?_since=2026-03-04T14:00:00%2B02:00":                 system[:2],
		"/fhir/Organization/_history?_since=2027-01-01T00:00:00Z":           {},
		"/fhir/Organization/a/_history?_since=2027-01-01T00:00:00Z":         {},
		"/fhir/Organization/a/_history?_at=2026-03-03":                      instance[2:],
		"/fhir/Organization/a/_history?_at=2026-03-02T13:00:00Z":            instance[3:],
		"/fhir/Organization/a/_history?_at=2026-03-04T13:00:00Z":            instance[1:2],
		"/fhir/Organization/a/_history?_at=2026":                            instance,
		"/fhir/_history?_at=2026-03-01":                                     system[4:],
		"/fhir/_history?_at=2026-03-10&_format=json":                        {system[0], system[4]},
		"/fhir/_history?_at=2020":                                           {},
		"/fhir/Organization/_history?_count=2":                              instance[:2],
		"/fhir/Organization/_history?_count=2&_since=2026-03-03T12:00:00Z":  instance[:2],
		"/fhir/Organization/_history?_count=50&_since=2026-03-02T12:00:00Z": instance,
	} {
		got := r.get(path)
		if diff := cmp.Diff(want, got.told()); diff != "" || got.status != http.StatusOK || got.node.Text("type") != "history" {
			t.Errorf("%s: %d %s", path, got.status, diff)
		}
		if _, err := Decode([]byte(got.body), "Bundle"); err != nil {
			t.Errorf("%s: %+v", path, err)
		}
	}
	for path, status := range map[string]int{
		"/fhir/Organization/none/_history": 404, "/fhir/CodeSystem/_history": 405, "/fhir/Banana/_history": 404,
		"/fhir/_history?_count=0": 400, "/fhir/_history?_since=yesterday": 400, "/fhir/_history?_at=x": 400, "/fhir/_history?_after=x": 400, "/fhir/_history?_sort=x": 400,
	} {
		if got := r.get(path); got.status != status {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
	}
	if got := r.get("/fhir/_history?_sort=x&_count=1", "Prefer", "handling=lenient"); got.status != http.StatusOK || strings.Contains(got.node.Text("link", "url"), "_sort") {
		t.Errorf("lenient: %d %s", got.status, got.body)
	}
}

// Newer versions come before the page that is read, whatever happens meanwhile.
func TestTheNextLinksOfAHistoryNeverRepeatOrLose(t *testing.T) {
	t.Parallel()
	c := &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r := startREST(t, func(s *Server) { s.now, s.store.now = c.now, c.now }) // all at one time
	put := func(typ string, i int) {
		r.put(fmt.Sprintf("/fhir/%s/%d", typ, i), fmt.Sprintf(`{"resourceType":%q,"id":"%d","identifier":[{"value":"%d"}]}`, typ, i, i))
	}
	want := map[string]bool{}
	for i := range 12 {
		put("Organization", i%5)
		put("Practitioner", i%4)
	}
	for _, e := range r.get("/fhir/_history").node.Get("entry").Items() {
		want[e.Text("fullUrl")+e.Text("response", "etag")] = true
	}
	if len(want) != 24 {
		t.Fatalf("%d versions", len(want))
	}
	seen := map[string]bool{}
	next := "/fhir/_history?_count=5"
	for pages := 0; next != ""; pages++ {
		page := r.get(next)
		if page.status != http.StatusOK || pages > 10 {
			t.Fatal(page.status, page.body)
		}
		for _, e := range page.node.Get("entry").Items() {
			name := e.Text("fullUrl") + e.Text("response", "etag")
			if seen[name] {
				t.Errorf("%s comes twice", name)
			}
			seen[name] = true
		}
		next = ""
		for _, link := range page.node.Each("link") {
			if u, err := url.Parse(link.Text("url")); err == nil && link.Text("relation") == "next" {
				next = u.RequestURI()
			}
		}
		c.at = c.at.Add(time.Second) // others write on
		put("Organization", pages)
		r.remove(fmt.Sprintf("/fhir/Practitioner/%d", pages))
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

// Blinding holds for every version, and a deletion.
func TestAReaderSeesNoVersionOfWhatIsWithheld(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "history")...)
	c.tick()
	original := c.get("/fhir/DiagnosticReport").ids()[0]
	changed := c.get("/fhir/DiagnosticReport/" + original).node
	changed.Set("language", "en")
	if got := c.put("/fhir/DiagnosticReport/"+original, changed.jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	own := `"id":"` + original + `"` // the order may say that there is one
	study := c.get("/fhir/ImagingStudy").ids()[0]
	described := c.get("/fhir/ImagingStudy/" + study).node
	described.Set("note", []*Node{Object("text", "the first reader saw nothing")})
	c.put("/fhir/ImagingStudy/"+study, described.jsonText())

	for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
		if got := c.do(role, "GET", "/fhir/DiagnosticReport/"+original+"/_history", ""); got.status != http.StatusNotFound {
			t.Errorf("%s: %d %s", role, got.status, got.body)
		}
		for _, path := range []string{"/fhir/DiagnosticReport/_history", "/fhir/_history?_count=500"} {
			if got := c.do(role, "GET", path, ""); got.status != http.StatusOK || strings.Contains(got.body, own) || strings.Contains(got.body, "saw nothing") {
				t.Errorf("%s: %s: %d %s", role, path, got.status, got.body)
			}
		}
		batch := c.do(role, "POST", "/fhir", batchJSON(requestJSON("GET", "DiagnosticReport/"+original), requestJSON("GET", "DiagnosticReport/_history"), requestJSON("GET", "ImagingStudy/"+study+"/_history")))
		if strings.Contains(batch.body, own) || strings.Contains(batch.body, "saw nothing") || batch.statuses()[0] != "404" {
			t.Errorf("%s: %s", role, batch.body)
		}
		inside := c.do(role, "POST", "/fhir", bundleJSON(requestJSON("GET", "DiagnosticReport"), requestJSON("GET", "ImagingStudy/"+study)))
		if inside.status != http.StatusOK || strings.Contains(inside.body, own) || strings.Contains(inside.body, "saw nothing") {
			t.Errorf("%s: %s", role, inside.body)
		}
		c.do(role, "POST", "/fhir", bundleJSON(requestJSON("GET", "DiagnosticReport/"+original))).want(t, http.StatusNotFound, "not-found")
	}
	if got := c.get("/fhir/DiagnosticReport/" + original + "/_history"); len(got.told()) != 2 {
		t.Errorf("the placer: %s", got.body)
	}
	c.read(id)
	if got := c.do(access.Reader, "GET", "/fhir/DiagnosticReport/"+original+"/_history", ""); len(got.told()) != 2 {
		t.Errorf("after the reveal: %d %s", got.status, got.body)
	}
}

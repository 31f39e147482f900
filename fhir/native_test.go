package fhir

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

const png = "\x89PNG\r\n\x1a\n\x00\x01\xfe\xff"

func TestABinaryIsSentAndReadAsItsContent(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := "Patient/" + r.mustCreate("Patient", patientJSON("1"))
	made := r.post("/fhir/Binary", png, "Content-Type", "image/png", "X-Security-Context", patient)
	if made.status != http.StatusCreated || made.node.Text("contentType") != "image/png" ||
		made.node.Text("data") != base64.StdEncoding.EncodeToString([]byte(png)) || made.node.Text("securityContext", "reference") != patient {
		t.Fatalf("%d %s", made.status, made.body)
	}
	address := "/fhir/Binary/" + made.node.Text("id")
	for _, accept := range []string{"image/png", "image/*", "*/*", "", "text/html, */*;q=0.5"} {
		got := r.get(address, "Accept", accept)
		if got.status != http.StatusOK || got.body != png || got.header.Get("Content-Type") != "image/png" {
			t.Errorf("%q: %d %s %q", accept, got.status, got.header.Get("Content-Type"), got.body)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment", "Content-Security-Policy": "default-src 'none'; sandbox",
			"Cache-Control": "no-store", "ETag": `W/"1"`, "X-Security-Context": patient,
		} {
			if got.header.Get(name) != want {
				t.Errorf("%q: %s is %q", accept, name, got.header.Get(name))
			}
		}
	}
	for _, asked := range [][2]string{{"application/fhir+json", ""}, {"application/json", ""}, {"image/png", "?_format=json"}} {
		if got := r.get(address+asked[1], "Accept", asked[0]); got.node.Type() != "Binary" {
			t.Errorf("%v: %d %s", asked, got.status, got.body)
		}
	}
	r.get(address, "Accept", "image/jpeg").want(t, http.StatusNotAcceptable, "not-supported")
	r.get("/fhir/"+patient, "Accept", "image/png").want(t, http.StatusNotAcceptable, "not-supported")
	if got := r.get(address + "/_history/1?_format=image/png"); got.body != png {
		t.Errorf("version 1: %d %q", got.status, got.body)
	}
	if got := r.get(address, "If-None-Match", `W/"1"`); got.status != http.StatusNotModified {
		t.Errorf("unchanged: %d", got.status)
	}
	if got := r.do(access.Placer, "HEAD", address, ""); got.header.Get("Content-Type") != "image/png" || got.header.Get("Content-Length") != "12" || got.body != "" {
		t.Errorf("HEAD: %v", got.header)
	}
}

func TestPutOfContentIsTheNextVersionOfABinary(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte("two"))
	_ = w.Close()
	for _, c := range []struct {
		body, typ, encoding string
		status              int
		want                string
	}{
		{"one", "text/plain; charset=iso-8859-1", "", http.StatusCreated, "one"},
		{zipped.String(), "text/plain", "gzip", http.StatusOK, "two"},
	} {
		got := r.put("/fhir/Binary/a", c.body, "Content-Type", c.typ, "Content-Encoding", c.encoding)
		if read := r.get("/fhir/Binary/a"); got.status != c.status || read.body != c.want || read.header.Get("Content-Type") != c.typ {
			t.Errorf("%d, then %q of %s: %s", got.status, read.body, read.header.Get("Content-Type"), got.body)
		}
	}
	r.put("/fhir/Binary/a", "three", "Content-Type", "text/plain", "If-Match", `W/"1"`).want(t, http.StatusPreconditionFailed, "conflict")
}

func TestContentOfABinaryIsRefusedWhereItCannotBeOne(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.maxBody = 1000 })
	for name, c := range map[string]struct {
		path, body, typ, context string
		status                   int
		code                     string
	}{
		"another type":               {"/fhir/Patient", png, "image/png", "", http.StatusUnsupportedMediaType, "not-supported"},
		"larger than a body may be":  {"/fhir/Binary", strings.Repeat("x", 1001), "text/plain", "", http.StatusRequestEntityTooLarge, "too-long"},
		"no media type":              {"/fhir/Binary", "x", "nonsense", "", http.StatusUnsupportedMediaType, "not-supported"},
		"the context of nothing":     {"/fhir/Binary", "x", "text/plain", "Patient/none", http.StatusUnprocessableEntity, "business-rule"},
		"a resource of another type": {"/fhir/Binary", patientJSON("1"), "application/fhir+json", "", http.StatusBadRequest, "structure"},
	} {
		got := r.post(c.path, c.body, "Content-Type", c.typ, "X-Security-Context", c.context)
		if got.status != c.status || got.node.Text("issue", "code") != c.code {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	if n := r.count("resource"); n != 0 {
		t.Errorf("%d resources are left", n)
	}
}

// What goes into a Bundle is the resource, and a placer's page runs nowhere.
func TestContentStaysOutOfBundles(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.put("/fhir/Binary/a", "<script>alert(1)</script>", "Content-Type", "text/html")
	for _, send := range []string{
		batchJSON(requestJSON("GET", "Binary/a")), bundleJSON(requestJSON("GET", "Binary/a")),
	} {
		got := r.post("/fhir", send, "Accept", "*/*")
		if entries := got.node.Each("entry", "resource"); len(entries) != 1 || entries[0].Type() != "Binary" {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
	for _, format := range []string{"text/html", "*/*"} {
		if got := r.post("/fhir", batchJSON(requestJSON("GET", "Binary/a?_format="+format))); got.statuses()[0] != "406" {
			t.Errorf("%s: %s", format, got.body)
		}
	}
	if found := r.get("/fhir/Binary?_id=a").node.Each("entry", "resource"); len(found) != 1 || found[0].Type() != "Binary" {
		t.Errorf("a search gives %d", len(found))
	}
}

func TestTheStatementAndOpenAPITellOfContent(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, n := range r.get("/fhir/metadata").node.Each("rest", "resource") {
		if is := n.Text("documentation") == binaryDoc; is != (n.Text("type") == "Binary") {
			t.Errorf("%s: %s", n.Text("type"), n.Text("documentation"))
		}
	}
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal([]byte(r.get("/fhir/openapi.json").body), &document); err != nil {
		t.Fatal(err)
	}
	for typ, want := range map[string]bool{"Binary": true, "Patient": false} {
		for _, c := range [][2]string{{"", "post"}, {"/{id}", "put"}, {"/{id}", "get"}} {
			text := string(document.Paths["/"+typ+c[0]][c[1]])
			if is := strings.Contains(text, `"*/*":{"schema":{"format":"binary","type":"string"}}`); is != want || text == "" {
				t.Errorf("%s %s: %s", c[1], typ, text)
			}
		}
	}
}

package fhir

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// rest is a server over a database of its own, and a client of it in every
// role.
type rest struct {
	t      testing.TB
	db     *pgtest.Database
	tenant uuid.UUID
	server *Server
	url    string // up to /fhir
	tokens map[access.Role]string
}

func startREST(t testing.TB, change ...func(*Server)) *rest {
	t.Helper()
	r := &rest{t: t, db: pgtest.New(t), tokens: map[access.Role]string{}}
	r.tenant = pgtest.AddTenant(t, r.db, "north")
	for _, role := range anybody {
		r.tokens[role], _ = pgtest.AddToken(t, r.db, r.tenant, role)
	}
	e := echo.New()
	web := httptest.NewServer(e)
	t.Cleanup(web.Close)
	r.url = web.URL
	var err error
	r.server, err = New(Config{DB: r.db.DB, BaseURL: web.URL + "/fhir", Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range r.server.resources {
		row.onCreate, row.onUpdate = nil, nil // the case's side has its own tests
	}
	r.server.keepTrail(t)
	for _, fn := range change {
		fn(r.server)
	}
	r.server.Register(e)
	return r
}

// keepTrail has AuditEvents of reads wait until the test asks for them, or ends:
// so that tests can count those of changes. Whatever a test reads, the database
// must take the records of it.
func (s *Server) keepTrail(t testing.TB) {
	s.trail.delay, s.trail.batch, s.trail.room = time.Hour, 1<<20, 1<<20
	t.Cleanup(func() {
		if s.trail == nil {
			return
		}
		s.trail.batch = trailBatch
		if err := s.Flush(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// response is what came back.
type response struct {
	status int
	header http.Header
	body   string
	node   *Node // nil when the body is no FHIR
}

// settle does what the job does with AuditEvents that were written.
func (r *rest) settle() {
	r.t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = r.server.Settle(context.Background()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// restClient keeps a connection for each of many clients at once.
var restClient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: false}}

// do sends a request as somebody; header holds names and values in turn.
func (r *rest) do(as access.Role, method, path, body string, header ...string) response {
	r.t.Helper()
	if strings.Contains(path+body, auditEventType) {
		r.settle()
	}
	request, err := http.NewRequest(method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token := r.tokens[as]; token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/fhir+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			request.Header.Del(header[i])
		}
	}
	answer, err := restClient.Do(request)
	if err != nil {
		r.t.Error(err)
		return response{}
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Error(err)
	}
	n, _ := Parse(text, Limits{})
	return response{answer.StatusCode, answer.Header, string(text), n}
}

func (r *rest) get(path string, header ...string) response {
	r.t.Helper()
	return r.do(access.Placer, "GET", path, "", header...)
}

func (r *rest) post(path, body string, header ...string) response {
	r.t.Helper()
	return r.do(access.Placer, "POST", path, body, header...)
}

func (r *rest) put(path, body string, header ...string) response {
	r.t.Helper()
	return r.do(access.Placer, "PUT", path, body, header...)
}

// mustCreate posts a resource and returns its id.
func (r *rest) mustCreate(typ, body string) string {
	r.t.Helper()
	got := r.post("/fhir/"+typ, body)
	if got.status != http.StatusCreated {
		r.t.Fatalf("POST %s: %d %s", typ, got.status, got.body)
	}
	return got.node.Text("id")
}

// ids are the ids of the resources on a page of a search, in its order.
func (a response) ids() []string {
	found := []string{}
	for _, id := range a.node.Each("entry", "resource", "id") {
		found = append(found, id.Text())
	}
	return found
}

func (a response) want(t testing.TB, status int, code string) {
	t.Helper()
	if a.status != status || a.node.Text("issue", "code") != code {
		t.Errorf("got %d %s, want %d %s: %s", a.status, a.node.Text("issue", "code"), status, code, a.body)
	}
}

// quoted is a text as JSON.
func quoted(text string) string {
	b, _ := json.Marshal(text)
	return string(b)
}

func patientJSON(identifier string) string {
	return `{"resourceType":"Patient","identifier":[{"system":"urn:mrn","value":` + quoted(identifier) + `}],"name":[{"family":"Müller-Ødegård","given":["Zoë"]}],"birthDate":"1970-05"}`
}

func orderJSON(patient string) string {
	return `{"resourceType":"ServiceRequest","status":"active","intent":"order","code":{"coding":[{"system":"http://loinc.org","code":"24627-2"}]},"subject":{"reference":` + quoted(patient) + `}}`
}

package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

const ourApp = "https://app.example"

func corsHeaders(h http.Header) (names []string) {
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			names = append(names, name)
		}
	}
	return names
}

func TestAListedOriginMayCallFromABrowser(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.origins = []string{ourApp} })
	for _, method := range corsMethods {
		got := r.do("", "OPTIONS", "/fhir/Patient/1", "", "Origin", ourApp, "Access-Control-Request-Method", method, "Access-Control-Request-Headers", "authorization,if-match")
		if got.status != http.StatusNoContent || got.header.Get("Access-Control-Allow-Origin") != ourApp ||
			!strings.Contains(got.header.Get("Access-Control-Allow-Methods"), method) ||
			!strings.Contains(got.header.Get("Access-Control-Allow-Headers"), "If-Match") {
			t.Errorf("preflight of %s: %d %v", method, got.status, got.header)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Error("credentials are allowed")
		}
	}
	got := r.get("/fhir/Patient", "Origin", ourApp)
	if got.status != http.StatusOK || got.header.Get("Access-Control-Allow-Origin") != ourApp {
		t.Errorf("a search: %d %v", got.status, got.header)
	}
	for _, name := range []string{"ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id", "Retry-After", "X-Progress"} {
		if !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), name) {
			t.Errorf("%s is not exposed", name)
		}
	}
	// A refusal too: an app must be able to read why.
	if got := r.do("", "GET", "/fhir/Patient", "", "Origin", ourApp); got.status != http.StatusUnauthorized || got.header.Get("Access-Control-Allow-Origin") != ourApp {
		t.Errorf("without a token: %d %v", got.status, got.header)
	}
}

func TestAnOriginThatIsNotListedGetsNoCORSHeader(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) { s.origins = []string{ourApp, "http://localhost:3000"} })
	for _, origin := range []string{
		"https://app.example.evil.example", "https://evil-app.example", "http://app.example", "https://app.example:8443",
		"https://APP.example", "null", "*", "https://sub.app.example", "http://localhost",
	} {
		for _, method := range []string{"OPTIONS", "GET"} {
			got := r.do(access.Placer, method, "/fhir/Patient", "", "Origin", origin, "Access-Control-Request-Method", "GET")
			if names := corsHeaders(got.header); len(names) > 0 {
				t.Errorf("%s from %s: %v", method, origin, got.header)
			}
		}
	}
}

func TestWithoutListedOriginsThereIsNoCORS(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, method := range []string{"OPTIONS", "GET"} {
		if got := r.do(access.Placer, method, "/fhir/Patient", "", "Origin", ourApp, "Access-Control-Request-Method", "GET"); len(corsHeaders(got.header)) > 0 {
			t.Errorf("%s: %v", method, got.header)
		}
	}
	if got := r.get("/fhir/metadata"); got.node.Text("rest", "security", "cors") != "false" {
		t.Errorf("the CapabilityStatement says cors: %s", got.node.Text("rest", "security", "cors"))
	}
}

func TestWhatIsPublicIsOpenToEveryOrigin(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, path := range corsOpen {
		for _, method := range []string{"OPTIONS", "GET"} {
			if got := r.do("", method, path, "", "Origin", "https://anybody.example", "Access-Control-Request-Method", "GET"); got.header.Get("Access-Control-Allow-Origin") != "*" {
				t.Errorf("%s %s: %d %v", method, path, got.status, got.header)
			}
		}
	}
}

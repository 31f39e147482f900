package main

import (
	"os"
	"strings"
	"testing"
)

// The browser's tests hold that every page was looked at (internal/peers/browser/seen.mjs);
// which there are is told to them by the router: OVERREAD_UPDATE=1 writes it anew.
func TestTheBrowsersTestsKnowEveryPage(t *testing.T) {
	t.Parallel()
	const file = "../../internal/peers/browser/routes.txt"
	var routes strings.Builder
	for _, route := range routesOf(t, newWorld(t)) {
		if isFile := strings.HasPrefix(route, "/assets/"); !isFile && (!strings.HasPrefix(route, "/fhir") || strings.HasPrefix(route, "/fhir/docs")) {
			routes.WriteString(route + "\n")
		}
	}
	if os.Getenv("OVERREAD_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(routes.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	known, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(known) != routes.String() {
		t.Errorf("%s is not what the server serves: OVERREAD_UPDATE=1 go test ./cmd/overread -run TestTheBrowsersTestsKnowEveryPage, and let a browser's test visit what is new", file)
	}
}

package web

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every kind of event that the house records besides accesses has words on the pages of
// the trail.
func TestEachKindOfEventHasWords(t *testing.T) {
	source, err := os.ReadFile("../internal/access/event.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := regexp.MustCompile(`(?m)^\t\w+\s+EventKind = "([a-z-]+)"`).FindAllSubmatch(source, -1)
	if len(kinds) < 30 {
		t.Fatalf("%d kinds are read", len(kinds))
	}
	for _, kind := range kinds {
		if trailWords[string(kind[1])] == "" {
			t.Errorf("%s has no words", kind[1])
		}
	}
}

// Why a launch was refused, and how the API refuses, is said in the language of the page.
func TestEachReasonOfARefusalIsATextOfThePages(t *testing.T) {
	found := 0
	wants := func(reason string) {
		found++
		if !slices.Contains(trailReasons, reason) {
			t.Errorf("%q is no text of the pages", reason)
		}
	}
	sources, _ := filepath.Glob("../integrations/smart/*.go")
	for _, name := range sources {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, reason := range regexp.MustCompile(`refuse(?:For)?\((?:\w+|"[^"]+"), "([^"]+)"`).FindAllSubmatch(source, -1) {
			wants(string(reason[1]))
		}
	}
	source, err := os.ReadFile("../fhir/outcome.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range regexp.MustCompile(`fault\.\w+: +\{"([a-z-]+)", http\.Status(\w+)\}`).FindAllSubmatch(source, -1) {
		status := 400
		for strings.ReplaceAll(http.StatusText(status), " ", "") != string(row[2]) && status < 600 {
			status++
		}
		wants(strconv.Itoa(status) + " " + string(row[1]))
	}
	if found < 45 {
		t.Errorf("only %d reasons were read", found)
	}
}

// Sizes are written as the language writes numbers.
func TestSizesAreWrittenAsTheLanguageWritesNumbers(t *testing.T) {
	for n, want := range map[int64][2]string{
		0: {"0 B", "0 B"}, 999: {"999 B", "999 B"}, 18_100_000_000: {"18.1 GB", "18,1 GB"}, 64_349_999: {"64.3 MB", "64,3 MB"}, 999_960: {"1.0 MB", "1,0 MB"}, 999_940: {"999.9 kB", "999,9 kB"},
		2_000_000_000_000_000_000: {"2,000.0 PB", "2.000,0 PB"},
	} {
		if en, de := languages["en"].bytes(n), languages["de"].bytes(n); en != want[0] || de != want[1] {
			t.Errorf("%d: %q and %q, not %q", n, en, de, want)
		}
	}
}

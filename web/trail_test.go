package web

import (
	"os"
	"regexp"
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

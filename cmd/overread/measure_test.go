package main

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/pgtest"
)

func TestWhatIsCountedIsMadeAnewForOneTenant(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	at := func(args ...string) []string { return append(args, "--database-url", db.URL) }
	if out, err := overreadOutput(t, at("tenant", "create", "north")...); err != nil {
		t.Fatal(err, out)
	}
	for range 2 {
		if out, err := overreadOutput(t, at("measure", "rebuild", "north")...); err != nil || !strings.Contains(out, "tenant north: what is counted of 0 cases is as their histories tell") {
			t.Errorf("%v: %s", err, out)
		}
	}
	if out, err := overreadOutput(t, at("measure", "rebuild", "south")...); err == nil {
		t.Errorf("a tenant that there is not: %s", out)
	}
}

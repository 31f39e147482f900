package main

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/overread/overread/internal/pgtest"
)

// TestThePeopleOfATenantMoveWithIt: the roles that its provider gives and who is
// which reader are there too, as they were.
func TestThePeopleOfATenantMoveWithIt(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	w.must("person", "add", "house", "both", "--reader", w.reader.String())
	w.must("person", "add", "house", "gone", "--reader", w.reader.String())
	var persons []personRow
	list := func() {
		t.Helper()
		persons = nil
		if err := json.Unmarshal([]byte(w.must("person", "list", "--json")), &persons); err != nil {
			t.Fatal(err)
		}
	}
	list()
	for _, p := range persons {
		if p.Subject == "gone" {
			w.must("person", "end", p.PersonID.String())
		}
	}
	var issuer string
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT issuer FROM provider`).Scan(&issuer); err != nil {
		t.Fatal(err)
	}
	w.must("tenant", "suspend", "mercy", "--reason", "moves")
	file := filepath.Join(t.TempDir(), "mercy")
	w.must("tenant", "export", "mercy", "--out", file, "--move")
	again := file + ".again" // as when the first one was lost
	w.must("tenant", "export", "mercy", "--out", again, "--move")

	w.db = pgtest.New(t)
	provider := []string{"provider", "add", "house", issuer, "--client-id", "overread"}
	if got := w.must(provider...); !strings.Contains(got, "nobody has a role by it yet") {
		t.Error(got)
	}
	w.must("tenant", "create", "elsewhere")
	_, other := pgtest.AddReader(t, w.db, pgtest.AddTenant(t, w.db, "here"), "Dr. Other", map[string]any{})
	w.must("person", "add", "house", "both", "--reader", other.ID.String())
	said := w.must("tenant", "import", again)
	for _, want := range []string{"sign in as its readers: 2", "not linked: both at " + issuer} {
		if !strings.Contains(said, want) {
			t.Errorf("import says %s, want %q", said, want)
		}
	}
	list()
	ended := map[string]bool{}
	for _, p := range persons {
		ended[p.Subject] = p.EndedAt != nil
		if is := *p.ReaderID == w.reader; is == (p.Subject == "both") {
			t.Errorf("%s is reader %s", p.Subject, p.ReaderID)
		}
	}
	if len(ended) != 3 || ended["ito"] || !ended["gone"] {
		t.Errorf("who is ended: %v", ended)
	}
	w.must(provider...) // takes nothing of it back
	if got := w.must("provider", "list"); !strings.Contains(got, `"desk" means coordinator at mercy`) {
		t.Errorf("what claims mean: %s", got)
	}
	if _, err := overreadOutput(t, append(provider, "--roles-claim", "other", "--database-url", w.db.URL)...); err == nil || !strings.Contains(err.Error(), "--roles-claim") {
		t.Errorf("another claim without what it means: %v", err)
	}
}

// TestWhoSignsInWhileTheirHospitalIsSuspendedWorksWhenItGoesOn and is told so
// until then.
func TestWhoSignsInWhileTheirHospitalIsSuspendedWorksWhenItGoesOn(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	w.must("tenant", "suspend", "mercy", "--reason", "a pause")
	v := w.visitor()
	if got := v.signIn("kim"); got.status != http.StatusOK || got.at != "/home" {
		t.Fatalf("%d %s", got.status, got.at)
	}
	ask := func() int { return v.get("/fhir/Patient").status }
	if got := ask(); got != http.StatusServiceUnavailable {
		t.Errorf("while it is suspended: %d", got)
	}
	w.must("tenant", "resume", "mercy")
	if got := ask(); got != http.StatusOK {
		t.Errorf("after: %d", got)
	}
}

func TestWhoHasSignedInKeepsTheirNameAndTheSecondPersonOfAReaderIsTold(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	w.visitor().signIn("kim")
	said := w.must("person", "add", "house", "kim", "--reader", w.reader.String())
	if !strings.HasPrefix(said, "person Kim at the desk is reader ") || !strings.Contains(said, "that reader is also person ") {
		t.Error(said)
	}
}

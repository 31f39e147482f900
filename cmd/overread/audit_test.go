package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/auditlog"
)

// The server is killed while it writes, reads and gives events their places. Then
// an auditor proves the log from three files, and finds what was changed in them.
func TestAnAuditorProvesTheLogOfAServerThatWasKilled(t *testing.T) {
	dir := t.TempDir()
	key, notes := filepath.Join(dir, "key"), filepath.Join(dir, "checkpoints")
	mustRun(t, "audit", "key", key)
	if _, err := overreadOutput(t, "audit", "key", key); err == nil {
		t.Error("a key is overwritten")
	}
	t.Setenv("OVERREAD_AUDIT_KEY", key)
	t.Setenv("OVERREAD_AUDIT_CHECKPOINTS", notes)

	w := newEHR(t)
	server, base := startChild(t, w.database.URL)
	w.settleIn(t, base)
	placer := w.clients["mercy-placer"]
	created := 0
	for round := range 4 {
		over := server.blow(time.Duration(150+100*round) * time.Millisecond)
		for blown := false; !blown; {
			select {
			case <-over:
				blown = true
			default:
			}
			patient := fhir.Object("resourceType", "Patient", "active", true)
			if got, err := placer.send(t.Context(), http.MethodPost, "Patient", patient); err == nil && got.status == http.StatusCreated {
				created++
				_, _ = placer.send(t.Context(), http.MethodGet, "Patient/"+locationID(got.location, "Patient"), nil)
			}
		}
	}
	server.kill() // what it read in the last moment is lost; then nobody else is at the log
	w.seal(t, key, notes)

	export := filepath.Join(dir, "export.ndjson")
	at := []string{"--database-url", w.database.URL}
	mustRun(t, append([]string{"audit", "export", "mercy", "--out", export}, at...)...)
	var tenant string
	if err := w.database.Owner(t).QueryRow(t.Context(), `SELECT tenant_id::text FROM tenant WHERE name = 'mercy'`).Scan(&tenant); err != nil {
		t.Fatal(err)
	}
	verify := []string{"audit", "verify", "--checkpoints", filepath.Join(notes, tenant+".checkpoints"), "--key", key + ".pub", "--export"}
	if out := mustRun(t, append(verify, export)...); !strings.HasPrefix(out, "proved: ") {
		t.Error(out)
	}
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte(`"subtype":[{"system":"http://hl7.org/fhir/restful-interaction","code":"create"}]`)); created == 0 || n < created {
		t.Errorf("%d creates were answered, %d are in the log", created, n)
	}
	changed := filepath.Join(dir, "changed.ndjson")
	if err := os.WriteFile(changed, bytes.Replace(text, []byte(`"outcome":"0"`), []byte(`"outcome":"8"`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := overreadOutput(t, append(verify, changed)...); err == nil || !strings.Contains(err.Error(), "index 0 is wrong") {
		t.Errorf("a changed export: %v", err)
	}
	for _, f := range examine(t.Context(), w.database.URL, nil) {
		if strings.HasPrefix(f.Check, "audit log") && f.Verdict != ok {
			t.Errorf("%+v", f)
		}
	}
}

// seal gives every event its place and signs, as the jobs of the server do, which
// still run: so the test need not wait for the minute.
func (w *world) seal(t *testing.T, key, dir string) {
	t.Helper()
	signer, err := signerOf(key, false)
	if err != nil {
		t.Fatal(err)
	}
	surface, err := fhir.New(fhir.Config{DB: w.database.DB, BaseURL: commandLine})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "every AuditEvent has its place", func() error { // of two who place them at once one leaves it to the other
		n, err := placeEvents(t.Context(), w.database.DB, surface)
		if err != nil {
			return err
		}
		var waiting int
		err = w.database.Owner(t).QueryRow(t.Context(), `SELECT (SELECT count(*) FROM audit_inbox) + (SELECT count(*) FROM audit_pending)`).Scan(&waiting)
		if err == nil && n+waiting > 0 {
			err = fmt.Errorf("%d placed, %d wait", n, waiting)
		}
		return err
	})
	sealer := &auditlog.Sealer{DB: w.database.DB, Signer: signer, Dir: dir, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	if _, err := sealer.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	out, err := overreadOutput(t, args...)
	if err != nil {
		t.Fatalf("overread %s: %v", strings.Join(args, " "), err)
	}
	return out
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/standin"
	"github.com/overread/overread/internal/tenant"
)

// TestATenantMovesToAnotherServer: one case is final and its report delivered, one
// is being read, one is signed while its EHR is down. The tenant is suspended,
// moved to another database with another server, and goes on there as if nothing
// had been.
func TestATenantMovesToAnotherServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, notes := filepath.Join(dir, "key"), filepath.Join(dir, "notes")
	mustRun(t, "audit", "key", key)
	if err := os.Mkdir(notes, 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	tale := tales()[0] // agreement; its last chapter is the acknowledgement
	begun := []struct {
		order
		task  string
		until int // chapters that happen before the move
	}{{order: w.orderFor(tale, 901), until: 6}, {order: w.orderFor(tale, 902), until: 4}, {order: w.orderFor(tale, 903), until: 7}}
	for i := range begun {
		c := &begun[i]
		c.task = w.send(t, c.order)
		for _, chapter := range tale.chapters[:c.until] {
			w.live(t, c.order, c.task, chapter)
		}
	}
	w.live(t, begun[0].order, begun[0].task, tale.chapters[6])
	w.checkReport(t, begun[0].order, tale)
	at := []string{"--database-url", w.database.URL}
	cmd := func(args ...string) string { return mustRun(t, append(args, at...)...) }

	cmd("tenant", "suspend", "mercy", "--reason", "moves to another server")
	w.mustBeSuspended(t, begun[1].task)
	w.seal(t, key, notes)
	file := filepath.Join(dir, "mercy.tenant")
	if out := cmd("tenant", "export", "mercy", "--out", file, "--move"); !strings.Contains(out, "patients' data") {
		t.Error(out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v %v", info, err)
	}
	for want, args := range map[string][]string{
		"exists":     {"tenant", "export", "mercy", "--out", file},
		"two ends":   {"tenant", "resume", "mercy"},
		"moved away": {"tenant", "export", "mercy", "--out", filepath.Join(dir, "again")},
	} {
		if _, err := overreadOutput(t, append(args, at...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("overread %v: %v, want %q", args, err, want)
		}
	}

	there := pgtest.New(t)
	base := serveInProcess(t, there.URL)
	at = []string{"--database-url", there.URL}
	if out := cmd("tenant", "import", file); !strings.Contains(out, "tenant resume mercy\n") {
		t.Error(out)
	}
	old := w.seeder
	w.database, w.seeder = there, newSeeder(there.DB, base, w.chart.base, t.TempDir())
	w.tenants, w.readers = old.tenants, old.readers
	for name, c := range old.clients {
		w.clients[name] = client{base: base, token: c.token}
	}
	w.mustBeSuspended(t, begun[1].task)
	cmd("tenant", "resume", "mercy", "--reason", "it is here now")
	for _, c := range begun[1:] {
		for _, chapter := range tale.chapters[c.until:] {
			w.live(t, c.order, c.task, chapter)
		}
		w.checkReport(t, c.order, tale)
	}
	w.live(t, begun[0].order, begun[0].task, tale.chapters[7])

	notes = carryNotes(t, notes, w.tenants["mercy"])
	w.seal(t, key, notes) // into the same file of checkpoints
	export := filepath.Join(dir, "log.ndjson")
	cmd("audit", "export", "mercy", "--out", export)
	out := mustRun(t, "audit", "verify", "--checkpoints", filepath.Join(notes, w.tenants["mercy"].String()+".checkpoints"), "--key", key+".pub", "--export", export)
	if !strings.HasPrefix(out, "proved: ") || !strings.Contains(out, "by 2 checkpoints") {
		t.Error(out)
	}
	text, err := os.ReadFile(export)
	if err != nil {
		t.Fatal(err)
	}
	for _, what := range []access.EventKind{access.TenantSuspended, access.TenantExported, access.TenantImported, access.TenantResumed} {
		if n := strings.Count(string(text), `"code":"`+string(what)+`"`); n != 1 {
			t.Errorf("%s is recorded %d times", what, n)
		}
	}
}

// carryNotes brings the checkpoints of a tenant into the directory of another server.
func carryNotes(t *testing.T, from string, tenant uuid.UUID) (to string) {
	t.Helper()
	to = t.TempDir()
	name := tenant.String() + ".checkpoints"
	text, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, name), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// mustBeSuspended asks as those who are known, and as somebody who is not.
func (w *world) mustBeSuspended(t *testing.T, task string) {
	t.Helper()
	for _, who := range []string{"mercy-placer", "mercy-coordinator", "mercy-haddad"} {
		for _, path := range []string{"Task/" + task, "Patient", "metadata"} {
			got, err := w.clients[who].send(t.Context(), http.MethodGet, path, nil)
			switch want := http.StatusServiceUnavailable; {
			case path == "metadata" && got.status == http.StatusOK:
			case got.status != want || err == nil || !strings.Contains(err.Error(), "suspended"):
				t.Errorf("%s %s: %d %v", who, path, got.status, err)
			}
		}
	}
	if got, _ := (client{base: w.base, token: "guessed"}).send(t.Context(), http.MethodGet, "Patient", nil); got.status != http.StatusUnauthorized {
		t.Errorf("an unknown token: %d", got.status)
	}
}

func TestNothingHappensForASuspendedTenantAndThenEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "mercy", "lakeside")
	at := []string{"--database-url", w.database.URL}
	tale := tales()[0]
	o := w.orderFor(tale, 911)
	task := w.send(t, o)
	for _, chapter := range tale.chapters[:6] {
		w.live(t, o, task, chapter)
	}
	w.ehr.Order(standin.Fault{Mode: "down"})
	w.live(t, o, task, tale.chapters[6])
	eventually(t, "the delivery is to be tried", func() error { return w.tried(t, 0) })
	mustRun(t, append([]string{"tenant", "suspend", "mercy", "--reason", "the contract ended"}, at...)...)
	w.ehr.Heal()
	owner := w.database.Owner(t)
	exec := func(sql string) {
		t.Helper()
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE delivery SET next_attempt_at = now() - interval '1 minute', lease_until = NULL`)
	exec(`UPDATE agenda SET due_at = now() - interval '1 minute' WHERE kind = 'clock-acknowledge'`)
	var attempts, stage int
	if err := owner.QueryRow(t.Context(), `SELECT attempts FROM delivery`).Scan(&attempts); err != nil {
		t.Fatal(err)
	}

	w.mustBeSuspended(t, task)
	if _, err := w.clients["lakeside-placer"].get(t.Context(), "Patient"); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	for _, j := range testJobs(t, w) { // as often as a job would have looked
		for range 3 {
			if n, err := j.run(t.Context()); err != nil || n > 0 && j.name != "audit-log" {
				t.Errorf("the job %s did %d things (%v)", j.name, n, err)
			}
		}
	}
	if err := w.tried(t, attempts); err == nil {
		t.Error("a delivery was tried while the tenant was suspended")
	}
	var listed []tenant.Row
	if err := json.Unmarshal([]byte(mustRun(t, append([]string{"tenant", "list", "--json"}, at...)...)), &listed); err != nil {
		t.Fatal(err)
	}
	if len(listed) != 2 || listed[1].Name != "mercy" || listed[1].State != tenant.Suspended || listed[1].CasesOpen != 1 || listed[1].LastActivity == nil || listed[1].Reason != "the contract ended" {
		t.Errorf("%+v", listed)
	}

	mustRun(t, append([]string{"tenant", "resume", "mercy"}, at...)...)
	w.checkReport(t, o, tale)
	eventually(t, "the clock is to speak", func() error {
		if err := owner.QueryRow(t.Context(), `SELECT stage FROM agenda WHERE kind = 'clock-acknowledge'`).Scan(&stage); err != nil || stage == 0 {
			return errors.Join(errors.New("it has not spoken"), err)
		}
		return nil
	})
	var warned int
	if err := owner.QueryRow(t.Context(), `SELECT count(*) FROM case_event WHERE event = 'warn' AND detail::text LIKE '%acknowledge%'`).Scan(&warned); err != nil || warned != 1 {
		t.Errorf("what was due was done %d times (%v)", warned, err)
	}
}

// tried is an error unless the only delivery was tried more often than that.
func (w *world) tried(t *testing.T, before int) error {
	t.Helper()
	var attempts int
	err := w.database.Owner(t).QueryRow(t.Context(), `SELECT attempts FROM delivery`).Scan(&attempts)
	if err == nil && attempts <= before {
		err = pgx.ErrNoRows
	}
	return err
}

// testJobs are the jobs of a server of the test's own on the world's database.
func testJobs(t *testing.T, w *world) []job {
	t.Helper()
	listener, err := listen(context.Background(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	o, err := assemble(&serveCmd{Outbound: thisMachine}, w.database.DB, listener.Addr(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return o.jobs
}

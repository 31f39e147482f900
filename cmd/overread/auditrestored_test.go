package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pgtest"
)

// house is a database whose audit log is signed.
type house struct {
	t        *testing.T
	db       *pgtest.Database
	tenant   uuid.UUID
	dir, key string
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, db: pgtest.New(t), dir: filepath.Join(t.TempDir(), "checkpoints")}
	h.tenant = pgtest.AddTenant(t, h.db, "north")
	if err := os.Mkdir(h.dir, 0o750); err != nil {
		t.Fatal(err)
	}
	h.newKey()
	return h
}

func (h *house) newKey() {
	h.key = filepath.Join(h.t.TempDir(), "key")
	mustRun(h.t, "audit", "key", h.key)
}

// work records something, gives it its place and signs, as one serve does. It
// returns what the sealer said.
func (h *house) work(events int) (string, error) {
	h.t.Helper()
	for range events {
		err := h.db.Finish(h.t.Context(), h.tenant, func(tx pgx.Tx) error {
			return record(h.t.Context(), h.db.DB, tx, access.Event{Kind: access.TenantChanged, Tenant: h.tenant, Object: "north"})
		})
		if err != nil {
			h.t.Fatal(err)
		}
	}
	surface, err := fhir.New(fhir.Config{DB: h.db.DB, BaseURL: commandLine})
	if err != nil {
		h.t.Fatal(err)
	}
	for n := 1; n > 0; {
		if n, err = placeEvents(h.t.Context(), h.db.DB, surface); err != nil {
			h.t.Fatal(err)
		}
	}
	signer, err := signerOf(h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	var said strings.Builder
	sealer := &auditlog.Sealer{DB: h.db.DB, Signer: signer, Dir: h.dir, Now: time.Now, Log: slog.New(slog.NewTextHandler(&said, nil))}
	_, err = sealer.Tick(h.t.Context())
	return said.String(), err
}

func (h *house) mustWork(events int) string {
	h.t.Helper()
	said, err := h.work(events)
	if err != nil {
		h.t.Fatal(err)
	}
	return said
}

// restore takes everything after so many events out of the log, as a backup of
// then does.
func (h *house) restore(size int) {
	h.t.Helper()
	for _, sql := range []string{`DELETE FROM audit_leaf WHERE index >= $1`, `DELETE FROM audit_checkpoint WHERE size > $1`} {
		if _, err := h.db.Owner(h.t).Exec(h.t.Context(), sql, size); err != nil {
			h.t.Fatal(err)
		}
	}
	hashes := 0
	for n := size; n > 0; n >>= 1 { // each level has half as many
		hashes += n
	}
	if _, err := h.db.Owner(h.t).Exec(h.t.Context(), `DELETE FROM audit_hash WHERE hash_index >= $1`, hashes); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) doctor() (string, error) {
	return overreadOutput(h.t, "doctor", "--database-url", h.db.URL, "--audit-checkpoints", h.dir)
}

// verify exports the log and proves it.
func (h *house) verify(with ...string) (string, error) {
	h.t.Helper()
	export := filepath.Join(h.t.TempDir(), "export")
	mustRun(h.t, "audit", "export", "north", "--database-url", h.db.URL, "--out", export)
	return overreadOutput(h.t, append([]string{"audit", "verify", "--export", export, "--checkpoints", filepath.Join(h.dir, auditlog.CheckpointFile(h.tenant))}, with...)...)
}

func TestARestoreIsFoundToldAndProved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustWork(5)
	h.mustWork(6)
	const good, bad = "OK    audit log goes on", "FAIL  audit log goes on"
	if out, _ := h.doctor(); !strings.Contains(out, good) {
		t.Errorf("before: %s", out)
	}
	restored := []string{"audit", "restored", "north", "--database-url", h.db.URL, "--audit-checkpoints", h.dir, "--reason", "the disk broke"}
	if out, err := overreadOutput(t, restored...); err == nil {
		t.Errorf("nothing was lost, and it is said to be restored: %s", out)
	}
	h.restore(5)
	for _, n := range []int{0, 20} {
		said, err := h.work(n)
		if err == nil || !strings.Contains(said, "level=ERROR") || !strings.Contains(said, "size 11") {
			t.Errorf("signed after a restore: %v %s", err, said)
		}
		if out, err := h.doctor(); err == nil || !strings.Contains(out, bad) || !strings.Contains(out, "audit restored") {
			t.Errorf("the doctor says %s", out)
		}
	}
	mustRun(t, restored...)
	h.mustWork(1)
	if out, _ := h.doctor(); !strings.Contains(out, good) {
		t.Errorf("afterwards: %s", out)
	}
	aside, err := filepath.Glob(filepath.Join(h.dir, "*.lost-11-*"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("%q %v", aside, err)
	}
	if out, err := h.verify("--key", h.key+".pub"); err != nil || strings.Contains(out, "LOST") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := h.verify("--key", h.key+".pub", "--checkpoints", aside[0]); err != nil || !strings.Contains(out, "LOST in a restore, as the AuditEvent with index 25 says: 11 AuditEvents had been signed") || !strings.Contains(out, "first 5 are proved") {
		t.Errorf("%v %s", err, out)
	}
}

// Without the event that says so, what was signed and is not there is a tampering.
func TestWhatWasLostAndNotToldIsTampering(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustWork(5)
	h.mustWork(6)
	h.restore(5)
	file := filepath.Join(h.dir, auditlog.CheckpointFile(h.tenant))
	aside := filepath.Join(t.TempDir(), "aside")
	if err := os.Rename(file, aside); err != nil {
		t.Fatal(err)
	}
	h.mustWork(20)
	if out, err := h.verify("--key", h.key+".pub", "--checkpoints", aside); err == nil || !strings.Contains(err.Error(), "11 events were signed before") {
		t.Errorf("%v %s", err, out)
	}
}

func TestAnotherKeyIsSaidWhenItSignsAndWhenItIsProved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustWork(3)
	first := h.key
	if said := h.mustWork(2); strings.Contains(said, "another key") {
		t.Errorf("the same key: %s", said)
	}
	h.newKey()
	if said := h.mustWork(0); !strings.Contains(said, "level=WARN") || !strings.Contains(said, "another key") {
		t.Errorf("nothing is said of the key when it comes: %s", said)
	}
	if said := h.mustWork(2); !strings.Contains(said, "another key") {
		t.Errorf("nothing is said of the key when it signs: %s", said)
	}
	both := filepath.Join(t.TempDir(), "both")
	var text []byte
	for _, key := range []string{first, h.key} {
		public, err := os.ReadFile(key + ".pub")
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, public...)
		if out, err := h.verify("--key", key+".pub"); err == nil {
			t.Errorf("proved with one of two keys: %s", out)
		}
	}
	if err := os.WriteFile(both, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]string{"two": {"--key", h.key + ".pub", "--key", first + ".pub"}, "a file of two": {"--key", both}} {
		if out, err := h.verify(keys...); err != nil || !strings.Contains(out, "(size 7) on they are signed with another key") {
			t.Errorf("%s: %v %s", name, err, out)
		}
	}
	if out, err := h.verify("--key", both, "--not-older-than", "5m"); err != nil {
		t.Errorf("%v %s", err, out)
	}
	if out, err := h.verify("--key", both, "--not-older-than", "1ns"); err == nil {
		t.Errorf("it is older: %s", out)
	}
}

func TestAnAuditKeyThatOthersCanReadIsRefused(t *testing.T) {
	t.Parallel()
	key := filepath.Join(t.TempDir(), "key")
	mustRun(t, "audit", "key", key)
	for mode, good := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o644: false, 0o660: false, 0o604: false} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := signerOf(key); (err == nil) != good {
			t.Errorf("%o: %v", mode, err)
		}
	}
}

func TestAnErasureThatFindsNothingFails(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustWork(2)
	out, err := overreadOutput(t, "audit", "erase", "north", "--database-url", h.db.URL, "--patient", "typo", "--reason", "asked for")
	if err == nil || !strings.Contains(err.Error(), "nothing is erased") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := overreadOutput(t, "doctor", "--database-url", pgtest.New(t).URL); !strings.Contains(out, "there is no checkpoint yet") {
		t.Errorf("%v %s", err, out)
	}
}

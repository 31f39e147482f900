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
	runs     *auditlog.Sealer // of a serve that goes on running; nil: each work is by another one
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
	var said strings.Builder
	sealer := h.runs
	if sealer == nil {
		sealer = h.start()
	}
	sealer.Log = slog.New(slog.NewTextHandler(&said, nil))
	_, err = sealer.Tick(h.t.Context())
	return said.String(), err
}

// start is the sealer of a serve that was just started.
func (h *house) start() *auditlog.Sealer {
	h.t.Helper()
	signer, err := signerOf(h.key, false)
	if err != nil {
		h.t.Fatal(err)
	}
	return &auditlog.Sealer{DB: h.db.DB, Signer: signer, Dir: h.dir, Now: time.Now}
}

// restored is what an operator says after a restore, and lost where the file is gone.
func (h *house) restored() []string {
	return []string{"audit", "restored", "north", "--database-url", h.db.URL, "--audit-checkpoints", h.dir, "--key", h.key + ".pub", "--reason", "the disk broke"}
}

func (h *house) lost() []string {
	return []string{"audit", "checkpoints-lost", "north", "--database-url", h.db.URL, "--audit-checkpoints", h.dir, "--reason", "the volume broke"}
}

func (h *house) file() string { return filepath.Join(h.dir, auditlog.CheckpointFile(h.tenant)) }

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
	return overreadOutput(h.t, append([]string{"audit", "verify", "--export", export, "--checkpoints", h.file()}, with...)...)
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
	restored := h.restored()
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
	// Without the file that was put aside the log still tells that something was lost.
	out, err := h.verify("--key", h.key+".pub")
	if exitCode(err) != exitIncomplete || !strings.Contains(out, "LOST: the AuditEvent with index 25 says that a restore lost some of the 11 AuditEvents") || strings.Contains(out, "proved: ") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := h.verify("--key", h.key+".pub", "--acknowledge", "24"); exitCode(err) != exitIncomplete {
		t.Errorf("another event is acknowledged, and it is: %v %s", err, out)
	}
	if out, err := h.verify("--key", h.key+".pub", "--acknowledge", "25"); err != nil || !strings.Contains(out, "LOST: ") {
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
	aside := filepath.Join(t.TempDir(), "aside")
	if err := os.Rename(h.file(), aside); err != nil {
		t.Fatal(err)
	}
	if said, err := h.work(20); err == nil || !strings.Contains(said, "level=ERROR") {
		t.Errorf("signed on without the file: %v %s", err, said)
	}
	mustRun(t, h.lost()...) // somebody says that there is none
	h.mustWork(1)
	if out, err := h.verify("--key", h.key+".pub", "--checkpoints", aside); err == nil || !strings.Contains(err.Error(), "11 events were signed before") {
		t.Errorf("%v %s", err, out)
	}
}

// The operator need not stop a serve, nor start it again.
func TestAServeThatRunsGoesOnAfterARestore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.runs = h.start()
	h.mustWork(5)
	h.mustWork(6)
	h.restore(5)
	for range 2 {
		if said, err := h.work(10); err == nil || !strings.Contains(said, "level=ERROR") {
			t.Fatalf("signed after a restore: %v %s", err, said)
		}
	}
	mustRun(t, h.restored()...)
	if said := h.mustWork(1); !strings.Contains(said, "goes on after a restore") {
		t.Errorf("it says %s", said)
	}
	if said := h.mustWork(1); strings.Contains(said, "goes on after a restore") || strings.Contains(said, "ERROR") {
		t.Errorf("then it says %s", said)
	}
	if out, err := h.doctor(); !strings.Contains(out, "OK    audit log goes on") {
		t.Errorf("%v %s", err, out)
	}
	aside, err := filepath.Glob(filepath.Join(h.dir, "*.lost-11-*"))
	if err != nil || len(aside) != 1 {
		t.Fatalf("%q %v", aside, err)
	}
	if out, err := h.verify("--key", h.key+".pub", "--checkpoints", aside[0]); err != nil || !strings.Contains(out, "proved: ") {
		t.Errorf("%v %s", err, out)
	}
}

// A file that somebody has written into tells nothing of a loss: the log is whole.
func TestAFileThatWasAlteredIsNotTakenForARestore(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustWork(5)
	h.mustWork(6)
	good, err := os.ReadFile(h.file())
	if err != nil {
		t.Fatal(err)
	}
	root := strings.Split(string(good), "\n")
	forged := strings.Replace(string(good), root[len(root)-6], strings.Repeat("A", 43)+"=", 1) // root, time, "", signature, "", ""
	if forged == string(good) || os.WriteFile(h.file(), []byte(forged), 0o600) != nil {
		t.Fatal(forged)
	}
	if said, err := h.work(1); err == nil {
		t.Errorf("signed: %s", said)
	}
	out, err := overreadOutput(t, h.restored()...)
	if err == nil || !strings.Contains(err.Error(), "was altered") || !strings.Contains(err.Error(), "fits the database's own last checkpoint, of size 11") {
		t.Errorf("%v %s", err, out)
	}
	var told int
	if err := h.db.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM audit_inbox WHERE convert_from(records, 'UTF8') LIKE '%restored%'`).Scan(&told); err != nil || told != 0 {
		t.Errorf("%d losses are recorded (%v)", told, err)
	}
	if left, err := os.ReadFile(h.file()); err != nil || string(left) != forged {
		t.Errorf("the file was touched (%v)", err)
	}
	if out, err := overreadOutput(t, h.lost()...); err == nil {
		t.Errorf("the file is there, and is said to be lost: %s", out)
	}
	if err := os.WriteFile(h.file(), good, 0o600); err != nil {
		t.Fatal(err)
	}
	h.mustWork(1)
	if out, err := h.verify("--key", h.key+".pub"); err != nil {
		t.Errorf("%v %s", err, out)
	}
}

func TestTheDoctorFindsEachLogWhoseFileIsGoneUntilAnOperatorSaysWhy(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	south := pgtest.AddTenant(t, h.db, "south")
	if out, err := h.doctor(); err != nil || !strings.Contains(out, "WARN  audit log goes on from the checkpoints outside: there are no files") {
		t.Errorf("before the first: %v %s", err, out)
	}
	h.mustWork(3)
	if out, err := overreadOutput(t, "doctor", "--database-url", h.db.URL); err != nil || !strings.Contains(out, "WARN  audit log goes on from the checkpoints outside: not compared: the checkpoints of 1 logs") {
		t.Errorf("without the directory: %v %s", err, out)
	}
	both := h.tenant
	h.tenant = south
	err := h.db.Finish(t.Context(), south, func(tx pgx.Tx) error {
		return record(t.Context(), h.db.DB, tx, access.Event{Kind: access.TenantChanged, Tenant: south, Object: "south"})
	})
	if err != nil {
		t.Fatal(err)
	}
	h.mustWork(0)
	h.tenant = both
	if out, err := h.doctor(); err != nil || !strings.Contains(out, "2 logs begin as the files") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := overreadOutput(t, h.lost()...); err == nil {
		t.Errorf("nothing is lost: %s", out)
	}
	if err := os.Remove(h.file()); err != nil {
		t.Fatal(err)
	}
	out, err := h.doctor()
	if err == nil || !strings.Contains(out, "FAIL  audit log goes on from the checkpoints outside: tenant "+h.tenant.String()) || !strings.Contains(out, "checkpoints-lost") || strings.Contains(out, south.String()) {
		t.Errorf("%v %s", err, out)
	}
	if out, err := overreadOutput(t, h.restored()...); err == nil || !strings.Contains(err.Error(), "checkpoints-lost") {
		t.Errorf("%v %s", err, out)
	}
	state := func(is string) {
		if _, err := h.db.Owner(t).Exec(t.Context(), `UPDATE tenant SET state = $1 WHERE name = 'north'`, is); err != nil {
			t.Fatal(err)
		}
	}
	state("moved")
	if out, err := overreadOutput(t, h.lost()...); err == nil || !strings.Contains(err.Error(), "was moved away") {
		t.Errorf("%v %s", err, out)
	}
	state("active")
	mustRun(t, h.lost()...)
	h.mustWork(1)
	if out, err := h.doctor(); err != nil || !strings.Contains(out, "OK    audit log goes on from the checkpoints outside: 2 logs") {
		t.Errorf("%v %s", err, out)
	}
	out, err = h.verify("--key", h.key+".pub")
	if exitCode(err) != exitIncomplete || !strings.Contains(out, "LOST FILE: the AuditEvent with index 3 ") || !strings.Contains(out, "one of size 3:") {
		t.Errorf("%v %s", err, out)
	}
	if out, err := h.verify("--key", h.key+".pub", "--acknowledge", "3"); err != nil {
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
	type taken struct{ alone, shared bool } // the operator has said that others may read it
	for mode, want := range map[os.FileMode]taken{
		0o600: {true, true}, 0o400: {true, true}, 0o640: {true, true}, 0o440: {true, true}, // as Kubernetes makes it with fsGroup
		0o644: {false, true}, 0o444: {false, true}, 0o604: {false, true},
		0o660: {false, false}, 0o646: {false, false}, 0o622: {false, false},
	} {
		if err := os.Chmod(key, mode); err != nil {
			t.Fatal(err)
		}
		_, alone := signerOf(key, false)
		_, shared := signerOf(key, true)
		if got := (taken{alone == nil, shared == nil}); got != want {
			t.Errorf("%o: %+v, want %+v (%v, %v)", mode, got, want, alone, shared)
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

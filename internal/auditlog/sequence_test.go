package auditlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pgtest"
)

// log is the audit log of a tenant in a database of its own.
type log struct {
	t      testing.TB
	db     *pgtest.Database
	tenant uuid.UUID
	sealer *auditlog.Sealer
	key    note.Verifier
	made   int
}

func startLog(t testing.TB) *log {
	t.Helper()
	l := &log{t: t, db: pgtest.New(t)}
	l.tenant = pgtest.AddTenant(t, l.db, "north")
	private, public, err := auditlog.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, _ := note.NewSigner(private)
	l.key, _ = note.NewVerifier(public)
	l.sealer = &auditlog.Sealer{DB: l.db.DB, Signer: signer, Dir: t.TempDir(), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	return l
}

// add commits so many events, in transactions of a few.
func (l *log) add(n int) {
	l.t.Helper()
	for n > 0 {
		few := min(n, 1+rand.IntN(5))
		n -= few
		err := l.db.Tenant(context.Background(), l.tenant, func(tx pgx.Tx) error {
			for range few {
				id := uuid.Must(uuid.NewV7())
				l.made++
				body := fmt.Sprintf(`{"resourceType":"AuditEvent","id":%q,"entity":[{"what":{"reference":"Patient/p%d"}}]}`, id, l.made)
				_, err := tx.Exec(context.Background(), `
					WITH e AS (
						INSERT INTO audit_event (tenant_id, audit_id, recorded_at, body) VALUES ($1, $2, now(), $3)
						RETURNING tenant_id, audit_id, recorded_at)
					INSERT INTO audit_pending (tenant_id, audit_id, recorded_at) SELECT * FROM e`, l.tenant, id, []byte(body))
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// sequence waits until every event has its place, and seal until all are signed:
// a transaction that was cut off may hold the log a little longer.
func (l *log) sequence() {
	l.t.Helper()
	l.until(`SELECT NOT EXISTS (SELECT FROM audit_pending)`, func() error {
		_, err := auditlog.Sequence(context.Background(), l.db.DB)
		return err
	})
}

func (l *log) seal() {
	l.t.Helper()
	l.until(`SELECT coalesce((SELECT max(size) FROM audit_checkpoint), 0) = (SELECT count(*) FROM audit_leaf)`, func() error {
		_, err := l.sealer.Tick(context.Background())
		return err
	})
}

// until does something, and again until the database says that it is done.
func (l *log) until(done string, do func() error) {
	l.t.Helper()
	owner := l.db.Owner(l.t)
	for is := false; !is; {
		if err := do(); err != nil {
			l.t.Fatal(err)
		}
		if err := owner.QueryRow(context.Background(), done).Scan(&is); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *log) checkpoints() []auditlog.Checkpoint {
	l.t.Helper()
	file, err := os.Open(filepath.Join(l.sealer.Dir, auditlog.CheckpointFile(l.tenant)))
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	all, err := auditlog.ReadCheckpoints(file, l.key)
	if err != nil {
		l.t.Fatal(err)
	}
	return all
}

// verify exports the log and proves it by the checkpoints outside the database.
func (l *log) verify() (auditlog.Proof, error) {
	l.t.Helper()
	var export bytes.Buffer
	if _, err := auditlog.Dump(context.Background(), l.db.DB, l.tenant, &export); err != nil {
		return auditlog.Proof{}, err
	}
	return auditlog.Verify(&export, l.checkpoints(), false)
}

func (l *log) mustVerify(size int64) {
	l.t.Helper()
	proof, err := l.verify()
	if err != nil || proof.Size != size {
		l.t.Errorf("want %d events proved: %+v %v", size, proof, err)
	}
}

func TestEveryEventGetsItsPlaceAndEachCheckpointGoesOnFromTheOneBefore(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	l.seal() // nothing is signed of an empty log
	for range 5 {
		l.add(30 + rand.IntN(40))
		l.sequence()
		l.seal()
		l.seal() // and nothing twice
	}
	l.mustVerify(int64(l.made))
	all := l.checkpoints()
	if len(all) != 5 {
		t.Fatalf("%d checkpoints", len(all))
	}
	stored := l.storedHashes()
	for i := 1; i < len(all); i++ {
		older, newer := all[i-1], all[i]
		proof, err := tlog.ProveTree(newer.Size, older.Size, stored)
		if err == nil {
			err = tlog.CheckTree(proof, newer.Size, newer.Root, older.Size, older.Root)
		}
		if err != nil {
			t.Errorf("from %d to %d: %v", older.Size, newer.Size, err)
		}
	}
}

func (l *log) storedHashes() tlog.HashReader {
	owner := l.db.Owner(l.t)
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			var h []byte
			if err := owner.QueryRow(context.Background(), `SELECT hash FROM audit_hash WHERE tenant_id = $1 AND hash_index = $2`, l.tenant, index).Scan(&h); err != nil {
				return nil, err
			}
			found[i] = tlog.Hash(h)
		}
		return found, nil
	})
}

func TestSeveralSequencersAndSealersAtOnceMakeOneLog(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	var all sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		all.Go(func() {
			for {
				if _, err := auditlog.Sequence(context.Background(), l.db.DB); err != nil {
					t.Error(err)
				}
				if _, err := l.sealer.Tick(context.Background()); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	l.add(600)
	close(done)
	all.Wait()
	l.sequence()
	l.seal()
	l.mustVerify(600)
}

func TestASequencerThatIsCutOffAnywhereLeavesNoGap(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	for range 60 {
		l.add(20)
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(6000))*time.Microsecond)
		_, _ = auditlog.Sequence(ctx, l.db.DB)
		_, _ = l.sealer.Tick(ctx)
		cancel()
	}
	l.sequence()
	l.seal()
	l.mustVerify(int64(l.made))
}

// unmark takes away that the log is kept outside.
func (l *log) unmark() {
	l.t.Helper()
	err := l.db.Finish(context.Background(), l.tenant, func(tx pgx.Tx) error {
		return auditlog.BeginOutsideTx(context.Background(), tx, l.tenant)
	})
	if err != nil {
		l.t.Fatal(err)
	}
}

// restart is another process with the same settings, which remembers nothing. It
// returns what it says in its own log.
func (l *log) restart() *strings.Builder {
	said := &strings.Builder{}
	l.sealer = &auditlog.Sealer{DB: l.sealer.DB, Signer: l.sealer.Signer, Dir: l.sealer.Dir, Now: time.Now, Log: slog.New(slog.NewTextHandler(said, nil))}
	return said
}

// cut takes away all but the first so many events, with the checkpoints over them.
func (l *log) cut(size int64) {
	l.t.Helper()
	for sql, from := range map[string]int64{
		`DELETE FROM audit_leaf WHERE index >= $1`: size, `DELETE FROM audit_checkpoint WHERE size > $1`: size,
		`DELETE FROM audit_hash WHERE hash_index >= $1`: tlog.StoredHashIndex(0, size),
	} {
		if _, err := l.db.Owner(l.t).Exec(context.Background(), sql, from); err != nil {
			l.t.Fatal(err)
		}
	}
}

func (l *log) signed() (size int64) {
	l.t.Helper()
	if err := l.db.Owner(l.t).QueryRow(context.Background(), `SELECT coalesce(max(size), 0) FROM audit_checkpoint`).Scan(&size); err != nil {
		l.t.Fatal(err)
	}
	return size
}

func TestWhatADyingProcessLeftInTheFileIsMended(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	path := filepath.Join(l.sealer.Dir, auditlog.CheckpointFile(l.tenant))
	for range 3 {
		l.add(5)
		l.sequence()
		l.seal()
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, left := range []int{0, 1, len(whole) / 3, len(whole) / 2, len(whole) - 1} {
		if left <= len(whole)/3 { // it died before the first note was whole, and so before the log was marked
			l.unmark()
		}
		if err := os.WriteFile(path, whole[:left], 0o600); err != nil {
			t.Fatal(err)
		}
		l.seal()
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
			t.Errorf("after %d of %d bytes: %v\n%s", left, len(whole), err, got)
		}
	}
}

// Somebody who owns the database changes it behind the server's back.
func TestTamperingWithTheDatabaseIsFoundInTheExport(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	for range 4 {
		l.add(25)
		l.sequence()
		l.seal()
	}
	owner := l.db.Owner(t)
	for name, sql := range map[string]string{
		"an event says something else":         `UPDATE audit_event SET body = convert_to(replace(convert_from(body, 'UTF8'), 'Patient/p', 'Patient/q'), 'UTF8') WHERE audit_id = @id`,
		"an event and its leaf":                `WITH e AS (UPDATE audit_event SET body = '{"id":"x"}', salt = NULL WHERE audit_id = @id) UPDATE audit_leaf SET leaf = sha256('\x00'::bytea || '{"id":"x"}') WHERE audit_id = @id`,
		"a salt":                               `UPDATE audit_event SET salt = sha256(salt) WHERE audit_id = @id`,
		"a salt is gone":                       `UPDATE audit_event SET salt = NULL WHERE audit_id = @id`,
		"an event is gone":                     `DELETE FROM audit_event WHERE audit_id = @id`,
		"an event and its leaf are gone":       `WITH e AS (DELETE FROM audit_event WHERE audit_id = @id) DELETE FROM audit_leaf WHERE audit_id = @id`,
		"one event is in the place of another": `UPDATE audit_leaf l SET audit_id = o.audit_id, recorded_at = o.recorded_at, leaf = o.leaf FROM audit_leaf o WHERE l.audit_id = @id AND o.index = (l.index + 1) % 100`,
		"the end is gone":                      `DELETE FROM audit_leaf WHERE index >= (SELECT index FROM audit_leaf WHERE audit_id = @id)`,
		"the end is gone, and what says so":    `WITH a AS (SELECT index FROM audit_leaf WHERE audit_id = @id), c AS (DELETE FROM audit_checkpoint USING a WHERE size > a.index AND size > 25) DELETE FROM audit_leaf USING a WHERE audit_leaf.index >= a.index`,
	} {
		for range 20 {
			tx, err := owner.Begin(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var id uuid.UUID
			if err := tx.QueryRow(context.Background(), `SELECT audit_id FROM audit_leaf WHERE index = $1`, rand.IntN(100)).Scan(&id); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(name, "one event is") {
				_, err = tx.Exec(context.Background(), `ALTER TABLE audit_leaf DROP CONSTRAINT audit_leaf_tenant_id_audit_id_key`)
			}
			if err == nil {
				_, err = tx.Exec(context.Background(), sql, pgx.NamedArgs{"id": id})
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			proof, err := l.verifyIn(tx)
			if err == nil {
				t.Errorf("%s was not found: %+v", name, proof)
			}
			if err := tx.Rollback(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.mustVerify(100)
}

// verifyIn is verify within a transaction that has changed something, which it
// sees as its owner.
func (l *log) verifyIn(tx pgx.Tx) (auditlog.Proof, error) {
	l.t.Helper()
	var export bytes.Buffer
	if _, err := auditlog.DumpTx(context.Background(), tx, l.tenant, &export); err != nil {
		return auditlog.Proof{}, err
	}
	return auditlog.Verify(&export, l.checkpoints(), false)
}

func TestALogThatWasChangedIsNotSignedAnyMore(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	l.add(20)
	l.sequence()
	l.seal()
	if _, err := l.db.Owner(t).Exec(context.Background(), `UPDATE audit_hash SET hash = sha256(hash)`); err != nil {
		t.Fatal(err)
	}
	l.add(1)
	l.sequence()
	if _, err := l.sealer.Tick(context.Background()); err == nil || !strings.Contains(err.Error(), "not what was signed at size 20") {
		t.Errorf("%v", err)
	}
	if got := l.checkpoints(); len(got) != 1 {
		t.Errorf("%d checkpoints", len(got))
	}
}

// The database's owner takes the end of the log away, with the checkpoints over it;
// a restore from a backup does the same. Only what is kept elsewhere tells.
func TestALogThatLostItsEndIsNotSignedAnyMore(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(l *log){
		"this process remembers": func(l *log) { l.sealer.Dir = "" },
		"the file outside has it": func(l *log) {
			l.sealer = &auditlog.Sealer{DB: l.sealer.DB, Signer: l.sealer.Signer, Dir: l.sealer.Dir, Now: time.Now, Log: l.sealer.Log}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLog(t)
			dir := l.sealer.Dir
			for _, n := range []int{70, 13} {
				l.add(n)
				l.sequence()
				l.seal()
			}
			if last, err := auditlog.Outside(t.Context(), l.db.DB, l.tenant, dir); err != nil || last.Size != 83 {
				t.Fatalf("%+v %v", last, err)
			}
			for _, sql := range []string{
				`DELETE FROM audit_leaf WHERE index > 70`, `DELETE FROM audit_checkpoint WHERE size > 71`, `DELETE FROM audit_hash WHERE hash_index >= 138`,
			} {
				if _, err := l.db.Owner(t).Exec(t.Context(), sql); err != nil {
					t.Fatal(err)
				}
			}
			forget(l)
			for range 3 { // shorter than what was signed, and then longer
				if _, err := l.sealer.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "not what was signed at size 83") {
					t.Errorf("%v", err)
				}
				l.add(10)
				l.sequence()
			}
			var forked *auditlog.ForkedError
			last, err := auditlog.Outside(t.Context(), l.db.DB, l.tenant, dir)
			if !errors.As(err, &forked) || last.Size != 83 {
				t.Errorf("%+v %v", last, err)
			}
			var signed int
			if err := l.db.Owner(t).QueryRow(t.Context(), `SELECT coalesce(max(size), 0) FROM audit_checkpoint`).Scan(&signed); err != nil || signed > 71 {
				t.Errorf("%d signed: %v", signed, err)
			}
			l.sealer.Dir = dir
			if got := l.checkpoints(); got[len(got)-1].Size != 83 {
				t.Errorf("the file ends at %d", got[len(got)-1].Size)
			}
			// It is said to be a restore: the file is put aside, and a new one begins.
			aside, err := auditlog.SetAside(dir, l.tenant, last, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(aside); err != nil {
				t.Error(err)
			}
			l.unmark()
			l.sealer = &auditlog.Sealer{DB: l.sealer.DB, Signer: l.sealer.Signer, Dir: dir, Now: time.Now, Log: l.sealer.Log}
			l.seal()
			if got := l.checkpoints(); got[len(got)-1].Size != 101 {
				t.Errorf("the new file ends at %d", got[len(got)-1].Size)
			}
		})
	}
}

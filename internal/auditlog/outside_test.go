package auditlog_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/auditlog"
)

// Who cuts off the end of a log takes its file away too, or the volume is not
// mounted: a process that was started anew has nothing to compare with, and must not
// take that for a beginning.
func TestALogWhoseFileIsGoneIsNotSignedOn(t *testing.T) {
	t.Parallel()
	for name, takeAway := range map[string]func(l *log, file string) error{
		"with the end of the log": func(l *log, file string) error {
			l.cut(9)
			return os.Remove(file)
		},
		"alone":          func(_ *log, file string) error { return os.Remove(file) },
		"empty":          func(_ *log, file string) error { return os.Truncate(file, 0) },
		"another volume": func(l *log, _ string) error { l.sealer.Dir = l.t.TempDir(); return nil },
		"no directory": func(l *log, _ string) error {
			l.sealer.Dir = filepath.Join(l.t.TempDir(), "none")
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := startLog(t)
			for range 2 {
				l.add(9)
				l.sequence()
				l.seal()
			}
			path := func() string { return filepath.Join(l.sealer.Dir, auditlog.CheckpointFile(l.tenant)) }
			if err := takeAway(l, path()); err != nil {
				t.Fatal(err)
			}
			said, before := l.restart(), l.signed()
			for range 2 {
				l.add(3)
				l.sequence()
				_, err := l.sealer.Tick(t.Context())
				var missing *auditlog.MissingError
				if !errors.As(err, &missing) || !strings.Contains(said.String(), "level=ERROR") {
					t.Errorf("%v, and it says %s", err, said)
				}
			}
			if _, err := auditlog.Outside(t.Context(), l.db.DB, l.tenant, l.sealer.Dir); err == nil {
				t.Error("the doctor finds nothing")
			}
			if text, err := os.ReadFile(path()); len(text) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) || l.signed() != before {
				t.Errorf("signed up to %d, and the file has %d bytes (%v)", l.signed(), len(text), err)
			}
			if name == "no directory" {
				return
			}
			l.unmark() // an operator says that it is right
			l.seal()
			if _, err := auditlog.Outside(t.Context(), l.db.DB, l.tenant, l.sealer.Dir); err != nil {
				t.Error(err)
			}
			l.verifyAll()
		})
	}
}

// verifyAll proves the whole log by its file.
func (l *log) verifyAll() {
	l.t.Helper()
	all := l.checkpoints()
	l.mustVerify(all[len(all)-1].Size)
}

func TestALogBeginsItsFileWhenTheDirectoryIsNewlyGiven(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	dir := l.sealer.Dir
	l.sealer.Dir = ""
	for range 2 {
		l.add(5)
		l.sequence()
		l.seal()
	}
	l.restart()
	l.sealer.Dir = dir
	l.seal()
	if got := l.checkpoints(); len(got) != 2 {
		t.Errorf("%d checkpoints", len(got))
	}
	l.mustVerify(10)
}

// Another may be at the log just when it would be signed, and hold it for long: it is
// compared all the same, and no file is written from what does not hold.
func TestALogIsComparedAlsoWhileAnotherHasIt(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	for range 2 {
		l.add(9)
		l.sequence()
		l.seal()
	}
	file := filepath.Join(l.sealer.Dir, auditlog.CheckpointFile(l.tenant))
	l.cut(9)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	err := l.db.Finish(t.Context(), l.tenant, func(tx pgx.Tx) error {
		if err := auditlog.Leave(t.Context(), tx, l.tenant); err != nil {
			return err
		}
		if _, err := l.db.Owner(t).Exec(t.Context(), `DELETE FROM audit_outside`); err != nil { // only the process remembers
			return err
		}
		if _, err := l.sealer.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "not what was signed at size 18 (as this process says)") {
			t.Errorf("%v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was written again: %v", err)
	}
}

// Who only gives the file another name, or has only the database, does not make a
// process forget what it has signed.
func TestAProcessForgetsNothingThatNoEventTells(t *testing.T) {
	t.Parallel()
	l := startLog(t)
	l.sealer.Log = slog.New(slog.DiscardHandler)
	for range 2 {
		l.add(9)
		l.sequence()
		l.seal()
	}
	last := l.checkpoints()[1]
	l.cut(9)
	if _, err := auditlog.SetAside(l.sealer.Dir, l.tenant, last, l.sealer.Now()); err != nil {
		t.Fatal(err)
	}
	l.unmark()
	l.add(20)
	l.sequence()
	if _, err := l.sealer.Tick(t.Context()); err == nil || !strings.Contains(err.Error(), "as this process says") {
		t.Errorf("%v", err)
	}
}

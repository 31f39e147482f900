package auditlog

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/overread/overread/internal/pg"
)

// What was signed last is not asked of the database alone: whoever has it could
// take the end of the log away with the checkpoints over it, and a restore from a
// backup does the same. A log is signed on only where it still begins with the last
// note of its file outside, and with what this process remembers.

// ForkedError says that a log no longer begins with what was signed of it.
type ForkedError struct {
	Size int64  // that was signed
	Kept string // where that checkpoint is kept
}

func (e *ForkedError) Error() string {
	return fmt.Sprintf("the log is not what was signed at size %d (as %s says): nothing more is signed; see docs/audit.md, \"After a restore\"", e.Size, e.Kept)
}

// Where checkpoints are kept, as ForkedError tells it.
const (
	keptInDatabase = "the database"
	keptOutside    = "the file outside the database"
	keptInMemory   = "this process"
)

// holdsTx returns a *ForkedError unless the log begins with the checkpoint.
func holdsTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, c Checkpoint, kept string) error {
	if c.Size == 0 {
		return nil
	}
	size, err := sizeTx(ctx, tx, tenant)
	if err != nil {
		return err
	}
	if size < c.Size || c.Origin != "" && c.Origin != Origin(tenant) {
		return &ForkedError{c.Size, kept}
	}
	root, err := tlog.TreeHash(c.Size, hashes{ctx: ctx, tx: tx, tenant: tenant, known: map[int64]tlog.Hash{}})
	if err == nil && root != c.Root {
		err = &ForkedError{c.Size, kept}
	}
	return err
}

// Outside compares a log with the last note of its file in the directory. It
// returns that note, whose size is 0 where there is none, and a *ForkedError where
// the log does not begin with it.
func Outside(ctx context.Context, db *pg.DB, tenant uuid.UUID, dir string) (Checkpoint, error) {
	last, err := lastOutside(dir, tenant)
	if err != nil {
		return last, err
	}
	return last, db.Finish(ctx, tenant, func(tx pgx.Tx) error { return holdsTx(ctx, tx, tenant, last, keptOutside) })
}

// lastOutside reads the last whole note of a log's file. Its signature is not
// asked: a note that is not ours stops the signing too.
func lastOutside(dir string, tenant uuid.UUID) (Checkpoint, error) {
	file, err := os.Open(filepath.Join(dir, CheckpointFile(tenant)))
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH); err != nil {
		return Checkpoint{}, err
	}
	last, _, err := tailOf(file)
	return last, err
}

// tailSize is enough for the last checkpoint of a file.
const tailSize = 4096

// tailOf is the last whole checkpoint of a file, and where it ends.
func tailOf(file *os.File) (Checkpoint, int64, error) {
	info, err := file.Stat()
	if err != nil {
		return Checkpoint{}, 0, err
	}
	from := max(0, info.Size()-tailSize)
	tail, err := io.ReadAll(io.NewSectionReader(file, from, tailSize))
	if err != nil {
		return Checkpoint{}, 0, err
	}
	c, end := lastWhole(string(tail))
	switch {
	case end > 0 && c.Size == 0:
		return c, 0, fmt.Errorf("%s: its last note is no checkpoint", filepath.Base(file.Name()))
	case end == 0 && from > 0:
		return c, 0, fmt.Errorf("%s: its end is no checkpoint", filepath.Base(file.Name()))
	}
	return c, from + int64(end), nil
}

// LogsIn are the tenants of whose logs the directory has a file.
func LogsIn(dir string) ([]uuid.UUID, error) {
	entries, err := os.ReadDir(dir)
	var tenants []uuid.UUID
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), checkpointSuffix)
		if id, idErr := uuid.Parse(name); ok && idErr == nil {
			tenants = append(tenants, id)
		}
	}
	return tenants, err
}

// LostMark names a checkpoint in the AuditEvent that says that what it signed was
// lost in a restore.
func LostMark(c Checkpoint) string { return fmt.Sprintf("%d %s", c.Size, c.Root) }

// RestoredCode is the subtype of an event that tells what a restore lost, and
// LostSystem that of the identifiers in it, each a LostMark.
const (
	RestoredCode = "audit-log-restored"
	LostSystem   = "https://overread.org/fhir/sid/checkpoint"
)

// lostMarks are the checkpoints of which an event says that they were lost, nil for
// every other event.
func lostMarks(event []byte) []string {
	if !bytes.Contains(event, []byte(`"`+RestoredCode+`"`)) {
		return nil
	}
	type coding struct{ System, Code string }
	var e struct {
		Subtype []coding
		Entity  []struct {
			What struct {
				Identifier struct{ System, Value string }
			}
		}
	}
	if json.Unmarshal(event, &e) != nil || !slices.Contains(e.Subtype, coding{EraseSystem, RestoredCode}) {
		return nil
	}
	var marks []string
	for _, entity := range e.Entity {
		if entity.What.Identifier.System == LostSystem {
			marks = append(marks, entity.What.Identifier.Value)
		}
	}
	return marks
}

// SetAside gives the file of a log that was restored another name, which it
// returns: the file proves what was lost, and a new one begins. The note that it
// ends with is the one that the caller has recorded as lost.
func SetAside(dir string, tenant uuid.UUID, lost Checkpoint, now time.Time) (string, error) {
	path := filepath.Join(dir, CheckpointFile(tenant))
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	last, _, err := tailOf(file)
	if err != nil {
		return "", err
	}
	if last.Size != lost.Size || last.Root != lost.Root {
		return "", errors.New("the file of checkpoints has grown meanwhile: stop every overread serve and try again")
	}
	aside := filepath.Join(dir, fmt.Sprintf("%s.lost-%d-%s%s", tenant, lost.Size, now.UTC().Format("20060102T150405Z"), checkpointSuffix))
	if _, err := os.Lstat(aside); !errors.Is(err, fs.ErrNotExist) {
		return "", errors.Join(fmt.Errorf("%s is there already", aside), err)
	}
	return aside, os.Rename(path, aside)
}

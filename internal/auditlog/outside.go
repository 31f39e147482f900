package auditlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

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

// MissingError says that a log has no file of checkpoints, or an empty one, though it
// was kept in one before.
type MissingError struct{ Dir string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("its checkpoints were kept in a file outside the database before, and in %s it has none: is the volume mounted? Nothing more is signed; see docs/audit.md, \"When the file is gone\"", e.Dir)
}

// refused tells whether an error is that a log is not signed on.
func refused(err error) bool {
	_, forked := errors.AsType[*ForkedError](err)
	_, missing := errors.AsType[*MissingError](err)
	return forked || missing
}

// markedTx tells whether the log was kept in a file outside the database.
func markedTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (marked bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM audit_outside WHERE tenant_id = $1)`, tenant).Scan(&marked)
	return marked, err
}

// markTx says that the log is kept in a file, which is there now.
func markTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_outside (tenant_id) VALUES ($1) ON CONFLICT DO NOTHING`, tenant)
	return err
}

// BeginOutsideTx lets a log begin a new file of checkpoints, as an operator has said
// in the same transaction why it has none.
func BeginOutsideTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	_, err := tx.Exec(ctx, `DELETE FROM audit_outside WHERE tenant_id = $1`, tenant)
	return err
}

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
// returns that note, whose size is 0 where there is none, a *ForkedError where the
// log does not begin with it, and a *MissingError where there should be one.
func Outside(ctx context.Context, db *pg.DB, tenant uuid.UUID, dir string) (Checkpoint, error) {
	last, err := lastOutside(dir, tenant)
	if err != nil {
		return last, err
	}
	return last, db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		if last.Size > 0 {
			return holdsTx(ctx, tx, tenant, last, keptOutside)
		}
		marked, err := markedTx(ctx, tx, tenant)
		if err == nil && marked {
			err = &MissingError{dir}
		}
		return err
	})
}

// lastOutside reads the last whole note of a log's file. Its signature is not
// asked: a note that is not ours stops the signing too.
func lastOutside(dir string, tenant uuid.UUID) (Checkpoint, error) {
	file, err := openLocked(dir, tenant, os.O_RDONLY, syscall.LOCK_SH)
	if errors.Is(err, fs.ErrNotExist) {
		return Checkpoint{}, nil
	}
	if err != nil {
		return Checkpoint{}, err
	}
	defer file.Close()
	last, _, err := tailOf(file)
	return last, err
}

// openLocked opens the file of a log's checkpoints and locks it: sealers, doctors
// and operators of several machines may be at it. To close it unlocks it.
func openLocked(dir string, tenant uuid.UUID, flag, lock int) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, CheckpointFile(tenant)), flag, 0o644) //nolint:gosec // hashes and signatures, made to be shown
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), lock); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// CheckpointFile is the name of a log's file in a directory of checkpoints.
func CheckpointFile(tenant uuid.UUID) string { return tenant.String() + checkpointSuffix }

const checkpointSuffix = ".checkpoints"

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

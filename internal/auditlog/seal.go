package auditlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/overread/overread/internal/pg"
)

// Sealer signs checkpoints, and keeps them outside the database too.
type Sealer struct {
	DB     *pg.DB
	Signer note.Signer // nil: nothing is signed
	Dir    string      // a file for each log, only ever added to; "": none are kept outside
	Now    func() time.Time
	Log    *slog.Logger
}

// Tick signs a checkpoint of each log that has grown since its last one, and
// adds to the files what they lack. It returns 0: there is nothing left to do
// until the next minute.
func (s *Sealer) Tick(ctx context.Context) (int, error) {
	if s.Signer == nil {
		return 0, nil
	}
	var tenants []uuid.UUID
	err := s.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tenant_id FROM tenant UNION ALL SELECT @none`, pgx.NamedArgs{"none": Installation})
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	for _, tenant := range tenants {
		sealErr := s.seal(ctx, tenant)
		if sealErr == nil && s.Dir != "" {
			sealErr = s.copyOut(ctx, tenant)
		}
		if sealErr != nil { // the logs of the others are sealed all the same
			err = errors.Join(err, fmt.Errorf("checkpoint of the audit log of %s: %w", tenant, sealErr))
		}
	}
	return 0, err
}

// seal signs a checkpoint if the log has grown. What was signed before must be a
// part of what is signed now.
func (s *Sealer) seal(ctx context.Context, tenant uuid.UUID) error {
	var c Checkpoint
	signed := false
	err := s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error {
		signed = false
		mine, err := Alone(ctx, tx, tenant)
		if err != nil || !mine {
			return err
		}
		last, err := lastTx(ctx, tx, tenant)
		if err != nil {
			return err
		}
		size, err := sizeTx(ctx, tx, tenant)
		if err != nil || size == last.Size {
			return err
		}
		tree := hashes{ctx: ctx, tx: tx, tenant: tenant, known: map[int64]tlog.Hash{}}
		if last.Size > 0 {
			before, err := tlog.TreeHash(last.Size, tree)
			if err != nil {
				return err
			}
			if size < last.Size || before != last.Root {
				return fmt.Errorf("the log is not what was signed at size %d: nothing more is signed; see overread audit verify", last.Size)
			}
		}
		c = Checkpoint{Origin: Origin(tenant), Size: size, At: s.Now().UTC().Truncate(time.Second)}
		if c.Root, err = tlog.TreeHash(size, tree); err != nil {
			return err
		}
		text, err := c.Sign(s.Signer)
		if err != nil {
			return err
		}
		signed = true
		_, err = tx.Exec(ctx, `
			INSERT INTO audit_checkpoint (tenant_id, size, root, signed_at, note)
			VALUES (@tenant, @size, @root, @at, @note)`,
			pgx.NamedArgs{"tenant": tenant, "size": c.Size, "root": c.Root[:], "at": c.At, "note": string(text)})
		return err
	})
	if err == nil && signed {
		s.Log.Info("audit checkpoint", "tenant", tenant, "size", c.Size, "root", c.Root.String())
	}
	return err
}

// lastTx is the last checkpoint of a log; its size is 0 where there is none.
func lastTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (Checkpoint, error) {
	var c Checkpoint
	var root []byte
	err := tx.QueryRow(ctx, `
		SELECT size, root
		FROM audit_checkpoint
		WHERE tenant_id = $1
		ORDER BY size DESC
		LIMIT 1`, tenant).Scan(&c.Size, &root)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, nil
	}
	copy(c.Root[:], root)
	return c, err
}

// CheckpointFile is the name of a log's file in a directory of checkpoints.
func CheckpointFile(tenant uuid.UUID) string { return tenant.String() + ".checkpoints" }

// copyOut adds to the log's file the checkpoints that it lacks. Two replicas may
// share the directory: the file is locked meanwhile.
func (s *Sealer) copyOut(ctx context.Context, tenant uuid.UUID) error {
	file, err := os.OpenFile(filepath.Join(s.Dir, CheckpointFile(tenant)), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644) //nolint:gosec // hashes and signatures, made to be shown
	if err != nil {
		return err
	}
	defer file.Close()
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	have, err := lastInFile(file)
	if err != nil {
		return err
	}
	var notes []string
	err = s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT note
			FROM audit_checkpoint
			WHERE tenant_id = $1 AND size > $2
			ORDER BY size`, tenant, have)
		if err != nil {
			return err
		}
		notes, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if err != nil || len(notes) == 0 {
		return err
	}
	var text []byte
	for _, n := range notes {
		text = append(text, n...)
		text = append(text, '\n')
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	return file.Sync()
}

// tailSize is enough for the last checkpoint of a file.
const tailSize = 4096

// lastInFile is the size that the file's last whole checkpoint says. What a dying
// process left of another one is cut off.
func lastInFile(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	from := max(0, info.Size()-tailSize)
	tail, err := io.ReadAll(io.NewSectionReader(file, from, tailSize))
	if err != nil {
		return 0, err
	}
	size, whole := lastWhole(string(tail))
	if whole < len(tail) {
		err = file.Truncate(from + int64(whole))
	}
	return size, err
}

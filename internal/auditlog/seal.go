package auditlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
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

	mu     sync.Mutex
	signed map[uuid.UUID]Checkpoint // the last one of each log that this process has seen
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
			if _, forked := errors.AsType[*ForkedError](sealErr); forked { // said each minute, however long it lasts
				s.Log.Error("audit log is not signed", "tenant", tenant, "error", sealErr.Error())
			}
			err = errors.Join(err, fmt.Errorf("checkpoint of the audit log of %s: %w", tenant, sealErr))
		}
	}
	return 0, err
}

// remembered is the last checkpoint of a log that this process has seen.
func (s *Sealer) remembered(tenant uuid.UUID) Checkpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.signed[tenant]
}

func (s *Sealer) remember(tenant uuid.UUID, c Checkpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.signed == nil {
		s.signed = map[uuid.UUID]Checkpoint{}
	}
	if c.Size > s.signed[tenant].Size {
		s.signed[tenant] = c
	}
}

// seal signs a checkpoint if the log has grown. What was signed before, as the
// database, the file outside and this process know it, must be a part of what is
// signed now.
func (s *Sealer) seal(ctx context.Context, tenant uuid.UUID) error {
	// Both are read before the transaction begins, which so sees at least as much.
	known, outside := s.remembered(tenant), Checkpoint{}
	if s.Dir != "" {
		var err error
		if outside, err = lastOutside(s.Dir, tenant); err != nil {
			return err
		}
	}
	var c Checkpoint
	var lastKey uint32
	signed := false
	err := s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error {
		c, signed = Checkpoint{}, false
		mine, err := Alone(ctx, tx, tenant)
		if err != nil || !mine {
			return err
		}
		last, err := lastTx(ctx, tx, tenant)
		lastKey = last.Key
		if err == nil {
			err = holdsTx(ctx, tx, tenant, last, keptInDatabase)
		}
		if err == nil && (outside.Size != last.Size || outside.Root != last.Root) {
			err = holdsTx(ctx, tx, tenant, outside, keptOutside)
		}
		if err == nil && (known.Size != last.Size || known.Root != last.Root) {
			err = holdsTx(ctx, tx, tenant, known, keptInMemory)
		}
		if err != nil {
			return err
		}
		size, err := sizeTx(ctx, tx, tenant)
		if err != nil || size == last.Size {
			c = last
			return err
		}
		if c, err = s.signTx(ctx, tx, tenant, size); err != nil {
			return err
		}
		signed = true
		return nil
	})
	if err != nil {
		return err
	}
	s.remember(tenant, c)
	if lastKey != 0 && lastKey != s.Signer.KeyHash() && (signed || known.Size == 0) {
		s.Log.Warn("the last checkpoint of the audit log was signed with another key: whoever proves it needs both public keys; docs/audit.md, \"Another key\"",
			"tenant", tenant, "size", c.Size, "last_key", fmt.Sprintf("%08x", lastKey), "key", fmt.Sprintf("%08x", s.Signer.KeyHash()))
	}
	if signed {
		s.Log.Info("audit checkpoint", "tenant", tenant, "size", c.Size, "root", c.Root.String())
	}
	return nil
}

// signTx signs a checkpoint of the whole log.
func (s *Sealer) signTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, size int64) (Checkpoint, error) {
	c := Checkpoint{Origin: Origin(tenant), Size: size, At: s.Now().UTC().Truncate(time.Second)}
	var err error
	if c.Root, err = tlog.TreeHash(size, hashes{ctx: ctx, tx: tx, tenant: tenant, known: map[int64]tlog.Hash{}}); err != nil {
		return c, err
	}
	text, err := c.Sign(s.Signer)
	if err != nil {
		return c, err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO audit_checkpoint (tenant_id, size, root, signed_at, note)
		VALUES (@tenant, @size, @root, @at, @note)`,
		pgx.NamedArgs{"tenant": tenant, "size": c.Size, "root": c.Root[:], "at": c.At, "note": string(text)})
	return c, err
}

// lastTx is the last checkpoint of a log; its size is 0 where there is none.
func lastTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (Checkpoint, error) {
	var c Checkpoint
	var root []byte
	var text string
	err := tx.QueryRow(ctx, `
		SELECT size, root, note
		FROM audit_checkpoint
		WHERE tenant_id = $1
		ORDER BY size DESC
		LIMIT 1`, tenant).Scan(&c.Size, &root, &text)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, nil
	}
	copy(c.Root[:], root)
	c.Key = keyOf(text)
	return c, err
}

// CheckpointFile is the name of a log's file in a directory of checkpoints.
func CheckpointFile(tenant uuid.UUID) string { return tenant.String() + checkpointSuffix }

const checkpointSuffix = ".checkpoints"

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
	have, end, err := tailOf(file)
	if err == nil { // what a dying process left of another note
		err = cutAt(file, end)
	}
	if err != nil {
		return err
	}
	var notes []string
	err = s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT note
			FROM audit_checkpoint
			WHERE tenant_id = $1 AND size > $2
			ORDER BY size`, tenant, have.Size)
		if err != nil {
			return err
		}
		notes, err = pgx.CollectRows(rows, pgx.RowTo[string])
		if err == nil && len(notes) > 0 { // they must go on from what the file has
			err = holdsTx(ctx, tx, tenant, have, keptOutside)
		}
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

// cutAt cuts a file off.
func cutAt(file *os.File, end int64) error {
	info, err := file.Stat()
	if err != nil || info.Size() <= end {
		return err
	}
	return file.Truncate(end)
}

package auditlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
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
		compared, sealErr := s.seal(ctx, tenant)
		if compared && sealErr == nil && s.Dir != "" && s.remembered(tenant).Size > 0 {
			sealErr = s.copyOut(ctx, tenant)
		}
		if sealErr != nil { // the logs of the others are sealed all the same
			if refused(sealErr) { // said each minute, however long it lasts
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

// forget says that what this process remembers of a log was lost, and told.
func (s *Sealer) forget(tenant uuid.UUID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.signed, tenant)
}

// seal signs a checkpoint if the log has grown. What was signed before, as the
// database, the file outside and this process know it, must be a part of what is
// signed now. That is compared also where another is at the log, who then signs it;
// compared is false only where the log goes on elsewhere.
func (s *Sealer) seal(ctx context.Context, tenant uuid.UUID) (compared bool, err error) {
	// Both are read before the transaction begins, which so sees at least as much.
	known, outside := s.remembered(tenant), Checkpoint{}
	if s.Dir != "" {
		if outside, err = lastOutside(s.Dir, tenant); err != nil {
			return false, err
		}
	}
	var c, last Checkpoint
	signed, told := false, false
	err = s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error {
		c, signed, told = Checkpoint{}, false, false
		moved, err := movedTx(ctx, tx, tenant)
		if compared = !moved; err != nil || moved {
			return err
		}
		mine, err := Alone(ctx, tx, tenant)
		if err != nil {
			return err
		}
		if last, err = lastTx(ctx, tx, tenant); err != nil {
			return err
		}
		if told, err = s.goesOnTx(ctx, tx, tenant, last, outside, known); err != nil {
			return err
		}
		size, err := sizeTx(ctx, tx, tenant)
		if err != nil || !mine || size == last.Size {
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
		return compared, err
	}
	if told {
		s.forget(tenant)
		s.Log.Info("the audit log goes on after a restore, which it tells", "tenant", tenant, "lost", known.Size)
	}
	s.remember(tenant, c)
	if last.Key != 0 && last.Key != s.Signer.KeyHash() && (signed || known.Size == 0) {
		s.Log.Warn("the last checkpoint of the audit log was signed with another key: whoever proves it needs both public keys; docs/audit.md, \"Another key\"",
			"tenant", tenant, "size", c.Size, "last_key", fmt.Sprintf("%08x", last.Key), "key", fmt.Sprintf("%08x", s.Signer.KeyHash()))
	}
	if signed {
		s.Log.Info("audit checkpoint", "tenant", tenant, "size", c.Size, "root", c.Root.String())
	}
	return compared, nil
}

// goesOnTx returns a *ForkedError or *MissingError unless the log goes on from what
// was signed last, as each of the three places has it. That this process remembers
// more than there is, is told where an operator has said that it was lost.
func (s *Sealer) goesOnTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, last, outside, known Checkpoint) (told bool, err error) {
	if s.Dir != "" && outside.Size == 0 {
		if marked, err := markedTx(ctx, tx, tenant); err != nil || marked {
			return false, cmp.Or(err, error(&MissingError{s.Dir}))
		}
	}
	if err := holdsTx(ctx, tx, tenant, last, keptInDatabase); err != nil {
		return false, err
	}
	if outside.Size != last.Size || outside.Root != last.Root {
		if err := holdsTx(ctx, tx, tenant, outside, keptOutside); err != nil {
			return false, err
		}
	}
	if known.Size == last.Size && known.Root == last.Root {
		return false, nil
	}
	err = holdsTx(ctx, tx, tenant, known, keptInMemory)
	if _, forked := errors.AsType[*ForkedError](err); !forked || s.Dir == "" {
		return false, err
	}
	if told, asideErr := toldTx(ctx, tx, tenant, s.Dir, known); told || asideErr != nil {
		return told, asideErr
	}
	return false, err
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

// copyOut adds to the log's file the checkpoints that it lacks, and marks the log
// as kept outside. Two replicas may share the directory: the file is locked
// meanwhile.
func (s *Sealer) copyOut(ctx context.Context, tenant uuid.UUID) error {
	file, err := openLocked(s.Dir, tenant, os.O_CREATE|os.O_RDWR|os.O_APPEND, syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer file.Close()
	if !isAt(file, file.Name()) { // overread audit restored has put it aside meanwhile: in a minute then
		return nil
	}
	have, end, err := tailOf(file)
	if err == nil { // what a dying process left of another note
		err = cutAt(file, end)
	}
	if err != nil {
		return err
	}
	notes, marked, err := s.lacking(ctx, tenant, have)
	if err != nil {
		return err
	}
	if len(notes) > 0 {
		var text []byte
		for _, n := range notes {
			text = append(text, n...)
			text = append(text, '\n')
		}
		if _, err := file.Write(text); err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
	}
	if marked || have.Size == 0 && len(notes) == 0 {
		return nil
	}
	return s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error { return markTx(ctx, tx, tenant) })
}

// lacking are the checkpoints that a file lacks, whose last one is have, and whether
// the log is marked as kept outside. The log must go on from what the file has, and
// from what this process remembers.
func (s *Sealer) lacking(ctx context.Context, tenant uuid.UUID, have Checkpoint) (notes []string, marked bool, err error) {
	known := s.remembered(tenant)
	err = s.DB.Finish(ctx, tenant, func(tx pgx.Tx) error {
		if marked, err = markedTx(ctx, tx, tenant); err != nil {
			return err
		}
		if marked && have.Size == 0 {
			return &MissingError{s.Dir}
		}
		rows, err := tx.Query(ctx, `
			SELECT note
			FROM audit_checkpoint
			WHERE tenant_id = $1 AND size > $2
			ORDER BY size`, tenant, have.Size)
		if err != nil {
			return err
		}
		if notes, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil || len(notes) == 0 {
			return err
		}
		if err := holdsTx(ctx, tx, tenant, have, keptOutside); err != nil {
			return err
		}
		return holdsTx(ctx, tx, tenant, known, keptInMemory)
	})
	return notes, marked, err
}

// isAt tells whether an open file is still the one of this name.
func isAt(file *os.File, path string) bool {
	mine, err := file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(mine, there)
}

// cutAt cuts a file off.
func cutAt(file *os.File, end int64) error {
	info, err := file.Stat()
	if err != nil || info.Size() <= end {
		return err
	}
	return file.Truncate(end)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pg"
)

// What an operator says of a loss is recorded in the log before the servers sign it
// on. They may run meanwhile: until then they refuse to sign, and then go on by
// themselves.

type auditRestoredCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant; - for the log of whom was not let in."`
	Dir      string        `name:"audit-checkpoints" env:"OVERREAD_AUDIT_CHECKPOINTS" required:"" type:"existingdir" placeholder:"DIR" help:"The directory of checkpoints, as serve has it."`
	Key      []string      `name:"key" required:"" sep:"none" placeholder:"KEY" help:"The public key, or a file that holds it, or several, one a line. Give it again for each key that the log was signed with: what the file says is believed only where it is signed."`
	Reason   string        `name:"reason" required:"" help:"Why it was restored, from which backup. It is kept in the log for ever: name no patient."`
}

// Run records what was lost before it puts the file aside that proves it.
func (c auditRestoredCmd) Run(ctx context.Context, t terminal) error {
	keys, err := publicKeys(c.Key)
	if err != nil {
		return err
	}
	db, tenant, err := c.Database.openLog(ctx, c.Tenant)
	if err != nil {
		return err
	}
	defer db.Close()
	signed, err := auditlog.SignedOutside(c.Dir, tenant, keys...)
	switch altered, is := errors.AsType[*auditlog.AlteredError](err); {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file of checkpoints of %s in %s: mount its volume, or bring the file back; if it is gone for good: overread audit checkpoints-lost %s", c.Tenant, c.Dir, c.Tenant)
	case is:
		return fmt.Errorf("nothing is recorded: %w. %s. Bring back a good copy of the file; where there is none, move this one elsewhere, keep it, and say so: overread audit checkpoints-lost %s", altered, itself(ctx, db, tenant), c.Tenant)
	case err != nil:
		return err
	}
	last, err := auditlog.Outside(ctx, db, tenant, c.Dir)
	switch _, forked := errors.AsType[*auditlog.ForkedError](err); {
	case err == nil:
		return fmt.Errorf("the audit log of %s begins with all that was signed: nothing was lost, and nothing is put aside", c.Tenant)
	case !forked:
		return err
	case last.Size != signed.Size || last.Root != signed.Root:
		return errors.New("the file of checkpoints was changed meanwhile: try again")
	}
	if err := tellLoss(ctx, db, c.Tenant, access.Event{Kind: access.LogRestored, Tenant: tenant, Object: auditlog.LostMark(last), Reason: c.Reason}); err != nil {
		return err
	}
	aside, err := auditlog.SetAside(c.Dir, tenant, last, time.Now())
	if err != nil {
		return err
	}
	t.printf("recorded; the checkpoints of before are now in %s: keep them, they prove what was lost\n", aside)
	t.printf("overread serve begins a new file within a minute; give both to overread audit verify\n")
	return nil
}

// tellLoss records what was lost, and lets a new file begin. To the log of a tenant
// that was moved away nothing is added.
func tellLoss(ctx context.Context, db *pg.DB, name string, e access.Event) error {
	return db.System(ctx, func(tx pgx.Tx) error {
		if name != installation {
			if _, err := tenantToChange(ctx, tx, name); err != nil {
				return err
			}
		}
		err := pg.AsTenant(ctx, tx, e.Tenant, func() error { return auditlog.BeginOutsideTx(ctx, tx, e.Tenant) })
		if err != nil {
			return err
		}
		return record(ctx, db, tx, e)
	})
}

// itself is how the log fits what the database has signed.
func itself(ctx context.Context, db *pg.DB, tenant uuid.UUID) string {
	last, err := auditlog.Inside(ctx, db, tenant)
	if err != nil {
		return "The log does not fit the database's own checkpoints either"
	}
	return fmt.Sprintf("The log fits the database's own last checkpoint, of size %d", last.Size)
}

type auditFileLostCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant; - for the log of whom was not let in."`
	Dir      string        `name:"audit-checkpoints" env:"OVERREAD_AUDIT_CHECKPOINTS" required:"" type:"existingdir" placeholder:"DIR" help:"The directory of checkpoints, as serve has it."`
	Reason   string        `name:"reason" required:"" help:"Why it is gone. It is kept in the log for ever: name no patient."`
}

// Run records it, and lets a new file begin.
func (c auditFileLostCmd) Run(ctx context.Context, t terminal) error {
	db, tenant, err := c.Database.openLog(ctx, c.Tenant)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = auditlog.Outside(ctx, db, tenant, c.Dir)
	_, missing := errors.AsType[*auditlog.MissingError](err)
	_, forked := errors.AsType[*auditlog.ForkedError](err)
	switch {
	case forked:
		return fmt.Errorf("the file of checkpoints of %s is there, and says more than the log has: overread audit restored %s, if the database was restored", c.Tenant, c.Tenant)
	case err == nil:
		return fmt.Errorf("no file of checkpoints of %s is missing in %s: nothing is recorded", c.Tenant, c.Dir)
	case !missing:
		return err
	}
	last, err := auditlog.Inside(ctx, db, tenant)
	if err != nil {
		return err
	}
	if err := tellLoss(ctx, db, c.Tenant, access.Event{Kind: access.CheckpointsLost, Tenant: tenant, Object: auditlog.LostMark(last), Reason: c.Reason}); err != nil {
		return err
	}
	t.printf("recorded; overread serve begins a new file within a minute, with the checkpoints that the database has, up to %d events\n", last.Size)
	t.printf("that nothing was cut off with the file, only copies of it prove: compare them\n")
	return nil
}

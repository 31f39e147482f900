package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/mod/sumdb/note"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pg"
)

type auditCmd struct {
	Key      auditKeyCmd      `cmd:"" help:"Make the key that signs checkpoints of the audit log."`
	Export   auditExportCmd   `cmd:"" help:"Write a tenant's audit log to a file, up to its last checkpoint."`
	Verify   auditVerifyCmd   `cmd:"" help:"Prove from an export, the checkpoints and the public key that nothing was changed. Needs no database."`
	Restored auditRestoredCmd `cmd:"" help:"Say that the database was restored from a backup, and that its audit log lacks what was signed since."`
	FileLost auditFileLostCmd `cmd:"" name:"checkpoints-lost" help:"Say that a log's file of checkpoints outside the database is gone for good, and that a new one may begin."`
	Erase    auditEraseCmd    `cmd:"" help:"Erase a patient's details from a tenant's AuditEvents; the log still proves them."`
}

// installation is the tenant argument for the log of what belongs to no tenant.
const installation = "-"

// openLog opens the database, and finds whose log is meant: a tenant's, by its short
// name, or that of the installation.
func (f databaseFlags) openLog(ctx context.Context, name string) (db *pg.DB, tenant uuid.UUID, err error) {
	if db, err = f.open(ctx); err != nil {
		return nil, tenant, err
	}
	if name == installation {
		return db, auditlog.Installation, nil
	}
	if tenant, err = findTenant(ctx, db, name); err != nil {
		db.Close()
		return nil, tenant, err
	}
	return db, tenant, nil
}

type auditKeyCmd struct {
	Out string `arg:"" type:"path" help:"File for the private key; the public key goes to FILE.pub and to the terminal. It must not exist."`
}

func (c auditKeyCmd) Run(t terminal) error {
	private, public, err := auditlog.NewKey()
	if err != nil {
		return err
	}
	if err := writeNew(c.Out, private+"\n", 0o600); err != nil {
		return err
	}
	if err := writeNew(c.Out+".pub", public+"\n", 0o644); err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	t.printf("%s\n", public)
	return nil
}

// writeNew writes a file that must not be there yet.
func writeNew(path, text string, mode os.FileMode) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// signerOf reads the key of a file; "" is none. Others may not change it, nor read it
// unless the operator has said that there are none (shared): in a container's volume
// a secret is often readable by all.
func signerOf(file string, shared bool) (note.Signer, error) {
	if file == "" {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err == nil {
		switch mode := info.Mode().Perm(); {
		case mode&0o022 != 0:
			return nil, badSetting("audit-key", "%s has mode %04o: others than its owner may change it; chmod 600 it, and make a new key if somebody has", file, mode)
		case mode&0o007 != 0 && !shared:
			return nil, badSetting("audit-key", "%s has mode %04o: others than its owner and group may read it, and sign with it. chmod 600 it, and make a new key if somebody has read it; of a secret of Kubernetes set defaultMode 0440 and the pod's fsGroup. Where nobody else can be, as in a container: --audit-key-shared / OVERREAD_AUDIT_KEY_SHARED", file, mode)
		}
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, badSetting("audit-key", "%w", err)
	}
	signer, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, badSetting("audit-key", "%s holds no key; make one with: overread audit key FILE", file)
	}
	return signer, nil
}

type auditExportCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant; - for the log of whom was not let in."`
	Out      string        `name:"out" required:"" type:"path" placeholder:"FILE" help:"The file. It must not exist. It holds patients' details."`
	Notes    string        `name:"checkpoints" type:"path" placeholder:"FILE" help:"Also write the checkpoints that the database has. Those kept outside it prove more."`
}

func (c auditExportCmd) Run(ctx context.Context, t terminal) error {
	db, tenant, err := c.Database.openLog(ctx, c.Tenant)
	if err != nil {
		return err
	}
	defer db.Close()
	file, err := os.OpenFile(c.Out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(file, 1<<20)
	n, err := auditlog.Dump(ctx, db, tenant, w)
	if err = errors.Join(err, w.Flush(), file.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	if c.Notes != "" {
		text, err := auditlog.Checkpoints(ctx, db, tenant)
		if err == nil {
			err = writeNew(c.Notes, text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	t.printf("%d AuditEvents of %s written to %s\n", n, c.Tenant, c.Out)
	return nil
}

type auditEraseCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Patient  string        `name:"patient" required:"" placeholder:"ID" help:"The id of the Patient."`
	Reason   string        `name:"reason" required:"" help:"Why. It is kept in the log for ever: name no patient."`
	BaseURL  string        `name:"base-url" env:"OVERREAD_BASE_URL" default:"http://localhost/fhir" help:"The base of the FHIR surface, as serve has it."`
}

func (c auditEraseCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var tenant uuid.UUID
	err = db.System(ctx, func(tx pgx.Tx) error {
		tenant, err = tenantToChange(ctx, tx, c.Tenant)
		return err
	})
	if err != nil {
		return err
	}
	surface, err := fhir.New(fhir.Config{DB: db, BaseURL: c.BaseURL})
	if err != nil {
		return err
	}
	n, err := surface.EraseAudit(ctx, access.OperatorActor(tenant, operatorName()), strings.TrimPrefix(c.Patient, "Patient/"), c.Reason)
	if err == nil && n == 0 {
		return fmt.Errorf("no AuditEvent of %s with details names Patient/%s: nothing is erased; is the id right?", c.Tenant, strings.TrimPrefix(c.Patient, "Patient/"))
	}
	if err == nil {
		t.printf("the details of %d AuditEvents are erased; exports and backups that were made before still have them\n", n)
	}
	return err
}

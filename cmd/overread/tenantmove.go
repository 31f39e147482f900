package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/tenant"
)

// keeper does what is done to a whole tenant, and records it.
func keeper(db *pg.DB) tenant.Keeper {
	return tenant.Keeper{DB: db, Record: func(ctx context.Context, tx pgx.Tx, e access.Event) error { return record(ctx, db, tx, e) }}
}

type tenantListCmd struct {
	Database databaseFlags `embed:""`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c tenantListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := keeper(db).List(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, all)
	}
	w := tabwriter.NewWriter(t.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintf(w, "NAME\tDISPLAY\tSTATE\tSINCE\tOPEN CASES\tLAST ACTIVITY\tREASON\n")
	for _, row := range all {
		last := "never"
		if row.LastActivity != nil {
			last = row.LastActivity.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", row.Name, row.Display, row.State, row.Since.UTC().Format(time.RFC3339), row.CasesOpen, last, row.Reason)
	}
	return w.Flush()
}

type tenantSuspendCmd struct {
	Database databaseFlags `embed:""`
	Name     string        `arg:"" help:"Short name of the tenant."`
	Reason   string        `name:"reason" required:"" help:"Why. It is listed, and kept in the audit log for ever: name no patient."`
}

func (c tenantSuspendCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	underway, err := keeper(db).Suspend(ctx, c.Name, c.Reason)
	if err != nil {
		return err
	}
	t.printf("tenant %s is suspended: it is answered 503, and no job works for it\n", c.Name)
	if underway > 0 {
		t.printf("%d deliveries are on the network; what comes of them is still recorded\n", underway)
	}
	return nil
}

type tenantResumeCmd struct {
	Database databaseFlags `embed:""`
	Name     string        `arg:"" help:"Short name of the tenant."`
	Reason   string        `name:"reason" help:"Why. It is kept in the audit log for ever: name no patient."`
	Anyway   bool          `name:"anyway" help:"Also one that was moved away, or is a copy. Make sure that the other one never is at work again."`
}

func (c tenantResumeCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := keeper(db).Resume(ctx, c.Name, c.Reason, c.Anyway); err != nil {
		return err
	}
	t.printf("tenant %s goes on\n", c.Name)
	return nil
}

type tenantExportCmd struct {
	Database databaseFlags `embed:""`
	Name     string        `arg:"" help:"Short name of the tenant."`
	Out      string        `name:"out" required:"" type:"path" placeholder:"FILE" help:"The file. It must not exist. It holds patients' data."`
	Move     bool          `name:"move" help:"The tenant, which must be suspended, goes on elsewhere: it is marked, and does not resume here."`
}

func (c tenantExportCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	file, err := os.OpenFile(c.Out, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return badSetting("out", "%w", err)
	}
	m, err := keeper(db).Export(ctx, c.Name, file, c.Move)
	sum := ""
	if err == nil {
		sum, err = sha256Of(file)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	t.printf("%s: %d rows of tenant %s as of %s\nSHA-256 %s\nIt holds patients' data, reports and hashes of tokens: keep it like a medical record.\n",
		c.Out, m.Rows(), m.Name, m.ExportedAt.Format(time.RFC3339), sum)
	return nil
}

func sha256Of(file io.ReadSeeker) (string, error) {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	sum := sha256.New()
	_, err := io.Copy(sum, file)
	return hex.EncodeToString(sum.Sum(nil)), err
}

type tenantImportCmd struct {
	Database databaseFlags `embed:""`
	File     string        `arg:"" type:"existingfile" help:"What overread tenant export wrote."`
	Name     string        `name:"name" help:"What the tenant is called here; as it was called there when this is left out."`
}

func (c tenantImportCmd) Run(ctx context.Context, t terminal) error {
	if c.Name != "" && !shortName.MatchString(c.Name) {
		return badSetting("name", "%q: use small letters, digits and hyphens, at most 63", c.Name)
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	file, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer file.Close()
	m, err := keeper(db).Import(ctx, file, c.Name)
	if err != nil {
		return err
	}
	t.printf("tenant %s is here with %d rows, and suspended\n", m.Name, m.Rows())
	for _, s := range m.Secrets {
		t.printf("bring by hand: %s (%s.%s)\n", s.Path, s.Table, s.Column)
	}
	t.printf("persons who sign in as its readers: %d\n", len(m.People)-len(m.Unlinked))
	for _, p := range m.Unlinked {
		t.printf("not linked: %s at %s is another reader here already, not %s (overread person list)\n", p.Subject, p.Issuer, p.ReaderID)
	}
	next := "overread tenant resume " + m.Name
	if !m.Move {
		next += " --anyway, once the tenant that it is a copy of is suspended for good"
	}
	t.printf("next: %s\n", strings.TrimSpace(next))
	return nil
}

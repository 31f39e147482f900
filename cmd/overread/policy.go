package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// policyCmd is how a tenant wants its cases to run (docs/policy.md).
type policyCmd struct {
	Schema  policySchemaCmd  `cmd:"" help:"Print the JSON Schema of policies."`
	Check   policyCheckCmd   `cmd:"" help:"Say everything that is wrong with a policy, and on which line. Needs no database."`
	Show    policyShowCmd    `cmd:"" help:"Print a tenant's policy."`
	Set     policySetCmd     `cmd:"" help:"Make a file the next version of a tenant's policy. Cases in work keep theirs."`
	History policyHistoryCmd `cmd:"" help:"List the versions of a tenant's policy."`
}

type policySchemaCmd struct{}

func (policySchemaCmd) Run(t terminal) error {
	_, err := t.stdout.Write(workflow.PolicySchema())
	return err
}

type policyCheckCmd struct {
	File string `arg:"" help:"The policy as JSON or YAML; - is the standard input."`
	JSON bool   `name:"json" help:"Print JSON: what is wrong, or the whole policy with its defaults."`
}

// checkedPolicy is the whole policy, and in it what it perhaps does not mean.
type checkedPolicy struct {
	workflow.Policy
	Warnings workflow.PolicyErrors `json:"warnings,omitempty"`
}

func (c policyCheckCmd) Run(t terminal) error {
	document, err := readPolicy(c.File)
	switch {
	case err != nil:
		return tellFaults(t, c.File, "policy", c.JSON, err)
	case c.JSON:
		return printJSON(t, checkedPolicy{document.Policy, document.Odd})
	}
	warnOf(t, c.File, document)
	t.printf("%s is a policy (sha256 %.12x)\n", c.File, document.SHA256)
	return nil
}

type policyShowCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Version  int           `name:"version" help:"Which version; the one in force when it is left out."`
	Whole    bool          `name:"whole" help:"The whole policy as JSON, with what it leaves out."`
}

func (c policyShowCmd) Run(ctx context.Context, t terminal) error {
	var v workflow.PolicyVersion
	err := c.Database.forTenant(ctx, c.Tenant, func(tx pgx.Tx, tenant uuid.UUID) (err error) {
		v, err = workflow.PolicyVersionTx(ctx, tx, tenant, c.Version)
		return err
	})
	switch {
	case fault.Is(err, fault.NotFound) && c.Version == 0:
		v.Text, v.Document = "{}\n", []byte("{}")
	case err != nil:
		return fmt.Errorf("tenant %s: %w", c.Tenant, err)
	}
	if !c.Whole {
		t.printf("%s\n", strings.TrimRight(v.Text, "\n"))
		return nil
	}
	var policy workflow.Policy
	if err := json.Unmarshal(v.Document, &policy); err != nil {
		return fmt.Errorf("version %d cannot be read by this release: %w", v.Version, err)
	}
	return printJSON(t, policy)
}

type policySetCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	File     string        `arg:"" help:"The policy as JSON or YAML; - is the standard input. What it leaves out has its default."`
	Note     string        `name:"note" help:"Why, and for whom, for the history."`
	DryRun   bool          `name:"dry-run" help:"Only say what would change."`
}

// errDryRun undoes the transaction of a dry run.
var errDryRun = errors.New("dry run")

func (c policySetCmd) Run(ctx context.Context, t terminal) error {
	document, err := readPolicy(c.File)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	var v workflow.PolicyVersion
	var set bool
	var before workflow.Policy
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	err = ofTenant(ctx, db, c.Tenant, func(tx pgx.Tx, tenant uuid.UUID) (err error) {
		if _, err := tenantToChange(ctx, tx, c.Tenant); err != nil {
			return err
		}
		if before, err = policyNow(ctx, tx, tenant); err != nil {
			return err
		}
		v, set, err = workflow.SetPolicyTx(ctx, tx, tenant, document, operatorName(), c.Note)
		switch {
		case err != nil || !set:
			return err
		case c.DryRun:
			return errDryRun
		}
		return record(ctx, db, tx, access.Event{Kind: access.PolicySet, Tenant: tenant, Object: strconv.Itoa(v.Version), Reason: c.Note})
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return err
	}
	if !set {
		t.printf("tenant %s: the file is version %d, which is in force; nothing changes\n", c.Tenant, v.Version)
		return nil
	}
	changes, err := workflow.PolicyChanges(before, document.Policy)
	if err != nil {
		return err
	}
	for _, change := range changes {
		t.printf("%s: %s -> %s\n", change.Path, orNothing(change.Old), orNothing(change.New))
	}
	if len(changes) == 0 {
		t.printf("no setting changes, only the text\n")
	}
	warnOf(t, c.File, document)
	verb := "is in force for new cases"
	if c.DryRun {
		verb = "would be in force for new cases; nothing was changed"
	}
	t.printf("tenant %s: version %d (sha256 %.12s) %s\n", c.Tenant, v.Version, v.Digest(), verb)
	return nil
}

// warnOf prints what a policy says that is perhaps not meant.
func warnOf(t terminal, file string, document workflow.PolicyDocument) {
	for _, odd := range document.Odd {
		t.printf("%s: warning: %s\n", file, odd)
	}
}

// policyNow is the policy in force, by this release's defaults.
func policyNow(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (workflow.Policy, error) {
	policy := workflow.DefaultPolicy()
	v, err := workflow.PolicyVersionTx(ctx, tx, tenant, 0)
	if fault.Is(err, fault.NotFound) {
		return policy, nil
	}
	if err == nil {
		err = json.Unmarshal(v.Document, &policy)
	}
	return policy, err
}

func orNothing(json string) string {
	if json == "" {
		return "nothing"
	}
	return json
}

type policyHistoryCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c policyHistoryCmd) Run(ctx context.Context, t terminal) error {
	var versions []workflow.PolicyVersion
	err := c.Database.forTenant(ctx, c.Tenant, func(tx pgx.Tx, tenant uuid.UUID) (err error) {
		versions, err = workflow.PolicyVersionsTx(ctx, tx, tenant)
		return err
	})
	if err != nil {
		return err
	}
	type row struct {
		Version int       `json:"version"`
		SetAt   time.Time `json:"setAt"`
		SetBy   string    `json:"setBy"`
		Note    string    `json:"note,omitempty"`
		SHA256  string    `json:"sha256"`
	}
	rows := make([]row, len(versions))
	for i, v := range versions {
		rows[i] = row{Version: v.Version, SetAt: v.SetAt.UTC(), SetBy: v.SetBy, Note: v.Note, SHA256: v.Digest()}
	}
	if c.JSON {
		return printJSON(t, rows)
	}
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%d\t%s\t%s\t%.12s\t%s\n", r.Version, r.SetAt.Format(time.RFC3339), r.SetBy, r.SHA256, r.Note)
	}
	return table.Flush()
}

// forTenant runs fn in a System transaction with the tenant of that name.
func (f databaseFlags) forTenant(ctx context.Context, name string, fn func(tx pgx.Tx, tenant uuid.UUID) error) error {
	db, err := f.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	return ofTenant(ctx, db, name, fn)
}

func ofTenant(ctx context.Context, db *pg.DB, name string, fn func(tx pgx.Tx, tenant uuid.UUID) error) error {
	return db.System(ctx, func(tx pgx.Tx) error {
		id, err := tenantID(ctx, tx, name)
		if err != nil {
			return err
		}
		return fn(tx, id)
	})
}

// readPolicy reads and checks a policy file; "" is the default policy.
func readPolicy(file string) (workflow.PolicyDocument, error) {
	if file == "" {
		return workflow.ReadPolicy([]byte("{}"))
	}
	text, err := readDocument(file)
	if err != nil {
		return workflow.PolicyDocument{}, err
	}
	return workflow.ReadNewPolicy(text)
}

package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// templateCmd is how a tenant's reports are laid out (docs/templates.md).
type templateCmd struct {
	Schema templateSchemaCmd `cmd:"" help:"Print the JSON Schema of templates."`
	Check  templateCheckCmd  `cmd:"" help:"Say everything that is wrong with a template, and on which line. Needs no database."`
	List   templateListCmd   `cmd:"" help:"List the templates in force for a tenant, in the order in which they are tried."`
	Show   templateShowCmd   `cmd:"" help:"Print a template."`
	Set    templateSetCmd    `cmd:"" help:"Make a file the next version of a tenant's template."`
}

type templateSchemaCmd struct{}

func (templateSchemaCmd) Run(t terminal) error {
	_, err := t.stdout.Write(workflow.TemplateSchema())
	return err
}

type templateCheckCmd struct {
	File string `arg:"" help:"The template as JSON or YAML; - is the standard input."`
	JSON bool   `name:"json" help:"Print JSON: what is wrong, or the template."`
}

func (c templateCheckCmd) Run(t terminal) error {
	document, err := readTemplate(c.File)
	switch {
	case err != nil:
		return tellFaults(t, c.File, "template", c.JSON, err)
	case c.JSON:
		return printJSON(t, document.Template)
	}
	t.printf("%s is a template with %d %s (sha256 %.12x)\n", c.File, len(document.Template.Sections), plural(len(document.Template.Sections), "section"), document.SHA256)
	return nil
}

type templateListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

func (c templateListCmd) Run(ctx context.Context, t terminal) error {
	var all []workflow.TemplateVersion
	err := c.Database.forTenant(ctx, c.Tenant, func(tx pgx.Tx, tenant uuid.UUID) (err error) {
		all, err = workflow.TemplatesTx(ctx, tx, tenant)
		return err
	})
	if err != nil {
		return err
	}
	type row struct {
		Name    string `json:"name"`
		Version int    `json:"version"` // 0: the program's
		SetBy   string `json:"setBy"`
		SHA256  string `json:"sha256"`
		Title   string `json:"title"`
		Note    string `json:"note,omitempty"`
	}
	rows := make([]row, len(all))
	for i, v := range all {
		rows[i] = row{v.Name, v.Version, v.SetBy, v.Digest(), v.Template.Title, v.Note}
	}
	if c.JSON {
		return printJSON(t, rows)
	}
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		version := "program"
		if r.Version > 0 {
			version = strconv.Itoa(r.Version)
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%.12s\t%s\n", r.Name, version, r.SetBy, r.SHA256, r.Title)
	}
	return table.Flush()
}

type templateShowCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Name of the template."`
	Version  int           `name:"version" default:"-1" help:"Which version; 0 is the program's, and what is in force when it is left out."`
}

func (c templateShowCmd) Run(ctx context.Context, t terminal) error {
	var v workflow.TemplateVersion
	err := c.Database.forTenant(ctx, c.Tenant, func(tx pgx.Tx, tenant uuid.UUID) (err error) {
		v, err = workflow.TemplateVersionTx(ctx, tx, tenant, c.Name, c.Version)
		return err
	})
	if err != nil {
		return fmt.Errorf("tenant %s: %w", c.Tenant, err)
	}
	t.printf("%s\n", strings.TrimRight(v.Text, "\n"))
	return nil
}

type templateSetCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Name of the template; that of one of the program replaces it for this tenant."`
	File     string        `arg:"" help:"The template as JSON or YAML; - is the standard input."`
	Note     string        `name:"note" help:"Why, and for whom, for the record."`
}

func (c templateSetCmd) Run(ctx context.Context, t terminal) error {
	if err := workflow.CheckTemplateName(c.Name); err != nil {
		return err
	}
	document, err := readTemplate(c.File)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	var v workflow.TemplateVersion
	var set bool
	err = ofTenant(ctx, db, c.Tenant, func(tx pgx.Tx, tenant uuid.UUID) (err error) {
		if _, err := tenantToChange(ctx, tx, c.Tenant); err != nil {
			return err
		}
		if v, set, err = workflow.SetTemplateTx(ctx, tx, tenant, c.Name, document, operatorName(), c.Note); err != nil || !set {
			return err
		}
		return record(ctx, db, tx, access.Event{Kind: access.TemplateSet, Tenant: tenant, Object: c.Name + " " + strconv.Itoa(v.Version), Reason: c.Note})
	})
	switch {
	case err != nil:
		return err
	case !set:
		t.printf("tenant %s: the file is version %d of %s, which is in force; nothing changes\n", c.Tenant, v.Version, c.Name)
		return nil
	}
	t.printf("tenant %s: version %d of %s (sha256 %.12s) is in force\n", c.Tenant, v.Version, c.Name, v.Digest())
	return nil
}

// readTemplate reads and checks a template file.
func readTemplate(file string) (workflow.TemplateDocument, error) {
	text, err := readDocument(file)
	if err != nil {
		return workflow.TemplateDocument{}, err
	}
	return workflow.ReadTemplate(text)
}

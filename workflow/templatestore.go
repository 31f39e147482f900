package workflow

import (
	"context"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// The templates of the program, for common second opinions. A tenant that has one
// of the same name has its own instead.
//
//go:embed template
var templateFiles embed.FS

// TemplateVersion is one version of a template: a row of report_template, which
// never changes, or with version 0 one of the program.
type TemplateVersion struct {
	Name       string
	Version    int
	SetAt      time.Time
	SetBy      string
	Note       string
	Text       string
	Document   json.RawMessage
	TextSHA256 []byte
	Template   Template `db:"-"`
}

// Digest is the SHA-256 of the text in hexadecimal digits.
func (v TemplateVersion) Digest() string { return hex.EncodeToString(v.TextSHA256) }

// ProgramTemplates are those that are in the program, by name.
var ProgramTemplates = sync.OnceValue(func() (all []TemplateVersion) {
	files, err := fs.Glob(templateFiles, "template/*.yaml")
	if err != nil {
		panic(err) // the pattern is ours
	}
	for _, file := range files {
		text, err := templateFiles.ReadFile(file)
		if err != nil {
			panic(err)
		}
		d, err := ReadTemplate(text)
		if err != nil { // a test reads them
			panic(file + ": " + err.Error())
		}
		name := strings.TrimSuffix(strings.TrimPrefix(file, "template/"), ".yaml")
		all = append(all, TemplateVersion{Name: name, SetBy: "Overread", Text: string(text), Document: d.JSON, TextSHA256: d.SHA256[:], Template: d.Template})
	}
	return all
})

// TemplatesTx are the templates in force for a tenant in the order in which they
// are tried: its own, then those of the program of which it has none of the name.
func TemplatesTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) ([]TemplateVersion, error) {
	rows, err := tx.Query(ctx, `
		SELECT DISTINCT ON (name) name, version, set_at, set_by, note, text, document, text_sha256
		FROM report_template
		WHERE tenant_id = $1
		ORDER BY name, version DESC`, tenant)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[TemplateVersion])
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	for i := range all {
		if err := json.Unmarshal(all[i].Document, &all[i].Template); err != nil {
			return nil, fmt.Errorf("template %s: %w", all[i].Name, err)
		}
	}
	for _, ours := range ProgramTemplates() {
		if !slices.ContainsFunc(all, func(v TemplateVersion) bool { return v.Name == ours.Name }) {
			all = append(all, ours)
		}
	}
	return all, nil
}

// TemplateVersionTx returns one version of a template, -1 for the one in force, 0
// for the program's; a fault of kind NotFound when there is none.
func TemplateVersionTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string, version int) (TemplateVersion, error) {
	rows, err := tx.Query(ctx, `
		SELECT name, version, set_at, set_by, note, text, document, text_sha256
		FROM report_template
		WHERE tenant_id = @tenant AND name = @name AND (@version = -1 OR version = @version)
		ORDER BY version DESC
		LIMIT 1`, pgx.NamedArgs{"tenant": tenant, "name": name, "version": version})
	if err != nil {
		return TemplateVersion{}, fmt.Errorf("template: %w", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[TemplateVersion])
	if errors.Is(err, pgx.ErrNoRows) {
		for _, ours := range ProgramTemplates() {
			if ours.Name == name && version <= 0 {
				return ours, nil
			}
		}
		return v, fault.New(fault.NotFound, "there is no template %s of that version", name)
	}
	if err == nil {
		err = json.Unmarshal(v.Document, &v.Template)
	}
	if err != nil {
		return v, fmt.Errorf("template: %w", err)
	}
	return v, nil
}

// TemplateVersionsTx are the versions of a template, the newest first; the program's, of
// number 0, comes last. A fault of kind NotFound when there is none of the name.
func TemplateVersionsTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string) ([]TemplateVersion, error) {
	rows, err := tx.Query(ctx, `
		SELECT name, version, set_at, set_by, note, text, document, text_sha256
		FROM report_template
		WHERE tenant_id = $1 AND name = $2
		ORDER BY version DESC`, tenant, name)
	if err != nil {
		return nil, fmt.Errorf("versions of a template: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[TemplateVersion])
	if err != nil {
		return nil, fmt.Errorf("versions of a template: %w", err)
	}
	for _, ours := range ProgramTemplates() {
		if ours.Name == name {
			all = append(all, ours)
		}
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "there is no template of this name")
	}
	return all, nil
}

// CaseTemplateTx is the template for the exam of a case; a fault of kind NotFound
// where none fits.
func CaseTemplateTx(ctx context.Context, tx pgx.Tx, c Case) (TemplateVersion, error) {
	all, err := TemplatesTx(ctx, tx, c.TenantID)
	if err != nil {
		return TemplateVersion{}, err
	}
	for _, v := range all {
		if v.Template.Fits(c.Exam, c.Priority) {
			return v, nil
		}
	}
	return TemplateVersion{}, fault.New(fault.NotFound, "no template fits this exam; write the findings as text")
}

// SetTemplateTx makes a document the next version of a tenant's template, in a
// System transaction. One that says nothing new makes no version; then set is
// false.
func SetTemplateTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string, d TemplateDocument, by, note string) (v TemplateVersion, set bool, err error) {
	if _, err := tx.Exec(ctx, `SELECT FROM tenant WHERE tenant_id = $1 FOR UPDATE`, tenant); err != nil {
		return v, false, fmt.Errorf("lock tenant: %w", err)
	}
	before, err := TemplateVersionTx(ctx, tx, tenant, name, -1)
	switch {
	case err == nil && before.Version > 0 && before.Text == string(d.Text):
		return before, false, nil
	case err != nil && !fault.Is(err, fault.NotFound):
		return v, false, err
	}
	v = TemplateVersion{Name: name, Version: before.Version + 1, SetBy: by, Note: note, Text: string(d.Text), Document: d.JSON, TextSHA256: d.SHA256[:], Template: d.Template}
	err = tx.QueryRow(ctx, `
		INSERT INTO report_template (tenant_id, name, version, set_by, note, text, document, text_sha256)
		VALUES (@tenant, @name, @version, @by, @note, @text, @document, @sha256)
		RETURNING set_at`,
		pgx.NamedArgs{"tenant": tenant, "name": name, "version": v.Version, "by": by, "note": note, "text": v.Text, "document": string(d.JSON), "sha256": v.TextSHA256}).
		Scan(&v.SetAt)
	if err != nil {
		return v, false, fmt.Errorf("insert template: %w", err)
	}
	return v, true, nil
}

// CheckTemplateName refuses what is no name of a template.
func CheckTemplateName(name string) error {
	for _, f := range forms {
		if f.of.Name() == "ItemID" && !regexp.MustCompile(f.pattern).MatchString(name) {
			return fmt.Errorf("%q is no name of a template: %s", name, f.want)
		}
	}
	return nil
}

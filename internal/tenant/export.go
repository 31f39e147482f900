package tenant

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// Format is the format of the file: a ZIP archive with a file for each table, in
// PostgreSQL's text format of COPY (UTF-8), in an order in which they can be
// inserted, and at its end manifest.json.
const Format = "overread-tenant/1"

const manifestName = "manifest.json"

// Manifest says what is in the file.
type Manifest struct {
	Format     string    `json:"format"`
	Warning    string    `json:"warning"`
	Schema     int64     `json:"schema"`
	TenantID   uuid.UUID `json:"tenantId"`
	Name       string    `json:"name"`
	Display    string    `json:"display"`
	ExportedAt time.Time `json:"exportedAt"`
	Move       bool      `json:"move"`    // it was suspended for good
	Tables     []Part    `json:"tables"`  // in the order of the archive
	Secrets    []Secret  `json:"secrets"` // files that are named and are not in here
	People     []Person  `json:"people,omitempty"`
	Unlinked   []Person  `json:"-"` // after Import: who is another reader here
}

// Part is one table in the file.
type Part struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
	Rows    int64    `json:"rows"`
	SHA256  string   `json:"sha256"`
}

func (p Part) file() string { return "tables/" + p.Table + ".copy" }

// Secret is a file that the tenant's rows name: who moves the tenant brings it.
type Secret struct {
	Table  string `json:"table"`
	Column string `json:"column"`
	Path   string `json:"path"`
}

// Rows is how many rows there are in all.
func (m Manifest) Rows() (n int64) {
	for _, p := range m.Tables {
		n += p.Rows
	}
	return n
}

const warning = "This file holds all that the tenant has: patients' data, reports, hashes of tokens. Keep it like a medical record."

// calm is how long a tenant is suspended before it is moved: records of what was
// read wait for a moment in the memory of each replica.
const calm = 3 * time.Second

// Export writes all that a tenant has to a file, as it is at one moment. With move
// the tenant must be suspended; it is marked as moved before it is read, so that
// nothing is added to it here any more. One that is marked is written once more,
// as when whoever moved it was killed before the file was whole.
func (k Keeper) Export(ctx context.Context, name string, file *os.File, move bool) (Manifest, error) {
	t, err := k.leave(ctx, name, move)
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	err = k.DB.Whole(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) (err error) {
		if err := rewind(file); err != nil {
			return err
		}
		m = Manifest{Format: Format, Warning: warning, TenantID: t.TenantID, Name: t.Name, Display: t.Display, Move: move, Secrets: []Secret{}}
		return m.write(ctx, tx, file)
	})
	if err == nil {
		err = file.Sync()
	}
	if err != nil && move {
		err = k.giveUp(ctx, t, err)
	}
	return m, err
}

func rewind(file *os.File) error {
	_, err := file.Seek(0, io.SeekStart)
	return errors.Join(err, file.Truncate(0))
}

// leave records the export, and marks a tenant that moves.
func (k Keeper) leave(ctx context.Context, name string, move bool) (t Row, err error) {
	if move {
		if err := k.calmDown(ctx, name); err != nil {
			return t, err
		}
	}
	err = k.DB.System(ctx, func(tx pgx.Tx) (err error) {
		if t, err = find(ctx, tx, name); err != nil {
			return err
		}
		switch {
		case t.State == Moved && move:
			return nil // recorded when it was marked
		case t.State == Moved:
			return fmt.Errorf("tenant %s was moved away, and nothing is added to its audit log here; if its file was lost, give --move to write it again", name)
		case !move:
			return k.record(ctx, tx, t.TenantID, name, access.TenantExported, "")
		case t.State != Suspended:
			return fmt.Errorf("tenant %s is %s; what is to be moved must be suspended (overread tenant suspend)", name, t.State)
		}
		if err := auditlog.Leave(ctx, tx, t.TenantID); err != nil {
			return err
		}
		return k.turn(ctx, tx, t, Moved, access.TenantExported, t.Reason)
	})
	if err == nil && move {
		if err = k.settle(ctx); err != nil {
			err = k.giveUp(ctx, t, err)
		}
	}
	return t, err
}

// calmDown waits until nothing of a suspended tenant's is under way.
func (k Keeper) calmDown(ctx context.Context, name string) error {
	var t Row
	var rested time.Duration
	err := k.DB.System(ctx, func(tx pgx.Tx) (err error) {
		if t, err = find(ctx, tx, name); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT now() - $1::timestamptz`, t.Since).Scan(&rested)
	})
	if err != nil || t.State != Suspended {
		return err // the state is judged under its lock
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(calm - rested):
	}
	n, err := k.underway(ctx, t.TenantID)
	if err == nil && n > 0 {
		err = fmt.Errorf("%d deliveries of tenant %s are under way, or their courier died with them: try again in a minute", n, name)
	}
	return err
}

// giveUp takes a move back that came to nothing, unless it was marked before: then
// there may be a file of it.
func (k Keeper) giveUp(ctx context.Context, t Row, why error) error {
	if t.State != Suspended {
		return why
	}
	return errors.Join(why, k.DB.System(context.WithoutCancel(ctx), func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE tenant SET state = 'suspended' WHERE tenant_id = $1 AND state = 'moved'`, t.TenantID)
		return err
	}))
}

// write writes the archive.
func (m *Manifest) write(ctx context.Context, tx pgx.Tx, w io.Writer) (err error) {
	if m.Schema, err = schemaVersion(ctx, tx); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `SELECT now()`).Scan(&m.ExportedAt); err != nil {
		return err
	}
	m.ExportedAt = m.ExportedAt.UTC()
	all, err := tables(ctx, tx)
	if err != nil {
		return err
	}
	archive := zip.NewWriter(w)
	for _, t := range all {
		if err := as(ctx, tx, t.Reader, m.TenantID); err != nil {
			return err
		}
		part, err := t.write(ctx, tx, archive, m.TenantID)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
		m.Tables = append(m.Tables, part)
		if err := m.addSecrets(ctx, tx, t); err != nil {
			return err
		}
	}
	if err := m.addPeople(ctx, tx); err != nil {
		return err
	}
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	entry, err := archive.Create(manifestName)
	if err == nil {
		_, err = entry.Write(append(text, '\n'))
	}
	return errors.Join(err, archive.Close())
}

// write streams the tenant's rows of a table.
func (t table) write(ctx context.Context, tx pgx.Tx, archive *zip.Writer, tenant uuid.UUID) (Part, error) {
	part := Part{Table: t.Name, Columns: t.Columns}
	entry, err := archive.Create(part.file())
	if err != nil {
		return part, err
	}
	sum := newTally(entry)
	// A uuid and names from the catalogue: COPY takes no parameters.
	_, err = tx.Conn().PgConn().CopyTo(ctx, sum, `COPY (SELECT `+t.columnList()+` FROM `+pgx.Identifier{t.Name}.Sanitize()+
		` WHERE tenant_id = '`+tenant.String()+`') TO STDOUT (ENCODING 'UTF8')`)
	part.Rows, part.SHA256 = sum.rows, sum.hex()
	return part, err
}

func (t table) columnList() string {
	var names []string
	for _, c := range t.Columns {
		names = append(names, pgx.Identifier{c}.Sanitize())
	}
	return strings.Join(names, ", ")
}

// addSecrets lists the files that a table names (columns that end with _file).
func (m *Manifest) addSecrets(ctx context.Context, tx pgx.Tx, t table) error {
	for i, c := range t.Columns {
		if !strings.HasSuffix(c, "_file") || t.Types[i] != "text" {
			continue
		}
		column := pgx.Identifier{c}.Sanitize()
		rows, err := tx.Query(ctx, `SELECT DISTINCT `+column+` FROM `+pgx.Identifier{t.Name}.Sanitize()+` WHERE tenant_id = $1 AND `+column+` IS NOT NULL`, m.TenantID)
		if err != nil {
			return err
		}
		paths, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, path := range paths {
			m.Secrets = append(m.Secrets, Secret{t.Name, c, path})
		}
	}
	return nil
}

// tally passes a table on, and counts it: a row is a line, and a line break in a
// value is written otherwise.
type tally struct {
	to   io.Writer
	sum  hash.Hash
	rows int64
}

func newTally(to io.Writer) *tally { return &tally{to: to, sum: sha256.New()} }

func (t *tally) Write(p []byte) (int, error) {
	t.sum.Write(p)
	t.rows += int64(bytes.Count(p, []byte("\n")))
	return t.to.Write(p)
}

func (t *tally) hex() string { return hex.EncodeToString(t.sum.Sum(nil)) }

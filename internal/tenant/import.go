package tenant

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
)

// Import reads a tenant from a file that Export wrote, in one transaction, and
// leaves it suspended. name is what it is called here; "" for its own name. The
// file is read to its end, and found whole, before anything is written. It refuses
// a file of another version of the schema, and a tenant that is here.
func (k Keeper) Import(ctx context.Context, file *os.File, name string) (Manifest, error) {
	m, archive, err := open(file)
	if err != nil {
		return m, fmt.Errorf("this is no whole export of a tenant: %w", err)
	}
	if name != "" {
		m.Name = name
	}
	err = k.DB.Whole(ctx, pgx.TxOptions{}, func(tx pgx.Tx) error {
		if err := m.mayCome(ctx, tx); err != nil {
			return err
		}
		all, err := tables(ctx, tx)
		if err != nil {
			return err
		}
		if err := m.fits(all); err != nil {
			return err
		}
		for _, t := range all {
			if err := m.read(ctx, tx, archive, t); err != nil {
				return fmt.Errorf("table %s: %w", t.Name, err)
			}
		}
		if err := m.bringPeople(ctx, tx); err != nil {
			return err
		}
		return k.record(ctx, tx, m.TenantID, m.Name, access.TenantImported, "")
	})
	return m, err
}

// open reads the manifest and then all of the file, and compares.
func open(file *os.File) (m Manifest, archive *zip.Reader, err error) {
	info, err := file.Stat()
	if err != nil {
		return m, nil, err
	}
	if archive, err = zip.NewReader(file, info.Size()); err != nil {
		return m, nil, err
	}
	text, err := archive.Open(manifestName)
	if err != nil {
		return m, nil, errors.New("it has no manifest")
	}
	if err := json.NewDecoder(text).Decode(&m); err != nil {
		return m, nil, fmt.Errorf("its manifest cannot be read: %w", err)
	}
	if m.Format != Format {
		return m, nil, fmt.Errorf("its format is %q, and this program reads %s", m.Format, Format)
	}
	if len(archive.File) != len(m.Tables)+1 {
		return m, nil, fmt.Errorf("it has %d files, and its manifest names %d tables", len(archive.File), len(m.Tables))
	}
	for _, part := range m.Tables {
		if err := part.copy(archive, io.Discard); err != nil {
			return m, nil, err
		}
	}
	return m, archive, nil
}

// copy copies a table out of the archive. It returns an error when it was not what
// the manifest says, after all of it was copied.
func (p Part) copy(archive *zip.Reader, to io.Writer) error {
	entry, err := archive.Open(p.file())
	if err != nil {
		return fmt.Errorf("table %s is missing", p.Table)
	}
	sum := newTally(to)
	_, err = io.Copy(sum, entry)
	if err = errors.Join(err, entry.Close()); err != nil {
		return fmt.Errorf("table %s: %w", p.Table, err)
	}
	if sum.rows != p.Rows || sum.hex() != p.SHA256 {
		return fmt.Errorf("table %s is not what the manifest says", p.Table)
	}
	return nil
}

// mayCome refuses what this database cannot take.
func (m Manifest) mayCome(ctx context.Context, tx pgx.Tx) error {
	version, err := schemaVersion(ctx, tx)
	if err != nil {
		return err
	}
	if version != m.Schema {
		return fmt.Errorf("the file is of schema version %d and this database has %d: bring the older one up with overread migrate of the same release, and export again", m.Schema, version)
	}
	var here string
	err = tx.QueryRow(ctx, `SELECT name FROM tenant WHERE tenant_id = $1 OR name = $2 LIMIT 1`, m.TenantID, m.Name).Scan(&here)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("tenant %s is here already, or another of its name: nothing was changed (--name gives the imported one another name)", here)
}

// fits refuses a file whose tables are not those of this database.
func (m Manifest) fits(all []table) error {
	for _, t := range all {
		i := slices.IndexFunc(m.Tables, func(p Part) bool { return p.Table == t.Name })
		if i < 0 || !slices.Equal(m.Tables[i].Columns, t.Columns) {
			return fmt.Errorf("the file has no table %s with the columns that this database has", t.Name)
		}
	}
	if len(all) != len(m.Tables) {
		return errors.New("the file has tables that this database has not")
	}
	return nil
}

// read inserts the rows of a table. COPY cannot write where there is row-level
// security, so they go into a table of the transaction's own first. None may be
// another tenant's.
func (m Manifest) read(ctx context.Context, tx pgx.Tx, archive *zip.Reader, t table) error {
	part := m.Tables[slices.IndexFunc(m.Tables, func(p Part) bool { return p.Table == t.Name })]
	if err := as(ctx, tx, t.Writer, m.TenantID); err != nil {
		return err
	}
	var columns []string
	for i, c := range t.Columns {
		columns = append(columns, pgx.Identifier{c}.Sanitize()+" "+t.Types[i])
	}
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE incoming (`+strings.Join(columns, ", ")+`) ON COMMIT DROP`); err != nil {
		return fmt.Errorf("a temporary table (the database must allow them: GRANT TEMPORARY): %w", err)
	}
	out, in := io.Pipe()
	go func() { _ = in.CloseWithError(part.copy(archive, in)) }()
	_, err := tx.Conn().PgConn().CopyFrom(ctx, out, `COPY incoming FROM STDIN (ENCODING 'UTF8')`)
	_ = out.CloseWithError(err) // lets the goroutine end
	if err != nil {
		return plain(err)
	}
	if err := mustBeHere(ctx, tx, t); err != nil {
		return err
	}
	values, args := m.values(t)
	tag, err := tx.Exec(ctx, `
		INSERT INTO `+pgx.Identifier{t.Name}.Sanitize()+` (`+t.columnList()+`)
		SELECT `+values+`
		FROM incoming
		WHERE tenant_id = @tenant`, args)
	if err != nil {
		return plain(err)
	}
	if tag.RowsAffected() != part.Rows {
		return errors.New("it has rows of another tenant")
	}
	_, err = tx.Exec(ctx, `DROP TABLE incoming`)
	return err
}

// mustBeHere refuses rows that name what belongs to no tenant and is not here.
func mustBeHere(ctx context.Context, tx pgx.Tx, t table) error {
	rows, err := tx.Query(ctx, `
		SELECT a.attname, r.relname, b.attname
		FROM pg_constraint f
		JOIN pg_class r ON r.oid = f.confrelid
		JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
		JOIN pg_attribute b ON b.attrelid = f.confrelid AND b.attnum = f.confkey[1]
		WHERE f.contype = 'f' AND f.conrelid = $1::text::regclass AND r.relname = ANY ($2)`,
		pgx.Identifier{t.Name}.Sanitize(), slices.Collect(maps.Keys(NobodysTables)))
	if err != nil {
		return err
	}
	type need struct{ Column, Table, Key string }
	needs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[need])
	if err != nil {
		return err
	}
	for _, n := range needs {
		column, other, key := pgx.Identifier{n.Column}.Sanitize(), pgx.Identifier{n.Table}.Sanitize(), pgx.Identifier{n.Key}.Sanitize()
		rows, err := tx.Query(ctx, `SELECT DISTINCT `+column+`::text FROM incoming WHERE `+column+` NOT IN (SELECT `+key+` FROM `+other+`)`)
		if err != nil {
			return err
		}
		missing, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			return fmt.Errorf("it names what belongs to no tenant and is not here: add the %s %s first", n.Table, strings.Join(missing, ", "))
		}
	}
	return nil
}

// plain is an error of PostgreSQL without its details, which quote rows.
func plain(err error) error { return errors.New(pg.Describe(err)) }

// values are what is inserted: the columns, save those that mean something else
// here. A number of a transaction is one of the database that it was in; what
// comes in was written before everything here (migration 00007).
func (m Manifest) values(t table) (string, pgx.NamedArgs) {
	state, reason := Suspended, "imported"
	if !m.Move {
		state = Copied
	}
	args := pgx.NamedArgs{"tenant": m.TenantID}
	changed := map[string]string{}
	if t.Name == "tenant" {
		changed = map[string]string{"name": "@name", "state": "@state", "state_since": "now()", "state_reason": "@reason"}
		args["name"], args["state"], args["reason"] = m.Name, state, reason
	}
	var values []string
	for i, c := range t.Columns {
		switch value, other := changed[c]; {
		case other:
			values = append(values, value)
		case t.Types[i] == "xid8":
			values = append(values, `'3'::xid8`)
		default:
			values = append(values, pgx.Identifier{c}.Sanitize())
		}
	}
	return strings.Join(values, ", "), args
}

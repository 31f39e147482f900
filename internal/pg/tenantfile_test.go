package pg_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/tenant"
)

// keeperOf does what is done to tenants; what it records goes nowhere.
func keeperOf(db *pgtest.Database) tenant.Keeper {
	return tenant.Keeper{DB: db.DB, Record: func(context.Context, pgx.Tx, access.Event) error { return nil }}
}

// exported writes a tenant to a file.
func exported(t *testing.T, db *pgtest.Database, id uuid.UUID, move bool) (*os.File, tenant.Manifest) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "tenant.zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	m, err := keeperOf(db).Export(context.Background(), "t-"+id.String(), file, move)
	if err != nil {
		t.Fatal(err)
	}
	return file, m
}

// contents are the rows of a tenant by table, as text, without what an import
// changes.
func contents(t *testing.T, owner *pgx.Conn, id uuid.UUID) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for table := range rows {
		if tenant.LeftOut[table] != "" || tenant.NobodysTables[table] != "" {
			continue
		}
		found, err := owner.Query(context.Background(), `
			SELECT (to_jsonb(t) - ARRAY['xid', 'state', 'state_since', 'state_reason', 'access_mark'])::text
			FROM `+pgx.Identifier{table}.Sanitize()+` t
			WHERE tenant_id = $1
			ORDER BY 1`, id)
		if err != nil {
			t.Fatal(err)
		}
		if all[table], err = pgx.CollectRows(found, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestEveryTableOfATenantIsExportedOrLeftOutForAReason(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.Owner(t)
	_, m := exported(t, db, addRows(t, owner), false)
	got := map[string]string{}
	for _, p := range m.Tables {
		got[p.Table] = "exported"
	}
	for table := range tenant.LeftOut {
		got[table] = "left out"
	}
	for table := range tenant.NobodysTables {
		got[table] = "nobody's"
	}
	found, err := owner.Query(context.Background(), `
		SELECT relname, EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = 'tenant_id')
		FROM pg_class c
		WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`)
	if err != nil {
		t.Fatal(err)
	}
	var table string
	var owned bool
	n, err := pgx.ForEachRow(found, []any{&table, &owned}, func() error {
		if what := got[table]; what == "" || (what == "nobody's") == owned {
			t.Errorf("table %s is %q: say in internal/tenant/table.go what becomes of it when a tenant moves", table, what)
		}
		delete(got, table)
		return nil
	})
	if err != nil || n.RowsAffected() == 0 {
		t.Fatal(n, err)
	}
	if len(got) > 0 {
		t.Errorf("there are no such tables: %v", got)
	}
}

func TestATenantComesOutOfItsFileAsItWentIn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	from, to := pgtest.New(t), pgtest.New(t)
	there, here := from.Owner(t), to.Owner(t)
	addRows(t, there) // somebody else, who stays
	id := addRows(t, there)
	run(t, there, `UPDATE resource SET body = convert_to(E'{"text": "line\nbreak, tab\t, \\\\ and Zoë"}', 'UTF8')`)
	run(t, there, `UPDATE agenda SET due_at = 'infinity', remaining_s = 0.1`)
	run(t, there, `UPDATE destination SET token_file = '/etc/overread/ehr-token'`)
	run(t, here, `INSERT INTO provider SELECT * FROM jsonb_populate_recordset(NULL::provider, '[]')`)
	for _, p := range providers(t, there) {
		if _, err := here.Exec(ctx, `INSERT INTO provider SELECT * FROM jsonb_populate_record(NULL::provider, $1::text::jsonb)`, p); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, there, id)
	file, m := exported(t, from, id, false)
	if want := []tenant.Secret{{Table: "destination", Column: "token_file", Path: "/etc/overread/ehr-token"}}; cmp.Diff(want, m.Secrets) != "" {
		t.Errorf("files to bring: %v", m.Secrets)
	}
	if _, err := keeperOf(to).Import(ctx, file, ""); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, contents(t, here, id)); diff != "" {
		t.Errorf("what came in is not what went out: %s", diff)
	}
	for table, rows := range before {
		if len(rows) == 0 {
			t.Errorf("no row of %s was looked at", table)
		}
	}
	var xids, others int
	err := here.QueryRow(ctx, `SELECT (SELECT count(*) FROM resource WHERE xid <> '3'), (SELECT count(*) FROM tenant WHERE tenant_id <> $1)`, id).Scan(&xids, &others)
	if err != nil || xids+others > 0 {
		t.Errorf("%d rows claim a transaction of another database, %d other tenants came along (%v)", xids, others, err)
	}
	if _, err := keeperOf(to).Import(ctx, file, "another-name"); err == nil || !strings.Contains(err.Error(), "is here already") {
		t.Errorf("a tenant is imported twice: %v", err)
	}
}

func providers(t *testing.T, owner *pgx.Conn) []string {
	t.Helper()
	found, err := owner.Query(context.Background(), `SELECT to_jsonb(p)::text FROM provider p`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestABrokenFileIsNotImported(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	from, to := pgtest.New(t), pgtest.New(t)
	id := addRows(t, from.Owner(t))
	file, m := exported(t, from, id, false)
	whole, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[30+len("tables/"+m.Tables[0].Table+".copy")+3] ^= 0xff // in the first table's bytes
	for name, text := range map[string][]byte{
		"the end is missing": whole[:len(whole)-1], "half of it": whole[:len(whole)/2], "nothing": {}, "a bit is another": flipped,
	} {
		broken, err := os.Create(filepath.Join(t.TempDir(), "broken"))
		if err != nil {
			t.Fatal(err)
		}
		defer broken.Close()
		if _, err := broken.Write(text); err != nil {
			t.Fatal(err)
		}
		if _, err := keeperOf(to).Import(ctx, broken, ""); err == nil || !strings.Contains(err.Error(), "no whole export") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for table, rows := range contents(t, to.Owner(t), id) {
		if len(rows) > 0 {
			t.Errorf("%s: %d rows", table, len(rows))
		}
	}
}

func TestAFileThatNamesAnotherTenantsRowsIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	from, to := pgtest.New(t), pgtest.New(t)
	id := addRows(t, from.Owner(t))
	victim := addRows(t, to.Owner(t))
	run(t, from.Owner(t), `DELETE FROM provider_role`) // whose providers are not there
	file, m := exported(t, from, id, false)
	for _, table := range []string{"token", "client", "resource", "audit_event"} {
		forged := forgedFile(t, file, m, table, victim)
		_, err := keeperOf(to).Import(ctx, forged, "")
		if err == nil || !strings.Contains(err.Error(), "another tenant") {
			t.Errorf("%s: %v", table, err)
		}
	}
	var n int
	if err := to.Owner(t).QueryRow(ctx, `SELECT count(*) FROM token`).Scan(&n); err != nil || n != 1 {
		t.Errorf("%d tokens (%v)", n, err)
	}
}

func TestAFileOfAnotherVersionIsRefused(t *testing.T) {
	t.Parallel()
	from, to := pgtest.New(t), pgtest.New(t)
	file, _ := exported(t, from, addRows(t, from.Owner(t)), false)
	run(t, to.Owner(t), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, true)`)
	if _, err := keeperOf(to).Import(context.Background(), file, ""); err == nil || !strings.Contains(err.Error(), "schema version") {
		t.Error(err)
	}
}

func TestWhatMovesMustBeSuspendedAndDoesNotComeBackUnasked(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	owner := db.Owner(t)
	id := addRows(t, owner)
	run(t, owner, `UPDATE delivery SET lease_until = now() + interval '1 hour'`)
	name, k := "t-"+id.String(), keeperOf(db)
	file, err := os.Create(filepath.Join(t.TempDir(), "tenant.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	refused := func(want string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	move := func() error {
		_, err := k.Export(ctx, name, file, true)
		return err
	}
	refused("must be suspended", move())
	refused("is active", k.Resume(ctx, name, "", false))
	if n, err := k.Suspend(ctx, name, "it moves"); err != nil || n != 1 {
		t.Errorf("suspended with %d deliveries under way: %v", n, err)
	}
	_, err = k.Suspend(ctx, name, "again")
	refused("already", err)
	refused("under way", move())
	run(t, owner, `UPDATE delivery SET lease_until = NULL`)
	if err := move(); err != nil {
		t.Fatal(err)
	}
	refused("--anyway", k.Resume(ctx, name, "", false))
	if err := k.Resume(ctx, name, "the other one was never started", true); err != nil {
		t.Error(err)
	}
}

// forgedFile is a file in which the rows of one table are another tenant's, as
// somebody makes it who knows the format.
func forgedFile(t *testing.T, file *os.File, m tenant.Manifest, table string, victim uuid.UUID) *os.File {
	t.Helper()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := os.Create(filepath.Join(t.TempDir(), "forged.zip"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { forged.Close() })
	w := zip.NewWriter(forged)
	m.Tables = slices.Clone(m.Tables)
	write := func(name string, text []byte) {
		entry, err := w.Create(name)
		if err == nil {
			_, err = entry.Write(text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range m.Tables {
		name := "tables/" + p.Table + ".copy"
		text, err := fs.ReadFile(archive, name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Table == table {
			text = bytes.ReplaceAll(text, []byte(m.TenantID.String()), []byte(victim.String()))
			m.Tables[i].SHA256 = fmt.Sprintf("%x", sha256.Sum256(text))
		}
		write(name, text)
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	write("manifest.json", manifest)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return forged
}

func TestASuspendedTenantIsLetIntoNoTransactionSaveToFinish(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	id, other := addRows(t, db.Owner(t)), addRows(t, db.Owner(t))
	run(t, db.Owner(t), `UPDATE tenant SET state = 'suspended' WHERE tenant_id = '`+id.String()+`'`)
	enter := func(in func(context.Context, uuid.UUID, func(pgx.Tx) error) error, id uuid.UUID) (entered bool, err error) {
		err = in(ctx, id, func(pgx.Tx) error { entered = true; return nil })
		return entered, err
	}
	for name, in := range map[string]func(context.Context, uuid.UUID, func(pgx.Tx) error) error{"Tenant": db.Tenant, "Snapshot": db.Snapshot} {
		if entered, err := enter(in, id); entered || !errors.Is(err, pg.ErrSuspended) {
			t.Errorf("%s: %t %v", name, entered, err)
		}
		if entered, err := enter(in, other); !entered || err != nil {
			t.Errorf("%s of another tenant: %t %v", name, entered, err)
		}
	}
	if entered, err := enter(db.Finish, id); !entered || err != nil {
		t.Errorf("Finish: %t %v", entered, err)
	}
}

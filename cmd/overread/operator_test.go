package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/pgtest"
)

// operate runs a verb against a database, and returns what it wrote to both ends.
func operate(t *testing.T, db *pgtest.Database, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, complaints bytes.Buffer
	err = run(t.Context(), append(args, "--database-url", db.URL), &out, &complaints)
	return out.String(), complaints.String(), err
}

const someKeys = "https://ehr.example/jwks"

// Every verb that changes something of a tenant is here.
func TestNothingOfATenantThatWasMovedIsChanged(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	tenant := pgtest.AddTenant(t, db, "mercy")
	pgtest.AddTenant(t, db, "north")
	pgtest.AddReader(t, db, tenant, "Ada", map[string]any{})
	var reader, token uuid.UUID
	owner := db.Owner(t)
	for sql, to := range map[string]*uuid.UUID{`SELECT reader_id FROM reader`: &reader, `SELECT actor_id FROM token LIMIT 1`: &token} {
		if err := owner.QueryRow(t.Context(), sql).Scan(to); err != nil {
			t.Fatal(err)
		}
	}
	id, _, err := operate(t, db, "client", "add", "mercy", "EHR", "--scope", "system/*.rs", "--jwks-url", someKeys)
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"issuer", "add", "mercy", "https://ehr.example/fhir", "--client-id", "o"},
		{"provider", "add", "both", "https://idp.example", "--client-id", "o", "--role", "x=mercy:admin", "--role", "x=north:admin"},
		{"person", "add", "both", "ada", "--reader", reader.String()},
		{"token", "add", "mercy", "reader", "--person", reader.String()},
	} {
		if _, _, err := operate(t, db, args...); err != nil {
			t.Fatal(args, err)
		}
	}
	exec := func(sql string) {
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`UPDATE tenant SET state = 'moved' WHERE name = 'mercy'`)
	exec(`UPDATE audit_pending SET recorded_at = now() - interval '1 day'`)
	exec(`INSERT INTO audit_leaf (tenant_id, index, audit_id, recorded_at, leaf)
		SELECT tenant_id, 0, gen_random_uuid(), now() - interval '1 day', sha256('') FROM tenant WHERE name = 'mercy'`)
	recorded := func() (n int) {
		err := owner.QueryRow(t.Context(), `
			SELECT (SELECT count(*) FROM audit_pending WHERE tenant_id = $1) + (SELECT count(*) FROM audit_inbox WHERE tenant_id = $1)`, tenant).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := recorded()
	for _, args := range [][]string{
		{"token", "add", "mercy", "placer"}, {"token", "add", "north,mercy", "placer"}, {"token", "revoke", "mercy", token.String()},
		{"client", "add", "mercy", "X", "--scope", "system/*.rs", "--jwks-url", someKeys}, {"client", "revoke", "mercy", strings.TrimSpace(id)},
		{"issuer", "add", "mercy", "https://other.example/fhir", "--client-id", "o"}, {"issuer", "remove", "mercy", "https://ehr.example/fhir"},
		{"destination", "add", "mercy", "ehr", "https://ehr.example/fhir"}, {"tenant", "set", "mercy", "--no-update-create"},
		{"provider", "add", "two", "https://two.example", "--client-id", "o", "--role", "x=mercy:admin"},
		{"pacs", "add", "mercy", "main", "https://pacs.example/dicom-web"}, {"pacs", "remove", "mercy", "main"},
		{"audit", "erase", "mercy", "--patient", "p", "--reason", "asked"},
		{"tenant", "export", "mercy", "--out", filepath.Join(t.TempDir(), "copy")},
	} {
		if _, _, err := operate(t, db, args...); err == nil || !strings.Contains(err.Error(), "tenant mercy was moved away") {
			t.Errorf("overread %v: %v", args, err)
		}
	}
	if _, _, err := operate(t, db, "person", "add", "both", "eve", "--reader", reader.String()); err == nil {
		t.Error("a reader of the moved tenant alone is made a person")
	}
	for _, args := range [][]string{
		{"client", "list", "mercy"}, {"issuer", "list", "mercy"}, {"tenant", "list"}, {"token", "add", "north", "placer"},
		{"provider", "add", "both", "https://idp.example", "--client-id", "o", "--role", "y=north:admin"}, {"provider", "remove", "both"},
	} {
		if _, _, err := operate(t, db, args...); err != nil {
			t.Errorf("overread %v: %v", args, err)
		}
	}
	var person string
	if err := owner.QueryRow(t.Context(), `SELECT person_id FROM person`).Scan(&person); err != nil {
		t.Fatal(err)
	}
	if _, _, err := operate(t, db, "person", "end", person); err != nil {
		t.Error(err)
	}
	var live int
	if err := owner.QueryRow(t.Context(), `SELECT count(*) FROM token WHERE actor_id = $1 AND revoked_at IS NULL`, reader).Scan(&live); err != nil || live > 0 {
		t.Errorf("%d tokens of who was ended would be good again, were the tenant resumed here (%v)", live, err)
	}
	if after := recorded(); after != before {
		t.Errorf("%d records more, which never get a place", after-before)
	}
	for _, f := range examine(t.Context(), db.URL, nil) {
		if f.Verdict != ok && strings.HasPrefix(f.Check, "audit log") {
			t.Errorf("the doctor waits for a tenant that was moved: %v", f)
		}
	}
}

func TestTheDoctorSaysWhatWaitsBecauseATenantIsSuspended(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pgtest.AddTenant(t, db, "mercy")
	owner := db.Owner(t)
	for state, want := range map[string]string{"active": "1 resources and 0 AuditEvents wait", "suspended": "; 1 more wait as their tenants are suspended", "moved": "0 resources and 0 AuditEvents wait"} {
		for _, sql := range []string{
			`UPDATE tenant SET state = '` + state + `'`,
			`INSERT INTO resource (tenant_id, type, id, version, last_updated, body) SELECT tenant_id, 'Patient', 'p', 1, now(), '{}' FROM tenant ON CONFLICT DO NOTHING`,
		} {
			if _, err := owner.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		for _, f := range examine(t.Context(), db.URL, nil) {
			if strings.HasPrefix(f.Check, "search index") && (!strings.HasSuffix(f.Detail, want) || (f.Verdict == ok) != (state != "active")) {
				t.Errorf("%s: %v", state, f)
			}
		}
	}
}

// The README recommends a login that has CREATEROLE and owns the database.
func TestTheDoctorIsContentWithALoginThatIsNoSuperuser(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	owner := db.Owner(t)
	login := "login_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	var name string
	if err := owner.QueryRow(t.Context(), `SELECT current_database()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	exec := func(format string, args ...any) {
		if _, err := owner.Exec(context.Background(), fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE ROLE %s LOGIN CREATEROLE PASSWORD 'x'`, login)
	t.Cleanup(func() {
		exec(`ALTER DATABASE %s OWNER TO CURRENT_USER`, name)
		exec(`DROP ROLE %s`, login)
	})
	exec(`GRANT overread_app, overread_system TO %s`, login)
	exec(`ALTER DATABASE %s OWNER TO %s`, name, login)
	u, err := url.Parse(db.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(login, "x")
	examined := func() (wrong []string) {
		for _, f := range examine(t.Context(), u.String(), nil) {
			if f.Verdict == fail || strings.HasPrefix(f.Check, "auto_explain") && f.Verdict != ok {
				wrong = append(wrong, f.Check+": "+f.Detail)
			}
		}
		return wrong
	}
	if wrong := examined(); len(wrong) > 0 {
		t.Error(wrong)
	}
	exec(`ALTER DATABASE %s SET auto_explain.log_min_duration = '0'`, name)
	if wrong := examined(); len(wrong) != 1 || !strings.HasPrefix(wrong[0], "auto_explain") {
		t.Error("plans in PostgreSQL's log: ", wrong)
	}
}

func TestWhatIsRegisteredIsLookedAtAtOnce(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pgtest.AddTenant(t, db, "mercy")
	client := func(keys string) []string {
		return []string{"client", "add", "mercy", "X", "--scope", "system/*.rs", "--jwks-url", keys}
	}
	for _, c := range []struct {
		args           []string
		refused, noted string
	}{
		{client(someKeys), "", ""},
		{client("file:///etc/passwd"), "--jwks-url: the URL must begin with https://", ""},
		{client("ftp://ehr.example/jwks"), "--jwks-url: the URL must begin with https://", ""},
		{client("http://169.254.169.254/x"), "", "a cloud's metadata service"},
		{client("https://127.0.0.1/"), "", "--outbound-allow"},
		{client("https://localhost/"), "", "--outbound-allow"},
		{client("http://ehr.example/jwks"), "", "--outbound-http"},
		{[]string{"client", "add", "mercy", "", "--scope", "system/*.rs", "--jwks-url", someKeys}, "NAME: Give the system a name", ""},
		{[]string{"client", "add", "mercy", "X", "--scope", "system/Nonsense.rs", "--jwks-url", someKeys}, "--scope: system/Nonsense: there is no type Nonsense here", ""},
		{[]string{"token", "add", "mercy", "placer", "--scope", "user/Nonsense.rs"}, "--scope: user/Nonsense: there is no type Nonsense here", ""},
		{[]string{"destination", "add", "mercy", "ehr", "https://10.0.0.1/fhir"}, "", "--outbound-allow"},
		{[]string{"destination", "add", "mercy", "ehr", "https://ehr.example/fhir"}, "", ""},
		{[]string{"destination", "add", "mercy", "ehr", "HTTPS://ehr.example/fhir"}, "is no http or https URL", ""},
		{[]string{"issuer", "add", "mercy", "file:///x", "--client-id", "o"}, "ISSUER: the URL must begin with https://", ""},
		{[]string{"issuer", "add", "mercy", "HTTPS://ehr.example/fhir", "--client-id", "o"}, "ISSUER: is no http:// or https:// URL", ""},
		{[]string{"issuer", "add", "mercy", "https://ehr.example/fhir", "--client-id", ""}, "--client-id: Say by which client id", ""},
		{[]string{"issuer", "add", "mercy", "https://192.168.1.1/fhir", "--client-id", "o"}, "", "--outbound-allow"},
		{[]string{"provider", "add", "idp", "file:///x", "--client-id", "o", "--role", "x=mercy:admin"}, "ISSUER: the URL must begin with https://", ""},
		{[]string{"provider", "add", "idp", "HTTPS://idp.example", "--client-id", "o", "--role", "x=mercy:admin"}, "ISSUER: is no http:// or https:// URL", ""},
		{[]string{"pacs", "add", "mercy", "main", "https://10.0.0.2/dicom-web"}, "", "--outbound-allow"},
		{[]string{"provider", "add", "idp", "https://idp.internal", "--client-id", "o", "--role", "x=mercy:admin"}, "", "--outbound-allow"},
	} {
		_, noted, err := operate(t, db, c.args...)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused) || strings.Contains(err.Error(), "SQLSTATE")) {
			t.Errorf("overread %v: %v, want %q", c.args, err, c.refused)
		}
		if c.noted == "" && noted != "" || !strings.Contains(noted, c.noted) {
			t.Errorf("overread %v says %q, want %q", c.args, noted, c.noted)
		}
	}
}

func TestTheDoctorAsksForKeySetsAndIssuersToo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pgtest.AddTenant(t, db, "mercy")
	var asked []string
	there := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = append(asked, r.URL.Path) }))
	defer there.Close()
	for _, args := range [][]string{
		{"client", "add", "mercy", "X", "--scope", "system/*.rs", "--jwks-url", there.URL + "/keys"},
		{"issuer", "add", "mercy", there.URL + "/fhir", "--client-id", "o"},
		{"provider", "add", "idp", there.URL, "--client-id", "o", "--role", "x=mercy:admin"},
		{"destination", "add", "mercy", "ehr", there.URL + "/ehr"},
	} {
		if _, _, err := operate(t, db, args...); err != nil {
			t.Fatal(err)
		}
	}
	out, _, err := operate(t, db, "doctor", "--destinations", "--outbound-allow", "127.0.0.1", "--outbound-http")
	for _, path := range []string{"/keys", "/fhir/.well-known/smart-configuration", "/.well-known/openid-configuration", "/ehr/metadata"} {
		if !strings.Contains(strings.Join(asked, "\n")+"\n", path+"\n") {
			t.Errorf("%s is not asked for: %v %v\n%s", path, asked, err, out)
		}
	}
	there.Close()
	out, _, err = operate(t, db, "doctor", "--destinations", "--outbound-allow", "127.0.0.1", "--outbound-http")
	if err == nil || strings.Count(out, "FAIL") != 4 {
		t.Errorf("all four are away: %v\n%s", err, out)
	}
}

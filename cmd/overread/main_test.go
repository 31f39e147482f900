package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

// asProgram, set in a child's environment, makes the test binary be overread:
// so tests can start it as a process of its own, and kill it, without a build.
const asProgram = "OVERREAD_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// overreadOutput runs the program and returns what it wrote to stdout.
func overreadOutput(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err := run(context.Background(), args, &stdout, &stderr)
	return stdout.String(), err
}

func TestEveryVerbHasHelp(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"", "serve", "demo", "migrate", "doctor", "version", "tenant create", "tenant set", "tenant list", "tenant suspend", "tenant resume", "tenant export", "tenant import", "token add", "token revoke", "client add", "client list", "client revoke", "client key", "client token", "destination add", "pacs add", "pacs list", "pacs remove", "reader add", "provider add", "provider list", "provider remove", "person add", "person list", "person end", "operator grant", "operator list", "operator revoke", "break-glass list", "audit key", "audit export", "audit verify", "audit restored", "audit checkpoints-lost", "audit erase", "policy check", "policy schema", "policy show", "policy set", "policy history", "stand-in-ehr"} {
		out, err := overreadOutput(t, append(strings.Fields(verb), "--help")...)
		if err != nil || !strings.Contains(out, "Usage: overread") {
			t.Errorf("overread %s --help: %v\n%s", verb, err, out)
		}
	}
}

func TestEverySettingOfAServiceIsAnEnvironmentVariableToo(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&verbs{})
	if err != nil {
		t.Fatal(err)
	}
	services := map[string]bool{"serve": true, "demo": true, "migrate": true, "doctor": true, "stand-in-ehr": true}
	notSettings := map[string]bool{"help": true, "json": true, "or-free-port": true, "until-stdin-closes": true}
	for _, verb := range parser.Model.Children {
		for _, flag := range verb.Flags {
			if services[verb.Name] && !notSettings[flag.Name] && (len(flag.Envs) != 1 || !strings.HasPrefix(flag.Envs[0], "OVERREAD_")) {
				t.Errorf("overread %s --%s has no environment variable", verb.Name, flag.Name)
			}
		}
	}
}

func TestErrorsNameTheSettingThatIsWrong(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"no database":               {[]string{"serve"}, "--database-url / OVERREAD_DATABASE_URL: is missing"},
		"a URL that is none":        {[]string{"serve", "--database-url", "postgres://%zz"}, "--database-url / OVERREAD_DATABASE_URL: "},
		"a database that is away":   {[]string{"serve", "--database-url", "postgres://nobody:secretword@127.0.0.1:1/x"}, "--database-url / OVERREAD_DATABASE_URL: "},
		"a bad URL with a password": {[]string{"doctor", "--database-url", "postgres://nobody:secretword@%zz/x"}, ""},
		"a port that is none":       {[]string{"migrate", "--database-url", "postgres://nobody:secretword@127.0.0.1:x/x"}, ""},
		"a bad word list":           {[]string{"serve", "--database-url", "host=127.0.0.1 password=secretword port=x"}, ""},
		"a file that is not there":  {[]string{"migrate", "--database-url-file", "/nowhere"}, "--database-url-file / OVERREAD_DATABASE_URL_FILE: "},
		"an address that is none":   {[]string{"serve", "--database-url", db.URL, "--listen", "nonsense"}, "--listen / OVERREAD_LISTEN: "},
		"a base that is no URL":     {[]string{"serve", "--database-url", db.URL, "--base-url", "nonsense"}, "--base-url / OVERREAD_BASE_URL: "},
		"no base for everybody":     {[]string{"serve", "--database-url", db.URL, "--listen", "0.0.0.0:0"}, "--base-url / OVERREAD_BASE_URL: is missing"},
		"a code without system":     {[]string{"serve", "--database-url", db.URL, "--second-opinion-code", "111418"}, "--second-opinion-code / OVERREAD_SECOND_OPINION_CODE: "},
		"an origin with a path":     {[]string{"serve", "--database-url", db.URL, "--cors-origin", "https://app.example/"}, "--cors-origin / OVERREAD_CORS_ORIGIN: "},
		"any origin":                {[]string{"serve", "--database-url", db.URL, "--cors-origin", "*"}, "--cors-origin / OVERREAD_CORS_ORIGIN: "},
		"SMART without endpoints":   {[]string{"serve", "--database-url", db.URL, "--listen", "127.0.0.1:0", "--smart-configuration", "testdata/smart-without-token-endpoint.json"}, "--smart-configuration / OVERREAD_SMART_CONFIGURATION: token_endpoint is missing"},
		"a key without its cert":    {[]string{"serve", "--database-url", db.URL, "--tls-key", "/nowhere"}, "--tls-cert / OVERREAD_TLS_CERT: "},
		"a cert that is none":       {[]string{"serve", "--database-url", db.URL, "--listen", "127.0.0.1:0", "--tls-cert", "/nowhere", "--tls-key", "/nowhere"}, "--tls-cert / OVERREAD_TLS_CERT: "},
		"client CA without TLS":     {[]string{"serve", "--database-url", db.URL, "--tls-client-ca", "/nowhere"}, "--tls-client-ca / OVERREAD_TLS_CLIENT_CA: "},
		"a proxy that is none":      {[]string{"serve", "--database-url", db.URL, "--trusted-proxy", "proxy.example"}, "--trusted-proxy / OVERREAD_TRUSTED_PROXY: "},
		"a network that is none":    {[]string{"serve", "--database-url", db.URL, "--outbound-allow", "10.0.0.0/33"}, "--outbound-allow / OVERREAD_OUTBOUND_ALLOW: "},
		"a host that is none":       {[]string{"doctor", "--database-url", db.URL, "--outbound-only", "https://ehr.example"}, "--outbound-only / OVERREAD_OUTBOUND_ONLY: "},
		"checkpoints and no key":    {[]string{"serve", "--database-url", db.URL, "--listen", "127.0.0.1:0", "--audit-checkpoints", t.TempDir()}, "--audit-checkpoints / OVERREAD_AUDIT_CHECKPOINTS: is given without --audit-key"},
		"a key that is none":        {[]string{"serve", "--database-url", db.URL, "--listen", "127.0.0.1:0", "--audit-key", "main_test.go"}, "--audit-key / OVERREAD_AUDIT_KEY: "},
		"a level that is unknown":   {[]string{"serve", "--database-url", db.URL, "--log-level", "loud"}, "--log-level"},
		"a verb that is unknown":    {[]string{"fly"}, "fly"},
	} {
		_, err := overreadOutput(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "secretword") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
}

func TestPasswordsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	for _, target := range []string{
		"postgres://overread:secretword@db/overread", "host=db password=secretword user=x", "host=db password='secret word secretword'",
		"postgres://db/overread?user=x&password=secretword",
	} {
		if got := redacted(target); strings.Contains(got, "secretword") || !strings.Contains(got, "db") {
			t.Errorf("%s is printed as %s", target, got)
		}
	}
}

// docs/security.md: secrets come from files or the environment.
func TestNoFlagTakesASecret(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"a URL":            {"serve", "--database-url", "postgres://overread:secretword@db/overread"},
		"with =":           {"serve", "--database-url=postgres://overread:secretword@db/overread"},
		"words":            {"migrate", "--database-url", "host=db password=secretword user=x"},
		"a query":          {"doctor", "--json", "--database-url", "postgres://db/overread?user=x&password=secretword"},
		"an empty one too": {"token", "add", "--database-url=postgres://overread:@db/overread"},
	} {
		err := noSecrets(args)
		if err == nil || strings.Contains(err.Error(), "secretword") || !strings.Contains(err.Error(), "OVERREAD_DATABASE_URL_FILE") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, args := range map[string][]string{
		"no password": {"serve", "--database-url", "postgres://overread@db/overread?sslmode=verify-full"}, "none at all": {"serve"}, "words": {"serve", "--database-url=host=db user=x"}, "cut off": {"serve", "--database-url"},
	} {
		if err := noSecrets(args); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	parser, err := kong.New(&verbs{})
	if err != nil {
		t.Fatal(err)
	}
	// What is told by these words is a file, an address or a public key; a flag
	// that holds the secret itself would be none of them.
	public := map[string]bool{"token-file": true, "tls-key": true, "audit-key": true, "key": true}
	var look func(n *kong.Node)
	look = func(n *kong.Node) {
		for _, f := range n.Flags {
			if secretName.MatchString(f.Name) && !public[f.Name] && !strings.HasSuffix(f.Name, "-file") {
				t.Errorf("%s --%s takes a secret", n.FullPath(), f.Name)
			}
		}
		for _, child := range n.Children {
			look(child)
		}
	}
	look(parser.Model.Node)
}

var secretName = regexp.MustCompile(`secret|password|token|key$|credential|passphrase`)

// A file that was there may be readable by others, whatever mode is asked for.
func TestATokenIsWrittenToANewFileOnly(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	pgtest.AddTenant(t, db, "north")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	add := []string{"token", "add", "north", "placer", "--database-url", db.URL, "--out"}
	if _, err := overreadOutput(t, append(add, file)...); err == nil {
		t.Error("a file that was there is written over")
	}
	if _, err := overreadOutput(t, append(add, file+".new")...); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file + ".new"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
}

func TestVersionSaysWhichSchemaItWants(t *testing.T) {
	t.Parallel()
	out, err := overreadOutput(t, "version", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var info versionInfo
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		t.Fatal(err)
	}
	if info.Schema < 4 || info.FHIR != "4.0.1" {
		t.Errorf("version says %+v", info)
	}
}

func TestMigrateIsDoneOnceAndSaysSo(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	out, err := overreadOutput(t, "migrate", "--database-url", db.URL, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var result migrateResult
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatal(err)
	}
	if result.Before != result.Want || result.After != result.Want {
		t.Errorf("migrating a migrated database: %+v", result)
	}
}

func TestAnOperatorSetsUpATenant(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	at := []string{"--database-url", db.URL}
	must := func(args ...string) string {
		t.Helper()
		out, err := overreadOutput(t, append(args, at...)...)
		if err != nil {
			t.Fatalf("overread %s: %v", strings.Join(args, " "), err)
		}
		return out
	}
	policy := filepath.Join(t.TempDir(), "policy.json")
	if err := os.WriteFile(policy, []byte(`{"assignment": "offer"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	must("tenant", "create", "north", "--ehr-base", "https://ehr.example/fhir/", "--policy-file", policy)
	must("destination", "add", "north", "ehr", "https://ehr.example/fhir")
	token := strings.TrimSpace(must("token", "add", "north", "placer"))
	actor, err := access.Identify(context.Background(), db.DB, token, access.Choice{})
	if err != nil || actor.Role != access.Placer {
		t.Errorf("the token is %+v, %v", actor, err)
	}
	must("token", "revoke", "north", actor.ID.String())
	if _, err := access.Identify(context.Background(), db.DB, token, access.Choice{}); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("a revoked token: %v", err)
	}
	file := filepath.Join(t.TempDir(), "token")
	must("token", "add", "north", "coordinator", "--out", file)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v %v", info, err)
	}

	must("tenant", "create", "west", "--no-update-create")
	for _, c := range []struct {
		name, flag string
		want       bool
	}{{"north", "", true}, {"west", "", false}, {"north", "--no-update-create", false}, {"north", "--update-create", true}} {
		if c.flag != "" {
			must("tenant", "set", c.name, c.flag)
		}
		var may bool
		if err := db.Owner(t).QueryRow(context.Background(), `SELECT update_create FROM tenant WHERE name = $1`, c.name).Scan(&may); err != nil || may != c.want {
			t.Errorf("%s %s: update_create is %t, %v", c.name, c.flag, may, err)
		}
	}

	for refused, args := range map[string][]string{
		"exists already":     {"tenant", "create", "north"},
		"small letters":      {"tenant", "create", "North!"},
		"there is none":      {"tenant", "set", "south", "--update-create"},
		"missing flags":      {"tenant", "set", "north"},
		"none of this name":  {"token", "add", "south", "placer"},
		"a reader is a":      {"token", "add", "north", "reader"},
		"no such Practition": {"reader", "add", "north", "nobody", "--display", "x", "--credential-file", credential(t)},
		"http or https":      {"destination", "add", "north", "ehr", "ftp://ehr.example"},
		"secrets come from":  {"destination", "add", "north", "ehr", "https://user:word@ehr.example"},
		"four decimal":       {"destination", "add", "north", "ehr", "https://0x7f.1/fhir"},
	} {
		if _, err := overreadOutput(t, append(args, at...)...); err == nil || !strings.Contains(err.Error(), refused) {
			t.Errorf("overread %s: %v, want %q", strings.Join(args, " "), err, refused)
		}
	}
}

func credential(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credential.json")
	if err := os.WriteFile(file, []byte(`{"subspecialties": ["neuro"], "licences": [{"jurisdiction": "US-NY"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTheDoctorFindsAHealthyDatabaseHealthy(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	out, err := overreadOutput(t, "doctor", "--database-url", db.URL, "--json")
	if err != nil {
		t.Fatal(err, out)
	}
	var findings []finding
	if err := json.Unmarshal([]byte(out), &findings); err != nil {
		t.Fatal(err)
	}
	if want := len(checks) + 2; len(findings) != want { // that it answers, and the checkpoints outside
		t.Errorf("%d findings, want %d", len(findings), want)
	}
	for _, f := range findings {
		if f.Verdict != ok {
			t.Errorf("%s: %s: %s", f.Check, f.Verdict, f.Detail)
		}
	}
}

func TestTheDoctorNoticesWhatIsWrong(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, c := range map[string]struct{ harm, check string }{
		"a table without row-level security": {`ALTER TABLE case_file NO FORCE ROW LEVEL SECURITY`, "row-level security"},
		"a month without partition":          {`DROP TABLE case_event_` + nextMonth(t), "next month"},
		"what an earlier release has indexed": {`
			WITH t AS (INSERT INTO tenant (tenant_id, name, display) VALUES (gen_random_uuid(), 'old', 'Old') RETURNING tenant_id)
			INSERT INTO resource (tenant_id, type, id, version, last_updated, body) SELECT tenant_id, 'Patient', 'p', 1, now(), '{}' FROM t`, "search index"},
		"parameters in PostgreSQL's log": {`
			DO $$ BEGIN
				EXECUTE format('ALTER DATABASE %I SET log_parameter_max_length = -1', current_database());
				EXECUTE format('ALTER DATABASE %I SET log_statement = %L', current_database(), 'mod');
			END $$`, "PostgreSQL logs"},
		"rows in PostgreSQL's log": {`
			DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET log_error_verbosity = %L', current_database(), 'default'); END $$`, "PostgreSQL logs"},
		"a schema of an older release": {`DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`, "schema"},
	} {
		db := pgtest.New(t)
		if _, err := db.Owner(t).Exec(ctx, c.harm); err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range examine(ctx, db.URL, nil) {
			found = found || strings.Contains(f.Check, c.check) && f.Verdict != ok && f.Mend != ""
		}
		if !found {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// The doctor goes to a destination as the courier does: through the guard.
func TestTheDoctorAsksDestinationsThroughTheGuard(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	var asked atomic.Int32
	ehr := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer ehr.Close()
	tenant := pgtest.AddTenant(t, db, "north")
	pgtest.AddDestination(t, db, tenant, "ehr", ehr.URL)
	args := []string{"doctor", "--destinations", "--database-url", db.URL}
	out, err := overreadOutput(t, args...)
	if err == nil || asked.Load() != 0 {
		t.Errorf("%d requests to an address that nobody has listed: %v\n%s", asked.Load(), err, out)
	}
	out, err = overreadOutput(t, append(args, "--outbound-allow", "127.0.0.1", "--outbound-http")...)
	if err != nil || asked.Load() != 1 || !strings.Contains(out, "answered 200") {
		t.Errorf("%d requests: %v\n%s", asked.Load(), err, out)
	}
}

func nextMonth(t *testing.T) string {
	t.Helper()
	db := pgtest.New(t)
	var month string
	err := db.Owner(t).QueryRow(context.Background(), `SELECT to_char((now() AT TIME ZONE 'UTC') + interval '1 month', 'YYYY_MM')`).Scan(&month)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(month)
}

// A script must not take what was interrupted for done.
func TestWhatIsInterruptedIsNotDone(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := run(ctx, []string{"tenant", "create", "mercy", "--database-url", db.URL}, io.Discard, io.Discard)
	if !errors.Is(err, errInterrupted) {
		t.Errorf("it says %v", err)
	}
}

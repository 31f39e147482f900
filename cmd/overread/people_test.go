package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/devidp"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
)

// hospitalsOf is a running server with two hospitals at which Dr. Ito reads, a third
// where she does not, and an identity provider that knows her.
type peopleWorld struct {
	t        *testing.T
	db       *pgtest.Database
	base     string // of the FHIR surface
	root     string // of the pages
	idp      *devidp.Server
	reader   uuid.UUID
	patients map[string]string // of each hospital one, by its name
}

func startPeople(t *testing.T) *peopleWorld {
	t.Helper()
	w := &peopleWorld{t: t, db: pgtest.New(t), patients: map[string]string{}, reader: uuid.New()}
	for _, name := range []string{"mercy", "lakeside", "county"} {
		w.must("tenant", "create", name, "--display", strings.ToUpper(name[:1])+name[1:]+" Hospital")
	}
	w.base = serveInProcess(t, w.db.URL)
	w.root = strings.TrimSuffix(w.base, "/fhir")
	for _, name := range []string{"mercy", "lakeside", "county"} {
		c := client{base: w.base, token: w.must("token", "add", name, "coordinator")}
		made, err := c.send(t.Context(), http.MethodPost, "Patient", fhir.Object("resourceType", "Patient", "gender", "female"))
		if err != nil {
			t.Fatal(err)
		}
		w.patients[name] = locationID(made.location, "Patient")
		if name == "county" {
			continue
		}
		made, err = c.send(t.Context(), http.MethodPost, "Practitioner", practitioner("ito", "1000000012", "Mei", "Ito"))
		if err != nil {
			t.Fatal(err)
		}
		w.must("reader", "add", name, locationID(made.location, "Practitioner"), "--display", "Dr. Mei Ito", "--credential-file", credential(t), "--id", w.reader.String())
	}

	var handler http.Handler
	provider := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handler.ServeHTTP(rw, r) }))
	t.Cleanup(provider.Close)
	var err error
	w.idp, err = devidp.New(provider.URL, devidp.Client{ID: "overread", Secret: "s3cret", Redirects: []string{w.root + "/login/house/callback"}, AfterLogout: []string{w.root + "/signed-out"}},
		[]devidp.Person{
			{Subject: "ito", Name: "Ito", Groups: []string{"cn=readers,ou=x"}},
			{Subject: "kim", Name: "Kim at the desk", Groups: []string{"desk"}},
			{Subject: "both", Name: "Both", Groups: []string{"cn=readers,ou=x", "desk"}},
			{Subject: "doe", Name: "Doe"},
		}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	handler = w.idp.Handler()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.must("provider", "add", "house", provider.URL, "--client-id", "overread", "--client-secret-file", secret,
		"--role", "cn=readers,ou=x=mercy:reader", "--role", "cn=readers,ou=x=lakeside:reader", "--role", "cn=readers,ou=x=county:reader", "--role", "desk=mercy:coordinator")
	w.must("person", "add", "house", "ito", "--reader", w.reader.String())
	return w
}

func (w *peopleWorld) must(args ...string) string {
	w.t.Helper()
	out, err := overreadOutput(w.t, append(args, "--database-url", w.db.URL)...)
	if err != nil {
		w.t.Fatalf("overread %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(out)
}

func (w *peopleWorld) behind(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Owner(w.t).Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// recorded is how many events of a kind a tenant's log has, with those that still
// wait for their place in it.
func (w *peopleWorld) recorded(kind access.EventKind, tenant string) (n int) {
	w.t.Helper()
	err := w.db.Owner(w.t).QueryRow(context.Background(), `
		SELECT count(*)
		FROM (SELECT tenant_id, convert_from(body, 'UTF8') AS text FROM audit_event
		      UNION ALL SELECT tenant_id, unnest(string_to_array(convert_from(records, 'UTF8'), E'\n')) FROM audit_inbox) e
		JOIN tenant n ON n.tenant_id = e.tenant_id
		WHERE n.name = $1 AND e.text LIKE '%"' || $2 || '"%'`, tenant, string(kind)).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestAReaderWorksAtTwoHospitalsAndSeesNothingOfAThird(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	home := v.signIn("ito")
	for name, there := range map[string]bool{"Mercy Hospital": true, "Lakeside Hospital": true, "County Hospital": false} {
		if strings.Contains(home.text, name) != there {
			t.Errorf("%s is on the page: %v", name, !there)
		}
	}
	token := w.must("token", "add", "mercy,lakeside", "reader", "--person", w.reader.String())
	if _, err := overreadOutput(t, "token", "add", "mercy,county", "reader", "--person", w.reader.String(), "--database-url", w.db.URL); err == nil {
		t.Error("a token for a hospital that has not credentialed her")
	}
	bearer := w.visitor()
	for who, ask := range map[string]func(path string, header ...string) seenPage{
		"a session": v.get,
		"a token": func(path string, header ...string) seenPage {
			return bearer.get(path, append(header, "Authorization", "Bearer "+token)...)
		},
	} {
		if got := ask("/fhir/Patient"); got.status != http.StatusBadRequest || !strings.Contains(got.text, "lakeside reader, mercy reader") {
			t.Errorf("%s that names no hospital: %d %s", who, got.status, got.text)
		}
		for _, at := range []string{"mercy", "lakeside"} {
			for whose, id := range w.patients {
				want := http.StatusNotFound
				if whose == at {
					want = http.StatusOK
				}
				if got := ask("/fhir/Patient/"+id, access.TenantHeader, at); got.status != want {
					t.Errorf("%s at %s, a patient of %s: %d", who, at, whose, got.status)
				}
			}
		}
		if got := ask("/fhir/Patient", access.TenantHeader, "county"); got.status != http.StatusForbidden {
			t.Errorf("%s at county: %d", who, got.status)
		}
		if got := ask("/fhir/Patient", access.TenantHeader, "mercy", access.RoleHeader, "coordinator"); got.status != http.StatusForbidden {
			t.Errorf("%s in another role: %d", who, got.status)
		}
		w.behind(`UPDATE reader SET active = false WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'lakeside')`)
		got := ask("/fhir/Patient", access.TenantHeader, "lakeside")
		if got.status == http.StatusServiceUnavailable { // a token that was remembered: it was noticed within the request
			got = ask("/fhir/Patient", access.TenantHeader, "lakeside")
		}
		if got.status != http.StatusForbidden {
			t.Errorf("%s at lakeside, which has ended her credentials: %d", who, got.status)
		}
		if got := ask("/fhir/Patient"); got.status != http.StatusOK { // one is left
			t.Errorf("%s with one hospital left: %d", who, got.status)
		}
		w.behind(`UPDATE reader SET active = true`)
	}
}

// Who reads at a hospital and coordinates there opens a record as its reader: so
// the cases that they read know it.
func TestWhoReadsAndCoordinatesOpensARecordAsTheReader(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	w.must("person", "add", "house", "both", "--reader", w.reader.String())
	v := w.visitor()
	v.signIn("both")
	form := v.get("/break-glass")
	fields := url.Values{"csrf": {form.csrf()}, "tenant": {"mercy"}, "patient": {w.patients["mercy"]}, "reason": {"The surgeon stands at the table"}}
	if got := v.post("/break-glass", fields); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.text)
	}
	var actor uuid.UUID
	var role string
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT actor_id, role FROM break_glass`).Scan(&actor, &role); err != nil {
		t.Fatal(err)
	}
	if actor != w.reader || role != "reader" {
		t.Errorf("opened by %s %s, want reader %s", role, actor, w.reader)
	}
}

func TestAProgramInTheBrowserLearnsItsTokenAndUsesIt(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	v.signIn("kim")
	var me struct {
		Display string
		CSRF    string
		Places  []struct{ Tenant, Role string }
	}
	if err := json.Unmarshal([]byte(v.get("/session").text), &me); err != nil || len(me.Places) != 1 || me.Display != "Kim at the desk" {
		t.Fatalf("%+v (%v)", me, err)
	}
	create := func(header ...string) seenPage {
		r := v.request(http.MethodPost, "/fhir/Patient", nil, append(header, "Content-Type", "application/fhir+json")...)
		r.Body = io.NopCloser(strings.NewReader(`{"resourceType":"Patient"}`))
		return v.do(r)
	}
	if got := create(); got.status != http.StatusForbidden {
		t.Errorf("without the token: %d", got.status)
	}
	if got := create(session.CSRFHeader, me.CSRF); got.status != http.StatusCreated {
		t.Errorf("with the token: %d %s", got.status, got.text)
	}
	if got := w.visitor().get("/session", "Accept", "application/json"); got.status != http.StatusUnauthorized {
		t.Errorf("signed out: %d", got.status)
	}
	opened := v.post("/break-glass", url.Values{"patient": {w.patients["mercy"]}, "reason": {"the patient is unconscious"}}, session.CSRFHeader, me.CSRF, "Accept", "application/json")
	if opened.status != http.StatusCreated || !strings.Contains(opened.text, `"till"`) {
		t.Errorf("%d %s", opened.status, opened.text)
	}
}

func TestWhatAClaimMeansIsReadAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"readers=mercy:reader":     "readers mercy reader",
		"cn=a,ou=b=mercy:director": "cn=a,ou=b mercy director",
		"x=mercy:admin":            "x mercy admin",
		"readers=mercy:placer":     "",
		"readers=mercy:system":     "",
		"readers=mercy":            "",
		"=mercy:reader":            "",
		"readers":                  "",
		"readers=Mercy:reader":     "",
	} {
		m, err := readMeaning(text)
		got := fmt.Sprintf("%s %s %s", m.Value, m.Tenant, m.Role)
		if (err == nil) != (want != "") || err == nil && got != want {
			t.Errorf("%q: %q (%v)", text, got, err)
		}
	}
}

func TestAMeaningThatIsTakenAwayEndsWhatRestedOnIt(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	var issuer string
	if err := w.db.Owner(t).QueryRow(t.Context(), `SELECT issuer FROM provider`).Scan(&issuer); err != nil {
		t.Fatal(err)
	}
	set := func(roles ...string) string {
		args := []string{"provider", "add", "house", issuer, "--client-id", "overread"}
		for _, role := range roles {
			args = append(args, "--role", role)
		}
		return w.must(args...)
	}
	told := func(tenant string) int { return w.recorded(access.ProviderSet, tenant) }
	desk, reader := w.visitor(), w.visitor()
	desk.signIn("kim")
	reader.signIn("ito")
	before := told("county")
	if got := set("cn=readers,ou=x=mercy:reader", "cn=readers,ou=x=lakeside:reader", "desk=mercy:coordinator"); !strings.Contains(got, "sessions ended: 0") {
		t.Errorf("nobody had a role at county: %s", got)
	}
	if told("county") != before+1 {
		t.Error("county, where nothing means anything any more, is not told")
	}
	if desk.get("/home").at != "/home" || reader.get("/home").at != "/home" {
		t.Error("who has what they had is signed out")
	}
	if got := set("cn=readers,ou=x=mercy:reader", "cn=readers,ou=x=lakeside:reader", "others=mercy:coordinator"); !strings.Contains(got, "sessions ended: 1") {
		t.Errorf("the desk's role is gone: %s", got)
	}
	if at := desk.get("/home"); at.at == "/home" {
		t.Error("a coordinator by what means nothing any more goes on")
	}
	if reader.get("/home").at != "/home" {
		t.Error("the reader is signed out too")
	}
}

func TestWhoIsEndedHasNoTokenLeft(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	token := w.must("token", "add", "mercy,lakeside", "reader", "--person", w.reader.String())
	ask := func() int {
		return w.visitor().get("/fhir/Patient", "Authorization", "Bearer "+token, access.TenantHeader, "mercy").status
	}
	if got := ask(); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}
	var persons []personRow
	if err := json.Unmarshal([]byte(w.must("person", "list", "--json")), &persons); err != nil || len(persons) != 1 {
		t.Fatalf("%v (%v)", persons, err)
	}
	if got := w.must("person", "end", persons[0].PersonID.String()); !strings.Contains(got, "tokens: 2") {
		t.Errorf("said: %s", got)
	}
	got := ask()
	if got == http.StatusServiceUnavailable { // it was remembered, and noticed within the request
		got = ask()
	}
	if got != http.StatusUnauthorized {
		t.Errorf("the token of who was ended: %d", got)
	}
	for _, tenant := range []string{"mercy", "lakeside"} {
		if n := w.recorded(access.KeysRevoked, tenant); n != 1 {
			t.Errorf("%s is told %d times", tenant, n)
		}
	}
}

func TestAnAddressThatIsNoneIsAPageForABrowser(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	if got := v.get("/hoome", "Accept", "text/html,*/*;q=0.8"); got.status != http.StatusNotFound || !strings.Contains(got.text, "There is no page at this address") || got.header.Get("Content-Security-Policy") == "" {
		t.Errorf("%d %s", got.status, got.text)
	}
	for path, accept := range map[string]string{"/hoome": "*/*", "/fhir/Patient/1/2/3/4/5/6": "text/html"} {
		if got := v.get(path, "Accept", accept); got.status/100 != 4 || strings.Contains(got.text, "There is no page") {
			t.Errorf("%s as %s: %d %s", path, accept, got.status, got.text)
		}
	}
}

func TestWhoHasNoWorklistIsToldWhereTheirWorkIs(t *testing.T) {
	t.Parallel()
	w := startPeople(t)
	v := w.visitor()
	if got := v.signIn("kim"); !strings.Contains(got.text, "Nothing waits for you") || strings.Contains(got.text, "audit trail") {
		t.Errorf("a coordinator: %s", got.text)
	}
	w.behind(`UPDATE session_actor SET role = 'auditor'`)
	if got := v.get("/home"); strings.Contains(got.text, "Nothing waits for you") || !strings.Contains(got.text, "audit trail") {
		t.Errorf("an auditor: %s", got.text)
	}
}

package main

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// administrator signs somebody in who administers the first hospital.
func (w *world) administrator(t *testing.T) (v *visitor, rooms string) {
	t.Helper()
	v, _ = w.adminCalled(t, "Sam")
	return v, "/at/mercy/admin"
}

// adminCalled signs somebody of a name in who administers the first hospital.
func (w *world) adminCalled(t *testing.T, name string) (v *visitor, person uuid.UUID) {
	t.Helper()
	ctx, value := t.Context(), ""
	store := session.NewStore(session.Config{DB: w.database.DB, BaseURL: w.base})
	err := w.database.System(ctx, func(tx pgx.Tx) error {
		a := access.Actor{Role: access.Admin, Display: name}
		if err := tx.QueryRow(ctx, `SELECT tenant_id FROM tenant WHERE name = 'mercy'`).Scan(&a.Tenant); err != nil {
			return err
		}
		var err error
		if person, _, err = store.Known(ctx, tx, session.Person{Issuer: "https://idp.example", Subject: strings.ToLower(name), Display: name}); err != nil {
			return err
		}
		a.ID = person
		if _, value, err = store.Open(ctx, tx, person, session.FromOIDC, "test", []access.Actor{a}); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO member (tenant_id, person_id) VALUES ($1, $2)`, a.Tenant, person)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	people := &peopleWorld{t: t, db: w.database, root: strings.TrimSuffix(w.base, "/fhir")}
	v = people.visitor()
	v.jar.SetCookies(must(url.Parse(people.root)), []*http.Cookie{{Name: store.CookieName(), Value: value, Path: "/"}})
	return v, person
}

// An administrator's pages and the API hold nothing of patients for them, and nothing
// of another hospital.
func TestAnAdministratorSeesNoPatientAndNoOtherHospital(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := w.knee("ADMIN-1")
	task := w.sends(t, o)
	w.live(t, o, task, chapter{"", "", nil, workflow.Ready})
	v, rooms := w.administrator(t)
	for _, path := range []string{"/overview", "/systems", "/systems/new", "/launches/new", "/people", "/people/new", "/people/reader", "/endpoints", "/endpoints/set", "/hospital", "/health"} {
		page := v.get(rooms + path)
		if page.status != http.StatusOK {
			t.Fatalf("%s: %d", path, page.status)
		}
		for _, secret := range []string{o.patient.family, o.patient.mrn, "ADMIN-1", task, "lakeside", "Lakeside"} {
			if secret != "" && strings.Contains(page.text, secret) {
				t.Errorf("%s says %q", path, secret)
			}
		}
	}
	for _, path := range []string{"/board", "/board/" + task, "/deliveries", "/matching", "/worklist"} {
		if page := v.get(rooms + path); page.status != http.StatusNotFound {
			t.Errorf("%s: %d", path, page.status)
		}
	}
	for _, what := range []string{"Patient", "Task", "Task/" + task, "ServiceRequest", "DiagnosticReport", "AuditEvent", "Binary"} {
		if page := v.get("/fhir/" + what); page.status != http.StatusForbidden {
			t.Errorf("%s at the API: %d", what, page.status)
		}
	}
	if page := v.get("/fhir/Practitioner"); page.status != http.StatusOK {
		t.Errorf("the directory: %d", page.status)
	}
	if page := v.get("/at/lakeside/admin/overview"); page.status != http.StatusNotFound {
		t.Errorf("another hospital: %d", page.status)
	}
}

// What an administrator registers at a page gets tokens, and none once it is revoked;
// every form wants the session's proof.
func TestASystemThatAnAdministratorRegistersGetsTokensUntilItIsRevoked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v, rooms := w.administrator(t)
	form := url.Values{"name": {"A portal"}, "usual": {"reads"}, "keys": {"make"}}
	if page := v.post(rooms+"/systems", form); page.status != http.StatusForbidden {
		t.Errorf("without the proof: %d", page.status)
	}
	form.Set("csrf", v.get(rooms+"/systems/new").csrf())
	page := v.post(rooms+"/systems", form)
	if page.status != http.StatusOK || page.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", page.status, page.header)
	}
	private := unescaped(t, page.text, `(?s)<textarea id="private"[^>]*>(.*?)</textarea>`)
	id := unescaped(t, page.text, `systems/([0-9a-f-]{36})"`)
	key, err := jwk.ParseKey([]byte(private))
	if err != nil {
		t.Fatal(err)
	}
	token, err := backendToken(t.Context(), w.base, id, key, "system/DiagnosticReport.rs")
	if err != nil {
		t.Fatal(err)
	}
	reader := client{base: w.base, token: token}
	if _, err := reader.get(t.Context(), "DiagnosticReport"); err != nil {
		t.Error(err)
	}
	if _, err := reader.get(t.Context(), "Patient"); err == nil {
		t.Error("a token reads more than it was asked for")
	}
	system := v.get(rooms + "/systems/" + id)
	if strings.Contains(system.text, `"d"`) || strings.Contains(system.text, "&#34;d&#34;") || strings.Contains(system.text, ">never<") {
		t.Errorf("the key is shown again, or the token is not noted: %s", system.text)
	}
	gone := v.post(rooms+"/systems/"+id+"/revoke", url.Values{"csrf": {system.csrf()}})
	wants(t, gone, "The system is revoked")
	if _, err := reader.get(t.Context(), "DiagnosticReport"); err == nil {
		t.Error("a token of a system that was revoked is good")
	}
	if _, err := backendToken(t.Context(), w.base, id, key, "system/DiagnosticReport.rs"); err == nil {
		t.Error("a system that was revoked gets tokens")
	}
	if page := v.get(rooms + "/systems/00000000-0000-0000-0000-000000000000"); page.status != http.StatusNotFound {
		t.Errorf("a system that is none: %d", page.status)
	}
}

func unescaped(t *testing.T, text, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in %s", pattern, text)
	}
	return strings.NewReplacer("&#34;", `"`, "&amp;", "&", "&lt;", "<", "&gt;", ">").Replace(found[1])
}

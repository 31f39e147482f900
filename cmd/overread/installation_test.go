package main

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pgtest"
)

// send fills in a form of a page and sends it, with the session's proof.
func (v *visitor) send(t *testing.T, page, to string, fields ...string) seenPage {
	t.Helper()
	form := url.Values{"csrf": {v.get(page).csrf()}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	return v.post(to, form)
}

// told are the kinds of events of a hospital's audit log that have a text in them, by name,
// with those that still wait for their place in it.
func (w *world) told(t *testing.T, tenant, text string) (kinds []string) {
	t.Helper()
	rows, err := w.database.Owner(t).Query(t.Context(), `
		SELECT e.text
		FROM (SELECT tenant_id, convert_from(body, 'UTF8') AS text FROM audit_event
		      UNION ALL SELECT tenant_id, unnest(string_to_array(convert_from(records, 'UTF8'), E'\n')) FROM audit_inbox) e
		JOIN tenant n USING (tenant_id)
		WHERE n.name = $1 AND strpos(e.text, $2) > 0`, tenant, text)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range all {
		if found := ourSubtype.FindStringSubmatch(event); found != nil {
			kinds = append(kinds, found[1])
		}
	}
	slices.Sort(kinds)
	return kinds
}

var ourSubtype = regexp.MustCompile(`/CodeSystem/audit-subtype"[^}]*"code": ?"([a-z-]+)"`)

// An endpoint is proposed by one administrator, shown before anything is done, and put in
// force by another one; what is wrong is said with its field.
func TestTwoAdministratorsSetAnEndpointByPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, rooms := w.administrator(t)
	ines, _ := w.adminCalled(t, "Ines")
	fields := []string{"name", "archive", "base", "http://127.0.0.1:9/fhir", "packaging", "report", "timeout", "2.5", "in-flight-max", "3", "reason", "the archive wants reports"}
	but := func(name, value string) []string {
		all := slices.Clone(fields)
		all[slices.Index(all, name)+1] = value
		return all
	}
	for name, value := range map[string]string{"name": "Not Short", "base": "http://169.254.169.254/fhir", "timeout": "soon", "in-flight-max": "many", "reason": ""} {
		page := sam.send(t, rooms+"/endpoints/set", rooms+"/endpoints/set", but(name, value)...)
		if page.status != http.StatusBadRequest || !strings.Contains(page.text, `href="#`+name+`"`) || !strings.Contains(page.text, "the archive wants reports") && name != "reason" {
			t.Errorf("%s: %d, and the page does not lead to the field with all that was written:\n%s", name, page.status, page.text)
		}
	}
	asked := sam.send(t, rooms+"/endpoints/set", rooms+"/endpoints/set", fields...)
	wants(t, asked, "Propose this endpoint?")
	wants(t, asked, "not encrypted")
	if page := sam.get(rooms + "/endpoints"); strings.Contains(page.text, "archive") {
		t.Error("it is proposed before it was confirmed")
	}
	wants(t, sam.send(t, rooms+"/endpoints/set", rooms+"/endpoints/set", append(fields, "confirm", "yes")...), "It is proposed")
	own := sam.get(rooms + "/endpoints")
	if strings.Contains(own.text, "/endpoints/agree") {
		t.Error("who has proposed it is asked to agree")
	}
	if page := sam.send(t, rooms+"/endpoints", rooms+"/endpoints/agree", "endpoint", "archive", "base", "http://127.0.0.1:9/fhir", "confirm", "yes"); page.status != http.StatusForbidden {
		t.Errorf("agreeing to oneself: %d", page.status)
	}
	look := ines.send(t, rooms+"/endpoints", rooms+"/endpoints/agree", "endpoint", "archive")
	wants(t, look, "Put this endpoint in force?")
	wants(t, look, "Proposed by")
	wants(t, ines.send(t, rooms+"/endpoints", rooms+"/endpoints/agree", "endpoint", "archive", "base", "http://127.0.0.1:9/fhir", "confirm", "yes"), "It is in force")
	wants(t, ines.get(rooms+"/endpoints"), "another address: try the connection, then resume")
	if kinds := w.told(t, "mercy", "archive"); !slices.Equal(kinds, []string{"destination-proposed", "destination-set"}) {
		t.Errorf("recorded: %v", kinds)
	}
	// Another hospital has its own endpoints, and no form of this one reaches them.
	if page := sam.get("/at/lakeside/admin/endpoints/set"); page.status != http.StatusNotFound {
		t.Errorf("another hospital's form: %d", page.status)
	}
	if page := sam.send(t, rooms+"/endpoints", "/at/lakeside/admin/endpoints/agree", "endpoint", "ehr", "confirm", "yes"); page.status != http.StatusNotFound {
		t.Errorf("agreeing at another hospital: %d", page.status)
	}
}

func TestAnAdministratorSaysByAPageWhoIsAReaderAndWhatTheHospitalIsCalled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sam, rooms := w.administrator(t)
	owner := w.database.Owner(t)
	var mercy uuid.UUID
	if err := owner.QueryRow(t.Context(), `SELECT tenant_id FROM tenant WHERE name = 'mercy'`).Scan(&mercy); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(t.Context(), `INSERT INTO provider (name, issuer, display, client_id) VALUES ('house', 'https://idp.example', 'The house', 'x')`); err != nil {
		t.Fatal(err)
	}
	pgtest.AddReader(t, w.database, mercy, "Dr. Alone", map[string]any{})
	var reader string
	if err := owner.QueryRow(t.Context(), `SELECT reader_id::text FROM reader WHERE display = 'Dr. Alone'`).Scan(&reader); err != nil {
		t.Fatal(err)
	}
	form := rooms + "/people/reader"
	for field, fields := range map[string][]string{
		"subject":  {"provider", "house", "subject", "", "reader", reader},
		"reader":   {"provider", "house", "subject", "alone", "reader", uuid.NewString()},
		"provider": {"provider", "none", "subject", "alone", "reader", reader},
	} {
		if page := sam.send(t, form, form, fields...); page.status < 400 || page.status >= 500 || !strings.Contains(page.text, `href="#`+field+`"`) {
			t.Errorf("%s: %d %s", field, page.status, page.text)
		}
	}
	if page := sam.send(t, form, form, "provider", "house", "subject", "sam", "reader", reader, "confirm", "yes"); page.status != http.StatusForbidden {
		t.Errorf("themselves: %d", page.status)
	}
	wants(t, sam.send(t, form, form, "provider", "house", "subject", "alone", "reader", reader), "Is this the same person?")
	done := sam.send(t, form, form, "provider", "house", "subject", "alone", "reader", reader, "confirm", "yes")
	wants(t, done, "Whoever signs in so is this reader")
	if kinds := w.told(t, "mercy", reader); !slices.Contains(kinds, "person-set") {
		t.Errorf("recorded: %v", kinds)
	}

	form = rooms + "/hospital"
	if page := sam.send(t, form, form, "display", " ", "creates", "yes"); page.status != http.StatusBadRequest || !strings.Contains(page.text, `href="#display"`) {
		t.Errorf("no name: %d", page.status)
	}
	wants(t, sam.send(t, form, form, "display", "Mercy Hospital of the Lake", "creates", "no"), "The settings are changed")
	wants(t, sam.get(rooms+"/overview"), "Mercy Hospital of the Lake")
	if said, err := overreadOutput(t, "tenant", "set", "mercy", "--update-create", "--database-url", w.database.URL); err != nil || !strings.Contains(said, "creates it") {
		t.Errorf("%s %v", said, err)
	}
	if kinds := w.told(t, "mercy", "tenant-changed"); len(kinds) != 2 {
		t.Errorf("by a page and by the command line: %v", kinds)
	}
}

// The pages of the installation are there for whom the command line has named, and for
// nobody else; what is done there is in the hospitals' logs.
func TestTheOperatorOfTheInstallationHasPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ruth, person := w.adminCalled(t, "Ruth")
	sam, rooms := w.administrator(t)
	const at = "/installation"
	for _, path := range []string{"", "/hospitals/new", "/hospitals/mercy", "/providers/new", "/providers/x"} {
		if page := sam.get(at + path); page.status != http.StatusNotFound {
			t.Errorf("%s for an administrator: %d", path, page.status)
		}
	}
	for _, path := range []string{"/hospitals", "/hospitals/mercy/suspend", "/hospitals/mercy/administrators", "/providers", "/providers/x/remove"} {
		if page := sam.send(t, rooms+"/overview", at+path, "confirm", "yes", "reason", "x"); page.status != http.StatusNotFound {
			t.Errorf("%s by an administrator: %d", path, page.status)
		}
	}
	command := func(args ...string) string {
		t.Helper()
		said, err := overreadOutput(t, append(args, "--database-url", w.database.URL)...)
		if err != nil {
			t.Fatal(args, err)
		}
		return said
	}
	command("tenant", "create", "lakeside")
	command("operator", "grant", person.String(), "--reason", "new hospitals")
	if said := command("operator", "list"); !strings.Contains(said, "Ruth") {
		t.Error(said)
	}
	wants(t, ruth.get("/home"), at)
	wants(t, ruth.get(at), "lakeside")

	// A hospital is added in two steps, and nobody is in it.
	for field, fields := range map[string][]string{"name": {"name", "Not Short"}, "ehr-base": {"name", "north", "ehr-base", "ftp://x"}} {
		if page := ruth.send(t, at, at+"/hospitals", fields...); page.status != http.StatusBadRequest || !strings.Contains(page.text, `href="#`+field+`"`) {
			t.Errorf("%s: %d", field, page.status)
		}
	}
	if page := ruth.send(t, at, at+"/hospitals", "name", "mercy"); page.status != http.StatusConflict {
		t.Errorf("a name that is taken: %d", page.status)
	}
	wants(t, ruth.send(t, at, at+"/hospitals", "name", "north", "display", "North", "creates", "yes"), "Add this hospital?")
	wants(t, ruth.send(t, at, at+"/hospitals", "name", "north", "display", "North", "creates", "yes", "confirm", "yes"), "The hospital is here")
	if kinds := w.told(t, "north", "Ruth"); !slices.Equal(kinds, []string{"tenant-added"}) {
		t.Errorf("recorded: %v", kinds)
	}
	if page := ruth.get("/at/north/admin/overview"); page.status != http.StatusNotFound {
		t.Errorf("who adds a hospital is in it: %d", page.status)
	}

	// A provider, and its group that administers the hospital.
	provider := []string{"name", "north-idp", "issuer", "https://login.north.example", "client-id", "overread", "scopes", "openid", "roles-claim", "groups"}
	for field, value := range map[string]string{"issuer": "http://169.254.169.254", "client-id": "", "scopes": "profile"} {
		all := slices.Clone(provider)
		all[slices.Index(all, field)+1] = value
		if page := ruth.send(t, at, at+"/providers", all...); page.status != http.StatusBadRequest || !strings.Contains(page.text, `href="#`+field+`"`) {
			t.Errorf("%s: %d", field, page.status)
		}
	}
	wants(t, ruth.send(t, at, at+"/providers", provider...), "Put this identity provider in force?")
	wants(t, ruth.send(t, at, at+"/providers", append(provider, "confirm", "yes")...), "The identity provider is set")
	for _, tenant := range []string{"mercy", "lakeside", "north"} {
		if kinds := w.told(t, tenant, "north-idp"); !slices.Equal(kinds, []string{"provider-set"}) {
			t.Errorf("recorded at %s: %v", tenant, kinds)
		}
	}
	first := at + "/hospitals/north"
	wants(t, ruth.send(t, first, first+"/administrators", "provider", "north-idp", "value", "it"), "Let this group administer the hospital?")
	wants(t, ruth.send(t, first, first+"/administrators", "provider", "north-idp", "value", "it", "confirm", "yes"), "from their next sign-in")
	if page := ruth.send(t, first, first+"/administrators", "provider", "north-idp", "value", "others", "confirm", "yes"); page.status != http.StatusConflict {
		t.Errorf("a hospital that has administrators gets others: %d", page.status)
	}

	// It is suspended, and resumed.
	if page := ruth.send(t, first, first+"/suspend"); page.status != http.StatusBadRequest || !strings.Contains(page.text, `href="#reason"`) {
		t.Errorf("without a reason: %d", page.status)
	}
	wants(t, ruth.send(t, first, first+"/suspend", "reason", "unpaid"), "Suspend this hospital?")
	wants(t, ruth.send(t, first, first+"/suspend", "reason", "unpaid", "confirm", "yes"), "The hospital is suspended")
	wants(t, ruth.send(t, first, first+"/resume", "reason", "paid"), "goes on where it stopped")
	wants(t, ruth.send(t, at+"/providers/north-idp", at+"/providers/north-idp/remove"), "Remove this identity provider?")
	wants(t, ruth.send(t, at+"/providers/north-idp", at+"/providers/north-idp/remove", "confirm", "yes"), "is removed")
	if kinds := w.told(t, "north", "Ruth"); !slices.Equal(kinds, []string{"group-set", "provider-removed", "provider-set", "tenant-added", "tenant-resumed", "tenant-suspended"}) {
		t.Errorf("recorded: %v", kinds)
	}
	for _, path := range []string{at, first} {
		if page := ruth.get(path); strings.Contains(page.text, "Knee") || page.status != http.StatusOK {
			t.Errorf("%s: %d", path, page.status)
		}
	}

	// A sign-in of long ago is not enough, and who was dismissed has no pages.
	if _, err := w.database.Owner(t).Exec(t.Context(), `UPDATE session SET opened_at = now() - interval '31 minutes' WHERE person_id = $1`, person); err != nil {
		t.Fatal(err)
	}
	if page := ruth.send(t, first, first+"/suspend", "reason", "unpaid", "confirm", "yes"); page.status != http.StatusForbidden || !strings.Contains(page.text, "fresh sign-in") {
		t.Errorf("a session of long ago: %d", page.status)
	}
	command("operator", "revoke", person.String())
	if page := ruth.get(at); page.status != http.StatusNotFound {
		t.Errorf("dismissed: %d", page.status)
	}
}

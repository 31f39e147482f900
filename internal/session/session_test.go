package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
)

// house is a store with two tenants at which Dr. Ito reads.
type house struct {
	db              *pgtest.Database
	store           *session.Store
	mercy, lakeside uuid.UUID
	reader          uuid.UUID
}

func newHouse(t *testing.T, baseURL string) *house {
	t.Helper()
	db := pgtest.New(t)
	h := &house{db: db, store: session.NewStore(session.Config{DB: db.DB, BaseURL: baseURL})}
	h.mercy, h.lakeside = pgtest.AddTenant(t, db, "mercy"), pgtest.AddTenant(t, db, "lakeside")
	_, actor := pgtest.AddReader(t, db, h.mercy, "Dr. Ito", `{"subspecialties":["neuro"],"licences":[],"mayAdjudicate":true}`)
	h.reader = actor.ID
	h.behind(t, `INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential) VALUES ($1, $2, 'p', 'Dr. Ito', '{}')`, h.lakeside, h.reader)
	return h
}

// behind changes something behind the server's back.
func (h *house) behind(t *testing.T, sql string, args ...any) {
	t.Helper()
	if _, err := h.db.Owner(t).Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// open logs Dr. Ito in, as a reader at both tenants and an adjudicator at mercy.
func (h *house) open(t *testing.T) string {
	t.Helper()
	return h.openAs(t, []access.Actor{
		{Tenant: h.mercy, ID: h.reader, Role: access.Reader}, {Tenant: h.lakeside, ID: h.reader, Role: access.Reader},
		{Tenant: h.mercy, ID: h.reader, Role: access.Adjudicator},
	})
}

func (h *house) openAs(t *testing.T, actors []access.Actor) (cookie string) {
	t.Helper()
	err := h.db.System(t.Context(), func(tx pgx.Tx) error {
		person, _, err := h.store.Known(t.Context(), tx, session.Person{Issuer: "https://idp.example", Subject: "ito", Display: "Dr. Ito"})
		if err != nil {
			return err
		}
		_, cookie, err = h.store.Open(t.Context(), tx, person, session.FromOIDC, "Firefox", actors)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return cookie
}

func (h *house) find(t *testing.T, cookie string) *session.Session {
	t.Helper()
	found, err := h.store.Find(t.Context(), cookie)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func (h *house) wantNone(t *testing.T, cookie, why string) {
	t.Helper()
	if _, err := h.store.Find(t.Context(), cookie); !errors.Is(err, session.ErrNone) {
		t.Errorf("%s: %v", why, err)
	}
}

func placesOf(s *session.Session) string {
	var all []string
	for _, p := range s.Places {
		all = append(all, p.TenantName+" "+string(p.Role))
	}
	return strings.Join(all, ", ")
}

func TestASessionIsFoundByItsCookieAndNothingElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	cookie := h.open(t)
	found := h.find(t, cookie)
	if got := placesOf(found); got != "lakeside reader, mercy adjudicator, mercy reader" || found.Display != "Dr. Ito" {
		t.Errorf("%s of %s", got, found.Display)
	}
	for _, wrong := range []string{"", cookie + "x", cookie[1:], found.CSRF(), found.ID.String(), access.NewToken()} {
		h.wantNone(t, wrong, "a cookie that was never given")
	}
	var kept int
	err := h.db.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM session s WHERE strpos(s::text, $1) > 0`, cookie).Scan(&kept)
	if err != nil || kept != 0 {
		t.Errorf("the cookie itself stands in the database (%v)", err)
	}
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	for why, end := range map[string]string{
		"nothing came for 15 minutes": `UPDATE session SET seen_at = now() - interval '15 minutes'`,
		"its time is over":            `UPDATE session SET ends_at = now()`,
		"it was ended":                `UPDATE session SET ended_at = now(), end_reason = 'logout'`,
		"the person was ended":        `UPDATE person SET ended_at = now()`,
	} {
		h := newHouse(t, "https://overread.example/fhir")
		cookie := h.open(t)
		h.behind(t, `UPDATE session SET seen_at = now() - interval '14 minutes'`)
		h.find(t, cookie)
		h.behind(t, end)
		h.wantNone(t, cookie, why)
	}
}

func TestUsingASessionKeepsItAndNotBeyondItsTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	cookie := h.open(t)
	h.behind(t, `UPDATE session SET opened_at = now() - interval '11 hours', seen_at = now() - interval '10 minutes', ends_at = now() + interval '1 hour'`)
	h.find(t, cookie)
	if s := h.find(t, cookie); s.EndsAt.Sub(s.SeenAt).Minutes() > 60.1 || s.EndsAt.Sub(s.SeenAt).Minutes() < 59 {
		t.Errorf("seen at %v, ends at %v", s.SeenAt, s.EndsAt)
	}
}

func TestWhoIsNoLongerCredentialedHasLostThePlaceAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	cookie := h.open(t)
	h.behind(t, `UPDATE reader SET credential = '{}' WHERE tenant_id = $1`, h.mercy)
	if got := placesOf(h.find(t, cookie)); got != "lakeside reader, mercy reader" {
		t.Errorf("after the privilege to adjudicate: %s", got)
	}
	h.behind(t, `UPDATE reader SET active = false WHERE tenant_id = $1`, h.lakeside)
	if got := placesOf(h.find(t, cookie)); got != "mercy reader" {
		t.Errorf("after lakeside: %s", got)
	}
	h.behind(t, `DELETE FROM reader WHERE tenant_id = $1`, h.mercy)
	if got := placesOf(h.find(t, cookie)); got != "" {
		t.Errorf("after both: %s", got)
	}
}

func TestARenewedCookieReplacesTheOneOfBefore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	before := h.open(t)
	s := h.find(t, before)
	var after string
	err := h.db.System(t.Context(), func(tx pgx.Tx) (err error) {
		after, err = h.store.Renew(t.Context(), tx, s.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	h.wantNone(t, before, "the cookie of before")
	if again := h.find(t, after); again.ID != s.ID || again.Proves(s.CSRF()) {
		t.Errorf("another session, or the CSRF token of before is still good")
	}
}

func TestOnlyThePersonsOwnSessionsAreEnded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	one, two := h.open(t), h.open(t)
	s := h.find(t, one)
	if ended, err := h.store.End(t.Context(), uuid.New(), s.ID, session.Elsewhere, session.From{}); err != nil || ended {
		t.Errorf("somebody else ended it (%v)", err)
	}
	if all, err := h.store.Of(t.Context(), s.PersonID); err != nil || len(all) != 2 {
		t.Errorf("%d sessions (%v)", len(all), err)
	}
	if ended, err := h.store.End(t.Context(), s.PersonID, s.ID, session.Elsewhere, session.From{}); err != nil || !ended {
		t.Errorf("not ended (%v)", err)
	}
	h.wantNone(t, one, "the one that was ended")
	h.find(t, two)
}

func TestASessionEndsWithItsRecordOrNotAtAll(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	var told []access.Event
	var broken error
	store := session.NewStore(session.Config{DB: h.db.DB, BaseURL: "https://overread.example/fhir", Record: func(_ context.Context, tx pgx.Tx, e access.Event) error {
		if tx == nil {
			t.Error("recorded in another transaction")
		}
		told = append(told, e)
		return broken
	}})
	cookie := h.open(t)
	s := h.find(t, cookie)
	broken = errors.New("no room")
	if _, err := store.End(t.Context(), s.PersonID, s.ID, session.Logout, session.From{}); !errors.Is(err, broken) {
		t.Errorf("ended without its record (%v)", err)
	}
	h.find(t, cookie)
	broken, told = nil, nil
	for range 2 {
		if _, err := store.End(t.Context(), s.PersonID, s.ID, session.Logout, session.From{Address: "192.0.2.7"}); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 2 || told[0].Kind != access.Logout || told[0].Client != "192.0.2.7" || told[0].Token != access.SessionURN(s.ID) || told[0].Tenant == told[1].Tenant {
		t.Errorf("told: %+v", told)
	}
}

func TestALinkStartsNoExport(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	cookie := h.openAs(t, []access.Actor{{Tenant: h.mercy, ID: h.reader, Role: access.Reader}})
	for _, path := range []string{"/fhir/$export", "/fhir/%24export", "/fhir/Patient/$export/", "/fhir/Group/1/$export?_type=Patient"} {
		r := httptest.NewRequest(http.MethodGet, "https://overread.example"+path, nil)
		r.AddCookie(&http.Cookie{Name: h.store.CookieName(), Value: cookie})
		if _, err := h.store.Identify(r); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s without the session's token: %v", path, err)
		}
		r.Header.Set(session.CSRFHeader, h.find(t, cookie).CSRF())
		if _, err := h.store.Identify(r); err != nil {
			t.Errorf("%s with it: %v", path, err)
		}
	}
}

func TestARequestOfASessionIsOfItsPlaceAndForgedOnesAreRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	many := h.open(t)
	one := h.openAs(t, []access.Actor{{Tenant: h.mercy, ID: h.reader, Role: access.Reader}})
	csrf := h.find(t, one).CSRF()
	mercy := access.Actor{Tenant: h.mercy, ID: h.reader, Reader: h.reader, Role: access.Reader, Display: "Dr. Ito", Opened: []string{}}
	for name, c := range map[string]struct {
		method, cookie string
		header         map[string]string
		want           fault.Kind
	}{
		"reading with one place":                    {"GET", one, nil, ""},
		"asking for the headers":                    {"HEAD", one, nil, ""},
		"several places and none named":             {"GET", many, nil, fault.Required},
		"the tenant alone":                          {"GET", many, map[string]string{access.TenantHeader: "mercy"}, fault.Required},
		"the place":                                 {"GET", many, map[string]string{access.TenantHeader: "mercy", access.RoleHeader: "reader"}, ""},
		"a tenant of somebody else's":               {"GET", one, map[string]string{access.TenantHeader: "lakeside"}, fault.Forbidden},
		"a role that they have elsewhere":           {"GET", many, map[string]string{access.TenantHeader: "lakeside", access.RoleHeader: "adjudicator"}, fault.Forbidden},
		"a role that they have nowhere":             {"GET", one, map[string]string{access.RoleHeader: "director"}, fault.Forbidden},
		"a change without the token":                {"POST", one, nil, fault.Forbidden},
		"a change with another token":               {"POST", one, map[string]string{session.CSRFHeader: access.NewToken()}, fault.Forbidden},
		"a change with the token":                   {"POST", one, map[string]string{session.CSRFHeader: csrf}, ""},
		"the same from another site":                {"POST", one, map[string]string{session.CSRFHeader: csrf, "Sec-Fetch-Site": "cross-site"}, fault.Forbidden},
		"the same from another origin":              {"DELETE", one, map[string]string{session.CSRFHeader: csrf, "Origin": "https://evil.example"}, fault.Forbidden},
		"the same from a sister of this host":       {"PUT", one, map[string]string{session.CSRFHeader: csrf, "Sec-Fetch-Site": "same-site"}, fault.Forbidden},
		"no cookie":                                 {"GET", "", nil, fault.Unauthenticated},
		"a bad token is not saved by a good cookie": {"GET", one, map[string]string{"Authorization": "Bearer x"}, fault.Unauthenticated},
	} {
		r := httptest.NewRequest(c.method, "https://overread.example/fhir/Task", http.NoBody)
		for key, value := range c.header {
			r.Header.Set(key, value)
		}
		if c.cookie != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-overread", Value: c.cookie})
		}
		got, err := h.store.Identify(r)
		switch {
		case c.want != "" && !fault.Is(err, c.want):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want == "":
			mercy.Token = access.SessionURN(h.find(t, c.cookie).ID)
			if diff := cmp.Diff(mercy, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
}

func TestTwoCookiesOfTheNameAreNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	cookie := h.open(t)
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	for _, value := range []string{cookie, "x"} {
		r.AddCookie(&http.Cookie{Name: h.store.CookieName(), Value: value})
	}
	if _, err := h.store.OfRequest(r); !errors.Is(err, session.ErrNone) {
		t.Error(err)
	}
}

func TestTheCookieIsForThisHostAlone(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"https://overread.example/fhir": "__Host-overread=v; Path=/; HttpOnly; Secure; SameSite=Lax",
		"http://127.0.0.1:8080/fhir":    "overread=v; Path=/; HttpOnly; SameSite=Lax",
	} {
		w := httptest.NewRecorder()
		session.NewStore(session.Config{BaseURL: base}).SetCookie(w, "v")
		if got := w.Header().Get("Set-Cookie"); got != want {
			t.Errorf("%s: %s", base, got)
		}
	}
}

func TestASessionIsRefusedWhereTheTenantIsSuspendedAndNowhereElse(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	cookie := h.open(t)
	h.behind(t, `UPDATE tenant SET state = 'suspended' WHERE name = 'mercy'`)
	ask := func(tenant string) error {
		r := httptest.NewRequest(http.MethodGet, "/fhir/Task", nil)
		r.AddCookie(&http.Cookie{Name: h.store.CookieName(), Value: cookie})
		r.Header.Set(access.TenantHeader, tenant)
		r.Header.Set(access.RoleHeader, "reader")
		_, err := h.store.Identify(r)
		return err
	}
	if err := ask("mercy"); !errors.Is(err, pg.ErrSuspended) {
		t.Errorf("at the suspended tenant: %v", err)
	}
	if err := ask("lakeside"); err != nil {
		t.Errorf("at another: %v", err)
	}
}

func TestSessionsThatNobodyUsesAreEndedOnceAndRecorded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	var kinds []string
	store := session.NewStore(session.Config{DB: h.db.DB, BaseURL: "https://overread.example/fhir", Record: func(_ context.Context, _ pgx.Tx, e access.Event) error {
		kinds = append(kinds, string(e.Kind))
		return nil
	}})
	idle, over, used := h.open(t), h.open(t), h.open(t)
	for cookie, change := range map[string]string{idle: `seen_at = now() - interval '16 minutes'`, over: `ends_at = now()`} {
		h.behind(t, `UPDATE session SET `+change+` WHERE cookie_sha256 = sha256($1::text::bytea)`, cookie)
	}
	for range 2 {
		if _, err := store.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(kinds)
	if diff := cmp.Diff([]string{"idle-logoff", "idle-logoff", "logout", "logout"}, kinds); diff != "" { // each at both tenants
		t.Error(diff)
	}
	h.wantNone(t, idle, "the idle one")
	h.find(t, used)
	h.behind(t, `UPDATE session SET ended_at = now() - interval '31 days' WHERE ended_at IS NOT NULL`)
	if _, err := store.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := h.db.Owner(t).QueryRow(t.Context(), `SELECT count(*) FROM session`).Scan(&left); err != nil || left != 1 {
		t.Errorf("%d sessions are kept (%v)", left, err)
	}
}

// A session outlives the work of a tenant: that it ended is recorded there too, while
// nothing else is done for the tenant. What was moved away has its log elsewhere.
func TestTheEndOfASessionIsRecordedWhereTheTenantIsSuspended(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	told := map[uuid.UUID]int{}
	store := session.NewStore(session.Config{DB: h.db.DB, BaseURL: "https://overread.example/fhir", Record: func(_ context.Context, _ pgx.Tx, e access.Event) error {
		told[e.Tenant]++
		return nil
	}})
	end := func() {
		left := h.find(t, h.open(t))
		if _, err := store.End(t.Context(), left.PersonID, left.ID, session.Logout, session.From{}); err != nil {
			t.Fatal(err)
		}
		h.behind(t, `UPDATE session SET seen_at = now() - interval '16 minutes' WHERE cookie_sha256 = sha256($1::text::bytea)`, h.open(t))
		if _, err := store.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.behind(t, `UPDATE tenant SET state = 'suspended' WHERE name = 'mercy'`)
	end()
	h.behind(t, `UPDATE tenant SET state = 'moved' WHERE name = 'mercy'`)
	end()
	if diff := cmp.Diff(map[uuid.UUID]int{h.mercy: 2, h.lakeside: 4}, told); diff != "" {
		t.Error(diff)
	}
}

// Blinding is of the person: a reader is one in every role of theirs, where they read.
func TestAReaderIsOneInEveryRoleAtTheirTenants(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "https://overread.example/fhir")
	desk := uuid.New()
	for name, c := range map[string]struct {
		actors []access.Actor
		linked bool // the operator has said that the person is the reader
		want   uuid.UUID
	}{
		"with the role of a reader as well": {[]access.Actor{{Tenant: h.mercy, ID: h.reader, Role: access.Reader}, {Tenant: h.mercy, ID: desk, Role: access.Coordinator}}, false, h.reader},
		"at the desk alone, and known":      {[]access.Actor{{Tenant: h.mercy, ID: desk, Role: access.Coordinator}}, true, h.reader},
		"at the desk, and no reader":        {[]access.Actor{{Tenant: h.mercy, ID: desk, Role: access.Coordinator}}, false, uuid.Nil},
	} {
		cookie := h.openAs(t, c.actors)
		var reader *uuid.UUID
		if c.linked {
			reader = &h.reader
		}
		if _, err := h.db.Owner(t).Exec(t.Context(), `UPDATE person SET reader_id = $1`, reader); err != nil {
			t.Fatal(err)
		}
		place, ok := h.find(t, cookie).At("mercy", access.Coordinator)
		if !ok || place.Reader != c.want || place.ID != desk {
			t.Errorf("%s: %+v", name, place)
		}
	}
}

package smart_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/overread/overread/integrations/smart"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/internal/standin"
)

// house is a client of the stand-in EHR, which a test can make lie.
type house struct {
	t      *testing.T
	db     *pgtest.Database
	tenant uuid.UUID
	store  *session.Store
	client *smart.Client
	ehr    *standin.EHR
	base   string

	mu     sync.Mutex
	lies   map[string]lie // by path
	events []access.Event
	asked  []string // base, id and identifiers of the patients that were asked for

	patients []string
}

// lie answers instead of the EHR; honest is what it would have answered.
type lie func(w http.ResponseWriter, r *http.Request, honest http.Handler)

const root = "https://overread.example"

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, db: pgtest.New(t), lies: map[string]lie{}, patients: []string{"Patient/here"}}
	var err error
	if h.ehr, err = standin.New(standin.Options{}); err != nil {
		t.Fatal(err)
	}
	honest := h.ehr.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		lie := h.lies[r.URL.Path]
		h.mu.Unlock()
		if lie == nil {
			honest.ServeHTTP(w, r)
			return
		}
		lie(w, r, honest)
	}))
	t.Cleanup(server.Close)
	h.base = server.URL + "/fhir"
	h.tenant = pgtest.AddTenant(t, h.db, "mercy")
	h.store = session.NewStore(session.Config{DB: h.db.DB, BaseURL: root + "/fhir"})
	h.client = smart.New(smart.Config{
		DB: h.db.DB, Sessions: h.store, Guard: outbound.Loopback(), Root: root, Log: slog.New(slog.DiscardHandler),
		Limits: outbound.Limits{Timeout: 2 * time.Second, MaxBody: 512<<10 + 1},
		Record: func(_ context.Context, _ pgx.Tx, e access.Event) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.events = append(h.events, e)
			return nil
		},
		Patient: func(_ context.Context, a access.Actor, base, id string, identifiers []string) ([]string, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked = append(h.asked, strings.Join(append([]string{a.Tenant.String(), base, id}, identifiers...), " "))
			return h.patients, nil
		},
		Order: func(_ context.Context, a access.Actor, _, id string, identifiers []string) (string, error) {
			if a.Patient == "Patient/here" && (id == "o1" || slices.Contains(identifiers, "urn:orders|1")) {
				return "task-1", nil
			}
			return "", nil
		},
	})
	h.list("mercy", "public", nil)
	for typ, body := range map[string]string{
		"Patient/p1":        `{"resourceType":"Patient","id":"p1","identifier":[{"system":"urn:mrn","value":"1"},{"use":"old","system":"urn:mrn","value":"0"},{"value":"7"}],"name":[{"family":"Secret"}]}`,
		"Patient/p2":        `{"resourceType":"Patient","id":"p2"}`,
		"ServiceRequest/o1": `{"resourceType":"ServiceRequest","id":"o1","status":"active","intent":"order","subject":{"reference":"Patient/p1"}}`,
		"Practitioner/dr":   `{"resourceType":"Practitioner","id":"dr","name":[{"prefix":["Dr."],"given":["Nell"],"family":"Ash"}]}`,
	} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPut, h.base+"/"+typ, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/fhir+json")
		answer, err := http.DefaultClient.Do(request)
		if err != nil || answer.StatusCode >= 300 {
			t.Fatal(typ, err, answer)
		}
		answer.Body.Close()
	}
	return h
}

// list lists the EHR for a tenant, and registers us there as overread.
func (h *house) list(tenant, authentication string, secretFile *string) {
	h.t.Helper()
	_, err := h.db.Owner(h.t).Exec(context.Background(), `
		INSERT INTO ehr_issuer (tenant_id, issuer, client_id, authentication, secret_file, scopes, frame_origins)
		SELECT tenant_id, $2, 'overread', $3, $4, $5, '{https://ehr.example}' FROM tenant WHERE name = $1
		ON CONFLICT (tenant_id, issuer) DO UPDATE SET authentication = excluded.authentication, secret_file = excluded.secret_file`,
		tenant, h.base, authentication, secretFile, smart.DefaultScopes)
	if err != nil {
		h.t.Fatal(err)
	}
	h.ehr.Register(standin.App{ClientID: "overread", LaunchURL: root + "/launch", RedirectURI: root + "/launch/callback"})
}

func (h *house) lie(path string, l lie) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lies[path] = l
}

// opens is the query of a launch that the EHR has begun.
func (h *house) opens() url.Values {
	h.t.Helper()
	address, err := h.ehr.Launch(h.base, "overread", "p1", "o1")
	if err != nil {
		h.t.Fatal(err)
	}
	u, _ := url.Parse(address)
	return u.Query()
}

// agree is what the EHR's authorization server sends the browser back with.
func (h *house) agree(to string) url.Values {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), http.MethodGet, to, http.NoBody)
	if err != nil {
		h.t.Fatal(err)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	back, err := url.Parse(answer.Header.Get("Location"))
	if err != nil || answer.StatusCode != http.StatusFound || !strings.HasPrefix(back.String(), root+"/launch/callback?") {
		text, _ := io.ReadAll(answer.Body)
		h.t.Fatalf("%d %s %s", answer.StatusCode, back, text)
	}
	return back.Query()
}

// last is why the last launch was refused, as the audit tells it.
func (h *house) last() access.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.events) == 0 {
		return access.Event{}
	}
	return h.events[len(h.events)-1]
}

// begin begins an honest launch.
func (h *house) begin() (back url.Values, browser string) {
	h.t.Helper()
	to, browser, _, err := h.client.Begin(h.t.Context(), "", "", h.opens())
	if err != nil {
		h.t.Fatal(err)
	}
	return h.agree(to), browser
}

func (h *house) noSession(t *testing.T) {
	t.Helper()
	var n int
	if err := h.db.Owner(t).QueryRow(context.Background(), `SELECT count(*) FROM session`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d sessions were opened (%v)", n, err)
	}
}

// wantRefused looks at an error, and at what the audit says of it.
func (h *house) wantRefused(t *testing.T, err error, why string) {
	t.Helper()
	if !fault.Is(err, fault.Forbidden) {
		t.Errorf("it is not refused: %v", err)
	}
	if got := h.last(); got.Kind != access.Launch || got.Why != why {
		t.Errorf("the audit says %q, want %q", got.Why, why)
	}
	h.noSession(t)
}

func TestALaunchOpensASessionForThePatientInContext(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	to, browser, framers, err := h.client.Begin(t.Context(), "mercy", "", h.opens())
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(to)
	for name, want := range map[string]string{"response_type": "code", "client_id": "overread", "redirect_uri": root + "/launch/callback", "aud": h.base, "code_challenge_method": "S256", "scope": smart.DefaultScopes} {
		if got := u.Query().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		if raw, err := base64.RawURLEncoding.DecodeString(u.Query().Get(name)); err != nil || len(raw) != 32 {
			t.Errorf("%s has not 256 bits: %q", name, u.Query().Get(name))
		}
	}
	if !slices.Equal(framers, []string{"https://ehr.example"}) {
		t.Errorf("framers %v", framers)
	}
	opened, _, err := h.client.Finish(t.Context(), browser, "Firefox", h.agree(to))
	if err != nil {
		t.Fatal(err, h.last().Why)
	}
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	w := httptest.NewRecorder()
	h.store.SetLaunchCookie(w, request, opened.Session, opened.Cookie, opened.Life)
	set := w.Header().Get("Set-Cookie")
	for _, part := range []string{"__Host-overread-launch-", "Path=/", "HttpOnly", "Secure", "SameSite=None", "Partitioned", "Max-Age=600"} {
		if !strings.Contains(set, part) {
			t.Errorf("the cookie has no %s: %s", part, set)
		}
	}
	request.Header.Set("Cookie", strings.SplitN(set, ";", 2)[0])
	s, err := h.store.OfLaunch(request, opened.Session)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Places) != 1 || s.Places[0].Patient != "Patient/here" || s.Places[0].Role != access.Placer || s.Places[0].Tenant != h.tenant {
		t.Errorf("places %+v", s.Places)
	}
	if s.Display != "Dr. Nell Ash (Practitioner/dr)" {
		t.Errorf("it is the session of %q", s.Display)
	}
	if _, err := h.store.OfLaunch(request, uuid.New()); err == nil {
		t.Error("the cookie opens another session's pages")
	}
	if shows, err := h.client.Context(t.Context(), opened.Session); err != nil || shows.TaskID == nil || *shows.TaskID != "task-1" || shows.OrderUnknown || !shows.Banner {
		t.Errorf("it shows %+v (%v)", shows, err)
	}
	if e := h.last(); e.Kind != access.Launch || e.Why != "" || e.Patient != "Patient/here" || e.Case != "Task/task-1" || e.Actor.Display != s.Display {
		t.Errorf("the audit says %+v", e)
	}
	if want := []string{h.tenant.String() + " " + h.base + " p1 urn:mrn|1"}; !slices.Equal(h.asked, want) {
		t.Errorf("asked for %v, want %v", h.asked, want) // no old number, none without a system
	}
	var kept string
	err = h.db.Owner(t).QueryRow(t.Context(), `SELECT (SELECT count(*) FROM ehr_launch)::text || coalesce(string_agg(s::text, ''), '') FROM session s`).Scan(&kept)
	if err != nil || !strings.HasPrefix(kept, "0") || strings.Contains(kept, "launch-") || strings.Contains(kept, "Secret") {
		t.Errorf("what is kept: %s (%v)", kept, err)
	}
}

// TestALaunchThatNobodyListedIsRefused: iss is compared letter by letter.
func TestALaunchThatNobodyListedIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	pgtest.AddTenant(t, h.db, "lakeside")
	host := strings.TrimPrefix(strings.TrimSuffix(h.base, "/fhir"), "http://")
	for name, iss := range map[string]string{
		"a stranger":                       "https://evil.example/fhir",
		"a slash at the end":               h.base + "/",
		"no path":                          "http://" + host,
		"another path":                     h.base + "/other",
		"a path with dots":                 "http://" + host + "/x/../fhir",
		"an escaped path":                  "http://" + host + "/%66hir",
		"capitals":                         strings.ToUpper(h.base[:4]) + h.base[4:],
		"another scheme":                   "https://" + host + "/fhir",
		"a user":                           "http://overread@" + host + "/fhir",
		"the listed one as a user":         "http://" + host + "@evil.example/fhir",
		"another name of the same host":    strings.Replace(h.base, "127.0.0.1", "localhost", 1),
		"another form of the same address": strings.Replace(h.base, "127.0.0.1", "127.1", 1),
		"another port":                     "http://127.0.0.1:1/fhir",
		"no port":                          "http://127.0.0.1/fhir",
		"a query":                          h.base + "?x=1",
		"a fragment":                       h.base + "#x",
		"a blank before":                   " " + h.base,
		"a line break after":               h.base + "\n",
		"a pattern":                        "%",
		"a metadata service":               "http://169.254.169.254/latest",
		"a file":                           "file:///etc/passwd",
	} {
		_, _, framers, err := h.client.Begin(t.Context(), "", "", url.Values{"iss": {iss}, "launch": {"x"}})
		if len(framers) > 0 {
			t.Errorf("%s: %v may frame it", name, framers)
		}
		h.wantRefused(t, err, "the issuer is not listed")
	}
	launch := h.opens()
	refusedAt := func(tenant string, query url.Values) error {
		to, _, _, err := h.client.Begin(t.Context(), tenant, "", query)
		if to != "" {
			t.Errorf("it leads to %s", to)
		}
		return err
	}
	err := refusedAt("lakeside", launch)
	h.wantRefused(t, err, "the issuer is not listed") // by another tenant
	h.list("lakeside", "public", nil)
	err = refusedAt("", launch)
	h.wantRefused(t, err, "several tenants list the issuer, and the launch address names none")
	for _, query := range []url.Values{
		{}, {"iss": {h.base}}, {"launch": {"x"}}, {"iss": {h.base, h.base}, "launch": {"x"}}, {"iss": {h.base}, "launch": {"x", "y"}}, {"iss": {h.base}, "launch": {strings.Repeat("x", 5000)}},
	} {
		err = refusedAt("mercy", query)
		h.wantRefused(t, err, "no iss or no launch")
	}
	if _, err := h.db.Owner(t).Exec(context.Background(), `UPDATE tenant SET state = 'suspended' WHERE name = 'mercy'`); err != nil {
		t.Fatal(err)
	}
	err = refusedAt("mercy", launch)
	h.wantRefused(t, err, "the tenant is suspended")
}

// TestAnEHRThatSaysOddThingsOfItselfIsNotFollowed changes the smart-configuration.
func TestAnEHRThatSaysOddThingsOfItselfIsNotFollowed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const place = "/fhir/.well-known/smart-configuration"
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody was led elsewhere") }))
	defer elsewhere.Close()
	notHad, endpoint := "the EHR's smart-configuration is not to be had", "an endpoint of the EHR may not be asked"
	for name, c := range map[string]struct {
		lie lie
		why string
	}{
		"a redirect": {func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}, notHad},
		"none":                          {func(w http.ResponseWriter, r *http.Request, _ http.Handler) { http.NotFound(w, r) }, notHad},
		"rubbish":                       {text("<html>"), notHad},
		"a list":                        {text("[]"), notHad},
		"too large":                     {text(`{"x":"` + strings.Repeat("x", 600<<10) + `"}`), notHad},
		"too slow":                      {slow, notHad},
		"cut off":                       {func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, notHad},
		"no launch-ehr":                 {changed("capabilities", []string{"launch-standalone"}), "the EHR does not have the capability launch-ehr"},
		"no PKCE":                       {changed("code_challenge_methods_supported", nil), "the EHR does not have PKCE with S256"},
		"plain PKCE only":               {changed("code_challenge_methods_supported", []string{"plain"}), "the EHR does not have PKCE with S256"},
		"no keys":                       {changed("jwks_uri", nil), "the EHR names no issuer or no keys of ID tokens"},
		"no issuer":                     {changed("issuer", ""), "the EHR names no issuer or no keys of ID tokens"},
		"no authorization endpoint":     {changed("authorization_endpoint", ""), endpoint},
		"no token endpoint":             {changed("token_endpoint", nil), endpoint},
		"a private token endpoint":      {changed("token_endpoint", "https://10.0.0.1/token"), endpoint},
		"a metadata service":            {changed("token_endpoint", "http://169.254.169.254/token"), endpoint},
		"a token endpoint with a user":  {changed("token_endpoint", "https://a:b@ehr.example/token"), endpoint},
		"a javascript: authorization":   {changed("authorization_endpoint", "javascript:alert(1)"), endpoint},
		"a data: authorization":         {changed("authorization_endpoint", "data:text/html,x"), endpoint},
		"a relative authorization":      {changed("authorization_endpoint", "/auth"), endpoint},
		"a fragment":                    {changed("authorization_endpoint", "https://ehr.example/auth#x"), endpoint},
		"an octal address":              {changed("jwks_uri", "https://0177.0.0.1/jwks"), endpoint},
		"keys at a private address":     {changed("jwks_uri", "https://192.168.0.1/jwks"), endpoint},
		"an issuer at a strange scheme": {changed("issuer", "ldap://ehr.example"), endpoint},
	} {
		h.lie(place, c.lie)
		_, _, framers, err := h.client.Begin(t.Context(), "", "", h.opens())
		if !fault.Is(err, fault.Forbidden) || h.last().Why != c.why || len(framers) != 1 {
			t.Errorf("%s: %v, the audit says %q, want %q", name, err, h.last().Why, c.why)
		}
	}
	h.noSession(t)
}

// TestAForgedReturnIsRefused changes what the browser comes back with.
func TestAForgedReturnIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	other, unknownState := "the answer is of another issuer", "unknown state, or another browser, or too late"
	for name, c := range map[string]struct {
		change func(q url.Values, browser *string)
		why    string
	}{
		"no state":               {func(q url.Values, _ *string) { q.Del("state") }, "no state, or another browser"},
		"two states":             {func(q url.Values, _ *string) { q.Add("state", q.Get("state")) }, "no state, or another browser"},
		"no browser":             {func(_ url.Values, b *string) { *b = "" }, "no state, or another browser"},
		"another browser":        {func(_ url.Values, b *string) { *b = access.NewToken() }, unknownState},
		"a state of nobody":      {func(q url.Values, _ *string) { q.Set("state", access.NewToken()) }, unknownState},
		"a state that is longer": {func(q url.Values, _ *string) { q.Set("state", q.Get("state")+"x") }, unknownState},
		"too late": {func(url.Values, *string) {
			_, err := h.db.Owner(t).Exec(context.Background(), `UPDATE ehr_launch SET expires_at = now()`)
			if err != nil {
				t.Error(err)
			}
		}, unknownState},
		"taken off the list meanwhile": {func(url.Values, *string) {
			owner := h.db.Owner(t)
			_, err := owner.Exec(context.Background(), `DELETE FROM ehr_issuer`)
			if err != nil {
				t.Error(err)
			}
			h.list("mercy", "public", nil)
		}, unknownState},
		"another issuer":           {func(q url.Values, _ *string) { q.Set("iss", "https://evil.example") }, other},
		"no issuer":                {func(q url.Values, _ *string) { q.Del("iss") }, other},
		"two issuers":              {func(q url.Values, _ *string) { q.Add("iss", q.Get("iss")) }, other},
		"an error":                 {func(q url.Values, _ *string) { q.Set("error", "access_denied") }, "the EHR refused"},
		"no code":                  {func(q url.Values, _ *string) { q.Del("code") }, "no code"},
		"two codes":                {func(q url.Values, _ *string) { q.Add("code", "x") }, "no code"},
		"a code of nobody":         {func(q url.Values, _ *string) { q.Set("code", "x") }, "the EHR did not take the code"},
		"the code of another one":  {func(q url.Values, _ *string) { b, _ := h.begin(); q.Set("code", b.Get("code")) }, "the EHR did not take the code"},
		"the state of another one": {func(q url.Values, _ *string) { b, _ := h.begin(); q.Set("state", b.Get("state")) }, unknownState},
	} {
		t.Run(name, func(t *testing.T) {
			back, browser := h.begin()
			c.change(back, &browser)
			_, _, err := h.client.Finish(t.Context(), browser, "", back)
			h.wantRefused(t, err, c.why)
		})
	}
	back, browser := h.begin()
	if _, _, err := h.client.Finish(t.Context(), browser, "", back); err != nil {
		t.Fatal(err)
	}
	_, _, err := h.client.Finish(t.Context(), browser, "", back)
	if !fault.Is(err, fault.Forbidden) || h.last().Why != unknownState {
		t.Errorf("a state is good twice: %v %s", err, h.last().Why)
	}
}

// signer makes ID tokens.
type signer struct{ key *ecdsa.PrivateKey }

func newSigner(t *testing.T) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return signer{key}
}

func (s signer) jwks() lie {
	public, _ := s.key.PublicKey.ECDH()
	point := public.Bytes()
	b64 := base64.RawURLEncoding.EncodeToString
	set, _ := json.Marshal(map[string]any{"keys": []map[string]string{{"kty": "EC", "crv": "P-256", "kid": "k", "x": b64(point[1:33]), "y": b64(point[33:])}}})
	return text(string(set))
}

func (s signer) sign(header, claims map[string]any) string {
	b64 := base64.RawURLEncoding.EncodeToString
	h, _ := json.Marshal(header)
	c, _ := json.Marshal(claims)
	signed := b64(h) + "." + b64(c)
	sum := sha256.Sum256([]byte(signed))
	r1, s1, _ := ecdsa.Sign(rand.Reader, s.key, sum[:])
	raw := make([]byte, 64)
	for i, n := range []*big.Int{r1, s1} {
		n.FillBytes(raw[32*i : 32*i+32])
	}
	return signed + "." + b64(raw)
}

// TestALaunchTellsInWhichLanguageTheClinicianReads: the claim locale of the ID token.
func TestALaunchTellsInWhichLanguageTheClinicianReads(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ours := newSigner(t)
	h.lie("/auth/token", func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		changes(w, r, honest, func(said map[string]any) {
			h.lie("/auth/jwks.json", ours.jwks())
			raw, _ := base64.RawURLEncoding.DecodeString(strings.Split(said["id_token"].(string), ".")[1])
			claims := map[string]any{}
			_ = json.Unmarshal(raw, &claims)
			claims["locale"] = "de-CH"
			said["id_token"] = ours.sign(map[string]any{"alg": "ES256", "kid": "k"}, claims)
		})
	})
	to, browser, _, err := h.client.Begin(t.Context(), "mercy", "", h.opens())
	if err != nil {
		t.Fatal(err)
	}
	opened, _, err := h.client.Finish(t.Context(), browser, "Firefox", h.agree(to))
	if err != nil || opened.Locale != "de-CH" {
		t.Errorf("the locale is %q (%v)", opened.Locale, err)
	}
}

// TestATokenThatIsNotWhatItShouldBeIsRefused changes what the token endpoint says.
func TestATokenThatIsNotWhatItShouldBeIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const place = "/auth/token"
	ours := newSigner(t)
	answers, bad := "the token endpoint does not answer as it should", "the ID token is not good"
	// id is an ID token of the test's own key, which the EHR's key set then has.
	id := func(change func(header, claims map[string]any)) lie {
		return func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
			changes(w, r, honest, func(said map[string]any) {
				h.lie("/auth/jwks.json", ours.jwks())
				parts := strings.Split(said["id_token"].(string), ".")
				raw, _ := base64.RawURLEncoding.DecodeString(parts[1])
				claims, header := map[string]any{}, map[string]any{"alg": "ES256", "kid": "k"}
				_ = json.Unmarshal(raw, &claims)
				change(header, claims)
				said["id_token"] = ours.sign(header, claims)
			})
		}
	}
	claim := func(name string, value any) lie {
		return id(func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		})
	}
	for name, c := range map[string]struct {
		lie lie
		why string
	}{
		"rubbish":   {text("<html>"), answers},
		"a list":    {text("[1]"), answers},
		"too large": {text(`{"x":"` + strings.Repeat("x", 600<<10) + `"}`), answers},
		"too slow":  {slow, answers},
		"cut off":   {func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, answers},
		"a redirect": {func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "/fhir/metadata", http.StatusFound)
		}, "the EHR did not take the code"},
		"an error": {func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			w.WriteHeader(http.StatusInternalServerError)
		}, "the EHR did not take the code"},
		"no access token":           {changed("access_token", nil), "the token is no bearer token"},
		"another type of token":     {changed("token_type", "mac"), "the token is no bearer token"},
		"no type of token":          {changed("token_type", nil), "the token is no bearer token"},
		"a token that is an object": {changed("access_token", map[string]any{"a": 1}), answers},
		"expired already":           {changed("expires_in", 0), "the token has expired already"},
		"expired long ago":          {changed("expires_in", -3600), "the token has expired already"},
		"an expiry that is a text":  {changed("expires_in", "soon"), answers},
		"a broken expiry":           {changed("expires_in", 1.5), "the token has expired already"},
		"no scope":                  {changed("scope", nil), "the EHR does not say who has come (openid)"},
		"no openid":                 {changed("scope", "launch patient/Patient.r"), "the EHR does not say who has come (openid)"},
		"no patient scope":          {changed("scope", "launch openid fhirUser"), "the EHR does not let us read the patient"},
		"another type's scope":      {changed("scope", "launch openid patient/Observation.rs"), "the EHR does not let us read the patient"},
		"scope to write only":       {changed("scope", "launch openid patient/Patient.cud"), "the EHR does not let us read the patient"},
		"no patient":                {changed("patient", nil), "no patient in context"},
		"an empty patient":          {changed("patient", ""), "no patient in context"},
		"a patient with a path":     {changed("patient", "../Practitioner/dr"), "no patient in context"},
		"a patient with a query":    {changed("patient", "p1?_format=xml"), "no patient in context"},
		"a patient of another host": {changed("patient", "https://evil.example/Patient/1"), "no patient in context"},
		"a list of patients":        {changed("patient", []string{"p1"}), answers},
		"a patient not in context":  {changed("patient", "p2"), "the EHR's Patient cannot be read"},
		"a patient of nobody":       {changed("patient", "p9"), "the EHR's Patient cannot be read"},
		"no ID token":               {changed("id_token", nil), "the EHR does not say who has come (openid)"},
		"an ID token of rubbish":    {changed("id_token", "a.b.c"), bad},
		"another key":               {changed("id_token", newSigner(t).sign(map[string]any{"alg": "ES256", "kid": "stand-in-1"}, map[string]any{"sub": "x"})), bad},
		"alg none":                  {id(func(header, _ map[string]any) { header["alg"] = "none" }), bad},
		"alg HS256":                 {id(func(header, _ map[string]any) { header["alg"] = "HS256" }), bad},
		"alg RS256 for an EC key":   {id(func(header, _ map[string]any) { header["alg"] = "RS256" }), bad},
		"another audience":          {claim("aud", "somebody"), bad},
		"no audience":               {claim("aud", nil), bad},
		"two audiences, no azp":     {claim("aud", []string{"overread", "somebody"}), "the ID token is for another party"},
		"another party":             {claim("azp", "somebody"), "the ID token is for another party"},
		"another issuer":            {claim("iss", "https://evil.example"), bad},
		"the FHIR base as issuer":   {claim("iss", h.base), bad},
		"no issuer":                 {claim("iss", nil), bad},
		"another nonce":             {claim("nonce", "x"), "the ID token is of another launch"},
		"no nonce":                  {claim("nonce", nil), "the ID token is of another launch"},
		"an expired ID token":       {claim("exp", time.Now().Add(-time.Minute).Unix()), bad},
		"no expiry":                 {claim("exp", nil), bad},
		"not valid yet":             {claim("nbf", time.Now().Add(time.Hour).Unix()), bad},
		"no subject":                {claim("sub", nil), "the ID token has claims of another shape"},
		"a long subject":            {claim("sub", strings.Repeat("x", 300)), "the ID token has claims of another shape"},
	} {
		t.Run(name, func(t *testing.T) {
			h.lie("/auth/jwks.json", nil)
			back, browser := h.begin()
			h.lie(place, c.lie)
			_, _, err := h.client.Finish(t.Context(), browser, "", back)
			h.lie(place, nil)
			h.wantRefused(t, err, c.why)
		})
	}
	t.Run("keys that lead elsewhere", func(t *testing.T) {
		back, browser := h.begin()
		h.lie("/auth/jwks.json", func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, "https://evil.example", http.StatusFound)
		})
		_, _, err := h.client.Finish(t.Context(), browser, "", back)
		h.wantRefused(t, err, bad)
	})
}

// TestNobodyIsShownWhoIsNotCertainlyThePatient: none, several, and an EHR that
// answers with somebody else.
func TestNobodyIsShownWhoIsNotCertainlyThePatient(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for why, patients := range map[string][]string{"the patient is not known here": nil, "more than one patient could be meant": {"Patient/1", "Patient/2"}} {
		h.patients = patients
		back, browser := h.begin()
		_, _, err := h.client.Finish(t.Context(), browser, "", back)
		h.wantRefused(t, err, why)
		if e := h.last(); e.Actor.Display == "" || e.Tenant != h.tenant {
			t.Errorf("the audit does not say who it was: %+v", e)
		}
	}
	h.patients = []string{"Patient/here"}
	for name, body := range map[string]string{
		"another patient": `{"resourceType":"Patient","id":"p2"}`, "another type": `{"resourceType":"Person","id":"p1"}`,
		"an outcome": `{"resourceType":"OperationOutcome"}`, "rubbish": `<xml/>`, "too large": `{"resourceType":"Patient","id":"p1","x":"` + strings.Repeat("x", 600<<10) + `"}`,
	} {
		h.lie("/fhir/Patient/p1", text(body))
		back, browser := h.begin()
		_, _, err := h.client.Finish(t.Context(), browser, "", back)
		t.Log(name)
		h.wantRefused(t, err, "the EHR's Patient cannot be read")
	}
}

// TestRubbishInTheContextDoesNoHarm: the patient's second opinions are shown, and
// the page says so where there was an order that is not known.
func TestRubbishInTheContextDoesNoHarm(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for name, c := range map[string]struct {
		context any
		task    string
		unknown bool
	}{
		"none":                   {nil, "", false},
		"a text":                 {"ServiceRequest/o1", "", false},
		"an object":              {map[string]any{"reference": "ServiceRequest/o1"}, "", false},
		"numbers":                {[]any{1, "x", nil, []any{}}, "", false},
		"other types":            {[]any{map[string]any{"reference": "ImagingStudy/1"}, map[string]any{"canonical": "x"}}, "", false},
		"a path":                 {[]any{map[string]any{"reference": "ServiceRequest/../Patient/p1"}}, "", false},
		"another host":           {[]any{map[string]any{"reference": "https://evil.example/ServiceRequest/o1"}}, "", false},
		"an order of nobody":     {[]any{map[string]any{"reference": "ServiceRequest/o7"}}, "", true},
		"after rubbish":          {[]any{7, map[string]any{"reference": "ServiceRequest/o1"}}, "task-1", false},
		"absolute":               {[]any{map[string]any{"reference": h.base + "/ServiceRequest/o1"}}, "task-1", false},
		"by its identifier":      {[]any{map[string]any{"type": "ServiceRequest", "identifier": map[string]any{"system": "urn:orders", "value": "1"}}}, "task-1", false},
		"a number of nobody":     {[]any{map[string]any{"type": "ServiceRequest", "identifier": map[string]any{"system": "urn:orders", "value": "2"}}}, "", true},
		"a thousand of them":     {slices.Repeat([]any{map[string]any{"reference": "Observation/x"}}, 1000), "", false},
		"an identifier of words": {[]any{map[string]any{"type": "ServiceRequest", "identifier": "1"}}, "", false},
	} {
		back, browser := h.begin()
		h.lie("/auth/token", changed("fhirContext", c.context))
		opened, _, err := h.client.Finish(t.Context(), browser, "", back)
		if err != nil {
			t.Errorf("%s: %v (%s)", name, err, h.last().Why)
			continue
		}
		shows, err := h.client.Context(t.Context(), opened.Session)
		task := ""
		if shows.TaskID != nil {
			task = *shows.TaskID
		}
		if err != nil || task != c.task || shows.OrderUnknown != c.unknown {
			t.Errorf("%s: task %q, unknown %v, want %q, %v (%v)", name, task, shows.OrderUnknown, c.task, c.unknown, err)
		}
	}
}

// TestWeProveWhoWeAre by a secret and by a key; the stand-in takes no less.
func TestWeProveWhoWeAre(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	dir := t.TempDir()
	secret, key := filepath.Join(dir, "secret"), filepath.Join(dir, "key")
	raw, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, err := jwk.Import(raw)
	if err != nil {
		t.Fatal(err)
	}
	_ = jwk.AssignKeyID(private)
	_ = private.Set(jwk.AlgorithmKey, jwa.ES384())
	text, _ := json.Marshal(private)
	for file, content := range map[string][]byte{secret: []byte("s%3A+é cret\n"), key: text} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	finish := func() error {
		back, browser := h.begin()
		_, _, err := h.client.Finish(t.Context(), browser, "", back)
		return err
	}
	app := standin.App{ClientID: "overread", LaunchURL: root + "/launch", RedirectURI: root + "/launch/callback"}

	h.list("mercy", "secret", &secret)
	app.Secret = "s%3A+é cret"
	h.ehr.Register(app)
	if err := finish(); err != nil {
		t.Errorf("by a secret: %v %s", err, h.last().Why)
	}
	app.Secret = "another"
	h.ehr.Register(app)
	if err := finish(); !fault.Is(err, fault.Forbidden) {
		t.Errorf("the stand-in takes a wrong secret: %v", err)
	}

	h.list("mercy", "key", &key)
	if app.Keys, err = smart.CheckKey(text); err != nil {
		t.Fatal(err)
	}
	app.Secret = ""
	h.ehr.Register(app)
	if err := finish(); err != nil {
		t.Errorf("by a key: %v %s", err, h.last().Why)
	}
	published, err := h.client.PublicKeys(t.Context())
	if err != nil || string(published) != string(app.Keys) || strings.Contains(string(published), `"d"`) {
		t.Errorf("published: %s (%v)", published, err)
	}
	h.list("mercy", "public", nil)
	h.ehr.Register(app)
	if err := finish(); !fault.Is(err, fault.Forbidden) {
		t.Errorf("the stand-in takes no proof at all: %v", err)
	}
	missing := filepath.Join(dir, "missing")
	h.list("mercy", "secret", &missing)
	if err := finish(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("without our secret: %v", err)
	}
}

func TestWhatAnOperatorMayList(t *testing.T) {
	t.Parallel()
	for scopes, good := range map[string]bool{
		smart.DefaultScopes: true, "launch openid patient/*.rs": true, "launch openid patient/Patient.read": true, "launch openid patient/*.*": true,
		"": false, "openid patient/Patient.r": false, "launch patient/Patient.r": false, "launch openid": false,
		"launch openid patient/Patient.cud": false, "launch openid patient/Patient.r offline_access": false,
	} {
		if err := smart.CheckScopes(scopes); (err == nil) != good {
			t.Errorf("%q: %v", scopes, err)
		}
	}
	for base, good := range map[string]bool{"https://ehr.example/fhir": true, "https://ehr.example/fhir/": false, "https://ehr.example/fhir?x": false, "https://ehr.example/fhir?": false, "https://ehr.example/fhir#x": false} {
		if _, err := smart.BaseForm(base); (err == nil) != good {
			t.Errorf("%q: %v", base, err)
		}
	}
	for text, good := range map[string]bool{"https://ehr.example": true, "https://ehr.example:8443": true, "https://ehr.example/": false, "https://*.example": false, "ehr.example": false, "https://ehr.example; script-src *": false, "*": false, "https://EHR.example": false} {
		if smart.CheckOrigin(text) != good {
			t.Errorf("origin %q", text)
		}
	}
}

func text(body string) lie {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// slow sends nothing until whoever asks goes away.
func slow(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that somebody goes away
	<-r.Context().Done()
}

// changed is the honest answer with one member changed; nil takes it away.
func changed(name string, value any) lie {
	return func(w http.ResponseWriter, r *http.Request, honest http.Handler) {
		changes(w, r, honest, func(said map[string]any) {
			if said[name] = value; value == nil {
				delete(said, name)
			}
		})
	}
}

func changes(w http.ResponseWriter, r *http.Request, honest http.Handler, change func(map[string]any)) {
	answer := httptest.NewRecorder()
	honest.ServeHTTP(answer, r)
	said := map[string]any{}
	if json.Unmarshal(answer.Body.Bytes(), &said) == nil {
		change(said)
	}
	body, _ := json.Marshal(said)
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

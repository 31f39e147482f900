package oidc_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/overread/overread/integrations/oidc"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/devidp"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
)

const root = "http://127.0.0.1:1"

// house is a server that people log in to, and the provider that knows them.
type house struct {
	t        *testing.T
	db       *pgtest.Database
	sessions *session.Store
	login    *oidc.Client
	idp      *devidp.Server
	issuer   string
	mercy    uuid.UUID
	lakeside uuid.UUID
	reader   uuid.UUID

	mu     sync.Mutex
	tamper func(claims map[string]any) (idToken string) // of the next tokens; nil: as they are
	events []access.Event
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, db: pgtest.New(t)}
	h.mercy, h.lakeside = pgtest.AddTenant(t, h.db, "mercy"), pgtest.AddTenant(t, h.db, "lakeside")
	_, actor := pgtest.AddReader(t, h.db, h.mercy, "Dr. Ito", `{"subspecialties":["neuro"],"licences":[]}`)
	h.reader = actor.ID
	idp := httptest.NewServer(http.HandlerFunc(h.provide))
	t.Cleanup(idp.Close)
	h.issuer = idp.URL
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var err error
	h.idp, err = devidp.New(h.issuer, devidp.Client{ID: "overread", Secret: "a secret", Redirects: []string{root + "/login/house/callback"}}, []devidp.Person{
		{Subject: "ito", Name: "Ito, M.", Groups: []string{"readers"}},
		{Subject: "desk", Name: "Kim at the desk", Groups: []string{"desk", "something-else"}},
		{Subject: "nobody", Name: "Nobody", Groups: []string{"canteen"}},
	}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	h.behind(`INSERT INTO provider (name, issuer, display, client_id, secret_file) VALUES ('house', $1, 'The house', 'overread', $2)`, h.issuer, secret)
	h.behind(`INSERT INTO provider_role (tenant_id, provider, claim_value, role) VALUES ($1, 'house', 'readers', 'reader'), ($1, 'house', 'readers', 'adjudicator'),
		($2, 'house', 'readers', 'reader'), ($1, 'house', 'desk', 'coordinator'), ($2, 'house', 'desk', 'coordinator')`, h.mercy, h.lakeside)
	h.behind(`INSERT INTO person (person_id, issuer, subject, reader_id, display) VALUES ($1, $2, 'ito', $1, 'Dr. Ito')`, h.reader, h.issuer)
	record := func(_ context.Context, _ pgx.Tx, e access.Event) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.events = append(h.events, e)
		return nil
	}
	h.sessions = session.NewStore(session.Config{DB: h.db.DB, BaseURL: root})
	h.login = oidc.New(oidc.Config{Log: slog.New(slog.DiscardHandler), DB: h.db.DB, Sessions: h.sessions, HTTP: outbound.Loopback().Client(oidc.Limits), Root: root, Record: record})
	return h
}

// provide is the provider, whose token endpoint may be made to lie.
func (h *house) provide(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	tamper := h.tamper
	h.mu.Unlock()
	if r.URL.Path != "/token" || tamper == nil {
		h.idp.Handler().ServeHTTP(w, r)
		return
	}
	honest := httptest.NewRecorder()
	h.idp.Handler().ServeHTTP(honest, r)
	var answer map[string]any
	if json.Unmarshal(honest.Body.Bytes(), &answer) == nil && answer["id_token"] != nil {
		payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(answer["id_token"].(string), ".")[1])
		dec := json.NewDecoder(bytes.NewReader(payload))
		dec.UseNumber()
		claims := map[string]any{}
		_ = dec.Decode(&claims)
		answer["id_token"] = tamper(claims)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(honest.Code)
	_ = json.NewEncoder(w).Encode(answer)
}

func (h *house) behind(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.db.Owner(h.t).Exec(context.Background(), sql, args...); err != nil {
		h.t.Fatal(err)
	}
}

// comeBack is a browser that goes to the provider, chooses to be somebody, and
// comes back with this.
func (h *house) comeBack(who, browser, returnTo string) oidc.Return {
	h.t.Helper()
	address, err := h.login.Begin(h.t.Context(), "house", browser, returnTo)
	if err != nil {
		h.t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.PostForm(address, url.Values{"subject": {who}})
	if err != nil {
		h.t.Fatal(err)
	}
	defer resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		h.t.Fatalf("the provider answers %d", resp.StatusCode)
	}
	return oidc.Return{Provider: "house", Browser: browser, Query: to.Query(), UserAgent: "Firefox"}
}

func (h *house) finish(r oidc.Return) (*session.Session, error) {
	h.t.Helper()
	done, err := h.login.Finish(h.t.Context(), r)
	if err != nil {
		return nil, err
	}
	found, err := h.sessions.Find(h.t.Context(), done.Cookie)
	if err != nil {
		h.t.Fatal(err)
	}
	return found, nil
}

func (h *house) logIn(who string) (*session.Session, error) {
	h.t.Helper()
	return h.finish(h.comeBack(who, access.NewToken(), "/home"))
}

func placesOf(s *session.Session) string {
	var all []string
	for _, p := range s.Places {
		all = append(all, p.TenantName+" "+string(p.Role))
	}
	return strings.Join(all, ", ")
}

func (h *house) told() (kinds string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, e := range h.events {
		all = append(all, strings.TrimSpace(string(e.Kind)+" "+e.Why))
	}
	h.events = nil
	return strings.Join(all, "; ")
}

func TestSomebodyIsWhatTheirClaimsAndCredentialsSay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for who, want := range map[string]string{
		"ito":  "mercy reader", // no privilege to adjudicate, and not credentialed at lakeside
		"desk": "lakeside coordinator, mercy coordinator",
	} {
		s, err := h.logIn(who)
		if err != nil {
			t.Fatalf("%s: %v", who, err)
		}
		if got := placesOf(s); got != want {
			t.Errorf("%s: %q, want %q", who, got, want)
		}
		for _, p := range s.Places {
			if reads := p.Role == access.Reader; reads != (p.ID == h.reader) {
				t.Errorf("%s as %s is %s", who, p.Role, p.ID)
			}
		}
	}
	if got := h.told(); strings.Count(got, "login") != 3 { // one at each tenant
		t.Errorf("recorded: %s", got)
	}
	if _, err := h.logIn("nobody"); !fault.Is(err, fault.Forbidden) || !strings.Contains(err.Error(), "no role") {
		t.Errorf("somebody without a role: %v", err)
	}
	if got := h.told(); got != "login-refused no role anywhere" {
		t.Errorf("recorded: %s", got)
	}
}

func TestRolesAreThoseOfTheLastLogin(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before, err := h.logIn("desk")
	if err != nil {
		t.Fatal(err)
	}
	h.idp.SetGroups("desk", "readers")
	if _, err := h.logIn("desk"); !fault.Is(err, fault.Forbidden) { // a claim alone makes no reader
		t.Errorf("after the group was taken away: %v", err)
	}
	h.behind(`DELETE FROM provider_role WHERE claim_value = 'desk' AND tenant_id = $1`, h.lakeside)
	h.idp.SetGroups("desk", "desk")
	after, err := h.logIn("desk")
	if err != nil {
		t.Fatal(err)
	}
	if placesOf(after) != "mercy coordinator" || after.PersonID != before.PersonID {
		t.Errorf("%s, another person: %v", placesOf(after), after.PersonID != before.PersonID)
	}
}

func TestAPersonWhoWasEndedDoesNotComeIn(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.behind(`UPDATE person SET ended_at = now() WHERE subject = 'ito'`)
	if _, err := h.logIn("ito"); !fault.Is(err, fault.Forbidden) {
		t.Error(err)
	}
	if got := h.told(); got != "login-refused the person was ended" {
		t.Errorf("recorded: %s", got)
	}
}

func TestAForgedCallbackIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.behind(`INSERT INTO provider (name, issuer, display, client_id) VALUES ('other', 'http://127.0.0.1:2', 'Another', 'overread')`)
	h.behind(`INSERT INTO provider_role (tenant_id, provider, claim_value, role) VALUES ($1, 'other', 'desk', 'director')`, h.mercy)
	for name, forge := range map[string]func(r *oidc.Return){
		"the state of another browser":        func(r *oidc.Return) { r.Browser = access.NewToken() },
		"a browser without its cookie":        func(r *oidc.Return) { r.Browser = "" },
		"a state of nobody":                   func(r *oidc.Return) { r.Query.Set("state", access.NewToken()) },
		"no state":                            func(r *oidc.Return) { r.Query.Del("state") },
		"two states":                          func(r *oidc.Return) { r.Query.Add("state", r.Query.Get("state")) },
		"no code":                             func(r *oidc.Return) { r.Query.Del("code") },
		"a code that was never given":         func(r *oidc.Return) { r.Query.Set("code", "x") },
		"two codes":                           func(r *oidc.Return) { r.Query.Add("code", "x") },
		"the address of another provider":     func(r *oidc.Return) { r.Provider = "other" },
		"another issuer (mix-up)":             func(r *oidc.Return) { r.Query.Set("iss", "http://127.0.0.1:2") },
		"two issuers":                         func(r *oidc.Return) { r.Query.Add("iss", h.issuer) },
		"no issuer, of one that names itself": func(r *oidc.Return) { r.Query.Del("iss") },
		"an error of the provider":            func(r *oidc.Return) { r.Query.Set("error", "access_denied") },
		"a code that another login was given": func(r *oidc.Return) {
			r.Query.Set("code", h.comeBack("desk", access.NewToken(), "/").Query.Get("code"))
		},
		"a login that was begun too long ago": func(*oidc.Return) { h.behind(`UPDATE login SET expires_at = now()`) },
	} {
		r := h.comeBack("desk", access.NewToken(), "/home")
		forge(&r)
		if s, err := h.finish(r); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v (%v)", name, err, s)
		}
	}
	good := h.comeBack("desk", access.NewToken(), "/home")
	if _, err := h.finish(good); err != nil {
		t.Errorf("the honest one: %v", err)
	}
	if _, err := h.finish(good); !fault.Is(err, fault.Forbidden) {
		t.Errorf("the same once more: %v", err)
	}
}

// sign makes a compact JWS by hand, as somebody who forges does.
func sign(t *testing.T, header map[string]any, claims map[string]any, mac func(input []byte) []byte) string {
	t.Helper()
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	input := part(header) + "." + part(claims)
	return input + "." + base64.RawURLEncoding.EncodeToString(mac([]byte(input)))
}

func TestAForgedIDTokenIsRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	key, _ := h.idp.Keys().Key(0)
	kid, _ := key.KeyID()
	public, err := jwk.PublicRawKeyOf(key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	inJSON, err := json.Marshal(key)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	hs256 := func(secret []byte) func(map[string]any) string {
		return func(claims map[string]any) string {
			return sign(t, map[string]any{"alg": "HS256", "kid": kid}, claims, func(in []byte) []byte {
				m := hmac.New(sha256.New, secret)
				m.Write(in)
				return m.Sum(nil)
			})
		}
	}
	with := func(change map[string]any) func(map[string]any) string {
		return func(claims map[string]any) string {
			claims = maps.Clone(claims)
			for name, value := range change {
				if value == nil {
					delete(claims, name)
					continue
				}
				claims[name] = value
			}
			token, err := h.idp.Sign(claims)
			if err != nil {
				t.Error(err)
			}
			return token
		}
	}
	now := time.Now()
	for name, tamper := range map[string]func(map[string]any) string{
		"for another audience":               with(map[string]any{"aud": "another"}),
		"for nobody":                         with(map[string]any{"aud": nil}),
		"for two, of which another is meant": with(map[string]any{"aud": []string{"overread", "another"}, "azp": "another"}),
		"for two, and nobody is meant":       with(map[string]any{"aud": []string{"overread", "another"}}),
		"for us, but given to another":       with(map[string]any{"azp": "another"}),
		"of another issuer":                  with(map[string]any{"iss": "https://idp.example"}),
		"of an issuer that looks like ours":  with(map[string]any{"iss": h.issuer + "/"}),
		"of no issuer":                       with(map[string]any{"iss": nil}),
		"with another nonce":                 with(map[string]any{"nonce": access.NewToken()}),
		"without a nonce":                    with(map[string]any{"nonce": nil}),
		"expired":                            with(map[string]any{"exp": now.Add(-time.Second).Unix()}),
		"without an end":                     with(map[string]any{"exp": nil}),
		"issued long ago":                    with(map[string]any{"iat": now.Add(-time.Hour).Unix()}),
		"issued in an hour":                  with(map[string]any{"iat": now.Add(time.Hour).Unix()}),
		"not good yet":                       with(map[string]any{"nbf": now.Add(time.Hour).Unix()}),
		"without a subject":                  with(map[string]any{"sub": nil}),
		"of another access token":            with(map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}),
		"alg none": func(c map[string]any) string {
			return sign(t, map[string]any{"alg": "none"}, c, func([]byte) []byte { return nil })
		},
		"alg None": func(c map[string]any) string {
			return sign(t, map[string]any{"alg": "None", "kid": kid}, c, func([]byte) []byte { return nil })
		},
		"HS256 with the public key in PEM":  hs256(inPEM),
		"HS256 with the public key in DER":  hs256(der),
		"HS256 with the public key in JSON": hs256(inJSON),
		"HS256 with the client's secret":    hs256([]byte("a secret")),
		"RS256 with a key of a stranger's": func(c map[string]any) string {
			return sign(t, map[string]any{"alg": "RS256", "kid": kid}, c, func(in []byte) []byte {
				sum := sha256.Sum256(in)
				mac, _ := rsa.SignPKCS1v15(rand.Reader, stranger, crypto.SHA256, sum[:])
				return mac
			})
		},
		"RS256 with a key that it brings along": func(c map[string]any) string {
			own, _ := jwk.Import(stranger.Public())
			return sign(t, map[string]any{"alg": "RS256", "jwk": own, "jku": "http://127.0.0.1:2/keys"}, c, func(in []byte) []byte {
				sum := sha256.Sum256(in)
				mac, _ := rsa.SignPKCS1v15(rand.Reader, stranger, crypto.SHA256, sum[:])
				return mac
			})
		},
		"changed after it was signed": func(c map[string]any) string {
			parts := strings.Split(with(nil)(c), ".")
			c = maps.Clone(c)
			c["groups"] = []string{"readers", "desk", "boss"}
			text, _ := json.Marshal(c)
			return parts[0] + "." + base64.RawURLEncoding.EncodeToString(text) + "." + parts[2]
		},
		"with an empty signature": func(c map[string]any) string {
			parts := strings.Split(with(nil)(c), ".")
			return parts[0] + "." + parts[1] + "."
		},
		"no token at all": func(map[string]any) string { return "" },
		"not a token":     func(map[string]any) string { return "a.b.c" },
	} {
		h.mu.Lock()
		h.tamper = tamper
		h.mu.Unlock()
		if s, err := h.logIn("desk"); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v (%v)", name, err, s)
		}
		if got := h.told(); !strings.HasPrefix(got, "login-refused ") || !strings.Contains(got, "ID token") {
			t.Errorf("%s: %s", name, got)
		}
	}
	h.mu.Lock()
	h.tamper = with(map[string]any{"aud": []string{"overread", "another"}, "azp": "overread"})
	h.mu.Unlock()
	if _, err := h.logIn("desk"); err != nil {
		t.Errorf("for two, of which we are meant: %v", err)
	}
}

func TestAfterLoginABrowserIsLedToOurOwnPagesOnly(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/home": "/home", "/break-glass?x=1": "/break-glass?x=1", "/": "/",
		"": "/", "home": "/", "//evil.example": "/", "/\\evil.example": "/", "https://evil.example/": "/", "\\\\evil.example": "/",
		"/%0d%0aSet-Cookie:x": "/%0d%0aSet-Cookie:x", "/a\r\nb": "/", "javascript:alert(1)": "/", "/a#b": "/", "///evil.example": "/", "/\t/evil.example": "/",
		"http:evil.example": "/", "/ä": "/",
	} {
		if got := oidc.OwnPath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestLogoutLeadsToTheProviderAndBack(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	at := h.login.LogoutURL(t.Context(), h.issuer)
	if want := h.issuer + "/logout?client_id=overread&post_logout_redirect_uri=" + url.QueryEscape(root+"/signed-out"); at != want {
		t.Errorf("%s, want %s", at, want)
	}
	if at := h.login.LogoutURL(t.Context(), "https://idp.example"); at != "" {
		t.Errorf("of an unknown issuer: %s", at)
	}
}

func TestWhatWasBegunAndNeverCameBackIsRemoved(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for range 2 {
		if _, err := h.login.Begin(t.Context(), "house", access.NewToken(), "/"); err != nil {
			t.Fatal(err)
		}
	}
	h.behind(`UPDATE login SET expires_at = now() - interval '1 second' WHERE state_sha256 = (SELECT state_sha256 FROM login LIMIT 1)`)
	if gone, err := h.login.Purge(t.Context()); gone != 1 || err != nil {
		t.Errorf("%d (%v)", gone, err)
	}
}

func TestTheDevelopmentProviderIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"https://127.0.0.1:1", "http://idp.example", "http://10.0.0.1:1", "http://localhost:1", ""} {
		if _, err := devidp.New(issuer, devidp.Client{}, nil, time.Now); err == nil {
			t.Errorf("%q was taken", issuer)
		}
	}
}

func TestBelowAPathABrowserIsLedNowhereElseOnTheHost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for at, cases := range map[string]map[string]string{
		root:           {"/home": "/home", "https://evil.example/": "/", "": "/"},
		root + "/over": {"/over/home?x=1": "/over/home?x=1", "/home": "/over/", "/overt/home": "/over/", "/over/../home": "/over/", "//evil.example": "/over/", "": "/over/"},
	} {
		login := oidc.New(oidc.Config{Log: slog.New(slog.DiscardHandler), DB: h.db.DB, Sessions: h.sessions, HTTP: outbound.Loopback().Client(oidc.Limits), Root: at})
		for back, want := range cases {
			h.behind(`DELETE FROM login`)
			if _, err := login.Begin(t.Context(), "house", "a browser", back); err != nil {
				t.Fatal(err)
			}
			var kept string
			if err := h.db.Owner(t).QueryRow(t.Context(), `SELECT return_to FROM login`).Scan(&kept); err != nil || kept != want {
				t.Errorf("%q at %s leads to %q, want %q (%v)", back, at, kept, want, err)
			}
		}
	}
}

package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/pgtest"
)

// pair is a key pair of a client.
type pair struct {
	kid     string
	alg     jwa.SignatureAlgorithm
	private crypto.Signer
}

var (
	rsaPair   = pair{"rsa-1", jwa.RS384(), must(rsa.GenerateKey(rand.Reader, 2048))}
	ecPair    = pair{"ec-1", jwa.ES384(), must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))}
	otherPair = pair{"rsa-1", jwa.RS384(), must(rsa.GenerateKey(rand.Reader, 2048))}
	p256Pair  = pair{"p256", jwa.ES256(), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
	shortPair = pair{"short", jwa.RS384(), must(rsa.GenerateKey(rand.Reader, 1024))}
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// jwks is the key set of these pairs, with members that differ.
func jwks(change map[string]any, pairs ...pair) string {
	set := []map[string]any{}
	for _, p := range pairs {
		key := must(jwk.Import(p.private.Public()))
		text, _ := json.Marshal(key)
		row := map[string]any{}
		_ = json.Unmarshal(text, &row)
		row["kid"] = p.kid
		maps.Copy(row, change)
		set = append(set, row)
	}
	text, _ := json.Marshal(map[string]any{"keys": set})
	return string(text)
}

// desk is the authorization server as two replicas over one database, and a
// client of it.
type desk struct {
	t        *testing.T
	db       *pgtest.Database
	tenant   uuid.UUID
	client   string
	base     string
	now      atomic.Int64
	replicas [2]*oauth.Server

	mu   sync.Mutex
	told []string // events that were recorded: kind, why, and whether it is known who
}

// record notes an event.
func (d *desk) record(_ context.Context, _ pgx.Tx, e access.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told = append(d.told, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Kind, map[bool]string{true: "of the client", false: "of nobody"}[e.Object == d.client], e.Why)))
	return nil
}

func open(t *testing.T, keys, scopes string) *desk {
	t.Helper()
	d := &desk{t: t, db: pgtest.New(t), base: "https://overread.example/fhir"}
	d.tenant = pgtest.AddTenant(t, d.db, "north")
	for i := range d.replicas {
		d.replicas[i] = oauth.New(oauth.Config{DB: d.db.DB, BaseURL: d.base, HTTP: http.DefaultClient, Record: d.record, Log: slog.New(slog.DiscardHandler),
			Now: func() time.Time { return time.Now().Add(time.Duration(d.now.Load())) }})
	}
	d.client = d.add(keys, scopes)
	return d
}

// add adds a client with these keys, or with an address of keys.
func (d *desk) add(keys, scopes string) string {
	d.t.Helper()
	id := must(uuid.NewV7())
	err := d.db.System(context.Background(), func(tx pgx.Tx) error {
		column := "jwks"
		if strings.HasPrefix(keys, "http") {
			column = "jwks_url"
		}
		_, err := tx.Exec(context.Background(), `INSERT INTO client (tenant_id, client_id, name, role, scopes, `+column+`) VALUES ($1, $2, 'EHR', 'placer', $3, $4)`,
			d.tenant, id, scopes, keys)
		return err
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return id.String()
}

// claims are those of a good assertion, with what differs; nil leaves one out.
func (d *desk) claims(change map[string]any) map[string]any {
	c := map[string]any{"iss": d.client, "sub": d.client, "aud": d.base + "/oauth/token", "jti": rand.Text(), "exp": time.Now().Add(4 * time.Minute).Unix()}
	return changed(c, change)
}

func changed(m, change map[string]any) map[string]any {
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	return m
}

// sign makes a JWT whose header is what it should be, with what differs.
func sign(p pair, header, claims map[string]any) string {
	h := changed(map[string]any{"alg": p.alg.String(), "kid": p.kid, "typ": "JWT"}, header)
	return signText(p, string(must(json.Marshal(h))), string(must(json.Marshal(claims))))
}

func signText(p pair, header, claims string) string {
	input := b64(header) + "." + b64(claims)
	signer := must(jws.SignerFor(p.alg))
	return input + "." + b64(string(must(signer.Sign(p.private, []byte(input)))))
}

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

type answer struct {
	status int
	header http.Header
	body   map[string]any
	text   string
}

func (d *desk) post(replica int, path string, form url.Values, header ...string) answer {
	d.t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	path, _, _ = strings.Cut(path, "?")
	d.replicas[replica].Handlers()[path](w, r)
	text, _ := io.ReadAll(w.Body)
	a := answer{w.Code, w.Header(), map[string]any{}, string(text)}
	_ = json.Unmarshal(text, &a.body)
	return a
}

func tokenForm(assertion, scope string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "client_assertion": {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}}
}

func (d *desk) token(p pair, scope string) answer {
	d.t.Helper()
	return d.post(0, "/oauth/token", tokenForm(sign(p, nil, d.claims(nil)), scope))
}

func TestAClientWithAGoodAssertionGetsATokenThatIsAnActor(t *testing.T) {
	t.Parallel()
	d := open(t, jwks(nil, rsaPair, ecPair), "system/Task.crus system/Patient.rs")
	for _, p := range []pair{rsaPair, ecPair} {
		got := d.token(p, "system/Task.rs system/Patient.read")
		if got.status != http.StatusOK || got.body["token_type"] != "Bearer" || got.body["expires_in"] != 300.0 || got.body["scope"] != "system/Patient.rs system/Task.rs" {
			t.Fatalf("%s: %d %s", p.kid, got.status, got.text)
		}
		if got.header.Get("Cache-Control") != "no-store" || got.body["refresh_token"] != nil {
			t.Errorf("%s: %v %s", p.kid, got.header, got.text)
		}
		actor, err := access.Identify(context.Background(), d.db.DB, got.body["access_token"].(string), access.Choice{})
		if err != nil || actor.Tenant != d.tenant || actor.ID.String() != d.client || actor.Role != access.Placer {
			t.Errorf("%s: %+v %v", p.kid, actor, err)
		}
		if diff := cmp.Diff(access.Grant{{Level: "system", Type: "Task"}: "rs", {Level: "system", Type: "Patient"}: "rs"}, actor.Grant); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOnlyTheHashOfATokenIsKept(t *testing.T) {
	t.Parallel()
	d := open(t, jwks(nil, rsaPair), "system/*.rs")
	token := d.token(rsaPair, "system/*.rs").body["access_token"].(string)
	var rows, plain int
	err := d.db.Owner(t).QueryRow(context.Background(), `
		SELECT count(*), count(*) FILTER (WHERE to_jsonb(t)::text LIKE '%' || $1 || '%' OR convert_from(decode(encode(token_sha256, 'hex'), 'escape'), 'SQL_ASCII') LIKE '%' || $1 || '%')
		FROM access_token t`, token).Scan(&rows, &plain)
	if err != nil || rows != 1 || plain != 0 {
		t.Errorf("%d rows, %d with the token itself (%v)", rows, plain, err)
	}
}

// Every row is refused in the same words, whatever is wrong with it: who tries
// learns nothing.
func TestAForgedAssertionIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t, jwks(nil, rsaPair, ecPair), "system/*.cruds")
	stranger := d.add(jwks(nil, otherPair), "system/*.cruds")
	public := string(must(json.Marshal(must(jwk.Import(rsaPair.private.Public())))))
	now := time.Now().Unix()
	good := func(change map[string]any) string { return sign(rsaPair, nil, d.claims(change)) }
	with := func(header map[string]any) string { return sign(rsaPair, header, d.claims(nil)) }
	parts := func(i int, part string) string {
		p := strings.Split(good(nil), ".")
		p[i] = part
		return strings.Join(p, ".")
	}
	hmac := func(alg jwa.SignatureAlgorithm, key string) string {
		input := b64(`{"alg":"`+alg.String()+`","kid":"rsa-1"}`) + "." + b64(string(must(json.Marshal(d.claims(nil)))))
		return input + "." + b64(string(must(must(jws.SignerFor(alg)).Sign([]byte(key), []byte(input)))))
	}
	used := good(nil)
	if first := d.post(0, "/oauth/token", tokenForm(used, "system/*.rs")); first.status != http.StatusOK {
		t.Fatal(first.text)
	}
	jti := rand.Text()
	if first := d.post(0, "/oauth/token", tokenForm(good(map[string]any{"jti": jti}), "system/*.rs")); first.status != http.StatusOK {
		t.Fatal(first.text)
	}
	claimsText := func(more string) string {
		text := string(must(json.Marshal(d.claims(nil))))
		return strings.TrimSuffix(text, "}") + more + "}"
	}
	rs256, rs512, ps384 := rsaPair, rsaPair, rsaPair
	rs256.alg, rs512.alg, ps384.alg = jwa.RS256(), jwa.RS512(), jwa.PS384()
	asEC := rsaPair
	asEC.kid = ecPair.kid
	for name, assertion := range map[string]string{
		"nothing":                            "",
		"rubbish":                            "rubbish",
		"three parts of rubbish":             "a.b.c",
		"four parts":                         good(nil) + ".x",
		"no signature":                       parts(2, ""),
		"a signature of something else":      parts(2, strings.Split(good(nil), ".")[2]),
		"claims that were changed":           parts(1, b64(string(must(json.Marshal(d.claims(nil)))))),
		"a header that was changed":          parts(0, b64(`{"alg":"RS384","kid":"rsa-1","typ":"jwt"}`)),
		"padding":                            parts(1, strings.Split(good(nil), ".")[1]+"="),
		"a header that is no JSON":           parts(0, b64(`alg`)),
		"claims that are a list":             signText(rsaPair, `{"alg":"RS384","kid":"rsa-1"}`, `[]`),
		"too large":                          good(map[string]any{"more": strings.Repeat("x", 9000)}),
		"JSON serialisation":                 `{"payload":"","signatures":[]}`,
		"alg none":                           b64(`{"alg":"none","kid":"rsa-1"}`) + "." + b64(claimsText("")) + ".",
		"alg none with a signature":          with(map[string]any{"alg": "none"}),
		"alg None":                           with(map[string]any{"alg": "None"}),
		"no alg":                             with(map[string]any{"alg": nil}),
		"HS384 with the public key":          hmac(jwa.HS384(), public),
		"HS256 with the public key":          hmac(jwa.HS256(), public),
		"RS256":                              sign(rs256, nil, d.claims(nil)),
		"RS512":                              sign(rs512, nil, d.claims(nil)),
		"PS384":                              sign(ps384, nil, d.claims(nil)),
		"RS384 that is PS384":                sign(ps384, map[string]any{"alg": "RS384"}, d.claims(nil)),
		"ES384 with the RSA key":             with(map[string]any{"alg": "ES384"}),
		"the RSA key by the kid of the EC":   sign(asEC, nil, d.claims(nil)),
		"ES256":                              sign(p256Pair, map[string]any{"kid": "ec-1"}, d.claims(nil)),
		"no kid":                             with(map[string]any{"kid": nil}),
		"an unknown kid":                     with(map[string]any{"kid": "rsa-2"}),
		"a long kid":                         with(map[string]any{"kid": strings.Repeat("k", 300)}),
		"a kid that is a path":               with(map[string]any{"kid": "../../rsa-1"}),
		"another typ":                        with(map[string]any{"typ": "at+jwt"}),
		"crit":                               with(map[string]any{"crit": []string{"exp"}}),
		"jku":                                with(map[string]any{"jku": "https://attacker.example/jwks"}),
		"a key of its own":                   sign(otherPair, map[string]any{"jwk": must(jwk.Import(otherPair.private.Public()))}, d.claims(nil)),
		"another client's key":               sign(otherPair, nil, d.claims(nil)),
		"another client, with our key":       good(map[string]any{"iss": stranger, "sub": stranger}),
		"an unknown client":                  good(map[string]any{"iss": uuid.NewString(), "sub": uuid.NewString()}),
		"an unknown client, iss as sub":      good(map[string]any{"iss": d.tenant.String(), "sub": d.tenant.String()}),
		"no iss":                             good(map[string]any{"iss": nil}),
		"no sub":                             good(map[string]any{"sub": nil}),
		"neither iss nor sub":                good(map[string]any{"iss": nil, "sub": nil}),
		"another iss":                        good(map[string]any{"iss": stranger}),
		"another sub":                        good(map[string]any{"sub": stranger}),
		"the client in capitals":             good(map[string]any{"iss": strings.ToUpper(d.client), "sub": strings.ToUpper(d.client)}),
		"iss that is a list":                 good(map[string]any{"iss": []string{d.client}}),
		"no aud":                             good(map[string]any{"aud": nil}),
		"aud of the base":                    good(map[string]any{"aud": d.base}),
		"aud with a slash":                   good(map[string]any{"aud": d.base + "/oauth/token/"}),
		"aud of another server":              good(map[string]any{"aud": "https://other.example/fhir/oauth/token"}),
		"aud in capitals":                    good(map[string]any{"aud": strings.ToUpper(d.base + "/oauth/token")}),
		"a list of aud":                      good(map[string]any{"aud": []string{d.base + "/oauth/token", "https://other.example"}}),
		"an empty list of aud":               good(map[string]any{"aud": []string{}}),
		"no exp":                             good(map[string]any{"exp": nil}),
		"exp that is a text":                 good(map[string]any{"exp": "2030-01-01"}),
		"expired":                            good(map[string]any{"exp": now - 1}),
		"exp six minutes ahead":              good(map[string]any{"exp": now + 360}),
		"exp just over five minutes ahead":   good(map[string]any{"exp": now + 303}),
		"exp in a thousand years":            good(map[string]any{"exp": 1e18}),
		"exp below zero":                     good(map[string]any{"exp": -1}),
		"nbf ahead":                          good(map[string]any{"nbf": now + 60}),
		"iat ahead":                          good(map[string]any{"iat": now + 60}),
		"no jti":                             good(map[string]any{"jti": nil}),
		"an empty jti":                       good(map[string]any{"jti": ""}),
		"jti that is a number":               good(map[string]any{"jti": 7}),
		"a long jti":                         good(map[string]any{"jti": strings.Repeat("j", 300)}),
		"used before":                        used,
		"another assertion of the same jti":  good(map[string]any{"jti": jti}),
		"a claim twice":                      signText(rsaPair, `{"alg":"RS384","kid":"rsa-1"}`, claimsText(`,"sub":"`+d.client+`"`)),
		"a header twice":                     signText(rsaPair, `{"alg":"none","alg":"RS384","kid":"rsa-1"}`, claimsText("")),
		"claims with something behind":       signText(rsaPair, `{"alg":"RS384","kid":"rsa-1"}`, claimsText("")+`{}`),
		"claims that are no UTF-8":           signText(rsaPair, `{"alg":"RS384","kid":"rsa-1"}`, claimsText(",\"x\":\"\xff\"")),
		"an assertion with a line break":     good(nil) + "\n",
		"an assertion with a space before":   " " + good(nil),
		"a token of ours as the assertion":   access.NewToken(),
		"signed by a key that was too short": sign(shortPair, nil, d.claims(nil)),
	} {
		for replica := range d.replicas {
			got := d.post(replica, "/oauth/token", tokenForm(assertion, "system/*.rs"))
			if got.status != http.StatusBadRequest || got.body["error"] != "invalid_client" || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s (replica %d): %d %s", name, replica, got.status, got.text)
			}
			delete(got.body, "error_description")
			if len(got.body) != 1 {
				t.Errorf("%s: %s", name, got.text)
			}
		}
	}
	if got := d.token(rsaPair, "system/*.rs"); got.status != http.StatusOK { // and the good one is good
		t.Error(got.text)
	}
}

func TestARequestThatIsNoTokenRequestIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t, jwks(nil, rsaPair), "system/Task.rs")
	for name, c := range map[string]struct {
		change func(url.Values)
		path   string
		header []string
		want   string
	}{
		"JSON":                       {header: []string{"Content-Type", "application/json"}, want: "invalid_request"},
		"no media type":              {header: []string{"Content-Type", ""}, want: "invalid_request"},
		"compressed":                 {header: []string{"Content-Encoding", "gzip"}, want: "invalid_request"},
		"Basic too":                  {header: []string{"Authorization", "Basic YTpi"}, want: "invalid_request"},
		"a parameter in the address": {path: "/oauth/token?scope=system/*.cruds", want: "invalid_request"},
		"a parameter twice":          {change: func(f url.Values) { f.Add("scope", "system/Task.r") }, want: "invalid_request"},
		"a large body":               {change: func(f url.Values) { f.Set("more", strings.Repeat("x", 40<<10)) }, want: "invalid_request"},
		"no grant type":              {change: func(f url.Values) { f.Del("grant_type") }, want: "invalid_request"},
		"another grant type":         {change: func(f url.Values) { f.Set("grant_type", "password") }, want: "unsupported_grant_type"},
		"another assertion type": {change: func(f url.Values) {
			f.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer")
		}, want: "invalid_client"},
		"no assertion type":            {change: func(f url.Values) { f.Del("client_assertion_type") }, want: "invalid_client"},
		"a secret":                     {change: func(f url.Values) { f.Set("client_secret", "x") }, want: "invalid_client"},
		"another client_id":            {change: func(f url.Values) { f.Set("client_id", uuid.NewString()) }, want: "invalid_client"},
		"no scope":                     {change: func(f url.Values) { f.Del("scope") }, want: "invalid_scope"},
		"letters in another order":     {change: func(f url.Values) { f.Set("scope", "system/Task.sr") }, want: "invalid_scope"},
		"a letter twice":               {change: func(f url.Values) { f.Set("scope", "system/Task.rr") }, want: "invalid_scope"},
		"an unknown letter":            {change: func(f url.Values) { f.Set("scope", "system/Task.x") }, want: "invalid_scope"},
		"a scope of a person":          {change: func(f url.Values) { f.Set("scope", "user/Task.rs") }, want: "invalid_scope"},
		"a scope with a chain":         {change: func(f url.Values) { f.Set("scope", "system/Task.rs?patient.name=x") }, want: "invalid_scope"},
		"a scope with _id":             {change: func(f url.Values) { f.Set("scope", "system/Task.rs?_id=1") }, want: "invalid_scope"},
		"one good and one bad scope":   {change: func(f url.Values) { f.Set("scope", "system/Task.rs openid") }, want: "invalid_scope"},
		"a type that is not granted":   {change: func(f url.Values) { f.Set("scope", "system/Patient.rs") }, want: "invalid_scope"},
		"a letter that is not granted": {change: func(f url.Values) { f.Set("scope", "system/Task.d") }, want: "invalid_scope"},
	} {
		f := tokenForm(sign(rsaPair, nil, d.claims(nil)), "system/Task.rs")
		if c.change != nil {
			c.change(f)
		}
		path := c.path
		if path == "" {
			path = "/oauth/token"
		}
		got := d.post(0, path, f, c.header...)
		if got.status != http.StatusBadRequest || got.body["error"] != c.want {
			t.Errorf("%s: %d %s", name, got.status, got.text)
		}
	}
}

func TestATokenIsToldOfToItsTenantAndEnds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := open(t, jwks(nil, rsaPair), "system/Task.rs")
	ask := func(client, path, token string) answer {
		f := tokenForm(sign(rsaPair, nil, d.claims(map[string]any{"iss": client, "sub": client})), "")
		f.Set("token", token)
		return d.post(1, path, f)
	}
	token := d.token(rsaPair, "system/Task.*").body["access_token"].(string)
	got := ask(d.client, "/oauth/introspect", token)
	if got.body["active"] != true || got.body["scope"] != "system/Task.rs" || got.body["client_id"] != d.client || got.body["exp"].(float64) < float64(time.Now().Unix()+290) {
		t.Errorf("introspection: %s", got.text)
	}
	inactive := func(why, client, token string) {
		t.Helper()
		if got := ask(client, "/oauth/introspect", token); got.text != `{"active":false}` {
			t.Errorf("%s: %s", why, got.text)
		}
	}
	inactive("an unknown token", d.client, access.NewToken())
	neighbour := d.add(jwks(nil, rsaPair), "system/*.rs")
	d.tenant = pgtest.AddTenant(t, d.db, "south")
	inactive("of another tenant", d.add(jwks(nil, rsaPair), "system/*.rs"), token)
	if got := d.post(0, "/oauth/introspect", url.Values{"token": {token}}); got.body["error"] != "invalid_client" {
		t.Errorf("without authentication: %s", got.text)
	}

	if got := ask(neighbour, "/oauth/revoke", token); got.status != http.StatusOK {
		t.Error(got.text)
	}
	if _, err := access.Identify(ctx, d.db.DB, token, access.Choice{}); err != nil {
		t.Errorf("another client ended it: %v", err)
	}
	if got := ask(d.client, "/oauth/revoke", token); got.status != http.StatusOK {
		t.Error(got.text)
	}
	unknown := func(why, token string) {
		t.Helper()
		if _, err := access.Identify(ctx, d.db.DB, token, access.Choice{}); !fault.Is(err, fault.Unauthenticated) {
			t.Errorf("%s: %v", why, err)
		}
	}
	unknown("revoked", token)
	inactive("revoked", d.client, token)

	owner := d.db.Owner(t)
	token = d.token(rsaPair, "system/Task.rs").body["access_token"].(string)
	if _, err := owner.Exec(ctx, `UPDATE access_token SET expires_at = now() - interval '1 second'`); err != nil {
		t.Fatal(err)
	}
	unknown("expired", token)
	token = d.token(rsaPair, "system/Task.rs").body["access_token"].(string)
	if _, err := owner.Exec(ctx, `UPDATE client SET revoked_at = now() WHERE client_id = $1`, d.client); err != nil {
		t.Fatal(err)
	}
	unknown("of a client that was revoked", token)
	if got := d.token(rsaPair, "system/Task.rs"); got.body["error"] != "invalid_client" {
		t.Errorf("a client that was revoked gets a token: %s", got.text)
	}
}

func TestWhatHappensToTokensIsRecordedWithTheTrueReason(t *testing.T) {
	t.Parallel()
	d := open(t, jwks(nil, rsaPair), "system/Task.rs")
	token := d.token(rsaPair, "system/Task.rs").body["access_token"].(string)
	for _, path := range []string{"/oauth/introspect", "/oauth/revoke", "/oauth/revoke"} {
		f := tokenForm(sign(rsaPair, nil, d.claims(nil)), "")
		f.Set("token", token)
		d.post(0, path, f)
	}
	d.token(rsaPair, "system/Patient.rs")
	d.token(otherPair, "system/Task.rs")
	once := tokenForm(sign(rsaPair, nil, d.claims(nil)), "system/Task.rs")
	d.post(0, "/oauth/token", once)
	d.post(1, "/oauth/token", once)
	d.post(0, "/oauth/token", tokenForm(sign(rsaPair, nil, d.claims(map[string]any{"iss": "the patient Zoe", "sub": "the patient Zoe"})), "x"))
	want := []string{
		"token-issued of the client",
		"token-introspected of the client",
		"token-revoked of the client", // the second time there is nothing to revoke
		"token-refused of the client invalid_scope: none of them is the client's",
		"token-refused of the client invalid_client: a signature of another key",
		"token-issued of the client",
		"token-refused of the client invalid_client: used before",
		"token-refused of nobody invalid_client: no client_id of ours",
	}
	if diff := cmp.Diff(want, d.told); diff != "" {
		t.Error(diff)
	}
}

func TestWhatHasExpiredIsRemovedAndNothingElse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := open(t, jwks(nil, rsaPair), "system/Task.rs")
	for range 3 {
		d.token(rsaPair, "system/Task.rs")
	}
	owner := d.db.Owner(t)
	for _, sql := range []string{
		`UPDATE access_token SET expires_at = now() - interval '1 second' WHERE token_sha256 = (SELECT min(token_sha256::text)::bytea FROM access_token)`,
		`UPDATE client_assertion SET expires_at = now() - interval '1 second' WHERE jti_sha256 = (SELECT min(jti_sha256::text)::bytea FROM client_assertion)`,
	} {
		if _, err := owner.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	for replica, want := range []int{2, 0} {
		if gone, err := d.replicas[replica].Purge(ctx); err != nil || gone != want {
			t.Errorf("%d gone, want %d (%v)", gone, want, err)
		}
	}
}

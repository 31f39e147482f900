// Package devidp is an identity provider for demo and tests: OpenID Connect over
// plain http on this machine, with a page on which a visitor chooses who to be.
// It knows no passwords, so it is never part of `overread serve`: only the demo
// imports it (cmd/overread/arrows_test.go), and it answers on loopback only.
//
// It is strict all the same, so that what logs in with it logs in with others:
// the exact redirect_uri, PKCE with S256 and a nonce are demanded, codes are good
// once and for a minute, and clients prove themselves by their secret.
package devidp

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
)

// Person is somebody whom a visitor can be.
type Person struct {
	Subject string
	Name    string
	About   string   // for the page
	Groups  []string // the claim of the same name
}

// Client is who may ask: the server that people log in to.
type Client struct {
	ID, Secret  string
	Redirects   []string // exact
	AfterLogout []string // exact
}

// Server is the provider.
type Server struct {
	issuer  string
	client  Client
	now     func() time.Time
	private jwk.Key
	public  jwk.Set

	mu      sync.Mutex
	persons []Person
	codes   map[string]grant
}

// grant is what a code stands for.
type grant struct {
	person           Person
	redirect         string
	nonce, challenge string
	expires          time.Time
}

// New makes a provider at an issuer, which is http:// and a loopback address.
func New(issuer string, client Client, persons []Person, now func() time.Time) (*Server, error) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "http" || !net.ParseIP(u.Hostname()).IsLoopback() {
		return nil, errors.New("devidp: the development identity provider is for http and a loopback address only")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	private, err := jwk.Import(key)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(private.Set(jwk.KeyIDKey, rand.Text()), private.Set(jwk.AlgorithmKey, jwa.ES256()), private.Set(jwk.KeyUsageKey, "sig")); err != nil {
		return nil, err
	}
	public, err := private.PublicKey()
	if err != nil {
		return nil, err
	}
	set := jwk.NewSet()
	if err := set.AddKey(public); err != nil {
		return nil, err
	}
	return &Server{issuer: issuer, client: client, now: now, private: private, public: set, persons: slices.Clone(persons), codes: map[string]grant{}}, nil
}

// SetGroups changes what the provider says of a person, from their next login on.
func (s *Server) SetGroups(subject string, groups ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.persons {
		if s.persons[i].Subject == subject {
			s.persons[i].Groups = groups
		}
	}
}

// Sign signs claims with the provider's key: a test makes tokens that a good
// provider never would.
func (s *Server) Sign(claims map[string]any) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	token, err := jws.Sign(text, jws.WithKey(jwa.ES256(), s.private))
	return string(token), err
}

// Keys is the provider's key set.
func (s *Server) Keys() jwk.Set { return s.public }

// Handler answers at the provider's address.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", s.configuration)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, s.public) })
	mux.HandleFunc("GET /authorize", s.choose)
	mux.HandleFunc("POST /authorize", s.chosen)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("GET /logout", s.logout)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("X-Frame-Options", "DENY")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// configuration is OpenID Connect Discovery 1.0 section 3.
func (s *Server) configuration(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]any{
		"issuer":                                         s.issuer,
		"authorization_endpoint":                         s.issuer + "/authorize",
		"token_endpoint":                                 s.issuer + "/token",
		"jwks_uri":                                       s.issuer + "/keys",
		"end_session_endpoint":                           s.issuer + "/logout",
		"scopes_supported":                               []string{"openid", "profile"},
		"claims_supported":                               []string{"sub", "name", "groups"},
		"response_types_supported":                       []string{"code"},
		"grant_types_supported":                          []string{"authorization_code"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic"},
		"authorization_response_iss_parameter_supported": true,
	})
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// wrong says why an authorization request is refused. It never redirects: only
// who has a mistake in their own client sees it.
func (s *Server) wrong(q url.Values) string {
	once := func(name string) string {
		if len(q[name]) != 1 {
			return ""
		}
		return q.Get(name)
	}
	switch {
	case once("client_id") != s.client.ID:
		return "client_id is not known"
	case !slices.Contains(s.client.Redirects, once("redirect_uri")):
		return "redirect_uri is not exactly one of the client's"
	case once("response_type") != "code":
		return "response_type must be code"
	case once("code_challenge_method") != "S256" || len(once("code_challenge")) != 43:
		return "PKCE with S256 is demanded"
	case once("state") == "" || once("nonce") == "":
		return "state and nonce are demanded"
	case !slices.Contains(strings.Fields(once("scope")), "openid"):
		return "scope must contain openid"
	}
	return ""
}

// choose is the page on which the visitor chooses who to be.
func (s *Server) choose(w http.ResponseWriter, r *http.Request) {
	if why := s.wrong(r.URL.Query()); why != "" {
		http.Error(w, why, http.StatusBadRequest)
		return
	}
	redirect, err := url.Parse(r.URL.Query().Get("redirect_uri"))
	if err != nil {
		http.Error(w, "redirect_uri", http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// The form's answer leads on to the client, which a browser asks the policy for.
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+redirect.Scheme+"://"+redirect.Host)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = page.Execute(w, map[string]any{"Persons": s.persons, "Action": template.URL("?" + r.URL.RawQuery)})
}

// chosen gives the client a code for the person.
func (s *Server) chosen(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if why := s.wrong(q); why != "" {
		http.Error(w, why, http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.persons, func(p Person) bool { return p.Subject == r.PostFormValue("subject") })
	if i < 0 {
		http.Error(w, "nobody of this name", http.StatusBadRequest)
		return
	}
	code := rand.Text() + rand.Text()
	s.codes[code] = grant{s.persons[i], q.Get("redirect_uri"), q.Get("nonce"), q.Get("code_challenge"), s.now().Add(time.Minute)}
	back := url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {s.issuer}}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusSeeOther) //nolint:gosec // exactly one of the client's
}

// token is OpenID Connect Core 1.0 section 3.1.3.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, code string) { reply(w, status, map[string]string{"error": code}) }
	id, secret, _ := r.BasicAuth()
	secret, _ = url.QueryUnescape(secret) // RFC 6749 section 2.3.1
	if id != s.client.ID || subtle.ConstantTimeCompare([]byte(secret), []byte(s.client.Secret)) != 1 {
		refuse(http.StatusUnauthorized, "invalid_client")
		return
	}
	if r.PostFormValue("grant_type") != "authorization_code" {
		refuse(http.StatusBadRequest, "unsupported_grant_type")
		return
	}
	s.mu.Lock()
	g, known := s.codes[r.PostFormValue("code")]
	delete(s.codes, r.PostFormValue("code"))
	s.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if !known || s.now().After(g.expires) || g.redirect != r.PostFormValue("redirect_uri") || base64.RawURLEncoding.EncodeToString(challenge[:]) != g.challenge {
		refuse(http.StatusBadRequest, "invalid_grant")
		return
	}
	now := s.now()
	token, err := s.Sign(map[string]any{
		"iss": s.issuer, "sub": g.person.Subject, "aud": s.client.ID, "nonce": g.nonce,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "name": g.person.Name, "groups": g.person.Groups,
	})
	if err != nil {
		refuse(http.StatusInternalServerError, "server_error")
		return
	}
	reply(w, http.StatusOK, map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": token})
}

// logout is RP-Initiated Logout 1.0: there is no session here to end.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	to := r.URL.Query().Get("post_logout_redirect_uri")
	if r.URL.Query().Get("client_id") != s.client.ID || !slices.Contains(s.client.AfterLogout, to) {
		http.Error(w, "post_logout_redirect_uri is not exactly one of the client's", http.StatusBadRequest)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // exactly one of the client's
}

// Package oauth is the authorization server for systems: SMART Backend Services
// (SMART App Launch 2.2 backend-services.html). A client that the operator has
// added (overread client add) proves who it is by a signed assertion and gets a
// token for five minutes, which package access turns into an actor.
//
// assertion.go judges assertions, key.go says which key has to have signed one,
// keyset.go finds the keys of clients that publish them, store.go has the SQL.
// Why no OAuth library does it stands in docs/decisions/0008-tokens-for-systems.md.
package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/singleflight"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
)

// TokenLife is how long a token is good: SMART App Launch 2.2 wants 300 seconds
// at most.
const TokenLife = 5 * time.Minute

// Where the endpoints are below the FHIR base, so that they are wherever a proxy
// puts the API.
const (
	TokenPath      = "/oauth/token" //nolint:gosec // an address, no secret
	IntrospectPath = "/oauth/introspect"
	RevokePath     = "/oauth/revoke"
)

// Config is what a Server needs. DB, BaseURL and HTTP have no default.
type Config struct {
	DB      *pg.DB
	BaseURL string          // the FHIR base as clients see it
	HTTP    *http.Client    // for key sets of clients; it decides which addresses may be asked
	Record  access.Recorder // the audit log; nil: nothing is recorded
	Now     func() time.Time
	Log     *slog.Logger
	Check   func(access.Grant) error // whether the resource server understands restrictions; default: it does
}

// Server answers at the three endpoints.
type Server struct {
	db       *pg.DB
	base     string
	http     *http.Client
	record   access.Recorder
	now      func() time.Time
	log      *slog.Logger
	asking   singleflight.Group // for key sets, by client
	attempts attempts
	check    func(access.Grant) error
}

// New makes a Server.
func New(cfg Config) *Server {
	s := &Server{db: cfg.DB, base: strings.TrimRight(cfg.BaseURL, "/"), http: cfg.HTTP, record: cfg.Record, now: cfg.Now, log: cfg.Log, check: cfg.Check}
	if s.record == nil {
		s.record = func(context.Context, pgx.Tx, access.Event) error { return nil }
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	return s
}

// Endpoint answers a request, and says with which code of RFC 6749 section 5.2 it
// was refused, "" where it was not.
type Endpoint func(w http.ResponseWriter, r *http.Request) (refused string)

// InvalidClient is the refusal of whoever could not prove to be the client.
const InvalidClient = "invalid_client"

// Handlers are the endpoints by their paths below the FHIR base. All take POST.
func (s *Server) Handlers() map[string]Endpoint {
	return map[string]Endpoint{
		TokenPath:      s.endpoint(s.token),
		IntrospectPath: s.endpoint(s.introspect),
		RevokePath:     s.endpoint(s.revoke),
	}
}

// Configuration is the smart-configuration (SMART App Launch 2.2
// conformance.html) that says what is here.
func (s *Server) Configuration() []byte {
	text, _ := json.Marshal(map[string]any{
		"issuer":                                s.base,
		"token_endpoint":                        s.base + TokenPath,
		"introspection_endpoint":                s.base + IntrospectPath,
		"revocation_endpoint":                   s.base + RevokePath,
		"grant_types_supported":                 []string{"client_credentials"},
		"token_endpoint_auth_methods_supported": []string{"private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": algorithms(),
		"scopes_supported":                 []string{"system/*.cruds", "system/*.rs", "system/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory", "system/*.read", "system/*.write", "system/*.*"},
		"response_types_supported":         []string{},
		"code_challenge_methods_supported": []string{"S256"}, // demanded of everybody
		"capabilities":                     []string{"client-confidential-asymmetric", "permission-v1", "permission-v2"},
	})
	return text
}

// refusal is an error as RFC 6749 section 5.2 has them. Its reason is for the logs
// only: it would help whoever tries. It is one of our own words.
type refusal struct {
	code   string
	reason string
	client *client // that the assertion names; nil where it is none of ours
	tell   string  // what the client is told instead of the text of its code
}

func (r *refusal) Error() string { return r.code + ": " + r.reason }

func invalidClient(reason string) error  { return &refusal{code: InvalidClient, reason: reason} }
func invalidRequest(reason string) error { return &refusal{code: "invalid_request", reason: reason} }

// refusals are the texts that a client may read, by code.
var refusals = map[string]string{
	InvalidClient:            "the client is not known, or its assertion is not good: see SMART App Launch 2.2 client-confidential-asymmetric; aud is the token endpoint, exp at most 5 minutes ahead, and each jti is taken once",
	"invalid_request":        "the request is a POST with the parameters once each in a form (application/x-www-form-urlencoded), and with no other authentication than the client assertion",
	"invalid_scope":          "no such scopes are granted: " + access.ErrScope.Error() + ", and only those with which the client was added",
	"unsupported_grant_type": "grant_type must be client_credentials",
}

// endpoint renders what a handler answers, or why it refuses.
func (s *Server) endpoint(handle func(r *http.Request, f form) (any, error)) Endpoint {
	return func(w http.ResponseWriter, r *http.Request) (code string) {
		var answer any
		f, err := readForm(w, r)
		if err == nil {
			answer, err = handle(r, f)
		}
		status := http.StatusOK
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			s.log.Info("token request refused", "code", refused.code, "reason", refused.reason, "request_id", w.Header().Get("X-Request-Id"))
			s.recordRefusal(r, refused)
			code = refused.code
			status, answer = http.StatusBadRequest, map[string]string{"error": refused.code, "error_description": cmp.Or(refused.tell, refusals[refused.code])}
		case errors.Is(err, pg.ErrSuspended):
			s.log.Info("token request refused", "code", "temporarily_unavailable", "reason", "suspended", "request_id", w.Header().Get("X-Request-Id"))
			w.Header().Set("Retry-After", "300")
			status, answer = http.StatusServiceUnavailable, map[string]string{"error": "temporarily_unavailable", "error_description": "your organisation is suspended here; ask the operator of this server"}
		case err != nil:
			s.log.Error("internal error", "error", pg.Describe(err), "request_id", w.Header().Get("X-Request-Id"))
			w.Header().Set("Retry-After", "5")
			status, answer = http.StatusServiceUnavailable, map[string]string{"error": "temporarily_unavailable"}
		}
		body, _ := json.Marshal(answer)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Pragma", "no-cache")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return code
	}
}

// recordRefusal records that a system was not let in. The client that it said it
// is, where there is one, is told to that tenant's auditors.
func (s *Server) recordRefusal(r *http.Request, why *refusal) {
	e := access.Event{Kind: access.TokenRefused, Why: why.code + ": " + why.reason}
	if why.client != nil {
		e.Tenant, e.Object = why.client.TenantID, why.client.ClientID.String()
	}
	if err := s.record(r.Context(), nil, e); err != nil {
		s.log.Error("a refusal could not be recorded", "error", pg.Describe(err))
	}
}

// tokenAnswer is RFC 6749 section 5.1. There are no refresh tokens.
type tokenAnswer struct {
	Token     string `json:"access_token"`
	Type      string `json:"token_type"`
	ExpiresIn int    `json:"expires_in"`
	Scope     string `json:"scope"`
}

func (s *Server) token(r *http.Request, f form) (any, error) {
	switch f["grant_type"] {
	case "client_credentials":
	case "":
		return nil, invalidRequest("no grant_type")
	default:
		return nil, &refusal{code: "unsupported_grant_type", reason: "another grant_type"}
	}
	c, err := s.authenticate(r.Context(), f)
	if err != nil {
		return nil, err
	}
	asked, err := access.ParseSystemGrant(f["scope"])
	if err == nil && s.check != nil {
		err = s.check(asked)
	}
	if err != nil {
		return nil, &refusal{code: "invalid_scope", reason: "unreadable", client: c, tell: err.Error()}
	}
	registered, err := access.ParseGrant(c.Scopes)
	if err != nil {
		return nil, err
	}
	granted := registered.Within(asked)
	if len(granted) == 0 {
		return nil, &refusal{code: "invalid_scope", reason: "none of them is the client's", client: c}
	}
	token := access.NewToken()
	if err := s.issue(r.Context(), c, token, granted.String()); err != nil {
		return nil, err
	}
	return tokenAnswer{token, "Bearer", int(TokenLife / time.Second), granted.String()}, nil
}

// introspection is RFC 7662 section 2.2. Of a token that is not active nothing
// else is told.
type introspection struct {
	Active   bool   `json:"active"`
	Scope    string `json:"scope,omitempty"`
	ClientID string `json:"client_id,omitempty"`
	Subject  string `json:"sub,omitempty"`
	Issuer   string `json:"iss,omitempty"`
	Type     string `json:"token_type,omitempty"`
	Issued   int64  `json:"iat,omitempty"`
	Expires  int64  `json:"exp,omitempty"`
}

// introspect tells a client of tokens of its own tenant.
func (s *Server) introspect(r *http.Request, f form) (any, error) {
	c, err := s.authenticate(r.Context(), f)
	if err != nil {
		return nil, err
	}
	if f["token"] == "" {
		return nil, invalidRequest("no token")
	}
	t, err := s.active(r.Context(), c, f["token"])
	if err != nil {
		return nil, err
	}
	told := access.Event{Kind: access.TokenIntrospected, Tenant: c.TenantID, Actor: c.actor()}
	if t != nil {
		told.Token, told.Object = access.TokenURN(f["token"]), t.ClientID.String()
	}
	if err := s.record(r.Context(), nil, told); err != nil || t == nil {
		return introspection{}, err
	}
	id := t.ClientID.String()
	return introspection{true, t.Scopes, id, id, s.base, "Bearer", t.IssuedAt.Unix(), t.ExpiresAt.Unix()}, nil
}

// revoke ends a token of the client's own, RFC 7009. Whether there was one is
// not told.
func (s *Server) revoke(r *http.Request, f form) (any, error) {
	c, err := s.authenticate(r.Context(), f)
	if err != nil {
		return nil, err
	}
	if f["token"] == "" {
		return nil, invalidRequest("no token")
	}
	return struct{}{}, s.end(r.Context(), c, f["token"])
}

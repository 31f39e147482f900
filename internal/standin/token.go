package standin

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"
)

// tokenLife is how long an access token of a launch is good.
const tokenLife = 10 * time.Minute

// token is the token endpoint, RFC 6749 section 4.1.3. A code that comes twice
// takes away what it was changed for (section 4.1.2).
func (e *EHR) token(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if err := r.ParseForm(); err != nil || r.URL.RawQuery != "" {
		return oauthError(w, "invalid_request")
	}
	for _, values := range r.PostForm {
		if len(values) != 1 {
			return oauthError(w, "invalid_request")
		}
	}
	l := e.launching
	l.mu.Lock()
	defer l.mu.Unlock()
	app, ok := l.authenticated(r, strings.TrimSuffix(base(r), "/fhir")+"/auth/token")
	if !ok {
		return oauthError(w, "invalid_client")
	}
	code := r.PostForm.Get("code")
	g, known := l.codes[code]
	if known && g.token != "" {
		delete(l.tokens, g.token)
		delete(l.codes, code)
		known = false
	}
	verifier := r.PostForm.Get("code_verifier")
	sum := sha256.Sum256([]byte(verifier))
	switch {
	case r.PostForm.Get("grant_type") != "authorization_code":
		return oauthError(w, "unsupported_grant_type")
	case !known, g.Client != app.ClientID, time.Now().After(g.till), r.PostForm.Get("redirect_uri") != g.redirect,
		len(verifier) < 43, len(verifier) > 128, base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge:
		delete(l.codes, code)
		return oauthError(w, "invalid_grant")
	}
	g.token = "launch-" + rand.Text()
	l.codes[code] = g
	g.till = time.Now().Add(tokenLife)
	l.tokens[g.token] = g
	said := object{
		"access_token": g.token, "token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "scope": strings.Join(g.scopes, " "),
		"patient": g.Patient, "need_patient_banner": true, "smart_style_url": base(r) + "/smart-style.json",
	}
	if g.Order != "" {
		said["fhirContext"] = []object{{"reference": "ServiceRequest/" + g.Order}}
	}
	if slices.Contains(g.scopes, "openid") {
		id, err := l.idToken(strings.TrimSuffix(base(r), "/fhir"), base(r)+"/"+e.user(), g)
		if err != nil {
			return err
		}
		said["id_token"] = id
	}
	answer(w, http.StatusOK, said)
	return nil
}

func oauthError(w http.ResponseWriter, code string) error {
	answer(w, http.StatusBadRequest, object{"error": code})
	return nil
}

// authenticated is the app that asks. One with a secret or keys must use them, and
// one without has to name itself.
func (l *launching) authenticated(r *http.Request, endpoint string) (App, bool) {
	id, secret, basic := r.BasicAuth()
	assertion := r.PostForm.Get("client_assertion")
	switch {
	case basic && assertion != "":
		return App{}, false
	case basic:
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
		app, ok := l.app(id)
		return app, ok && app.Secret != "" && subtle.ConstantTimeCompare([]byte(app.Secret), []byte(secret)) == 1
	case assertion != "":
		return l.asserted(r.PostForm, endpoint)
	}
	app, ok := l.app(r.PostForm.Get("client_id"))
	return app, ok && app.Secret == "" && app.Keys == nil
}

// asserted checks a client assertion, SMART App Launch 2.2
// client-confidential-asymmetric.html.
func (l *launching) asserted(form url.Values, endpoint string) (App, bool) {
	unverified, err := jwt.ParseInsecure([]byte(form.Get("client_assertion")))
	if err != nil || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		return App{}, false
	}
	id, _ := unverified.Issuer()
	app, ok := l.app(id)
	if !ok || app.Keys == nil {
		return App{}, false
	}
	keys, err := jwk.Parse(app.Keys)
	if err != nil {
		return App{}, false
	}
	said, err := jwt.Parse([]byte(form.Get("client_assertion")), jwt.WithKeySet(keys), jwt.WithIssuer(id), jwt.WithSubject(id), jwt.WithAudience(endpoint),
		jwt.WithRequiredClaim("exp"), jwt.WithRequiredClaim("jti"))
	if err != nil {
		return App{}, false
	}
	expires, _ := said.Expiration()
	once, _ := said.JwtID()
	if time.Until(expires) > 5*time.Minute || !l.seen[once].IsZero() {
		return App{}, false
	}
	l.seen[once] = expires
	return app, true
}

// user is who is logged in at this EHR: its first Practitioner.
func (e *EHR) user() string {
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	for _, key := range e.store.order {
		if strings.HasPrefix(key, "Practitioner/") {
			return key
		}
	}
	return "Practitioner/nobody"
}

// launched guards what a token of a launch may read: the patient in context and
// their orders, and the user.
func (e *EHR) launched(next http.Handler) http.Handler {
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer launch-")
		if !ok {
			next.ServeHTTP(w, r)
			return nil
		}
		e.launching.mu.Lock()
		g, known := e.launching.tokens["launch-"+token]
		e.launching.mu.Unlock()
		if !known || time.Now().After(g.till) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			return refuse(http.StatusUnauthorized, "login", "this token is not good, or no longer")
		}
		if !e.mayRead(g, r) {
			return refuse(http.StatusForbidden, "forbidden", "the scopes of this token do not cover this")
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

func (e *EHR) mayRead(g grant, r *http.Request) bool {
	place := strings.TrimPrefix(r.URL.Path, "/fhir/")
	if r.Method != http.MethodGet {
		return false
	}
	typ, _, _ := strings.Cut(place, "/")
	switch typ {
	case "Patient":
		return place == "Patient/"+g.Patient && slices.Contains(g.scopes, "patient/Patient.r")
	case "ServiceRequest":
		e.store.mu.Lock()
		defer e.store.mu.Unlock()
		rec := e.store.records[place]
		return rec != nil && slices.Contains(g.scopes, "patient/ServiceRequest.r") && params["subject"].matches(rec.current, "Patient/"+g.Patient)
	}
	return place == e.user() && slices.Contains(g.scopes, "fhirUser")
}

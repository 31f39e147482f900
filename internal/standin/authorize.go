package standin

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// smartConfiguration is SMART App Launch 2.2 conformance.html.
func (e *EHR) smartConfiguration(w http.ResponseWriter, r *http.Request) error {
	root := strings.TrimSuffix(base(r), "/fhir")
	answer(w, http.StatusOK, object{
		"issuer":                                         root,
		"jwks_uri":                                       root + "/auth/jwks.json",
		"authorization_endpoint":                         root + "/auth/authorize",
		"token_endpoint":                                 root + "/auth/token",
		"grant_types_supported":                          []string{"authorization_code"},
		"response_types_supported":                       []string{"code"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "private_key_jwt"},
		"scopes_supported":                               supported,
		"authorization_response_iss_parameter_supported": true,
		"capabilities": []string{"launch-ehr", "client-public", "client-confidential-symmetric", "client-confidential-asymmetric",
			"sso-openid-connect", "context-ehr-patient", "context-banner", "permission-patient", "permission-v2"},
	})
	return nil
}

// supported are the scopes that this EHR knows.
var supported = []string{"launch", "openid", "fhirUser", "patient/Patient.r", "patient/ServiceRequest.r"}

func (e *EHR) jwks(w http.ResponseWriter, _ *http.Request) error {
	public, err := e.launching.key.PublicKey.ECDH()
	if err != nil {
		return err
	}
	point := public.Bytes() // 4, x, y
	b64 := base64.RawURLEncoding.EncodeToString
	answer(w, http.StatusOK, object{"keys": []object{{"kty": "EC", "crv": "P-256", "kid": keyID, "use": "sig", "alg": "ES256", "x": b64(point[1:33]), "y": b64(point[33:])}}})
	return nil
}

const keyID = "stand-in-1"

// authorize is the authorization endpoint, RFC 6749 section 4.1 with RFC 7636. Its
// user is logged in, and has agreed. Whatever is wrong with client or redirect is
// told to the user and not to the redirect.
func (e *EHR) authorize(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "invalid", "unreadable parameters")
	}
	for name, values := range r.Form {
		if len(values) != 1 {
			return refuse(http.StatusBadRequest, "invalid", "the parameter %q comes twice", name)
		}
	}
	l := e.launching
	l.mu.Lock()
	defer l.mu.Unlock()
	app, ok := l.app(r.Form.Get("client_id"))
	if !ok {
		return refuse(http.StatusBadRequest, "invalid", "no such client")
	}
	if r.Form.Get("redirect_uri") != app.RedirectURI {
		return refuse(http.StatusBadRequest, "invalid", "this is not the client's redirect_uri")
	}
	back, err := url.Parse(app.RedirectURI)
	if err != nil {
		return err
	}
	query := back.Query()
	query.Set("state", r.Form.Get("state"))
	query.Set("iss", strings.TrimSuffix(base(r), "/fhir"))
	if g, problem := l.grant(r.Form, app, base(r)); problem != "" {
		query.Set("error", problem)
	} else {
		code := rand.Text()
		l.codes[code] = g
		query.Set("code", code)
	}
	back.RawQuery = query.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
	return nil
}

// grant judges an authorization request; problem is an error code of RFC 6749.
func (l *launching) grant(form url.Values, app App, base string) (g grant, problem string) {
	launch, known := l.launches[form.Get("launch")]
	challenge, err := base64.RawURLEncoding.DecodeString(form.Get("code_challenge"))
	scopes := strings.Fields(form.Get("scope"))
	switch {
	case form.Get("response_type") != "code":
		return g, "unsupported_response_type"
	case !known, launch.used, launch.Client != app.ClientID, time.Now().After(launch.till), form.Get("aud") != base,
		form.Get("code_challenge_method") != "S256", err != nil, len(challenge) != sha256.Size, len(form.Get("state")) < 22:
		return g, "invalid_request"
	case !slices.Contains(scopes, "launch"), slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(supported, s) }):
		return g, "invalid_scope"
	}
	launch.used = true
	l.launches[form.Get("launch")] = launch
	if app.Scopes != nil {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(app.Scopes, s) })
	}
	return grant{launchContext: launch, redirect: app.RedirectURI, challenge: form.Get("code_challenge"), nonce: form.Get("nonce"),
		scopes: scopes, till: time.Now().Add(time.Minute)}, ""
}

// idToken is signed with ES256.
func (l *launching) idToken(issuer, fhirUser string, g grant) (string, error) {
	now := time.Now()
	claims := object{"iss": issuer, "sub": "stand-in-user", "aud": g.Client, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "nonce": g.nonce}
	if slices.Contains(g.scopes, "fhirUser") {
		claims["fhirUser"] = fhirUser
	}
	return signJWT(l.key, keyID, claims)
}

// signJWT is a JWS in its compact form, RFC 7515 and RFC 7518 section 3.4.
func signJWT(key *ecdsa.PrivateKey, id string, claims object) (string, error) {
	header, err := json.Marshal(object{"alg": "ES256", "typ": "JWT", "kid": id})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64(header) + "." + b64(payload)
	sum := sha256.Sum256([]byte(text))
	a, b, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	for i, n := range []*big.Int{a, b} {
		n.FillBytes(signature[32*i : 32*i+32])
	}
	return text + "." + b64(signature), nil
}

package oauth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/overread/overread/internal/pg"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	mostAssertion = 8 << 10
	mostAhead     = 5 * time.Minute // of exp, SMART App Launch 2.2
	clockSkew     = 5 * time.Second // of nbf and iat: the client's clock may be ahead
	mostID        = 255             // bytes of a jti or kid
)

// An assertion is a client assertion as it was read. Nothing in it is true
// before its signature is verified.
type assertion struct {
	text   string
	header header
	claims claims
}

type header struct {
	Algorithm string   `json:"alg"`
	KeyID     string   `json:"kid"`
	Type      string   `json:"typ"`
	KeySet    string   `json:"jku"`
	Critical  []string `json:"crit"`
}

type claims struct {
	Issuer   string   `json:"iss"`
	Subject  string   `json:"sub"`
	Audience audience `json:"aud"`
	ID       string   `json:"jti"`
	Expires  seconds  `json:"exp"`
	After    seconds  `json:"nbf"`
	Issued   seconds  `json:"iat"`
}

// audience is one text, or a list with one: RFC 7519 section 4.1.3 means the same
// by both. A list with several is good elsewhere too, and not taken.
type audience string

func (a *audience) UnmarshalJSON(text []byte) error {
	var several []string
	if err := json.Unmarshal(text, (*string)(a)); err == nil {
		return nil
	}
	if err := json.Unmarshal(text, &several); err != nil || len(several) != 1 {
		return errors.New("aud is not one text")
	}
	*a = audience(several[0])
	return nil
}

// seconds is a NumericDate, 0 where there is none.
type seconds float64

func (n seconds) time() time.Time { return time.UnixMilli(int64(n * 1000)) }

// lastSecond is the last that is read; what is later is no date of a token.
const lastSecond seconds = 1 << 36

// readAssertion reads the compact form of a JWT, RFC 7519. Each part is read
// strictly: two readers must not find different things in it, so members that
// occur twice, trailing bits and padding make it unreadable.
func readAssertion(text string) (*assertion, error) {
	parts := strings.Split(text, ".")
	if len(text) > mostAssertion || len(parts) != 3 || parts[2] == "" || strings.ContainsAny(text, "\r\n") { // base64 skips line breaks
		return nil, invalidClient("no compact JWT")
	}
	a := &assertion{text: text}
	for i, into := range []any{&a.header, &a.claims} {
		part, err := base64.RawURLEncoding.Strict().DecodeString(parts[i])
		if err != nil {
			return nil, invalidClient("a part that is not base64url")
		}
		if err := json.Unmarshal(part, into, jsontext.AllowDuplicateNames(false), json.MatchCaseInsensitiveNames(false)); err != nil {
			return nil, invalidClient("a part that is not the JSON of a JWT")
		}
	}
	return a, nil
}

// authenticate finds the client that has signed the assertion, and uses the
// assertion up. Everything that is wrong is an invalid_client.
func (s *Server) authenticate(ctx context.Context, f form) (*client, error) {
	if f["client_assertion_type"] != assertionType {
		return nil, invalidClient("another client_assertion_type")
	}
	a, err := readAssertion(f["client_assertion"])
	if err != nil {
		return nil, err
	}
	now := s.now()
	if err := a.check(s.base+TokenPath, now); err != nil {
		return nil, err
	}
	if id := f["client_id"]; id != "" && id != a.claims.Issuer {
		return nil, invalidClient("another client_id")
	}
	id, err := uuid.Parse(a.claims.Issuer)
	if err != nil || id.String() != a.claims.Issuer { // one client has one spelling
		return nil, invalidClient("no client_id of ours")
	}
	c, err := s.client(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := s.proved(ctx, c, a); err != nil {
		if refused, ok := errors.AsType[*refusal](err); ok {
			refused.client = c
		}
		return nil, err
	}
	return c, nil
}

// proved tells whether the client has signed the assertion, and uses it up.
func (s *Server) proved(ctx context.Context, c *client, a *assertion) error {
	if a.header.KeySet != "" && (c.JWKSURL == nil || a.header.KeySet != *c.JWKSURL) {
		return invalidClient("another jku")
	}
	key, err := s.keyOf(ctx, c, a.header)
	if err != nil {
		return err
	}
	if _, err := jws.Verify([]byte(a.text), jws.WithKey(key.algorithm, key.public), jws.WithAlgorithmMatch(true)); err != nil {
		return invalidClient("a signature of another key")
	}
	if c.Suspended { // said to those only who have proved who they are
		return pg.ErrSuspended
	}
	return s.spend(ctx, c, sha256.Sum256([]byte(a.claims.ID)), a.claims.Expires.time())
}

// check is what can be judged of an assertion without knowing the client.
func (a *assertion) check(endpoint string, now time.Time) error {
	h, c := a.header, a.claims
	inRange := func(n seconds) bool { return n >= 0 && n < lastSecond }
	switch {
	case !slices.Contains(algorithms(), h.Algorithm):
		return invalidClient("another alg")
	case h.KeyID == "" || len(h.KeyID) > mostID:
		return invalidClient("no kid")
	case h.Type != "" && !strings.EqualFold(h.Type, "JWT"):
		return invalidClient("another typ")
	case h.Critical != nil:
		return invalidClient("crit")
	case c.Issuer == "" || c.Issuer != c.Subject:
		return invalidClient("iss is not sub")
	case string(c.Audience) != endpoint:
		return invalidClient("another aud")
	case c.ID == "" || len(c.ID) > mostID:
		return invalidClient("no jti")
	case !inRange(c.Expires) || !inRange(c.After) || !inRange(c.Issued):
		return invalidClient("a date out of range")
	case !c.Expires.time().After(now):
		return invalidClient("expired, or no exp")
	case c.Expires.time().After(now.Add(mostAhead)):
		return invalidClient("exp too far ahead")
	case c.After.time().After(now.Add(clockSkew)), c.Issued.time().After(now.Add(clockSkew)):
		return invalidClient("not yet")
	}
	return nil
}

package smart

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// begun is for how long a launch may take, from our redirect until the browser is
// back.
const begun = 10 * time.Minute

// mostLaunch bounds the opaque launch, and what else comes in an address.
const mostLaunch = 4096

// Begin answers an EHR's launch: to is where the browser has to go. browser is
// what only this browser knows ("" where it has nothing yet), and what to give it
// is the second result. tenant is that of the launch address, "" where it names
// none. framers are the origins that may show a page about this launch in a frame.
// Its errors are faults that the clinician may read.
func (c *Client) Begin(ctx context.Context, tenant, browser string, query url.Values) (to, cookie string, framers []string, err error) {
	var d door
	to, cookie, framers, err = c.begin(ctx, &d, tenant, browser, query)
	return to, cookie, framers, c.tell(ctx, d, err)
}

func (c *Client) begin(ctx context.Context, d *door, tenant, browser string, query url.Values) (to, cookie string, framers []string, err error) {
	iss, launch := one(query, "iss"), one(query, "launch")
	if iss == "" || launch == "" {
		return "", "", nil, refuse(tryAgain, "no iss or no launch")
	}
	rows, err := c.listed(ctx, iss, tenant)
	switch {
	case err != nil:
		return "", "", nil, err
	case len(rows) == 0:
		return "", "", nil, refuse(notListed, "the issuer is not listed")
	case len(rows) > 1:
		return "", "", nil, refuse(tellThem, "several tenants list the issuer, and the launch address names none")
	}
	issuer := rows[0]
	d.tenant = issuer.TenantID
	if issuer.Suspended {
		return "", "", issuer.FrameOrigins, refuse(suspended, "the tenant is suspended")
	}
	found, err := c.discover(ctx, issuer.Issuer)
	if err != nil {
		return "", "", issuer.FrameOrigins, err
	}
	if !isToken(browser) {
		browser = access.NewToken()
	}
	state, nonce, verifier := access.NewToken(), access.NewToken(), access.NewToken()
	if err := c.keep(ctx, issuer, found, state, browser, nonce, verifier); err != nil {
		return "", "", issuer.FrameOrigins, err
	}
	challenge := sha256.Sum256([]byte(verifier))
	to, err = withQuery(found.Authorization, url.Values{
		"response_type":         {"code"},
		"client_id":             {issuer.ClientID},
		"redirect_uri":          {c.Callback()},
		"launch":                {launch},
		"scope":                 {issuer.Scopes},
		"state":                 {state},
		"aud":                   {issuer.Issuer},
		"nonce":                 {nonce},
		"code_challenge":        {base64.RawURLEncoding.EncodeToString(challenge[:])},
		"code_challenge_method": {"S256"},
	})
	return to, browser, issuer.FrameOrigins, err
}

// one is a parameter that was given once, and is of a bearable length.
func one(query url.Values, name string) string {
	if values := query[name]; len(values) == 1 && len(values[0]) <= mostLaunch {
		return values[0]
	}
	return ""
}

// isToken tells whether a text looks like one of access.NewToken.
func isToken(text string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	return err == nil && len(raw) == 32
}

// withQuery adds parameters to an endpoint, which may have some of its own, RFC
// 6749 section 3.1.
func withQuery(endpoint string, more url.Values) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", err
	}
	query := u.Query()
	maps.Copy(query, more)
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// keep notes a launch that has begun.
func (c *Client) keep(ctx context.Context, i Issuer, found endpoints, state, browser, nonce, verifier string) error {
	text, err := json.Marshal(found)
	if err != nil {
		return err
	}
	return c.DB.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO ehr_launch (tenant_id, state_sha256, browser_sha256, issuer, nonce, verifier, found, expires_at)
			VALUES (@tenant, @state, @browser, @issuer, @nonce, @verifier, @found::jsonb, now() + @begun * interval '1 second')`,
			pgx.NamedArgs{"tenant": i.TenantID, "state": hash(state), "browser": hash(browser), "issuer": i.Issuer,
				"nonce": nonce, "verifier": verifier, "found": string(text), "begun": begun.Seconds()})
		if err != nil {
			return fmt.Errorf("keep a launch: %w", err)
		}
		return nil
	})
}

func hash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:]
}

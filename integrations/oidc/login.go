package oidc

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"strings"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"

	"github.com/overread/overread/internal/access"
)

// LoginLife is how long somebody may take to log in at the provider.
const LoginLife = 10 * time.Minute

// Begin begins a login with a provider: it returns where the browser has to go.
// browser is what only this browser knows (a cookie); the answer is taken from no
// other. returnTo is an own path.
func (c *Client) Begin(ctx context.Context, name, browser, returnTo string) (string, error) {
	p, err := c.provider(ctx, name)
	if err != nil {
		return "", err
	}
	at, err := c.discover(ctx, p.Issuer)
	if err != nil {
		return "", err
	}
	state, nonce, verifier := access.NewToken(), access.NewToken(), oauth2.GenerateVerifier()
	stateSum, browserSum := sha256.Sum256([]byte(state)), sha256.Sum256([]byte(browser))
	err = c.db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO login (state_sha256, browser_sha256, provider, nonce, verifier, return_to, expires_at)
			VALUES (@state, @browser, @provider, @nonce, @verifier, @return_to, now() + @life * interval '1 second')`,
			pgx.NamedArgs{"state": stateSum[:], "browser": browserSum[:], "provider": p.Name, "nonce": nonce, "verifier": verifier,
				"return_to": c.ownPath(returnTo), "life": LoginLife.Seconds()})
		return err
	})
	if err != nil {
		return "", fmt.Errorf("begin a login: %w", err)
	}
	flow, err := c.flow(p, at)
	if err != nil {
		return "", err
	}
	return flow.AuthCodeURL(state, gooidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

func (c *Client) flow(p Provider, at *provider) (*oauth2.Config, error) {
	secret, err := p.secret()
	if err != nil {
		return nil, err
	}
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: secret, Endpoint: at.Endpoint(), RedirectURL: c.Callback(p.Name), Scopes: strings.Fields(p.Scopes)}, nil
}

// OwnPath is an address below our own root to which a browser may be led after a
// login; anything else becomes "/".
func OwnPath(path string) string {
	u, err := url.Parse(path)
	plain := !strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == '\\' || r > '~' })
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Fragment != "" || !plain ||
		!strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || len(path) > 512 {
		return "/"
	}
	return path
}

// ownPath is such an address where our pages are; what is elsewhere on the same
// host is another's.
func (c *Client) ownPath(path string) string {
	prefix := ""
	if u, err := url.Parse(c.root); err == nil {
		prefix = strings.TrimRight(u.Path, "/")
	}
	path = OwnPath(path)
	if !strings.HasPrefix(path, prefix+"/") || prefix != "" && strings.Contains(path, "..") {
		return prefix + "/"
	}
	return path
}

// begun is a login that was begun.
type begun struct {
	Provider, Nonce, Verifier, ReturnTo string
}

// take finds what was begun with a state in this browser, and uses it up.
func (c *Client) take(ctx context.Context, state, browser string) (b begun, err error) {
	stateSum, browserSum := sha256.Sum256([]byte(state)), sha256.Sum256([]byte(browser))
	err = c.db.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			DELETE FROM login
			WHERE state_sha256 = @state AND browser_sha256 = @browser AND expires_at > now()
			RETURNING provider, nonce, verifier, return_to`,
			pgx.NamedArgs{"state": stateSum[:], "browser": browserSum[:]}).
			Scan(&b.Provider, &b.Nonce, &b.Verifier, &b.ReturnTo)
	})
	return b, err
}

// LogoutURL is where the browser goes to end its session with the provider too
// (OpenID Connect RP-Initiated Logout 1.0); "" where the provider has no such
// place.
func (c *Client) LogoutURL(ctx context.Context, issuer string) string {
	p, err := c.provider(ctx, issuer)
	if err != nil {
		return ""
	}
	at, err := c.discover(ctx, issuer)
	if err != nil || at.extra.EndSession == "" {
		return ""
	}
	u, err := url.Parse(at.extra.EndSession)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set("client_id", p.ClientID)
	q.Set("post_logout_redirect_uri", c.SignedOut())
	u.RawQuery = q.Encode()
	return u.String()
}

// Purge removes logins that were begun and never came back, up to a bound, and
// says how many there were.
func (c *Client) Purge(ctx context.Context) (gone int, err error) {
	err = c.db.System(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			DELETE FROM login
			WHERE state_sha256 IN (
				SELECT state_sha256 FROM login
				WHERE expires_at < now()
				LIMIT 5000
				FOR UPDATE SKIP LOCKED)`)
		gone = int(tag.RowsAffected())
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("purge logins: %w", err)
	}
	return gone, nil
}

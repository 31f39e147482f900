// Package oidc logs people in by an identity provider of their hospital: OpenID
// Connect, authorization code flow with PKCE. It knows the providers that the
// operator has added (overread provider add), says where a browser has to go
// (login.go), judges what it comes back with (callback.go, token.go), and finds
// out what the person may be here (place.go). What comes of it is a session
// (internal/session); the pages around it are in package web.
//
// Everything that it asks of a provider goes through the guard of
// internal/outbound. Nothing of a token is kept or logged.
package oidc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/session"
)

// Limits bound what a provider may answer.
var Limits = outbound.Limits{Timeout: 8 * time.Second, MaxBody: 512 << 10}

// Config is what a Client needs. All but Now, Log and Record must be given.
type Config struct {
	DB       *pg.DB
	Sessions *session.Store
	HTTP     *http.Client // for everything that providers are asked; it decides which addresses may be
	Root     string       // where our pages are, as clients see it, without a slash at its end
	Record   access.Recorder
	Now      func() time.Time
	Log      *slog.Logger
}

// Client is who relies on the providers.
type Client struct {
	db       *pg.DB
	sessions *session.Store
	http     *http.Client
	root     string
	record   access.Recorder
	now      func() time.Time
	log      *slog.Logger

	mu    sync.Mutex
	known map[string]*provider // what providers last said of themselves, by issuer
}

// New makes a Client.
func New(cfg Config) *Client {
	c := &Client{db: cfg.DB, sessions: cfg.Sessions, http: cfg.HTTP, root: cfg.Root, record: cfg.Record, now: cfg.Now, log: cfg.Log, known: map[string]*provider{}}
	if c.now == nil {
		c.now = time.Now
	}
	if c.log == nil {
		c.log = slog.Default()
	}
	if c.record == nil {
		c.record = func(context.Context, pgx.Tx, access.Event) error { return nil }
	}
	return c
}

// Provider is a row of the table of providers.
type Provider struct {
	Name       string
	Issuer     string
	Display    string
	ClientID   string
	SecretFile *string
	Scopes     string
	RolesClaim string
}

// Providers are those by which somebody can log in, by name.
func (c *Client) Providers(ctx context.Context) (all []Provider, err error) {
	err = c.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT name, issuer, display, client_id, secret_file, scopes, roles_claim
			FROM provider
			ORDER BY display, name`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Provider])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("providers: %w", err)
	}
	return all, nil
}

// provider finds one by its name or its issuer.
func (c *Client) provider(ctx context.Context, nameOrIssuer string) (Provider, error) {
	var found Provider
	err := c.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT name, issuer, display, client_id, secret_file, scopes, roles_claim
			FROM provider
			WHERE name = $1 OR issuer = $1`, nameOrIssuer)
		if err != nil {
			return err
		}
		found, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Provider])
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Provider{}, fault.New(fault.NotFound, "there is no such identity provider here")
	}
	if err != nil {
		return Provider{}, fmt.Errorf("find a provider: %w", err)
	}
	return found, nil
}

// Callback is the address to which a provider sends the browser back: one for
// each provider, so that an answer of one is never taken for that of another. It
// is registered there exactly so.
func (c *Client) Callback(provider string) string { return c.root + "/login/" + provider + "/callback" }

// SignedOut is the address to which a provider may send the browser after logout.
func (c *Client) SignedOut() string { return c.root + "/signed-out" }

// SecretVariable is the variable of the environment that has a provider's client
// secret where no file does.
func SecretVariable(provider string) string {
	return "OVERREAD_PROVIDER_" + strings.ToUpper(strings.ReplaceAll(provider, "-", "_")) + "_SECRET"
}

// secret is the provider's client secret; "" for a public client.
func (p Provider) secret() (string, error) {
	if p.SecretFile == nil {
		return os.Getenv(SecretVariable(p.Name)), nil
	}
	text, err := os.ReadFile(*p.SecretFile)
	if err != nil {
		return "", fmt.Errorf("client secret of %s: %w", p.Name, err)
	}
	return strings.TrimSpace(string(text)), nil
}

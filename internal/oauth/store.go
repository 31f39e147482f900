package oauth

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// client is a row of the table of clients.
type client struct {
	TenantID  uuid.UUID
	ClientID  uuid.UUID
	Name      string
	Role      access.Role
	Scopes    string
	JWKS      []byte
	JWKSURL   *string
	Found     string // what the address gave last, "" for nothing yet
	FreshTill *time.Time
	Suspended bool // with its tenant
}

// actor is the client as the audit names it.
func (c *client) actor() access.Actor {
	return access.Actor{Tenant: c.TenantID, ID: c.ClientID, Role: c.Role, Display: c.Name}
}

// client finds a client that may have tokens.
func (s *Server) client(ctx context.Context, id uuid.UUID) (*client, error) {
	c := &client{}
	err := s.db.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT c.tenant_id, c.client_id, c.name, c.role, c.scopes, c.jwks::text, c.jwks_url, coalesce(c.jwks_found, ''), c.jwks_fresh_till, s.state <> 'active'
			FROM client c
			JOIN tenant s ON s.tenant_id = c.tenant_id
			WHERE c.client_id = $1 AND c.revoked_at IS NULL`, id).
			Scan(&c.TenantID, &c.ClientID, &c.Name, &c.Role, &c.Scopes, &c.JWKS, &c.JWKSURL, &c.Found, &c.FreshTill, &c.Suspended)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, invalidClient("no such client")
	}
	if err != nil {
		return nil, fmt.Errorf("find a client: %w", err)
	}
	return c, nil
}

// spend uses an assertion up, for all replicas. It is remembered for longer than
// any clock of ours may differ.
func (s *Server) spend(ctx context.Context, c *client, jti [sha256.Size]byte, expires time.Time) error {
	var first bool
	err := s.db.System(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			INSERT INTO client_assertion (tenant_id, client_id, jti_sha256, expires_at)
			VALUES (@tenant, @client, @jti, greatest(@expires, now()) + interval '5 minutes')
			ON CONFLICT (tenant_id, client_id, jti_sha256) DO NOTHING`,
			pgx.NamedArgs{"tenant": c.TenantID, "client": c.ClientID, "jti": jti[:], "expires": expires})
		first = tag.RowsAffected() == 1
		return err
	})
	if err != nil {
		return fmt.Errorf("use an assertion up: %w", err)
	}
	if !first {
		return invalidClient("used before")
	}
	return nil
}

func (s *Server) issue(ctx context.Context, c *client, token, scopes string) error {
	sum := sha256.Sum256([]byte(token))
	err := s.db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at)
			VALUES (@tenant, @sum, @client, @scopes, now() + @seconds * interval '1 second')`,
			pgx.NamedArgs{"tenant": c.TenantID, "sum": sum[:], "client": c.ClientID, "scopes": scopes, "seconds": int(TokenLife / time.Second)})
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE client SET last_token_at = now() WHERE tenant_id = $1 AND client_id = $2`, c.TenantID, c.ClientID); err != nil {
			return err
		}
		actor := c.actor()
		actor.Token = access.TokenURN(token) // so that what it is used for is found with it
		return s.record(ctx, tx, access.Event{Kind: access.TokenIssued, Tenant: c.TenantID, Actor: actor, Object: c.ClientID.String(), Scopes: string(c.Role) + " " + scopes})
	})
	if err != nil {
		return fmt.Errorf("issue a token: %w", err)
	}
	return nil
}

// issued is a row of the table of tokens.
type issued struct {
	ClientID  uuid.UUID
	Scopes    string
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// active is a token of the client's tenant that is in force; nil where there is
// none.
func (s *Server) active(ctx context.Context, c *client, token string) (*issued, error) {
	sum := sha256.Sum256([]byte(token))
	t := &issued{}
	err := s.db.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT t.client_id, t.scopes, t.issued_at, t.expires_at
			FROM access_token t
			JOIN client c ON c.tenant_id = t.tenant_id AND c.client_id = t.client_id
			WHERE t.tenant_id = $1 AND t.token_sha256 = $2 AND t.expires_at > now() AND c.revoked_at IS NULL`, c.TenantID, sum[:]).
			Scan(&t.ClientID, &t.Scopes, &t.IssuedAt, &t.ExpiresAt)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look a token up: %w", err)
	}
	return t, nil
}

func (s *Server) end(ctx context.Context, c *client, token string) error {
	sum := sha256.Sum256([]byte(token))
	return s.db.System(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			DELETE FROM access_token
			WHERE tenant_id = $1 AND client_id = $2 AND token_sha256 = $3`, c.TenantID, c.ClientID, sum[:])
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return s.record(ctx, tx, access.Event{Kind: access.TokenRevoked, Tenant: c.TenantID, Actor: c.actor(),
			Token: access.TokenURN(token), Object: c.ClientID.String()})
	})
}

// keep notes what a client's address gave.
func (s *Server) keep(ctx context.Context, c *client, text string, at, fresh time.Time) error {
	return s.db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE client
			SET jwks_found = @text, jwks_found_at = @at, jwks_fresh_till = @fresh
			WHERE tenant_id = @tenant AND client_id = @client`,
			pgx.NamedArgs{"tenant": c.TenantID, "client": c.ClientID, "text": text, "at": at, "fresh": fresh})
		return err
	})
}

// Purge removes tokens and assertions that have expired, up to a bound, and says
// how many there were.
func (s *Server) Purge(ctx context.Context) (gone int, err error) {
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		gone = 0
		for _, sql := range []string{`
			DELETE FROM client_assertion
			WHERE (tenant_id, client_id, jti_sha256) IN (
				SELECT tenant_id, client_id, jti_sha256
				FROM client_assertion
				WHERE expires_at < now()
				LIMIT 5000
				FOR UPDATE SKIP LOCKED)`, `
			DELETE FROM access_token
			WHERE (tenant_id, token_sha256) IN (
				SELECT tenant_id, token_sha256
				FROM access_token
				WHERE expires_at < now()
				LIMIT 5000
				FOR UPDATE SKIP LOCKED)`,
		} {
			tag, err := tx.Exec(ctx, sql)
			if err != nil {
				return fmt.Errorf("purge tokens: %w", err)
			}
			gone += int(tag.RowsAffected())
		}
		return nil
	})
	return gone, err
}

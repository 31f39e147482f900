package administration

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/outbound"
)

// Client is a system that gets its tokens by SMART Backend Services, as `overread
// client add --json` and list print it, too.
type Client struct {
	ClientID  uuid.UUID   `json:"clientId"`
	Tenant    string      `json:"tenant" db:"-"`
	Name      string      `json:"name"`
	Role      access.Role `json:"role"`
	Scopes    string      `json:"scopes"`
	JWKSURL   *string     `json:"jwksUrl,omitempty"`
	JWKS      *string     `json:"-"` // its public keys, where they are not at an address
	CreatedAt *time.Time  `json:"createdAt,omitempty"`
	LastToken *time.Time  `json:"lastToken,omitempty"` // when it last got a token
	RevokedAt *time.Time  `json:"revokedAt,omitempty"`
}

// KeyIDs are the ids of its keys, where they are here.
func (c Client) KeyIDs() []string {
	if c.JWKS == nil {
		return nil
	}
	return oauth.KeyIDs([]byte(*c.JWKS))
}

// Clients are those of a tenant in the order in which they were added, with those
// that were revoked.
func (k Keeper) Clients(ctx context.Context, tenant uuid.UUID) (all []Client, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT client_id, name, role, scopes, jwks_url, jwks::text AS jwks, created_at, last_token_at AS last_token, revoked_at
			FROM client
			WHERE tenant_id = $1
			ORDER BY client_id`, tenant)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Client])
		return err
	})
	return all, wrapped("clients", err)
}

// AddClient adds a client with its id. It refuses scopes that cannot be read, and
// keys that are none.
func (k Keeper) AddClient(ctx context.Context, by By, c *Client) error {
	if c.Name = strings.TrimSpace(c.Name); c.Name == "" || len(c.Name) > longestText {
		return fault.At(fault.Value, "name", "Give the system a name of at most 300 letters, by which logs and audit call it.")
	}
	grant, err := access.ParseSystemGrant(c.Scopes)
	if err == nil {
		err = k.CheckGrant(grant)
	}
	if err != nil {
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.Value, Expression: "scope", Text: err.Error()}}}
	}
	c.Scopes = grant.String()
	if err := checkKeys(c.JWKS, c.JWKSURL); err != nil {
		return err
	}
	if c.ClientID, err = uuid.NewV7(); err != nil {
		return err
	}
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		_, err := tx.Exec(ctx, `
			INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks, jwks_url)
			VALUES (@tenant, @client, @name, @role, @scopes, @jwks, @jwks_url)`,
			pgx.NamedArgs{"tenant": by.Actor.Tenant, "client": c.ClientID, "name": c.Name, "role": c.Role, "scopes": c.Scopes, "jwks": c.JWKS, "jwks_url": c.JWKSURL})
		done := by.event(access.ClientAdded, c.ClientID.String())
		done.Scopes = string(c.Role) + " " + c.Scopes
		return done, err
	})
	return wrapped("add a client", err)
}

// RotateClient gives a client other keys, and ends the tokens that it got by those of
// before.
func (k Keeper) RotateClient(ctx context.Context, by By, id uuid.UUID, jwks, address *string) error {
	if err := checkKeys(jwks, address); err != nil {
		return err
	}
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		args := pgx.NamedArgs{"tenant": by.Actor.Tenant, "client": id, "jwks": jwks, "jwks_url": address}
		tag, err := tx.Exec(ctx, `
			UPDATE client
			SET jwks = @jwks, jwks_url = @jwks_url, jwks_found = NULL, jwks_found_at = NULL, jwks_fresh_till = NULL
			WHERE tenant_id = @tenant AND client_id = @client AND revoked_at IS NULL`, args)
		if err == nil && tag.RowsAffected() == 0 {
			err = noClient()
		}
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM access_token WHERE tenant_id = @tenant AND client_id = @client`, args)
		}
		done := by.event(access.ClientChanged, id.String())
		done.Reason = "other keys"
		return done, err
	})
	return wrapped("rotate a client's keys", err)
}

// RevokeClient ends a client at once: the next request with one of its tokens is
// refused.
func (k Keeper) RevokeClient(ctx context.Context, by By, id uuid.UUID) error {
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		tag, err := tx.Exec(ctx, `
			UPDATE client
			SET revoked_at = now()
			WHERE tenant_id = $1 AND client_id = $2 AND revoked_at IS NULL`, by.Actor.Tenant, id)
		if err == nil && tag.RowsAffected() == 0 {
			err = noClient()
		}
		return by.event(access.ClientRevoked, id.String()), err
	})
	return wrapped("revoke a client", err)
}

func noClient() error {
	return fault.New(fault.NotFound, "There is no such system that is in force: somebody may have revoked it meanwhile.")
}

// checkKeys wants a client's keys in one of the two places, in a form that is good.
func checkKeys(jwks, address *string) error {
	switch {
	case (jwks == nil) == (address == nil):
		return fault.At(fault.Required, "jwks", "Give the key set, or the address where it is published, and not both.")
	case jwks != nil:
		if err := oauth.CheckKeys([]byte(*jwks)); err != nil {
			return &fault.Error{Issues: []fault.Issue{{Kind: fault.Value, Expression: "jwks", Text: err.Error()}}}
		}
		return nil
	}
	return checkAddress("jwks-url", *address)
}

// checkAddress refuses what no setting of the fence could allow.
func checkAddress(field, address string) error {
	if err := outbound.WellFormed(address); err != nil {
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.Value, Expression: field, Text: err.Error()}}}
	}
	return nil
}

// Key is what a bearer token without end stands for. The token itself nobody has
// but its owner.
type Key struct {
	ActorID   uuid.UUID
	Role      access.Role
	Display   string
	Scopes    *string // all that the role may where there are none
	Bound     bool    // to one patient
	Tokens    int     // how many of them the actor has
	CreatedAt time.Time
	UsedAt    *time.Time // to the hour
}

// Keys are the bearer tokens of a tenant that are in force, together by actor.
func (k Keeper) Keys(ctx context.Context, tenant uuid.UUID) (all []Key, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.actor_id, t.role, min(t.display) AS display, t.scopes, t.patient IS NOT NULL AS bound, count(*) AS tokens, min(t.created_at) AS created_at, max(u.used_at) AS used_at
			FROM token t
			LEFT JOIN token_use u USING (tenant_id, token_sha256)
			WHERE t.tenant_id = $1 AND t.revoked_at IS NULL
			GROUP BY t.actor_id, t.role, t.scopes, t.patient IS NOT NULL
			ORDER BY display, t.role, t.actor_id
			LIMIT 1000`, tenant)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Key])
		return err
	})
	return all, wrapped("keys", err)
}

// RevokeKeys revokes all bearer tokens of an actor at a tenant, and says how many
// there were.
func (k Keeper) RevokeKeys(ctx context.Context, by By, actor uuid.UUID) (revoked int64, err error) {
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		tag, err := tx.Exec(ctx, `
			UPDATE token
			SET revoked_at = now()
			WHERE tenant_id = $1 AND actor_id = $2 AND revoked_at IS NULL`, by.Actor.Tenant, actor)
		if revoked = tag.RowsAffected(); err == nil && revoked == 0 {
			err = errNoKey
		}
		return by.event(access.KeysRevoked, actor.String()), err
	})
	if errors.Is(err, errNoKey) {
		return 0, fault.New(fault.NotFound, "There is no key of this owner that is in force: somebody may have revoked it meanwhile.")
	}
	return revoked, wrapped("revoke keys", err)
}

var errNoKey = errors.New("no key in force")

// NewKeys makes a pair of keys for a system: the private half, which is kept nowhere
// here, and the key set with the public one.
func NewKeys() (private, public string, err error) {
	secret, open, err := oauth.NewKeyPair()
	return string(secret), string(open), err
}

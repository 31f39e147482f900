// Package access says who is calling: it turns a bearer token into an Actor.
//
// Tokens are opaque random strings, made by `overread token add` or by the token
// endpoint (internal/oauth); the database keeps their SHA-256 only. Those of the
// token endpoint have scopes (scope.go) besides the role of their client.
package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Role is what an actor may be in the life of a case (workflow/transitions.go).
type Role string

// The roles. System is the server itself; no token carries it.
const (
	System      Role = "system"
	Placer      Role = "placer" // the EHR, and the clinicians who work in it
	Reader      Role = "reader"
	Adjudicator Role = "adjudicator"
	Supervisor  Role = "supervisor"
	Coordinator Role = "coordinator"
	Auditor     Role = "auditor"
	Director    Role = "director" // the medical director
)

// Actor is the caller of one request, always within one tenant.
type Actor struct {
	Tenant  uuid.UUID
	ID      uuid.UUID // of the person or system; a reader's is their reader_id; uuid.Nil for the system
	Role    Role
	Display string
	Grant   Grant // what the scopes of the token allow; nil: all that the role may
}

// SystemActor is the server acting for a tenant by itself.
func SystemActor(tenant uuid.UUID) Actor {
	return Actor{Tenant: tenant, Role: System, Display: "Overread"}
}

// NewToken returns a token of 256 random bits.
func NewToken() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Identify finds the actor of a token. It returns a fault of kind
// Unauthenticated for a token that is unknown, expired or revoked.
func Identify(ctx context.Context, db *pg.DB, token string) (Actor, error) {
	sum := sha256.Sum256([]byte(token))
	var a Actor
	var scopes *string
	err := db.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT tenant_id, actor_id, role, display, NULL AS scopes
			FROM token
			WHERE token_sha256 = @sum AND revoked_at IS NULL
			UNION ALL
			SELECT c.tenant_id, c.client_id, c.role, c.name, t.scopes
			FROM access_token t
			JOIN client c ON c.tenant_id = t.tenant_id AND c.client_id = t.client_id
			WHERE t.token_sha256 = @sum AND t.expires_at > now() AND c.revoked_at IS NULL`, pgx.NamedArgs{"sum": sum[:]}).
			Scan(&a.Tenant, &a.ID, &a.Role, &a.Display, &scopes)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Actor{}, fault.New(fault.Unauthenticated, "the bearer token is not known here, or no longer; get one from the token endpoint, or ask the operator (overread token add)")
	}
	if err == nil && scopes != nil {
		a.Grant, err = ParseGrant(*scopes)
	}
	if err != nil {
		return Actor{}, err
	}
	return a, nil
}

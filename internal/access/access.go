// Package access says who is calling: it turns a bearer token into an Actor.
//
// Tokens are opaque random strings made by `overread token add`; the database
// keeps their SHA-256 only.
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
// Unauthenticated for a token that is unknown or revoked.
func Identify(ctx context.Context, db *pg.DB, token string) (Actor, error) {
	sum := sha256.Sum256([]byte(token))
	var a Actor
	err := db.System(ctx, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT tenant_id, actor_id, role, display
			FROM token
			WHERE token_sha256 = $1 AND revoked_at IS NULL`, sum[:]).
			Scan(&a.Tenant, &a.ID, &a.Role, &a.Display)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Actor{}, fault.New(fault.Unauthenticated, "the bearer token is not known here; ask the operator for one (overread token add)")
	}
	return a, err
}

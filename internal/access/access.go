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

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

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
	Quality     Role = "quality"  // reads the clinical record, and how readings were graded
	Admin       Role = "admin"    // keeps the directory; nothing of patients
)

// Actor is the caller of one request, always within one tenant.
type Actor struct {
	Tenant  uuid.UUID
	ID      uuid.UUID // of the person or system; a reader's is their reader_id; uuid.Nil for the system
	Reader  uuid.UUID // who the person is among the tenant's readers, whatever role they come in; uuid.Nil: no reader
	Role    Role
	Display string
	Grant   Grant  // what the scopes of the token allow; nil: all that the role may
	Patient string // "Patient/{id}" where only what is of this patient is open to it, else ""
	// Opened are the patients ("Patient/1") whose records this person has opened in
	// an emergency; only a session has any (break-glass, docs/security.md).
	Opened []string
	Token  string // TokenURN or SessionURN of what they came in with, for the audit; "" for the system
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

// Suspended is what those are told who are known here, and whose tenant is not at
// work (overread tenant suspend). It is of kind Unavailable, so that systems keep
// what they wanted to send.
func Suspended() error {
	return &fault.Error{Issues: []fault.Issue{{Kind: fault.Unavailable,
		Text: "your organisation is suspended here, and nothing was done: send it again when it is resumed, which the operator of this server decides"}}, Cause: pg.ErrSuspended}
}

// Identify finds the actor of a token. It returns a fault of kind
// Unauthenticated for a token that is unknown, expired or revoked, and those of
// Choice.Of where the token is one for several tenants or its tenant is suspended.
func Identify(ctx context.Context, db *pg.DB, token string, choice Choice) (Actor, error) {
	sum := sha256.Sum256([]byte(token))
	_, places, err := lookUp(ctx, db, sum[:])
	if err != nil {
		return Actor{}, err
	}
	return choice.Of(places)
}

// placesOfToken is what a token stands for at each tenant.
//
//nolint:gosec // SQL, no secret
const placesOfToken = `
	SELECT t.tenant_id, n.name AS tenant_name, t.actor_id, coalesce(me.reader_id, '00000000-0000-0000-0000-000000000000') AS reader_id, t.role, t.display, t.scopes,
	       coalesce(t.patient, '') AS patient, n.state <> 'active' AS suspended, n.access_mark, 'infinity'::timestamptz AS ends_at
	FROM token t
	JOIN tenant n ON n.tenant_id = t.tenant_id
	LEFT JOIN reader me ON me.tenant_id = t.tenant_id AND me.reader_id = t.actor_id
	WHERE t.token_sha256 = @sum AND t.revoked_at IS NULL
	  AND NOT EXISTS (
		SELECT FROM reader r
		WHERE r.tenant_id = t.tenant_id AND r.reader_id = t.actor_id AND NOT r.active
		  AND t.role IN ('reader', 'adjudicator', 'supervisor'))
	UNION ALL
	SELECT c.tenant_id, n.name, c.client_id, '00000000-0000-0000-0000-000000000000', c.role, c.name, t.scopes, '', n.state <> 'active', n.access_mark, t.expires_at
	FROM access_token t
	JOIN client c ON c.tenant_id = t.tenant_id AND c.client_id = t.client_id
	JOIN tenant n ON n.tenant_id = t.tenant_id
	WHERE t.token_sha256 = @sum AND t.expires_at > now() AND c.revoked_at IS NULL`

// noteUse says of a bearer token without end that it is used, to the hour.
const noteUse = `
	INSERT INTO token_use (tenant_id, token_sha256)
	SELECT t.tenant_id, t.token_sha256
	FROM token t
	LEFT JOIN token_use u ON u.tenant_id = t.tenant_id AND u.token_sha256 = t.token_sha256
	WHERE t.token_sha256 = @sum AND t.revoked_at IS NULL AND (u.used_at IS NULL OR u.used_at < now() - interval '1 hour')
	ON CONFLICT (tenant_id, token_sha256) DO UPDATE SET used_at = now()`

// lookUp finds what a token stands for.
func lookUp(ctx context.Context, db *pg.DB, sum []byte) (rows []placeRow, places []Place, err error) {
	err = db.System(ctx, func(tx pgx.Tx) error {
		found, err := tx.Query(ctx, placesOfToken, pgx.NamedArgs{"sum": sum})
		if err != nil {
			return err
		}
		if rows, err = collectPlaces(found); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, noteUse, pgx.NamedArgs{"sum": sum})
		return err
	})
	if err == nil && len(rows) == 0 {
		err = unknownToken()
	}
	if err != nil {
		return nil, nil, err
	}
	places = make([]Place, len(rows))
	for i, row := range rows {
		places[i] = Place{Actor: Actor{Tenant: row.TenantID, ID: row.ActorID, Reader: row.ReaderID, Role: row.Role, Display: row.Display, Patient: row.Patient, Token: tokenURN(sum)}, TenantName: row.TenantName, Suspended: row.Suspended}
		if row.Scopes != nil {
			if places[i].Grant, err = ParseGrant(*row.Scopes); err != nil {
				return nil, nil, err
			}
		}
	}
	return rows, places, nil
}

func unknownToken() error {
	return fault.New(fault.Unauthenticated, "the bearer token is not known here, or no longer; get one from the token endpoint, or ask the operator (overread token add)")
}

// placeRow is what a token stands for at one tenant.
type placeRow struct {
	TenantID   uuid.UUID
	TenantName string
	ActorID    uuid.UUID
	ReaderID   uuid.UUID
	Role       Role
	Display    string
	Scopes     *string
	Patient    string
	Suspended  bool
	AccessMark uuid.UUID          // of the tenant, migration 00027
	EndsAt     pgtype.Timestamptz // by the database's clock; infinity where it has no end
}

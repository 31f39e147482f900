package pgtest

import (
	"context"
	"crypto/sha256"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// AddTenant adds a tenant whose EHR is at https://ehr.example/{name}.
func AddTenant(t testing.TB, db *Database, name string) uuid.UUID {
	t.Helper()
	id := newID(t)
	system(t, db, `
		INSERT INTO tenant (tenant_id, name, display, ehr_base)
		VALUES (@tenant, @name, @name, 'https://ehr.example/' || @name)`,
		pgx.NamedArgs{"tenant": id, "name": name})
	return id
}

// AddToken adds a bearer token for somebody new in this role.
func AddToken(t testing.TB, db *Database, tenant uuid.UUID, role access.Role) (token string, actor access.Actor) {
	t.Helper()
	actor = access.Actor{Tenant: tenant, ID: newID(t), Role: role, Display: "the " + string(role)}
	token = addToken(t, db, actor)
	actor.Token = access.TokenURN(token)
	return token, actor
}

// AddReader credentials a reader (credential is written as JSON: a
// workflow.Reader) and adds a token in the role of reader.
func AddReader(t testing.TB, db *Database, tenant uuid.UUID, display string, credential any) (token string, actor access.Actor) {
	t.Helper()
	actor = access.Actor{Tenant: tenant, ID: newID(t), Role: access.Reader, Display: display}
	system(t, db, `
		INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential)
		VALUES (@tenant, @reader, @reader::uuid::text, @display, @credential::jsonb)`,
		pgx.NamedArgs{"tenant": tenant, "reader": actor.ID, "display": display, "credential": credential})
	token = addToken(t, db, actor)
	actor.Token = access.TokenURN(token)
	return token, actor
}

// AddDestination adds an EHR to which the tenant's reports go.
func AddDestination(t testing.TB, db *Database, tenant uuid.UUID, name, baseURL string) {
	t.Helper()
	system(t, db, `
		INSERT INTO destination (tenant_id, destination, base_url)
		VALUES (@tenant, @name, @base)`,
		pgx.NamedArgs{"tenant": tenant, "name": name, "base": baseURL})
}

func addToken(t testing.TB, db *Database, a access.Actor) string {
	t.Helper()
	token := access.NewToken()
	sum := sha256.Sum256([]byte(token))
	system(t, db, `
		INSERT INTO token (tenant_id, token_sha256, actor_id, role, display)
		VALUES (@tenant, @sum, @actor, @role, @display)`,
		pgx.NamedArgs{"tenant": a.Tenant, "sum": sum[:], "actor": a.ID, "role": a.Role, "display": a.Display})
	return token
}

func system(t testing.TB, db *Database, sql string, args pgx.NamedArgs) {
	t.Helper()
	ctx := context.Background()
	err := db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql, args)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func newID(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

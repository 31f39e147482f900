package access_test

import (
	"context"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
)

// replica is a server's view of one database: a pool and a memory of its own.
type replica struct {
	db     *pg.DB
	tokens *access.Tokens
}

// door is a tenant whose client, EHR and reader come in by two replicas.
type door struct {
	t        *testing.T
	owner    *pgx.Conn
	tenant   uuid.UUID
	other    uuid.UUID // a tenant at which nobody here is anything
	tokens   map[string]string
	replicas []replica
}

func openDoor(t *testing.T) *door {
	t.Helper()
	db := pgtest.New(t)
	d := &door{t: t, owner: db.Owner(t), tenant: pgtest.AddTenant(t, db, "mercy"), other: pgtest.AddTenant(t, db, "lakeside"), tokens: map[string]string{}}
	d.tokens["system"], _ = pgtest.AddToken(t, db, d.tenant, access.Placer)
	d.tokens["reader"], _ = pgtest.AddReader(t, db, d.tenant, "Dr. R", map[string]any{})
	d.tokens["client"] = access.NewToken()
	sum := sha256.Sum256([]byte(d.tokens["client"]))
	d.exec(`INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks) VALUES (@tenant, @client, 'EHR', 'placer', 'system/*.cruds', '{}')`, pgx.NamedArgs{"client": uuid.New()})
	d.exec(`INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at)
		SELECT @tenant, @sum, client_id, 'system/*.cruds', now() + interval '1 hour' FROM client`, pgx.NamedArgs{"sum": sum[:]})
	for range 2 {
		own, err := pg.Open(t.Context(), db.URL)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(own.Close)
		d.replicas = append(d.replicas, replica{own, access.NewTokens(own)})
	}
	return d
}

func (d *door) exec(sql string, args pgx.NamedArgs) {
	d.t.Helper()
	if args == nil {
		args = pgx.NamedArgs{}
	}
	args["tenant"], args["other"] = d.tenant, d.other
	for part := range strings.SplitSeq(sql, ";") {
		if _, err := d.owner.Exec(context.Background(), part, args); err != nil {
			d.t.Fatalf("%s: %v", part, err)
		}
	}
}

// request is one that was let in, and is about to do something.
func (r replica) request(t *testing.T, token string) (act func() error, err error) {
	t.Helper()
	ctx := pg.WithChecks(t.Context())
	actor, err := r.tokens.Identify(ctx, token, access.Choice{})
	return func() error {
		return r.db.Tenant(ctx, actor.Tenant, func(tx pgx.Tx) error {
			var role, tenant string
			err := tx.QueryRow(ctx, `SELECT current_user, current_setting('overread.tenant')`).Scan(&role, &tenant)
			if err == nil && (role != "overread_app" || tenant != actor.Tenant.String()) {
				t.Errorf("it works as %s for %s", role, tenant)
			}
			return err
		})
	}, err
}

// known has both replicas remember the token.
func (d *door) known(token string) {
	d.t.Helper()
	for _, r := range d.replicas {
		for range 2 {
			act, err := r.request(d.t, token)
			if err == nil {
				err = act()
			}
			if err != nil {
				d.t.Fatal(err)
			}
		}
	}
}

// What a token stands for may change between the moment in which a replica has
// taken it from its memory and the transaction in which it is used: then nothing is
// done, on whichever replica.
func TestWhatChangesAfterATokenWasRememberedCountsWhenItIsUsed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		who, sql string
		want     fault.Kind
	}{
		"a token is revoked":             {"system", `UPDATE token SET revoked_at = now() WHERE tenant_id = @tenant`, fault.Unauthenticated},
		"a token is removed":             {"system", `DELETE FROM token WHERE tenant_id = @tenant`, fault.Unauthenticated},
		"a token gets another role":      {"system", `UPDATE token SET role = 'auditor' WHERE tenant_id = @tenant`, fault.Unavailable},
		"a token gets scopes":            {"system", `UPDATE token SET scopes = 'system/Patient.r' WHERE tenant_id = @tenant`, fault.Unavailable},
		"a token gets a patient":         {"system", `UPDATE token SET patient = 'Patient/1' WHERE tenant_id = @tenant`, fault.Unavailable},
		"a token is good elsewhere too":  {"system", `INSERT INTO token SELECT @other, token_sha256, actor_id, role, display FROM token WHERE tenant_id = @tenant`, fault.Unavailable},
		"a reader is no longer active":   {"reader", `UPDATE reader SET active = false`, fault.Unauthenticated},
		"a reader is removed":            {"reader", `DELETE FROM reader`, fault.Unavailable},
		"who has a token becomes reader": {"system", `INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential) SELECT tenant_id, actor_id, 'p', 'Dr. S', '{}' FROM token WHERE role = 'placer'`, fault.Unavailable},
		"a client is revoked":            {"client", `UPDATE client SET revoked_at = now()`, fault.Unauthenticated},
		"a client's role changes":        {"client", `UPDATE client SET role = 'auditor'`, fault.Unavailable},
		"a client's name changes":        {"client", `UPDATE client SET name = 'another'`, fault.Unavailable},
		"a client is removed":            {"client", `DELETE FROM access_token; DELETE FROM client`, fault.Unauthenticated},
		"its scopes change":              {"client", `UPDATE access_token SET scopes = 'system/Patient.r'`, fault.Unavailable},
		"it ends its token":              {"client", `DELETE FROM access_token`, fault.Unauthenticated},
		"its token expires":              {"client", `UPDATE access_token SET expires_at = now()`, fault.Unauthenticated},
		"the tenant is suspended":        {"client", `UPDATE tenant SET state = 'suspended' WHERE tenant_id = @tenant`, fault.Unavailable},
		"the tenant has another name":    {"client", `UPDATE tenant SET name = 'mercy-2' WHERE tenant_id = @tenant`, fault.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDoor(t)
			token := d.tokens[c.who]
			d.known(token)
			var letIn []func() error
			for _, r := range d.replicas {
				act, err := r.request(t, token)
				if err != nil {
					t.Fatal(err)
				}
				letIn = append(letIn, act)
			}
			d.exec(c.sql, nil)
			for i, act := range letIn {
				if err := act(); !fault.Is(err, c.want) {
					t.Errorf("replica %d: %v", i, err)
				}
				if err := act(); !fault.Is(err, c.want) {
					t.Errorf("replica %d, the transaction after it: %v", i, err)
				}
			}
		})
	}
}

// What does not change what a token stands for makes nobody look again: it leaves the
// tenant's mark. What may have changed it and has not is looked at, and goes on.
func TestWhatChangesNothingOfATokenIsNotInItsWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql    string
		marked bool
	}{
		"nothing":                        {`SELECT 1`, false},
		"the keys of a client":           {`UPDATE client SET jwks_found = '{}', jwks_found_at = now()`, false},
		"a case is offered":              {`UPDATE reader SET last_offered_at = now()`, false},
		"another token is issued":        {`INSERT INTO access_token SELECT tenant_id, sha256('x'), client_id, scopes, expires_at, expires_at FROM access_token`, false},
		"what has expired is removed":    {`INSERT INTO access_token SELECT tenant_id, sha256('x'), client_id, scopes, now(), now() - interval '1 hour' FROM access_token; DELETE FROM access_token WHERE expires_at < now()`, false},
		"the policy":                     {`UPDATE tenant SET policy = '{}'`, false},
		"another tenant is suspended":    {`UPDATE tenant SET state = 'suspended' WHERE tenant_id = @other`, false},
		"another token is revoked":       {`UPDATE token SET revoked_at = now() WHERE role = 'placer'`, true},
		"a token is added":               {`INSERT INTO token (tenant_id, token_sha256, actor_id, role, display) VALUES (@tenant, sha256('x'), @tenant, 'placer', 'P')`, true},
		"suspended and resumed":          {`UPDATE tenant SET state = 'suspended'; UPDATE tenant SET state = 'active'`, true},
		"a change that is taken back":    {`BEGIN; UPDATE client SET revoked_at = now(); ROLLBACK`, false},
		"no row is changed":              {`DELETE FROM token WHERE false`, false},
		"a token of another tenant":      {`INSERT INTO token (tenant_id, token_sha256, actor_id, role, display) VALUES (@other, sha256('x'), @tenant, 'placer', 'P')`, false},
		"the time at which a token ends": {`UPDATE access_token SET expires_at = expires_at + interval '1 hour'`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := openDoor(t)
			mark := func() (id uuid.UUID) {
				if err := d.owner.QueryRow(context.Background(), `SELECT access_mark FROM tenant WHERE tenant_id = $1`, d.tenant).Scan(&id); err != nil {
					t.Fatal(err)
				}
				return id
			}
			d.known(d.tokens["client"])
			before := mark()
			d.exec(c.sql, nil)
			if changed := mark() != before; changed != c.marked {
				t.Errorf("the tenant is marked: %v", changed)
			}
			d.known(d.tokens["client"])
		})
	}
}

// Readers are changed by requests too, as the role that sees one tenant only.
func TestAReaderWhoIsChangedByARequestIsAnotherAtOnce(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	d.known(d.tokens["reader"])
	act, err := d.replicas[1].request(t, d.tokens["reader"])
	if err != nil {
		t.Fatal(err)
	}
	err = d.replicas[0].db.Tenant(t.Context(), d.tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `
			INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential) VALUES (overread_tenant(), $1, 'p', 'Dr. S', '{}')`, uuid.New())
		if err == nil {
			_, err = tx.Exec(t.Context(), `UPDATE reader SET active = false WHERE display = 'Dr. R'`)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := act(); !fault.Is(err, fault.Unauthenticated) {
		t.Errorf("%v", err)
	}
}

// A change waits for another one that is still being made, and neither is lost.
func TestTwoChangesAtOnceBothCount(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	d.known(d.tokens["client"])
	first, err := d.owner.Begin(t.Context())
	if err == nil {
		_, err = first.Exec(t.Context(), `UPDATE token SET revoked_at = now()`)
	}
	if err != nil {
		t.Fatal(err)
	}
	d.known(d.tokens["client"]) // nothing is committed
	d.known(d.tokens["system"])
	second := make(chan error)
	go func() {
		second <- d.replicas[0].db.System(context.Background(), func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), `UPDATE client SET revoked_at = now()`)
			return err
		})
	}()
	if err := first.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-second; err != nil {
		t.Fatal(err)
	}
	for _, who := range []string{"client", "system"} {
		for i, r := range d.replicas {
			act, err := r.request(t, d.tokens[who])
			if err == nil {
				err = act()
			}
			if !fault.Is(err, fault.Unauthenticated) {
				t.Errorf("%s at replica %d: %v", who, i, err)
			}
		}
	}
}

// Who may change what a token stands for and not the tenant's mark changes nothing.
func TestAChangeThatCannotBeToldIsNotMade(t *testing.T) {
	t.Parallel()
	d := openDoor(t)
	d.exec(`CREATE ROLE anybody_`+strings.ReplaceAll(d.tenant.String(), "-", "")+` NOLOGIN`, nil)
	role := "anybody_" + strings.ReplaceAll(d.tenant.String(), "-", "")
	t.Cleanup(func() { d.exec(`RESET ROLE; DROP OWNED BY `+role+`; DROP ROLE `+role, nil) })
	d.exec(`GRANT SELECT, UPDATE, DELETE, INSERT ON client, token, reader, access_token TO `+role+`; CREATE POLICY p ON client TO `+role+` USING (true);
		CREATE POLICY p ON token TO `+role+` USING (true); CREATE POLICY p ON reader TO `+role+` USING (true); CREATE POLICY p ON access_token TO `+role+` USING (true);
		GRANT SELECT, UPDATE ON tenant TO `+role+`; SET ROLE `+role, nil)
	for _, sql := range []string{`UPDATE client SET revoked_at = now()`, `UPDATE token SET revoked_at = now()`, `UPDATE reader SET active = false`, `DELETE FROM access_token`} {
		if _, err := d.owner.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "cannot be marked") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

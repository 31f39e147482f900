package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

type tokenCmd struct {
	Add    tokenAddCmd    `cmd:"" help:"Make a bearer token. It is printed once; the database keeps its hash only."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke all tokens of an actor: a person who has left, a key that was seen."`
}

type tokenRevokeCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Actor    string        `arg:"" placeholder:"UUID" help:"The actor's id, as overread token add --json prints it; a person's is the reader's."`
}

// Run revokes at once: the next request with such a token is refused.
func (c tokenRevokeCmd) Run(ctx context.Context, t terminal) error {
	actor, err := uuid.Parse(c.Actor)
	if err != nil {
		return fmt.Errorf("ACTOR: %q is no UUID", c.Actor)
	}
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	revoked, err := k.RevokeKeys(ctx, by, actor)
	switch {
	case fault.Is(err, fault.NotFound):
		return fmt.Errorf("ACTOR: %s has no token at tenant %s that is in force", actor, c.Tenant)
	case err != nil:
		return byFlag(err, nil)
	}
	t.printf("revoked: %d\n", revoked)
	return nil
}

type tokenAddCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" placeholder:"TENANT[,TENANT]" help:"Short name of the tenant; of several with commas between them, for somebody who works at all of them: their requests then say which one they mean (header Overread-Tenant)."`
	Role     string        `arg:"" enum:"placer,reader,adjudicator,supervisor,coordinator,auditor,director,quality,admin" help:"placer (the EHR), reader, adjudicator, supervisor, coordinator, auditor, director, quality or admin."`
	Display  string        `name:"display" help:"Whose it is, for logs and audit; the role when it is left out."`
	Person   string        `name:"person" placeholder:"UUID" help:"Whose it is by id: the reader's for reader, adjudicator and supervisor (overread reader add prints it). Others get a new id."`
	Out      string        `name:"out" type:"path" placeholder:"FILE" help:"Write the token to this file (mode 0600) rather than to stdout. It must not exist."`
	Scope    []string      `name:"scope" sep:"none" placeholder:"SCOPE" help:"What the token may do of what its role may: patient/*.rs, user/Task.rs, system/Observation.rs?category=laboratory; all that the role may when it is left out."`
	Patient  string        `name:"patient" placeholder:"ID" help:"Bind the token to the compartment of this Patient, whatever its scopes."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// tokenRow is what `overread token add --json` prints.
type tokenRow struct {
	Token   string      `json:"token,omitempty"` // left out when it went to a file
	Tenant  string      `json:"tenant"`
	Role    access.Role `json:"role"`
	ActorID uuid.UUID   `json:"actorId"`
	Display string      `json:"display"`
	Scopes  *string     `json:"scopes,omitempty"`
	Patient *string     `json:"patient,omitempty"`
}

func (c tokenAddCmd) Run(ctx context.Context, t terminal) error {
	row := tokenRow{Tenant: c.Tenant, Role: access.Role(c.Role), Display: c.Display}
	if c.Person != "" {
		id, err := uuid.Parse(c.Person)
		if err != nil {
			return fmt.Errorf("--person: %q is no UUID", c.Person)
		}
		row.ActorID = id
	}
	if err := c.bounds(&row); err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addToken(ctx, db, &row); err != nil {
		return err
	}
	if c.Out != "" {
		if err := writeNew(c.Out, row.Token+"\n", 0o600); err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		row.Token = ""
	}
	switch {
	case c.JSON:
		return printJSON(t, row)
	case c.Out != "":
		t.printf("%s\n", c.Out)
	default:
		t.printf("%s\n", row.Token)
	}
	return nil
}

// bounds reads what the token is bound to, besides its role.
func (c tokenAddCmd) bounds(row *tokenRow) error {
	if c.Patient != "" {
		patient := "Patient/" + strings.TrimPrefix(c.Patient, "Patient/")
		row.Patient = &patient
	}
	if len(c.Scope) == 0 {
		return nil
	}
	grant, err := access.ParseGrant(strings.Join(c.Scope, " "))
	if err == nil {
		err = fhir.CheckNewGrant(grant)
	}
	if err != nil {
		return fmt.Errorf("--scope: %w", err)
	}
	for _, area := range grant.Areas() {
		if area.Level == "patient" && c.Patient == "" {
			return errors.New("--scope: patient/ means the patient of --patient, which is not given")
		}
	}
	scopes := grant.String()
	row.Scopes = &scopes
	return nil
}

// personal are the roles of a person whom the tenant has credentialed; their
// tokens carry the reader's own id.
var personal = map[access.Role]bool{access.Reader: true, access.Adjudicator: true, access.Supervisor: true}

// addToken makes a token and fills in what the row leaves open. It refuses a
// reader's, adjudicator's or supervisor's token without that person.
func addToken(ctx context.Context, db *pg.DB, row *tokenRow) error {
	if row.Display == "" {
		row.Display = string(row.Role)
	}
	if row.ActorID == uuid.Nil {
		if personal[row.Role] {
			return fmt.Errorf("--person: a %s is a person; give the id that `overread reader add` printed", row.Role)
		}
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		row.ActorID = id
	}
	token := access.NewToken()
	err := db.System(ctx, func(tx pgx.Tx) error {
		for name := range strings.SplitSeq(row.Tenant, ",") {
			if err := addTokenAt(ctx, db, tx, name, token, row); err != nil {
				return err
			}
		}
		return nil
	})
	if pg.Constraint(err) == "token_pkey" {
		return fmt.Errorf("TENANT: %s names one of them twice", row.Tenant)
	}
	if err != nil {
		return err
	}
	row.Token = token
	return nil
}

// addTokenAt makes the token good at one tenant.
func addTokenAt(ctx context.Context, db *pg.DB, tx pgx.Tx, name, token string, row *tokenRow) error {
	sum := sha256.Sum256([]byte(token))
	tenant, err := tenantToChange(ctx, tx, name)
	if err != nil {
		return err
	}
	if personal[row.Role] {
		if err := mustBeReader(ctx, tx, tenant, name, row); err != nil {
			return err
		}
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO token (tenant_id, token_sha256, actor_id, role, display, scopes, patient)
		VALUES (@tenant_id, @token_sha256, @actor_id, @role, @display, @scopes, @patient)`,
		pgx.NamedArgs{"tenant_id": tenant, "token_sha256": sum[:], "actor_id": row.ActorID, "role": row.Role, "display": row.Display, "scopes": row.Scopes, "patient": row.Patient})
	if err != nil {
		return err
	}
	granted := []string{string(row.Role)}
	for _, bound := range []*string{row.Scopes, row.Patient} {
		if bound != nil {
			granted = append(granted, *bound)
		}
	}
	return record(ctx, db, tx, access.Event{Kind: access.KeyAdded, Tenant: tenant, Object: row.ActorID.String(),
		Token: access.TokenURN(token), Scopes: strings.Join(granted, " ")})
}

func mustBeReader(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string, row *tokenRow) error {
	var known bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM reader WHERE tenant_id = $1 AND reader_id = $2)`, tenant, row.ActorID).Scan(&known)
	if err == nil && !known {
		return fmt.Errorf("--person: %s is no reader of tenant %s; add them with: overread reader add", row.ActorID, name)
	}
	return err
}

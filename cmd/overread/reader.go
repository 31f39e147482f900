package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

type readerCmd struct {
	Add      readerAddCmd      `cmd:"" help:"Credential a radiologist for a tenant, or say anew what they may read: what their Practitioner and PractitionerRole said before is replaced."`
	Expiring readerExpiringCmd `cmd:"" help:"List whose licence, privilege or credentialing ends soon, or has ended."`
}

type readerAddCmd struct {
	Database       databaseFlags `embed:""`
	Tenant         string        `arg:"" help:"Short name of the tenant."`
	PractitionerID string        `arg:"" name:"practitioner" help:"Id of the reader's Practitioner resource here (the coordinator POSTs it to /fhir/Practitioner)."`
	Display        string        `name:"display" required:"" help:"Name for people."`
	CredentialFile string        `name:"credential-file" required:"" type:"existingfile" placeholder:"FILE" help:"JSON: subspecialties, modalities, ages, licences, readsFrom, capacity, conflicts, shifts, absences, trainee, mayAdjudicate, maySupervise (workflow/reader.go)."`
	ReaderID       string        `name:"id" placeholder:"UUID" help:"The id that this person has at other tenants; a new one when it is left out."`
	JSON           bool          `name:"json" help:"Print JSON."`
}

// readerRow is a reader, as it is added and as --json prints it.
type readerRow struct {
	ReaderID       uuid.UUID       `json:"readerId"`
	Tenant         string          `json:"tenant"`
	PractitionerID string          `json:"practitionerId"`
	Display        string          `json:"display"`
	Credential     workflow.Reader `json:"credential"`
}

func (c readerAddCmd) Run(ctx context.Context, t terminal) error {
	row := readerRow{Tenant: c.Tenant, PractitionerID: c.PractitionerID, Display: c.Display}
	if c.ReaderID != "" {
		id, err := uuid.Parse(c.ReaderID)
		if err != nil {
			return fmt.Errorf("--id: %q is no UUID", c.ReaderID)
		}
		row.ReaderID = id
	}
	text, err := os.ReadFile(c.CredentialFile)
	if err != nil {
		return fmt.Errorf("--credential-file: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&row.Credential); err != nil {
		return fmt.Errorf("--credential-file: %s: %w", c.CredentialFile, err)
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addReader(ctx, db, &row); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, row)
	}
	t.printf("reader %s added (%s)\nnext: overread token add %s reader --person %s\n", row.Display, row.ReaderID, row.Tenant, row.ReaderID)
	return nil
}

// addReader inserts the reader, or changes the one of this id, and fills in
// the id. It refuses a Practitioner that the tenant does not have.
func addReader(ctx context.Context, db *pg.DB, row *readerRow) error {
	if row.ReaderID == uuid.Nil {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		row.ReaderID = id
	}
	credential, err := json.Marshal(row.Credential)
	if err != nil {
		return err
	}
	tenant, err := findTenant(ctx, db, row.Tenant)
	if err != nil {
		return err
	}
	if err := mustHavePractitioner(ctx, db, tenant, row); err != nil {
		return err
	}
	return db.System(ctx, func(tx pgx.Tx) error {
		if _, err := tenantToChange(ctx, tx, row.Tenant); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential)
			VALUES (@tenant_id, @reader_id, @practitioner_id, @display, @credential)
			ON CONFLICT (tenant_id, reader_id) DO UPDATE SET
				practitioner_id = excluded.practitioner_id, display = excluded.display, credential = excluded.credential, active = true`,
			pgx.NamedArgs{"tenant_id": tenant, "reader_id": row.ReaderID, "practitioner_id": row.PractitionerID,
				"display": row.Display, "credential": string(credential)})
		if err != nil {
			return err
		}
		said := workflow.Statement{Source: workflow.Operator, Says: &row.Credential, By: "overread reader add"}
		if err := workflow.SayTx(ctx, tx, tenant, row.ReaderID, said, time.Now().UTC()); err != nil {
			return err
		}
		return record(ctx, db, tx, access.Event{Kind: access.ReaderSet, Tenant: tenant, Object: row.ReaderID.String()})
	})
}

func mustHavePractitioner(ctx context.Context, db *pg.DB, tenant uuid.UUID, row *readerRow) error {
	var known bool
	err := db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM resource WHERE tenant_id = $1 AND type = 'Practitioner' AND id = $2 AND NOT deleted)`,
			tenant, row.PractitionerID).Scan(&known)
	})
	if err == nil && !known {
		return fmt.Errorf("practitioner %q: tenant %s has no such Practitioner; POST it to /fhir/Practitioner as its coordinator first", row.PractitionerID, row.Tenant)
	}
	return err
}

type readerExpiringCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Days     int           `name:"days" default:"60" help:"So many days ahead."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// expiryRow is one of a reader's credentials that ends, as --json prints it.
type expiryRow struct {
	ReaderID uuid.UUID     `json:"readerId"`
	Display  string        `json:"display"`
	What     string        `json:"what"`
	LastDay  workflow.Date `json:"lastDay"`
}

func (c readerExpiringCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	tenant, err := findTenant(ctx, db, c.Tenant)
	if err != nil {
		return err
	}
	rows := []expiryRow{}
	err = db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		readers, err := workflow.ReadersTx(ctx, tx, 1)
		for _, e := range workflow.Expiring(readers, time.Now(), c.Days) {
			rows = append(rows, expiryRow{e.Reader.ID, e.Reader.Display, e.What, e.Last})
		}
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, rows)
	}
	for _, row := range rows {
		t.printf("%s  %s: %s\n", row.LastDay, row.Display, row.What)
	}
	return nil
}

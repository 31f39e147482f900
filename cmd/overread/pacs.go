package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
)

type pacsCmd struct {
	Add    pacsAddCmd    `cmd:"" help:"Add a PACS that is asked about a tenant's studies, or change it."`
	List   pacsListCmd   `cmd:"" help:"Show the PACS of all tenants, or of one."`
	Remove pacsRemoveCmd `cmd:"" help:"Ask a PACS no longer. A tenant without one is believed what its ImagingStudies say."`
}

type pacsAddCmd struct {
	Database databaseFlags `embed:""`
	pacsRow  `embed:""`
	JSON     bool `name:"json" help:"Print JSON."`
}

// pacsRow is a PACS, as it is added and as `--json` prints it.
type pacsRow struct {
	Tenant         string            `arg:"" help:"Short name of the tenant." json:"tenant"`
	Name           string            `arg:"" help:"Short name of the PACS, e.g. archive." json:"name"`
	BaseURL        string            `arg:"" help:"Base of its DICOMweb services (QIDO-RS and WADO-RS), e.g. https://pacs.example/dicom-web." json:"baseUrl"`
	CredentialFile string            `name:"credential-file" type:"path" placeholder:"FILE" help:"A file that holds what the PACS wants: USER:PASSWORD, or a bearer token." json:"credentialFile,omitempty"`
	Issuers        map[string]string `name:"issuer" placeholder:"NAME=SYSTEM" help:"Which FHIR identifier system the PACS means by an issuer of patient ids or accession numbers. May be given several times." json:"issuers,omitempty"`
	Timeout        time.Duration     `name:"timeout" default:"20s" help:"How long asking about one study may take." json:"-"`
}

func (c pacsAddCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addPACS(ctx, db, c.pacsRow); err != nil {
		return err
	}
	t.tellNeeds(c.BaseURL)
	if c.JSON {
		return printJSON(t, c.pacsRow)
	}
	t.printf("studies of %s are looked up in %s (%s)\n", c.Tenant, c.BaseURL, c.Name)
	return nil
}

// addPACS inserts the PACS or changes the one of this name.
func addPACS(ctx context.Context, db *pg.DB, row pacsRow) error {
	row.BaseURL = strings.TrimRight(row.BaseURL, "/")
	switch {
	case !shortName.MatchString(row.Name):
		return fmt.Errorf("PACS name %q: use small letters, digits and hyphens, at most 63", row.Name)
	case !baseURL.MatchString(row.BaseURL) || strings.Contains(row.BaseURL, "?"):
		return fmt.Errorf("PACS base %q is no http or https URL without a query", row.BaseURL)
	case outbound.WellFormed(row.BaseURL) != nil:
		return fmt.Errorf("PACS base: %w", outbound.WellFormed(row.BaseURL))
	case row.Timeout < 100*time.Millisecond || row.Timeout > 2*time.Minute:
		return fmt.Errorf("--timeout: %s is not between 100ms and 2m", row.Timeout)
	}
	for name, system := range row.Issuers {
		if u, err := url.Parse(system); err != nil || !u.IsAbs() || name == "" {
			return fmt.Errorf("--issuer: %s=%s: want the issuer's name and a FHIR identifier system, which is an absolute URI", name, system)
		}
	}
	issuers, err := json.Marshal(row.Issuers)
	if err != nil || row.Issuers == nil {
		issuers = []byte(`{}`)
	}
	return db.System(ctx, func(tx pgx.Tx) error {
		tenant, err := tenantToChange(ctx, tx, row.Tenant)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO pacs (tenant_id, pacs, base_url, credential_file, issuers, timeout_ms)
			VALUES (@tenant_id, @pacs, @base_url, nullif(@credential_file, ''), @issuers, @timeout_ms)
			ON CONFLICT (tenant_id, pacs) DO UPDATE SET
				base_url = excluded.base_url, credential_file = excluded.credential_file, issuers = excluded.issuers,
				timeout_ms = excluded.timeout_ms, failures = 0, breaker_until = NULL`,
			pgx.NamedArgs{"tenant_id": tenant, "pacs": row.Name, "base_url": row.BaseURL, "credential_file": row.CredentialFile,
				"issuers": json.RawMessage(issuers), "timeout_ms": row.Timeout.Milliseconds()})
		if err != nil {
			return err
		}
		return record(ctx, db, tx, access.Event{Kind: access.PACSSet, Tenant: tenant, Object: row.Name})
	})
}

type pacsListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" optional:"" help:"Short name of a tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// listedPACS is a PACS with how it fares.
type listedPACS struct {
	Tenant         string            `json:"tenant"`
	Name           string            `json:"name"`
	BaseURL        string            `json:"baseUrl"`
	CredentialFile *string           `json:"credentialFile,omitempty"`
	Issuers        map[string]string `json:"issuers,omitempty"`
	Failures       int               `json:"failures"` // in a row
	RestsUntil     *time.Time        `json:"restsUntil,omitempty"`
}

func (c pacsListCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	all, err := allPACS(ctx, db, c.Tenant)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(t, all)
	}
	for _, p := range all {
		t.printf("%s/%s\t%s\tfailures in a row: %d\n", p.Tenant, p.Name, p.BaseURL, p.Failures)
	}
	return nil
}

func allPACS(ctx context.Context, db *pg.DB, tenant string) (all []listedPACS, err error) {
	err = db.System(ctx, func(tx pgx.Tx) error {
		if tenant != "" {
			if _, err := tenantID(ctx, tx, tenant); err != nil {
				return err
			}
		}
		rows, err := tx.Query(ctx, `
			SELECT t.name AS tenant, p.pacs AS name, p.base_url, p.credential_file, p.issuers, p.failures,
			       CASE WHEN p.breaker_until > now() THEN p.breaker_until END AS rests_until
			FROM pacs p
			JOIN tenant t USING (tenant_id)
			WHERE @tenant = '' OR t.name = @tenant
			ORDER BY 1, 2`, pgx.NamedArgs{"tenant": tenant})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[listedPACS])
		return err
	})
	return all, err
}

type pacsRemoveCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Name     string        `arg:"" help:"Short name of the PACS."`
}

func (c pacsRemoveCmd) Run(ctx context.Context, t terminal) error {
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	err = db.System(ctx, func(tx pgx.Tx) error {
		tenant, err := tenantToChange(ctx, tx, c.Tenant)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM pacs WHERE tenant_id = $1 AND pacs = $2`, tenant, c.Name)
		switch {
		case err != nil:
			return err
		case tag.RowsAffected() == 0:
			return fmt.Errorf("%s has no PACS %q; see: overread pacs list %s", c.Tenant, c.Name, c.Tenant)
		}
		return record(ctx, db, tx, access.Event{Kind: access.PACSRemoved, Tenant: tenant, Object: c.Name})
	})
	if err == nil {
		t.printf("studies of %s are no longer looked up in %s\n", c.Tenant, c.Name)
	}
	return err
}

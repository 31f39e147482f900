package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/overread/overread/integrations/smart"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

type issuerCmd struct {
	Add    issuerAddCmd    `cmd:"" help:"List an EHR, or change how it is listed: its clinicians may open Overread for the patient in front of them."`
	List   issuerListCmd   `cmd:"" help:"List the EHRs of a tenant."`
	Remove issuerRemoveCmd `cmd:"" help:"Take an EHR off the list, and end the sessions that it launched."`
}

type issuerAddCmd struct {
	Database     databaseFlags `embed:""`
	Tenant       string        `arg:"" help:"Short name of the tenant."`
	Issuer       string        `arg:"" placeholder:"URL" help:"Base of the EHR's FHIR server, exactly as it comes as iss in a launch, e.g. https://ehr.example/fhir."`
	ClientID     string        `name:"client-id" required:"" help:"What Overread is called at the EHR: the client id that it was registered with there."`
	SecretFile   string        `name:"client-secret-file" type:"path" placeholder:"FILE" help:"A file that holds the client secret (client_secret_basic). It is read at each launch."`
	KeyFile      string        `name:"key-file" type:"path" placeholder:"FILE" help:"Our private key as overread client key writes it (private_key_jwt). Without secret and key Overread is a public client."`
	Scope        []string      `name:"scope" sep:"none" placeholder:"SCOPE" help:"What to ask for, if not the default: launch openid fhirUser patient/Patient.r patient/ServiceRequest.r."`
	FrameOrigins []string      `name:"frame-origin" placeholder:"ORIGIN" help:"An origin of the EHR whose pages may show ours in a frame, e.g. https://ehr.example; may be given several times. Without one a launch opens in a window of its own."`
	JSON         bool          `name:"json" help:"Print JSON."`
}

// Run lists the EHR, and prints what has to be registered there.
func (c issuerAddCmd) Run(ctx context.Context, t terminal) error {
	row, public, err := c.row()
	if err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := addIssuer(ctx, db, row); err != nil {
		return err
	}
	t.tellNeeds(row.Issuer)
	if c.JSON {
		return printJSON(t, row)
	}
	t.printf("%s may open Overread for patients of %s\nregister there: launch URL ROOT/launch (or ROOT/launch/at/%s), redirect URI ROOT/launch/callback, where ROOT is the base URL of serve without /fhir (docs/launch.md)\n", row.Issuer, row.Tenant, row.Tenant)
	if public != nil {
		t.printf("its key set, also at ROOT/launch/jwks.json: %s\n", public)
	}
	return nil
}

// row checks what was given. public is our key set, where we have a key.
func (c issuerAddCmd) row() (row administration.Launch, public []byte, err error) {
	row = administration.Launch{Tenant: c.Tenant, Issuer: c.Issuer, ClientID: c.ClientID, Authentication: smart.Public, Scopes: strings.Join(c.Scope, " "), FrameOrigins: c.FrameOrigins}
	switch {
	case c.SecretFile != "" && c.KeyFile != "":
		return row, nil, errors.New("--client-secret-file, --key-file: give one of the two, or none for a public client")
	case c.SecretFile != "":
		row.Authentication, row.SecretFile = smart.Secret, &c.SecretFile
		if text, err := os.ReadFile(c.SecretFile); err != nil || strings.TrimSpace(string(text)) == "" {
			return row, nil, fmt.Errorf("--client-secret-file: %s holds no secret, or cannot be read", c.SecretFile)
		}
	case c.KeyFile != "":
		row.Authentication, row.SecretFile = smart.Key, &c.KeyFile
		text, err := os.ReadFile(c.KeyFile)
		if err != nil {
			return row, nil, fmt.Errorf("--key-file: %w", err)
		}
		if public, err = smart.CheckKey(text); err != nil {
			return row, nil, fmt.Errorf("--key-file: %s %w", c.KeyFile, err)
		}
	}
	return row, public, nil
}

// launchFlags are the arguments for the fields that package administration refuses.
var launchFlags = map[string]string{"client-id": "--client-id", "issuer": "ISSUER", "scope": "--scope", "frame-origin": "--frame-origin"}

// addIssuer lists an EHR for a tenant, or changes how it is listed.
func addIssuer(ctx context.Context, db *pg.DB, row administration.Launch) error {
	if row.Scopes == "" {
		row.Scopes = smart.DefaultScopes
	}
	by, err := operatorAt(ctx, db, row.Tenant)
	if err != nil {
		return err
	}
	return byFlag(office(db).AddLaunch(ctx, by, row), launchFlags)
}

// checkLaunch judges an EHR that is to launch.
func checkLaunch(row administration.Launch) error {
	if err := smart.CheckScopes(row.Scopes); err != nil {
		return fault.At(fault.Value, "scope", "%s", err)
	}
	if _, err := smart.BaseForm(row.Issuer); err != nil {
		return fault.At(fault.Value, "issuer", "%s", err)
	}
	for _, origin := range row.FrameOrigins {
		if !smart.CheckOrigin(origin) {
			return fault.At(fault.Value, "frame-origin", "%q is no origin as a browser sends it: scheme and host, the port where it is not the usual one, in small letters, without a slash at its end", origin)
		}
	}
	return nil
}

type issuerListCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	JSON     bool          `name:"json" help:"Print JSON."`
}

// Run prints them.
func (c issuerListCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	found, err := k.Launches(ctx, by.Actor.Tenant)
	if err != nil {
		return err
	}
	for i := range found {
		found[i].Tenant = c.Tenant
	}
	if c.JSON {
		return printJSON(t, append([]administration.Launch{}, found...))
	}
	for _, row := range found {
		t.printf("%s  %s  %s  %s  %s\n", row.Issuer, row.ClientID, row.Authentication, row.Scopes, strings.Join(row.FrameOrigins, " "))
	}
	return nil
}

type issuerRemoveCmd struct {
	Database databaseFlags `embed:""`
	Tenant   string        `arg:"" help:"Short name of the tenant."`
	Issuer   string        `arg:"" placeholder:"URL" help:"As overread issuer list prints it."`
}

// Run removes it at once: what it launched ends too.
func (c issuerRemoveCmd) Run(ctx context.Context, t terminal) error {
	k, by, err := officeAt(ctx, c.Database, c.Tenant)
	if err != nil {
		return err
	}
	defer k.DB.Close()
	ended, err := k.RemoveLaunch(ctx, by, c.Issuer)
	switch {
	case fault.Is(err, fault.NotFound):
		return fmt.Errorf("ISSUER: %s is not listed for tenant %s", c.Issuer, c.Tenant)
	case err != nil:
		return byFlag(err, launchFlags)
	}
	t.printf("removed: %s (%d open views ended)\n", c.Issuer, ended)
	return nil
}

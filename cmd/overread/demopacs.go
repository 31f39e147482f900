package main

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/orthanc"
	"github.com/overread/overread/internal/pg"
)

// demoPACS is the demo's PACS: Orthanc, which both hospitals ask. It is nil, with
// the reason, where the demo runs without one.
type demoPACS struct {
	*orthanc.Server
	credential string // file
}

// issuers are what the demo's PACS calls those who give numbers.
var issuers = map[string]string{"HOSPITAL": mrnSystem, "HOSPITAL-RIS": accessionSystem}

// startPACS starts Orthanc where it is installed and can be kept from everybody
// else. What was begun without a PACS goes on without: it has no images.
func (c *demoCmd) startPACS(ctx context.Context) (p *demoPACS, whyNot string) {
	if _, err := os.Stat(c.path("pacs")); c.seeded() && errors.Is(err, fs.ErrNotExist) {
		return nil, "these cases were made without one; delete " + c.Data + " to begin again"
	}
	server, err := orthanc.Start(ctx, orthanc.Options{Dir: c.path("pacs"), Keeper: pacsKeeper})
	if err != nil {
		if !c.seeded() {
			_ = os.RemoveAll(c.path("pacs"))
		}
		return nil, err.Error()
	}
	p = &demoPACS{Server: server, credential: c.path("pacs/credential")}
	if p.credential, err = filepath.Abs(p.credential); err == nil {
		err = os.WriteFile(p.credential, []byte(server.User+":"+server.Password+"\n"), 0o600)
	}
	if err != nil {
		return nil, errors.Join(err, server.Stop()).Error()
	}
	return p, ""
}

func (p *demoPACS) stop() error {
	if p == nil {
		return nil
	}
	return p.Stop()
}

// pacsKeeper runs this program again, as the keeper of Orthanc.
func pacsKeeper(ctx context.Context, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	return exec.CommandContext(ctx, self, append([]string{"keep-pacs"}, args...)...) //nolint:gosec // ourselves
}

type keepPACSCmd struct {
	Program string `arg:""`
	Config  string `arg:""`
	Port    string `arg:""`
}

// Run is the life of Orthanc's keeper.
func (c *keepPACSCmd) Run() error { return orthanc.Keep(c.Program, c.Config, c.Port) }

// movePACS points both hospitals at the PACS where it is now, since its port and
// password differ from run to run; or at none.
func movePACS(ctx context.Context, db *pg.DB, p *demoPACS) error {
	return db.System(ctx, func(tx pgx.Tx) error {
		if p == nil {
			_, err := tx.Exec(ctx, `DELETE FROM pacs`)
			return err
		}
		names, err := json.Marshal(issuers)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO pacs (tenant_id, pacs, base_url, credential_file, issuers)
			SELECT tenant_id, 'archive', @base, @credential, @issuers
			FROM tenant
			ON CONFLICT (tenant_id, pacs) DO UPDATE
			SET base_url = excluded.base_url, credential_file = excluded.credential_file, failures = 0, breaker_until = NULL`,
			pgx.NamedArgs{"base": p.Base, "credential": p.credential, "issuers": json.RawMessage(names)})
		return err
	})
}

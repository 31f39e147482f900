package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

type demoCmd struct {
	Log       logFlags `embed:""`
	Data      string   `name:"data" env:"OVERREAD_DATA" default:".overread/demo" type:"path" help:"Folder for everything that the demo keeps: database, tokens, the stand-in EHR's journal. Delete it to begin again."`
	Listen    string   `name:"listen" env:"OVERREAD_LISTEN" default:"127.0.0.1:8080" help:"Address and port of the server. When the port is taken, a free one is used."`
	IDPListen string   `name:"idp-listen" env:"OVERREAD_IDP_LISTEN" default:"127.0.0.1:8085" help:"Address and port, on this machine, of the demo's identity provider. When the port is taken, a free one is used."`
	ViewerDir string   `name:"viewer-dir" env:"OVERREAD_VIEWER_DIR" default:".overread/viewer" type:"path" help:"Where the OHIF viewer is installed (overread viewer install); where it is not, pages show images and have no viewer."`
	EHRListen string   `name:"ehr-listen" env:"OVERREAD_EHR_LISTEN" default:"127.0.0.1:8090" help:"Address and port of the stand-in EHR. When the port is taken, a free one is used."`
}

// Run starts everything, makes the sample cases the first time, prints how to
// try it, and serves until ctx ends. It leaves nothing running behind it.
func (c *demoCmd) Run(ctx context.Context, t terminal) (err error) {
	// As root, PostgreSQL runs as another user, who must be able to enter.
	if err := errors.Join(os.MkdirAll(c.Data, 0o755), os.MkdirAll(c.path("tokens"), 0o700)); err != nil {
		return badSetting("data", "%w", err)
	}
	postgres, err := pg.StartPrivate(ctx, c.path("postgres"), t.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, postgres.Stop()) }()

	if err := c.forgetUnfinished(ctx, postgres); err != nil {
		return err
	}
	ehr, err := startStandIn(ctx, c.EHRListen, c.path("ehr.journal"), t.stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ehr.stop()) }()

	pacs, whyNot := c.startPACS(ctx)
	defer func() { err = errors.Join(err, pacs.stop()) }()
	if pacs == nil {
		t.printf("No PACS, so the cases run without looking images up: %s\n", whyNot)
	}

	if _, err := pg.Migrate(ctx, postgres.URL(pg.PrivateDatabase)); err != nil {
		return err
	}
	return c.serve(ctx, t, postgres.URL(pg.PrivateDatabase), ehr.base, pacs)
}

// serve is the server of the demo, on a migrated database and beside a
// running EHR, and a PACS where there is one.
func (c *demoCmd) serve(ctx context.Context, t terminal, url, ehr string, pacs *demoPACS) (err error) {
	db, err := pg.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	listener, err := listenOrFree(ctx, c.Listen)
	if err != nil {
		return badSetting("listen", "%w", err)
	}
	defer listener.Close() // closed twice where serving has begun, which does no harm

	logFile, err := os.OpenFile(c.path("overread.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return badSetting("data", "%w", err)
	}
	defer logFile.Close()

	key, checkpoints, err := c.auditKey()
	if err != nil {
		return badSetting("data", "%w", err)
	}
	beside, err := c.viewer(ctx)
	if err != nil {
		return err
	}
	settings := &serveCmd{Outbound: thisMachine, AuditKey: key, AuditDir: checkpoints}
	if beside != nil {
		defer beside.Close() // as the other
		settings.Viewer = viewerFlags{Dir: c.ViewerDir, URL: viewerURL(beside)}
	}
	o, err := assemble(settings, db, listener.Addr(), c.Log.logger(logFile))
	if err != nil {
		return err
	}
	o.viewerListener = beside
	if !c.seeded() {
		t.printf("The first time: %d sample cases at two hospitals are made. This takes some seconds.\n", len(sampleCases))
		if err := errors.Join(c.seed(ctx, o, url, ehr, pacs), analyze(ctx, url)); err != nil {
			return fmt.Errorf("sample cases: %w", err)
		}
	}
	if err := errors.Join(moveEHR(ctx, db, ehr), launchFromDemo(ctx, db, o.baseURL, ehr)); err != nil {
		return err
	}
	root := strings.TrimSuffix(o.baseURL, "/fhir")
	provider, err := c.startProvider(ctx, o, root)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, provider.server.Close()) }()
	if err := o.seal(ctx); err != nil {
		return fmt.Errorf("audit log: %w", err)
	}
	if err := movePACS(ctx, db, pacs); err != nil {
		return err
	}
	if err := c.tell(ctx, t, o, url, ehr, pacs); err != nil {
		return err
	}
	return o.serve(ctx, listener, 5*time.Second)
}

// analyze tells the planner what is there. PostgreSQL would do so by itself in a
// minute or two; until then it takes every table for empty, and a search through
// two references reads them again and again.
func analyze(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `ANALYZE`)
	return err
}

func (c *demoCmd) path(name string) string { return filepath.Join(c.Data, name) }

// seeded tells whether a seed came to its end here.
func (c *demoCmd) seeded() bool {
	_, err := os.Stat(c.path("seeded"))
	return err == nil
}

// forgetUnfinished empties the database and the EHR's journal when an earlier
// seed was cut off in the middle. They are the demo's own.
func (c *demoCmd) forgetUnfinished(ctx context.Context, postgres *pg.Private) error {
	if c.seeded() {
		return nil
	}
	if err := c.forgetCheckpoints(); err != nil {
		return err
	}
	if err := os.Remove(c.path("ehr.journal")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.RemoveAll(c.path("pacs")); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, postgres.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{
		`DROP DATABASE IF EXISTS ` + pg.PrivateDatabase + ` WITH (FORCE)`,
		`CREATE DATABASE ` + pg.PrivateDatabase,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// thisMachine is where the demo's EHR is.
var thisMachine = outboundFlags{Allow: []string{"127.0.0.0/8", "::1"}, HTTP: true}

// moveEHR points both hospitals at the stand-in EHR where it is now: its port
// may differ from run to run.
func moveEHR(ctx context.Context, db *pg.DB, base string) error {
	return db.System(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE tenant SET ehr_base = $1`, base); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE destination SET base_url = $1`, base)
		return err
	})
}

// ehrProcess is the stand-in EHR as a process of its own, as a real one is.
type ehrProcess struct {
	base  string // of its FHIR surface
	cmd   *exec.Cmd
	stdin io.Closer // it ends when this closes, and so also when we are killed
}

// startStandIn runs this binary again as `overread stand-in-ehr` and waits for
// the line in which it says where it listens.
func startStandIn(ctx context.Context, listen, journal string, log io.Writer) (*ehrProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self, "stand-in-ehr", "--listen", listen, "--or-free-port", "--journal", journal, "--until-stdin-closes")
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("stand-in EHR: %w", err)
	}
	p := &ehrProcess{cmd: cmd, stdin: stdin}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("stand-in EHR does not start: %w", err), p.stop())
	}
	p.base = strings.TrimSpace(line)
	return p, nil
}

// stop ends the process and waits for it.
func (p *ehrProcess) stop() error {
	_ = p.stdin.Close()
	impatient := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	defer impatient.Stop()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("stand-in EHR: %w", err)
	}
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/integrations/dicomweb"
	"github.com/overread/overread/integrations/ehr"
	"github.com/overread/overread/integrations/smart"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/gate"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

type serveCmd struct {
	Database        databaseFlags `embed:""`
	Log             logFlags      `embed:""`
	Listen          string        `name:"listen" env:"OVERREAD_LISTEN" default:"127.0.0.1:8080" help:"Address and port. Speaks HTTP unless --tls-cert is given: then put a proxy that ends TLS in front of anything but loopback."`
	BaseURL         string        `name:"base-url" env:"OVERREAD_BASE_URL" placeholder:"URL" help:"Base of the FHIR surface as clients see it; http://LISTEN/fhir (https with --tls-cert) when it is left out."`
	Migrate         bool          `name:"migrate" env:"OVERREAD_MIGRATE" default:"true" negatable:"" help:"Bring the schema up to this binary's at the start."`
	MaxBody         int64         `name:"max-body" env:"OVERREAD_MAX_BODY" default:"4194304" help:"The largest request body, in bytes."`
	SecondOpinion   []string      `name:"second-opinion-code" env:"OVERREAD_SECOND_OPINION_CODE" default:"http://dicom.nema.org/resources/ontology/DCM|111418,http://loinc.org|73575-3" placeholder:"SYSTEM|CODE" help:"A ServiceRequest with one of these in category or code asks for a second opinion (reasonCode v2-0336|S always does)."`
	CORSOrigin      []string      `name:"cors-origin" env:"OVERREAD_CORS_ORIGIN" placeholder:"ORIGIN" help:"Web origins whose pages may call the FHIR surface from a browser, e.g. https://app.example. Exact; may be given several times."`
	SMART           string        `name:"smart-configuration" env:"OVERREAD_SMART_CONFIGURATION" type:"path" placeholder:"FILE" help:"The smart-configuration (SMART App Launch 2.2) of the authorization server that stands before this one, to be published. Without it clients are told of this server's own token endpoint."`
	Gate            gateFlags     `embed:""`
	Outbound        outboundFlags `embed:""`
	People          peopleFlags   `embed:""`
	Mail            mailFlags     `embed:""`
	Viewer          viewerFlags   `embed:""`
	AuditKey        string        `name:"audit-key" env:"OVERREAD_AUDIT_KEY" type:"path" placeholder:"FILE" help:"The key that signs a checkpoint of the audit log each minute (overread audit key FILE). Without it the log is kept and not signed."`
	AuditKeyShared  bool          `name:"audit-key-shared" env:"OVERREAD_AUDIT_KEY_SHARED" help:"Take an audit key that every user of this machine can read, who could then sign a false log: only where there is nobody else, as in a container with a secret in a volume."`
	AuditDir        string        `name:"audit-checkpoints" env:"OVERREAD_AUDIT_CHECKPOINTS" type:"path" placeholder:"DIR" help:"A directory that keeps the checkpoints outside the database, a file for each tenant, only ever added to."`
	ShutdownTimeout time.Duration `name:"shutdown-timeout" env:"OVERREAD_SHUTDOWN_TIMEOUT" default:"15s" help:"How long running requests may take to finish when the server is asked to stop."`
}

// Run serves until ctx ends.
func (c *serveCmd) Run(ctx context.Context, t terminal) error {
	log := c.Log.logger(t.stderr)
	if err := c.Validate(); err != nil {
		return err
	}
	if err := c.prepareSchema(ctx, log); err != nil {
		return err
	}
	db, err := c.Database.open(ctx)
	if err != nil {
		return err
	}
	defer db.Close()

	listener, err := listen(ctx, c.Listen)
	if err != nil {
		return badSetting("listen", "%w", err)
	}
	o, err := assemble(c, db, listener.Addr(), log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if c.Viewer.Dir != "" {
		if o.viewerListener, err = listen(ctx, c.Viewer.Listen); err != nil {
			return errors.Join(badSetting("viewer-listen", "%w", err), listener.Close())
		}
	}
	return o.serve(ctx, listener, c.ShutdownTimeout)
}

// overread is the assembled program. Nothing in it runs yet.
type overread struct {
	db       *pg.DB
	log      *slog.Logger
	baseURL  string
	gate     gateFlags
	certs    *gate.Certificates      // nil where this process speaks no TLS
	engine   *workflow.Engine        // the life of a case
	courier  *workflow.Courier       // carries signed reports to the EHRs
	scout    *workflow.Scout         // looks studies up in the PACS
	surface  *fhir.Server            // what EHRs and readers speak to
	sealer   *auditlog.Sealer        // signs the audit log
	tokens   *oauth.Server           // gives systems their tokens
	launch   *smart.Client           // lets clinicians in who come from an EHR
	launched *web.Launched           // what they see
	people   *frontDoor              // who comes in by a browser
	images   *images                 // what they see of the PACS
	replica  *administration.Replica // what this server says of itself

	viewerListener net.Listener // nil where no viewer is served
	jobs           []job
}

// assemble puts the parts together. The engine and the FHIR surface need each
// other (an order opens a case; a signature renders a report within the same
// transaction), so the engine gets the surface's two functions afterwards.
func assemble(c *serveCmd, db *pg.DB, addr net.Addr, log *slog.Logger) (*overread, error) {
	o := &overread{db: db, log: log, baseURL: c.BaseURL, gate: c.Gate}
	if o.baseURL == "" {
		if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
			return nil, badSetting("base-url", "is missing; nobody can call %s, so say what clients call this server, e.g. https://overread.example/fhir", addr)
		}
		o.baseURL = c.Gate.scheme() + "://" + addr.String() + "/fhir"
	}
	o.engine = workflow.NewEngine(db, time.Now, log)

	guard, err := c.Outbound.guard()
	if err != nil {
		return nil, err
	}
	if o.certs, err = c.Gate.certificates(log); err != nil {
		return nil, err
	}
	o.tokens = oauth.New(oauth.Config{DB: db, BaseURL: o.baseURL, HTTP: guard.Client(oauth.KeySetLimits), Record: o.record, Check: fhir.CheckGrant, Now: time.Now, Log: log})
	root := c.People.root(o.baseURL)
	surface := func() *fhir.Server { return o.surface }
	o.images = &images{surface: surface, gateway: dicomweb.NewGateway(version, guard, time.Now)}
	if o.people, err = newPeople(db, o.baseURL, root, c.People, guard, surface, o.images, log); err != nil {
		return nil, err
	}
	if err := c.Viewer.validate(root); err != nil {
		return nil, err
	}
	o.images.sessions = o.people.sessions
	if o.images.viewer, err = newViewer(c.Viewer, o.people.sessions, o.images, log); err != nil {
		return nil, err
	}
	smart, err := c.smart(o.tokens.Configuration())
	if err != nil {
		return nil, err
	}
	o.surface, err = fhir.New(fhir.Config{
		DB:            db,
		Engine:        o.engine,
		BaseURL:       o.baseURL,
		Now:           time.Now,
		Log:           log,
		MaxBody:       c.MaxBody,
		Version:       version,
		Built:         built(),
		SecondOpinion: codes(c.SecondOpinion),
		Origins:       c.CORSOrigin,
		SMART:         smart,
		Identify:      o.people.sessions.Identify,
		Home:          o.people.home(root),
	})
	if err != nil {
		return nil, fmt.Errorf("FHIR surface: %w", err)
	}
	o.engine.Use(workflow.Hooks{Facts: o.surface.Facts, Publish: o.surface.Publish, Sample: o.surface.Sample})

	if o.sealer, err = c.sealer(db, log); err != nil {
		return nil, err
	}
	o.courier = workflow.NewCourier(db, ehr.New(version, guard, time.Now).Send, time.Now, log)
	postman, err := c.Mail.postman(db, o.baseURL, strings.TrimSuffix(o.people.home(root), "/home"), log)
	if err != nil {
		return nil, err
	}
	o.scout = workflow.NewScout(db, o.engine, dicomweb.New(version, guard, time.Now).Look, log)
	o.courier.Use(o.surface.RecordDelivery)
	o.launch, o.launched = launches(o, guard, root)
	if o.replica, err = c.newReplica(); err != nil {
		return nil, err
	}
	o.jobs = append(jobTable(db, o.engine, o.courier, postman, o.scout, o.surface, o.tokens, o.launch, o.sealer), o.people.jobs()...)
	o.jobs = append(o.jobs, job{name: "replica", every: administration.ReplicaEvery, run: sayHere(db, o.replica, c.AuditDir)})
	return o, nil
}

// record writes what is no access to a resource into the audit log, for the parts
// that the surface does not know.
func (o *overread) record(ctx context.Context, tx pgx.Tx, e access.Event) error {
	return o.surface.RecordEvent(ctx, tx, e)
}

// handler is everything that answers HTTP. kick is called after each request
// that may have left work for the jobs.
func (o *overread) handler(kick func()) http.Handler {
	limiter := gate.NewLimiter(gate.Limits{Client: o.gate.ClientRate, Address: o.gate.AddressRate, Failure: o.gate.FailureRate}, time.Now)
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.IPExtractor, _ = o.gate.clientAddress() // Validate has checked it
	e.Use(kickAfterWrite(kick))
	o.surface.Register(e)
	e.Use(limiter.Middleware) // within what renders its errors
	e.GET("/schema/template.json", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/schema+json", workflow.TemplateSchema())
	})
	e.GET("/schema/policy.json", func(c echo.Context) error {
		return c.Blob(http.StatusOK, "application/schema+json", workflow.PolicySchema())
	})
	for path, handle := range o.tokens.Handlers() {
		e.POST("/fhir"+path, tokenEndpoint(handle))
	}
	if o.people.pages != nil {
		o.people.pages.Pace, o.launched.Pace = limiter.Begin, limiter.Begin
		o.people.pages.Register(e)
		e.RouteNotFound("/*", o.people.pages.NotHere)
		o.launched.Register(e)
	}
	return e
}

// tokenEndpoint is an endpoint for systems, whose assertions cannot be guessed any
// faster than tokens can.
func tokenEndpoint(handle oauth.Endpoint) echo.HandlerFunc {
	return func(c echo.Context) error {
		if handle(c.Response(), c.Request()) == oauth.InvalidClient {
			gate.Unproven(c)
		}
		return nil
	}
}

// serve answers requests and runs the jobs until ctx ends; then it stops
// taking requests, lets the running ones and the jobs finish, and returns.
func (o *overread) serve(ctx context.Context, listener net.Listener, patience time.Duration) error {
	jobs, err := startJobs(o.log, o.jobs)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	server := o.gate.server(o.handler(jobs.kick), isEncrypted(o.baseURL), o.log)
	failed := make(chan error, 1)
	go func() { failed <- serveOn(ctx, server, listener, o.certs) }()
	o.log.Info("serving", "url", o.baseURL, "listen", listener.Addr().String(), "version", version)
	if o.certs == nil {
		warnWhenOpen(o.log, listener.Addr())
	}

	beside, viewerFailed := o.serveViewer(ctx)
	select {
	case err = <-failed:
	case err = <-viewerFailed:
	case <-ctx.Done():
		o.log.Info("stopping", "patience", patience)
		err = shutDown(server, patience)
	}
	if beside != nil {
		err = errors.Join(err, shutDown(beside, patience))
	}
	err = errors.Join(err, jobs.stop(), o.flush(patience))
	o.leave(patience)
	return err
}

// flush writes the records of reads that still wait. The database is still open.
func (o *overread) flush(patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return o.surface.Flush(ctx)
}

func shutDown(server *http.Server, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("some requests did not finish in --shutdown-timeout / OVERREAD_SHUTDOWN_TIMEOUT: %w", errors.Join(err, server.Close()))
	}
	return nil
}

// prepareSchema migrates the database, or refuses one that is too old. A
// newer schema is fine: migrations keep the previous release running.
func (c *serveCmd) prepareSchema(ctx context.Context, log *slog.Logger) error {
	url, err := c.Database.url()
	if err != nil {
		return err
	}
	have, want, err := pg.SchemaVersion(ctx, url)
	if err != nil {
		return badSetting(c.Database.setting(), "%w", err)
	}
	switch {
	case have >= want:
		return nil
	case c.Database.Pooler:
		return fmt.Errorf("the schema has version %d and this binary wants %d; behind a pooler nothing is migrated: run overread migrate with the database's own URL", have, want)
	case !c.Migrate:
		return fmt.Errorf("the schema has version %d and this binary wants %d; run overread migrate, or let serve do it: --migrate / OVERREAD_MIGRATE", have, want)
	}
	log.Info("migrating", "from", have, "to", want)
	_, err = pg.Migrate(ctx, url)
	return err
}

// Validate checks the settings that kong cannot.
func (c *serveCmd) Validate() error {
	if c.BaseURL != "" && !baseURL.MatchString(c.BaseURL) {
		return badSetting("base-url", "%q is no http or https URL without a slash at its end", c.BaseURL)
	}
	if c.MaxBody < 1<<10 {
		return badSetting("max-body", "%d bytes are too few for an order; give at least 1024", c.MaxBody)
	}
	if err := errors.Join(c.Gate.validate(), c.People.validate()); err != nil {
		return err
	}
	for _, code := range c.SecondOpinion {
		if system, value, ok := strings.Cut(code, "|"); !ok || system == "" || value == "" {
			return badSetting("second-opinion-code", "%q is not SYSTEM|CODE", code)
		}
	}
	for _, origin := range c.CORSOrigin {
		if !webOrigin.MatchString(origin) {
			return badSetting("cors-origin", "%q is no origin as a browser sends it: scheme and host, the port where it is not the usual one, in small letters, without a slash at its end", origin)
		}
	}
	return nil
}

// webOrigin is an origin as browsers write it, RFC 6454 section 6.2. It has no
// wildcards.
var webOrigin = regexp.MustCompile(`^https?://[a-z0-9.\-\[\]:]+$`)

// smart is what clients are told of tokens: of our own endpoint, unless another
// authorization server stands before this one.
func (c *serveCmd) smart(own []byte) (*fhir.SMART, error) {
	if c.SMART == "" {
		return fhir.ReadSMART(own)
	}
	text, err := os.ReadFile(c.SMART)
	if err != nil {
		return nil, badSetting("smart-configuration", "%w", err)
	}
	smart, err := fhir.ReadSMART(text)
	if err != nil {
		return nil, badSetting("smart-configuration", "%w", err)
	}
	return smart, nil
}

// sealer signs the audit log, where there is a key.
func (c *serveCmd) sealer(db *pg.DB, log *slog.Logger) (*auditlog.Sealer, error) {
	signer, err := signerOf(c.AuditKey, c.AuditKeyShared)
	if err != nil {
		return nil, err
	}
	if c.AuditDir != "" {
		if signer == nil {
			return nil, badSetting("audit-checkpoints", "is given without --audit-key / OVERREAD_AUDIT_KEY, so nothing would be signed")
		}
		if _, err := os.Stat(c.AuditDir); errors.Is(err, fs.ErrNotExist) {
			log.Warn("the directory of audit checkpoints is not there and is made: if it should be a volume of its own, that is not mounted", "dir", c.AuditDir)
		}
		if err := os.MkdirAll(c.AuditDir, 0o755); err != nil {
			return nil, badSetting("audit-checkpoints", "%w", err)
		}
	}
	if c.AuditKeyShared {
		log.Warn("the audit key may be readable by others, who could sign a false log: --audit-key-shared / OVERREAD_AUDIT_KEY_SHARED is for where there is nobody else")
	}
	if signer == nil {
		log.Warn("the audit log is not signed: make a key with overread audit key FILE, and give it with --audit-key / OVERREAD_AUDIT_KEY")
	}
	return &auditlog.Sealer{DB: db, Signer: signer, Dir: c.AuditDir, Now: time.Now, Log: log}, nil
}

// codes reads SYSTEM|CODE settings, which Validate has checked.
func codes(settings []string) fhir.ValueSet {
	var set fhir.ValueSet
	for _, setting := range settings {
		system, code, _ := strings.Cut(setting, "|")
		set = append(set, workflow.Coding{System: system, Code: code})
	}
	return set
}

// kickAfterWrite hints to the jobs that a client may have left work for them.
func kickAfterWrite(kick func()) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			err := next(c)
			if err == nil && c.Request().Method != http.MethodGet {
				kick()
			}
			return err
		}
	}
}

// warnWhenOpen says so when bearer tokens may cross a network in the clear.
func warnWhenOpen(log *slog.Logger, addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		log.Warn("this address is not loopback and speaks HTTP: put a proxy that ends TLS in front of it", "listen", addr.String())
	}
}

package fhir

import (
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// Config is what a Server needs. DB, Engine and BaseURL have no default.
type Config struct {
	DB            *pg.DB
	Engine        *workflow.Engine
	BaseURL       string           // the FHIR base as clients see it, e.g. https://overread.example/fhir
	Now           func() time.Time // default: time.Now
	Log           *slog.Logger     // default: slog.Default()
	MaxBody       int64            // bytes of a request's body; default: 4 MiB
	Version       string           // of the program, for the CapabilityStatement
	Built         time.Time        // when the program was built, for the CapabilityStatement; default: now
	SecondOpinion ValueSet         // codes that mean "second opinion"; default: SecondOpinionCodes
	Origins       []string         // web origins whose pages may call from a browser (CORS); default: none
	// Identify finds out who sends a request, by bearer token or session cookie, and
	// refuses a session's request that another site may have forged; default: by
	// bearer token only.
	Identify func(*http.Request) (access.Actor, error)
	Home     string // where the address of the server itself leads; default: the pages about the API
	SMART    *SMART // what an authorization server offers; default: there is none
}

// Server is the FHIR surface.
type Server struct {
	db            *pg.DB
	tx            pgx.Tx // set within a transaction Bundle only, see within
	engine        *workflow.Engine
	store         *store
	whoCalls      func(*http.Request) (access.Actor, error) // nil: by bearer token only
	resources     map[string]*resourceType
	typeNames     []string // of resources, in the order of the table
	baseURL       string
	homeURL       string
	now           func() time.Time
	log           *slog.Logger
	maxBody       int64
	turns         turns
	patience      time.Duration // with a request; 0: without end
	tokens        *access.Tokens
	trail         *trail    // AuditEvents that wait to be written
	refusals      *refusals // how many of them are written of what was refused
	opened        *openings // images, by whom
	version       string
	built         time.Time
	secondOpinion ValueSet
	origins       []string
	smart         *SMART
	statement     *document            // the CapabilityStatement
	smartText     *document            // the SMART configuration
	openAPIText   *document            // the OpenAPI document
	docsText      map[string]*document // pages about the API by type, "" for the index
}

// New makes a Server; Register puts it on a router.
func New(cfg Config) (*Server, error) {
	switch {
	case cfg.DB == nil:
		return nil, errors.New("fhir: no database")
	case !strings.HasPrefix(cfg.BaseURL, "http://") && !strings.HasPrefix(cfg.BaseURL, "https://"):
		return nil, errors.New("fhir: the base URL must begin with http:// or https://")
	}
	s := &Server{
		db:            cfg.DB,
		engine:        cfg.Engine,
		baseURL:       strings.TrimRight(cfg.BaseURL, "/"),
		now:           cfg.Now,
		log:           cfg.Log,
		maxBody:       cfg.MaxBody,
		version:       cfg.Version,
		built:         cfg.Built,
		secondOpinion: cfg.SecondOpinion,
		origins:       cfg.Origins,
		smart:         cfg.SMART,
		whoCalls:      cfg.Identify,
		homeURL:       cfg.Home,
		resources:     map[string]*resourceType{},
		turns:         newTurns(),
		patience:      time.Minute,
		statement:     new(document),
		smartText:     new(document),
		openAPIText:   new(document),
	}
	if s.homeURL == "" {
		s.homeURL = s.baseURL + "/docs"
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.maxBody <= 0 {
		s.maxBody = 4 << 20
	}
	if s.secondOpinion == nil {
		s.secondOpinion = SecondOpinionCodes
	}
	for _, row := range resourceTable() {
		row.complete()
		s.resources[row.name] = &row
		s.typeNames = append(s.typeNames, row.name)
	}
	s.docsText = map[string]*document{"": {}}
	for _, typ := range s.typeNames {
		s.docsText[typ] = &document{}
	}
	s.resources["ValueSet"].content = func() []*Node { return valueSets(s.secondOpinion) } // as configured
	s.resources["CapabilityStatement"].content = func() []*Node { return []*Node{s.capabilities()} }
	if s.built.IsZero() {
		s.built = s.now()
	}
	s.store = &store{resources: s.resources, now: s.now, audit: s.audit}
	s.trail, s.refusals, s.opened = newTrail(s), newRefusals(), &openings{}
	s.tokens = access.NewTokens(s.db)
	return s, nil
}

// route is one row of the table of routes. Who may call it is decided before
// the handler runs: everybody where by is open, else the roles of by.
type route struct {
	method, path string
	by           []access.Role
	handle       handler
}

// A handler decodes, maps, acts and replies. It returns errors and never
// writes them; route.go does. The actor of an open route is empty.
type handler func(c echo.Context, actor access.Actor) error

var (
	open     []access.Role // no token asked for
	clinical = []access.Role{access.Placer, access.Reader, access.Adjudicator, access.Supervisor, access.Coordinator, access.Director, access.Quality}
	anybody  = append(slices.Clone(clinical), access.Auditor, access.Admin) // who may read which type: resourceType.isFor
	writers  = []access.Role{access.Placer, access.Coordinator, access.Admin}
)

// routes is the table of routes: one per interaction, not per type (FHIR R4
// http.html). Operations on a Task have a table of their own, operation.go.
func (s *Server) routes() []route {
	return []route{
		{"GET", "/healthz", open, s.healthz},
		{"GET", "/readyz", open, s.readyz},
		{"GET", "/fhir/metadata", open, s.metadata},

		{"GET", "/fhir/:type/:id", anybody, s.read},
		{"GET", "/fhir/:type/:id/_history/:version", anybody, s.vread},
		{"GET", "/fhir/:type/:id/_history", anybody, s.instanceHistory},
		{"GET", "/fhir/:type/_history", anybody, s.typeHistory},
		{"GET", "/fhir/_history", anybody, s.systemHistory},
		{"GET", "/fhir/:type", anybody, s.search},
		{"POST", "/fhir/:type/_search", anybody, s.search},
		{"GET", compartmentPath, clinical, s.searchCompartment},
		{"POST", compartmentPath + "/_search", clinical, s.searchCompartment},
		{"GET", "/fhir", anybody, s.searchSystem},
		{"GET", "/fhir/", anybody, s.searchSystem},
		{"POST", "/fhir/_search", anybody, s.searchSystem},

		{"POST", "/fhir/:type", writers, s.create},
		{"PUT", "/fhir/:type/:id", writers, s.toOne(s.update)},
		{"PUT", "/fhir/:type", writers, s.toMatch(s.update)},
		{"PATCH", "/fhir/:type/:id", writers, s.toOne(s.patch)},
		{"PATCH", "/fhir/:type", writers, s.toMatch(s.patch)},
		{"DELETE", "/fhir/:type/:id", writers, s.toOne(s.delete)},
		{"DELETE", "/fhir/:type", writers, s.toMatch(s.delete)},
		{"POST", "/fhir", anybody, s.takeBundle},

		{"POST", taskOperationPath, clinical, s.operate},

		{"GET", "/fhir" + exportStatusPath + ":id", exporters, s.exportStatus},
		{"DELETE", "/fhir" + exportStatusPath + ":id", exporters, s.exportCancel},
		{"GET", "/fhir" + exportFilePath + ":id/:file", exporters, s.exportFile},
	}
}

// Register puts the routes on the router, and makes everything that the router
// itself says (no such route, no such method) an OperationOutcome.
func (s *Server) Register(e *echo.Echo) {
	e.HTTPErrorHandler = s.fail
	e.Pre(tidyAddress)
	e.Use(compress(), s.observe, s.recover, s.cors(), s.browsers)
	for _, p := range s.pages() {
		e.GET(p.path, p.handle)
		e.HEAD(p.path, p.handle)
	}
	s.mount(e, s.callerOf)
}

// mount adds the routes to a router, which finds out by identify who is calling.
// What can be got can be asked for its headers.
func (s *Server) mount(e *echo.Echo, identify func(echo.Context) (access.Actor, error)) {
	for _, r := range append(s.routes(), s.serviceRoutes()...) {
		handle := s.admit(r, identify)
		e.Add(r.method, r.path, handle)
		if r.method == http.MethodGet {
			e.Add(http.MethodHead, r.path, handle)
		}
	}
}

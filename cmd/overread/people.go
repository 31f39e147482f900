package main

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/integrations/oidc"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/web"
	"github.com/overread/overread/workflow"
)

// peopleFlags say where people find the pages, and how long they stay signed in.
type peopleFlags struct {
	WebURL string        `name:"web-url" env:"OVERREAD_WEB_URL" placeholder:"URL" help:"Where people find the pages, as their browsers see it; the base of the FHIR surface without its /fhir when it is left out."`
	Idle   time.Duration `name:"session-idle" env:"OVERREAD_SESSION_IDLE" default:"15m" help:"Without a request for so long somebody is signed out."`
	Life   time.Duration `name:"session-life" env:"OVERREAD_SESSION_LIFE" default:"12h" help:"After so long somebody signs in again in any case."`
}

// validate checks what kong cannot.
func (f peopleFlags) validate() error {
	switch {
	case f.WebURL != "" && !baseURL.MatchString(f.WebURL):
		return badSetting("web-url", "%q is no http or https URL without a slash at its end", f.WebURL)
	case f.Idle < time.Minute || f.Idle > 24*time.Hour:
		return badSetting("session-idle", "%v is not between 1m and 24h", f.Idle)
	case f.Life < f.Idle || f.Life > 7*24*time.Hour:
		return badSetting("session-life", "%v is less than --session-idle, or more than a week", f.Life)
	}
	return nil
}

// root is the address of the pages.
func (f peopleFlags) root(base string) string {
	if f.WebURL != "" {
		return f.WebURL
	}
	return strings.TrimSuffix(base, "/fhir")
}

// safeForCookies tells whether sessions may be had there: over https, or on this
// machine alone.
func safeForCookies(root string) bool {
	u, err := url.Parse(root)
	if err != nil {
		return false
	}
	return u.Scheme == "https" || u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()
}

// frontDoor is the parts that people need: their sessions, the way to their identity
// providers, and the pages.
type frontDoor struct {
	sessions *session.Store
	login    *oidc.Client
	pages    *web.Server // nil where no session is safe
}

// newPeople puts them together. surface is asked for when it is needed: it needs
// the sessions itself.
func newPeople(db *pg.DB, base, root string, f peopleFlags, guard *outbound.Guard, surface func() *fhir.Server, shown *images, log *slog.Logger) (*frontDoor, error) {
	record := func(ctx context.Context, tx pgx.Tx, e access.Event) error { return surface().RecordEvent(ctx, tx, e) }
	p := &frontDoor{sessions: session.NewStore(session.Config{DB: db, BaseURL: root, Idle: f.Idle, Life: f.Life, Record: record})}
	p.login = oidc.New(oidc.Config{DB: db, Sessions: p.sessions, HTTP: guard.Client(oidc.Limits), Root: root, Record: record, Now: time.Now, Log: log})
	if !safeForCookies(root) {
		log.Warn("people cannot sign in: their browsers would send a session over plain http; put a proxy that ends TLS in front, or give --tls-cert, and say --base-url or --web-url", "web", root)
		return p, nil
	}
	asked := func(from web.Caller) fhir.Asked { return fhir.Asked{RequestID: from.RequestID, Client: from.Address} }
	var err error
	p.pages, err = web.New(web.Config{
		DB: db, Sessions: p.sessions, Root: root, Now: time.Now, Log: log,
		Login: web.Login{
			Providers: p.providers,
			Begin:     p.login.Begin,
			Finish: func(ctx context.Context, provider, browser string, query url.Values, from web.Caller) (string, string, error) {
				done, err := p.login.Finish(ctx, oidc.Return{Provider: provider, Browser: browser, Query: query, UserAgent: from.UserAgent, Client: from.Address, RequestID: from.RequestID})
				return done.Cookie, done.ReturnTo, err
			},
			LogoutAt: p.login.LogoutURL,
		},
		Desk: web.Desk{
			Board: boardDesk(surface, asked),
			Worklist: func(ctx context.Context, actor access.Actor, most int, from web.Caller) ([]workflow.WorkItem, error) {
				return surface().Worklist(ctx, actor, most, asked(from))
			},
			Notices: func(ctx context.Context, actor access.Actor, skip, most int, from web.Caller) ([]workflow.Notice, error) {
				return surface().Notices(ctx, actor, skip, most, asked(from))
			},
			Pages: func(ctx context.Context, actor access.Actor, from web.Caller) ([]workflow.Page, error) {
				return surface().Pages(ctx, actor, asked(from))
			},
			Emergencies: func(ctx context.Context, actor access.Actor, w workflow.EmergencyWindow, from web.Caller) (workflow.EmergencyList, error) {
				return surface().Emergencies(ctx, actor, w, asked(from))
			},
			BreakGlass: func(ctx context.Context, actor access.Actor, person uuid.UUID, patient, reason string, from web.Caller) (workflow.Emergency, error) {
				return surface().BreakGlass(ctx, actor, person, patient, reason, asked(from))
			},
			Figures: func(ctx context.Context, actor access.Actor, query url.Values, from web.Caller) (screen.Figures, error) {
				return surface().Figures(ctx, actor, query, asked(from))
			},
			FigureCases: func(ctx context.Context, actor access.Actor, query url.Values, of, after string, from web.Caller) (screen.FigureCases, error) {
				return surface().FigureCases(ctx, actor, query, of, after, asked(from))
			},
			FiguresFile: func(ctx context.Context, actor access.Actor, query url.Values, format string, from web.Caller) (screen.File, error) {
				return surface().FiguresFile(ctx, actor, query, format, asked(from))
			},
			Perform: func(ctx context.Context, actor access.Actor, e screen.Errand, from web.Caller) (screen.Done, error) {
				return surface().Perform(ctx, actor, e, asked(from))
			},
			Readers:     readersDesk(surface, asked),
			Admin:       adminDesk(db, base, guard, surface),
			Settings:    settingDesk(db, surface),
			Quality:     qualityDesk(surface, asked),
			Images:      shown.desk(),
			Trail:       trailDesk(surface, asked),
			Credentials: credentialDesk(surface, asked),
		},
	})
	return p, err
}

func (p *frontDoor) providers(ctx context.Context) (all []web.Provider, err error) {
	known, err := p.login.Providers(ctx)
	for _, k := range known {
		all = append(all, web.Provider{Name: k.Name, Display: k.Display})
	}
	return all, err
}

// home is where the address of the server itself leads; "" where there are no pages.
func (p *frontDoor) home(root string) string {
	if p.pages == nil {
		return ""
	}
	return root + "/home"
}

// jobs are what is done for them by the clock.
func (p *frontDoor) jobs() []job {
	return []job{
		{name: "sessions", every: time.Minute, run: p.sessions.Sweep},
		{name: "logins", every: time.Minute, run: p.login.Purge},
	}
}

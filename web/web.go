// Package web is the pages for people: who comes in by a browser signs in here
// and sees what there is to do. Everything works without a script; what there is
// of one (assets/app.js) adds keys, saves while one writes, and keeps lists fresh.
//
// route.go has the table of pages for everybody who is signed in, room.go that of
// the pages that somebody has in a role at a hospital (worklist, board ...), and
// what each request passes; the templates are in pages/, what they share in
// pages/layout.html, the texts by language in catalogue/. A page shows nothing and does
// nothing by itself: it asks the functions of Config, which are the engine's and
// the FHIR surface's, so that what people do is bounded, withheld and recorded as
// what systems do. No address of a page names a patient.
package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// Config is what a Server needs. Pace, Now and Log may be left out.
type Config struct {
	DB       *pg.DB
	Sessions *session.Store
	Root     string // where the pages are, as clients see it, without a slash at its end
	Login    Login
	Desk     Desk
	Pace     func(c echo.Context) error // refuses (Throttled) who begins too many sign-ins; nil: nobody
	Now      func() time.Time
	Log      *slog.Logger
}

// Login is how people sign in (integrations/oidc).
type Login struct {
	// Providers are those that can be chosen.
	Providers func(ctx context.Context) ([]Provider, error)
	// Begin returns where the browser has to go. browser is a secret of its own.
	Begin func(ctx context.Context, provider, browser, returnTo string) (address string, err error)
	// Finish judges what the browser comes back with, and opens a session.
	Finish func(ctx context.Context, provider, browser string, query url.Values, from Caller) (cookie, returnTo string, err error)
	// LogoutAt is where the browser ends its session with the issuer too; "" for nowhere.
	LogoutAt func(ctx context.Context, issuer string) string
}

// Provider is an identity provider to choose.
type Provider struct{ Name, Display string }

// Caller is where a request came from, for the audit.
type Caller struct{ RequestID, Address, UserAgent string }

// Desk is what a signed-in person sees and does of cases (fhir/desk.go).
type Desk struct {
	Worklist    func(ctx context.Context, actor access.Actor, most int, from Caller) ([]workflow.WorkItem, error)
	Notices     func(ctx context.Context, actor access.Actor, skip, most int, from Caller) ([]workflow.Notice, error)
	Pages       func(ctx context.Context, actor access.Actor, from Caller) ([]workflow.Page, error)
	Emergencies func(ctx context.Context, actor access.Actor, w workflow.EmergencyWindow, from Caller) (workflow.EmergencyList, error)
	BreakGlass  func(ctx context.Context, actor access.Actor, person uuid.UUID, patient, reason string, from Caller) (workflow.Emergency, error)
	Board       BoardDesk
	// Figures evaluates a measure (fhir/screenfigures.go).
	Figures     func(ctx context.Context, actor access.Actor, query url.Values, from Caller) (screen.Figures, error)
	FigureCases func(ctx context.Context, actor access.Actor, query url.Values, of, after string, from Caller) (screen.FigureCases, error)
	FiguresFile func(ctx context.Context, actor access.Actor, query url.Values, format string, from Caller) (screen.File, error)
	// Perform does an operation of a case (fhir/deskform.go).
	Perform     func(ctx context.Context, actor access.Actor, e screen.Errand, from Caller) (screen.Done, error)
	Readers     ReadersDesk
	Admin       AdminDesk
	Settings    SettingDesk
	Quality     QualityDesk
	Images      ImagesDesk
	Trail       TrailDesk
	Credentials CredentialDesk
}

// Server is the pages.
type Server struct {
	Config

	prefix string // of their paths: "" or "/overread"
	style  file   // our style sheet upon Pico's
	script file
	rooms  []room
}

// New makes a Server.
func New(cfg Config) (*Server, error) {
	root, err := url.Parse(cfg.Root)
	if err != nil || root.Host == "" {
		return nil, fmt.Errorf("web: %q is no address of pages", cfg.Root)
	}
	s := &Server{Config: cfg, prefix: strings.TrimRight(root.Path, "/")}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Pace == nil {
		s.Pace = func(echo.Context) error { return nil }
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	s.style = newFile("css", sheet())
	s.script = newFile("js", asset("app.js"))
	s.rooms = s.allRooms()
	return s, nil
}

// sheet is our style sheet upon Pico's, made once in a process. Pico is a layer below ours:
// whatever we say of an element comes first.
var sheet = sync.OnceValue(func() []byte {
	ours := squeezed(asset("style.css"))
	base := lean(bytes.TrimPrefix(asset("pico.css"), []byte(`@charset "UTF-8";`)), ours)
	return slices.Concat([]byte("@layer base{"), base, []byte("}\n"), ours)
})

// file is an asset as it is served: its name is its hash, so that a browser keeps it.
type file struct {
	path    string
	content []byte
}

// inSheet are strings of a style sheet, which stay as they are; its comments; and blanks that nothing needs.
var inSheet = regexp.MustCompile(`"[^"]*"|/\*(?s:.*?)\*/|\s+\{\s*|[{};:,]\s+|\s+\}`)

// squeezed is a style sheet without what is in it for who writes it: every page carries it.
func squeezed(sheet []byte) []byte {
	for range 2 { // where a comment was, blanks meet
		sheet = inSheet.ReplaceAllFunc(sheet, func(found []byte) []byte {
			switch {
			case found[0] == '"':
				return found
			case bytes.HasPrefix(found, []byte("/*")):
				return nil
			}
			return bytes.TrimSpace(found)
		})
	}
	return sheet
}

func newFile(extension string, content []byte) file {
	sum := sha256.Sum256(content)
	return file{"/assets/" + hex.EncodeToString(sum[:6]) + "." + extension, content}
}

//go:embed pages/*.html assets/* launched/*
var files embed.FS

func asset(name string) []byte {
	text, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return text
}

// View is what every page has besides its own Data.
type View struct {
	Title   string
	Prefix  string // of all addresses
	Style   string
	Script  string
	Keys    string // alt, off, or "" where a key is pressed alone
	Theme   string // dark, light, or "" as the browser is set
	Lang    string
	Session *session.Session // nil on pages for everybody
	Place   *access.Place    // whose page it is; nil where it is of no role at a hospital
	Doors   []door           // the pages of the place
	CSRF    string
	Quiet   int // minutes without a request after which a session ends
	Idle    int // seconds after which a page of a session leads to the sign-in page
	Here    string
	Clinic  bool // the person may open a record in an emergency
	Data    any
}

// pages are the templates by language and name, each within the layout.
var pages = func() map[string]map[string]*template.Template {
	all := map[string]map[string]*template.Template{}
	for code, c := range languages {
		all[code] = parsePages(c)
	}
	return all
}()

func parsePages(c *catalogue) map[string]*template.Template {
	all := map[string]*template.Template{}
	names, _ := fs.Glob(files, "pages/*.html") // embedded
	for _, path := range names {
		name := strings.TrimSuffix(strings.TrimPrefix(path, "pages/"), ".html")
		if name == "layout" {
			continue
		}
		page := template.Must(template.New("").Funcs(c.functions()).ParseFS(files, "pages/layout.html", "launched/gallery.html", path))
		all[name] = template.Must(page.AddParseTree("content", page.Lookup(name+".html").Tree))
	}
	return all
}

// render makes a page. A template that fails is a bug, and nothing is sent of it.
func (s *Server) render(r *http.Request, name string, v View) ([]byte, error) {
	v.Prefix, v.Style, v.Script = s.prefix, s.prefix+s.style.path, s.prefix+s.script.path
	v.Here = name
	v.Theme, v.Keys, v.Lang = themeOf(r, v.Place), chosenKeys(r), languageOf(r).Code
	if v.Place != nil {
		v.Doors = s.doors(*v.Place, s.prefix+r.URL.Path)
	}
	if v.Session != nil {
		v.CSRF = v.Session.CSRF()
		v.Quiet = int(s.Sessions.IdleAfter().Minutes())
		v.Idle = int((s.Sessions.IdleAfter() + 5*time.Second).Seconds())
		_, v.Clinic = clinicalPlaces(v.Session)
	}
	var text bytes.Buffer
	if err := pages[v.Lang][name].ExecuteTemplate(&text, "layout.html", v); err != nil {
		return nil, fmt.Errorf("page %s: %w", name, err)
	}
	return text.Bytes(), nil
}

// policy is what a browser may do with a page: show it with our style sheet and
// script, and talk to us. Nothing that stands in a page itself runs.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

func pageHeaders(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "same-origin") // with none, a browser's own forms have no Origin
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// sendFile gives a file to keep.
func sendFile(c echo.Context, f screen.File) error {
	h := c.Response().Header()
	pageHeaders(h)
	h.Set("Content-Type", f.ContentType)
	h.Set("Content-Disposition", `attachment; filename="`+f.Name+`"`)
	return c.Blob(http.StatusOK, f.ContentType, f.Content)
}

func roleName(r any) string {
	switch role := fmt.Sprint(r); access.Role(role) {
	case access.Director:
		return "medical director"
	case access.Admin:
		return "administrator"
	default:
		return role
	}
}

func stateName(state any) string { return workflow.State(fmt.Sprint(state)).Info().Display }

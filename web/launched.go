package web

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
)

// Launched are the pages that a clinician sees who opens Overread inside their
// EHR (SMART App Launch): all second opinions of the patient in context. They may
// be shown in a frame of the EHR that launched them, and nothing else here may.
//
// The address of a page names its session, never a patient, and each session has
// a cookie of its own: two patients in two windows do not mix.
type Launched struct {
	Sessions *session.Store
	Prefix   string // of the path of all pages, as browsers see it; "" for none

	// Begin answers a launch: where the browser has to go, what only it knows, and
	// who may frame a page about it. tenant is that of the address, or "".
	Begin func(r *http.Request, tenant, browser string) (to, cookie string, framers []string, err error)
	// Finish is the way back from the EHR: the session that it opened.
	Finish func(r *http.Request, browser string) (id uuid.UUID, cookie string, life time.Duration, framers []string, err error)
	// Context is what a session shows besides its patient, also after its end.
	Context func(ctx context.Context, id uuid.UUID) (LaunchContext, error)
	// Keys is our public key set, for EHRs.
	Keys func(ctx context.Context) ([]byte, error)

	Chart       func(ctx context.Context, actor access.Actor, task string) (bedside.Chart, error)
	Form        func(ctx context.Context, actor access.Actor, report, version, form string) (bedside.Form, error)
	Acknowledge func(ctx context.Context, actor access.Actor, task, version string) (newer bool, err error) // of the version that the page has shown
	Log         *slog.Logger
	Pace        func(c echo.Context) error // refuses (Throttled) who begins too many launches; nil: nobody
}

// LaunchContext is what a launched session shows besides its patient.
type LaunchContext struct {
	Task         string // of the order that the clinician came from; "" for none
	OrderUnknown bool   // there is one, and it is not known here
	Banner       bool   // whether the page says whom it is about
	FrameOrigins []string
}

// launchWait is how long the cookie of a beginning launch lasts.
const launchWait = 10 * time.Minute

// Register puts the pages on the router.
func (l *Launched) Register(e *echo.Echo) {
	e.GET("/launch", l.begin)
	e.GET("/launch/at/:tenant", l.begin)
	e.GET("/launch/callback", l.finish)
	e.GET("/launch/jwks.json", l.keys)
	e.GET("/launched/:session", l.show)
	e.GET("/launched/:session/report/:report/:version/:form", l.form)
	e.POST("/launched/:session/acknowledge", l.acknowledge)
	e.POST("/launched/:session/end", l.end)
}

func (l *Launched) begin(c echo.Context) error {
	if l.Pace != nil {
		if err := l.Pace(c); err != nil {
			return l.refuse(c, nil, err)
		}
	}
	to, cookie, framers, err := l.Begin(c.Request(), c.Param("tenant"), l.Sessions.Beginning(c.Request()))
	if err != nil {
		return l.refuse(c, framers, err)
	}
	l.Sessions.SetBeginning(c.Response(), cookie, launchWait)
	noStore(c)
	return c.Redirect(http.StatusFound, to)
}

func (l *Launched) finish(c echo.Context) error {
	id, cookie, life, framers, err := l.Finish(c.Request(), l.Sessions.Beginning(c.Request()))
	if err != nil {
		return l.refuse(c, framers, err)
	}
	l.Sessions.SetLaunchCookie(c.Response(), c.Request(), id, cookie, life)
	noStore(c)
	return c.Redirect(http.StatusSeeOther, l.path(id))
}

func (l *Launched) path(id uuid.UUID) string { return l.Prefix + "/launched/" + id.String() }

func (l *Launched) keys(c echo.Context) error {
	set, err := l.Keys(c.Request().Context())
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/json", set)
}

// visit is a request to a page of a launched session that is in force.
type visit struct {
	id      uuid.UUID
	session *session.Session
	actor   access.Actor
	shows   LaunchContext
}

// enter finds the session of a request. Where it is over, the page says so, and
// what is returned is no error: the answer is written.
func (l *Launched) enter(c echo.Context) (v visit, ok bool, err error) {
	noStore(c)
	if v.id, err = uuid.Parse(c.Param("session")); err != nil || v.id.String() != c.Param("session") {
		return v, false, l.over(c, nil)
	}
	shows, known := l.Context(c.Request().Context(), v.id)
	v.shows = shows
	v.session, err = l.Sessions.OfLaunch(c.Request(), v.id)
	if errors.Is(err, session.ErrNone) || err == nil && (known != nil || len(v.session.Places) != 1) {
		var framers []string
		if known == nil {
			framers = shows.FrameOrigins
		}
		return v, false, l.over(c, framers)
	}
	if err != nil {
		return v, false, err
	}
	if v.actor, err = (access.Choice{}).Of(v.session.Places); err != nil { // the tenant is suspended
		return v, false, l.refuse(c, shows.FrameOrigins, err)
	}
	return v, true, nil
}

// over says that a session has ended, or never was.
func (l *Launched) over(c echo.Context, framers []string) error {
	return l.page(c, http.StatusGone, framers, launchedView{
		Title:   "This view has ended",
		Message: "Nothing is shown any more, to protect the patient. Open Overread again from the patient's record in your EHR.",
	})
}

// refuse is the page about a launch that did not work out.
func (l *Launched) refuse(c echo.Context, framers []string, err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	noStore(c)
	status := http.StatusForbidden
	switch f.Kind() {
	case fault.Unavailable:
		status = http.StatusServiceUnavailable
	case fault.Throttled:
		status = http.StatusTooManyRequests
	}
	return l.page(c, status, framers, launchedView{Title: "Second opinions cannot be shown", Message: f.Issues[0].Text, Alarm: true})
}

func (l *Launched) show(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	chart, err := l.Chart(c.Request().Context(), v.actor, v.shows.Task)
	if err != nil {
		return err
	}
	view := launchedView{
		Title: "Second opinions", Path: l.path(v.id), CSRF: v.session.CSRF(), Who: nameOf(v.session.Display),
		At: v.session.Places[0].TenantDisplay, Chart: &chart, Banner: v.shows.Banner, OrderUnknown: v.shows.OrderUnknown,
	}
	// When nothing is done the session ends, and what is on the screen goes with it.
	c.Response().Header().Set("Refresh", strconv.Itoa(int(l.Sessions.IdleAfter().Seconds())+5)+"; url="+l.path(v.id))
	return l.page(c, http.StatusOK, v.shows.FrameOrigins, view)
}

// nameOf is a person's name without the reference that the audit has with it.
func nameOf(display string) string {
	if at := strings.LastIndex(display, " ("); at > 0 && strings.HasSuffix(display, ")") {
		return display[:at]
	}
	return display
}

func (l *Launched) form(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	form, err := l.Form(c.Request().Context(), v.actor, c.Param("report"), c.Param("version"), c.Param("form"))
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return l.page(c, http.StatusNotFound, v.shows.FrameOrigins, launchedView{Title: "There is no such report", Path: l.path(v.id), Message: "It is not this patient's, or not here any more."})
	}
	if err != nil {
		return err
	}
	framed(c, v.shows.FrameOrigins, "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox allow-modals")
	kind := form.ContentType
	if kind == "application/pdf" {
		c.Response().Header().Set("Content-Disposition", `inline; filename="second-opinion.pdf"`)
		framed(c, v.shows.FrameOrigins, "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'") // browsers show it in a page of their own
	} else {
		kind += "; charset=utf-8"
	}
	return c.Blob(http.StatusOK, kind, form.Content)
}

// proven takes a form: it must come from a page of this session.
func (l *Launched) proven(c echo.Context, v visit) error {
	if err := session.SameSite(c.Request()); err != nil {
		return err
	}
	if !v.session.Proves(c.FormValue(session.CSRFField)) {
		return fault.New(fault.Forbidden, "this page is too old; open it again")
	}
	return nil
}

func (l *Launched) acknowledge(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	if err := l.proven(c, v); err != nil {
		return l.refuse(c, v.shows.FrameOrigins, err)
	}
	newer, err := l.Acknowledge(c.Request().Context(), v.actor, c.FormValue("task"), c.FormValue("version"))
	if f, ok := errors.AsType[*fault.Error](err); ok {
		view := launchedView{Title: "This was not acknowledged", Path: l.path(v.id), Message: "It was acknowledged already, is being changed, or is not this patient's. Look at it again.", Alarm: true}
		l.Log.Info("acknowledgement refused", "kind", string(f.Kind()), "session", v.id)
		return l.page(c, http.StatusConflict, v.shows.FrameOrigins, view)
	}
	if err != nil {
		return err
	}
	if newer {
		return l.page(c, http.StatusOK, v.shows.FrameOrigins, launchedView{
			Title: "A newer version must be read", Path: l.path(v.id), Alarm: true,
			Message: "It is noted that you have read the version that you were shown. Meanwhile a newer version was signed, which may say something else: read that one too, and acknowledge it.",
		})
	}
	return c.Redirect(http.StatusSeeOther, l.path(v.id)+"#"+anchor(c.FormValue("task")))
}

func (l *Launched) end(c echo.Context) error {
	v, ok, err := l.enter(c)
	if !ok {
		return err
	}
	if err := l.proven(c, v); err != nil {
		return l.refuse(c, v.shows.FrameOrigins, err)
	}
	from := session.From{Address: c.RealIP(), RequestID: c.Response().Header().Get("X-Request-Id")}
	if _, err := l.Sessions.End(c.Request().Context(), v.session.PersonID, v.id, session.Logout, from); err != nil {
		return err
	}
	l.Sessions.ClearLaunchCookie(c.Response(), v.id)
	return c.Redirect(http.StatusSeeOther, l.path(v.id))
}

func noStore(c echo.Context) { c.Response().Header().Set("Cache-Control", "no-store") }

// framed sets a page's policy. Only the EHR that launched may show it in a frame:
// where it is listed, that stands in the policy, which all browsers obey that know
// it, and X-Frame-Options, which knows no lists, is taken away.
func framed(c echo.Context, framers []string, policy string) {
	h := c.Response().Header()
	ancestors := "'none'"
	if len(framers) > 0 {
		ancestors = strings.Join(framers, " ")
		h.Del("X-Frame-Options")
	}
	h.Set("Content-Security-Policy", policy+"; frame-ancestors "+ancestors)
}

//go:embed launched.html
var launchedText string

//go:embed launched.css
var launchedStyle string

var launchedTemplate = template.Must(template.New("launched").Funcs(template.FuncMap{
	"style":  func() template.CSS { return template.CSS(launchedStyle) },
	"shown":  func(v launchedView, o bedside.Opinion) shownOpinion { return shownOpinion{v, o} },
	"anchor": anchor,
	"when": func(t time.Time, zone *time.Location) string {
		return inZone(t, zone).Format("2 January 2006, 15:04 MST")
	},
	"day": func(t time.Time, zone *time.Location) string { return inZone(t, zone).Format("2 January 2006") },
	"iso": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).Parse(launchedText))

// launchedPolicy lets the page have its one style sheet and send its forms here.
var launchedPolicy = func() string {
	sum := sha256.Sum256([]byte(launchedStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'self'"
}()

func inZone(t time.Time, zone *time.Location) time.Time {
	if zone == nil {
		zone = time.UTC
	}
	return t.In(zone)
}

// anchor names a second opinion within the page, without its id: what stands in an
// address may end in a log.
func anchor(task string) string {
	sum := sha256.Sum256([]byte(task))
	return "o" + base64.RawURLEncoding.EncodeToString(sum[:9])
}

// launchedView is what a launched page shows: a message, or a chart.
type launchedView struct {
	Title, Message string
	Alarm          bool
	Path, CSRF     string
	Who, At        string
	Chart          *bedside.Chart
	Banner         bool
	OrderUnknown   bool
}

// shownOpinion is one second opinion on its page.
type shownOpinion struct {
	View    launchedView
	Opinion bedside.Opinion
}

func (l *Launched) page(c echo.Context, status int, framers []string, view launchedView) error {
	var out bytes.Buffer
	if err := launchedTemplate.Execute(&out, view); err != nil {
		return err
	}
	framed(c, framers, launchedPolicy)
	return c.HTMLBlob(status, out.Bytes())
}

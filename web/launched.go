package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/bedside"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
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
	Finish func(r *http.Request, browser string) (opened LaunchOpened, framers []string, err error)
	// Context is what a session shows besides its patient, also after its end.
	Context func(ctx context.Context, id uuid.UUID) (LaunchContext, error)
	// Keys is our public key set, for EHRs.
	Keys func(ctx context.Context) ([]byte, error)

	Chart       func(ctx context.Context, actor access.Actor, task string) (bedside.Chart, error)
	Opinion     func(ctx context.Context, actor access.Actor, task string, from, to int) (bedside.Opened, error) // from and to: versions to compare, 0 for the last two
	Form        func(ctx context.Context, actor access.Actor, report, version, form, language string) (bedside.Form, error)
	Summary     func(ctx context.Context, actor access.Actor, task, language, form string) (bedside.Form, error)  // for the patient
	Acknowledge func(ctx context.Context, actor access.Actor, task, version, name string) (newer bool, err error) // of the version that the page has shown
	Carry       func(ctx context.Context, actor access.Actor, e screen.Errand) error                              // does an operation of a case
	Images      ImagesDesk
	Log         *slog.Logger
	Pace        func(c echo.Context) error // refuses (Throttled) who begins too many launches; nil: nobody
}

// LaunchOpened is a launch that came to its end.
type LaunchOpened struct {
	Session uuid.UUID
	Cookie  string
	Life    time.Duration
	Locale  string // in which the clinician reads, as the EHR says (BCP 47); ""
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
	e.GET("/launched/:session/opinion/:task", l.opinion)
	e.GET("/launched/:session/opinion/:task/summary/:language/:form", l.summary)
	e.GET("/launched/:session/opinion/:task/dicomweb/*", l.dicomweb)
	e.HEAD("/launched/:session/opinion/:task/dicomweb/*", l.dicomweb)
	e.GET("/launched/:session/opinion/:task/viewer", l.toViewer)
	e.GET("/launched/:session/opinion/:task/image/*", l.image)
	e.GET("/launched/:session/report/:report/:version/:form", l.form)
	e.POST("/launched/:session/acknowledge", l.acknowledge)
	e.POST("/launched/:session/opinion/:task/:act", l.act)
	e.POST("/launched/:session/language", l.language)
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
	opened, framers, err := l.Finish(c.Request(), l.Sessions.Beginning(c.Request()))
	if err != nil {
		return l.refuse(c, framers, err)
	}
	l.Sessions.SetLaunchCookie(c.Response(), c.Request(), opened.Session, opened.Cookie, opened.Life)
	if spoken := languageNamed(opened.Locale); spoken != nil {
		l.Sessions.SetLaunchLanguage(c.Response(), opened.Session, spoken.Code, opened.Life)
	}
	noStore(c)
	return c.Redirect(http.StatusSeeOther, l.path(opened.Session))
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

package web

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/gate"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/session"
)

// route is one row of the table of pages. in tells that somebody has to be signed
// in; what changes anything there needs the session's CSRF token.
type route struct {
	method, path string
	in           bool
	handle       handler
}

// A handler acts and replies, or returns an error, which becomes a page. The
// session is nil on pages for everybody.
type handler func(c echo.Context, s *session.Session) error

func (s *Server) routes() []route {
	return []route{
		{http.MethodGet, s.style.path, false, serve(s.style, "text/css; charset=utf-8")},
		{http.MethodGet, s.script.path, false, serve(s.script, "text/javascript; charset=utf-8")},
		{http.MethodGet, "/signin", false, s.signIn},
		{http.MethodGet, "/login/:provider", false, s.begin},
		{http.MethodGet, "/login/:provider/callback", false, s.finish},
		{http.MethodGet, "/signed-out", false, s.signedOut},

		{http.MethodGet, "/home", true, s.home},
		{http.MethodGet, "/session", true, s.whoAmI},
		{http.MethodGet, "/sessions", true, s.sessions},
		{http.MethodPost, "/sessions/end", true, s.endSession},
		{http.MethodGet, "/break-glass", true, s.breakGlassForm},
		{http.MethodPost, "/break-glass", true, s.breakGlass},
		{http.MethodGet, "/preferences", true, s.preferencesForm},
		{http.MethodPost, "/preferences", true, s.preferences},
		{http.MethodPost, "/logout", true, s.logout},
	}
}

// mostForm is the largest form.
const mostForm = 64 << 10

// Register puts the pages on the router.
func (s *Server) Register(e *echo.Echo) {
	for _, r := range slices.Concat(s.routes(), s.installationRoutes()) {
		e.Add(r.method, r.path, s.admit(r))
	}
	for _, r := range s.rooms {
		e.Add(r.method, "/at/:tenant/:role"+r.path, s.admit(route{r.method, r.path, true, s.enterRoom(r)}))
	}
}

// NotHere is the page about an address that is none, for browsers; what is asked
// of the API, or by a program, is left to the API.
func (s *Server) NotHere(c echo.Context) error {
	r := c.Request()
	if r.URL.Path == "/fhir" || strings.HasPrefix(r.URL.Path, "/fhir/") || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		return echo.ErrNotFound
	}
	return s.fail(c, fault.New(fault.NotFound, "There is no page at this address."))
}

// Mount adds a page of another part: for somebody who is signed in, or everybody.
func (s *Server) Mount(e *echo.Echo, method, path string, in bool, handle func(c echo.Context, s *session.Session) error) {
	e.Add(method, path, s.admit(route{method, path, in, handle}))
}

// admit finds the session and refuses what another site has sent.
func (s *Server) admit(r route) echo.HandlerFunc {
	return func(c echo.Context) error {
		err := s.enter(c, r)
		if err != nil && !c.Response().Committed {
			return s.fail(c, err)
		}
		return err
	}
}

func (s *Server) enter(c echo.Context, r route) error {
	request := c.Request()
	request.Body = http.MaxBytesReader(c.Response(), request.Body, mostForm)
	if changes(request) {
		if err := session.SameSite(request); err != nil {
			return err
		}
	}
	if !r.in {
		return r.handle(c, nil)
	}
	found, err := s.Sessions.OfRequest(request)
	if errors.Is(err, session.ErrNone) {
		return s.toSignIn(c)
	}
	if err != nil {
		return err
	}
	gate.Identified(c)
	if changes(request) {
		proof := request.Header.Get(session.CSRFHeader)
		if proof == "" {
			proof = request.PostFormValue(session.CSRFField)
		}
		if !found.Proves(proof) {
			return fault.New(fault.Forbidden, "This form is of another session, or too old. Nothing was done; please go back to the page and try again.")
		}
	}
	return r.handle(c, found)
}

// changes tells whether a request may change something (RFC 9110 section 9.2.1).
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead
}

// toSignIn leads to the sign-in page, and from there back to where somebody was.
func (s *Server) toSignIn(c echo.Context) error {
	if wantsJSON(c.Request()) {
		return fault.New(fault.Unauthenticated, "sign in first")
	}
	q := url.Values{"return": {s.prefix + "/home"}}
	if c.Request().Method == http.MethodGet { // the prefix was taken off on the way here
		q.Set("return", s.prefix+c.Request().URL.RequestURI())
	}
	if _, err := c.Cookie(s.Sessions.CookieName()); err == nil {
		q.Set("why", "ended")
		s.Sessions.ClearCookie(c.Response())
	}
	return c.Redirect(http.StatusSeeOther, s.prefix+"/signin?"+q.Encode())
}

func (s *Server) reply(c echo.Context, status int, name string, v View) error {
	text, err := s.render(c.Request(), name, v)
	if err != nil {
		return err
	}
	pageHeaders(c.Response().Header())
	return c.Blob(status, "text/html; charset=utf-8", text)
}

// statuses are those of the faults that a page may meet.
var statuses = map[fault.Kind]int{
	fault.NotFound: http.StatusNotFound, fault.Forbidden: http.StatusForbidden, fault.Unauthenticated: http.StatusUnauthorized,
	fault.MethodNotAllowed: http.StatusMethodNotAllowed, fault.Value: http.StatusBadRequest, fault.Required: http.StatusBadRequest, fault.Throttled: http.StatusTooManyRequests,
	fault.Conflict: http.StatusConflict, fault.TooLarge: http.StatusRequestEntityTooLarge, fault.Unavailable: http.StatusServiceUnavailable,
}

// fail shows an error. What is internal is logged, and told as such.
func (s *Server) fail(c echo.Context, err error) error {
	status, text := s.told(c, err)
	if wantsJSON(c.Request()) {
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.JSON(status, map[string]string{"error": text})
	}
	return s.reply(c, status, "problem", View{Title: titleOf(status), Data: problem{Text: text}})
}

// unexplained is what is said of an error that is ours.
var unexplained = fault.New(fault.Unavailable, "Something went wrong here, not with you. Please try again in a moment.")

// told is the status of an error, and what is said of it.
func (s *Server) told(c echo.Context, err error) (status int, text string) {
	status, text = statuses[unexplained.Kind()], unexplained.Issues[0].Text
	if known, ok := errors.AsType[*fault.Error](err); ok {
		text = known.Issues[0].Text
		if status, ok = statuses[known.Kind()]; !ok {
			status = http.StatusBadRequest
		}
	} else {
		s.Log.Error("page failed", "error", pg.Describe(err), "route", c.Path(), "request_id", s.caller(c).RequestID)
	}
	return status, text
}

// titles are those of pages about something that did not work; the others have the last.
var titles = map[int]string{http.StatusForbidden: "This is not possible", http.StatusNotFound: "Not here", http.StatusServiceUnavailable: "Please try again", 0: "This did not work"}

func titleOf(status int) string { return cmp.Or(titles[status], titles[0]) }

func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

func (s *Server) caller(c echo.Context) Caller {
	return Caller{RequestID: c.Response().Header().Get("X-Request-Id"), Address: c.RealIP(), UserAgent: agentOf(c.Request())}
}

// agentOf is the browser in a few words, for the list of one's sessions.
func agentOf(r *http.Request) string {
	agent := r.UserAgent()
	browser, system := "a browser", ""
	for _, known := range [][2]string{{"Edg/", "Edge"}, {"Firefox/", "Firefox"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}} {
		if strings.Contains(agent, known[0]) {
			browser = known[1]
			break
		}
	}
	for _, known := range [][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}} {
		if strings.Contains(agent, known[0]) {
			system = " on " + known[1]
			break
		}
	}
	return browser + system
}

func (s *Server) from(c echo.Context) session.From {
	from := s.caller(c)
	return session.From{Address: from.Address, RequestID: from.RequestID}
}

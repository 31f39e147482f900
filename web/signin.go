package web

import (
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/session"
)

func serve(f file, contentType string) handler {
	return func(c echo.Context, _ *session.Session) error {
		c.Response().Header().Set("Cache-Control", "public, max-age=31536000, immutable") // its name is its hash
		return c.Blob(http.StatusOK, contentType, f.content)
	}
}

// notes are why somebody sees the sign-in page.
var notes = map[string]string{
	"ended": "You were signed out, because nothing happened for a while or because your time was over. What you had sent is kept; what you had only typed is not.",
	"idle":  "You were signed out, because nothing happened for a while. What you had sent is kept; what you had only typed is not.",
}

// stillIn is said where a page has closed itself and the session goes on.
const stillIn = "This page was closed because nothing happened in it for a while. You are still signed in, as you have worked in another tab. What you had only typed here is not kept."

// signIn lists the providers.
func (s *Server) signIn(c echo.Context, _ *session.Session) error {
	providers, err := s.Login.Providers(c.Request().Context())
	if err != nil {
		return err
	}
	why := c.QueryParam("why")
	note, in := notes[why], false
	if why == "idle" {
		if in, err = s.Sessions.InForce(c.Request()); err != nil {
			return err
		}
	}
	if in {
		note = stillIn
	}
	return s.reply(c, http.StatusOK, "signin", View{Title: "Sign in", Data: map[string]any{
		"Providers": providers, "Return": c.QueryParam("return"), "Note": note, "In": in,
	}})
}

// browserCookie is a secret of the browser while it signs in: what comes back
// from the provider is taken from no other. It is Lax, since it has to come along
// when the provider sends the browser back.
func (s *Server) browserCookie() string {
	if s.Sessions.Secure() {
		return "__Host-overread-signin"
	}
	return "overread-signin"
}

func (s *Server) setBrowser(c echo.Context, value string, life time.Duration) {
	c.SetCookie(&http.Cookie{ //nolint:gosec // Secure: session.CookieName
		Name: s.browserCookie(), Value: value, Path: "/", MaxAge: int(life.Seconds()),
		Secure: s.Sessions.Secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// signInLife is how long a browser may take to come back.
const signInLife = 15 * time.Minute

func (s *Server) begin(c echo.Context, _ *session.Session) error {
	if err := s.Pace(c); err != nil {
		return err
	}
	// A browser keeps its secret while it signs in, so that two tabs may.
	browser := access.NewToken()
	if had, err := c.Cookie(s.browserCookie()); err == nil && len(had.Value) == len(browser) {
		browser = had.Value
	}
	back := c.QueryParam("return")
	if back == "" {
		back = s.prefix + "/home"
	}
	address, err := s.Login.Begin(c.Request().Context(), c.Param("provider"), browser, back)
	if err != nil {
		return err
	}
	s.setBrowser(c, browser, signInLife)
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusSeeOther, address)
}

func (s *Server) finish(c echo.Context, _ *session.Session) error {
	browser := ""
	if sent := c.Request().CookiesNamed(s.browserCookie()); len(sent) == 1 {
		browser = sent[0].Value
	}
	ctx := c.Request().Context()
	cookie, back, err := s.Login.Finish(ctx, c.Param("provider"), browser, c.QueryParams(), s.caller(c))
	if err != nil {
		return err
	}
	// Whoever signs in again leaves the session that this browser had.
	if had, err := s.Sessions.OfRequest(c.Request()); err == nil {
		if _, err := s.Sessions.End(ctx, had.PersonID, had.ID, session.Logout, s.from(c)); err != nil {
			return err
		}
	}
	s.setBrowser(c, "", -time.Second)
	s.Sessions.SetCookie(c.Response(), cookie)
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.Redirect(http.StatusSeeOther, back)
}

// logout ends the session here, and leads to where the provider ends its own.
func (s *Server) logout(c echo.Context, found *session.Session) error {
	ctx := c.Request().Context()
	if _, err := s.Sessions.End(ctx, found.PersonID, found.ID, session.Logout, s.from(c)); err != nil {
		return err
	}
	s.Sessions.ClearCookie(c.Response())
	at := ""
	if found.CameFrom == session.FromOIDC {
		at = s.Login.LogoutAt(ctx, found.Issuer)
	}
	// Not a redirect: browsers hold the answer of a form to form-action too.
	return s.reply(c, http.StatusOK, "signedout", View{Title: "Signed out", Data: at})
}

func (s *Server) signedOut(c echo.Context, _ *session.Session) error {
	return s.reply(c, http.StatusOK, "signedout", View{Title: "Signed out", Data: ""})
}

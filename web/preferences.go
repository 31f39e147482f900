package web

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
)

// themes are the ways the pages may look; "" follows the browser's own setting,
// save for those who read images, who sit in the dark.
var themes = []string{"", "dark", "light"}

// keyWays are how the keys of the pages are pressed: alone; with Alt; or not at all, where
// what is dictated or a slip of the hand would press them (WCAG 2.2, 2.1.4 Character Key
// Shortcuts). Keys with Ctrl, arrows and Enter always work.
var keyWays = []string{"", "alt", "off"}

func chosenKeys(r *http.Request) string {
	chosen, err := r.Cookie(keysCookie)
	if err != nil || !slices.Contains(keyWays, chosen.Value) {
		return ""
	}
	return chosen.Value
}

// themeOf is the theme that a person chose, or that suits their role.
func themeOf(r *http.Request, place *access.Place) string {
	if chosen, err := r.Cookie(themeCookie); err == nil && chosen.Value != "" && slices.Contains(themes, chosen.Value) {
		return chosen.Value
	}
	if place == nil || slices.Contains([]access.Role{access.Reader, access.Adjudicator, access.Supervisor}, place.Role) {
		return "dark"
	}
	return ""
}

func (s *Server) preferencesForm(c echo.Context, found *session.Session) error {
	return s.reply(c, http.StatusOK, "preferences", View{Title: "Preferences", Session: found, Data: map[string]any{"Languages": offered, "Themes": themes, "Theme": chosenTheme(c.Request()), "KeyWays": keyWays}})
}

func chosenTheme(r *http.Request) string {
	chosen, err := r.Cookie(themeCookie)
	if err != nil {
		return ""
	}
	return chosen.Value
}

// preferences keeps language, theme and keys in the browser for a year.
func (s *Server) preferences(c echo.Context, _ *session.Session) error {
	language, theme, keys := c.FormValue("language"), c.FormValue("theme"), c.FormValue("keys")
	if languages[language] == nil || !slices.Contains(themes, theme) || !slices.Contains(keyWays, keys) {
		return fault.New(fault.Value, "Choose one of the languages, themes and ways of keys that are listed.")
	}
	for name, value := range map[string]string{languageCookie: language, themeCookie: theme, keysCookie: keys} {
		c.SetCookie(&http.Cookie{ //nolint:gosec // not HttpOnly matters nothing: it holds no secret; Secure: session.CookieName
			Name: name, Value: value, Path: "/", MaxAge: int((365 * 24 * time.Hour).Seconds()), Secure: s.Sessions.Secure(), HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	return c.Redirect(http.StatusSeeOther, s.prefix+"/home")
}

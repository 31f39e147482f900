package fhir

import (
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// compressFrom is the size from which an answer is worth compressing: less fits
// into one packet anyway. Answers hold nothing of the request that an attacker
// could choose beside a secret (BREACH): there are no secrets in them.
const compressFrom = 1400

// compress answers with gzip who accepts it.
func compress() echo.MiddlewareFunc {
	return middleware.GzipWithConfig(middleware.GzipConfig{MinLength: compressFrom})
}

// tidyAddress makes one address of its spellings: with a slash at the end
// or without, and with escapes that need not be there (/fhir/Patient/%61).
func tidyAddress(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		tidy(c.Request().URL)
		return next(c)
	}
}

// tidy leaves an escaped slash as it is: it is part of no address of ours.
func tidy(u *url.URL) {
	if !strings.Contains(strings.ToLower(u.RawPath), "%2f") {
		u.RawPath = ""
	}
	if len(u.Path) > 1 && strings.HasPrefix(u.Path, "/fhir") {
		u.Path = strings.TrimSuffix(u.Path, "/")
		u.RawPath = strings.TrimSuffix(u.RawPath, "/")
	}
}

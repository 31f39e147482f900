package fhir

import (
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
)

// What a page in a browser may send to us and read of our answers.
var (
	corsMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	corsAsk     = []string{"Authorization", "Content-Type", "Accept", "Prefer", "If-Match", "If-None-Match", "If-Modified-Since", "If-None-Exist", "X-Request-Id"}
	corsTell    = []string{"ETag", "Location", "Content-Location", "Last-Modified", "X-Request-Id", "Retry-After", "X-Progress", "Expires"}
)

// corsOpen are the addresses that a page of any origin may read: what they say
// is public. SMART App Launch wants it of the first two.
var corsOpen = []string{"/fhir/metadata", "/fhir/.well-known/smart-configuration", "/fhir/openapi.json"}

// cors lets pages of the listed origins call from a browser, and no others: an
// origin is compared letter by letter, there are no wildcards, and no cookies
// are involved. Who is not listed gets the answer without the headers, which
// the browser then keeps from the page.
func (s *Server) cors() echo.MiddlewareFunc {
	open := middleware.CORSWithConfig(middleware.CORSConfig{
		AllowOrigins: []string{"*"}, AllowMethods: []string{http.MethodGet, http.MethodHead},
		AllowHeaders: corsAsk, ExposeHeaders: corsTell, MaxAge: 600,
	})
	listed := middleware.CORSWithConfig(middleware.CORSConfig{
		Skipper:         func(echo.Context) bool { return len(s.origins) == 0 },
		AllowOriginFunc: func(origin string) (bool, error) { return slices.Contains(s.origins, origin), nil },
		AllowMethods:    corsMethods, AllowHeaders: corsAsk, ExposeHeaders: corsTell, MaxAge: 600,
	})
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		toAll, toListed := open(next), listed(next)
		return func(c echo.Context) error {
			if slices.Contains(corsOpen, strings.TrimSuffix(c.Request().URL.Path, "/")) {
				return toAll(c)
			}
			return toListed(c)
		}
	}
}

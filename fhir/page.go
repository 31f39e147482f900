package fhir

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"
)

// page is a row of the table of what is served to everybody, whatever they
// accept, and is no FHIR: for people, and for programs that look for a
// description of the API.
type page struct {
	path   string
	handle echo.HandlerFunc
}

// The pages about the API stand below the FHIR base, so that they are where the
// API is, whatever a proxy before us makes of its address; no type of resource
// is called docs. They are made of this package's tables, and so live here: the
// pages of issue 7, for readers and coordinators, are no part of the API.
func (s *Server) pages() []page {
	return []page{
		{"/", s.toDocs},
		{"/fhir/.well-known/smart-configuration", s.smartConfiguration},
	}
}

// toDocs leads to the index of the API.
func (s *Server) toDocs(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, s.baseURL+"/docs")
}

// browsers leads a person who opens the FHIR base in a browser to the index of
// the API. A client that asks for FHIR, or for anything in particular, gets
// what FHIR says.
func (s *Server) browsers(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		read := r.Method == http.MethodGet || r.Method == http.MethodHead
		if read && strings.TrimSuffix(r.URL.Path, "/") == "/fhir" && r.URL.RawQuery == "" {
			c.Response().Header().Add("Vary", "Accept")
			if wantsHTML(r) {
				return s.toDocs(c)
			}
		}
		return next(c)
	}
}

// wantsHTML tells whether the client accepts HTML, and no FHIR at least as much.
func wantsHTML(r *http.Request) bool {
	var html, fhir float64
	for accepted := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		given, params, err := mime.ParseMediaType(strings.TrimSpace(accepted))
		if err != nil {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		if err != nil {
			q = 1
		}
		switch {
		case given == "text/html" || given == "application/xhtml+xml":
			html = max(html, q)
		case strings.Contains(given, "json"):
			fhir = max(fhir, q)
		}
	}
	return html > fhir
}

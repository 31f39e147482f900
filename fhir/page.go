package fhir

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
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
		{"/", s.toHome},
		{"/fhir/docs", s.docs},
		{"/fhir/docs/:type", s.docs},
		{"/fhir/openapi.json", s.openAPI},
		{"/fhir/.well-known/smart-configuration", s.smartConfiguration},
	}
}

// toHome leads to the pages for people, where there are some.
func (s *Server) toHome(c echo.Context) error { return c.Redirect(http.StatusSeeOther, s.homeURL) }

// toDocs leads to the index of the API.
func (s *Server) toDocs(c echo.Context) error {
	return c.Redirect(http.StatusSeeOther, s.baseURL+"/docs")
}

//go:embed docs
var docsFiles embed.FS

var docsTemplate = template.Must(template.ParseFS(docsFiles, "docs/*.html"))

// docs is GET /fhir/docs, and a page for each type below it.
func (s *Server) docs(c echo.Context) error {
	text, ok := s.docsText[c.Param("type")]
	if !ok {
		return fault.New(fault.NotFound, "there is no page about a type of this name; /fhir/docs lists those that are")
	}
	style, script := docsFile("style.css"), docsFile("copy.js")
	header := c.Response().Header()
	header.Set("Content-Security-Policy", "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
		"style-src "+sourceHash(style)+"; script-src "+sourceHash(script))
	header.Set("Referrer-Policy", "no-referrer")
	var failed error
	err := text.reply(c, echo.MIMETextHTMLCharsetUTF8, func() []byte {
		var page bytes.Buffer
		view := s.docsView(c.Param("type"))
		view.Style, view.Script = template.CSS(style), template.JS(script)
		failed = docsTemplate.ExecuteTemplate(&page, "page", view)
		return page.Bytes()
	})
	if failed != nil {
		return fmt.Errorf("docs: %w", failed)
	}
	return err
}

func docsFile(name string) string {
	text, err := docsFiles.ReadFile("docs/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	return string(text)
}

// sourceHash allows exactly this text, CSP level 3.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
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

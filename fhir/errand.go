package fhir

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// An errand is an entry of a Bundle that is done as the HTTP request that it
// stands for: every entry of a batch, and what a transaction reads.
type errand struct {
	at     string // Bundle.entry[2]
	method string
	url    *url.URL
	header http.Header
	body   []byte
}

// entryHeaders are the headers that an entry's request has elements for, FHIR R4
// bundle.html.
var entryHeaders = map[string]string{"ifNoneMatch": "If-None-Match", "ifMatch": "If-Match", "ifNoneExist": "If-None-Exist"}

// errandOf reads an entry. It is asked with the preferences of the Bundle; what
// it writes comes back only where the client prefers so.
func (s *Server) errandOf(c echo.Context, entry *Node, at string) (errand, error) {
	request := entry.Get("request")
	ask := errand{at: at, method: request.Text("method"), header: http.Header{}}
	address, err := url.Parse("/fhir/" + s.relativeURL(request.Text("url")))
	switch {
	case ask.method == "":
		return ask, fault.At(fault.Required, at+".request.method", "an entry needs its request: what to do with it")
	case err != nil:
		return ask, fault.At(fault.Value, at+".request.url", "the address is not escaped as a URL wants it")
	case address.Path == "/fhir/" && ask.method == http.MethodPost:
		return ask, fault.At(fault.NotSupported, at+".request.url", "a Bundle cannot be part of a Bundle")
	case !fitsBundle(address.Query().Get("_format")):
		return ask, fault.At(fault.NotAcceptable, at+".request.url", "what goes into a Bundle is FHIR JSON: leave _format out")
	}
	tidy(address)
	ask.url = address
	ask.header.Set("Accept", fhirTypes[0]) // of a Binary too, what goes into a Bundle is the resource
	ask.header["Prefer"] = c.Request().Header.Values("Prefer")
	if preferredReturn(c) == "" && writing[ask.method] != "" && !strings.Contains(address.Path, "$") {
		ask.header.Add("Prefer", "return=minimal")
	}
	for element, header := range entryHeaders {
		if value := request.Text(element); value != "" {
			ask.header.Set(header, value)
		}
	}
	if since, err := time.Parse(time.RFC3339, request.Text("ifModifiedSince")); err == nil {
		ask.header.Set("If-Modified-Since", since.UTC().Format(http.TimeFormat))
	}
	return ask, ask.carry(entry.Get("resource"))
}

// fitsBundle tells whether a _format, "" for none, gives what can stand in a
// Bundle: the native content of a Binary cannot.
func fitsBundle(format string) bool {
	return format == "" || acceptsFHIR(format) && !strings.Contains(format, "*")
}

// carry makes the resource of the entry the body of its request: a Binary with a
// patch is the patch.
func (a *errand) carry(n *Node) error {
	a.header.Set("Content-Type", fhirTypes[0])
	switch {
	case n == nil && strings.HasSuffix(a.url.Path, "/_search"):
		a.header.Set("Content-Type", "application/x-www-form-urlencoded")
	case n == nil:
	case a.method == http.MethodPatch && n.Type() == "Binary":
		body, err := binaryContent(n)
		if err != nil {
			return fault.At(fault.Value, a.at+".resource.data", "the data of the Binary are not base64")
		}
		a.header.Set("Content-Type", n.Text("contentType"))
		a.body = body
	default:
		a.body = n.Bytes()
	}
	return nil
}

// relativeURL is an address below our base without the base.
func (s *Server) relativeURL(address string) string {
	return strings.TrimPrefix(strings.TrimPrefix(address, s.baseURL), "/")
}

// within is the Server within a transaction: what it reads, it reads there.
func (s *Server) within(tx pgx.Tx) *Server {
	inner := *s
	inner.tx = tx
	return &inner
}

// desk answers the errands of one actor. It has the routes of the Server, and
// what goes on around them (logs, compression) is left to the Bundle's request.
type desk struct {
	router *echo.Echo
	base   string
	failed error // of the last errand
}

func (s *Server) desk(actor access.Actor) *desk {
	d := &desk{router: echo.New(), base: s.baseURL}
	d.router.HTTPErrorHandler = func(err error, _ echo.Context) { d.failed = err }
	s.mount(d.router, func(echo.Context) (access.Actor, error) { return actor, nil })
	return d
}

// ask does one errand. The error is that of its handler.
func (d *desk) ask(ctx context.Context, a errand) (entryAnswer, error) {
	request := (&http.Request{
		Method: a.method, URL: a.url, Header: a.header, Host: "overread",
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: http.NoBody, ContentLength: int64(len(a.body)),
	}).WithContext(ctx)
	if len(a.body) > 0 {
		request.Body = readCloser{bytes.NewReader(a.body)}
	}
	w := &written{header: http.Header{}, status: http.StatusOK}
	d.failed = nil
	d.router.ServeHTTP(w, request)
	if d.failed != nil {
		return entryAnswer{}, d.failed
	}
	answer := entryAnswer{
		status:   w.status,
		location: strings.TrimPrefix(w.header.Get("Location"), d.base+"/"),
		etag:     w.header.Get("ETag"),
		size:     w.body.Len(),
	}
	if !w.at.IsZero() { // the header has seconds only
		answer.lastModified = instant(w.at)
	}
	switch {
	case a.method == http.MethodHead:
	case writing[a.method] != "" && slices.Contains(a.header.Values("Prefer"), "return=OperationOutcome"):
		answer.outcome, _ = Parse(w.body.Bytes(), Limits{})
	default:
		answer.resource = w.body.Bytes()
	}
	return answer, nil
}

// written is an answer that goes into a Bundle instead of to a client.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
	at     time.Time // when the resource was written
}

// tellModified is Last-Modified, FHIR R4 http.html#versions. An answer that goes
// into a Bundle is told the milliseconds too, which no header has.
func tellModified(c echo.Context, at time.Time) {
	c.Response().Header().Set("Last-Modified", at.UTC().Format(http.TimeFormat))
	if w, ok := c.Response().Writer.(*written); ok {
		w.at = at
	}
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) WriteHeader(status int)      { w.status = status }
func (w *written) Write(b []byte) (int, error) { return w.body.Write(b) }

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }

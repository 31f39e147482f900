package fhir

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
)

const fhirJSON = "application/fhir+json; charset=utf-8"

// fhirTypes are the media types of a FHIR body, FHIR R4 http.html#mime-type.
var fhirTypes = []string{"application/fhir+json", "application/json"}

// body reads the request's body, which must be of one of these media types. It
// returns a fault of kind MediaType or TooLarge.
func (s *Server) body(c echo.Context, types ...string) ([]byte, error) {
	r := c.Request()
	given, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	encoding := r.Header.Get("Content-Encoding")
	switch {
	case err != nil || !slices.Contains(types, given):
		return nil, fault.New(fault.MediaType, "send Content-Type: %s", types[0])
	case charset != "" && charset != "utf-8", encoding != "" && encoding != "identity":
		return nil, fault.New(fault.MediaType, "send the body as plain UTF-8, without Content-Encoding")
	case params["fhirversion"] != "" && params["fhirversion"] != "4.0":
		return nil, fault.New(fault.MediaType, "only FHIR version 4.0 is served")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, s.maxBody))
	var tooLong *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLong) {
		err = &fault.Error{Issues: []fault.Issue{{Kind: fault.Structure, Text: "the body ended before its announced length"}}, Cause: err}
	}
	return body, err
}

// acceptable tells whether the client can read FHIR JSON. _format outweighs
// the header, FHIR R4 http.html#parameters.
func acceptable(c echo.Context) bool {
	if format := c.QueryParam("_format"); format != "" {
		return acceptsFHIR(format)
	}
	accept := strings.Join(c.Request().Header.Values("Accept"), ",")
	if strings.TrimSpace(accept) == "" {
		return true
	}
	return slices.ContainsFunc(strings.Split(accept, ","), acceptsFHIR)
}

var acceptedTypes = append([]string{"json", "*/*", "application/*"}, fhirTypes...)

// acceptsFHIR tells whether one media range is ours. An unescaped + of a query
// has become a space.
func acceptsFHIR(text string) bool {
	given, params, err := mime.ParseMediaType(strings.Replace(strings.TrimSpace(text), "fhir json", "fhir+json", 1))
	if err != nil || !slices.Contains(acceptedTypes, given) {
		return false
	}
	if version := params["fhirversion"]; version != "" && version != "4.0" {
		return false
	}
	q, err := strconv.ParseFloat(params["q"], 64)
	return err != nil || q > 0
}

// prefers tells whether the client asks for this in Prefer: return=minimal,
// handling=lenient (FHIR R4 http.html#ops, search.html#errors).
func prefers(c echo.Context, preference string) bool {
	for _, header := range c.Request().Header.Values("Prefer") {
		for _, each := range strings.FieldsFunc(header, func(r rune) bool { return r == ',' || r == ';' }) {
			if strings.EqualFold(strings.TrimSpace(each), preference) {
				return true
			}
		}
	}
	return false
}

// reply answers with a stored resource, as the bytes that are kept.
func (s *Server) reply(c echo.Context, status int, r Stored) error {
	header := c.Response().Header()
	header.Set("ETag", r.ETag())
	header.Set("Last-Modified", r.LastUpdated.UTC().Format(http.TimeFormat))
	return write(c, status, r.Body)
}

// replyWritten answers a create or update: with Location, and with as much of
// the resource as the client prefers, FHIR R4 http.html#ops.
func (s *Server) replyWritten(c echo.Context, status int, r Stored) error {
	c.Response().Header().Set("Location", s.baseURL+"/"+r.Versioned())
	switch {
	case prefers(c, "return=minimal"):
		c.Response().Header().Set("ETag", r.ETag())
		c.Response().Header().Set("Last-Modified", r.LastUpdated.UTC().Format(http.TimeFormat))
		return c.NoContent(status)
	case prefers(c, "return=OperationOutcome"):
		r.Body = outcome(issue("information", "informational", "stored", "", "")).Bytes()
	}
	return s.reply(c, status, r)
}

func write(c echo.Context, status int, body []byte) error {
	header := c.Response().Header()
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store") // patient data, in every cache on the way
	return c.Blob(status, fhirJSON, body)
}

// What an update may expect besides a version: that there is none yet, or any.
const (
	noVersion  int64 = 0
	anyVersion int64 = -1
)

// expectedForUpdate reads both conditions on the version of an update: If-Match
// (with *, it only changes what is there), and If-None-Match: *, which only
// creates.
func expectedForUpdate(ifMatch, ifNoneMatch string) (*int64, error) {
	expected := noVersion
	switch {
	case ifNoneMatch == "*":
		return &expected, nil
	case ifNoneMatch != "":
		return nil, fault.New(fault.NotSupported, "on an update, If-None-Match can be * only")
	case strings.TrimSpace(ifMatch) == "*": // RFC 9110 13.1.1
		expected = anyVersion
		return &expected, nil
	}
	return expectedVersion(ifMatch)
}

// meets tells whether the current version, 0 for none, is the expected one.
func meets(expected *int64, current int64) bool {
	switch {
	case expected == nil:
		return true
	case *expected == anyVersion:
		return current != noVersion
	}
	return *expected == current
}

// expectedVersion reads If-Match: W/"3"; nil when there is none, or any will do.
func expectedVersion(header string) (*int64, error) {
	if header == "" || strings.TrimSpace(header) == "*" {
		return nil, nil
	}
	text := strings.TrimPrefix(strings.TrimSpace(header), "W/")
	version, err := strconv.ParseInt(strings.Trim(text, `"`), 10, 64)
	if err != nil || version < 1 {
		return nil, fault.New(fault.Value, `If-Match must be the ETag of the version that was changed, such as W/"3"`)
	}
	return &version, nil
}

// unchanged tells whether the client's copy is still good, FHIR R4
// http.html#cread. If-None-Match outweighs If-Modified-Since (RFC 9110 13.1.3).
func unchanged(r *http.Request, stored Stored) bool {
	if tags := r.Header.Get("If-None-Match"); tags != "" {
		for tag := range strings.SplitSeq(tags, ",") {
			tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
			if tag == "*" || `W/`+tag == stored.ETag() {
				return true
			}
		}
		return false
	}
	since, err := http.ParseTime(r.Header.Get("If-Modified-Since"))
	return err == nil && !stored.LastUpdated.Truncate(time.Second).After(since)
}

package fhir

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
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

// body reads the request's body, which must be of one of these media types and
// may be compressed with gzip; the limit is on what comes out. It returns a fault
// of kind MediaType or TooLarge.
func (s *Server) body(c echo.Context, types ...string) ([]byte, error) {
	r := c.Request()
	given, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset := strings.ToLower(params["charset"])
	switch {
	case err != nil || !slices.Contains(types, given):
		return nil, fault.New(fault.MediaType, "send Content-Type: %s", strings.Join(types, " or "))
	case charset != "" && charset != "utf-8":
		return nil, fault.New(fault.MediaType, "send the body as UTF-8")
	case params["fhirversion"] != "" && params["fhirversion"] != "4.0":
		return nil, fault.New(fault.MediaType, "only FHIR version 4.0 is served")
	}
	return s.content(c)
}

// content reads the request's body, whatever it is.
func (s *Server) content(c echo.Context) ([]byte, error) {
	r := c.Request()
	if r.ContentLength > s.maxBody { // announced: then nothing of it is read
		return nil, &http.MaxBytesError{Limit: s.maxBody}
	}
	body := http.MaxBytesReader(c.Response(), r.Body, s.maxBody)
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
		return readBody(body)
	case "gzip", "x-gzip":
		return inflate(body, s.maxBody)
	}
	return nil, fault.New(fault.MediaType, "send the body as it is, or with Content-Encoding: gzip")
}

func readBody(body io.Reader) ([]byte, error) {
	text, err := io.ReadAll(body)
	var tooLong *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLong) && !fault.Is(err, fault.TooSlow) {
		err = &fault.Error{Issues: []fault.Issue{{Kind: fault.Structure, Text: "the body ended before its announced length"}}, Cause: err}
	}
	return text, err
}

// inflate reads no more than the limit allows, however much is announced.
func inflate(body io.Reader, limit int64) ([]byte, error) {
	unzipped, err := gzip.NewReader(body)
	var text []byte
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(unzipped, limit+1))
	}
	var tooLong *http.MaxBytesError
	switch {
	case fault.Is(err, fault.TooSlow):
		return nil, err
	case errors.As(err, &tooLong), err != nil && len(text) == 0 && errors.Is(err, io.EOF):
	case err != nil:
		return nil, &fault.Error{Issues: []fault.Issue{{Kind: fault.Structure, Text: "the body is not what Content-Encoding says: gzip, and whole"}}, Cause: err}
	case int64(len(text)) > limit:
		return nil, &http.MaxBytesError{Limit: limit}
	}
	if errors.Is(err, io.EOF) {
		err = nil // nothing was sent at all
	}
	return text, err
}

// mediaType is the media type of a Content-Type, "" where it is none.
func mediaType(header string) string {
	typ, _, _ := mime.ParseMediaType(header)
	return typ
}

// acceptable tells whether the client can read FHIR JSON. _format outweighs
// the header, FHIR R4 http.html#parameters.
func acceptable(c echo.Context) bool {
	ranges := mediaRanges(c)
	return strings.TrimSpace(strings.Join(ranges, "")) == "" || slices.ContainsFunc(ranges, acceptsFHIR)
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

// preferredReturn is how much the client wants back of what it writes: minimal,
// representation or OperationOutcome, "" where it does not say.
func preferredReturn(c echo.Context) string {
	for _, each := range []string{"minimal", "representation", "OperationOutcome"} {
		if prefers(c, "return="+each) {
			return each
		}
	}
	return ""
}

// reply answers with a stored resource, as the bytes that are kept.
func (s *Server) reply(c echo.Context, status int, r Stored) error {
	header := c.Response().Header()
	header.Set("ETag", r.ETag())
	tellModified(c, r.LastUpdated)
	return write(c, status, r.Body)
}

// replyWritten answers a create or update: with Location, and with as much of
// the resource as the client prefers, FHIR R4 http.html#ops, and its scopes let read:
// a patch that changes nothing is no way to read.
func (s *Server) replyWritten(c echo.Context, status int, r Stored, mayRead bool) error {
	c.Response().Header().Set("Location", s.baseURL+"/"+r.Versioned())
	switch {
	case prefers(c, "return=minimal"), !mayRead && !prefers(c, "return=OperationOutcome"):
		c.Response().Header().Set("ETag", r.ETag())
		tellModified(c, r.LastUpdated)
		return c.NoContent(status)
	case prefers(c, "return=OperationOutcome"):
		r.Body = outcome(issue("information", "informational", "stored", "", "")).Bytes()
	}
	return s.reply(c, status, r)
}

// replyDeleted answers a delete, FHIR R4 http.html#delete: without a body unless
// the client wants to be told. The ETag is the version that is the deletion.
func replyDeleted(c echo.Context, r Stored) error {
	if r.Version > 0 {
		c.Response().Header().Set("ETag", r.ETag())
		tellModified(c, r.LastUpdated)
	}
	if prefers(c, "return=OperationOutcome") {
		return write(c, http.StatusOK, outcome(issue("information", "informational", "deleted", "", "")).Bytes())
	}
	return c.NoContent(http.StatusNoContent)
}

// write answers with FHIR JSON: indented where the client asks for it (FHIR R4
// http.html#parameters), and with its length, which a HEAD is told too.
func write(c echo.Context, status int, body []byte) error {
	if c.QueryParam("_pretty") == "true" {
		var indented bytes.Buffer
		if json.Indent(&indented, body, "", "  ") == nil {
			body = indented.Bytes()
		}
	}
	header := c.Response().Header()
	header.Set("Content-Length", strconv.Itoa(len(body)))
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

// meets tells whether what is there is what was expected. What was deleted does
// not exist, but still has its version.
func meets(expected *int64, there Stored) bool {
	exists := there.Version > 0 && !there.Deleted
	switch {
	case expected == nil:
		return true
	case *expected == anyVersion:
		return exists
	case *expected == noVersion:
		return !exists
	}
	return *expected == there.Version
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

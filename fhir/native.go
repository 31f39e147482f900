package fhir

import (
	"encoding/base64"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
)

// A Binary has two forms, FHIR R4 binary.html#rest: the resource, as every type
// has it, for whoever sends or asks for a FHIR media type; and for everybody else
// its native content.

const binaryType = "Binary"

// binaryDoc is what the CapabilityStatement and the OpenAPI document say of it.
const binaryDoc = "A read answers with the content itself, in its own media type, unless application/fhir+json is asked for. " +
	"POST and PUT take content of any media type, with X-Security-Context for securityContext; application/fhir+json and application/json are the resource."

// binaryReads are the routes that answer with the native content of a Binary.
var binaryReads = []string{"/fhir/:type/:id", "/fhir/:type/:id/_history/:version"}

// readsBinary tells of a request that may be answered with native content: what
// its client can read is known when the Binary is.
func readsBinary(c echo.Context) bool {
	method := c.Request().Method
	return (method == http.MethodGet || method == http.MethodHead) &&
		c.Param("type") == binaryType && slices.Contains(binaryReads, c.Path())
}

// asksForFHIR tells whether the client names a FHIR media type. A range such as
// */* does not.
func asksForFHIR(c echo.Context) bool {
	return slices.ContainsFunc(mediaRanges(c), func(text string) bool {
		return acceptsFHIR(text) && !strings.Contains(mediaType(text), "*")
	})
}

// mediaRanges are what the client can read: _format, or else Accept.
func mediaRanges(c echo.Context) []string {
	if format := c.QueryParam("_format"); format != "" {
		return []string{format}
	}
	return strings.Split(strings.Join(c.Request().Header.Values("Accept"), ","), ",")
}

// replyBinary answers with the content of a Binary as it is. What it is was said
// by a client, and it may be a page with scripts: so no browser shows it in our
// name.
func replyBinary(c echo.Context, found Stored) error {
	n, err := Parse(found.Body, Limits{})
	if err != nil {
		return err
	}
	contentType := n.Text("contentType")
	if !acceptsContent(c, contentType) {
		return fault.New(fault.NotAcceptable, "this Binary has another content type: send Accept: */* for its content, or application/fhir+json for the resource")
	}
	content, err := binaryContent(n)
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set("ETag", found.ETag())
	tellModified(c, found.LastUpdated)
	header.Set("Vary", "Accept")
	header.Set("Content-Length", strconv.Itoa(len(content)))
	header.Set("Content-Disposition", "attachment")
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	if context := n.Text("securityContext", "reference"); context != "" && plainHeader(context) {
		header.Set("X-Security-Context", context)
	}
	return c.Blob(http.StatusOK, contentType, content)
}

// acceptsContent tells whether the client can read this content type.
func acceptsContent(c echo.Context, contentType string) bool {
	is := mediaType(contentType)
	if is == "" || !plainHeader(contentType) {
		return false // no header can say it: the resource has it
	}
	whole, _, _ := strings.Cut(is, "/")
	for _, text := range mediaRanges(c) {
		if strings.TrimSpace(text) == "" {
			return true
		}
		given, params, err := mime.ParseMediaType(strings.TrimSpace(text))
		q, unweighted := strconv.ParseFloat(params["q"], 64)
		if err == nil && (unweighted != nil || q > 0) && (given == "*/*" || given == whole+"/*" || given == is) {
			return true
		}
	}
	return false
}

// plainHeader tells whether a text can stand in a header.
func plainHeader(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// sentResource reads the body of a create or an update: the resource, or the
// content that a Binary shall have, with its media type (FHIR R4
// binary.html#rest). id is that of the address, "" for none.
func (s *Server) sentResource(c echo.Context, row *resourceType, id string) (*Node, error) {
	ctx, header := c.Request().Context(), c.Request().Header
	contentType := header.Get("Content-Type")
	if row.name != binaryType || slices.Contains(fhirTypes, mediaType(contentType)) {
		body, err := s.body(c, fhirTypes...)
		if err != nil {
			return nil, err
		}
		return s.decode(ctx, body, row.name)
	}
	if !strings.Contains(mediaType(contentType), "/") {
		return nil, fault.New(fault.MediaType, "send Content-Type: that of the content, or %s for the resource", fhirTypes[0])
	}
	content, err := s.content(c)
	if err != nil {
		return nil, err
	}
	n := Object("resourceType", binaryType, "id", id, "contentType", contentType)
	if context := header.Get("X-Security-Context"); context != "" {
		n.Set("securityContext", Object("reference", context))
	}
	n.Set("data", base64.StdEncoding.EncodeToString(content))
	return s.decode(ctx, n.Bytes(), row.name)
}

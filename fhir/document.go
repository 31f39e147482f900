package fhir

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// document is a text that the server makes once of its tables and then serves
// to everybody: the CapabilityStatement, the OpenAPI document, a page. Its ETag
// is a hash, so it changes when the text does, and is the same on two replicas.
type document struct {
	once sync.Once
	body []byte
	etag string
}

func (d *document) reply(c echo.Context, mediaType string, render func() []byte) error {
	d.once.Do(func() {
		d.body = render()
		d.etag = fmt.Sprintf(`W/"%x"`, sha256.Sum256(d.body))[:20] + `"`
	})
	header := c.Response().Header()
	header.Set("ETag", d.etag)
	header.Set("Cache-Control", "no-cache") // no patient data: kept, and asked about each time
	header.Set("X-Content-Type-Options", "nosniff")
	if hasETag(c.Request(), d.etag) {
		return c.NoContent(http.StatusNotModified)
	}
	return c.Blob(http.StatusOK, mediaType, d.body)
}

// hasETag tells whether the client has this version of a document.
func hasETag(r *http.Request, etag string) bool {
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == "*" || "W/"+tag == etag {
			return true
		}
	}
	return false
}

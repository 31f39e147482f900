package fhir

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// counted is a body that knows how much of it was read.
type counted struct {
	io.Reader
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.read += int64(n)
	return n, err
}

func TestALargeBodyIsRefusedWithoutReadingItWhole(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	e := echo.New()
	r.server.Register(e)
	large := bytes.Repeat([]byte(" "), 20<<20)
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	if _, err := zip.Write(bytes.Repeat([]byte(" "), 2000<<20/100)); err != nil || zip.Close() != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, encoding string
		body           []byte
		announced      int64
		most           int64
	}{
		{"announced", "", large, int64(len(large)), 0},
		{"in chunks", "", large, -1, r.server.maxBody + 64<<10},
		{"small, but not when unzipped", "gzip", zipped.Bytes(), -1, int64(zipped.Len())},
	} {
		t.Run(c.name, func(t *testing.T) {
			body := &counted{Reader: bytes.NewReader(c.body)}
			request := httptest.NewRequest(http.MethodPost, "/fhir/Patient", body)
			request.ContentLength = c.announced
			request.Header.Set("Content-Type", "application/fhir+json")
			request.Header.Set("Authorization", "Bearer "+r.tokens[access.Placer])
			if c.encoding != "" {
				request.Header.Set("Content-Encoding", c.encoding)
			}
			answer := httptest.NewRecorder()
			e.ServeHTTP(answer, request)
			if answer.Code != http.StatusRequestEntityTooLarge || body.read > c.most {
				t.Errorf("%d after %d bytes: %s", answer.Code, body.read, answer.Body)
			}
		})
	}
}

// Deep nesting is found by the scan, before anything is built of it: google/fhir alone would
// take 1.75 s and 805 MB.
func TestNestedExtensionsAreRefusedFastAndInLittleMemory(t *testing.T) {
	body := []byte(nestedExtensions(3800)) // 99 KB
	if len(body) < 98_000 {
		t.Fatalf("%d bytes", len(body))
	}
	best := time.Hour
	var before, after runtime.MemStats
	const rounds = 20
	runtime.ReadMemStats(&before)
	for range rounds {
		began := time.Now()
		if _, err := Decode(body, ""); !fault.Is(err, fault.TooLarge) {
			t.Fatal(err)
		}
		best = min(best, time.Since(began)) // the others waited for the machine
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / rounds; best > 5*time.Millisecond || each > 2<<20 {
		t.Errorf("%v and %d bytes", best, each)
	}
}

package fhir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// maxAnswers bounds what the entries of one Bundle may ask for together.
const maxAnswers = 32 << 20

// batch does each entry by itself, as the request that it is, and in the order
// of the Bundle: FHIR R4 http.html#transaction. One that fails tells so in its
// own response.
func (s *Server) batch(c echo.Context, actor access.Actor, entries []*Node) error {
	ctx := c.Request().Context()
	desk := s.desk(actor)
	answers := make([]entryAnswer, len(entries))
	size := 0
	for i, entry := range entries {
		ask, err := s.errandOf(c, entry, fmt.Sprintf("Bundle.entry[%d]", i))
		if err == nil {
			answers[i], err = desk.ask(ctx, ask)
		}
		if err == nil && answers[i].size+size > maxAnswers {
			err = fault.New(fault.TooLarge, "the answers to this Bundle are larger than %d bytes: ask in parts", maxAnswers)
		}
		if err != nil {
			if errors.Is(ctx.Err(), context.Canceled) {
				return err // the client has gone; where time is up, the entries tell which were not done
			}
			status, body := s.refusal(err, c)
			answers[i] = entryAnswer{status: status, outcome: body}
		}
		size += answers[i].size
	}
	return write(c, http.StatusOK, s.bundleResponse("batch-response", answers))
}

// decodeBundle reads a Bundle. The resources of a batch are left to their
// entries, so that one that is wrong is told there.
func (s *Server) decodeBundle(ctx context.Context, body []byte) (*Node, error) {
	if !bytes.Contains(body, []byte(`"batch"`)) {
		return s.decode(ctx, body, "Bundle")
	}
	done, err := s.turns.wait(ctx, len(body))
	if err != nil {
		return nil, err
	}
	defer done()
	n, err := Parse(body, documentLimits)
	if err != nil || n.Type() != "Bundle" || n.Text("type") != "batch" {
		if err == nil {
			n, err = Decode(body, "Bundle")
		}
		return n, err
	}
	shell := n.Clone()
	for _, entry := range shell.Get("entry").Items() {
		if entry.IsObject() {
			entry.Remove("resource")
		}
	}
	return n, Validate(shell)
}

// entryAnswer is what the response to one entry has.
type entryAnswer struct {
	status                       int
	location, etag, lastModified string
	resource                     []byte // as it is kept
	size                         int    // of what was read for it, which a HEAD does not give
	outcome                      *Node
}

// bundleResponse has an entry for each of the request, in its order, FHIR R4
// http.html#transaction-response.
func (s *Server) bundleResponse(kind string, answers []entryAnswer) []byte {
	b := append(make([]byte, 0, 4096), `{"resourceType":"Bundle","type":"`+kind+`"`...)
	for i, a := range answers {
		b = append(b, []string{`,"entry":[{`, `,{`}[min(i, 1)]...)
		if len(a.resource) > 0 {
			if a.location != "" {
				b = append(b, `"fullUrl":`...)
				b = appendJSON(b, s.baseURL+"/"+parseReference(a.location).relative())
				b = append(b, ',')
			}
			b = append(append(append(b, `"resource":`...), a.resource...), ',')
		}
		b = append(b, `"response":`...)
		response := Object("status", fmt.Sprintf("%d %s", a.status, http.StatusText(a.status)),
			"location", a.location, "etag", a.etag, "lastModified", a.lastModified)
		response.Set("outcome", a.outcome)
		b = append(append(b, response.Bytes()...), '}')
	}
	if len(answers) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

// blameEntry makes a fault of what an entry asks name the entry.
func blameEntry(err error, at string) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	named := &fault.Error{Cause: f.Cause}
	for _, issue := range f.Issues {
		issue.Expression = at
		named.Issues = append(named.Issues, issue)
	}
	return named
}

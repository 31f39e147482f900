package fhir

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// search is GET /fhir/{type}?... and POST /fhir/{type}/_search, FHIR R4
// http.html#search.
func (s *Server) search(c echo.Context, actor access.Actor) error {
	row, err := s.rowFor(c, "search-type")
	if err != nil {
		return err
	}
	asked, err := s.asked(c)
	if err != nil {
		return err
	}
	lenient := prefers(c, "handling=lenient")
	ctx := c.Request().Context()
	page, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]byte, error) {
		q, err := s.parseQuery(ctx, tx, actor.Tenant, row, asked, lenient)
		if err != nil {
			return nil, err
		}
		if err := mayAsk(actor, q); err != nil {
			return nil, err
		}
		if q.count == 0 {
			total, err := q.total(ctx, tx, actor)
			return s.summary(q, total), err
		}
		found, err := s.answer(ctx, tx, actor, q)
		if err != nil {
			return nil, err
		}
		return s.searchset(q, found), nil
	})
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, page)
}

// asked are the parameters of the address and, of a POST, of the form.
func (s *Server) asked(c echo.Context) (url.Values, error) {
	asked, err := url.ParseQuery(c.Request().URL.RawQuery)
	if err == nil && c.Request().Method == http.MethodPost {
		var body []byte
		if body, err = s.body(c, "application/x-www-form-urlencoded"); err != nil {
			return nil, err
		}
		var form url.Values
		form, err = url.ParseQuery(string(body))
		for name, values := range form {
			asked[name] = append(asked[name], values...)
		}
	}
	if err != nil {
		return nil, fault.New(fault.Value, "the search parameters are not escaped as a URL wants it: name=value&name=value")
	}
	return asked, nil
}

// parseQuery understands a question. References to the EHR's own resources are
// looked up, so that patient=https://ehr.example/Patient/9 finds what came from
// there.
func (s *Server) parseQuery(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, row *resourceType, asked url.Values, lenient bool) (*query, error) {
	var failed error
	q, err := parseQuery(tenant, row, asked, lenient, func(space keySpace, reference string) (ways, ids []string) {
		ways, err := s.knownAs(ctx, tx, reference)
		if err == nil && space.typ == "Task" && (space.param == "focus" || space.param == "based-on") {
			ids, err = tasksOfOrders(ctx, tx, ways)
		}
		if err != nil {
			failed = err
		}
		return ways, ids
	})
	if failed != nil {
		return nil, failed
	}
	return q, err
}

// knownAs are the ways in which a reference may be stored here.
func (s *Server) knownAs(ctx context.Context, tx pgx.Tx, reference string) ([]string, error) {
	t := parseReference(reference)
	switch {
	case t.local(), t.absolute() && t.base == s.baseURL:
		return []string{t.relative()}, nil
	case !t.absolute():
		return []string{reference}, nil
	}
	ways := []string{t.base + "/" + t.relative()}
	base, err := s.ehrBase(ctx, tx)
	if err != nil || base != t.base {
		return ways, err
	}
	known, err := localsOf(ctx, tx, []string{t.relative()})
	if ours, ok := known[t.relative()]; ok {
		ways = append(ways, ours)
	}
	return ways, err
}

// answer finds one more than a page, to know whether there is a next one.
func (s *Server) answer(ctx context.Context, tx pgx.Tx, actor access.Actor, q *query) ([]Stored, error) {
	if q.row.content != nil {
		return q.findContent(), nil
	}
	found, err := q.find(ctx, tx, actor, q.count+1)
	for i := range found {
		if err == nil {
			found[i], err = redacted(actor, found[i])
		}
	}
	return found, err
}

// findContent searches what is part of the program. It is little, and all on
// one page.
func (q *query) findContent() []Stored {
	var found []Stored
	for _, n := range q.row.content() {
		if q.matches(n) {
			found = append(found, Stored{Type: n.Type(), ID: n.Text("id"), Body: n.Bytes()})
		}
	}
	q.count = max(q.count, len(found))
	return found
}

// summary is the answer to _count=0, which FHIR R4 search.html#count takes for
// _summary=count.
func (s *Server) summary(q *query, total int) []byte {
	return Object("resourceType", "Bundle", "type", "searchset", "total", total,
		"link", []*Node{Object("relation", "self", "url", s.searchURL(q, q.used))}).Bytes()
}

// searchset is the Bundle of a page. The resources go in as they are kept.
func (s *Server) searchset(q *query, found []Stored) []byte {
	more := len(found) > q.count
	if more {
		found = found[:q.count]
	}
	b := append(make([]byte, 0, 4096), `{"resourceType":"Bundle","type":"searchset"`...)
	if !more && q.after.id == "" {
		b = append(b, `,"total":`...) // known without counting
		b = appendJSON(b, len(found))
	}
	b = append(b, `,"link":[{"relation":"self","url":`...)
	b = appendJSON(b, s.searchURL(q, q.used))
	if more {
		next := url.Values{}
		maps.Copy(next, q.used)
		last := found[len(found)-1]
		next.Set("_after", cursor{last.ID, last.LastUpdated}.String())
		b = append(b, `},{"relation":"next","url":`...)
		b = appendJSON(b, s.searchURL(q, next))
	}
	b = append(b, `}]`...)
	for i, r := range found {
		b = append(b, []string{`,"entry":[`, `,`}[min(i, 1)]...)
		b = append(b, `{"fullUrl":`...)
		b = appendJSON(b, s.baseURL+"/"+r.Reference())
		b = append(b, `,"resource":`...)
		b = append(b, r.Body...)
		b = append(b, `,"search":{"mode":"match"}}`...)
	}
	if len(found) > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func (s *Server) searchURL(q *query, values url.Values) string {
	u := s.baseURL + "/" + q.row.name
	if len(values) > 0 {
		u += "?" + values.Encode()
	}
	return u
}

func appendJSON(b []byte, value any) []byte {
	text, _ := json.Marshal(value) // strings and numbers only
	return append(b, text...)
}

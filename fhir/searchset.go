package fhir

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// searchset is the answer to a question: the Bundle of one page.
func (s *Server) searchset(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry) ([]byte, error) {
	if a.refers() {
		if err := mustBeIndexed(ctx, tx); err != nil {
			return nil, err
		}
	}
	if a.onlyHow {
		n, err := s.totalOf(ctx, tx, actor, a)
		return s.counted(a, n), err
	}
	hits, err := s.page(ctx, tx, actor, a)
	if err != nil {
		return nil, err
	}
	var next *cursor
	if end := pageEnd(hits, a.count); end < len(hits) {
		hits = hits[:end]
		if next, err = s.cursorAfter(ctx, tx, a, hits[end-1]); err != nil {
			return nil, err
		}
	}
	total, err := s.totalOfPage(ctx, tx, actor, a, len(hits), next)
	if err != nil {
		return nil, err
	}
	matches := make([]Stored, len(hits))
	for i, h := range hits {
		if matches[i], err = redacted(actor, h.Stored); err != nil {
			return nil, err
		}
	}
	g, err := s.included(ctx, tx, actor, a, matches)
	if err != nil {
		return nil, err
	}
	a.patients = patientsIn(matches, g.included)
	return s.bundle(a, matches, g, total, next)
}

// refers tells whether the answer rests on which resources refer to which.
func (a *inquiry) refers() bool {
	return slices.ContainsFunc(a.queries, (*query).refers) || slices.ContainsFunc(a.includes, func(i include) bool { return i.back })
}

func (q *query) refers() bool { return len(q.hops) > 0 || q.within != nil }

// cursorAfter is where this page ends; on the first page it takes the snapshot
// that all pages look at.
func (s *Server) cursorAfter(ctx context.Context, tx pgx.Tx, a *inquiry, last hit) (*cursor, error) {
	next := &cursor{Search: a.digest(), Type: last.Type, Place: last.Place}
	if a.after != nil {
		next.Snapshot, next.Total = a.after.Snapshot, a.after.Total
		return next, nil
	}
	moment, err := now(ctx, tx)
	next.Snapshot = moment.text
	return next, err
}

// totalOfPage is Bundle.total, nil where it is not known: FHIR R4
// search.html#total. What was counted for the first page travels in the cursor.
func (s *Server) totalOfPage(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry, here int, next *cursor) (*int, error) {
	switch {
	case a.after == nil && next == nil:
		return &here, nil // known without counting
	case a.total == "none":
		return nil, nil
	case a.after != nil && a.after.Total != nil:
		return a.after.Total, nil
	}
	n, err := s.totalOf(ctx, tx, actor, a)
	if err != nil {
		return nil, err
	}
	n = max(n, here)
	if next != nil {
		next.Total = &n
	}
	return &n, nil
}

// totalOf counts, or with _total=estimate estimates, all that is found.
func (s *Server) totalOf(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry) (int, error) {
	all := 0
	for _, q := range a.queries {
		count := q.total
		if a.total == "estimate" {
			count = q.estimate
		}
		n, err := count(ctx, tx, actor)
		if err != nil {
			return 0, err
		}
		all += n
	}
	return all, nil
}

// counted is the answer to _summary=count, and to _count=0, which FHIR R4
// search.html#count takes for the same.
func (s *Server) counted(a *inquiry, total int) []byte {
	b := Object("resourceType", "Bundle", "type", "searchset", "total", total,
		"link", []*Node{Object("relation", "self", "url", s.searchURL(a, a.used))})
	if len(a.ignored) > 0 {
		b.Set("entry", []*Node{Object("resource", a.remarks(nil), "search", Object("mode", "outcome"))})
	}
	return b.Bytes()
}

// bundle writes a page. The resources go in as they are kept.
func (s *Server) bundle(a *inquiry, matches []Stored, g *company, total *int, next *cursor) ([]byte, error) {
	b := append(make([]byte, 0, 4096), `{"resourceType":"Bundle","type":"searchset"`...)
	if total != nil {
		b = append(b, `,"total":`...)
		b = appendJSON(b, *total)
	}
	b = append(b, `,"link":[`...)
	b = s.appendLinks(b, a, next)
	b = append(b, ']')
	w := entryWriter{bytes: b}
	for _, r := range matches {
		if err := w.add(s, a.view, r, "match"); err != nil {
			return nil, err
		}
	}
	for _, r := range g.included {
		if err := w.add(s, a.view, r, "include"); err != nil {
			return nil, err
		}
	}
	if len(a.ignored) > 0 || g.cut {
		w.begin()
		w.bytes = append(w.bytes, `"resource":`...)
		w.bytes = append(w.bytes, a.remarks(g).Bytes()...)
		w.bytes = append(w.bytes, `,"search":{"mode":"outcome"}}`...)
	}
	return w.end(), nil
}

// appendLinks are self, first and next. FHIR R4 search.html#conformance: self
// says what was really used.
func (s *Server) appendLinks(b []byte, a *inquiry, next *cursor) []byte {
	self, first, following := maps.Clone(a.used), a.used, maps.Clone(a.used)
	if a.after != nil {
		self.Set("_after", a.after.String())
	}
	b = appendLink(b, "self", s.searchURL(a, self))
	b = append(b, ',')
	b = appendLink(b, "first", s.searchURL(a, first))
	if next != nil {
		following.Set("_after", next.String())
		b = append(b, ',')
		b = appendLink(b, "next", s.searchURL(a, following))
	}
	return b
}

func appendLink(b []byte, relation, address string) []byte {
	b = append(b, `{"relation":`...)
	b = appendJSON(b, relation)
	b = append(b, `,"url":`...)
	b = appendJSON(b, address)
	return append(b, '}')
}

func (s *Server) searchURL(a *inquiry, values url.Values) string {
	u := s.baseURL
	if a.path != "" {
		u += "/" + a.path
	}
	if len(values) > 0 {
		u += "?" + values.Encode()
	}
	return u
}

// entryWriter writes the entries of a Bundle.
type entryWriter struct {
	bytes []byte
	some  bool
}

func (w *entryWriter) begin() {
	if !w.some {
		w.bytes = append(w.bytes, `,"entry":[{`...)
		w.some = true
		return
	}
	w.bytes = append(w.bytes, `,{`...)
}

func (w *entryWriter) add(s *Server, v view, r Stored, mode string) error {
	body, err := v.of(r)
	if err != nil {
		return err
	}
	w.begin()
	w.bytes = append(w.bytes, `"fullUrl":`...)
	w.bytes = appendJSON(w.bytes, s.baseURL+"/"+r.Reference())
	w.bytes = append(w.bytes, `,"resource":`...)
	w.bytes = append(w.bytes, body...)
	w.bytes = append(w.bytes, `,"search":{"mode":"`+mode+`"}}`...)
	return nil
}

func (w *entryWriter) end() []byte {
	if w.some {
		w.bytes = append(w.bytes, ']')
	}
	return append(w.bytes, '}')
}

// remarks is what is to be said of a page: FHIR R4 search.html#errors and
// #revinclude.
func (a *inquiry) remarks(g *company) *Node {
	var issues []*Node
	for _, u := range a.ignored {
		issues = append(issues, issue("warning", "not-supported",
			fmt.Sprintf("%s has no %s: it was left out, and what is found may be more than was meant", u.row.name, u.spoken()), "", ""))
	}
	if g != nil && g.cut {
		issues = append(issues, issue("warning", "incomplete",
			fmt.Sprintf("there is more to include than %d resources, or further away than %d references; the rest was left out: ask for fewer with _count, or search for it", maxIncluded, maxRounds), "", ""))
	}
	return outcome(issues...)
}

// appendJSON appends a string or a number.
func appendJSON(b []byte, value any) []byte {
	if text, ok := value.(string); ok {
		return appendQuoted(b, text) // & stays &
	}
	text, _ := json.Marshal(value)
	return append(b, text...)
}

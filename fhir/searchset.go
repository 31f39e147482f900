package fhir

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// searchset is the answer to a question: the Bundle of one page.
func (s *Server) searchset(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry) ([]byte, error) {
	a.partly = !trailWhole(actor) && slices.ContainsFunc(a.queries, func(q *query) bool { return q.row.name == auditEventType })
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

// totalOf counts all that is found, with _total=estimate too: what the planner
// expects is made of the rows of all tenants, and would tell of theirs.
func (s *Server) totalOf(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry) (int, error) {
	all := 0
	for _, q := range a.queries {
		n, err := q.total(ctx, tx, actor)
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
	if len(a.ignored) > 0 || a.partly {
		b.Set("entry", []*Node{Object("resource", a.remarks(nil), "search", Object("mode", "outcome"))})
	}
	return b.Bytes()
}

// bundle writes a page.
func (s *Server) bundle(a *inquiry, matches []Stored, g *company, total *int, next *cursor) ([]byte, error) {
	w := s.newBundle("searchset", total, s.linksOf(a, next)...)
	for i, r := range slices.Concat(matches, g.included) {
		why := asMatch
		if i >= len(matches) {
			why = asInclude
		}
		body, err := a.view.of(r)
		if err != nil {
			return nil, err
		}
		w.add(r.Reference(), body, why)
	}
	if len(a.ignored) > 0 || g.cut || a.partly {
		w.add("", a.remarks(g).Bytes(), asOutcome)
	}
	return w.end(), nil
}

// linksOf are self, first and next. FHIR R4 search.html#conformance: self says
// what was really used.
func (s *Server) linksOf(a *inquiry, next *cursor) []bundleLink {
	self := maps.Clone(a.used)
	if a.after != nil {
		self.Set("_after", a.after.String())
	}
	links := []bundleLink{{"self", s.searchURL(a, self)}, {"first", s.searchURL(a, a.used)}}
	if next != nil {
		following := maps.Clone(a.used)
		following.Set("_after", next.String())
		links = append(links, bundleLink{"next", s.searchURL(a, following)})
	}
	return links
}

func (s *Server) searchURL(a *inquiry, values url.Values) string {
	return withQuery(strings.TrimSuffix(s.baseURL+"/"+a.path, "/"), values)
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
	if a.partly {
		issues = append(issues, issue("information", "suppressed",
			"auditors are told of a part of the audit trail, since the whole counts cases: not of what those who read did, of single orders and what is placed with them, of Tasks and results. The medical director has all of it, and the proof of the log covers all of it (overread audit verify)", "", ""))
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

package fhir

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

const (
	defaultCount = 50 // resources on a page
	maxCount     = 500
)

// An inquiry is a search as it was understood: what is looked for, a query for
// each type, and the shape of the answer.
type inquiry struct {
	path     string // of its address below the base, "Patient" or "Patient/1/Task"; "" for the system
	byType   bool   // _type chooses among the types
	queries  []*query
	count    int    // resources on a page
	onlyHow  bool   // how many there are is all that is asked
	total    string // none, estimate or accurate
	by       ordering
	after    *cursor
	includes []include
	view     view
	ignored  []*unknownParamError // of a lenient search
	partly   bool                 // of the audit trail, who asks has a part: that is said
	used     url.Values           // what of the question was used, for the links
	fence    string               // of who asks: a link is good for who sees the same
	patients []string             // whom the answer is about, for the audit
}

// resultParams are the parameters of a search that choose nothing, FHIR R4
// search.html#Summary. _after is ours: the cursor of the next link.
var resultParams = map[string]func(a *inquiry, value string) error{
	"_count":      (*inquiry).setCount,
	"_sort":       (*inquiry).setSort,
	"_total":      (*inquiry).setTotal,
	"_summary":    (*inquiry).setSummary,
	"_elements":   (*inquiry).setElements,
	"_include":    nil, // searchinclude.go
	"_revinclude": nil,
	"_after":      nil, // after all others
	"_type":       (*inquiry).setType,
	"_format":     (*inquiry).setFormat,
	"_pretty":     (*inquiry).setPretty,
}

// unserved are parameters of FHIR R4 that are refused with a reason.
var unserved = map[string]string{
	"_contained":     "contained resources are not searched: search for the resource that contains them",
	"_containedType": "contained resources are not searched: search for the resource that contains them",
	"_filter":        "there is no _filter: use the search parameters, several of which must all be met",
	"_query":         "there are no named queries",
	"_list":          "there are no lists to search in",
}

// isResultParam tells whether a parameter, with its modifier, chooses nothing.
func isResultParam(name string) bool {
	base, _, _ := strings.Cut(name, ":")
	_, ok := resultParams[base]
	return ok
}

// understand reads a search of these types. What a type does not know is
// refused, or where lenient left out and told of (FHIR R4 search.html#errors);
// a value that cannot be read is always refused.
func (s *Server) understand(ctx context.Context, tx pgx.Tx, actor access.Actor, a *inquiry, asked url.Values, lenient bool) error {
	a.count, a.by, a.total, a.used, a.fence = defaultCount, newestFirst, "none", url.Values{}, fenceKey(actor)
	if err := checkValues(asked); err != nil {
		return err
	}
	if err := a.readResult(s, actor, asked); err != nil {
		return err
	}
	known, failed := s.lookup(ctx, tx)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		if isResultParam(name) {
			continue
		}
		if text, ok := unserved[strings.SplitN(name, ":", 2)[0]]; ok && !lenient {
			return fault.New(fault.NotSupported, "%s", text)
		}
		for _, value := range asked[name] {
			err := s.askAll(a.queries, name, value, known)
			var unknown *unknownParamError
			switch {
			case *failed != nil:
				return *failed
			case errors.As(err, &unknown) && lenient:
				a.ignored = append(a.ignored, unknown)
			case errors.As(err, &unknown):
				return unknown.refusal()
			case err != nil:
				return err
			default:
				a.used.Add(name, value)
			}
		}
	}
	for _, q := range a.queries {
		if len(q.hops) > maxChained {
			return fault.New(fault.NotSupported, "more than %d chains in one search: ask in several steps", maxChained)
		}
		if err := s.mayAsk(actor, q); err != nil {
			return err
		}
	}
	a.use()
	if !asked.Has("_after") {
		return nil
	}
	after, err := parseCursor(asked.Get("_after"), a)
	a.after = after
	return err
}

// checkValues refuses what no search can have.
func checkValues(asked url.Values) error {
	count := 0
	for name, values := range asked {
		for _, value := range values {
			if err := readable(name, value); err != nil {
				return err
			}
			if count += 1 + strings.Count(value, ","); count > maxValues {
				return fault.New(fault.TooLarge, "more than %d values in one search: split it", maxValues)
			}
		}
	}
	return nil
}

// readResult reads the parameters that choose nothing.
func (a *inquiry) readResult(s *Server, actor access.Actor, asked url.Values) error {
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		base, modifier, modified := strings.Cut(name, ":")
		set, ok := resultParams[base]
		switch {
		case !ok:
		case base == "_include" || base == "_revinclude":
			for _, value := range asked[name] {
				if err := s.readInclude(a, actor, base, modifier, value); err != nil {
					return err
				}
			}
		case modified:
			return fault.New(fault.NotSupported, "%s has no modifiers", base)
		case len(asked[name]) > 1 && base != "_type":
			return fault.New(fault.Value, "%s may stand in a search once", base)
		case set != nil:
			if err := set(a, asked.Get(name)); err != nil {
				return err
			}
		}
	}
	return a.view.check(a.includes)
}

// askAll adds a parameter to the query of each type.
func (s *Server) askAll(queries []*query, name, value string, known lookup) error {
	for _, q := range queries {
		if err := s.ask(q, name, value, known, 0); err != nil {
			return err
		}
	}
	return nil
}

// parseQuery reads a condition on one type, which has no parameters but those
// that choose. References to the EHR's own resources are looked up, so that
// patient=https://ehr.example/Patient/9 finds what came from there.
func (s *Server) parseQuery(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, row *resourceType, asked url.Values, lenient bool) (*query, error) {
	if err := checkValues(asked); err != nil {
		return nil, err
	}
	q := &query{row: row, tenant: tenant}
	known, failed := s.lookup(ctx, tx)
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		for _, value := range asked[name] {
			err := s.ask(q, name, value, known, 0)
			var unknown *unknownParamError
			switch {
			case *failed != nil:
				return nil, *failed
			case errors.As(err, &unknown) && !lenient:
				return nil, unknown.refusal()
			case err != nil && unknown == nil:
				return nil, err
			}
		}
	}
	return q, nil
}

// lookup finds in which ways a reference may be stored here; what failed in it
// is left in the second result.
func (s *Server) lookup(ctx context.Context, tx pgx.Tx) (lookup, *error) {
	var failed error
	return func(space keySpace, reference string) (ways, ids []string) {
		ways, err := s.knownAs(ctx, tx, reference)
		if err == nil && space.typ == "Task" && (space.param == "focus" || space.param == "based-on") {
			ids, err = tasksOfOrders(ctx, tx, ways)
		}
		if err != nil {
			failed = err
		}
		return ways, ids
	}, &failed
}

// spoken is the name of a parameter as a refusal may repeat it: never what could
// be a value.
func (u *unknownParamError) spoken() string {
	if short := strings.Trim(u.name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-:."); short == "" && len(u.name) < 64 {
		return "search parameter " + u.name
	}
	return "such search parameter"
}

func (u *unknownParamError) refusal() error {
	names := []string{"_id", "_lastUpdated", "_has"}
	for _, p := range u.row.search {
		names = append(names, p.name)
	}
	slices.Sort(names)
	var shaping []string // what says how the answer is to be, and not what is found
	for _, result := range slices.Sorted(maps.Keys(resultParams)) {
		if result != "_after" && result != "_type" {
			shaping = append(shaping, result)
		}
	}
	return fault.New(fault.NotSupported, "%s has no %s; it has: %s; and for the answer: %s (or send Prefer: handling=lenient)",
		u.row.name, u.spoken(), strings.Join(slices.Compact(names), ", "), strings.Join(shaping, ", "))
}

func (a *inquiry) queryOf(typ string) *query {
	for _, q := range a.queries {
		if q.row.name == typ {
			return q
		}
	}
	return nil
}

// use completes what was used by what was assumed, and as it was understood.
func (a *inquiry) use() {
	if a.onlyHow {
		a.used.Set("_summary", "count")
		return
	}
	a.used.Set("_count", strconv.Itoa(a.count))
	a.used.Set("_sort", a.by.String())
	for _, i := range a.includes {
		a.used.Add(i.name(), i.String())
	}
	if a.total != "none" {
		a.used.Set("_total", a.total)
	}
	a.view.use(a.used)
}

// digest tells one question from another.
func (a *inquiry) digest() string {
	others := maps.Clone(a.used)
	for _, name := range []string{"_count", "_format", "_pretty"} {
		others.Del(name)
	}
	sum := sha256.Sum256([]byte(a.path + "?" + others.Encode() + a.fence))
	return base64.RawURLEncoding.EncodeToString(sum[:9])
}

func (a *inquiry) setCount(value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 0 {
		return fault.New(fault.Value, "_count must be a number from 0, which asks for the total only")
	}
	a.count = min(n, maxCount)
	a.onlyHow = a.onlyHow || n == 0 // FHIR R4 search.html#count
	return nil
}

func (a *inquiry) setSort(value string) (err error) {
	a.by, err = parseOrdering(value, a.queries)
	return err
}

// setType has nothing to do: _type was read before (search.go), as the other
// parameters are those of the types.
func (a *inquiry) setType(string) error {
	if !a.byType {
		return fault.New(fault.NotSupported, "_type is for searches of several types: GET [base]?_type=A,B")
	}
	a.used.Set("_type", strings.Join(column(a.queries, func(q *query) string { return q.row.name }), ","))
	return nil
}

func (a *inquiry) setTotal(value string) error {
	if !slices.Contains([]string{"none", "estimate", "accurate"}, value) {
		return fault.New(fault.Value, "_total must be none, estimate or accurate")
	}
	a.total = value
	return nil
}

func (a *inquiry) setFormat(value string) error {
	a.used.Set("_format", value)
	if !acceptsFHIR(value) {
		return fault.New(fault.NotAcceptable, "only JSON is served: _format=application/fhir+json")
	}
	return nil
}

func (a *inquiry) setPretty(value string) error {
	a.used.Set("_pretty", value)
	return nil
}

package fhir

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/overread/overread/internal/fault"
)

// An ordering is what _sort asks for, FHIR R4 search.html#sort. It always ends
// with _id, so that no two resources of a type have the same place. What has no
// value for a key comes last, in either direction.
type ordering []order

type order struct {
	name string // a search parameter
	desc bool
}

// newestFirst is the order where none is asked for: ids are UUIDv7 and grow
// with time.
var newestFirst = ordering{{"_id", true}}

func (o order) ofParam() bool { return o.name != "_id" && o.name != "_lastUpdated" }

// String is _sort as it was used.
func (by ordering) String() string {
	var names []string
	for i, o := range by {
		if i > 0 && i == len(by)-1 && !o.desc {
			break // the _id that makes it unique
		}
		names = append(names, map[bool]string{true: "-"}[o.desc]+o.name)
	}
	return strings.Join(names, ",")
}

// maxKeys bounds the keys of an order; each is one more join.
const maxKeys = 5

// parseOrdering reads _sort for the types that are searched.
func parseOrdering(value string, queries []*query) (ordering, error) {
	var by ordering
	for key := range strings.SplitSeq(value, ",") {
		name, desc := strings.CutPrefix(key, "-")
		o := order{name, desc}
		for _, q := range queries {
			if o.ofParam() && q.row.sortKey(name) == "" {
				return nil, fault.New(fault.NotSupported, "_sort of %s can be by: %s, each with - before it for the other direction",
					q.row.name, strings.Join(q.row.sortKeys(), ", "))
			}
		}
		if slices.ContainsFunc(by, func(has order) bool { return has.name == name }) {
			return nil, fault.New(fault.Value, "_sort has the same key twice")
		}
		if by = append(by, o); len(by) > maxKeys {
			return nil, fault.New(fault.NotSupported, "_sort has more than %d keys", maxKeys)
		}
		if name == "_id" {
			return by, nil // nothing is left to order
		}
	}
	return append(by, order{name: "_id"}), nil
}

// sortedTokens are the token parameters by which can be sorted: codes of one
// element, of which there is one.
var sortedTokens = []string{"active", "business-status", "class", "code", "gender", "intent", "priority", "status"}

func (p searchParam) sortable() bool {
	switch p.kind {
	case "uri":
		return p.name[0] != '_' // nobody reads in the order of profiles
	case "date", "string", "number", "quantity":
		return true
	case "token":
		return slices.Contains(sortedTokens, p.key)
	}
	return false
}

// sortKey is the name that the index has for a parameter by which can be
// sorted, "" for others.
func (r *resourceType) sortKey(name string) string {
	if p, ok := r.param(name); ok && p.sortable() {
		return p.key
	}
	return ""
}

func (r *resourceType) sortKeys() []string {
	names := []string{"_id", "_lastUpdated"}
	for _, p := range r.search {
		if p.sortable() {
			names = append(names, p.name)
		}
	}
	slices.Sort(names)
	return names
}

// sortRow is the lowest or highest value, or both in one, of a parameter of a
// resource: ascending goes by the lowest, descending by the highest. Values are
// texts whose order byte by byte is the order meant.
type sortRow struct {
	param, value    string
	lowest, highest bool
}

// longestSortValue is how much of a text counts for its place.
const longestSortValue = 120

// sortBy notes a value of a parameter, if it can be sorted by.
func (x *index) sortBy(p searchParam, value string) {
	if value == "" || !p.sortable() {
		return
	}
	if len(value) > longestSortValue {
		value = strings.ToValidUTF8(value[:longestSortValue], "")
	}
	if x.sorts == nil {
		x.sorts = map[string]extent{}
	}
	e, ok := x.sorts[p.key]
	if !ok {
		e = extent{value, value}
	}
	x.sorts[p.key] = extent{min(e.low, value), max(e.high, value)}
}

// extent is from the lowest to the highest value of a parameter.
type extent struct{ low, high string }

func (x *index) sortRows() []sortRow {
	var rows []sortRow
	for param, e := range x.sorts {
		if e.low == e.high {
			rows = append(rows, sortRow{param, e.low, true, true})
			continue
		}
		rows = append(rows, sortRow{param, e.low, true, false}, sortRow{param, e.high, false, true})
	}
	return rows
}

// priorities are in the order of their urgency, which is the order meant.
var priorities = []string{"routine", "urgent", "asap", "stat"}

// sortableCode is the code of a token, or the text of a uri.
func sortableCode(p searchParam, value *Node) string {
	code := value.Text()
	switch {
	case value.Get("coding") != nil:
		code = value.Text("coding", "code")
	case value.Get("code") != nil:
		code = value.Text("code")
	}
	if i := slices.Index(priorities, code); p.key == "priority" && i >= 0 {
		return strconv.Itoa(i) + code
	}
	return code
}

const sortableLayout = "2006-01-02T15:04:05.000000Z"

// sortableTime is where a date begins; what has no beginning comes first.
func sortableTime(t pgtype.Timestamptz) string {
	if t.InfinityModifier != pgtype.Finite {
		return "!"
	}
	return t.Time.UTC().Format(sortableLayout)
}

// sortableNumber is a decimal as sign, exponent and digits, those of negative
// numbers turned round: -12 is before -1, 0, 0.5, 3 and 20.
func sortableNumber(decimal string) string {
	digits, negative := strings.CutPrefix(strings.TrimPrefix(decimal, "+"), "-")
	mantissa, exponentText, _ := strings.Cut(strings.ToLower(digits), "e")
	exponent, _ := strconv.Atoi(exponentText)
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := strings.TrimLeft(whole+fraction, "0")
	exponent += len(whole) - (len(whole+fraction) - len(all))
	all = strings.TrimRight(all, "0")
	switch {
	case all == "":
		return "1"
	case !negative:
		return fmt.Sprintf("1%05d%s", exponent+50000, all)
	}
	turned := []byte(fmt.Sprintf("%05d%s", exponent+50000, all))
	for i, digit := range turned {
		turned[i] = '0' + '9' - digit
	}
	return "0" + string(turned) + "~"
}

// place puts the values of the parameters among those of the columns.
func (by ordering) place(r Stored, values []*string) []*string {
	place := make([]*string, len(by))
	for i, o := range by {
		switch {
		case o.name == "_id":
			place[i] = &r.ID
		case o.name == "_lastUpdated":
			at := r.LastUpdated.UTC().Format(sortableLayout)
			place[i] = &at
		case len(values) > 0:
			place[i], values = values[0], values[1:]
		}
	}
	return place
}

// placeOf is the place of a resource that is at hand.
func (by ordering) placeOf(tenant uuid.UUID, row *resourceType, r Stored) []*string {
	n, err := Parse(r.Body, Limits{})
	if err != nil {
		return by.place(r, nil)
	}
	x := indexOf(tenant, row, n)
	var values []*string
	for _, o := range by {
		if !o.ofParam() {
			continue
		}
		e, ok := x.sorts[row.sortKey(o.name)]
		switch {
		case !ok:
			values = append(values, nil)
		case o.desc:
			values = append(values, &e.high)
		default:
			values = append(values, &e.low)
		}
	}
	return by.place(r, values)
}

// compare is the order of two hits; those of different types with the same
// place are in the order of their types.
func (by ordering) compare(a, b hit) int {
	for i, o := range by {
		x, y := a.Place[i], b.Place[i]
		switch {
		case x == nil && y == nil:
			continue
		case x == nil:
			return 1
		case y == nil:
			return -1
		}
		if c := strings.Compare(*x, *y); c != 0 {
			if o.desc {
				return -c
			}
			return c
		}
	}
	return cmp.Compare(a.Type, b.Type)
}

// sqlOrder are the parts of a statement that an ordering makes.
type sqlOrder struct {
	joins, values, by []string
	terms             []sqlTerm
}

// sqlTerm is one key of the order in SQL.
type sqlTerm struct {
	expr, cast     string
	desc, optional bool
	key            int // in the ordering
}

// order makes the SQL of an ordering; lacking, for what has no value for its
// first key.
func (b *sqlBuilder) order(row *resourceType, by ordering, lacking bool) sqlOrder {
	var o sqlOrder
	for i, key := range by {
		term := sqlTerm{desc: key.desc, key: i}
		switch key.name {
		case "_id":
			term.expr, term.cast = "r.id", `::text COLLATE "C"`
		case "_lastUpdated":
			term.expr, term.cast = "r.last_updated", "::timestamptz"
		default:
			s := fmt.Sprintf("s%d", i)
			on := fmt.Sprintf(`%[1]s.tenant_id = r.tenant_id AND %[1]s.type = r.type AND %[1]s.id = r.id AND %[1]s.type = %[2]s AND %[1]s.param = %[3]s AND %[1]s.%[4]s`,
				s, b.arg(row.name), b.arg(row.sortKey(key.name)), map[bool]string{false: "lowest", true: "highest"}[key.desc])
			if i == 0 && lacking {
				b.where = append(b.where, `NOT EXISTS (SELECT FROM sort_search `+s+` WHERE `+on+`)`)
				o.values = append(o.values, "NULL")
				continue
			}
			join := "LEFT JOIN"
			if i == 0 {
				join = "JOIN"
			}
			o.joins = append(o.joins, "\n\t\t"+join+` sort_search `+s+` ON `+on)
			o.values = append(o.values, s+".value")
			term.expr, term.cast, term.optional = s+".value", `::text COLLATE "C"`, i > 0
		}
		direction := " ASC"
		if key.desc {
			direction = " DESC"
		}
		if term.optional {
			direction += " NULLS LAST"
		}
		o.by = append(o.by, term.expr+direction)
		o.terms = append(o.terms, term)
	}
	return o
}

// past is the condition to come after the place of a cursor.
func (b *sqlBuilder) past(terms []sqlTerm, after *cursor, typ string) string {
	first := terms[0]
	sign := map[bool]string{false: ">", true: "<"}[first.desc]
	value := after.Place[first.key]
	switch {
	case len(terms) == 1 && typ > after.Type: // of equal places, this type comes after the cursor's
		return `r.id ` + sign + `= ` + b.arg(*value) + first.cast
	case len(terms) == 1:
		return `r.id ` + sign + ` ` + b.arg(*value) + first.cast
	case value == nil:
		return `(` + first.expr + ` IS NULL AND ` + b.past(terms[1:], after, typ) + `)`
	}
	at := b.arg(*value) + first.cast
	rest := b.past(terms[1:], after, typ)
	if first.optional {
		return `(` + first.expr + ` ` + sign + ` ` + at + ` OR ` + first.expr + ` IS NULL OR ` + first.expr + ` = ` + at + ` AND ` + rest + `)`
	}
	// The first half is for the index; said so, the planner can estimate it.
	return `(` + first.expr + ` ` + sign + `= ` + at + ` AND (` + first.expr + ` <> ` + at + ` OR ` + rest + `))`
}

// checkPlace refuses a cursor whose values cannot be those of the order.
func (by ordering) checkPlace(place []*string) bool {
	if len(place) != len(by) {
		return false
	}
	for i, o := range by {
		switch v := place[i]; {
		case v == nil && !o.ofParam():
			return false
		case v == nil:
		case readable("", *v) != nil:
			return false
		case o.name == "_id" && !idPattern.MatchString(*v):
			return false
		case o.name == "_lastUpdated":
			if _, err := time.Parse(sortableLayout, *v); err != nil {
				return false
			}
		}
	}
	return true
}

package fhir

import (
	"slices"
	"strings"

	"github.com/google/uuid"
)

// criterion is what one parameter of the question asks for; of its fields those
// of its kind are set. It can be judged in SQL, of what is stored, and in
// memory, of what is not.
type criterion struct {
	param     string // searchParam.key
	not       bool   // :not, :missing=true: what meets it is left out
	keys      []uuid.UUID
	ids       []string // _id; with keys, what is found besides them
	rows      []string // the params of the rows that are looked at
	spans     []span
	texts     []textMatch
	amounts   []amount
	ofUpdated bool        // spans are of _lastUpdated
	any       []criterion // any one of these
}

// matches tells whether a resource that is not in the database (part of the
// program, of the Bundle at hand, of an earlier moment) meets the conditions.
func (q *query) matches(n *Node) bool {
	x := indexOf(q.tenant, q.row, n)
	return !slices.ContainsFunc(q.criteria, func(c criterion) bool { return !c.metBy(x) })
}

func (c criterion) metBy(x *index) bool {
	met := slices.Contains(c.ids, x.id) || slices.ContainsFunc(c.any, func(one criterion) bool { return one.metBy(x) })
	for _, key := range c.keys {
		met = met || slices.Contains(x.keys, key)
	}
	for _, s := range c.spans {
		met = met || c.ofUpdated && s.holds(x.lastUpdated)
		for _, row := range x.dates {
			met = met || !c.ofUpdated && slices.Contains(c.rows, row.param) && s.holds(row.interval)
		}
	}
	for _, m := range c.texts {
		for _, row := range x.texts {
			met = met || slices.Contains(c.rows, row.param) && m.holds(row)
		}
	}
	for _, a := range c.amounts {
		for _, row := range x.quantities {
			met = met || slices.Contains(c.rows, row.param) && a.holds(row)
		}
	}
	return met != c.not
}

// holds is the test of a text in memory.
func (m textMatch) holds(v textRow) bool {
	switch m.modifier {
	case "exact":
		return v.exact == m.text
	case "contains":
		return strings.Contains(v.folded, m.text)
	case "above":
		return strings.HasPrefix(m.text, v.folded)
	case "is":
		return v.folded == m.text
	}
	return strings.HasPrefix(v.folded, m.text)
}

// criterion adds a condition on the resource r.
func (b *sqlBuilder) criterion(c criterion) {
	b.where = append(b.where, b.condition(c))
}

func (b *sqlBuilder) condition(c criterion) string {
	var test string
	switch {
	case c.any != nil:
		test = b.any(len(c.any), func(i int) string { return b.condition(c.any[i]) })
	case c.ids != nil && c.keys != nil:
		test = `(r.keys && ` + b.arg(c.keys) + `::uuid[] OR r.id = ANY (` + b.arg(c.ids) + `::text[]))`
	case c.ids != nil:
		test = `r.id = ANY (` + b.arg(c.ids) + `::text[])`
	case c.ofUpdated:
		test = b.any(len(c.spans), func(i int) string { return b.updated(c.spans[i]) })
	case c.spans != nil:
		test = b.exists("date_search", c.rows, len(c.spans), func(i int) string { return b.span(c.spans[i]) })
	case c.texts != nil:
		test = b.exists("string_search", c.rows, len(c.texts), func(i int) string { return b.text(c.texts[i]) })
	case c.amounts != nil:
		test = b.exists("quantity_search", c.rows, len(c.amounts), func(i int) string { return b.amount(c.amounts[i]) })
	case len(c.keys) == 1:
		test = `r.keys @> ` + b.arg(c.keys) + `::uuid[]`
	default:
		test = `r.keys && ` + b.arg(append([]uuid.UUID{}, c.keys...)) + `::uuid[]`
	}
	if c.not {
		return `NOT ` + test
	}
	return test
}

// exists tests the rows of a resource in a table, of these params.
func (b *sqlBuilder) exists(table string, params []string, n int, test func(i int) string) string {
	is := `= ` + b.arg(params[0])
	if len(params) > 1 {
		is = `= ANY (` + b.arg(params) + `::text[])`
	}
	return `EXISTS (
			SELECT FROM ` + table + ` v
			WHERE v.tenant_id = r.tenant_id AND v.type = r.type AND v.id = r.id AND v.param ` + is + `
			  AND ` + b.any(n, test) + `)`
}

func (b *sqlBuilder) any(n int, test func(i int) string) string {
	tests := make([]string, n)
	for i := range tests {
		tests[i] = test(i)
	}
	return "(" + strings.Join(tests, " OR ") + ")"
}

func (b *sqlBuilder) span(s span) string {
	low, high := b.arg(s.low)+"::timestamptz", b.arg(s.high)+"::timestamptz"
	return "(" + strings.NewReplacer("@low", low, "@high", high, "low", "v.low", "high", "v.high").Replace(spanTests[s.prefix]) + ")"
}

// updated is span for an instant, of which the high end is one microsecond after
// the low one: so that the index on last_updated can be used.
func (b *sqlBuilder) updated(s span) string {
	low, high := b.arg(s.low)+"::timestamptz", b.arg(s.high)+"::timestamptz"
	return "(" + strings.NewReplacer("@low", low, "@high", high,
		"high >", "r.last_updated >=", "high <=", "r.last_updated <", "low", "r.last_updated").Replace(spanTests[s.prefix]) + ")"
}

func (b *sqlBuilder) amount(a amount) string {
	numeric := func(d decimal) string { return b.arg(d.String()) + "::text::numeric" }
	test := strings.NewReplacer("@low", numeric(a.low), "@high", numeric(a.high), "@value", numeric(a.value),
		"low", "v.low", "high", "v.high").Replace(amountTests[a.prefix])
	switch {
	case !a.unitNeeded:
	case a.system == "":
		code := b.arg(a.code)
		test += ` AND (v.code = ` + code + ` OR v.unit = ` + code + `)`
	case a.code == "":
		test += ` AND v.system = ` + b.arg(a.system)
	default:
		test += ` AND v.system = ` + b.arg(a.system) + ` AND v.code = ` + b.arg(a.code)
	}
	return "(" + test + ")"
}

func (b *sqlBuilder) text(m textMatch) string {
	switch m.modifier {
	case "exact":
		return `(v.exact = ` + b.arg(m.text) + ` AND v.folded = ` + b.arg(fold(m.text)) + `)`
	case "contains":
		return `position(` + b.arg(m.text) + ` IN v.folded) > 0`
	case "above":
		return `v.folded = ANY (` + b.arg(beginnings(m.text)) + `::text[])`
	case "is":
		return `v.folded = ` + b.arg(m.text)
	}
	from := b.arg(m.text)
	return `(v.folded >= ` + from + ` AND v.folded < ` + b.arg(m.text+"\U0010FFFF") + `)`
}

// beginnings are all that a text begins with, itself included.
func beginnings(text string) []string {
	var all []string
	for i := range text {
		if i > 0 {
			all = append(all, text[:i])
		}
	}
	return append(all, text)
}

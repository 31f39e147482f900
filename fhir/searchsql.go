package fhir

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// sqlBuilder makes the WHERE of a query. All that a client said is in args.
type sqlBuilder struct {
	where []string
	args  pgx.NamedArgs
}

func (b *sqlBuilder) conditions() string {
	var s strings.Builder
	for _, w := range b.where {
		s.WriteString("\n\t\t  AND ")
		s.WriteString(w)
	}
	return s.String()
}

// arg binds a value and returns its placeholder.
func (b *sqlBuilder) arg(value any) string {
	name := fmt.Sprintf("a%d", len(b.args))
	b.args[name] = value
	return "@" + name
}

func (b *sqlBuilder) criterion(c criterion) {
	switch {
	case c.ids != nil && c.keys != nil:
		b.where = append(b.where, `(r.keys && `+b.arg(c.keys)+`::uuid[] OR r.id = ANY (`+b.arg(c.ids)+`::text[]))`)
	case c.ids != nil:
		b.where = append(b.where, `r.id = ANY (`+b.arg(c.ids)+`::text[])`)
	case c.ofUpdated:
		b.where = append(b.where, b.any(len(c.spans), func(i int) string {
			return b.span(c.spans[i], "r.last_updated", "r.last_updated")
		}))
	case c.spans != nil:
		b.where = append(b.where, b.exists("date_search", c.param, len(c.spans), func(i int) string {
			return b.span(c.spans[i], "v.low", "v.high")
		}))
	case c.texts != nil:
		b.where = append(b.where, b.exists("string_search", c.param, len(c.texts), func(i int) string {
			return b.text(c.texts[i])
		}))
	case c.not:
		b.where = append(b.where, `NOT r.keys && `+b.arg(c.keys)+`::uuid[]`)
	case len(c.keys) == 1:
		b.where = append(b.where, `r.keys @> `+b.arg(c.keys)+`::uuid[]`)
	default:
		b.where = append(b.where, `r.keys && `+b.arg(keysOrNone(c.keys))+`::uuid[]`)
	}
}

func keysOrNone(keys []uuid.UUID) []uuid.UUID {
	if keys == nil {
		return []uuid.UUID{}
	}
	return keys
}

func (b *sqlBuilder) exists(table, param string, n int, test func(i int) string) string {
	return `EXISTS (
			SELECT FROM ` + table + ` v
			WHERE v.tenant_id = r.tenant_id AND v.type = r.type AND v.id = r.id AND v.param = ` + b.arg(param) + `
			  AND ` + b.any(n, test) + `)`
}

func (b *sqlBuilder) any(n int, test func(i int) string) string {
	tests := make([]string, n)
	for i := range tests {
		tests[i] = test(i)
	}
	return "(" + strings.Join(tests, " OR ") + ")"
}

// spanTests compare the half-open interval [low, high) of a value with the
// [@low, @high) that is asked for: FHIR R4 search.html#prefix.
var spanTests = map[string]string{
	"eq": `low >= @low AND high <= @high`,
	"ne": `NOT (low >= @low AND high <= @high)`,
	"gt": `high > @high`,
	"lt": `low < @low`,
	"ge": `(high > @high OR low >= @low)`,
	"le": `(low < @low OR high <= @high)`,
	"sa": `low >= @high`,
	"eb": `high <= @low`,
	"ap": `low < @high + (@high - @low) / 10 AND high > @low - (@high - @low) / 10`,
}

// instantTests are the same for a value that is one moment, such as
// _lastUpdated, and for which an interval would be empty.
var instantTests = map[string]string{
	"eq": `low >= @low AND low < @high`,
	"ne": `NOT (low >= @low AND low < @high)`,
	"gt": `low >= @high`,
	"lt": `low < @low`,
	"ge": `low >= @low`,
	"le": `low < @high`,
	"sa": `low >= @high`,
	"eb": `low < @low`,
	"ap": `low >= @low - (@high - @low) / 10 AND low < @high + (@high - @low) / 10`,
}

func (b *sqlBuilder) span(s span, lowColumn, highColumn string) string {
	test := spanTests[s.prefix]
	if lowColumn == highColumn {
		test = instantTests[s.prefix]
	}
	low, high := b.arg(s.low)+"::timestamptz", b.arg(s.high)+"::timestamptz"
	return "(" + strings.NewReplacer("@low", low, "@high", high, "low", lowColumn, "high", highColumn).Replace(test) + ")"
}

func (b *sqlBuilder) text(m textMatch) string {
	switch m.modifier {
	case "exact":
		return `v.exact = ` + b.arg(m.text)
	case "contains":
		return `position(` + b.arg(m.text) + ` IN v.folded) > 0`
	}
	from := b.arg(m.text)
	return `(v.folded >= ` + from + ` AND v.folded < ` + b.arg(m.text+"\U0010FFFF") + `)`
}

// hidesOriginals tells whether blinding concerns the actor: everybody who
// reads. Who adjudicates or supervises may have a token for each role, and has
// nothing to decide before the reveal.
func hidesOriginals(actor access.Actor) bool {
	return actor.Role == access.Reader || actor.Role == access.Adjudicator || actor.Role == access.Supervisor
}

// notHidden leaves out the original reports of blinded cases that are not
// revealed yet, with all that belongs to them. A case that ended unread hides
// nothing. Who has seen the original in another case goes on seeing it: its
// reader, and (decides) whoever adjudicates and supervises; matching keeps them
// off the new case.
const notHidden = `NOT EXISTS (
			SELECT FROM case_original o
			JOIN case_file c ON c.tenant_id = o.tenant_id AND c.case_id = o.case_id
			WHERE o.tenant_id = r.tenant_id AND o.type = r.type AND o.id = r.id
			  AND c.protocol = 'blinded' AND c.revealed_at IS NULL
			  AND c.state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
			  AND NOT EXISTS (
				SELECT FROM case_original other
				JOIN case_file seen ON seen.tenant_id = other.tenant_id AND seen.case_id = other.case_id
				WHERE other.tenant_id = o.tenant_id AND other.type = o.type AND other.id = o.id
				  AND seen.revealed_at IS NOT NULL AND (seen.reader_id = @viewer OR @decides)))`

// Visible is Get for an actor: what blinding hides from them is as absent as
// what does not exist.
func (s *store) Visible(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, id string) (Stored, error) {
	if err := s.mustBeVisible(ctx, tx, actor, typ, id); err != nil {
		return Stored{}, err
	}
	return s.Get(ctx, tx, typ, id)
}

func (s *store) mustBeVisible(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, id string) error {
	if !hidesOriginals(actor) {
		return nil
	}
	var visible bool
	err := tx.QueryRow(ctx, `
		SELECT `+notHidden+`
		FROM (VALUES (overread_tenant(), @type COLLATE "C", @id COLLATE "C")) AS r (tenant_id, type, id)`,
		pgx.NamedArgs{"type": typ, "id": id, "viewer": actor.ID, "decides": actor.Role != access.Reader}).Scan(&visible)
	if err == nil && !visible {
		err = notFound()
	}
	return err
}

package fhir

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A fence is what an actor may see of the types that are open to it, where that
// is not all: the restrictions of its scopes (SMART App Launch 2.2
// scopes-and-launch-context.html, "finer-grained resource constraints using search
// parameters") and the compartment of the patient to whom its token is bound. What
// is outside is as absent as what does not exist, in every interaction: it is a
// condition on each query (sqlBuilder.visible), and is judged in memory of what no
// index has: a version of the past, what is about to be written.
//
// What decides is the current version. Of a resource that is inside, an earlier
// version that was outside is left out too, and so is a deletion.
type fence struct {
	tenant  uuid.UUID
	limits  map[string][]*query // of each type that is here, a resource meets one of them
	patient string              // id; "" for no compartment
	read    bool                // it is about seeing and not about changing
}

// typesOnce is what servedTypes gives, made once.
var typesOnce struct {
	once  sync.Once
	types map[string]*resourceType
}

// servedTypes is the table of resources for what asks about types only, and
// changes none.
func servedTypes() map[string]*resourceType {
	typesOnce.once.Do(func() {
		typesOnce.types = map[string]*resourceType{}
		for _, row := range resourceTable() {
			row.complete()
			typesOnce.types[row.name] = &row
		}
	})
	return typesOnce.types
}

// fenceOf is the fence of an actor who does any of these; nil where there is none.
func fenceOf(actor access.Actor, any ...access.Permission) *fence {
	if !actor.Restricted() {
		return nil
	}
	f := &fence{tenant: actor.Tenant, patient: strings.TrimPrefix(actor.Patient, "Patient/"), limits: map[string][]*query{},
		read: !slices.ContainsFunc(any, func(do access.Permission) bool { return do != access.Read && do != access.Search })}
	for typ, queries := range actor.Restrictions(any...) {
		f.limits[typ] = []*query{}
		for _, text := range queries {
			if q, err := limitOf(actor.Tenant, typ, text); err == nil {
				f.limits[typ] = append(f.limits[typ], q) // one that was granted and is none any more opens nothing
			}
		}
	}
	if len(f.limits) == 0 && f.patient == "" {
		return nil
	}
	return f
}

// limitOf understands the query of a scope. References stand in it as they
// are kept: Type/id or an absolute URL.
func limitOf(tenant uuid.UUID, typ, text string) (*query, error) {
	row := servedTypes()[typ]
	if row == nil || !row.kept() {
		return nil, fault.New(fault.NotSupported, "%s is not kept here, so scopes for it cannot be restricted", typ)
	}
	asked, err := url.ParseQuery(text)
	if err != nil {
		return nil, fault.New(fault.Value, "the restriction is not escaped as a URL wants it")
	}
	if err := checkValues(asked); err != nil {
		return nil, err
	}
	asKept := func(_ keySpace, reference string) (ways, ids []string) {
		if t := parseReference(reference); t.local() {
			return []string{t.relative()}, nil
		}
		return []string{reference}, nil
	}
	q := &query{row: row, tenant: tenant}
	for _, name := range slices.Sorted(maps.Keys(asked)) {
		for _, value := range asked[name] {
			taken, err := q.take(name, value, asKept)
			switch {
			case err != nil:
				return nil, err
			case !taken:
				return nil, fault.New(fault.NotSupported, "%s has no such search parameter to restrict a scope by; /fhir/metadata lists those it has", typ)
			}
		}
	}
	return q, nil
}

// CheckGrant refuses scopes whose restrictions this server would not understand.
func CheckGrant(g access.Grant) error {
	for _, area := range g.Areas() {
		if area.Query == "" {
			continue
		}
		if _, err := limitOf(uuid.Nil, area.Type, area.Query); err != nil {
			return fmt.Errorf("%s/%s?%s: %w", area.Level, area.Type, area.Query, err)
		}
	}
	return nil
}

// CheckNewGrant is CheckGrant for scopes that somebody is to have, and so refuses
// types that are not here too. Who asks for a token may ask for more than there is.
func CheckNewGrant(g access.Grant) error {
	for _, area := range g.Areas() {
		if area.Type != "*" && servedTypes()[area.Type] == nil {
			return fmt.Errorf("%s/%s: there is no type %s here; /fhir/metadata lists those there are", area.Level, area.Type, area.Type)
		}
	}
	return CheckGrant(g)
}

// limits tells whether the actor may see but some of a type.
func limits(actor access.Actor, typ string) bool {
	f := fenceOf(actor, access.Create, access.Read, access.Update, access.Delete, access.Search)
	return f != nil && (f.patient != "" || f.limits[typ] != nil) || actor.Restricted() && hasRestriction(actor, typ)
}

func hasRestriction(actor access.Actor, typ string) bool {
	return slices.ContainsFunc(actor.Grant.Areas(), func(a access.Area) bool { return a.Type == typ && a.Query != "" })
}

// fence adds the conditions of a fence on r, which is a current version. Where r
// is of one type only, that is given.
func (b *sqlBuilder) fence(f *fence, typ string) {
	if f == nil {
		return
	}
	for _, limited := range slices.Sorted(maps.Keys(f.limits)) {
		if typ != "" && typ != limited {
			continue
		}
		ways := []string{"false"}
		for _, q := range f.limits[limited] {
			inner := &sqlBuilder{args: b.args}
			for _, c := range q.criteria {
				inner.criterion(c)
			}
			ways = append(ways, "("+strings.Join(inner.where, " AND ")+")")
		}
		b.where = append(b.where, `(r.type <> `+b.arg(limited)+` OR `+strings.Join(ways, " OR ")+`)`)
	}
	if f.patient != "" {
		b.where = append(b.where, b.ofPatient(f))
	}
}

// ofPatient is the condition to be of the patient: the Patient, what is in the
// compartment, the Tasks, and the Binaries that are attachments of these. What
// holds nothing of any patient is there to be read.
func (b *sqlBuilder) ofPatient(f *fence) string {
	types, params := []string{}, []string{}
	for _, typ := range slices.Sorted(maps.Keys(servedTypes())) {
		for _, param := range fencedParams(typ) {
			types, params = append(types, typ), append(params, param)
		}
	}
	refers := `
				SELECT f.type, f.id
				FROM reference_search f
				JOIN unnest(` + b.arg(types) + `::text[], ` + b.arg(params) + `::text[]) AS by (type, param)
				  ON f.type = by.type COLLATE "C" AND f.param = by.param COLLATE "C"
				WHERE f.target_type = 'Patient' AND f.target_id = ` + b.arg(f.patient)
	open := []string{}
	for _, typ := range slices.Sorted(maps.Keys(servedTypes())) {
		if f.read && servedTypes()[typ].isFor(access.Admin) {
			open = append(open, typ)
		}
	}
	return `(r.type = ANY (` + b.arg(open) + `::text[]) OR (r.type = 'Patient' AND r.id = ` + b.arg(f.patient) + `)
			OR (r.type, r.id) IN (` + refers + `
				UNION ALL
				SELECT a.target_type, a.target_id
				FROM reference_search a
				WHERE a.target_type = 'Binary' AND a.type <> 'Provenance' AND (a.type, a.id) IN (` + refers + `)))`
}

// fencedParams are the parameters by which a type belongs to the patient of a
// token. Those that name other patients, and who looked, do not.
func fencedParams(typ string) []string {
	switch {
	case typ == "Binary":
		return []string{"security-context"}
	case slices.Contains(notEverything, typ):
		return nil
	}
	return servedTypes()[typ].keysOf(patientParams(typ))
}

// admits judges a version that no index has.
func (f *fence) admits(n *Node) bool {
	if f == nil {
		return true
	}
	row := servedTypes()[n.Type()]
	if row == nil {
		return false
	}
	if ways, limited := f.limits[row.name]; limited && !slices.ContainsFunc(ways, func(q *query) bool { return q.matches(n) }) {
		return false
	}
	switch {
	case f.patient == "", f.read && row.isFor(access.Admin):
		return true
	case row.name == "Patient":
		return n.Text("id") == f.patient
	case row.name == "Binary" && f.read:
		return true // by what it is an attachment of, which SQL has asked
	}
	params := fencedParams(row.name)
	return slices.ContainsFunc(indexOf(f.tenant, row, n).references, func(to referenceRow) bool {
		return to.typ == "Patient" && to.id == f.patient && slices.Contains(params, to.param)
	})
}

// admitsBody is admits of what is kept.
func (f *fence) admitsBody(body []byte) bool {
	if f == nil {
		return true
	}
	if body == nil {
		return false // a deletion: of what, nobody can tell any more
	}
	n, err := Parse(body, Limits{})
	return err == nil && f.admits(n)
}

// mayShow tells whether a version may be shown to who has just written it.
func mayShow(actor access.Actor, r Stored) bool {
	return !redacts(actor, r.Type) && actor.May(r.Type, access.Read) && (r.Body == nil || fenceOf(actor, access.Read).admitsBody(r.Body))
}

// inside are those of these references ("Patient/1") that the fence, and what
// is withheld from whoever reads here, let the actor know of; all of them where there is neither.
func inside(ctx context.Context, tx pgx.Tx, actor access.Actor, references []string, any ...access.Permission) (map[string]bool, error) {
	found := map[string]bool{}
	f := fenceOf(actor, any...)
	veiled := actor.HidesOriginals()
	if f == nil && !veiled || len(references) == 0 {
		for _, ref := range references {
			found[ref] = true
		}
		return found, nil
	}
	types, ids := splitReferences(references)
	b := &sqlBuilder{args: pgx.NamedArgs{"types": types, "ids": ids}}
	if veiled {
		b.unblinded(actor)
	}
	b.fence(f, "")
	rows, err := tx.Query(ctx, `
		SELECT r.type || '/' || r.id
		FROM unnest(@types::text[], @ids::text[]) AS wanted (type, id)
		JOIN resource_search r ON r.type = wanted.type COLLATE "C" AND r.id = wanted.id COLLATE "C"
		WHERE NOT r.deleted`+b.conditions(), b.args)
	if err != nil {
		return nil, fmt.Errorf("what a token may know of: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, name := range names {
		found[name] = true
	}
	return found, err
}

// unveiled tells whether blinding leaves what is to be changed to the actor. A study
// is not for readers to change: they do not have it whole.
func (c *change) unveiled(ctx context.Context, tx pgx.Tx, actor access.Actor) (shown bool, err error) {
	if redacts(actor, c.row.name) {
		return false, fault.New(fault.Forbidden, "who has read a study is not for readers, so whoever reads here changes no %s, in no role", c.row.name)
	}
	err = tx.QueryRow(ctx, `
		SELECT `+notHidden+`
		FROM (VALUES (@tenant::uuid, @type::text COLLATE "C", @id::text COLLATE "C")) AS r (tenant_id, type, id)`,
		viewArgs(actor, pgx.NamedArgs{"tenant": actor.Tenant, "type": c.row.name, "id": c.id})).Scan(&shown)
	if err != nil {
		return false, fmt.Errorf("what a reader may change: %w", err)
	}
	return shown, nil
}

// fenced lets a change see what the fence lets its actor see: there is what is
// there, or nothing. What it sees and may not change is refused.
func (c *change) fenced(ctx context.Context, tx pgx.Tx, actor access.Actor, there Stored) (Stored, error) {
	if there.Version == 0 {
		return there, nil
	}
	if !seesAside(actor) {
		if aside, err := isAside(ctx, tx, c.row.name, c.id); err != nil || aside {
			return Stored{}, err
		}
	}
	if actor.HidesOriginals() && (!actor.ReadsHere() || c.row.name == "Task") {
		if shown, err := c.unveiled(ctx, tx, actor); err != nil || !shown {
			return Stored{}, err
		}
	}
	if !limits(actor, c.row.name) {
		return there, nil
	}
	name := []string{c.name()}
	seen, err := inside(ctx, tx, actor, name, access.Read, access.Search)
	if err != nil {
		return there, err
	}
	do := permissionOf[writing[c.method]]
	mine, err := inside(ctx, tx, actor, name, do)
	switch {
	case err != nil:
		return there, err
	case mine[c.name()] && (seen[c.name()] || !actor.May(c.row.name, access.Read, access.Search)):
		return there, nil
	case seen[c.name()] && actor.May(c.row.name, access.Read, access.Search):
		return there, outside(actor, c.row.name, do)
	}
	return Stored{}, nil
}

// mayWrite refuses what would be outside the fence once it is written.
func (c *change) mayWrite(actor access.Actor) error {
	if do := permissionOf[writing[c.method]]; !fenceOf(actor, do).admits(c.n) {
		return outside(actor, c.row.name, do)
	}
	return nil
}

// outside tells by what the actor is bound, which it knows.
func outside(actor access.Actor, typ string, do access.Permission) error {
	if queries := actor.Restrictions(do)[typ]; queries != nil {
		return fault.New(fault.Forbidden, "the scopes of this token do not cover this: they allow %c with a %s that meets %s", do, typ, strings.Join(queries, ", or "))
	}
	return fault.New(fault.Forbidden, "this token is bound to one patient, and this is not of that patient")
}

// key tells fences apart, for what is kept of one request for another.
func fenceKey(actor access.Actor) string {
	if !actor.Restricted() {
		return ""
	}
	return actor.Patient + " " + actor.Scopes()
}

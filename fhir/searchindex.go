package fhir

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/overread/overread/internal/access"
)

// index is what a resource can be found by: keys in an array of its own row, the
// rest in the indexTables.
type index struct {
	id          string
	lastUpdated interval
	keys        []uuid.UUID
	dates       []dateRow
	texts       []textRow
	references  []referenceRow
	quantities  []quantityRow
	sorts       map[string]extent // by parameter: searchsort.go

	seen    map[uuid.UUID]bool
	indexed map[string]bool // the keys of composites
}

// The param of a row is the key of a search parameter; of the second part of a
// composite it is that and the digest of the first.
type (
	dateRow struct {
		param string
		interval
	}
	// textRow is a text as it is compared, and as it was written: "" where :exact
	// does not look.
	textRow struct{ param, folded, exact string }
	// referenceRow is where a reference leads, when that is a resource here.
	referenceRow struct{ param, typ, id string }
	// quantityRow is a number or Quantity, or a range of them with its ends.
	quantityRow struct {
		param              string
		low, high          decimal
		system, code, unit string
	}
)

// index collects what a resource of this tenant can be found by, under the patients
// into whose records others were merged too.
func (s *store) index(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*index, error) {
	x := indexOf(actor.Tenant, s.resources[n.Type()], n)
	return x, x.follow(ctx, tx, actor.Tenant, n.Type())
}

func indexOf(tenant uuid.UUID, row *resourceType, n *Node) *index {
	x := &index{id: n.Text("id"), seen: map[uuid.UUID]bool{}}
	if at, err := time.Parse(time.RFC3339Nano, n.Text("meta", "lastUpdated")); err == nil {
		x.lastUpdated = instantOf(at)
	}
	if row == nil {
		return x
	}
	for _, p := range row.search {
		if p.key != p.name {
			continue // an alias
		}
		space := keySpace{tenant, row.name, p.key}
		if p.kind == "composite" {
			x.addComposite(space, p, n)
			continue
		}
		for _, path := range p.paths {
			for _, value := range path.values(n) {
				x.add(space, p, path, value)
			}
		}
	}
	x.addVersioned(tenant, row, n)
	x.addOthers(n)
	x.addKeys(studyKeys(keySpace{tenant, row.name, namesStudy}, studyNames(n))...)
	switch {
	case row.name != auditEventType:
		x.addKeys(identityKeys(tenant, identitiesNamed(n))...)
	case toldToAuditors(n):
		x.addKeys(auditorsKey(tenant))
	}
	return x
}

// add indexes one value of a parameter.
func (x *index) add(space keySpace, p searchParam, path valuePath, value *Node) {
	if p.kind == "reference" && !path.leadsRight(value) {
		return
	}
	x.addKeys(space.key(formPresent))
	switch p.kind {
	case "token":
		x.addKeys(tokenKeys(space, path, value)...)
		for _, text := range tokenTexts(space.typ, path, value) {
			x.texts = append(x.texts, textRow{space.param, fold(text), ""})
		}
		x.sortBy(p, sortableCode(p, value))
	case "reference":
		x.addKeys(referenceKeys(space, path, value)...)
		x.refer(space.param, value)
	case "uri":
		x.addKeys(uriKeys(space, value.Text())...)
		x.texts = append(x.texts, textRow{space.param, clip(value.Text()), value.Text()})
		x.sortBy(p, sortableCode(p, value))
	case "date":
		if i, ok := path.interval(value); ok {
			x.dates = append(x.dates, dateRow{space.param, i})
			x.sortBy(p, sortableTime(i.low))
		}
	case "string":
		x.addStrings(space, path, value)
		for _, s := range stringsOf(value) {
			x.sortBy(p, fold(s))
		}
	case "number", "quantity":
		if q, ok := amountOf(path.typ, value); ok {
			q.param = space.param
			x.quantities = append(x.quantities, q)
			x.sortBy(p, sortableNumber(q.finite().String()))
		}
	}
}

func (x *index) addKeys(keys ...uuid.UUID) {
	for _, key := range keys {
		if !x.seen[key] {
			x.seen[key] = true
			x.keys = append(x.keys, key)
		}
	}
}

// addStrings adds the texts of a string; of names also each of their words,
// so that a double name is found by its second part (FHIR R4 search.html#string).
func (x *index) addStrings(space keySpace, path valuePath, value *Node) {
	for _, s := range stringsOf(value) {
		if space.param == phonetic {
			for _, word := range words(fold(s)) {
				x.texts = append(x.texts, textRow{space.param, soundOf(word), ""})
			}
			continue
		}
		x.texts = append(x.texts, textRow{space.param, fold(s), s})
		if path.within != "HumanName" && path.typ != "HumanName" {
			continue
		}
		for i, rest := range tails(fold(s)) {
			if i > 0 {
				x.texts = append(x.texts, textRow{space.param, rest, ""})
			}
		}
	}
}

// addVersioned lets a definition be found by its canonical URL and version in
// one: url=http://acme.org/fhir/ValueSet/1|2.0 (FHIR R4 search.html#uri).
func (x *index) addVersioned(tenant uuid.UUID, row *resourceType, n *Node) {
	if _, ok := row.param("version"); !ok || n.Text("url") == "" || n.Text("version") == "" {
		return
	}
	x.addKeys(keySpace{tenant, row.name, "url"}.key(formURI, n.Text("url")+"|"+n.Text("version")))
}

// refer notes where a reference leads.
func (x *index) refer(param string, value *Node) {
	to := parseReference(value.Text("reference"))
	if !to.local() {
		return
	}
	if row := (referenceRow{param, to.typ, to.id}); !slices.Contains(x.references, row) {
		x.references = append(x.references, row)
	}
}

// namesStudy is the param of the keys of the studies that a resource names by
// identifier. It is no search parameter: only the blinding looks at it (blind.go).
const namesStudy = "$study"

// studyNames are the identifiers by which a resource names studies: those of a
// study itself, of what it contains, of logical references, and its own accession
// numbers.
func studyNames(n *Node) (named []*Node) {
	n.Walk(func(_ string, v *Node) {
		for _, id := range v.Each("identifier") {
			if !id.IsObject() || id.Text("value") == "" {
				continue
			}
			if v.Type() == "ImagingStudy" || hasCode(id.Get("type"), v2Identifier, "ACSN") || isUID(id) || v.Text("type") == "ImagingStudy" {
				named = append(named, id)
			}
		}
	})
	return named
}

// isUID tells a DICOM UID from other identifiers, however it is written.
func isUID(id *Node) bool {
	value := id.Text("value")
	return id.Text("system") == studyUIDSystem || bareUID(value) != value || strings.Count(value, ".") > 3 && strings.Trim(value, "0123456789.") == ""
}

// studyKeys are the keys of studyNames. A UID is the same whatever its system,
// an accession number is not.
func studyKeys(space keySpace, named []*Node) []uuid.UUID {
	var keys []uuid.UUID
	for _, id := range named {
		code := bareUID(id.Text("value"))
		if isUID(id) {
			keys = append(keys, space.key(formCode, code))
		} else if code != "" {
			keys = append(keys, space.key(formSystemCode, id.Text("system"), code))
		}
	}
	return keys
}

// refersTo is the param of the rows that tell where the references lead which no
// search parameter covers, such as ServiceRequest.supportingInfo, and which Binary
// an address means. It is no search parameter: only deletes and the blinding look at it (delete.go, blind.go).
const refersTo = "$other"

func (x *index) addOthers(n *Node) {
	known := map[string]bool{}
	for _, r := range x.references {
		known[r.typ+"/"+r.id] = true
	}
	for _, k := range linksOf(n, n.Type()) {
		if to := k.target; (!k.isURI || to.typ == "Binary") && to.local() && !known[to.relative()] {
			known[to.relative()] = true
			x.references = append(x.references, referenceRow{refersTo, to.typ, to.id})
		}
	}
}

// short is a key as part of the name of a row.
func short(key uuid.UUID) string { return base64.RawURLEncoding.EncodeToString(key[:]) }

// args are the arguments of the statements that write a resource.
func (x *index) args(r Stored, actor access.Actor) pgx.NamedArgs {
	args := pgx.NamedArgs{
		"tenant": actor.Tenant, "type": r.Type, "id": r.ID, "version": r.Version, "last_updated": r.LastUpdated,
		"body": r.Body, "keys": append([]uuid.UUID{}, x.keys...), "indexed": indexVersionOf(r.Type),
	}
	args["date_params"] = column(x.dates, func(d dateRow) string { return d.param })
	args["lows"] = column(x.dates, func(d dateRow) pgtype.Timestamptz { return d.low })
	args["highs"] = column(x.dates, func(d dateRow) pgtype.Timestamptz { return d.high })
	args["text_params"] = column(x.texts, func(t textRow) string { return t.param })
	args["folded"] = column(x.texts, func(t textRow) string { return t.folded })
	args["exact"] = column(x.texts, func(t textRow) string { return t.exact })
	args["reference_params"] = column(x.references, func(r referenceRow) string { return r.param })
	args["target_types"] = column(x.references, func(r referenceRow) string { return r.typ })
	args["target_ids"] = column(x.references, func(r referenceRow) string { return r.id })
	args["quantity_params"] = column(x.quantities, func(q quantityRow) string { return q.param })
	args["quantity_lows"] = column(x.quantities, func(q quantityRow) string { return q.low.String() })
	args["quantity_highs"] = column(x.quantities, func(q quantityRow) string { return q.high.String() })
	args["systems"] = column(x.quantities, func(q quantityRow) string { return q.system })
	args["codes"] = column(x.quantities, func(q quantityRow) string { return q.code })
	sorts := x.sortRows()
	args["sort_params"] = column(sorts, func(r sortRow) string { return r.param })
	args["sort_values"] = column(sorts, func(r sortRow) string { return r.value })
	args["lowests"] = column(sorts, func(r sortRow) bool { return r.lowest })
	args["highests"] = column(sorts, func(r sortRow) bool { return r.highest })
	args["units"] = column(x.quantities, func(q quantityRow) string { return q.unit })
	return args
}

// column is one column of rows, as unnest takes it: never NULL.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return values
}

package fhir

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/overread/overread/internal/access"
)

// A search key is a digest of what a token, reference or uri parameter may be
// asked for, tenant and type included; the values themselves are not in the
// index. A value has a key for each form of asking for it. The forms, FHIR R4
// search.html#token and #reference:
const (
	formCode       = "code"        // code, whatever the system
	formSystemCode = "system|code" // also |code, with the system ""
	formSystem     = "system|"     // any code of the system
	formReference  = "reference"   // Type/id, or an absolute URL
	formID         = "id"          // id, whatever the type
	formIdentifier = "identifier"  // :identifier=system|value
	formURI        = "uri"
)

// keySpace is where keys are made: one tenant, one type, one parameter.
type keySpace struct {
	tenant uuid.UUID
	typ    string
	param  string // searchParam.key
}

// key is the digest of one form of a value. Each part is preceded by its
// length, so that no two lists of parts read the same.
func (k keySpace) key(form string, parts ...string) uuid.UUID {
	var room [256]byte
	b := append(room[:0], k.tenant[:]...)
	for _, part := range append([]string{k.typ, k.param, form}, parts...) {
		b = binary.AppendUvarint(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	return uuid.UUID(sum[:16])
}

// bareUID drops the prefix that DICOM UIDs have in ImagingStudy.identifier and
// nowhere else, so that they are found by either spelling.
func bareUID(code string) string { return strings.TrimPrefix(code, "urn:oid:") }

// index is what a resource can be found by.
type index struct {
	keys       []uuid.UUID
	dates      []dateRow
	texts      []textRow
	references []referenceRow
	quantities []quantityRow
	sorts      map[string]extent // by parameter: searchsort.go
}

// referenceRow is where a reference leads, when that is a resource here.
type referenceRow struct{ param, typ, id string }

// quantityRow is a number or Quantity as the range that its precision means;
// low and high are decimals.
type quantityRow struct{ param, low, high, system, code, unit string }

type dateRow struct {
	param string
	interval
}

type textRow struct{ param, folded, exact string }

// index collects what a resource of this tenant can be found by.
func (s *store) index(actor access.Actor, n *Node) *index {
	return indexOf(actor.Tenant, s.resources[n.Type()], n)
}

func indexOf(tenant uuid.UUID, row *resourceType, n *Node) *index {
	x := &index{}
	if row == nil {
		return x
	}
	seen := map[uuid.UUID]bool{}
	for _, p := range row.search {
		if p.key != p.name {
			continue // an alias
		}
		space := keySpace{tenant, row.name, p.key}
		for _, path := range p.paths {
			for _, value := range path.values(n) {
				x.add(space, p, path, value, seen)
			}
		}
	}
	return x
}

func (x *index) add(space keySpace, p searchParam, path valuePath, value *Node, seen map[uuid.UUID]bool) {
	switch p.kind {
	case "date":
		if i, ok := intervalOf(value); ok {
			x.dates = append(x.dates, dateRow{p.key, i})
			x.sortBy(p, sortableTime(i.low))
		}
	case "string":
		for _, s := range stringsOf(value) {
			x.texts = append(x.texts, textRow{p.key, fold(s), s})
			x.sortBy(p, fold(s))
		}
	default:
		for _, key := range keysOf(space, p, path, value) {
			if !seen[key] {
				seen[key] = true
				x.keys = append(x.keys, key)
			}
		}
	}
	switch p.kind {
	case "reference":
		x.refer(p, path, value)
	case "token", "uri":
		x.sortBy(p, sortableCode(p, value))
	}
}

// refer notes where a reference leads.
func (x *index) refer(p searchParam, path valuePath, value *Node) {
	to := parseReference(value.Text("reference"))
	if !to.local() || path.only != "" && to.typ != path.only {
		return
	}
	if row := (referenceRow{p.key, to.typ, to.id}); !slices.Contains(x.references, row) {
		x.references = append(x.references, row)
	}
}

func keysOf(space keySpace, p searchParam, path valuePath, value *Node) []uuid.UUID {
	switch p.kind {
	case "token":
		return tokenKeys(space, path, value)
	case "reference":
		return referenceKeys(space, path, value)
	}
	return []uuid.UUID{space.key(formURI, value.Text())}
}

// tokenKeys are the keys of a code, Coding, CodeableConcept, Identifier,
// ContactPoint, boolean or id.
func tokenKeys(space keySpace, path valuePath, value *Node) []uuid.UUID {
	switch {
	case path.typ == "Id": // a CT has thousands of instances: one key each
		return []uuid.UUID{space.key(formCode, bareUID(value.Text()))}
	case !value.IsObject():
		return codingKeys(space, "", value.Text())
	case value.Get("coding") != nil:
		var keys []uuid.UUID
		for _, c := range value.Each("coding") {
			keys = append(keys, codingKeys(space, c.Text("system"), c.Text("code"))...)
		}
		return keys
	case value.Get("code") != nil:
		return codingKeys(space, value.Text("system"), value.Text("code"))
	case path.typ == "ContactPoint": // its system is no namespace
		return codingKeys(space, "", value.Text("value"))
	}
	return codingKeys(space, value.Text("system"), value.Text("value"))
}

func codingKeys(space keySpace, system, code string) []uuid.UUID {
	var keys []uuid.UUID
	if code != "" {
		code = bareUID(code)
		keys = append(keys, space.key(formCode, code), space.key(formSystemCode, system, code))
	}
	if system != "" {
		keys = append(keys, space.key(formSystem, system))
	}
	return keys
}

// referenceKeys are the keys of a Reference: by type and id, by id, by URL, and
// by the identifier of a logical one. Contained resources cannot be found.
func referenceKeys(space keySpace, path valuePath, value *Node) []uuid.UUID {
	var keys []uuid.UUID
	if path.at.primitive != "" { // canonical
		return []uuid.UUID{space.key(formReference, value.Text())}
	}
	target := parseReference(value.Text("reference"))
	typ := target.typ
	if typ == "" {
		typ = value.Text("type")
	}
	if path.only != "" && typ != "" && typ != path.only {
		return nil
	}
	switch {
	case target.local():
		keys = append(keys, space.key(formReference, target.relative()), space.key(formID, target.id))
	case target.absolute():
		keys = append(keys, space.key(formReference, target.base+"/"+target.relative()))
	case target.other != "":
		keys = append(keys, space.key(formReference, target.other))
	}
	if id := value.Get("identifier"); id.Text("value") != "" {
		system, code := id.Text("system"), bareUID(id.Text("value"))
		keys = append(keys, space.key(formIdentifier, system, code), space.key(formIdentifier, code))
	}
	return keys
}

// args are the arguments of the statements that write a resource.
func (x *index) args(r Stored, actor access.Actor) pgx.NamedArgs {
	args := pgx.NamedArgs{
		"tenant": actor.Tenant, "type": r.Type, "id": r.ID, "version": r.Version, "last_updated": r.LastUpdated,
		"body": r.Body, "keys": append([]uuid.UUID{}, x.keys...), "indexed": indexVersion,
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
	args["quantity_lows"] = column(x.quantities, func(q quantityRow) string { return q.low })
	args["quantity_highs"] = column(x.quantities, func(q quantityRow) string { return q.high })
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

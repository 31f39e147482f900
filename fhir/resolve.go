package fhir

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// resolver finds what References point at, in whichever of the four ways they
// do: literal and local, absolute to the EHR, logical (by identifier), or
// contained (FHIR R4 references.html). Nothing is ever fetched: an absolute
// reference finds what the EHR has sent under that address, or nothing.
type resolver struct {
	store   *store
	tx      pgx.Tx
	tenant  uuid.UUID
	ehrBase string
	seen    map[string]found // by "Patient/1", for one look at a case in which nothing is written; nil: none is kept
}

// found is a resource that a Reference points at.
type found struct {
	*Node
	version int64 // 0: contained in another resource
}

// resolver is one for the tenant of the transaction.
func (s *Server) resolver(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (resolver, error) {
	base, err := s.ehrBase(ctx, tx)
	return resolver{store: s.store, tx: tx, tenant: tenant, ehrBase: base, seen: map[string]found{}}, err
}

// follow returns what ref, an element of parent, points at; a found without
// Node when that is not here.
func (r resolver) follow(ctx context.Context, ref, parent *Node) (found, error) {
	literal := ref.Text("reference")
	switch {
	case strings.HasPrefix(literal, "#"):
		return found{Node: contained(parent, literal[1:])}, nil
	case literal != "":
		if f, err := r.literal(ctx, literal); f.Node != nil || err != nil {
			return f, err
		}
	}
	return r.byIdentifier(ctx, typeOf(ref), ref.Text("identifier", "system"), ref.Text("identifier", "value"))
}

func (r resolver) literal(ctx context.Context, literal string) (found, error) {
	typ, id, err := r.local(ctx, literal)
	if err != nil || typ == "" {
		return found{}, err
	}
	return r.get(ctx, typ, id)
}

// local is where a literal reference leads here: through what the EHR once
// sent, where it is an address below the EHR's base.
func (r resolver) local(ctx context.Context, literal string) (typ, id string, err error) {
	target := parseReference(literal)
	switch {
	case target.local():
		return target.typ, target.id, nil
	case !target.absolute() || r.ehrBase == "" || target.base != r.ehrBase:
		return "", "", nil
	}
	ours, err := localsOf(ctx, r.tx, []string{target.relative()})
	if err != nil || ours[target.relative()] == "" {
		return "", "", err
	}
	at := parseReference(ours[target.relative()])
	return at.typ, at.id, nil
}

func (r resolver) get(ctx context.Context, typ, id string) (found, error) {
	name := typ + "/" + id
	if f, ok := r.seen[name]; ok {
		return f, nil
	}
	stored, err := r.store.Get(ctx, r.tx, typ, id)
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Gone) {
		return found{}, err
	}
	f, err := stored.found()
	if err == nil && r.seen != nil {
		r.seen[name] = f
	}
	return f, err
}

// foresee reads resources ("Patient/1") at once that get will be asked for.
func (r resolver) foresee(ctx context.Context, names []string) error {
	var types, ids []string
	for _, name := range names {
		if typ, id, ok := strings.Cut(name, "/"); ok {
			types, ids = append(types, typ), append(ids, id)
			r.seen[name] = found{}
		}
	}
	rows, err := r.tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource
		WHERE tenant_id = @tenant AND (type, id) IN (SELECT t, i FROM unnest(@types::text[], @ids::text[]) AS named(t, i)) AND NOT deleted`,
		pgx.NamedArgs{"tenant": r.tenant, "types": types, "ids": ids})
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
	if err != nil {
		return fmt.Errorf("read resources: %w", err)
	}
	for _, stored := range all {
		if r.seen[stored.Reference()], err = stored.found(); err != nil {
			return err
		}
	}
	return nil
}

// byIdentifier finds the one resource of a type with this identifier. Two of
// them are nobody: a logical reference that is ambiguous leads nowhere.
func (r resolver) byIdentifier(ctx context.Context, typ, system, value string) (found, error) {
	if typ == "" || value == "" {
		return found{}, nil
	}
	space := keySpace{r.tenant, typ, "identifier"}
	all, err := r.search(ctx, typ, space.key(formSystemCode, system, bareUID(value)))
	if err != nil || len(all) != 1 {
		return found{}, err
	}
	return all[0], nil
}

// referringTo finds the resources of a type whose reference parameter points
// at a local resource.
func (r resolver) referringTo(ctx context.Context, typ, param, target string) ([]found, error) {
	return r.search(ctx, typ, keySpace{r.tenant, typ, param}.key(formReference, target))
}

// naming finds the resources of a type whose reference parameter names one that is kept
// here: by its id, by an identifier, or by the address that it has at the EHR.
func (r resolver) naming(ctx context.Context, typ, param string, n *Node) (all []found, err error) {
	space := keySpace{r.tenant, typ, param}
	keys := []uuid.UUID{space.key(formReference, n.Type()+"/"+n.Text("id"))}
	for _, id := range n.Each("identifier") {
		keys = append(keys, space.key(formIdentifier, id.Text("system"), id.Text("value")))
	}
	var there string
	err = r.tx.QueryRow(ctx, `
		SELECT coalesce(max(ehr_id), '')
		FROM resource_origin
		WHERE tenant_id = @tenant AND type = @type AND id = @id`,
		pgx.NamedArgs{"tenant": r.tenant, "type": n.Type(), "id": n.Text("id")}).Scan(&there)
	if err != nil {
		return nil, fmt.Errorf("where a resource comes from: %w", err)
	}
	if there != "" {
		keys = append(keys, space.key(formReference, r.ehrBase+"/"+n.Type()+"/"+there))
	}
	for _, key := range keys {
		more, err := r.search(ctx, typ, key)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

const mostFound = 100

func (r resolver) search(ctx context.Context, typ string, key uuid.UUID) ([]found, error) {
	rows, err := r.tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource_search
		WHERE tenant_id = @tenant AND type = @type AND keys @> ARRAY[@key]::uuid[] AND NOT deleted
		ORDER BY id
		LIMIT @most`,
		pgx.NamedArgs{"tenant": r.tenant, "type": typ, "key": key, "most": mostFound})
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
	if err != nil {
		return nil, fmt.Errorf("search %s: %w", typ, err)
	}
	var out []found
	for _, stored := range all {
		f, err := stored.found()
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// found reads what is kept back into a tree; the zero Stored is nothing found.
func (r Stored) found() (found, error) {
	if r.Body == nil {
		return found{}, nil
	}
	n, err := Parse(r.Body, Limits{})
	if err != nil {
		return found{}, fmt.Errorf("stored %s is not readable: %w", r.Reference(), err)
	}
	return found{n, r.Version}, nil
}

// contained finds a contained resource by its id.
func contained(parent *Node, id string) *Node {
	for _, c := range parent.Each("contained") {
		if c.Text("id") == id {
			return c
		}
	}
	return nil
}

// typeOf is the type of resource that a Reference means, as far as it says.
func typeOf(ref *Node) string {
	if typ := ref.Text("type"); typ != "" {
		return typ
	}
	if target := parseReference(ref.Text("reference")); target.typ != "" {
		return target.typ
	}
	if ref.Text("identifier", "system") == studyUIDSystem {
		return "ImagingStudy"
	}
	return ""
}

// targetType is typeOf, and looks into the contained resources of parent.
func targetType(ref, parent *Node) string {
	if id, ok := strings.CutPrefix(ref.Text("reference"), "#"); ok {
		return contained(parent, id).Type()
	}
	return typeOf(ref)
}

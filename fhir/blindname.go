package fhir

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// What tells of an original may name it without a literal reference: by an identifier
// alone, or by the address of a copy at the EHR. Blinding follows these as well.

// namesIdentity is the param of the keys of what a resource names by identifier alone
// (FHIR R4 references.html#logical), in any element. Only the blinding looks at it.
const namesIdentity = "$identity"

// identitiesNamed are the identifiers of logical references: whatever has an
// identifier that is no list, but for the people and places that blinding leaves out.
func identitiesNamed(n *Node) (named []*Node) {
	n.Walk(func(path string, v *Node) {
		id := v.Get("identifier")
		if id.IsObject() && id.Text("value") != "" && path != n.Type() && !slices.Contains(leadOn, v.Text("type")) {
			named = append(named, id)
		}
	})
	return named
}

// identityKeys are the keys of identifiers, whoever has or names them.
func identityKeys(tenant uuid.UUID, ids []*Node) (keys []uuid.UUID) {
	for _, id := range ids {
		if value := bareUID(id.Text("value")); value != "" {
			keys = append(keys, keySpace{tenant, "", namesIdentity}.key(formSystemCode, id.Text("system"), value))
		}
	}
	return keys
}

// identitiesOf are the keys by which resources that are withheld are named in logical
// references: those of their identifiers.
func identitiesOf(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, types, ids []string) ([]uuid.UUID, error) {
	all, err := collect(tx.Query(ctx, `
		SELECT r.type, r.id, version, last_updated, deleted, body
		FROM unnest(@types::text[], @ids::text[]) AS at (type, id)
		JOIN resource_search r ON r.type = at.type COLLATE "C" AND r.id = at.id COLLATE "C"
		WHERE NOT r.deleted AND r.type <> ALL (@leadOn)`,
		pgx.NamedArgs{"leadOn": leadOn, "types": types, "ids": ids}))
	if err != nil {
		return nil, fmt.Errorf("by what the original is named: %w", err)
	}
	found, err := allFound(all)
	keys := []uuid.UUID{}
	for _, f := range found {
		keys = append(keys, identityKeys(tenant, f.Each("identifier"))...)
	}
	return keys, err
}

// namedBy adds what a resource names by an identifier alone, and our reports that it
// names by the address of the copy at the EHR.
func (s *Server) namedBy(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node, at *withheld) error {
	keys, copies := []uuid.UUID{}, []string{}
	named := identitiesNamed(n)
	for typ := range s.resources {
		if !slices.Contains(leadOn, typ) {
			for _, id := range named {
				keys = append(keys, keySpace{tenant, typ, "identifier"}.key(formSystemCode, id.Text("system"), bareUID(id.Text("value"))))
			}
		}
	}
	for _, k := range linksOf(n, n.Type()) {
		if k.target.absolute() {
			copies = append(copies, k.node.Text())
		}
	}
	if len(keys) == 0 && len(copies) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `
		SELECT type, id
		FROM resource_search
		WHERE keys && @keys::uuid[] AND NOT deleted
		UNION
		SELECT 'DiagnosticReport', f.report_id
		FROM unnest(@copies::text[]) AS copy
		JOIN destination at ON true
		JOIN delivery d ON d.tenant_id = at.tenant_id AND d.destination = at.destination AND d.lane = 'report'
		JOIN case_file f ON f.tenant_id = d.tenant_id AND f.case_id = d.case_id
		WHERE starts_with(copy, at.base_url || '/') AND starts_with(at.base_url || '/' || d.location || '/', copy || '/') AND f.report_id IS NOT NULL`,
		pgx.NamedArgs{"keys": keys, "copies": copies})
	if err != nil {
		return fmt.Errorf("what a %s names: %w", n.Type(), err)
	}
	var typ, id string
	_, err = pgx.ForEachRow(rows, []any{&typ, &id}, func() error {
		at.add(typ, id)
		return nil
	})
	return err
}

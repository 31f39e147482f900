package fhir

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// ehrBase is the FHIR base of the tenant's EHR, "" where none is configured.
func (s *Server) ehrBase(ctx context.Context, tx pgx.Tx) (string, error) {
	var base *string
	err := tx.QueryRow(ctx, `SELECT ehr_base FROM tenant`).Scan(&base) // row-level security leaves the one tenant
	if err != nil || base == nil {
		return "", err
	}
	return *base, nil
}

// recordOrigin notes what a resource is called at the EHR that sent it.
func recordOrigin(ctx context.Context, tx pgx.Tx, typ, id, ehrID string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO resource_origin (tenant_id, type, id, ehr_id)
		VALUES (overread_tenant(), @type, @id, @ehr_id)
		ON CONFLICT (tenant_id, type, id) DO UPDATE
		SET ehr_id = EXCLUDED.ehr_id
		WHERE resource_origin.ehr_id <> EXCLUDED.ehr_id`,
		pgx.NamedArgs{"type": typ, "id": id, "ehr_id": ehrID})
	if err != nil {
		return fmt.Errorf("record origin: %w", err)
	}
	return nil
}

// originOf is the id under which the EHR knows a resource of ours; ok is false
// where it does not.
func originOf(ctx context.Context, tx pgx.Tx, typ, id string) (ehrID string, ok bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT ehr_id
		FROM resource_origin
		WHERE type = @type AND id = @id`,
		pgx.NamedArgs{"type": typ, "id": id}).Scan(&ehrID)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", false, nil
	}
	return ehrID, err == nil, err
}

// localsOf finds our ids of what the EHR calls Type/id: "Patient/9" ->
// "Patient/0190...". What is not known here is not in the answer. Of several
// copies it is the latest; ids of ours grow with time.
func localsOf(ctx context.Context, tx pgx.Tx, ehrReferences []string) (map[string]string, error) {
	found := map[string]string{}
	if len(ehrReferences) == 0 {
		return found, nil
	}
	types, ids := splitReferences(ehrReferences)
	rows, err := tx.Query(ctx, `
		SELECT o.type || '/' || o.ehr_id, o.type || '/' || max(o.id)
		FROM unnest(@types::text[], @ids::text[]) AS wanted (type, ehr_id)
		JOIN resource_origin o ON o.type = wanted.type COLLATE "C" AND o.ehr_id = wanted.ehr_id COLLATE "C"
		JOIN resource r ON r.type = o.type AND r.id = o.id AND NOT r.deleted
		GROUP BY o.type, o.ehr_id`,
		pgx.NamedArgs{"types": types, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("look up origins: %w", err)
	}
	var theirs, ours string
	_, err = pgx.ForEachRow(rows, []any{&theirs, &ours}, func() error {
		found[theirs] = ours
		return nil
	})
	return found, err
}

// existing are those of these references that lead to a resource that is kept
// here, with its version, and holds them against being deleted.
func existing(ctx context.Context, tx pgx.Tx, references []string) (map[string]int64, error) {
	found := map[string]int64{}
	if len(references) == 0 {
		return found, nil
	}
	types, ids := splitReferences(references)
	rows, err := tx.Query(ctx, `
		SELECT r.type || '/' || r.id, r.version
		FROM unnest(@types::text[], @ids::text[]) AS wanted (type, id)
		JOIN resource r ON r.type = wanted.type COLLATE "C" AND r.id = wanted.id COLLATE "C"
		WHERE NOT r.deleted
		ORDER BY r.type, r.id
		FOR KEY SHARE OF r`,
		pgx.NamedArgs{"types": types, "ids": ids})
	if err != nil {
		return nil, fmt.Errorf("look up references: %w", err)
	}
	var reference string
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&reference, &version}, func() error {
		found[reference] = version
		return nil
	})
	return found, err
}

func splitReferences(references []string) (types, ids []string) {
	for _, r := range references {
		typ, id, _ := strings.Cut(r, "/")
		types, ids = append(types, typ), append(ids, id)
	}
	return types, ids
}

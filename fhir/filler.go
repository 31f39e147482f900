package fhir

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// The reading service itself, as FHIR resources in each tenant: an
// Organization, and a Practitioner for each reader. Reports refer to them.

// serviceID is the id of our Organization within a tenant.
func serviceID(tenant uuid.UUID) string {
	return uuid.NewSHA1(tenant, []byte("reading-service")).String()
}

// EnsureFiller makes the tenant's Organization of the reading service unless it
// is there. Whoever adds a tenant calls it in a transaction of that tenant; a
// case would do it too, at the latest when it is opened.
func (s *Server) EnsureFiller(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string) error {
	_, err := s.ensure(ctx, tx, tenant, Object(
		"resourceType", "Organization",
		"id", serviceID(tenant),
		"identifier", []*Node{Object("system", sidFillerOrg, "value", serviceID(tenant))},
		"active", true,
		"type", []*Node{concept("http://terminology.hl7.org/CodeSystem/organization-type", "prov", "Healthcare Provider")},
		"name", name,
	))
	return err
}

// EnsurePractitioner makes the Practitioner of a reader unless it is there.
// practitionerID is that of the table reader; identifiers are further ones as
// system and value, such as an NPI. Whoever adds a reader calls it in a
// transaction of the tenant.
func (s *Server) EnsurePractitioner(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, practitionerID, name string, identifiers ...[2]string) error {
	ids := []*Node{Object("system", sidReader, "value", practitionerID)}
	for _, id := range identifiers {
		ids = append(ids, Object("system", id[0], "value", id[1]))
	}
	_, err := s.ensure(ctx, tx, tenant, Object(
		"resourceType", "Practitioner",
		"id", practitionerID,
		"identifier", ids,
		"active", true,
		"name", []*Node{Object("use", "official", "text", name)},
	))
	return err
}

// serviceName is what the reading service is called where nobody has said.
const serviceName = "Overread second-opinion service"

// service is our Organization in the tenant.
func (s *Server) service(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) (*Node, error) {
	r := resolver{store: s.store, tx: tx, tenant: tenant}
	f, err := r.get(ctx, "Organization", serviceID(tenant))
	if err != nil || f.Node != nil {
		return f.Node, err
	}
	if err := s.EnsureFiller(ctx, tx, tenant, serviceName); err != nil {
		return nil, err
	}
	f, err = r.get(ctx, "Organization", serviceID(tenant))
	return f.Node, err
}

// practitioner is the Practitioner of a reader; nil for no reader.
func (s *Server) practitioner(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, readerID *uuid.UUID) (*Node, error) {
	if readerID == nil {
		return nil, nil
	}
	var id, name string
	err := tx.QueryRow(ctx, `
		SELECT practitioner_id, display
		FROM reader
		WHERE tenant_id = @tenant AND reader_id = @reader`,
		pgx.NamedArgs{"tenant": tenant, "reader": *readerID}).Scan(&id, &name)
	if err != nil {
		return nil, fmt.Errorf("reader %s: %w", readerID, err)
	}
	r := resolver{store: s.store, tx: tx, tenant: tenant}
	f, err := r.get(ctx, "Practitioner", id)
	if err != nil || f.Node != nil {
		return f.Node, err
	}
	if err := s.EnsurePractitioner(ctx, tx, tenant, id, name); err != nil {
		return nil, err
	}
	f, err = r.get(ctx, "Practitioner", id)
	return f.Node, err
}

func (s *Server) ensure(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node) (Stored, error) {
	stored, err := s.store.Get(ctx, tx, n.Type(), n.Text("id"))
	if !fault.Is(err, fault.NotFound) {
		return stored, err
	}
	nothingYet := int64(0)
	stored, err = s.store.Put(ctx, tx, access.SystemActor(tenant), n, &nothingYet)
	if fault.Is(err, fault.VersionConflict) { // somebody else made it in this moment
		return s.store.Get(ctx, tx, n.Type(), n.Text("id"))
	}
	return stored, err
}

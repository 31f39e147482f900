package fhir

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// A second read for quality runs on resources as any other case: order, Task,
// report. They are in nobody's chart (table aside): not there for the placer and
// its clinicians, nor for auditors, in no interaction, and in no export. Those who
// read and coordinate work by them; directors and the quality role answer for them.

// seesAside tells whether what is kept aside is there for the actor.
func seesAside(actor access.Actor) bool {
	switch actor.Role {
	case access.Coordinator, access.Director, access.Quality, access.System:
		return true
	}
	return actor.ReadsHere()
}

// notAside leaves out what is kept aside.
const notAside = `NOT EXISTS (SELECT FROM aside x WHERE x.tenant_id = r.tenant_id AND x.type = r.type AND x.id = r.id)`

// isAside tells whether a resource is kept aside.
func isAside(ctx context.Context, tx pgx.Tx, typ, id string) (aside bool, err error) {
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM aside WHERE type = $1 AND id = $2)`, typ, id).Scan(&aside)
	if err != nil {
		err = fmt.Errorf("what is kept aside: %w", err)
	}
	return aside, err
}

// keepAside keeps a resource that is about to be written out of the chart, where the
// case is a second read for quality.
func keepAside(ctx context.Context, tx pgx.Tx, c workflow.Case, n *Node) error {
	if c.SampleOf == nil {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO aside (tenant_id, type, id, case_id)
		VALUES (@tenant, @type, @id, @sampled)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"tenant": c.TenantID, "type": n.Type(), "id": n.Text("id"), "sampled": *c.SampleOf})
	if err != nil {
		return fmt.Errorf("keep a %s aside: %w", n.Type(), err)
	}
	return nil
}

// putOf stores a resource of a case: aside, where the case is no placer's.
func (s *Server) putOf(ctx context.Context, tx pgx.Tx, c workflow.Case, actor access.Actor, n *Node) (Stored, error) {
	if err := keepAside(ctx, tx, c, n); err != nil {
		return Stored{}, err
	}
	return s.store.Put(ctx, tx, actor, n, nil)
}

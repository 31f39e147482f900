package fhir

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// caseEverything is Task/{id}/$everything, an operation of ours: one Bundle with
// all that is needed to understand a case.
func (s *Server) caseEverything(c echo.Context, actor access.Actor, _ *Node) error {
	ctx := c.Request().Context()
	var about []string
	bundle, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]byte, error) {
		if err := mustBeIndexed(ctx, tx); err != nil {
			return nil, err
		}
		found, err := s.gather(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		about = patientsIn(found)
		total := len(found)
		return s.asMatches(found, &total, bundleLink{"self", s.baseURL + "/Task/" + c.Param("id") + "/$everything"}), nil
	})
	if err != nil {
		return err
	}
	note(c, auditEntry{Interaction: "operation", Target: "Task/" + c.Param("id"), Patients: about, Query: "$everything"})
	return write(c, http.StatusOK, bundle)
}

// mostOfACase bounds what one Bundle gives of a case.
const mostOfACase = 1000

// gathering collects the resources of a case as an actor may see them. What is
// withheld is never read, so that nothing is followed from it.
type gathering struct {
	s     *Server
	tx    pgx.Tx
	actor access.Actor
	asked map[string]bool
	found []Stored
}

// gather finds what belongs to the case of a Task: first the case itself, then
// what points at it, then what these refer to.
func (s *Server) gather(ctx context.Context, tx pgx.Tx, actor access.Actor, taskID string) ([]Stored, error) {
	if !idPattern.MatchString(taskID) {
		return nil, notFound()
	}
	c, err := workflow.CaseByTaskTx(ctx, tx, taskID)
	switch {
	case fault.Is(err, fault.NotFound):
		return nil, noCase()
	case err != nil:
		return nil, err
	}
	if actor.Restricted() || !seesAside(actor) || actor.HidesOriginals() {
		if _, err := s.store.Visible(ctx, tx, actor, "Task", taskID); err != nil {
			return nil, noCase()
		}
	}
	d, err := s.dossier(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	g := &gathering{s: s, tx: tx, actor: actor, asked: map[string]bool{}}
	core, err := g.take(ctx, d.own())
	if err != nil {
		return nil, err
	}
	next, err := g.pointers(ctx, core)
	if err != nil {
		return nil, err
	}
	next = append(next, core...)
	for far := 0; far < 4 && len(next) > 0; far++ {
		refs, err := g.referredTo(next)
		if err != nil {
			return nil, err
		}
		if next, err = g.take(ctx, refs); err != nil {
			return nil, err
		}
	}
	return g.found, nil
}

// own are the references of the case itself, in the order in which one reads
// them. The dossier has looked at more than the actor may see; take has not.
func (d *dossier) own() []string {
	own := []string{"Task/" + d.c.TaskID}
	add := func(typ string, ids ...string) {
		for _, id := range ids {
			if id != "" {
				own = append(own, typ+"/"+id)
			}
		}
	}
	if d.c.ServiceRequestID != nil {
		add("ServiceRequest", *d.c.ServiceRequestID)
	}
	if d.c.PatientID != nil {
		add("Patient", *d.c.PatientID)
	}
	add("ImagingStudy", d.study.id())
	add("DiagnosticReport", d.original.id(), reportID(d.c))
	for _, o := range d.originalResults {
		add("Observation", o.id())
	}
	for _, doc := range d.documents {
		add("DocumentReference", doc.id())
	}
	return own
}

// take reads those references that are new, visible and not deleted, all at
// once, and returns what it has read.
func (g *gathering) take(ctx context.Context, refs []string) ([]Stored, error) {
	var types, ids []string
	for _, ref := range refs {
		at := parseReference(ref)
		if row := g.s.resources[at.typ]; g.asked[ref] || row == nil || row.content != nil || !g.actor.May(at.typ, access.Read) {
			continue
		}
		g.asked[ref] = true
		types, ids = append(types, at.typ), append(ids, at.id)
	}
	if types == nil {
		return nil, nil
	}
	taken, err := readVisible(ctx, g.tx, g.actor, types, ids, mostOfACase+1)
	if err != nil {
		return nil, fmt.Errorf("gather a case: %w", err)
	}
	for i := range taken {
		if taken[i], err = redacted(g.actor, taken[i]); err != nil {
			return nil, err
		}
	}
	if g.found = append(g.found, taken...); len(g.found) > mostOfACase {
		return nil, fault.New(fault.TooLarge, "this case has more than %d resources: search for them by type", mostOfACase)
	}
	return taken, nil
}

// pointing are the types that say something about a case by pointing at its
// Task, its order or its reports.
var pointing = []string{"Task", "Communication", "CommunicationRequest", "Provenance", "Media", "DocumentReference", "Observation", "Consent", "Basic"}

// pointers are what points at the Task, the order or one of the reports.
func (g *gathering) pointers(ctx context.Context, core []Stored) ([]Stored, error) {
	types, ids := []string{}, []string{}
	for _, r := range core {
		if slices.Contains([]string{"Task", "ServiceRequest", "DiagnosticReport"}, r.Type) {
			types, ids = append(types, r.Type), append(ids, r.ID)
		}
	}
	rows, err := g.tx.Query(ctx, `
		SELECT DISTINCT v.type || '/' || v.id AS ref
		FROM reference_search v
		JOIN unnest(@types::text[], @ids::text[]) AS at (type, id) ON v.target_type = at.type AND v.target_id = at.id
		WHERE v.type = ANY (@pointing) AND v.param <> '$other'
		ORDER BY ref`, pgx.NamedArgs{"types": types, "ids": ids, "pointing": pointing})
	if err != nil {
		return nil, fmt.Errorf("what points at a case: %w", err)
	}
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("what points at a case: %w", err)
	}
	return g.take(ctx, refs)
}

// referredTo are the resources here to which these lead. From one patient no
// other is found, nor a case from another.
func (g *gathering) referredTo(from []Stored) ([]string, error) {
	var refs []string
	for _, r := range from {
		n, err := Parse(r.Body, Limits{})
		if err != nil {
			return nil, fmt.Errorf("stored %s is not readable: %w", r.Reference(), err)
		}
		for _, k := range linksOf(n, r.Type) {
			to := k.target
			here := to.local() || to.absolute() && to.base == g.s.baseURL // an address stays absolute
			if !here || to.typ == "Task" && r.Type != "Task" || to.typ == "Patient" && r.Type == "Patient" {
				continue
			}
			refs = append(refs, to.relative())
		}
	}
	return refs, nil
}

package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// sidSample is the system of the order numbers of second reads for quality. It
// stands in no resource: their orders look as those that they repeat.
const sidSample = Canonical + "/sid/quality-sample"

// Sample makes the order of a second read for quality (workflow.Hooks): the order
// of the signed case again, of the same study, whose original report is now the one
// that was signed. Nothing in it says what it is for.
func (s *Server) Sample(ctx context.Context, tx pgx.Tx, c *workflow.Case) (workflow.Order, string, error) {
	if c.ServiceRequestID == nil || c.ReportID == nil {
		return workflow.Order{}, "no-order-here", nil // it stayed at the EHR, or within a Task of the placer's
	}
	stored, err := s.store.Get(ctx, tx, "ServiceRequest", *c.ServiceRequestID)
	if fault.Is(err, fault.NotFound) {
		return workflow.Order{}, "no-order-here", nil
	}
	if err != nil {
		return workflow.Order{}, "", err
	}
	before, err := stored.found()
	if err != nil {
		return workflow.Order{}, "", err
	}
	told, err := tellsOf(ctx, tx, *c)
	if err != nil {
		return workflow.Order{}, "", err
	}
	id := uuid.Must(uuid.NewV7()).String()
	order := sampleOrder(before.Node, *c, id, told)
	aside := *c
	aside.SampleOf = &c.CaseID
	if _, err := s.putOf(ctx, tx, aside, access.SystemActor(c.TenantID), order); err != nil {
		return workflow.Order{}, "", err
	}
	return workflow.Order{
		PlacerSystem: sidSample, PlacerValue: c.PlacerValue, ServiceRequestID: &id, ServiceRequestRef: "ServiceRequest/" + id,
		TaskID: uuid.Must(uuid.NewV7()).String(), PatientID: c.PatientID, Priority: "routine",
	}, "", nil
}

// tellsOf are the resources that tell of the case's original report.
func tellsOf(ctx context.Context, tx pgx.Tx, c workflow.Case) (map[string]bool, error) {
	rows, err := tx.Query(ctx, `SELECT type || '/' || id FROM case_original WHERE case_id = $1`, c.CaseID)
	if err != nil {
		return nil, fmt.Errorf("what tells of the original: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	told := map[string]bool{}
	for _, name := range names {
		told[name] = true
	}
	return told, err
}

// sampleOrder is the order again. What it had of the first reading is replaced by
// the report that is sampled.
func sampleOrder(before *Node, c workflow.Case, id string, told map[string]bool) *Node {
	order := before.Clone()
	order.Set("id", id)
	order.Remove("meta")
	order.Remove("text")
	order.Set("status", "active")
	order.Set("priority", "routine")
	dropped := containsReport(order)
	if dropped {
		order.Remove("contained")
	}
	tells := func(ref *Node) bool {
		to := ref.Text("reference")
		return told[to] || strings.Contains(to, "DiagnosticReport/") || typeOf(ref) == "DiagnosticReport" || dropped && strings.HasPrefix(to, "#")
	}
	for _, element := range []string{"supportingInfo", "reasonReference"} {
		kept := slices.DeleteFunc(slices.Clone(order.Each(element)), tells)
		order.Remove(element)
		if len(kept) > 0 {
			order.Set(element, kept)
		}
	}
	if c.StudyID != nil && !slices.ContainsFunc(order.Each("supportingInfo"), func(ref *Node) bool { return ref.Text("reference") == "ImagingStudy/"+*c.StudyID }) {
		order.Append("supportingInfo", refer("ImagingStudy/"+*c.StudyID, "", ""))
	}
	order.Append("supportingInfo", refer("DiagnosticReport/"+*c.ReportID, "", ""))
	return order
}

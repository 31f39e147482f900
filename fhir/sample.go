package fhir

import (
	"context"
	"crypto/rand"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// sidSample is the system of the order numbers of second reads for quality. It
// stands in no resource: their orders look like others of the placer's.
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
	number, err := renumber(ctx, tx, order, *c)
	if err != nil {
		return workflow.Order{}, "", err
	}
	order.Set("authoredOn", instant(s.now()))
	aside := *c
	aside.SampleOf = &c.CaseID
	if _, err := s.putOf(ctx, tx, aside, access.SystemActor(c.TenantID), order); err != nil {
		return workflow.Order{}, "", err
	}
	return workflow.Order{
		PlacerSystem: sidSample, PlacerValue: number, ServiceRequestID: &id, ServiceRequestRef: "ServiceRequest/" + id,
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

// renumber gives an order that is made again numbers of its own, which look like the
// placer's and are in use for nothing here, and returns that of the case. The
// accession number stays: it is the study's.
func renumber(ctx context.Context, tx pgx.Tx, order *Node, c workflow.Case) (number string, err error) {
	var kept []*Node
	for _, id := range order.Each("identifier") {
		switch {
		case hasCode(id.Get("type"), v2Identifier, "FILL") || id.Text("system") == sidFiller:
			continue
		case !hasCode(id.Get("type"), v2Identifier, "ACSN"):
			was := id.Text("value")
			id = id.Clone()
			fresh, err := freshNumber(ctx, tx, c.TenantID, id.Text("system"), was)
			if err != nil {
				return "", err
			}
			id.Set("value", fresh)
			if was == c.PlacerValue {
				number = fresh
			}
		}
		kept = append(kept, id)
	}
	order.Remove("requisition") // it has the order that is repeated
	order.Set("identifier", kept)
	if number == "" {
		number, err = freshNumber(ctx, tx, c.TenantID, c.PlacerSystem, c.PlacerValue)
	}
	return number, err
}

// freshNumber is a number like this one, with other digits, that no order here has.
func freshNumber(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, system, like string) (string, error) {
	digit := func() byte {
		n, _ := rand.Int(rand.Reader, big.NewInt(10)) // it never fails (Go 1.24)
		return byte('0' + n.Int64())                  //nolint:gosec // one digit
	}
	for {
		fresh, digits := []byte(like), 0
		for i, b := range fresh {
			if b >= '0' && b <= '9' {
				fresh[i] = digit()
				digits++
			}
		}
		for ; digits < 4; digits++ { // too few to be another number each time
			fresh = append(fresh, digit())
		}
		var used bool
		err := tx.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM case_file WHERE placer_value = @value)
			    OR EXISTS (SELECT FROM resource_search WHERE type = 'ServiceRequest' AND keys && ARRAY[@key::uuid])`,
			pgx.NamedArgs{"value": string(fresh), "key": keySpace{tenant, "ServiceRequest", "identifier"}.key(formSystemCode, system, string(fresh))}).Scan(&used)
		if err != nil {
			return "", fmt.Errorf("a number for an order: %w", err)
		}
		if !used {
			return string(fresh), nil
		}
	}
}

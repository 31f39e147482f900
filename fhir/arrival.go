package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What a case waits for may come by any route and at any time: whenever a
// study, report, patient, condition or consent arrives or changes, the cases
// that it may concern look at their order again; those that are signed only where it
// may tell who read first.

// factCreated is the hook of the table of resources.
func (s *Server) factCreated(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (*Stored, error) {
	if err := s.arrived(ctx, tx, actor, n); err != nil {
		return nil, err
	}
	return nil, s.studyChanged(ctx, tx, actor, nil, n)
}

// factUpdated is the hook of the table of resources.
func (s *Server) factUpdated(ctx context.Context, tx pgx.Tx, actor access.Actor, before, after *Node) error {
	if err := s.arrived(ctx, tx, actor, before, after); err != nil { // whose it was is concerned as well
		return err
	}
	return s.studyChanged(ctx, tx, actor, before, after)
}

// arrived looks once at every case that one of these versions may concern.
func (s *Server) arrived(ctx context.Context, tx pgx.Tx, actor access.Actor, versions ...*Node) error {
	patients, err := s.patientsOf(ctx, tx, actor, versions...)
	if err != nil || len(patients) == 0 {
		return err
	}
	waiting, err := workflow.CasesWaitingTx(ctx, tx, patients...)
	if err != nil {
		return err
	}
	if err := s.engine.RecheckTx(ctx, tx, actor.Tenant, waiting...); err != nil || !slices.ContainsFunc(versions, tellsWhoReadFirst) {
		return err
	}
	signed, err := s.signedConcerned(ctx, tx, actor, versions[len(versions)-1], patients)
	if err != nil {
		return err
	}
	return s.engine.RecheckTx(ctx, tx, actor.Tenant, signed...)
}

// signedConcerned are the signed cases of these patients that a resource may concern. Most
// Observations are a laboratory's: one counts where a report names it that is of the study, or was compared with.
func (s *Server) signedConcerned(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node, patients []string) ([]uuid.UUID, error) {
	if n.Type() != "Observation" {
		return workflow.CasesSignedTx(ctx, tx, patients...)
	}
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return nil, err
	}
	naming, err := r.naming(ctx, "DiagnosticReport", "result", n)
	if err != nil || len(naming) == 0 {
		return nil, err
	}
	var studies, reports []string
	for _, report := range naming {
		reports = append(reports, report.id())
		for _, ref := range report.Each("imagingStudy") {
			study, err := r.follow(ctx, ref, report.Node)
			if err != nil {
				return nil, err
			}
			studies = append(studies, study.id())
		}
	}
	return workflow.CasesSignedOfTx(ctx, tx, studies, reports, patients...)
}

// tellsWhoReadFirst: it is of a kind in which findFirstReaders looks.
func tellsWhoReadFirst(n *Node) bool {
	return slices.Contains([]string{"DiagnosticReport", "Observation", "ImagingStudy", "DocumentReference"}, n.Type())
}

// patientsOf are the patients of these versions, with those into whose records
// theirs were merged: cases are of the latter.
func (s *Server) patientsOf(ctx context.Context, tx pgx.Tx, actor access.Actor, versions ...*Node) ([]string, error) {
	var keys []string
	for _, n := range versions {
		of, err := s.patientsNamed(ctx, tx, actor, n)
		if err != nil {
			return nil, err
		}
		keys = append(keys, of...)
	}
	into, err := mergedTx(ctx, tx, keys)
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		if into[key] != "" {
			keys = append(keys, into[key])
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys), nil
}

// patientsNamed are patientKeysOf; of a report whose patient is not here, also those
// of its studies; and of a report or study of which nothing says whose it is, the
// "" that stands for everybody.
func (s *Server) patientsNamed(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) ([]string, error) {
	keys := patientKeysOf(n)
	if n.Type() == "DiagnosticReport" && localID(n.Text("subject", "reference"), "Patient") == nil {
		r, err := s.resolver(ctx, tx, actor.Tenant)
		if err != nil {
			return nil, err
		}
		for _, ref := range n.Each("imagingStudy") {
			study, err := r.follow(ctx, ref, n)
			if err != nil {
				return nil, err
			}
			keys = append(keys, patientKeysOf(study.Node)...)
		}
	}
	if keys == nil && (n.Type() == "DiagnosticReport" || n.Type() == "ImagingStudy") {
		return []string{""}, nil
	}
	return keys, nil
}

// patientKeysOf are the ways in which a case may know the patient of a
// resource (workflow.Facts.OrderPatient): the id here, system|value, or the
// address.
func patientKeysOf(n *Node) []string {
	if n.Type() == "Patient" {
		return append([]string{n.Text("id")}, identifierKeys(n)...)
	}
	var keys []string
	for _, element := range []string{"subject", "patient"} {
		ref := n.Get(element)
		literal := ref.Text("reference")
		inside, isInside := strings.CutPrefix(literal, "#")
		switch id := localID(literal, "Patient"); {
		case id != nil:
			keys = append(keys, *id)
		case isInside:
			keys = append(keys, identifierKeys(contained(n, inside))...)
		case isAbsolute(literal):
			keys = append(keys, literal)
		}
		keys = append(keys, identifierKeys(ref)...)
	}
	return keys
}

func identifierKeys(n *Node) (keys []string) {
	for _, id := range n.Each("identifier") {
		if key := identifierKey(id); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

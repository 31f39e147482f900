package fhir

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// reportSources gathers what a report of the case is rendered from.
func (s *Server) reportSources(ctx context.Context, tx pgx.Tx, c workflow.Case) (reportSources, error) {
	d, err := s.dossier(ctx, tx, c)
	if err != nil {
		return reportSources{}, err
	}
	src := d.sources()
	if src.Service, err = s.service(ctx, tx, c.TenantID); err != nil {
		return src, err
	}
	if src.Unveiled, err = workflow.UnveiledTx(ctx, tx, c); err != nil {
		return src, err
	}
	src.names = map[uuid.UUID]string{}
	for _, p := range []struct {
		id *uuid.UUID
		to **Node
	}{{c.ReaderID, &src.Reader}, {c.OtherReaderID, &src.Other}, {c.AdjudicatorID, &src.Adjudicator}, {c.SupervisorID, &src.Supervisor}} {
		if *p.to, err = s.practitioner(ctx, tx, c.TenantID, p.id); err != nil {
			return src, err
		}
		if p.id != nil {
			src.names[*p.id] = displayOf(*p.to)
		}
	}
	return src, nil
}

// loadSigners loads who has signed a version and has no role in the case any more, since
// somebody else has stood in after them, or whose report it is has signed again.
func (s *Server) loadSigners(ctx context.Context, tx pgx.Tx, src *reportSources) error {
	for _, r := range src.History {
		if _, known := src.names[r.SignedBy]; known {
			continue
		}
		if err := s.loadPeople(ctx, tx, src, &r.SignedBy); err != nil {
			return err
		}
		src.names[r.SignedBy] = displayOf(src.others[r.SignedBy])
	}
	return nil
}

// sources are the references of a report, and the resources behind them.
func (d *dossier) sources() reportSources {
	c := d.c
	src := reportSources{
		Case:          c,
		Order:         orderReference(c),
		Subject:       d.subjectReference(),
		Encounter:     portable(d.order.Get("encounter"), d.order),
		Requester:     portable(d.order.Get("requester"), d.order),
		OrderResource: d.order,
		Task:          d.task,
		Patient:       d.patient,
		StudyResource: d.study.Node,
	}
	if d.studyNamed {
		src.Study = kept(d.study, d.studyRef)
	}
	if d.originalNamed && !d.originalUnclear {
		src.Original = kept(d.original, d.originalRef)
		src.OriginalReport = d.original.Node
		src.OriginalVersion = d.original.version
		if c.OriginalReportVersion != nil {
			src.OriginalVersion = *c.OriginalReportVersion
		}
	}
	return src
}

// subjectReference is the patient, in the order's words where we keep none.
func (d *dossier) subjectReference() *Node {
	if d.survivor != "" {
		return refer("Patient/"+d.survivor, "Patient", "")
	}
	return portable(d.subject(), d.order)
}

// orderReference refers to the order: our copy, the EHR's own address, or its
// number where it was within the Task or only named.
func orderReference(c workflow.Case) *Node {
	if c.ServiceRequestRef != "" {
		return refer(c.ServiceRequestRef, "ServiceRequest", "")
	}
	return Object("type", "ServiceRequest", "identifier", Object("system", c.PlacerSystem, "value", c.PlacerValue))
}

// kept refers to a resource: to our copy where there is one, else as the
// order named it.
func kept(f found, named *Node) *Node {
	if f.id() != "" {
		return refer(f.Type()+"/"+f.id(), f.Type(), "")
	}
	if f.Node != nil { // contained
		return logical(f.Node)
	}
	return named.Clone()
}

// portable is a Reference that may stand in another resource: one to a
// contained resource becomes logical, by the identifier of what is contained.
func portable(ref, parent *Node) *Node {
	if ref == nil {
		return nil
	}
	if literal := ref.Text("reference"); len(literal) > 0 && literal[0] == '#' {
		if inside := contained(parent, literal[1:]); inside != nil {
			return logical(inside)
		}
		return nil
	}
	return ref.Clone()
}

// logical refers to a resource by its first identifier, and for want of one by
// its name only.
func logical(n *Node) *Node {
	ref := Object("type", n.Type())
	for _, id := range n.Each("identifier") {
		if id.Text("value") != "" {
			ref.Set("identifier", id.Clone())
			break
		}
	}
	ref.Set("display", displayOf(n))
	if ref.Get("identifier") == nil && ref.Get("display") == nil {
		ref.Set("display", n.Type()+" as told in the order")
	}
	return ref
}

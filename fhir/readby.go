package fhir

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// An acknowledgement ends the wait for somebody who reads the report, or knows of the
// finding. A system that says so for nobody would end it with nobody having read:
// it says who. A person who is signed in is who has read.

// namesReader completes who has read, and refuses a system that names nobody.
func (s *Server) namesReader(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case, op operation, r *request) error {
	if !op.reads {
		return nil
	}
	allowed := workflow.MayFire(actor, c.State, workflow.Event(op.Name)) == nil // else the table says why not, when it is fired
	if !allowed {
		return nil
	}
	who := &r.Acknowledged
	if r.readBy != nil {
		name, person, err := s.clinicianMeant(ctx, tx, actor, r.readBy, r.readBy)
		if err != nil {
			return err
		}
		if !person {
			return fault.At(fault.Value, "Parameters.parameter.where(name = 'practitioner')", "refer to the Practitioner or PractitionerRole who has read it, or give the name as clinician")
		}
		who.Person = cmp.Or(strings.TrimSpace(who.Person), name)
	}
	switch {
	case strings.TrimSpace(who.Person) != "":
	case actor.IsPerson():
		who.Person = actor.Display
	default:
		return fault.At(fault.Required, "Parameters.parameter.where(name = 'clinician')", "say who has read it: clinician (by name), or practitioner (a Reference); a system acknowledges nothing for nobody")
	}
	return nil
}

// clinicianMeant is somebody to whom a reference in a resource refers, by name where one is
// known, else as the reference says it. It is nobody where it refers to something else.
func (s *Server) clinicianMeant(ctx context.Context, tx pgx.Tx, actor access.Actor, ref, in *Node) (name string, person bool, err error) {
	r, err := s.resolver(ctx, tx, actor.Tenant)
	if err != nil {
		return "", false, err
	}
	f, err := r.follow(ctx, ref, in)
	if err != nil {
		return "", false, err
	}
	if f.Node != nil {
		name = displayOf(f.Node)
	}
	if typ := cmp.Or(f.Type(), ref.Text("type"), parseReference(ref.Text("reference")).typ); typ != "" && !slices.Contains(clinicians, typ) {
		return "", false, nil
	}
	name = cmp.Or(strings.TrimSpace(ref.Text("display")), name, ref.Text("identifier", "value"), ref.Text("reference"))
	return name, name != "", nil
}

// clinicians are the types of resources that can have read: a patient who has does not end the
// wait for somebody who acts on it (FHIR R4 communication.html lets any of these send).
var clinicians = []string{"Practitioner", "PractitionerRole"}

package fhir

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// What pages for people (package web) show or do of patients goes through here,
// so that it is recorded as what comes over the API is.

// Asked is the request of a page, for the audit.
type Asked struct {
	RequestID string
	Client    string // its IP address
}

// within has what is recorded further in say from which request it is.
func (a Asked) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, servedKey{}, served{requestID: a.RequestID, client: a.Client})
}

// Worklist is what a person has to do at the tenant of one of their places.
func (s *Server) Worklist(ctx context.Context, actor access.Actor, most int, asked Asked) ([]workflow.WorkItem, error) {
	return inTenant(ctx, s, actor, func(tx pgx.Tx) ([]workflow.WorkItem, error) {
		items, err := workflow.WorklistTx(ctx, tx, actor, most)
		if err != nil {
			return nil, err
		}
		seen, err := inside(ctx, tx, actor, column(items, func(w workflow.WorkItem) string { return "Task/" + w.TaskID }), access.Search)
		items = slices.DeleteFunc(items, func(w workflow.WorkItem) bool { return !seen["Task/"+w.TaskID] })
		if err != nil || len(items) == 0 {
			return nil, err
		}
		var patients []string
		for _, item := range items {
			if item.PatientID != nil {
				patients = append(patients, "Patient/"+*item.PatientID)
			}
		}
		slices.Sort(patients)
		e := auditEntry{Interaction: "search-type", Query: "worklist of the role " + string(actor.Role), Patients: slices.Compact(patients),
			RequestID: asked.RequestID, Client: asked.Client}
		e.Patients = e.Patients[:min(len(e.Patients), mostPatients)]
		return items, s.audit(ctx, tx, actor, e)
	})
}

// Notices are what a reader is told at the tenant of one of their places, because
// somebody else changed a case under their hands: the newest first, at most so many,
// after those that are skipped.
func (s *Server) Notices(ctx context.Context, actor access.Actor, skip, most int, asked Asked) ([]workflow.Notice, error) {
	return inTenant(ctx, s, actor, func(tx pgx.Tx) ([]workflow.Notice, error) {
		notices, err := workflow.NoticesTx(ctx, tx, actor, skip, most)
		if err != nil || len(notices) == 0 {
			return nil, err
		}
		seen, err := inside(ctx, tx, actor, column(notices, func(n workflow.Notice) string { return "Task/" + n.TaskID }), access.Search)
		notices = slices.DeleteFunc(notices, func(n workflow.Notice) bool { return !seen["Task/"+n.TaskID] })
		if err != nil || len(notices) == 0 {
			return nil, err
		}
		return notices, s.audit(ctx, tx, actor, auditEntry{Interaction: "search-type", Query: "notices of the role " + string(actor.Role), RequestID: asked.RequestID, Client: asked.Client})
	})
}

// recordsOpened is how the audit trail tells of a look at the list of emergencies.
const recordsOpened = "records opened in an emergency"

// Emergencies are the records that were opened in an emergency at the tenant of a
// coordinator's or director's place.
func (s *Server) Emergencies(ctx context.Context, actor access.Actor, w workflow.EmergencyWindow, asked Asked) (workflow.EmergencyList, error) {
	if actor.Role != access.Coordinator && actor.Role != access.Director || actor.Limited() || actor.Patient != "" {
		return workflow.EmergencyList{}, fault.New(fault.Forbidden, "the role %s does not see which records were opened in an emergency", actor.Role)
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (workflow.EmergencyList, error) {
		list, err := workflow.EmergenciesTx(ctx, tx, w)
		if err != nil || len(list.Emergencies) == 0 {
			return list, err
		}
		patients := column(list.Emergencies, func(e workflow.Emergency) string { return "Patient/" + e.PatientID })
		slices.Sort(patients)
		e := auditEntry{Interaction: "search-type", Query: recordsOpened, Patients: slices.Compact(patients),
			RequestID: asked.RequestID, Client: asked.Client}
		e.Patients = e.Patients[:min(len(e.Patients), mostPatients)]
		return list, s.audit(ctx, tx, actor, e)
	})
}

// BreakGlass opens a patient's record for a person in an emergency
// (workflow/breakglass.go): the row, what it unveils and the events are written
// together. The patient is meant by id, identifier or order number; it refuses
// (NotFound) one who is not known at the tenant.
func (s *Server) BreakGlass(ctx context.Context, actor access.Actor, person uuid.UUID, patient, reason string, asked Asked) (workflow.Emergency, error) {
	if _, err := workflow.CheckEmergency(actor, reason); err != nil {
		return workflow.Emergency{}, err
	}
	patient, err := s.patientMeant(ctx, actor, patient)
	if err != nil {
		return workflow.Emergency{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (workflow.Emergency, error) {
		there, err := s.store.Get(ctx, tx, "Patient", patient)
		if fault.Is(err, fault.NotFound) || err == nil && there.Deleted {
			return workflow.Emergency{}, noSuchPatient()
		}
		if err != nil {
			return workflow.Emergency{}, err
		}
		e, err := workflow.EmergencyTx(ctx, tx, actor, person, patient, reason)
		if err != nil {
			return workflow.Emergency{}, err
		}
		return e, s.tellEmergency(ctx, tx, actor, e, asked)
	})
}

func noSuchPatient() error {
	return fault.New(fault.NotFound, "this hospital knows no patient by this; it is the id of the Patient resource here, an identifier of the patient, or the number of an order")
}

// tellEmergency records it, and each case that its reader thereby sees through
// before they have locked their opinion.
func (s *Server) tellEmergency(ctx context.Context, tx pgx.Tx, actor access.Actor, e workflow.Emergency, asked Asked) error {
	event := access.Event{Kind: access.BreakGlass, Tenant: actor.Tenant, Actor: actor, Patient: "Patient/" + e.PatientID,
		Reason: e.Reason, Client: asked.Client, RequestID: asked.RequestID}
	if !e.Running {
		if err := s.RecordEvent(ctx, tx, event); err != nil {
			return err
		}
	}
	for _, c := range e.Unveiled {
		if !c.Own || !c.BeforeLock {
			continue
		}
		event.Kind, event.Case = access.Unblinding, "Task/"+c.TaskID
		if err := s.RecordEvent(ctx, tx, event); err != nil {
			return err
		}
	}
	return nil
}

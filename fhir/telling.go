package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// publishTold keeps a Communication of each escalation that the policy wants
// to be notified of. It names no patient: how long the work takes is no part of
// anybody's record, and so it does not come with Patient/$everything.
func (s *Server) publishTold(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	for _, told := range ch.Told {
		if !slices.Contains(told.Ways, workflow.ByNotification) {
			continue
		}
		service, err := s.service(ctx, tx, ch.Case.TenantID)
		if err != nil {
			return err
		}
		recipient := service
		if told.PersonID != nil && !ch.Case.Unsettled() { // two who read it are not to know of each other
			if recipient, err = s.practitioner(ctx, tx, ch.Case.TenantID, told.PersonID); err != nil {
				return err
			}
		}
		n := notification(ch.Case, told, resourceReference(service), resourceReference(recipient))
		if _, err := s.putOf(ctx, tx, ch.Case, ch.Actor, n); err != nil {
			return err
		}
		if told.Clock.OfMatter() { // that there is a finding is not for who reads next
			if err := s.withholdOwn(ctx, tx, ch.Case, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// notification is the Communication of an escalation.
func notification(c workflow.Case, told workflow.Told, sender, recipient *Node) *Node {
	return Object(
		"resourceType", "Communication",
		"id", told.ID.String(),
		"identifier", []*Node{Object("system", sidEscalation, "value", told.ID.String())},
		"basedOn", []*Node{orderReference(c)},
		"status", "completed",
		"category", []*Node{concept(communicationCategory, "notification", "Notification")},
		"priority", c.Priority,
		"about", []*Node{refer("Task/"+c.TaskID, "Task", "")},
		"sent", instant(told.At),
		"recipient", []*Node{recipient},
		"sender", sender,
		"payload", []*Node{Object("contentString", workflow.Spoken(c.Number(), told.Clock, told.Stage, told.Reminder)+" Told: the "+string(told.Tell)+".")},
	)
}

// isNotification tells whether the Communication is one of ours.
func isNotification(ctx context.Context, tx pgx.Tx, _ uuid.UUID, n *Node) (own bool, err error) {
	caseID, slot, _ := strings.Cut(identifierOf(n, sidCommunication), "/")
	if isDerived(n, caseID, slot) {
		return true, nil
	}
	id, err := uuid.Parse(n.Text("id"))
	if err != nil {
		return false, nil //nolint:nilerr // the id is one that we never give
	}
	err = tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM escalation WHERE escalation_id = $1)`, id).Scan(&own)
	return own, err
}

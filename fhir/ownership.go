package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// mayReplace refuses to let a client overwrite what the reading service has
// made, or make it in its place: a signed report is changed by an amendment and
// in no other way. A copy that the EHR keeps here under an id of its own is the
// EHR's.
func mayReplace(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change) error {
	ours, known := ownMarks[c.row.name]
	if !known || ours.desk && slices.Contains(keepsReaders, actor.Role) {
		return nil
	}
	n := c.sent
	if c.current != nil {
		var err error
		if n, err = Parse(c.current.Body, Limits{}); err != nil {
			return err
		}
	}
	own, err := ours.made(ctx, tx, actor.Tenant, n)
	if err != nil || !own {
		return err
	}
	return c.blame(fault.New(fault.Forbidden, "this %s is the reading service's own: a report is changed by $amend on its Task, and nothing else of the service from outside", c.row.name))
}

// ownMark says how a resource that we made is told from one that a client sent:
// by its id, which we gave it.
type ownMark struct {
	made func(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node) (bool, error)
	desk bool // coordinators and admins may change it
}

var ownMarks = map[string]ownMark{
	"DiagnosticReport": {made: isCaseReport},
	"Observation": {made: func(_ context.Context, _ pgx.Tx, _ uuid.UUID, n *Node) (bool, error) {
		caseID, slot, _ := strings.Cut(identifierOf(n, sidObservation), "/")
		return isDerived(n, caseID, slot), nil
	}},
	"Provenance": {made: func(_ context.Context, _ pgx.Tx, _ uuid.UUID, n *Node) (bool, error) {
		return isRelease(n), nil
	}},
	"Communication":        {made: isNotification},
	"CommunicationRequest": {made: isAsked},
	"Practitioner":         {desk: true, made: isReader},
	"PractitionerRole": {desk: true, made: func(_ context.Context, _ pgx.Tx, _ uuid.UUID, n *Node) (bool, error) {
		return isReaderRole(n), nil
	}},
	"Organization": {desk: true, made: func(_ context.Context, _ pgx.Tx, tenant uuid.UUID, n *Node) (bool, error) {
		return n.Text("id") == serviceID(tenant), nil
	}},
}

// isReader tells whether the Practitioner is one of our readers.
func isReader(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node) (own bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM reader
			WHERE tenant_id = @tenant AND practitioner_id = @id)`,
		pgx.NamedArgs{"tenant": tenant, "id": n.Text("id")}).Scan(&own)
	return own, err
}

// isRelease tells whether this is the Provenance of the signed version that its
// tag names.
func isRelease(n *Node) bool {
	for _, tag := range n.Each("meta", "tag") {
		if tag.Text("system") != sidRelease {
			continue
		}
		caseID, no, _ := strings.Cut(tag.Text("code"), ".")
		for _, status := range append([]string{"entered-in-error"}, signedStatuses...) {
			if isDerived(n, caseID, provenanceSlot(no, status)) {
				return true
			}
		}
	}
	return false
}

// isCaseReport tells whether this is the report of the case that it names.
func isCaseReport(ctx context.Context, tx pgx.Tx, _ uuid.UUID, n *Node) (own bool, err error) {
	caseID, err := uuid.Parse(identifierOf(n, sidReport))
	if err != nil {
		return false, nil //nolint:nilerr // it names no case of ours
	}
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM case_file
			WHERE case_id = @case AND (report_id = @id OR case_id::text = @id))`,
		pgx.NamedArgs{"case": caseID, "id": n.Text("id")}).Scan(&own)
	return own, err
}

// isDerived tells whether the id is the one that derivedID makes.
func isDerived(n *Node, caseID, slot string) bool {
	id, err := uuid.Parse(caseID)
	return err == nil && uuid.NewSHA1(id, []byte(slot)).String() == n.Text("id")
}

// identifierOf is the value of the identifier of a system, "" for none.
func identifierOf(n *Node, system string) string {
	for _, id := range n.Each("identifier") {
		if id.Text("system") == system {
			return id.Text("value")
		}
	}
	return ""
}

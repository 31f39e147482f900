package fhir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// auditFacts is an event as it waits in audit_inbox: what its AuditEvent is made of
// when it is settled, or, of what happens seldom, the AuditEvent itself. The names
// in JSON stay: what one release has written, the next one settles.
type auditFacts struct {
	ID    uuid.UUID       `json:"id"`
	At    time.Time       `json:"at"`              // UTC, to the millisecond
	Event json.RawMessage `json:"event,omitempty"` // then nothing follows

	Base        string      `json:"base,omitempty"` // of the FHIR surface that was asked
	Role        access.Role `json:"role,omitempty"` // "": somebody who was not let in
	Actor       uuid.UUID   `json:"actor,omitzero"`
	Display     string      `json:"display,omitempty"`
	Token       string      `json:"token,omitempty"`
	Emergency   bool        `json:"emergency,omitempty"`
	Interaction string      `json:"interaction,omitempty"`
	Target      string      `json:"target,omitempty"`
	Patient     string      `json:"patient,omitempty"`
	Patients    []string    `json:"patients,omitempty"`
	Query       []byte      `json:"query,omitempty"`
	RequestID   string      `json:"request,omitempty"`
	Client      string      `json:"client,omitempty"`
	Refused     string      `json:"refused,omitempty"`
	Erased      []string    `json:"erased,omitempty"`
	Reason      string      `json:"reason,omitempty"`
}

// factsOf are the facts of an access.
func factsOf(base string, actor access.Actor, e auditEntry) auditFacts {
	return auditFacts{
		Base: base, Role: actor.Role, Actor: actor.ID, Display: actor.Display, Token: actor.Token, Emergency: e.Emergency || inEmergency(actor, e),
		Interaction: e.Interaction, Target: e.Target, Patient: e.Patient, Patients: e.Patients, Query: []byte(e.Query),
		RequestID: e.RequestID, Client: e.Client, Refused: e.Refused, Erased: e.Erased, Reason: e.Reason,
	}
}

// event makes the AuditEvent: as a Node, and its text as it is kept.
func (f auditFacts) event() (n *Node, body []byte, err error) {
	if f.Event != nil {
		n, err = Parse(f.Event, Limits{})
		return n, f.Event, err
	}
	actor := access.Actor{ID: f.Actor, Role: f.Role, Display: f.Display, Token: f.Token}
	n = auditEvent(f.ID.String(), instant(f.At), f.Base, actor, auditEntry{
		Interaction: f.Interaction, Target: f.Target, Patient: f.Patient, Patients: f.Patients, Query: string(f.Query),
		RequestID: f.RequestID, Client: f.Client, Refused: f.Refused, Erased: f.Erased, Reason: f.Reason, Emergency: f.Emergency,
	})
	return n, n.Bytes(), nil
}

// recordedEvent is an event of a tenant that is still to be written.
type recordedEvent struct {
	tenant uuid.UUID
	auditFacts
}

// records are events as a row of audit_inbox has them: a line each.
func records(events []recordedEvent) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(512 * len(events))
	lines := json.NewEncoder(&b)
	lines.SetEscapeHTML(false) // an AuditEvent that is there stays as it is, byte by byte
	for i := range events {
		if err := lines.Encode(&events[i].auditFacts); err != nil {
			return nil, fmt.Errorf("facts of an event: %w", err)
		}
	}
	return b.Bytes(), nil
}

// readRecords reads what records has written.
func readRecords(text []byte) ([]auditFacts, error) {
	var all []auditFacts
	lines := json.NewDecoder(bytes.NewReader(text))
	for {
		var f auditFacts
		switch err := lines.Decode(&f); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, errors.New("facts of an event that cannot be read") // the decoder may quote them
		case f.ID == uuid.Nil || f.At.IsZero() || f.Event == nil && f.Interaction == "":
			return nil, errors.New("facts of an event that are not whole")
		}
		all = append(all, f)
	}
}

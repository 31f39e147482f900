package smart

import (
	"context"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
)

var idForm = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`)

// resource is what we look at of a resource of the EHR: what it is called.
type resource struct {
	Type       string       `json:"resourceType"`
	ID         string       `json:"id"`
	Identifier []identifier `json:"identifier"`
}

type identifier struct {
	Use    string `json:"use"`
	System string `json:"system"`
	Value  string `json:"value"`
}

// mostIdentifiers of a resource are looked up; one with more is no patient's.
const mostIdentifiers = 50

// identifiers are those that name something for good, as system|value. Without a
// system a number may be anybody's.
func (r resource) identifiers() []string {
	var all []string
	for _, i := range r.Identifier {
		if i.System != "" && i.Value != "" && !strings.Contains(i.System, "|") && i.Use != "temp" && i.Use != "old" && i.Use != "secondary" {
			all = append(all, i.System+"|"+i.Value)
		}
	}
	return slices.Compact(all[:min(len(all), mostIdentifiers)])
}

// read reads a resource of the EHR, which must be the one that was asked for.
func (c *Client) read(ctx context.Context, l *under, t *token, typ, id string) (resource, error) {
	var r resource
	err := c.get(ctx, l.Issuer.Issuer+"/"+typ+"/"+id, t.Access, &r)
	if err == nil && (r.Type != typ || r.ID != id) {
		err = errNoJSON
	}
	return r, err
}

// patient is our Patient of whom the EHR has in context: "Patient/1". It is found
// by what is certain and by nothing else.
func (c *Client) patient(ctx context.Context, l *under, t *token) (string, error) {
	theirs, err := c.read(ctx, l, t, "Patient", t.Patient)
	if err != nil {
		return "", refuseFor(tellThem, "the EHR's Patient cannot be read", err)
	}
	found, err := c.Patient(ctx, l.actor(), l.Issuer.Issuer, theirs.ID, theirs.identifiers())
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", refuse(unknown, "the patient is not known here")
	case len(found) > 1:
		return "", refuse(ambiguous, "more than one patient could be meant")
	}
	return found[0], nil
}

// order is the order in context.
type order struct {
	task    string // of its case here, "" for none
	unknown bool   // the EHR named an order, and it is not known here
}

func (o order) reference() string {
	if o.task == "" {
		return ""
	}
	return "Task/" + o.task
}

// mostContext entries of a fhirContext are looked at.
const mostContext = 20

// order finds the case of the ServiceRequest in context. What cannot be read or is
// about something else is passed over: the patient's second opinions are shown in
// any case.
func (c *Client) order(ctx context.Context, l *under, t *token, patient string) (order, error) {
	var entries []json.RawMessage
	if len(t.FHIR) > 0 && readJSON(t.FHIR, &entries) != nil {
		entries = nil // rubbish is passed over
	}
	actor := l.actor()
	actor.Patient = patient
	var o order
	for _, raw := range entries[:min(len(entries), mostContext)] {
		var entry struct {
			Reference  string      `json:"reference"`
			Type       string      `json:"type"`
			Identifier *identifier `json:"identifier"`
		}
		if json.Unmarshal(raw, &entry) != nil {
			continue
		}
		id, ok := strings.CutPrefix(strings.TrimPrefix(entry.Reference, l.Issuer.Issuer+"/"), "ServiceRequest/")
		ok = ok && idForm.MatchString(id)
		var known resource
		if ok && reads(strings.Fields(t.Scope), "ServiceRequest") {
			known, _ = c.read(ctx, l, t, "ServiceRequest", id) // without it, its id may do
		}
		switch {
		case ok:
		case entry.Type == "ServiceRequest" && entry.Identifier != nil:
			id, known.Identifier = "", []identifier{*entry.Identifier}
		default:
			continue
		}
		task, err := c.Order(ctx, actor, l.Issuer.Issuer, id, known.identifiers())
		if err != nil {
			return order{}, err
		}
		if task != "" {
			return order{task: task}, nil
		}
		o.unknown = true
	}
	return o, nil
}

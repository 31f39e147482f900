package fhir

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// What an order lacks is asked for: one CommunicationRequest for each finding of
// the intake checks that the placer can mend, in the words of the Task and of
// Task/{id}/$check (finding.go). It is active while the thing is missing, on hold
// with the case, completed when the thing has come, and revoked when the case ends
// or goes on without it. Nothing asks twice: each has the case, the finding and a
// number as its identifier, and the number grows only when what had come is missing
// again. FHIR R4 communicationrequest.html: the sender is who is to send, which is
// the placer; the recipient is who is to get it, which is the reading service.
//
// Whether an original report is missing, and whether it has come, is not for a
// blinded reader: these requests are withheld as the original itself is.

// publishAsked brings the requests of a case to what its checks say now.
func (s *Server) publishAsked(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	c := ch.Case
	if !changesAsked(ch) || c.SampleOf != nil { // the placer knows of no second read for quality
		return nil
	}
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return err
	}
	asked, err := r.asked(ctx, c)
	if err != nil {
		return err
	}
	open := map[string]bool{}
	for _, a := range asked {
		if !a.open() {
			continue
		}
		open[a.code] = true
		if err := s.putIfChanged(ctx, tx, c, ch.Actor, a.now(c), a.n); err != nil {
			return err
		}
	}
	missing := slices.DeleteFunc(findingsNow(c), func(f workflow.Finding) bool { return open[f.Code] || !workflow.PlacerMends(f.Code) })
	if len(missing) == 0 {
		return nil
	}
	d := &dossier{c: c}
	if err := d.findOrder(ctx, r); err != nil {
		return err
	}
	service, err := s.service(ctx, tx, c.TenantID)
	if err != nil {
		return err
	}
	hidden := withheld{}
	for _, f := range missing {
		n := askFor(d, resourceReference(service), f, nextNumber(asked, f.Code), instant(ch.At))
		hidden.add(n.Type(), n.Text("id"))
		if _, err := s.store.Put(ctx, tx, ch.Actor, n, nil); err != nil {
			return err
		}
	}
	return hidden.note(ctx, tx, c)
}

// changesAsked tells the events after which something else may be asked for.
func changesAsked(ch workflow.Change) bool {
	atIntake := func(st workflow.State) bool {
		return slices.Contains([]workflow.State{workflow.Received, workflow.IntakeReview, workflow.AwaitingInformation, workflow.AwaitingImages, workflow.OnHold}, st)
	}
	switch {
	case ch.Case.State == workflow.Received: // the checks are about to run
		return false
	case ch.Event == "original-arrives", ch.Event == "reveal":
		return true
	}
	return ch.Before != ch.Case.State && (atIntake(ch.Before) || ch.Case.State == workflow.OnHold || hasEnded(ch.Case))
}

// request is a CommunicationRequest of ours as it stands.
type askedFor struct {
	n    *Node
	code string // of the finding
	no   int
}

// open tells whether it still asks: FHIR R4 valueset-request-status.html knows no
// way back from completed or revoked.
func (a askedFor) open() bool {
	return slices.Contains([]string{"active", "on-hold"}, a.n.Text("status"))
}

// asked are the requests of a case.
func (r resolver) asked(ctx context.Context, c workflow.Case) (all []askedFor, err error) {
	found, err := r.search(ctx, "CommunicationRequest", keySpace{r.tenant, "CommunicationRequest", "group-identifier"}.key(formSystemCode, sidCase, c.CaseID.String()))
	if err != nil {
		return nil, fmt.Errorf("what is asked for case %s: %w", c.CaseID, err)
	}
	for _, f := range found {
		if a, own := askedOf(f.Node); own {
			all = append(all, a)
		}
	}
	return all, nil
}

// askedOf reads the identifier of a request, which is case/finding/number; own is
// false for one that is not ours.
func askedOf(n *Node) (a askedFor, own bool) {
	part := strings.Split(identifierOf(n, sidAsked), "/")
	if len(part) != 3 || !isDerived(n, part[0], askedSlot(part[1], part[2])) {
		return a, false
	}
	no, err := strconv.Atoi(part[2])
	return askedFor{n, part[1], no}, err == nil
}

// isAsked tells whether the CommunicationRequest is one of ours.
func isAsked(_ context.Context, _ pgx.Tx, _ uuid.UUID, n *Node) (bool, error) {
	_, own := askedOf(n)
	return own, nil
}

func askedSlot(code, no string) string { return "asked/" + code + "/" + no }

func nextNumber(asked []askedFor, code string) int {
	last := 0
	for _, a := range asked {
		if a.code == code {
			last = max(last, a.no)
		}
	}
	return last + 1
}

// now is the request as the case stands.
func (a askedFor) now(c workflow.Case) *Node {
	n := a.n.Clone()
	status, why := fateOf(c, a.code)
	n.Set("status", status)
	n.Set("statusReason", nil)
	if why != "" {
		n.Set("statusReason", Object("text", why))
	}
	n.Set("priority", c.Priority)
	for _, f := range findingsNow(c) {
		if f.Code == a.code {
			n.Set("payload", []*Node{Object("contentString", findingText(f))})
		}
	}
	return n
}

// fateOf is the status of an open request, and why where that needs saying.
func fateOf(c workflow.Case, code string) (status, why string) {
	found := slices.ContainsFunc(findingsNow(c), func(f workflow.Finding) bool { return f.Code == code })
	switch {
	case hasEnded(c):
		return "revoked", "the case has ended"
	case c.State == workflow.OnHold:
		return "on-hold", "the order is on hold"
	case found, code == workflow.OriginalMissing && c.AwaitsOriginal():
		return "active", ""
	case code == workflow.OriginalMissing && c.Comparable != nil && *c.Comparable: // it came late
		return "completed", ""
	case c.SetAside(code):
		return "revoked", "the reading service goes on without it"
	}
	return "completed", ""
}

// askFor is a new request.
func askFor(d *dossier, service *Node, f workflow.Finding, number int, at string) *Node {
	c, no := d.c, strconv.Itoa(number)
	order := orderReference(c)
	n := Object(
		"resourceType", "CommunicationRequest",
		"id", derivedID(c, askedSlot(f.Code, no)),
		"identifier", []*Node{Object("system", sidAsked, "value", c.CaseID.String()+"/"+f.Code+"/"+no)},
		"basedOn", []*Node{order},
		"groupIdentifier", Object("system", sidCase, "value", c.CaseID.String()),
		"status", "active",
		"category", []*Node{Object("coding", []*Node{coding(communicationCategory, "instruction", "Instruction")}, "text", kindWords[f.Kind])},
		"priority", c.Priority,
		"subject", portable(d.subject(), d.order), // as the order says it, whoever's record that is merged into
		"about", []*Node{refer("Task/"+c.TaskID, "Task", ""), order.Clone()},
		"encounter", portable(d.order.Get("encounter"), d.order),
		"payload", []*Node{Object("contentString", findingText(f))},
		"authoredOn", at,
		"requester", service,
		"recipient", []*Node{service.Clone()},
		"sender", portable(d.order.Get("requester"), d.order),
		"reasonCode", []*Node{findingConcept(f)},
	)
	return n
}

package fhir

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// CaseFile is a case before a coordinator or director: where it stands, why, and what
// can be done. Whoever reads here too sees nothing that tells of an original that is
// not revealed. That it was looked at is recorded.
func (s *Server) CaseFile(ctx context.Context, actor access.Actor, task string, asked Asked) (screen.CaseFile, error) {
	if err := coordinates(actor); err != nil {
		return screen.CaseFile{}, err
	}
	ctx = asked.within(ctx)
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.CaseFile, error) {
		c, err := s.caseSeen(ctx, tx, actor, task)
		if err != nil {
			return screen.CaseFile{}, err
		}
		d := deskCase{Server: s, tx: tx, actor: actor, c: c, offers: workflow.OffersTx(tx, actor, c, s.now())}
		if err := d.head(ctx); err != nil {
			return d.file, err
		}
		for _, part := range []func(context.Context) error{d.clocks, d.findings, d.doubts, d.matters, d.deliveries, d.history, d.deeds} {
			if err := part(ctx); err != nil {
				return d.file, err
			}
		}
		stored, err := s.store.Get(ctx, tx, "Task", task)
		if err != nil {
			return d.file, err
		}
		d.file.Version = stored.Version
		entry := auditEntry{Interaction: "read", Target: stored.Versioned(), Patient: casePatient(c), RequestID: asked.RequestID, Client: asked.Client}
		return d.file, s.audit(ctx, tx, actor, entry)
	})
}

// deskCase gathers what a case file says.
type deskCase struct {
	*Server
	tx    pgx.Tx
	actor access.Actor
	c     workflow.Case
	names map[uuid.UUID]workflow.ReaderName
	file  screen.CaseFile

	offers   *workflow.Offers
	standIns []uuid.UUID // to whom an amendment can be given
}

func (d *deskCase) head(ctx context.Context) error {
	c := d.c
	board, err := workflow.BoardCaseTx(ctx, d.tx, c.CaseID)
	if err != nil {
		return err
	}
	d.file = screen.CaseFile{Task: c.TaskID, Number: c.Number(), Order: c.PlacerValue, Exam: examName(c.Exam), Priority: c.Priority, State: string(c.State),
		Protocol: string(c.Protocol), TwoRead: c.Reading != workflow.SingleReading, Sample: c.SampleOf != nil, Opened: c.OpenedAt,
		WaitsFor: board.WaitsFor, Reason: board.Reason, Since: board.Since, Due: board.Due, Now: d.now(), Zone: zoneOf(c.Policy),
		Escalated: board.Escalated, Veiled: d.actor.HidesOriginals() && c.Concealed()}
	if c.ResumeState != nil {
		d.file.Held = string(*c.ResumeState)
	}
	if d.names, err = workflow.ReaderNamesTx(ctx, d.tx); err != nil {
		return err
	}
	for _, part := range []struct {
		name string
		who  *uuid.UUID
	}{{"offered to", c.OfferedTo}, {"reader", c.ReaderID}, {"second reader", c.OtherReaderID}, {"third reader", c.AdjudicatorID}, {"supervisor", c.SupervisorID}} {
		if part.who != nil && !d.file.Veiled {
			d.file.People = append(d.file.People, screen.CasePerson{Part: part.name, Name: d.names[*part.who].Display})
		}
	}
	return d.patient(ctx)
}

func (d *deskCase) patient(ctx context.Context) error {
	id, ok := strings.CutPrefix(casePatient(d.c), "Patient/")
	if !ok {
		return nil
	}
	stored, err := d.store.Visible(ctx, d.tx, d.actor, "Patient", id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := Parse(stored.Body, Limits{})
	if err != nil {
		return err
	}
	d.file.Patient = screen.CasePatient{Name: humanName(n), Born: n.Text("birthDate"), Sex: n.Text("gender"), Record: strings.TrimPrefix(mrn(n), "MRN ")}
	return nil
}

func (d *deskCase) clocks(ctx context.Context) error {
	clocks, err := workflow.ClocksTx(ctx, d.tx, d.c.CaseID)
	if err != nil {
		return err
	}
	for _, k := range clocks {
		if d.file.Veiled && k.Clock.OfMatter() && !d.c.State.Ended() {
			continue
		}
		family, _, _ := strings.Cut(string(k.Clock), "/")
		d.file.Clocks = append(d.file.Clocks, screen.CaseClock{Clock: family, Started: k.Started, Deadline: k.Deadline, Stage: k.Stage, Paused: k.Paused})
	}
	waits, err := workflow.WaitsTx(ctx, d.tx, d.c.CaseID)
	if err != nil {
		return err
	}
	for _, w := range waits {
		d.file.Waits = append(d.file.Waits, screen.CaseWait{Party: string(w.Party), Reason: w.Reason, Stops: w.Stops, Began: w.BeganAt, Ended: w.EndedAt})
	}
	times := workflow.TimesOf(d.c, waits, d.now(), false)
	d.file.Gross, d.file.Net = times.Gross, times.Net
	return nil
}

// findings are what keeps the case, and what was asked of whom for it.
func (d *deskCase) findings(ctx context.Context) error {
	found := findingsNow(d.c)
	if d.c.State == workflow.Unassignable || d.c.State == workflow.Adjudication || d.c.State == workflow.Arbitration {
		found = d.c.Findings
	}
	for _, f := range found {
		d.file.Findings = append(d.file.Findings, screen.CaseFinding{Code: f.Code, Kind: string(f.Kind), Element: f.Element, Text: f.Text})
	}
	if d.file.Veiled {
		return nil
	}
	r, err := d.resolver(ctx, d.tx, d.c.TenantID)
	if err != nil {
		return err
	}
	asked, err := r.asked(ctx, d.c)
	for _, a := range asked {
		d.file.Asked = append(d.file.Asked, askedOnScreen(a))
	}
	slices.SortFunc(d.file.Asked, func(a, b screen.CaseAsked) int { return b.At.Compare(a.At) })
	return err
}

func askedOnScreen(a askedFor) screen.CaseAsked {
	of := a.n.Text("sender", "display")
	if of == "" {
		of = a.n.Text("sender", "identifier", "value")
	}
	at, _ := moment(a.n.Text("authoredOn"))
	one := screen.CaseAsked{Finding: a.code, Of: of, At: at, Status: a.n.Text("status"), Why: a.n.Text("statusReason", "text")}
	for _, p := range a.n.Each("payload") {
		one.Text = p.Text("contentString")
	}
	return one
}

// doubts lay side by side what the sources say, as $comparison does.
func (d *deskCase) doubts(ctx context.Context) error {
	doubtful := slices.ContainsFunc(findingsNow(d.c), func(f workflow.Finding) bool { return f.Kind == workflow.Doubtful })
	if d.file.Veiled || !doubtful {
		return nil
	}
	e, err := d.evidence(ctx, d.tx, d.actor, d.c)
	if err != nil {
		return err
	}
	for _, f := range findingsNow(d.c) {
		if f.Kind != workflow.Doubtful {
			continue
		}
		d.file.Doubts = withDoubt(d.file.Doubts, doubtOf(f, e.about(f.Code)))
	}
	patient := casePatient(d.c)
	return d.audit(ctx, d.tx, d.actor, auditEntry{Interaction: "operation", Target: "Task/" + d.c.TaskID, Patient: patient,
		Patients: e.alsoOf(patient), Query: "$comparison", RequestID: requestID(ctx)})
}

// withDoubt adds a doubt. Where what the sources say was laid side by side for another
// one already (a side that order and images differ in is two findings), it joins that.
func withDoubt(all []screen.Doubt, d screen.Doubt) []screen.Doubt {
	for i, before := range all {
		if reflect.DeepEqual(before.Sources, d.Sources) && reflect.DeepEqual(before.Rows, d.Rows) {
			all[i].Codes = append(all[i].Codes, d.Codes...)
			return all
		}
	}
	return append(all, d)
}

// doubtOf is a table of elements by sources, in the order of comparisonSources.
func doubtOf(f workflow.Finding, rows []compared) screen.Doubt {
	doubt := screen.Doubt{Codes: []string{f.Code}}
	for _, source := range comparisonSources {
		if slices.ContainsFunc(rows, func(r compared) bool {
			return slices.ContainsFunc(r.said, func(s sourceSaid) bool { return s.source == source })
		}) {
			doubt.Sources = append(doubt.Sources, source)
		}
	}
	for _, r := range rows {
		row := screen.DoubtRow{Element: r.element, Agreement: string(r.agreement), Said: make([][]string, len(doubt.Sources))}
		for _, said := range r.said {
			i := slices.Index(doubt.Sources, said.source)
			row.Said[i] = append(row.Said[i], said.values...)
		}
		if r.said != nil {
			doubt.Rows = append(doubt.Rows, row)
		}
	}
	return doubt
}

func (d *deskCase) matters(ctx context.Context) error {
	if d.file.Veiled && !d.c.State.Ended() {
		return nil
	}
	all, err := workflow.MattersTx(ctx, d.tx, d.c.CaseID)
	for _, m := range d.c.Choosable(all, d.actor) {
		if d.file.Veiled && (m.Kind != workflow.FindingMatter || !m.Open()) { // nobody reads it any more, and somebody may bleed
			continue
		}
		one := screen.CaseMatter{No: m.Number, Kind: string(m.Kind), Category: m.Category, Text: m.Content.Text, Person: m.Content.Person,
			Opened: m.OpenedAt, Due: m.DueAt, Settled: m.SettledAt, Closing: m.Closing.Text}
		if m.Kind == workflow.VerificationMatter {
			one.Text, one.ForDirector = m.Content.Words(), m.ForDirector()
		}
		if one.May, err = mayAbout(ctx, d.offers, m); err != nil {
			return err
		}
		if m.Settlement != nil {
			one.How = *m.Settlement
		}
		for _, call := range m.Calls {
			one.Calls = append(one.Calls, toldOnScreen(call, d.file.Zone))
		}
		d.file.Matters = append(d.file.Matters, one)
	}
	return err
}

func (d *deskCase) deliveries(ctx context.Context) error {
	if d.file.Veiled {
		return nil
	}
	items, err := workflow.DeliveriesTx(ctx, d.tx, workflow.DeliveryFilter{Case: d.c.CaseID, Most: 100})
	for _, item := range items {
		d.file.Deliveries = append(d.file.Deliveries, deliveryOnScreen(item))
	}
	return err
}

// toldOnScreen is a call as pages tell it.
func toldOnScreen(call workflow.Call, zone *time.Location) screen.Told {
	r := call.Reported()
	return screen.Told{Recipient: r.Recipient, Role: r.Role, Medium: r.Medium, Reached: r.Reached, ReadBack: r.ReadBack, At: r.At.In(zone), Note: r.Note}
}

// untold are the events of the quality compartment: a case file has none of them.
var untold = []workflow.Event{"judge-management", "outcome", "add-learning-point", "withdraw-learning-point", "open-review", "close-review"}

func (d *deskCase) history(ctx context.Context) error {
	if d.file.Veiled {
		return nil
	}
	records, err := workflow.HistoryTx(ctx, d.tx, d.c.CaseID)
	if err != nil {
		return err
	}
	offered := uuid.Nil // whom it was offered to last
	for _, r := range records {
		if slices.Contains(untold, r.Event) {
			continue
		}
		var detail struct {
			Reason  string
			Clock   string
			Percent int
			Reader  uuid.UUID
		}
		if err := json.Unmarshal(r.Detail, &detail); err != nil {
			return fmt.Errorf("detail of event %d of case %s: %w", r.Seq, d.c.CaseID, err)
		}
		h := screen.Happened{At: r.OccurredAt, Event: string(r.Event), To: string(r.ToState), Role: r.ActorRole, Reason: detail.Reason, Percent: detail.Percent}
		h.Clock, _, _ = strings.Cut(detail.Clock, "/")
		if r.FromState != nil {
			h.From = string(*r.FromState)
		}
		if r.ActorID != nil {
			h.Who = d.names[*r.ActorID].Display
		}
		if slices.Contains([]workflow.Event{"offer", "reassign", "expire-offer", "withdraw-offer"}, r.Event) {
			h.Reader = d.names[detail.Reader].Display
		}
		if r.Event == "offer" {
			h.Another = offered != uuid.Nil && offered != detail.Reader
			offered = detail.Reader
		}
		d.file.History = append(d.file.History, h)
	}
	slices.Reverse(d.file.History) // the latest first
	return nil
}

// deliveryOnScreen is a delivery in the words of pages.
func deliveryOnScreen(item workflow.SentItem) screen.CaseDelivery {
	d := screen.CaseDelivery{Task: item.TaskID, Order: item.Order, Exam: item.Exam, No: item.ReportNo, Kind: "report", Destination: item.Destination, State: item.State,
		Uncertain: item.Uncertain(), UnderWay: item.UnderWay, Queued: item.QueuedAt, Done: item.DoneAt}
	switch {
	case item.Lane == workflow.LaneMessage:
		d.Kind, d.No = "message", item.ReportNo
	case item.ReportNo < 0:
		d.Kind = "preliminary"
	}
	if item.State == "queued" {
		d.Next = &item.NextAttemptAt
	}
	if item.SettledAt != nil {
		d.Settled = &screen.SettledDelivery{How: *item.SettledHow, Reason: *item.SettledReason, Role: *item.SettledRole, At: *item.SettledAt}
	}
	for _, a := range item.Attempts {
		one := screen.Attempt{No: a.Attempt, At: a.At, Outcome: string(a.Outcome), Reason: a.Reason, Took: time.Duration(a.DurationMS) * time.Millisecond}
		if a.Status != nil {
			one.Status = *a.Status
		}
		d.Attempts = append(d.Attempts, one)
	}
	return d
}

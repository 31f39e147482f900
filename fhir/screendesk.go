package fhir

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// CaseCandidates are the readers for a case, as $candidates tells them.
func (s *Server) CaseCandidates(ctx context.Context, actor access.Actor, task string, asked Asked) (screen.Candidates, error) {
	if err := coordinates(actor); err != nil {
		return screen.Candidates{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (all screen.Candidates, err error) {
		c, err := s.caseSeen(ctx, tx, actor, task)
		if err != nil {
			return all, err
		}
		if actor.HidesOriginals() && c.Protocol != workflow.Unblinded && c.RevealedAt == nil {
			return all, fault.New(fault.Forbidden, "You read at this hospital too, and the candidates tell who read first: let another coordinator choose.")
		}
		if c.Exam.Subspecialty == "" {
			return all, fault.New(fault.Conflict, "Nothing is decided yet: the intake checks have not gone over the order.")
		}
		stored, err := s.store.Get(ctx, tx, "Task", task)
		if err != nil {
			return all, err
		}
		duty := workflow.DutyOf(c.State)
		judged, err := workflow.CandidatesTx(ctx, tx, &c, duty, s.now().UTC())
		if err != nil {
			return all, err
		}
		all = screen.Candidates{File: screen.CaseFile{Task: task, Version: stored.Version, Number: c.Number(), Order: c.PlacerValue, Exam: examName(c.Exam), Priority: c.Priority, State: string(c.State)}, Duty: string(duty)}
		offers := workflow.OffersTx(tx, actor, c, s.now())
		for _, name := range []string{"offer", "reassign"} {
			refused, err := offers.May(ctx, workflow.Event(name), 0)
			if err != nil {
				return all, err
			}
			if duty == workflow.ToRead && refused == nil {
				all.Offers = name
			}
		}
		for _, j := range judged {
			all.All = append(all.All, screen.Candidate{ID: j.Reader.PractitionerID, Name: j.Reader.Display, Eligible: len(j.Reasons) == 0, Reasons: j.Reasons, Unavailable: j.Unavailable,
				Rank: j.Rank, Open: j.Reader.OpenCases, Capacity: j.Reader.Capacity, Score: j.Score, Fit: j.Parts.Fit, Load: j.Parts.Load, Fairness: j.Parts.Fairness, Due: j.Parts.Due})
		}
		return all, s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Target: "Task/" + task, Patient: casePatient(c), Query: "$candidates?duty=" + string(duty),
			RequestID: asked.RequestID, Client: asked.Client})
	})
}

// ExpiringCredentials are those of the readers that end within so many days.
func (s *Server) ExpiringCredentials(ctx context.Context, actor access.Actor, days int) ([]screen.Expiring, error) {
	if err := coordinates(actor); err != nil {
		return nil, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (all []screen.Expiring, err error) {
		readers, err := workflow.ReadersTx(ctx, tx, 1)
		today := workflow.DateOf(s.now().UTC())
		for _, e := range workflow.Expiring(readers, s.now(), days) {
			last, _ := time.Parse(time.DateOnly, string(e.Last))
			all = append(all, screen.Expiring{Name: e.Reader.Display, What: e.What, Last: last, Past: e.Last < today})
		}
		return all, err
	})
}

// Deliveries are a page of those of a coordinator's hospital, the last queued first. Of
// cases that are withheld from the actor there are none.
func (s *Server) Deliveries(ctx context.Context, actor access.Actor, f workflow.DeliveryFilter, asked Asked) (screen.Deliveries, error) {
	if err := coordinates(actor); err != nil {
		return screen.Deliveries{}, err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (page screen.Deliveries, err error) {
		most := f.Most
		f.Most++
		items, err := workflow.DeliveriesTx(ctx, tx, f)
		if err != nil {
			return page, err
		}
		if len(items) > most {
			items = items[:most]
			page.Next = items[most-1].Place()
		}
		if page.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
			return page, err
		}
		seen, err := inside(ctx, tx, actor, column(items, func(d workflow.SentItem) string { return "Task/" + d.TaskID }), access.Search)
		if err != nil {
			return page, err
		}
		var tasks []string
		for _, item := range items {
			if seen["Task/"+item.TaskID] {
				page.All, tasks = append(page.All, deliveryOnScreen(item)), append(tasks, item.TaskID)
			}
		}
		return page, s.auditDesk(ctx, tx, actor, "deliveries", tasks, asked)
	})
}

// SettleDelivery ends a delivery by the word of a coordinator or director; it is
// recorded as what has left the house is, with who said so.
func (s *Server) SettleDelivery(ctx context.Context, actor access.Actor, task string, done workflow.Settlement, asked Asked) error {
	if err := coordinates(actor); err != nil {
		return err
	}
	_, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (struct{}, error) {
		c, err := lockedCase(ctx, tx, task)
		if err == nil {
			err = mayOperate(ctx, tx, actor, task)
		}
		if err != nil {
			return struct{}{}, err
		}
		done.By, done.Role = actor.ID, string(actor.Role)
		if err := workflow.SettleDeliveryTx(ctx, tx, c, done); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Target: "Task/" + task, Patient: casePatient(c), Query: "delivery to " + done.Destination + " settled by hand: " + done.How,
			RequestID: asked.RequestID, Client: asked.Client})
	})
	return err
}

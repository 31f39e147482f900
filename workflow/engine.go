package workflow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Engine fires the rows of the transition table. Use it from any number of
// goroutines and processes: the database decides who is first.
type Engine struct {
	db     *pg.DB
	now    func() time.Time
	log    *slog.Logger
	hooks  Hooks
	agenda []item

	mostPooled int // cases of a look at a pool

	mu     sync.Mutex
	failed map[failureKey]int // agenda rows that failed, and how often
}

// Hooks are what the FHIR surface does for the engine, inside its
// transactions. serve.go connects the two.
type Hooks struct {
	// Facts gathers what the intake checks look at. It is asked again whenever
	// something may have changed, until the original is revealed.
	Facts func(ctx context.Context, tx pgx.Tx, c *Case) (Facts, error)
	// Publish writes what the outside sees of a change: Task, report,
	// queued deliveries. It is called last in the transaction of every event,
	// the first one ("open") included.
	Publish func(ctx context.Context, tx pgx.Tx, ch Change) error
	// Sample makes the order of a second read for quality of a signed case: one
	// that looks to its reader as any other. why says why it cannot be done.
	Sample func(ctx context.Context, tx pgx.Tx, c *Case) (o Order, why string, err error)
}

// NewEngine returns an engine without hooks; Use connects them.
func NewEngine(db *pg.DB, now func() time.Time, log *slog.Logger) *Engine {
	return &Engine{db: db, now: now, log: log, agenda: agenda(), mostPooled: mostPooled, failed: map[failureKey]int{}, hooks: Hooks{
		Facts:   func(context.Context, pgx.Tx, *Case) (Facts, error) { return Facts{}, nil },
		Publish: func(context.Context, pgx.Tx, Change) error { return nil },
		Sample:  func(context.Context, pgx.Tx, *Case) (Order, string, error) { return Order{}, "no-order", nil },
	}}
}

// Use connects the hooks: once, before anything fires.
func (e *Engine) Use(h Hooks) { e.hooks = h }

// moment is the one now of a transaction, as precise as PostgreSQL keeps it.
func (e *Engine) moment() time.Time { return e.now().UTC().Truncate(time.Microsecond) }

// OpenTx opens a case for an order, or finds the one that the order has
// already: the same placer number is the same case, also when many ask at
// once. The intake checks run at the next tick. It returns a fault of kind
// Conflict when the order's Task coordinates another case.
func (e *Engine) OpenTx(ctx context.Context, tx pgx.Tx, actor access.Actor, o Order) (c Case, opened bool, err error) {
	current, err := policyTx(ctx, tx)
	if err != nil {
		return Case{}, false, err
	}
	now := e.moment()
	c = newCase(actor, o, current, newID(), now)
	if c.SampleOf = o.SampleOf; c.SampleOf != nil {
		sampled, err := CaseByIDTx(ctx, tx, *c.SampleOf)
		if err != nil {
			return Case{}, false, err
		}
		c.Waived = sampled.Waived // what stood against the order was decided then
	}
	c.decideProtocol(nil)
	switch inserted, err := insertCase(ctx, tx, &c); {
	case pg.Constraint(err) == "one_case_per_task":
		return Case{}, false, fault.New(fault.Conflict, "this Task coordinates another order already; send a Task of its own")
	case err != nil:
		return Case{}, false, err
	case !inserted:
		c, err := CaseByPlacerTx(ctx, tx, o.PlacerSystem, o.PlacerValue)
		return c, false, err
	}
	t := &turn{ledger: sqlLedger{tx}, tx: tx, actor: actor, c: &c, event: "open", now: now, detail: map[string]any{"priority": c.Priority, "protocol": c.Protocol, "reading": c.Reading, "protocolWhy": c.ProtocolWhy, "policy": c.PolicyVersion}}
	return c, true, e.begin(ctx, t)
}

// newCase is the case of an order by the policy in force, before its first event.
func newCase(actor access.Actor, o Order, current inForce, id uuid.UUID, now time.Time) Case {
	c := Case{
		TenantID: actor.Tenant, CaseID: id, Version: 1, State: Received,
		Priority: o.Priority, PlacerSystem: o.PlacerSystem, PlacerValue: o.PlacerValue,
		ServiceRequestID: o.ServiceRequestID, ServiceRequestRef: o.ServiceRequestRef,
		TaskID: o.TaskID, PatientID: o.PatientID, OfferRound: 1,
		Exam:   Exam{PatientAge: -1, Asked: &o.Asked},
		Policy: current.policy, PolicyVersion: current.version, PolicySHA256: current.sha256, OpenedAt: now,
	}
	if o.Asked.empty() {
		c.Exam.Asked = nil
	}
	if !slices.Contains(Priorities, c.Priority) {
		c.Priority = "routine" // FHIR R4 ServiceRequest.priority: no value is routine
	}
	c.decideProtocol(nil)
	return c
}

// begin is the first event of a case.
func (e *Engine) begin(ctx context.Context, t *turn) error {
	if err := t.plan(ctx, intakeChecks, t.now, restart); err != nil {
		return err
	}
	for _, clock := range []ClockName{ClockIntake, ClockGross} {
		if err := t.startClock(ctx, clock, restart); err != nil {
			return err
		}
	}
	_, err := e.record(ctx, t, "")
	return err
}

// Fire is FireTx in a transaction of its own.
func (e *Engine) Fire(ctx context.Context, actor access.Actor, caseID uuid.UUID, ev Event, in Input) (ch Change, err error) {
	err = e.db.Tenant(ctx, actor.Tenant, func(tx pgx.Tx) error {
		ch, err = e.FireTx(ctx, tx, actor, caseID, ev, in)
		return err
	})
	return ch, err
}

// FireTx makes an event happen to a case, with everything that follows from
// it, in the caller's transaction. It returns a fault of kind NotFound for an
// unknown case, Conflict when the case's state does not take the event,
// Forbidden when the actor may not fire it, and BusinessRule when a guard
// refuses; then the transaction must be undone.
func (e *Engine) FireTx(ctx context.Context, tx pgx.Tx, actor access.Actor, caseID uuid.UUID, ev Event, in Input) (Change, error) {
	c, err := lockCase(ctx, tx, caseID)
	if err != nil {
		return Change{}, err
	}
	return e.fire(ctx, &turn{ledger: sqlLedger{tx}, tx: tx, actor: actor, c: &c, event: ev, in: in, now: e.moment(), detail: map[string]any{}})
}

// fire runs the one row of the table that fits. The caller holds the case.
func (e *Engine) fire(ctx context.Context, t *turn) (Change, error) {
	row, err := choose(ctx, t)
	if err != nil {
		return Change{}, err
	}
	for _, g := range row.Guards {
		if err := g.Check(ctx, t); err != nil {
			return Change{}, err
		}
	}
	t.note()
	t.item = e.item
	hands, resume, forCoordinator := t.c.hands(), t.c.ResumeState, t.c.heldForCoordinator()
	if t.tx != nil {
		t.was, t.wasComplete, t.wasOf = t.c.description(), t.c.CompleteAt, t.c.PatientID
	}
	for _, effect := range row.Effects {
		if err := effect.Do(ctx, t); err != nil {
			return Change{}, fmt.Errorf("%s: %w", effect.Name, err)
		}
	}
	before := t.c.State
	if row.To == Quietly {
		return Change{Before: before, Case: *t.c, Event: t.event, Actor: t.actor, Input: t.in, At: t.now, Draft: t.draft}, nil
	}
	t.c.enter(row.To)
	t.c.Version++
	if err := t.ledger.updateCase(ctx, t.c); err != nil {
		return Change{}, err
	}
	if t.c.State != before || t.c.ResumeState != resume {
		if err := e.settle(ctx, t.ledger, t.c, t.now); err != nil {
			return Change{}, err
		}
	}
	if t.c.State != before || t.c.heldForCoordinator() != forCoordinator {
		if err := t.keepWaits(ctx); err != nil {
			return Change{}, err
		}
	}
	if err := t.tellHands(ctx, hands); err != nil {
		return Change{}, err
	}
	return e.record(ctx, t, before)
}

// record appends the event to the history and tells the outside.
func (e *Engine) record(ctx context.Context, t *turn, before State) (Change, error) {
	ch := Change{Before: before, Case: *t.c, Event: t.event, Actor: t.actor, Input: t.in, At: t.now, Report: t.report, Told: t.told, Draft: t.draft}
	var err error
	if ch.Matters, err = t.touched(ctx); err != nil {
		return Change{}, err
	}
	if t.told != nil {
		t.detail["told"] = addressees(t.told)
	}
	t.describe(before == "")
	if err := t.ledger.insertEvent(ctx, ch, t.detail); err != nil {
		return Change{}, err
	}
	if t.changesFact(before) {
		if err := t.ledger.keepFact(ctx, t.c, t.now); err != nil {
			return Change{}, err
		}
	}
	if err := e.hooks.Publish(ctx, t.tx, ch); err != nil {
		return Change{}, fmt.Errorf("publish: %w", err)
	}
	return ch, nil
}

// choose finds the row for the case's state, the event and the actor's role.
func choose(ctx context.Context, t *turn) (*Transition, error) {
	forbidden := false
	for i := range Transitions {
		row := &Transitions[i]
		if row.Event != t.event || !slices.Contains(row.From, t.c.State) {
			continue
		}
		if !slices.Contains(row.By, t.actor.Role) {
			forbidden = true
			continue
		}
		if row.When == nil {
			return row, nil
		}
		if holds, err := row.When.Holds(ctx, t); err != nil || holds {
			return row, err
		}
	}
	return nil, notTaken(t.actor, t.c.State, t.event, forbidden)
}

// MayFire tells whether the table has a row for the event in this state by the
// actor's role; it returns the faults of FireTx. What guards and choices say is
// not asked.
func MayFire(actor access.Actor, state State, ev Event) error {
	forbidden := false
	for _, row := range Transitions {
		if row.Event == ev && slices.Contains(row.From, state) {
			if slices.Contains(row.By, actor.Role) {
				return nil
			}
			forbidden = true
		}
	}
	return notTaken(actor, state, ev, forbidden)
}

func notTaken(actor access.Actor, state State, ev Event, forbidden bool) error {
	if forbidden {
		return forbid("the role %s may not fire %s on a case that is %s", actor.Role, ev, state)
	}
	return fault.New(fault.Conflict, "a case that is %s does not take the event %s; possible now: %s", state, ev, possible(state, ev, actor.Role))
}

// possible lists what else somebody in this role may do with a case in this state.
func possible(s State, but Event, of access.Role) string {
	var events []string
	for _, row := range Transitions {
		if row.Event != but && slices.Contains(row.From, s) && slices.Contains(row.By, of) && !slices.Contains(events, string(row.Event)) {
			events = append(events, string(row.Event))
		}
	}
	if events == nil {
		return "nothing"
	}
	slices.Sort(events)
	return strings.Join(events, ", ")
}

// enter takes the case to the next state and tidies what belonged to the one
// before.
func (c *Case) enter(to State) {
	switch to {
	case Same:
		return
	case Resumed:
		to = *c.ResumeState
	}
	c.State = to
	if to != OnHold {
		c.ResumeState, c.Correction = nil, nil
	}
	if to != Offered {
		c.OfferedTo = nil
	}
	status := to.Info().Report
	if c.ReportStatus != nil && *c.ReportStatus == "preliminary" && status == "registered" {
		return // what the EHR has of it stays
	}
	if c.ReportID != nil && status != "" && status != "=" {
		c.ReportStatus = &status
	}
}

// note keeps in the history what the actor gave: nothing of the patient.
func (t *turn) note() {
	if t.in.Reason != "" && t.event != "open-review" { // which is in the quality compartment
		t.detail["reason"] = t.in.Reason
	}
	if t.in.Clock != "" {
		t.detail["clock"], t.detail["percent"] = t.in.Clock, t.in.Percent
	}
	if t.in.Amendment != nil {
		t.detail["amendment"] = t.in.Amendment.Kind
	}
}

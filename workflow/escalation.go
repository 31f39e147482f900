package workflow

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Escalation is a rule of the policy: when a clock has come so far, who is
// told, and who next when nobody takes note.
type Escalation struct {
	Clock      ClockName `json:"clock"`
	Priorities []string  `json:"priorities,omitempty"` // none: all
	At         int       `json:"at"`                   // percent of the limit: one of stages
	Chain      []Link    `json:"chain"`
}

// Link is one who is told.
type Link struct {
	Tell Addressee `json:"tell"`
	By   []Way     `json:"by"`
	Wait *Span     `json:"wait,omitempty"` // for somebody to take note, before the next is told; nil at the end of the chain
}

// Addressee is who is told.
type Addressee string

// The addressees. The reader is whoever has the case, or the offer, at the time;
// where that is nobody, the next one is told at once.
const (
	TellReader      Addressee = "reader"
	TellCoordinator Addressee = "coordinator"
	TellDirector    Addressee = "director"
)

// Way is how somebody is told.
type Way string

// The ways.
const (
	ByPage         Way = "page"         // on their worklist (PagesTx)
	ByNotification Way = "notification" // a Communication among the tenant's resources
	ByMail         Way = "mail"         // with the number and the address of the case, nothing else
)

// Contacts are the addresses of those who are told by their role.
type Contacts struct {
	Coordinator []Address `json:"coordinator,omitempty"`
	Director    []Address `json:"director,omitempty"`
}

// Address is one of mail.
type Address string

// mailPattern is the form of an Address, narrower than RFC 5321: no quotes.
const mailPattern = `^[A-Za-z0-9.!#$%&'*+/=?^_{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$`

// Valid tells whether it has the form of an address.
func (a Address) Valid() bool { return mailForm.MatchString(string(a)) }

// Told is one link of a chain that was told: a row of escalation.
type Told struct {
	ID       uuid.UUID // also of the Communication
	Clock    ClockName
	Started  time.Time // of the clock
	Stage    int
	Rule     int // of Policy.rules
	Link     int
	Tell     Addressee
	PersonID *uuid.UUID // of the reader
	Ways     []Way
	At       time.Time
	NextAt   *time.Time
	Reminder int // which one it is of the last in the chain of a pressing finding; 0 for none
}

var mailForm = regexp.MustCompile(mailPattern)

func addressees(told []Told) (list []Addressee) {
	for _, one := range told {
		list = append(list, one.Tell)
	}
	return list
}

func (p Policy) escalationFaults() (wrong PolicyErrors) {
	for i, rule := range p.Escalations {
		at := element("escalations", i)
		if rule.Clock == ClockCredential && rule.At != endsSoon && rule.At != endsToday {
			wrong = append(wrong, PolicyFault{Path: at + ".at", Text: Phrase("must be 50 (credentialNoticeDays before) or 100 (the last day): a credential has no other stages")})
		}
		for j, link := range rule.Chain {
			last := j == len(rule.Chain)-1
			switch path := element(at+".chain", j); {
			case !last && link.Wait == nil:
				wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("must have wait: how long it waits for somebody to take note before the next one is told")})
			case last && link.Wait != nil:
				wrong = append(wrong, PolicyFault{Path: path + ".wait", Text: Phrase("is at the end of the chain, where nobody comes next")})
			case j > 0 && link.Tell == rule.Chain[j-1].Tell && slices.Equal(link.By, rule.Chain[j-1].By):
				wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("is the same as the one before")})
			}
		}
	}
	return wrong
}

// responsible is the person who has the case as far as the clock is concerned.
func (c *Case) responsible(clock ClockName) *uuid.UUID {
	switch {
	case c.ReportNo > 0 && (clock.OfMatter() || c.State == Amending):
		return c.signerOrStandIn()
	case c.State == Conferring:
		return c.ReaderID
	case clock == ClockAdjudicate || c.State == Adjudication || c.State == Arbitration:
		return c.AdjudicatorID
	case c.State == Offered:
		return c.OfferedTo
	case c.State == AwaitingCosign:
		return c.SupervisorID
	}
	return c.lead()
}

// answers is whom a clock is for: before the signature that of a finding is for who
// raised it, whoever reads now, who may know nothing of it. Nobody, where it is that the
// reader is not independent.
func (t *turn) answers(ctx context.Context, clock ClockName) (*uuid.UUID, error) {
	if !clock.OfMatter() && t.c.State != Amending {
		return t.c.responsible(clock), nil
	}
	all, err := t.ledger.matters(ctx, t.c.CaseID)
	i := slices.IndexFunc(all, func(m Matter) bool { return m.clock() == clock })
	switch {
	case err != nil || i >= 0 && all[i].Content.SameReader: // whom it is about may do nothing of it
		return nil, err
	case t.c.ReportNo > 0:
		return t.whoAnswers(ctx, clock)
	case i < 0:
		return nil, nil
	}
	return all[i].OpenedBy, nil
}

// startEscalations tells the first link of each rule for a stage of a clock.
func (t *turn) startEscalations(ctx context.Context, clock ClockName, stage int, started time.Time) error {
	for i, rule := range t.c.Policy.rules() {
		if rule.Clock != clock.family() || rule.At != stage || len(rule.Priorities) > 0 && !slices.Contains(rule.Priorities, t.c.Priority) {
			continue
		}
		if err := t.tell(ctx, Told{Clock: clock, Started: started, Stage: stage, Rule: i}); err != nil {
			return err
		}
	}
	return t.planEscalation(ctx)
}

// tell tells a link of a chain, or the first one after it for which there is
// somebody. What was told before is not told again; but who is last in the chain of a
// pressing finding is reminded, by links beyond the end, until it is acknowledged
// (reminder.go).
func (t *turn) tell(ctx context.Context, told Told) error {
	chain := t.c.Policy.chain(told.Rule, told.Clock)
	last := len(chain) - 1
	for ; last >= 0 && (told.Link <= last || told.Clock.Pressing()); told.Link++ {
		link := chain[min(told.Link, last)]
		told.Tell, told.Ways, told.PersonID = link.Tell, link.By, nil
		if told.Tell == TellReader {
			var err error
			if told.PersonID, err = t.answers(ctx, told.Clock); err != nil {
				return err
			}
			switch {
			case told.PersonID == nil && told.Link < last:
				continue
			case told.PersonID == nil && told.Clock.Pressing(): // of an emergency somebody is told in any case
				told.Tell = TellCoordinator
			case told.PersonID == nil:
				return nil
			}
		}
		told.ID, told.At, told.Reminder = newID(), t.now, reminderNo(told.Clock, told.Link, chain)
		told.NextAt = t.c.nextLink(told.Clock, told.Link, chain, t.now)
		if told.Link >= last && told.NextAt != nil { // then it would remind: once is enough
			other, err := t.ledger.goesOn(ctx, t.c.CaseID, told)
			if err != nil {
				return err
			}
			if other {
				told.NextAt = nil
			}
		}
		if told.Reminder > 0 {
			if err := t.ledger.endReminders(ctx, t.c.CaseID, told, last); err != nil {
				return err
			}
		}
		first, err := t.ledger.insertTold(ctx, t.c, told)
		if err != nil || !first {
			return err
		}
		t.told = append(t.told, told)
		return t.ledger.queueMail(ctx, t.c, told)
	}
	return nil
}

// insertTold notes that a link is told; first is false when it was before.
func insertTold(ctx context.Context, tx pgx.Tx, c *Case, told Told) (first bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO escalation (tenant_id, case_id, clock, clock_started_at, stage, rule, link, escalation_id, tell, person_id, ways, told_at, next_at)
		VALUES (@tenant, @case, @clock, @started, @stage, @rule, @link, @id, @tell, @person, @ways, @at, @next)
		ON CONFLICT (tenant_id, case_id, clock, clock_started_at, stage, rule, link) DO NOTHING`,
		pgx.NamedArgs{"tenant": c.TenantID, "case": c.CaseID, "clock": told.Clock, "started": told.Started, "stage": told.Stage, "rule": told.Rule,
			"link": told.Link, "id": told.ID, "tell": told.Tell, "person": told.PersonID, "ways": told.Ways, "at": told.At, "next": told.NextAt})
	if err != nil {
		return false, fmt.Errorf("tell %s of %s: %w", told.Tell, told.Clock, err)
	}
	return tag.RowsAffected() == 1, nil
}

// planEscalation puts the next link that is due on the agenda, or takes it off where
// there is none.
func (t *turn) planEscalation(ctx context.Context) error {
	next, err := t.ledger.nextEscalation(ctx, t.c.CaseID)
	switch {
	case err != nil:
		return err
	case next == nil:
		return t.ledger.deleteEntry(ctx, entry{TenantID: t.c.TenantID, CaseID: t.c.CaseID, Kind: escalateNext})
	}
	return t.plan(ctx, escalateNext, *next, restart)
}

// nextEscalation is when the next link of any chain of the case is told.
func nextEscalation(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (next *time.Time, err error) {
	err = tx.QueryRow(ctx, `
		SELECT min(next_at)
		FROM escalation
		WHERE case_id = $1 AND ended_at IS NULL`, caseID).Scan(&next)
	if err != nil {
		return nil, fmt.Errorf("next escalation: %w", err)
	}
	return next, nil
}

// escalate tells the next link of each chain of which nobody has taken note.
// What is due is decided by the clock by which the agenda row came due.
func (e *Engine) escalate(ctx context.Context, j job) (time.Time, error) {
	due, err := j.ledger.dueEscalations(ctx, j.c.CaseID)
	if err != nil {
		return done, err
	}
	for _, next := range due {
		if err := e.fireSystem(ctx, j, "escalate", Input{Clock: next.Clock, Percent: next.Stage, Next: &next}); err != nil {
			return done, err
		}
	}
	next, err := j.ledger.nextEscalation(ctx, j.c.CaseID)
	if err != nil || next == nil {
		return done, err
	}
	return *next, nil
}

// dueEscalations are the links whose time has come; none comes a second time.
func dueEscalations(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Told, error) {
	rows, err := tx.Query(ctx, `
		UPDATE escalation
		SET next_at = NULL
		WHERE case_id = @case AND ended_at IS NULL AND next_at <= now()
		RETURNING clock, clock_started_at AS started, stage, rule, link + 1 AS link`,
		pgx.NamedArgs{"case": caseID})
	if err != nil {
		return nil, fmt.Errorf("due escalations: %w", err)
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByNameLax[Told])
	if err != nil {
		return nil, fmt.Errorf("due escalations: %w", err)
	}
	return due, nil
}

// endEscalations: a clock has ended, or starts anew, and with it whatever was
// told of it.
func endEscalations(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, clock ClockName, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE escalation
		SET ended_at = @now, next_at = NULL
		WHERE case_id = @case AND clock = @clock AND (heeded_at IS NULL OR next_at IS NOT NULL) AND ended_at IS NULL`,
		pgx.NamedArgs{"case": caseID, "clock": clock, "now": now})
	if err != nil {
		return fmt.Errorf("end escalations: %w", err)
	}
	return nil
}

// putOffEscalations moves what is to come by the time that the case has rested.
func putOffEscalations(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, due time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE escalation
		SET next_at = next_at + (@due - (SELECT min(next_at) FROM escalation WHERE case_id = @case AND ended_at IS NULL))
		WHERE case_id = @case AND ended_at IS NULL AND next_at IS NOT NULL`,
		pgx.NamedArgs{"case": caseID, "due": due})
	if err != nil {
		return fmt.Errorf("put off escalations: %w", err)
	}
	return nil
}

var tellFirst = Effect{"tellFirst", "who is to be told at this stage by the policy's escalations is told",
	func(ctx context.Context, t *turn) error {
		if t.in.ClockStarted == nil {
			return nil
		}
		return t.startEscalations(ctx, t.in.Clock, t.in.Percent, *t.in.ClockStarted)
	}}

var tellNext = Effect{"tellNext", "nobody has taken note in time: the next one in the chain is told",
	func(ctx context.Context, t *turn) error { return t.tell(ctx, *t.in.Next) }}

package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Page is one line of the worklist of somebody who was told: what they are to
// look after.
type Page struct {
	EscalationID uuid.UUID
	CaseID       uuid.UUID
	TaskID       string
	OpenedAt     time.Time
	State        State
	Priority     string
	Order        string // the placer's number
	Exam         string // "CT Head W contrast IV"
	Concealed    bool   // the original is not revealed
	Clock        ClockName
	Stage        int
	Reminder     int `db:"-"` // Told.Reminder
	ToldAt       time.Time
	DeadlineAt   *time.Time
	Rule, Link   int
	Policy       Policy // of the case
}

// Number is the number of the page's case.
func (p Page) Number() string { return (Case{CaseID: p.CaseID, OpenedAt: p.OpenedAt}).Number() }

// Family is the kind of clock, without the number of its finding or question.
func (p Page) Family() string { return string(p.Clock.family()) }

// mostPages is how many lines a worklist has of them.
const mostPages = 50

// PagesTx returns what stands on the actor's worklist because they were told:
// as the reader of a case, or by their role; one line for each clock, the last they were
// told of it. Emergencies come first, then what is due next. There is nothing of the
// patient in it.
func PagesTx(ctx context.Context, tx pgx.Tx, actor access.Actor) ([]Page, error) {
	rows, err := tx.Query(ctx, `
		WITH told AS (
			SELECT DISTINCT ON (e.case_id, e.clock) e.escalation_id, e.tenant_id, e.case_id, e.clock, e.stage, e.rule, e.link, e.told_at
			FROM escalation e
			WHERE e.tenant_id = overread_tenant() AND e.heeded_at IS NULL AND e.ended_at IS NULL AND 'page' = ANY (e.ways)
			  AND (e.tell = @role OR e.tell = 'reader' AND e.person_id = @person AND @reads)
			ORDER BY e.case_id, e.clock, e.told_at DESC, e.stage DESC, e.link DESC
		)
		SELECT e.escalation_id, e.case_id, c.task_id, c.opened_at, c.state, c.priority, c.placer_value AS "order", coalesce(c.exam->>'display', '') AS exam,
		       c.revealed_at IS NULL OR c.veiled AS concealed, e.clock, e.stage, e.told_at, a.deadline_at, e.rule, e.link, c.policy
		FROM told e
		JOIN case_file c ON c.tenant_id = e.tenant_id AND c.case_id = e.case_id
		LEFT JOIN agenda a ON a.tenant_id = e.tenant_id AND a.case_id = e.case_id AND a.kind = 'clock-' || e.clock
		ORDER BY coalesce(array_position(@pressing::text[], split_part(e.clock, '/', 1)), 9), a.deadline_at NULLS LAST, e.told_at, e.escalation_id
		LIMIT @most`,
		pgx.NamedArgs{"role": pagedAs(actor), "person": actor.ID, "reads": reads(actor.Role), "pressing": pressingClocks, "most": mostPages})
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	pages, err := pgx.CollectRows(rows, pgx.RowToStructByName[Page])
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	for i := range pages {
		p := &pages[i]
		p.Reminder = reminderNo(p.Clock, p.Link, p.Policy.chain(p.Rule, p.Clock))
	}
	return pages, nil
}

// pagedAs is the addressee that the actor's role is, "" for none.
func pagedAs(actor access.Actor) Addressee {
	switch actor.Role {
	case access.Coordinator:
		return TellCoordinator
	case access.Director:
		return TellDirector
	}
	return ""
}

func reads(role access.Role) bool {
	return role == access.Reader || role == access.Adjudicator || role == access.Supervisor
}

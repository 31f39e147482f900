package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Whoever reads a case is told on their worklist when somebody else changes it
// under their hands. The line goes when they do something with the case, and after
// noticeLasts.

const noticeLasts = 7 * 24 * time.Hour

// noticed are the events of which readers are told, and the words.
var noticed = map[Event]string{
	"hold":             Phrase("The placer has put the case on hold."),
	"resume":           Phrase("The placer has resumed the case."),
	"cancel":           Phrase("The placer has cancelled the order. What was written is sealed and kept."),
	"reprioritise":     Phrase("The placer has changed the priority."),
	"correct":          Phrase("Patient, study, exam, body part or side of the order were corrected, or the patient's consent was. Do not go on: the coordinator looks at it."),
	"continue-reading": Phrase("The coordinator has looked at the correction of the order: the images are those that you read, and you may go on. Look at the patient again."),
	"question-changes": Phrase("The question of the order, or what it tells of the patient, has changed. Look at it before you go on."),
	"original-arrives": Phrase("The first report of the study has come. Compare your opinion with it, and grade, before you sign."),
	"original-changes": Phrase("The original report has changed since it was revealed, or names its readers otherwise. Look at it again."),
	"restart-reading":  Phrase("The order was corrected, and the coordinator has the reading begin anew. What was written is sealed and kept."),
	"follow-patient":   Phrase("The record of the patient was merged with another one, or parted from it. Look at the patient again."),
	"study-grows":      Phrase("More images have come to the study. Look at them before you go on."),
	"reassign":         Phrase("The coordinator has given the case to another reader. What was written is sealed and kept."),
	"declare-error":    Phrase("The medical director has declared the case an error."),
}

// Notice is one line. It names nobody.
type Notice struct {
	CaseID   uuid.UUID
	TaskID   string
	State    State
	Event    Event
	Priority string // that the case had after the event
	Order    string // the placer's number
	Exam     string // "CT Head W contrast IV"
	ToldAt   time.Time
}

// Words are what the line says.
func (n Notice) Words() string {
	if n.Event == "reprioritise" {
		return Phrase("The placer has changed the priority to %s.", n.Priority)
	}
	return noticed[n.Event]
}

// hands are the people who have a part in the reading of a case now.
func (c *Case) hands() (people []uuid.UUID) {
	for _, id := range []*uuid.UUID{c.ReaderID, c.OtherReaderID, c.OfferedTo, c.AdjudicatorID} {
		if id != nil && !slices.Contains(people, *id) {
			people = append(people, *id)
		}
	}
	return people
}

// tellHands writes the lines of an event. hands are those who had the case before it.
func (t *turn) tellHands(ctx context.Context, hands []uuid.UUID) error {
	if noticed[t.event] == "" || slices.Contains(join(signed, in(Amending)), t.c.State) {
		return nil
	}
	if (t.event == "original-changes" || t.event == "original-arrives") && t.c.Concealed() { // who reads blind does not hear of it
		return nil
	}
	hands = slices.DeleteFunc(hands, func(id uuid.UUID) bool { return id == t.actor.ID })
	return t.ledger.insertNotices(ctx, t.c, t.event, hands, t.now)
}

func insertNotices(ctx context.Context, tx pgx.Tx, c *Case, event Event, people []uuid.UUID, now time.Time) error {
	if len(people) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO case_notice (tenant_id, case_id, seq, person_id, event, priority, told_at)
		SELECT @tenant, @case, @seq, person, @event, @priority, @now
		FROM unnest(@people::uuid[]) AS person`,
		pgx.NamedArgs{"tenant": c.TenantID, "case": c.CaseID, "seq": c.Version, "event": event, "priority": c.Priority, "now": now, "people": people})
	if err != nil {
		return fmt.Errorf("tell the readers: %w", err)
	}
	return nil
}

// NoticesTx are the lines on the worklist of a reader, adjudicator or supervisor, the
// newest first: at most so many, after those that are skipped. There are none for other
// roles.
func NoticesTx(ctx context.Context, tx pgx.Tx, actor access.Actor, skip, most int) ([]Notice, error) {
	return noticesTx(ctx, tx, actor, nil, skip, most)
}

// NoticesOfTx are those of one case.
func NoticesOfTx(ctx context.Context, tx pgx.Tx, actor access.Actor, id uuid.UUID) ([]Notice, error) {
	return noticesTx(ctx, tx, actor, &id, 0, mostOfCase)
}

// mostOfCase is how many lines about one case its page has.
const mostOfCase = 20

func noticesTx(ctx context.Context, tx pgx.Tx, actor access.Actor, of *uuid.UUID, skip, most int) ([]Notice, error) {
	if !reads(actor.Role) {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `
		SELECT n.case_id, c.task_id, c.state, n.event, n.priority, c.placer_value AS "order", coalesce(c.exam->>'display', '') AS exam, n.told_at
		FROM case_notice n
		JOIN case_file c ON c.tenant_id = n.tenant_id AND c.case_id = n.case_id
		WHERE n.person_id = @me AND n.told_at > now() - make_interval(secs => @lasts) AND (@of::uuid IS NULL OR n.case_id = @of)
		  AND NOT EXISTS (SELECT FROM case_event e
		                  WHERE e.tenant_id = n.tenant_id AND e.case_id = n.case_id AND e.seq > n.seq AND e.actor_id = @me)
		ORDER BY n.told_at DESC, n.seq DESC
		LIMIT @most OFFSET @skip`,
		pgx.NamedArgs{"me": actor.ID, "lasts": noticeLasts.Seconds(), "of": of, "skip": skip, "most": most})
	if err != nil {
		return nil, fmt.Errorf("notices: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Notice])
}

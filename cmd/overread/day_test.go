package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// scene is one case of the department's day.
type scene struct {
	hour, story string
	hospital    string // "" is mercy, where readers claim from the pool; at lakeside cases are offered
	sample      string
	quirk       string
	priority    string // "" is routine
	chapters    []chapter
	chart       []string // the versions of the report that the EHR has at the end, by status
}

// Besides a token's name, these do something in a chapter of a scene: whoever has the
// case or its offer, and time, which lets the row of the agenda of the kind that is
// named come due. What nobody may do is "may not" it; day_besides_test.go has what else
// is done.
const whoever, passes = "whoever", "time"

// TestADayOfTheDepartment lives through the day, one case beside the other, with
// the jobs of the server at work. What takes hours is made to be due at once.
func TestADayOfTheDepartment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "mercy", "lakeside")
	for i, s := range theDay {
		t.Run(s.hour+" "+s.sample, func(t *testing.T) {
			t.Parallel()
			w.livesOn(t, s, 700+i)
		})
	}
}

func (w *world) livesOn(t *testing.T, s scene, number int) {
	t.Helper()
	hospital, priority := s.hospital, s.priority
	if hospital == "" {
		hospital = "mercy"
	}
	if priority == "" {
		priority = "routine"
	}
	o := order{ehr: w.chart.base, number: fmt.Sprint("DAY-", number), hospital: hospital, priority: priority,
		patient: person{fmt.Sprint(300000 + number), "Day", "Person", "female", birth(s.sample)}, sample: samples[s.sample], quirk: s.quirk, at: time.Now()}
	task, err := w.order(t.Context(), o, w.clients[hospital+"-placer"])
	if err != nil {
		t.Fatalf("%s: %v", s.story, err)
	}
	for i, c := range s.chapters {
		if err := w.happens(t, o, task, c); err != nil {
			t.Fatalf("%s\nchapter %d: %s, %s: %v", s.story, i, c.who, c.does, err)
		}
		eventually(t, fmt.Sprintf("%s\nchapter %d: after %s, %s the case is to be %s", s.story, i, c.who, c.does, c.then), func() error {
			return w.mustBe(t, o, task, c)
		})
	}
	w.chartHas(t, o, s.chart)
}

// birth is when the patient of a sample was born: children's exams are of children.
func birth(sample string) string {
	if samples[sample].Who == "child" {
		return time.Now().AddDate(-7, 0, 0).Format(time.DateOnly)
	}
	return "1960-01-31"
}

// happens does what a chapter of a scene says.
func (w *world) happens(t *testing.T, o order, task string, c chapter) error {
	if c.does == "" {
		return nil
	}
	if c.who == passes {
		return w.comesDue(t.Context(), o.hospital, task, c.does)
	}
	if c.who == whoever {
		name, err := w.offeredTo(t.Context(), o.hospital, task)
		if err != nil {
			return err
		}
		c.who = name
	}
	if what, ok := strings.CutPrefix(c.does, "may not "); ok {
		if _, err := w.clients[o.hospital+"-"+c.who].op(t.Context(), task, what, c.with...); err == nil {
			return errors.New("it was let")
		}
		return nil
	}
	for words, deed := range besides {
		if strings.HasPrefix(c.does, words) {
			return deed(w, t, o, task, c)
		}
	}
	return w.perform(t, o, task, c)
}

// comesDue lets the time of a row of the agenda come, as the hours would.
func (w *world) comesDue(ctx context.Context, hospital, task, kind string) error {
	conn, err := pgx.Connect(ctx, w.database.URL)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if kind == "escalate" { // the next in the chain has a time of their own
		if _, err := conn.Exec(ctx, `
			UPDATE escalation
			SET next_at = now()
			FROM case_file c
			WHERE escalation.tenant_id = c.tenant_id AND escalation.case_id = c.case_id
			  AND c.tenant_id = $1 AND c.task_id = $2 AND escalation.next_at IS NOT NULL`, w.tenants[hospital], task); err != nil {
			return err
		}
	}
	var id uuid.UUID
	err = conn.QueryRow(ctx, `
		UPDATE agenda
		SET due_at = now()
		FROM case_file c
		WHERE agenda.tenant_id = c.tenant_id AND agenda.case_id = c.case_id
		  AND c.tenant_id = $1 AND c.task_id = $2 AND agenda.kind = $3
		RETURNING agenda.case_id`, w.tenants[hospital], task, kind).Scan(&id)
	if err != nil {
		return fmt.Errorf("%s is not on the agenda: %w", kind, err)
	}
	for due := true; due; { // until it is worked, here or by the server's own jobs
		if err := w.settle(ctx); err != nil {
			return err
		}
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM agenda WHERE case_id = $1 AND kind = $2 AND due_at <= now() + interval '2 s')`, id, kind).Scan(&due)
		if err != nil {
			return err
		}
	}
	return nil
}

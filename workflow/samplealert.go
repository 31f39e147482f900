package workflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// A second read for quality is nobody's chart, and no EHR is told of it. But what is
// found in it concerns a patient, whose clinicians have the report that was sampled:
// something urgent or emergent becomes a finding of that case, and goes the way of
// every finding. It says what was seen, and neither that there is a sample nor who
// read it. The reader of the sample has a finding of their own case, as of any.

// alertSampled has the case that was sampled look at what was found.
func (t *turn) alertSampled(ctx context.Context, m Matter) error {
	if t.c.SampleOf == nil || !m.isPressing() {
		return nil
	}
	if err := t.plan(ctx, sampleTold, t.now.Add(time.Minute), restart); err != nil {
		return err
	}
	return t.tellSampled(ctx, sampleAlert)
}

// alertOfSample raises one of the findings of a case's second read for quality that
// waits to be told, and comes again for the next. Other words are told, however
// pressing a finding of the case is already: nobody knows that it is the same.
func (e *Engine) alertOfSample(ctx context.Context, j job) (time.Time, error) {
	var sample uuid.UUID
	err := j.tx.QueryRow(ctx, `SELECT case_id FROM case_file WHERE sample_of = $1`, j.c.CaseID).Scan(&sample)
	if errors.Is(err, pgx.ErrNoRows) {
		return done, nil
	}
	if err != nil {
		return done, fmt.Errorf("the second read of a case: %w", err)
	}
	seen, err := j.ledger.matters(ctx, sample)
	if err != nil {
		return done, err
	}
	known, err := j.ledger.matters(ctx, j.c.CaseID)
	if err != nil {
		return done, err
	}
	for _, m := range seen {
		if m.Open() && m.isPressing() && !slices.ContainsFunc(known, m.isToldBy) {
			return j.now, e.fireSystem(ctx, j, "sample-alert", Input{Finding: &RaisedFinding{Category: m.Category, Text: m.Content.Text}})
		}
	}
	return done, nil
}

// isToldBy: the finding of a sample need not be told, since one of the case that was
// sampled says it in the same words: one that is open, or that came after it, which
// may be acknowledged or taken back since. What was over before says nothing of it.
func (m Matter) isToldBy(k Matter) bool {
	return m.sameAs(k) && (k.Open() || !k.OpenedAt.Before(m.OpenedAt))
}

func (m Matter) sameAs(k Matter) bool {
	return k.tellsOf(m.Category, m.Content.Text)
}

// settleTold acknowledges a finding of a second read for quality that a clinician has
// acknowledged of the case that was sampled, so that nobody is called for it again.
func (e *Engine) settleTold(ctx context.Context, j job) (time.Time, error) {
	if j.c.SampleOf == nil {
		return done, nil
	}
	own, err := j.ledger.matters(ctx, j.c.CaseID)
	if err != nil {
		return done, err
	}
	told, err := j.ledger.matters(ctx, *j.c.SampleOf)
	if err != nil {
		return done, err
	}
	again := done
	for _, m := range own {
		if !m.Open() || !m.isPressing() {
			continue
		}
		again = j.now.Add(time.Minute)
		i := slices.IndexFunc(told, func(k Matter) bool {
			return !k.Open() && !k.Withdrawn() && !k.SettledAt.Before(m.OpenedAt) && m.sameAs(k)
		})
		if i >= 0 {
			who := Acknowledged{Person: told[i].Closing.Person, Role: told[i].Closing.Role}
			return again, e.fireSystem(ctx, j, "acknowledge-finding", Input{Matter: m.No, Acknowledged: who})
		}
	}
	return again, nil
}

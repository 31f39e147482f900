package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// That a first reader and one of ours are the same person may come to light by neither
// a report nor a study: a Practitioner gets an identifier that the other one has. The
// signed cases of that reader whose first reader is so named are looked at again, one
// by one by the agenda.

// Identity is somebody of whom more is known now.
type Identity struct {
	Practitioner string   // id here; "" where only a role is known
	Names        []string // all by which they are or were known: Practitioner/{id} here, or system|value
	Gained       []string // of these what was not known before
}

// IdentifiedTx puts the signed cases on the agenda in which one of the tenant's readers
// had a part who turns out to be somebody by whom the study was read first, as far as the case
// knows. Of whom is none of our readers it asks nothing more.
func IdentifiedTx(ctx context.Context, tx pgx.Tx, who Identity, now time.Time) error {
	if len(who.Gained) == 0 {
		return nil
	}
	readers, err := queryReaders(ctx, tx, nil)
	if err != nil {
		return err
	}
	for _, r := range readers {
		own := r.PractitionerID == who.Practitioner
		if !own && !meet(who.Gained, r.names()) {
			continue
		}
		first := who.Names
		former := r
		if own { // known already by the rest of the names
			first = who.Gained
			former.Identifiers = slices.DeleteFunc(slices.Clone(r.Identifiers), func(name string) bool { return slices.Contains(who.Gained, name) })
		}
		if err := lookWhoReadTx(ctx, tx, former, first, now); err != nil {
			return err
		}
	}
	return nil
}

// lookWhoReadTx is one statement, whatever number of cases it concerns.
func lookWhoReadTx(ctx context.Context, tx pgx.Tx, former Reader, first []string, now time.Time) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at)
		SELECT tenant_id, case_id, @kind, @now, @now
		FROM case_file
		WHERE tenant_id = overread_tenant() AND state = ANY (@signed) AND sample_of IS NULL
		  AND @reader IN (reader_id, other_reader_id, adjudicator_id, supervisor_id)
		  AND exam -> 'originalReaders' ?| @first AND NOT exam -> 'originalReaders' ?| @former
		ON CONFLICT (tenant_id, case_id, kind) DO NOTHING`,
		pgx.NamedArgs{"kind": whoRead, "now": now, "signed": join(signed, in(Amending)), "reader": former.ID, "first": first, "former": former.names()})
	if err != nil {
		return fmt.Errorf("look who read first: %w", err)
	}
	return nil
}

// lookWhoRead looks at a signed case anew: its first readers may be named otherwise, or
// those who had a part in it.
func (e *Engine) lookWhoRead(ctx context.Context, j job) (time.Time, error) {
	if err := e.reconsiderSigned(ctx, j); err != nil {
		return done, err
	}
	told, err := j.ledger.matters(ctx, j.c.CaseID)
	if err != nil || slices.ContainsFunc(told, func(m Matter) bool { return m.Content.SameReader && !m.Withdrawn() }) {
		return done, err
	}
	facts, err := e.hooks.Facts(ctx, j.tx, j.c)
	if err != nil {
		return done, fmt.Errorf("facts: %w", err)
	}
	report, err := j.ledger.lastReport(ctx, j.c.CaseID)
	if err != nil {
		return done, err
	}
	t := &turn{ledger: j.ledger, c: j.c}
	for _, who := range report.hadPart() {
		why, err := t.readFirstOf(ctx, who, j.c.Exam.of(facts.First))
		if err != nil {
			return done, err
		}
		if why != "" {
			return done, e.fireSystem(ctx, j, "first-reader-named", Input{Facts: &facts, ReaderID: &who})
		}
	}
	return done, nil
}

// identified is whom an event of the system says to be the first reader, by what has
// become known of them.
func (t *turn) identified(who uuid.UUID) bool { return t.in.ReaderID != nil && *t.in.ReaderID == who }

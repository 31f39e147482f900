package workflow

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// What is known of a case's study in the PACS is a row of pacs_look. The checks
// want it (pacsFactsTx), the scout gets it (pacs_scout.go).

const (
	pacsPatience = 90 * time.Second // a case is not told more than that it was received for so long; then the PACS counts as unreachable
	pacsFresh    = 10 * time.Minute // what was seen longer ago is looked at again when a case is checked
	pacsRest     = 10 * time.Second // after the first time that the PACS could not be asked
	pacsRestMax  = 5 * time.Minute
	pacsGrowing  = time.Minute // between two looks at a study that grows
)

// atIntake are the states in which a case is looked up.
var atIntake = in(Received, IntakeReview, AwaitingInformation, AwaitingImages)

// lookedAtAfter are the states in which a study that was reported is looked at for a
// while, since images may come late or be replaced; lookedAt are all in which a
// look is wanted.
var (
	lookedAtAfter = in(Final, Closed, Amending)
	lookedAt      = join(atIntake, lookedAtAfter)
)

// lookAfterSigning wants the first look at a study after its report was signed.
var lookAfterSigning = Effect{"lookAfterSigning", "the PACS is asked now and then whether the study has grown: hourly on the first day, then daily for a month",
	func(ctx context.Context, t *turn) error {
		if t.c.SampleOf != nil {
			return nil // the report that was sampled is looked after
		}
		return t.ledger.wantLookAfter(ctx, t.c, pauseAfterSigning(*t.c, t.now))
	}}

func wantLookAfterTx(ctx context.Context, tx pgx.Tx, c *Case, pause time.Duration) error {
	_, err := tx.Exec(ctx, `
		UPDATE pacs_look
		SET due_at = now() + @pause::interval
		WHERE case_id = @case AND due_at IS NULL AND EXISTS (SELECT FROM pacs)`,
		pgx.NamedArgs{"case": c.CaseID, "pause": pause})
	if err != nil {
		return fmt.Errorf("want a look after the signature: %w", err)
	}
	return nil
}

// pauseAfterSigning is how long until the next look at a study that was reported;
// 0: there is none any more.
func pauseAfterSigning(c Case, now time.Time) time.Duration {
	if c.FinalAt == nil {
		return time.Hour
	}
	switch age := now.Sub(*c.FinalAt); {
	case age < 24*time.Hour:
		return time.Hour
	case age < 30*24*time.Hour:
		return 24 * time.Hour
	}
	return 0
}

// pacsFactsTx is what the PACS last said about the study, and asks for a look
// where there is none, or none that is fresh. nil: the tenant has no PACS. The
// caller holds the case.
func pacsFactsTx(ctx context.Context, tx pgx.Tx, c *Case, f Facts) (*PACSFacts, error) {
	var has bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pacs)`).Scan(&has); err != nil {
		return nil, fmt.Errorf("PACS of the tenant: %w", err)
	}
	switch {
	case !has:
		return nil, nil
	case !isUID(f.Study.UID) && !maySearch(f.Study.Accession):
		return &PACSFacts{Answer: pacsUnnamed}, nil
	case slices.Contains(atIntake, c.State):
		if err := wantLookTx(ctx, tx, c, f); err != nil {
			return nil, err
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT coalesce(answer, '') AS answer, coalesce(seen, '{}') AS seen,
		       coalesce(looked_at - counted_since >= make_interval(mins => @steady), false) AS steady,
		       looked_at IS NULL OR looked_at < asked_at AS pending,
		       now() - asked_at > @patience::interval AS overdue
		FROM pacs_look
		WHERE case_id = @case_id AND study_uid = @uid AND accession = @accession AND accession_system = @accession_system`,
		lookArgs(c, f, pgx.NamedArgs{"steady": c.Policy.imagesSteady(), "patience": pacsPatience}))
	if err != nil {
		return nil, fmt.Errorf("look at the PACS: %w", err)
	}
	looks, err := pgx.CollectRows(rows, pgx.RowToStructByName[struct {
		Answer                   PACSAnswer
		Seen                     StudyInPACS
		Steady, Pending, Overdue bool
	}])
	if err != nil || len(looks) == 0 { // accepted before the tenant had a PACS
		return nil, err
	}
	look := looks[0]
	switch {
	case look.Pending && look.Overdue:
		return &PACSFacts{Answer: PACSUnreachable}, nil
	case look.Pending:
		return &PACSFacts{}, nil
	}
	return &PACSFacts{Answer: look.Answer, Study: look.Seen, Steady: look.Steady}, nil
}

func lookArgs(c *Case, f Facts, more pgx.NamedArgs) pgx.NamedArgs {
	more["tenant_id"], more["case_id"], more["sides"] = c.TenantID, c.CaseID, f.wantedSide() != ""
	more["uid"], more["accession"], more["accession_system"] = "", "", f.Study.AccessionOf
	if isUID(f.Study.UID) {
		more["uid"] = f.Study.UID
	}
	if maySearch(f.Study.Accession) {
		more["accession"] = f.Study.Accession
	}
	return more
}

// wantLookTx asks for a look: for the first time, because the order means
// another study now, or because the last one is too old for the checks. A case
// that waits, and is not looked up any more since it was on hold, is again.
func wantLookTx(ctx context.Context, tx pgx.Tx, c *Case, f Facts) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO pacs_look AS l (tenant_id, case_id, study_uid, accession, accession_system, sides, due_at)
		VALUES (@tenant_id, @case_id, @uid, @accession, @accession_system, @sides, now())
		ON CONFLICT (tenant_id, case_id) DO UPDATE
		SET study_uid = EXCLUDED.study_uid, accession = EXCLUDED.accession, accession_system = EXCLUDED.accession_system,
		    sides = EXCLUDED.sides, asked_at = now(), due_at = now(), tries = 0, epoch = l.epoch + 1, lease_until = NULL,
		    answer = NULL, instances = NULL, counted_since = NULL, looked_at = NULL, seen = NULL
		WHERE (l.study_uid, l.accession, l.accession_system, l.sides)
		      IS DISTINCT FROM (EXCLUDED.study_uid, EXCLUDED.accession, EXCLUDED.accession_system, EXCLUDED.sides)`,
		lookArgs(c, f, pgx.NamedArgs{}))
	if err != nil {
		return fmt.Errorf("want a look at the PACS: %w", err)
	}
	_, err = tx.Exec(ctx, `
		UPDATE pacs_look
		SET asked_at = CASE WHEN @checked THEN now() ELSE asked_at END, due_at = now()
		WHERE case_id = @case_id AND looked_at >= asked_at
		  AND CASE WHEN @checked THEN looked_at < now() - @fresh::interval ELSE due_at IS NULL END`,
		pgx.NamedArgs{"case_id": c.CaseID, "checked": c.State == Received, "fresh": pacsFresh})
	if err != nil {
		return fmt.Errorf("want another look at the PACS: %w", err)
	}
	return nil
}

// errand is a claimed look: what to ask, whom, and the lease's number.
type errand struct {
	Inquiry
	Archives []Archive
	Epoch    int64
}

// claimLooks leases up to room looks that are due, a few for each tenant at
// once, and one where its PACS has failed again and again: that probes it. The
// choice is made as the system role, which sees no studies.
func claimLooks(ctx context.Context, db *pg.DB, room int) ([]errand, error) {
	var errands []errand
	err := db.System(ctx, func(tx pgx.Tx) error {
		errands = nil // fn may run twice
		leases, err := leaseLooksTx(ctx, tx, room)
		if err != nil {
			return err
		}
		for _, l := range leases {
			if err := pg.EnterTenant(ctx, tx, l.TenantID); err != nil {
				return err
			}
			e, wanted, err := readErrandTx(ctx, tx, l)
			if err != nil {
				return err
			}
			if wanted {
				errands = append(errands, e)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim looks: %w", err)
	}
	return errands, nil
}

const looksPerTenant = 4 // under way at once

type lookLease struct {
	TenantID uuid.UUID
	CaseID   uuid.UUID
	Epoch    int64
}

func leaseLooksTx(ctx context.Context, tx pgx.Tx, room int) ([]lookLease, error) {
	rows, err := tx.Query(ctx, `
		WITH open AS (
			SELECT tenant_id, max(CASE WHEN failures >= @trip THEN 1 ELSE @each END) AS bears,
			       sum(timeout_ms) * interval '1 millisecond' AS longest
			FROM pacs
			WHERE (breaker_until IS NULL OR breaker_until <= now()) AND `+pg.AtWork+`
			GROUP BY tenant_id
		), due AS (
			SELECT l.tenant_id, l.case_id, l.due_at, open.longest,
			       row_number() OVER (PARTITION BY l.tenant_id ORDER BY l.due_at) AS nth,
			       open.bears - (SELECT count(*) FROM pacs_look b WHERE b.tenant_id = l.tenant_id AND b.lease_until > now()) AS bears
			FROM pacs_look l
			JOIN open USING (tenant_id)
			WHERE l.due_at <= now() AND (l.lease_until IS NULL OR l.lease_until <= now())
		), mine AS (
			SELECT l.tenant_id, l.case_id, due.longest
			FROM pacs_look l
			JOIN due USING (tenant_id, case_id)
			WHERE due.nth <= due.bears
			ORDER BY due.nth, due.due_at
			LIMIT @room
			FOR UPDATE OF l SKIP LOCKED
		)
		UPDATE pacs_look l
		SET lease_until = now() + mine.longest + @slack::interval, epoch = l.epoch + 1
		FROM mine
		WHERE l.tenant_id = mine.tenant_id AND l.case_id = mine.case_id
		  AND l.due_at <= now() AND (l.lease_until IS NULL OR l.lease_until <= now())
		RETURNING l.tenant_id, l.case_id, l.epoch`,
		pgx.NamedArgs{"trip": breakerTrip, "each": looksPerTenant, "room": room, "slack": leaseSlack})
	if err != nil {
		return nil, fmt.Errorf("lease looks: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[lookLease])
}

// readErrandTx reads what is to be asked. A case that has gone on meanwhile wants
// nothing more.
func readErrandTx(ctx context.Context, tx pgx.Tx, l lookLease) (e errand, wanted bool, err error) {
	e = errand{Inquiry: Inquiry{TenantID: l.TenantID, CaseID: l.CaseID}, Epoch: l.Epoch}
	err = tx.QueryRow(ctx, `
		SELECT l.study_uid, l.accession, l.accession_system, l.sides, c.state = ANY (@at_intake)
		FROM pacs_look l
		JOIN case_file c USING (tenant_id, case_id)
		WHERE case_id = @case`,
		pgx.NamedArgs{"case": l.CaseID, "at_intake": lookedAt}).
		Scan(&e.UID, &e.Accession, &e.AccessionSystem, &e.Sides, &wanted)
	if err != nil {
		return errand{}, false, fmt.Errorf("read the look of case %s: %w", l.CaseID, err)
	}
	if !wanted {
		_, err = tx.Exec(ctx, `UPDATE pacs_look SET due_at = NULL, lease_until = NULL WHERE case_id = $1`, l.CaseID)
		return errand{}, false, err
	}
	e.Archives, err = ArchivesTx(ctx, tx)
	return e, true, err
}

// pacsPause is how long until the next look after this answer.
func pacsPause(s Sighting, tries int, growing bool, priority string) time.Duration {
	switch {
	case s.sick():
		pause := doubled(pacsRest, tries, pacsRestMax)
		return max(pause/2+rand.N(pause/2), s.Wait)
	case growing:
		return pacsGrowing
	}
	most := map[string]time.Duration{"stat": 2 * time.Minute, "asap": 5 * time.Minute, "urgent": 15 * time.Minute}
	pause := lookPause(tries)
	if limit, ok := most[priority]; ok {
		pause = min(pause, limit)
	}
	return pause
}

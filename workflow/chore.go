package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// job is one agenda row at work, in its claiming transaction, with its case
// locked.
type job struct {
	ledger ledger
	tx     pgx.Tx // for the hooks only
	c      *Case
	row    entry
	now    time.Time
}

var done time.Time // what a chore returns that need not come again

// fireSystem fires an event of the server's own.
func (e *Engine) fireSystem(ctx context.Context, j job, ev Event, in Input) error {
	_, err := e.fire(ctx, &turn{ledger: j.ledger, tx: j.tx, actor: access.SystemActor(j.c.TenantID), c: j.c, event: ev, in: in, now: j.now, detail: map[string]any{}})
	return err
}

func (e *Engine) runChecks(ctx context.Context, j job) (time.Time, error) {
	facts, found, err := e.evaluate(ctx, j)
	if err != nil {
		return done, err
	}
	if facts.PACS != nil && facts.PACS.Answer == "" {
		return j.now.Add(pacsPatience), nil // the scout wakes it when the answer is here
	}
	if j.c.beingRead() && len(j.c.corrections(facts)) > 0 {
		return done, e.noticeCorrection(ctx, j, facts) // the checks run when that is decided
	}
	if err := e.doubtWhose(ctx, j, facts); err != nil { // before the case is of the other patient
		return done, err
	}
	return done, e.fireSystem(ctx, j, j.c.intakeEvent(found), Input{Facts: &facts, Findings: found})
}

// intakeEvent is what the findings mean for the case. No placer knows of a second
// read for quality, and so none is waited for: what it lacks is the coordinator's.
// Where the PACS lacks images it is asked again all the same.
func (c *Case) intakeEvent(found []Finding) Event {
	ev := intakeEvent(found)
	if c.SampleOf == nil || ev != "miss-information" && ev != "miss-images" {
		return ev
	}
	if slices.ContainsFunc(found, func(f Finding) bool { return strings.HasPrefix(f.Code, "pacs-") }) {
		return ev
	}
	return "doubt"
}

// evaluate gathers the facts of a case and runs the checks on them.
func (e *Engine) evaluate(ctx context.Context, j job) (Facts, []Finding, error) {
	facts, err := e.hooks.Facts(ctx, j.tx, j.c)
	if err != nil {
		return Facts{}, nil, fmt.Errorf("facts: %w", err)
	}
	j.c.forgetWaived(facts)
	facts.Priority = j.c.Priority
	if facts.Study != nil {
		if j.c.SampleOf == nil { // which is one, on purpose
			if facts.Duplicates, err = j.ledger.duplicates(ctx, j.c, facts); err != nil {
				return Facts{}, nil, err
			}
		}
		facts.PACS, err = j.ledger.pacs(ctx, j.c, facts)
	}
	return facts, EvalIntake(facts, j.c.Policy, j.c.Waived), err
}

// duplicatesTx returns the Tasks of earlier cases on the same study that are
// open, or were final within the policy's days. Second reads for quality are none:
// no placer knows of them. A case that asks another question is none: one whose coded
// reasons and those of this order are both known and have nothing in common.
func duplicatesTx(ctx context.Context, tx pgx.Tx, c *Case, f Facts) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT task_id
		FROM case_file
		WHERE study_uid = @study_uid AND case_id <> @case_id AND sample_of IS NULL
		  AND state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
		  AND (opened_at, case_id) < (@opened_at, @case_id)
		  AND (final_at IS NULL OR final_at > now() - make_interval(days => @days))
		  AND NOT coalesce(
		        @reasons::text[] <> '{}'
		        AND EXISTS (SELECT FROM jsonb_array_elements_text(exam -> 'reasons') AS r WHERE NOT starts_with(r, @marker))
		        AND NOT exam -> 'reasons' ?| @reasons::text[], false)
		ORDER BY opened_at`,
		pgx.NamedArgs{"study_uid": f.Study.UID, "reasons": f.Exam.questions(), "marker": secondOpinionMarker, "case_id": c.CaseID, "opened_at": c.OpenedAt, "days": c.Policy.DuplicateWithinDays})
	if err != nil {
		return nil, fmt.Errorf("duplicates: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// lookPause is how long until the n-th look at what is missing.
func lookPause(n int) time.Duration {
	pauses := []int{1, 2, 5, 10, 30, 60}
	return time.Duration(pauses[min(n, len(pauses)-1)]) * time.Minute
}

func (e *Engine) lookAgain(ctx context.Context, j job) (time.Time, error) {
	if err := e.reconsider(ctx, j); err != nil {
		return done, err
	}
	if !slices.Contains(in(AwaitingInformation, AwaitingImages), j.c.State) {
		return done, nil
	}
	return j.now.Add(lookPause(j.row.Stage + 1)), nil
}

// RecheckTx looks at cases anew, because something arrived or changed that may
// concern them. Where that changes nothing, nothing happens; else a case that
// is not accepted yet goes through the intake checks again, and one that is
// being read gets the original report that came late, or changed.
func (e *Engine) RecheckTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, caseIDs ...uuid.UUID) error {
	for _, id := range caseIDs {
		c, err := lockCase(ctx, tx, id)
		if fault.Is(err, fault.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if c.TenantID != tenant {
			return fmt.Errorf("recheck: case %s is not of tenant %s", id, tenant)
		}
		if err := e.reconsider(ctx, job{ledger: sqlLedger{tx}, tx: tx, c: &c, now: e.moment()}); err != nil {
			return err
		}
	}
	return nil
}

// reconsiderSigned: nobody changes a signed report but who signed it; what its order
// and its original say now may ask for that.
func (e *Engine) reconsiderSigned(ctx context.Context, j job) error {
	if j.c.SampleOf != nil { // what a second read for quality finds has a life of its own
		return nil
	}
	facts, err := e.hooks.Facts(ctx, j.tx, j.c)
	if err != nil {
		return err
	}
	if j.c.Exam.newFirstReaders(facts.First) {
		if err := e.fireSystem(ctx, j, "first-reader-named", Input{Facts: &facts}); err != nil {
			return err
		}
	}
	doubtful, err := e.noticeUnclear(ctx, j, facts)
	if err != nil {
		return err
	}
	if j.c.firstReportCame(facts) && (!facts.Original.Unclear || !doubtful) {
		if err := e.fireSystem(ctx, j, "original-arrives", Input{Facts: &facts}); err != nil {
			return err
		}
	}
	if err := e.originalRevised(ctx, j, facts); err != nil {
		return err
	}
	if err := e.strayed(ctx, j, facts); err != nil {
		return err
	}
	return e.orderedElsewhere(ctx, j, facts)
}

// reconsider compares what the checks say now with what they said before.
func (e *Engine) reconsider(ctx context.Context, j job) error {
	c := j.c
	if slices.Contains(join(signed, in(Amending)), c.State) {
		return e.reconsiderSigned(ctx, j)
	}
	ended := slices.Contains(unreported, c.State)
	if !ended && !slices.Contains(join(unsigned, in(OnHold)), c.State) {
		return nil
	}
	if ended { // nothing of it goes on but what was found
		open, err := hasOpen(ctx, j.ledger, c.CaseID, Matter.isFinding)
		if err != nil || !open {
			return err
		}
	}
	facts, found, err := e.evaluate(ctx, j) // which also withholds what came from blinded readers
	if err != nil {
		return err
	}
	if c.beingRead() && len(c.corrections(facts)) > 0 {
		return e.noticeCorrection(ctx, j, facts)
	}
	if err := e.doubtWhose(ctx, j, facts); err != nil || ended {
		return err
	}
	if err := e.noteChanges(ctx, j, facts); err != nil {
		return err
	}
	if c.State == Received || c.State == OnHold { // the checks are about to run anyway, or after the hold
		return nil
	}
	arrived := facts.Original != nil && !c.comparable()
	switch c.State {
	case IntakeReview, AwaitingInformation, AwaitingImages:
		if !slices.Equal(found, c.Findings) || arrived || c.meansAnother(facts) {
			return e.fireSystem(ctx, j, "recheck", Input{})
		}
	case Ready, Unassignable, Offered:
		if len(found) > 0 || c.meansAnother(facts) {
			return e.fireSystem(ctx, j, "recheck", Input{})
		}
	}
	if arrived && slices.Contains(join(beforeReveal, in(Comparing, AwaitingCosign)), c.State) {
		return e.fireSystem(ctx, j, "original-arrives", Input{Facts: &facts})
	}
	return nil
}

// noteChanges fires what stops nobody: another question, and an original that changed.
func (e *Engine) noteChanges(ctx context.Context, j job, facts Facts) error {
	if !j.c.beingRead() && !slices.Contains(in(Ready, Unassignable, Offered), j.c.State) {
		return nil
	}
	if j.c.otherQuestion(facts) {
		if err := e.fireSystem(ctx, j, "question-changes", Input{Facts: &facts}); err != nil {
			return err
		}
	}
	if j.c.originalDiffers(facts) {
		return e.fireSystem(ctx, j, "original-changes", Input{Facts: &facts})
	}
	return nil
}

// movedFrom: the order means another patient or study than the case keeps.
func (c *Case) movedFrom(f Facts) bool {
	return c.PatientID != nil && differ(*c.PatientID, f.OrderPatient) || f.Study != nil && c.otherStudy(*f.Study)
}

// meansAnother: the order means another patient, study, part of the body or exam than
// when the case took it.
func (c *Case) meansAnother(f Facts) bool { return c.movedFrom(f) || c.otherSite(f) || c.otherExam(f) }

func (e *Engine) timeOutInformation(ctx context.Context, j job) (time.Time, error) {
	if j.c.State != AwaitingInformation {
		return j.now.Add(time.Minute), nil // being checked just now
	}
	err := e.fireSystem(ctx, j, "proceed", Input{Reason: "the wait for information is over"})
	if fault.Is(err, fault.BusinessRule) { // it cannot go on without: the placer or the coordinator must act
		return j.now.Add(time.Hour), nil
	}
	return done, err
}

func (e *Engine) giveUpImages(ctx context.Context, j job) (time.Time, error) {
	if j.c.State != AwaitingImages {
		return j.now.Add(time.Hour), nil
	}
	return done, e.fireSystem(ctx, j, "give-up", Input{Reason: fmt.Sprintf("the images have not come in %d days", j.c.Policy.ImagesGiveUpDays)})
}

// matchPause is how long until matching is tried again for a case that nobody
// may read.
const matchPause = 5 * time.Minute

func (e *Engine) match(ctx context.Context, j job) (time.Time, error) {
	best, reasons, err := candidate(ctx, j)
	switch {
	case err != nil:
		return done, err
	case best == nil:
		return done, e.fireSystem(ctx, j, "find-nobody", Input{Candidates: reasons, Findings: []Finding{nobody(reasons)}})
	case j.c.Policy.Assignment == FromPool:
		return done, nil
	case j.c.Policy.Assignment == ByBatch:
		return done, j.ledger.write(ctx, entry{TenantID: j.c.TenantID, CaseID: j.c.CaseID, Kind: awaitBatch, StartedAt: j.now}, restart)
	}
	who := best.ID // the case keeps it, and not the list that it was chosen from
	return done, e.fireSystem(ctx, j, "offer", Input{ReaderID: &who})
}

func (e *Engine) matchAgain(ctx context.Context, j job) (time.Time, error) {
	need, err := needOf(ctx, j)
	if err != nil {
		return done, err
	}
	readers, err := j.ledger.candidates(ctx, need, j.c.Policy.Matching.FairDays, false)
	if err != nil {
		return done, err
	}
	if somebody := amongThem(readers, j.now); somebody(j.c.inRound(need, somebody)) {
		return done, e.fireSystem(ctx, j, "rematch", Input{})
	}
	return j.now.Add(matchPause), nil
}

// needOf is what the case asks of its reader, as its policy assigns cases.
func needOf(ctx context.Context, j job) (Need, error) {
	need, err := j.ledger.need(ctx, j.c, ToRead)
	if by := j.c.Policy.Assignment; by != FromPool { // a batch looks at shifts and capacity when it runs
		need.Offered, need.Declined, need.Lapsed = by == ByOffer, j.c.Declined, j.c.Lapsed
	}
	return need, err
}

// inRound is the need in the round that the offers of the case are in: where all who
// may have it have had their turn, another begins, if the policy has one more.
func (c *Case) inRound(need Need, somebody func(Need) bool) Need {
	if len(need.Lapsed) > 0 && c.OfferRound < c.Policy.OfferRounds && !somebody(need) {
		need.Lapsed = nil
	}
	return need
}

// candidate is the best reader for the case. Where the readers choose
// themselves, or a batch does, it is enough that one of them may. Where nobody is eligible, there
// are the reasons.
func candidate(ctx context.Context, j job) (*Reader, map[uuid.UUID][]string, error) {
	need, err := needOf(ctx, j)
	if err != nil {
		return nil, nil, err
	}
	readers, err := j.ledger.candidates(ctx, need, j.c.Policy.Matching.FairDays, true)
	if err != nil {
		return nil, nil, err
	}
	if need.Due, err = due(ctx, j.ledger, j.c.CaseID); err != nil {
		return nil, nil, err
	}
	by := j.c.Policy.Assignment
	if by != FromPool {
		need = j.c.inRound(need, amongThem(readers, j.now))
	}
	if by == FromPool || by == ByBatch {
		for i := range readers {
			if len(Eligible(need, readers[i], j.now)) == 0 {
				return &readers[i], nil, nil
			}
		}
	}
	best, reasons := Choose(need, readers, j.now)
	return best, reasons, nil
}

// nobody says for how many readers each reason stands; who they are is in the
// history only.
func nobody(reasons map[uuid.UUID][]string) Finding {
	count := map[string]int{}
	for _, list := range reasons {
		for _, r := range list {
			count[r]++
		}
	}
	var parts []string
	for r, n := range count {
		parts = append(parts, fmt.Sprintf("%s (%d)", r, n))
	}
	slices.Sort(parts)
	text := Phrase("none of %d readers is eligible", len(reasons))
	if parts != nil {
		text = Phrase("none of %d readers is eligible: %s", len(reasons), strings.Join(parts, "; "))
	}
	return Finding{Code: "nobody-eligible", Kind: NobodyEligible, Text: text}
}

func (e *Engine) expireOffer(ctx context.Context, j job) (time.Time, error) {
	return done, e.fireSystem(ctx, j, "expire-offer", Input{})
}

// noteOfferTx remembers when a reader was last offered a case, for fairness.
func noteOfferTx(ctx context.Context, tx pgx.Tx, reader uuid.UUID, now time.Time) error {
	_, err := tx.Exec(ctx, `
		UPDATE reader
		SET last_offered_at = $2
		WHERE reader_id = $1`, reader, now)
	if err != nil {
		return fmt.Errorf("note offer: %w", err)
	}
	return nil
}

package workflow

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// Sampling says of which finals the server draws some for a second read for
// quality. Readers choose none of them, and are not told which they are.
type Sampling struct {
	Within *Span        `json:"within,omitempty"` // nil: 3d
	Rates  []SampleRate `json:"rates"`
}

// SampleRate is the rate of one stratum. What is not said holds for all.
type SampleRate struct {
	Modality     []string    `json:"modality,omitempty"`
	Subspecialty []Privilege `json:"subspecialty,omitempty"`
	Priority     []string    `json:"priority,omitempty"`
	Agreement    []Level     `json:"agreement,omitempty"` // of reader and original
	PerThousand  int         `json:"perThousand"`
}

// holds tells whether a final is of the stratum.
func (r SampleRate) holds(c *Case, level Level) bool {
	says := func(list []string, word string) bool { return len(list) == 0 || slices.Contains(list, word) }
	return says(r.Modality, c.Exam.Modality) && says(texts(r.Subspecialty...), c.Exam.Subspecialty) &&
		says(r.Priority, c.Priority) && says(texts(r.Agreement...), string(level))
}

// name tells a stratum to people: "rule 2: CT; neuro; urgent".
func (r SampleRate) name(no int) string {
	parts := []string{}
	for _, list := range [][]string{r.Modality, texts(r.Subspecialty...), r.Priority, texts(r.Agreement...)} {
		if len(list) > 0 {
			parts = append(parts, strings.Join(list, ", "))
		}
	}
	if len(parts) == 0 {
		parts = []string{Phrase("all others")}
	}
	return Phrase("rule %d: %s", no, strings.Join(parts, "; "))
}

// samplingFaults is what the schema cannot say of the rates: a rule behind one
// that holds for all is never tried.
func (p Policy) samplingFaults() (wrong PolicyErrors) {
	if p.Sampling == nil {
		return nil
	}
	for i, r := range p.Sampling.Rates {
		all := len(r.Modality)+len(r.Subspecialty)+len(r.Priority)+len(r.Agreement) == 0
		if all && i < len(p.Sampling.Rates)-1 {
			wrong = append(wrong, PolicyFault{Path: element("sampling.rates", i), Text: Phrase("holds for all, so those behind it are never tried; put it last")})
		}
	}
	return wrong
}

// draws decides by a tenant's secret whether a final is drawn at this rate, and how
// far within the time for it (0 to 1) its second read begins. The same secret and
// case give the same answer; without the secret nobody can tell it from chance.
func draws(secret []byte, caseID uuid.UUID, perThousand int) (drawn bool, when float64) {
	mac := hmac.New(sha256.New, secret)
	mac.Write(caseID[:])
	sum := mac.Sum(nil)
	slot, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), 1000)
	return int(slot) < perThousand, float64(binary.BigEndian.Uint64(sum[8:16])>>11) / (1 << 53) //nolint:gosec // slot is below 1000
}

// drawSample decides of a first signature whether a second read follows.
func (t *turn) drawSample(ctx context.Context, r Report) error {
	p := t.c.Policy.Sampling
	if p == nil || t.c.SampleOf != nil || r.No != 1 {
		return nil
	}
	i := slices.IndexFunc(p.Rates, func(rate SampleRate) bool { return rate.holds(t.c, r.Level) })
	if i < 0 {
		return nil
	}
	secret, err := samplingSecret(ctx, t.tx)
	if err != nil {
		return err
	}
	rate := p.Rates[i]
	drawn, when := draws(secret, t.c.CaseID, rate.PerThousand)
	_, err = t.tx.Exec(ctx, `
		INSERT INTO quality_sample (tenant_id, case_id, stratum, per_thousand, drawn, drawn_at)
		VALUES (overread_tenant(), @case_id, @stratum, @rate, @drawn, @now)`,
		pgx.NamedArgs{"case_id": t.c.CaseID, "stratum": rate.name(i + 1), "rate": rate.PerThousand, "drawn": drawn, "now": t.now})
	if err != nil {
		return fmt.Errorf("insert sample: %w", err)
	}
	if !drawn {
		return nil
	}
	within := Span{Length: 3 * 24 * time.Hour}
	if p.Within != nil {
		within = *p.Within
	}
	whole := t.c.Policy.Calendar.Add(t.now, within).Sub(t.now)
	return t.plan(ctx, openSample, t.now.Add(time.Duration(when*float64(whole))), restart)
}

// samplingSecret is the tenant's, made when it is first needed.
func samplingSecret(ctx context.Context, tx pgx.Tx) (secret []byte, err error) {
	fresh := make([]byte, 32)
	_, _ = rand.Read(fresh) // it never fails (Go 1.24)
	if _, err := tx.Exec(ctx, `INSERT INTO sampling_secret (tenant_id, secret) VALUES (overread_tenant(), $1) ON CONFLICT DO NOTHING`, fresh); err != nil {
		return nil, fmt.Errorf("sampling secret: %w", err)
	}
	err = tx.QueryRow(ctx, `SELECT secret FROM sampling_secret`).Scan(&secret)
	if err != nil {
		err = fmt.Errorf("sampling secret: %w", err)
	}
	return secret, err
}

// openSample opens the second read of a final that was drawn.
func (e *Engine) openSample(ctx context.Context, j job) (time.Time, error) {
	order, why, err := e.hooks.Sample(ctx, j.tx, j.c)
	if err != nil {
		return done, err
	}
	if why != "" {
		_, err := j.tx.Exec(ctx, `UPDATE quality_sample SET not_read = $2 WHERE case_id = $1`, j.c.CaseID, why)
		return done, err
	}
	order.SampleOf = &j.c.CaseID
	_, opened, err := e.OpenTx(ctx, j.tx, access.SystemActor(j.c.TenantID), order)
	if err == nil && !opened {
		err = errors.New("the order of a quality sample has a case already")
	}
	return done, err
}

// closeSample ends a quality sample that is signed: nobody's acknowledgement is
// waited for, since nobody is sent it.
func (e *Engine) closeSample(ctx context.Context, j job) (time.Time, error) {
	switch open, err := hasOpen(ctx, j.ledger, j.c.CaseID, Matter.isEmergent); {
	case err != nil:
		return done, err
	case open:
		return j.now.Add(time.Minute), nil // somebody must be told of it first
	}
	return done, e.fireSystem(ctx, j, "conclude-sample", Input{})
}

// tellSampleFinding opens the report that was sampled. One that is being amended is
// left to it first.
func (e *Engine) tellSampleFinding(ctx context.Context, j job) (time.Time, error) {
	if j.c.State == Amending {
		return j.now.Add(10 * time.Minute), nil
	}
	return done, e.fireSystem(ctx, j, "sample-finding", Input{Reason: "a second reading differs in something major"})
}

var concludeSample = Effect{"concludeSample", "what the second read for quality found is kept; something major opens the sampled report for an amendment",
	func(ctx context.Context, t *turn) error {
		if t.c.SampleOf == nil {
			return refuse("this case is no quality sample")
		}
		r, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		_, err = t.tx.Exec(ctx, `
			UPDATE quality_sample
			SET level = @level, concluded_at = @now
			WHERE case_id = @sampled`,
			pgx.NamedArgs{"sampled": t.c.SampleOf, "level": r.Level, "now": t.now})
		if err != nil {
			return fmt.Errorf("conclude sample: %w", err)
		}
		if r.Level != LevelMajor {
			return nil
		}
		return t.tellSampled(ctx, sampleFinding)
	}}

// tellSampled puts something on the agenda of the case that was sampled, where its
// report is still one.
func (t *turn) tellSampled(ctx context.Context, kind string) error {
	_, err := t.tx.Exec(ctx, `
		INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at)
		SELECT tenant_id, case_id, @kind, @now, @now
		FROM case_file
		WHERE case_id = @sampled AND state = ANY (@states)
		ON CONFLICT (tenant_id, case_id, kind) DO NOTHING`,
		pgx.NamedArgs{"sampled": t.c.SampleOf, "kind": kind, "now": t.now, "states": join(signed, in(Amending))})
	if err != nil {
		return fmt.Errorf("tell of a sample: %w", err)
	}
	return nil
}

var openForFinding = Effect{"openForFinding", "who signed has the difference as feedback, in words, whatever the policy says of feedback; the acknowledge clock starts anew",
	func(ctx context.Context, t *turn) error {
		_, err := t.tx.Exec(ctx, `UPDATE quality_sample SET finding_at = @now, settled_at = NULL WHERE case_id = @case_id`,
			pgx.NamedArgs{"case_id": t.c.CaseID, "now": t.now})
		if err != nil {
			return fmt.Errorf("open for a finding: %w", err)
		}
		return t.startClock(ctx, ClockAcknowledge, restart)
	}}

var reviewUntold = Effect{"reviewUntold", "where a quality sample's finding was the reason for the amendment, the quality role has a review to conclude",
	func(ctx context.Context, t *turn) error {
		settled, err := t.settleFinding(ctx)
		if err != nil || !settled {
			return err
		}
		if open, err := reviewOpen(ctx, t.tx, t.c.CaseID); err != nil || open {
			return err
		}
		return t.openReview(ctx, FindingNotTold)
	}}

// settleFinding notes that an amendment, or its withdrawal, has answered a finding.
func (t *turn) settleFinding(ctx context.Context) (settled bool, err error) {
	if t.tx == nil {
		return false, nil
	}
	tag, err := t.tx.Exec(ctx, `UPDATE quality_sample SET settled_at = @now WHERE case_id = @case_id AND finding_at IS NOT NULL AND settled_at IS NULL`,
		pgx.NamedArgs{"case_id": t.c.CaseID, "now": t.now})
	if err != nil {
		return false, fmt.Errorf("settle a finding: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// afterSignature is what quality work makes of every signed version.
func (t *turn) afterSignature(ctx context.Context, r Report) error {
	if t.tx == nil {
		return nil // a simulated one
	}
	if err := t.drawSample(ctx, r); err != nil {
		return err
	}
	if _, err := t.settleFinding(ctx); err != nil {
		return err
	}
	if t.c.SampleOf != nil && r.Status != "entered-in-error" {
		if err := t.plan(ctx, closeSample, t.now, restart); err != nil {
			return err
		}
	}
	return t.giveFeedback(ctx, r)
}

// noteFirstReaders keeps who read the study first, and so may not read it again.
func (t *turn) noteFirstReaders(ctx context.Context, first FirstReaders) error {
	exam := &t.c.Exam
	exam.OriginalReaders, exam.OriginalGroups, exam.OriginalNames = first.Readers, first.Groups, first.Names
	exam.OriginalAuthors = first.Authors
	return t.keepAllBefore(ctx)
}

// keepAllBefore keeps from a second read for quality everybody who has read the
// study before: those of the sampled report, and those of its original. Our own
// organisation is no group to keep away.
func (t *turn) keepAllBefore(ctx context.Context) error {
	c := t.c
	if c.SampleOf == nil {
		return nil
	}
	sampled, err := CaseByIDTx(ctx, t.tx, *c.SampleOf)
	if err != nil {
		return err
	}
	c.Exam.OriginalReaders = append(c.Exam.OriginalReaders, sampled.Exam.OriginalReaders...)
	c.Exam.OriginalGroups = sampled.Exam.OriginalGroups
	readers, err := t.ledger.readers(ctx)
	if err != nil {
		return err
	}
	for _, r := range readers {
		if slices.Contains(sampled.readBy(), r.ID) || sampled.OtherReaderID != nil && *sampled.OtherReaderID == r.ID {
			c.Exam.OriginalReaders = append(c.Exam.OriginalReaders, r.names()...)
		}
	}
	return nil
}

// readBy are those who answer for the case's report.
func (c Case) readBy() (ids []uuid.UUID) {
	for _, who := range []*uuid.UUID{c.ReaderID, c.AdjudicatorID, c.SupervisorID} {
		if who != nil {
			ids = append(ids, *who)
		}
	}
	return ids
}

// Sample is a final that was looked at for a second read.
type Sample struct {
	CaseID      uuid.UUID
	Stratum     string
	PerThousand int
	Drawn       bool
	DrawnAt     time.Time
	NotRead     string
	Level       *Level
	ConcludedAt *time.Time
	FindingAt   *time.Time
	SettledAt   *time.Time
	TaskID      *string // of the second read
	SampleCase  *uuid.UUID
}

// SamplesTx are those of the transaction's tenant, or of one case, the newest first.
func SamplesTx(ctx context.Context, tx pgx.Tx, caseID *uuid.UUID) ([]Sample, error) {
	rows, err := tx.Query(ctx, `
		SELECT q.case_id, q.stratum, q.per_thousand, q.drawn, q.drawn_at, q.not_read, q.level, q.concluded_at, q.finding_at, q.settled_at,
		       s.task_id, s.case_id AS sample_case
		FROM quality_sample q
		LEFT JOIN case_file s ON s.tenant_id = q.tenant_id AND s.sample_of = q.case_id
		WHERE @case_id::uuid IS NULL OR q.case_id = @case_id
		ORDER BY q.drawn_at DESC, q.case_id`, pgx.NamedArgs{"case_id": caseID})
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Sample])
}

// SamplesAfterTx are at most so many of the transaction's tenant, the newest first,
// that come after a place: the zero place is before the first.
func SamplesAfterTx(ctx context.Context, tx pgx.Tx, after Place, most int) ([]Sample, error) {
	rows, err := tx.Query(ctx, `
		SELECT q.case_id, q.stratum, q.per_thousand, q.drawn, q.drawn_at, q.not_read, q.level, q.concluded_at, q.finding_at, q.settled_at,
		       s.task_id, s.case_id AS sample_case
		FROM quality_sample q
		LEFT JOIN case_file s ON s.tenant_id = q.tenant_id AND s.sample_of = q.case_id
		WHERE @at::timestamptz IS NULL OR q.drawn_at < @at OR q.drawn_at = @at AND q.case_id > @id
		ORDER BY q.drawn_at DESC, q.case_id
		LIMIT @most`, pgx.NamedArgs{"at": after.at(), "id": after.ID, "most": most})
	if err != nil {
		return nil, fmt.Errorf("samples: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Sample])
}

// Place is one in a list of which the newest comes first, and of what is of the same
// moment the lowest id.
type Place struct {
	At time.Time
	ID uuid.UUID
}

// at is its moment, nil for the zero place.
func (p Place) at() *time.Time {
	if p == (Place{}) {
		return nil
	}
	return &p.At
}

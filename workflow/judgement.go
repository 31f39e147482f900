package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Judgement is what the clinician says afterwards that the second opinion changed
// for the patient. The reader has said what it may change; the two are kept side by
// side. It is quality work product: for the patient's care the orders tell what
// was done.
type Judgement struct {
	Management string
	Note       string
}

// GivenJudgement is one judgement with who gave it; of several the last counts.
type GivenJudgement struct {
	JudgementNo int
	Management  string
	Note        string
	JudgedBy    uuid.UUID
	JudgedAt    time.Time
}

// Truth is what showed later who was right.
type Truth struct {
	Right    string // first, second, both, neither, undetermined
	Source   string
	FoundOn  Date     // of the evidence
	Evidence []string // resources: DiagnosticReport/1
	Note     string
}

// GivenTruth is one of them with who recorded it; of several the last counts.
type GivenTruth struct {
	TruthNo    int
	Right      string
	Source     string
	FoundOn    Date
	Evidence   []string
	Note       string
	RecordedBy uuid.UUID
	Role       string
	RecordedAt time.Time
}

var (
	// Rights are who may turn out to have been right.
	Rights = []string{"first", "second", "both", "neither", "undetermined"}
	// TruthSources are what may show it.
	TruthSources = []string{"pathology", "surgery", "follow-up-imaging", "laboratory", "clinical-course", "other"}
)

// longestNote bounds what people write beside a code, in bytes.
const longestNote = 4000

var judgementGiven = Guard{"judgementGiven", "it is said what changed for the patient",
	func(_ context.Context, t *turn) error {
		j := t.in.Judgement
		switch {
		case j == nil || !slices.Contains(managements, j.Management):
			return refuse("management must be one of %s", strings.Join(managements, ", "))
		case len(j.Note) > longestNote:
			return refuse("the note is longer than %d bytes", longestNote)
		}
		return nil
	}}

var truthGiven = Guard{"truthGiven", "it is said who was right, what showed it, and when; with no original, the first reading cannot have been right",
	func(_ context.Context, t *turn) error {
		switch o := t.in.Truth; {
		case o == nil || !slices.Contains(Rights, o.Right):
			return refuse("right must be one of %s", strings.Join(Rights, ", "))
		case !slices.Contains(TruthSources, o.Source):
			return refuse("source must be one of %s", strings.Join(TruthSources, ", "))
		case !t.c.comparable() && (o.Right == "first" || o.Right == "both"):
			return refuse("there is no original report, so the first reading cannot have been right")
		case len(o.Evidence) > 10 || len(o.Note) > longestNote:
			return refuse("at most 10 resources as evidence, and a note of at most %d bytes", longestNote)
		default:
			day, err := time.Parse(time.DateOnly, string(o.FoundOn))
			if err != nil {
				return refuse("date must be the day of the evidence, such as 2026-11-25")
			}
			if day.After(t.now.Add(24 * time.Hour)) { // it may be tomorrow where the evidence is from
				return refuse("the evidence is of a day to come")
			}
		}
		return nil
	}}

var recordJudgement = Effect{"recordJudgement", "what the clinician says is kept beside what the reader said; the last word counts",
	func(ctx context.Context, t *turn) error {
		var no int
		err := t.tx.QueryRow(ctx, `
			INSERT INTO clinician_judgement (tenant_id, case_id, judgement_no, management, note, judged_by, judged_at)
			SELECT overread_tenant(), @case_id, coalesce(max(judgement_no), 0) + 1, @management, @note, @by, @now
			FROM clinician_judgement
			WHERE case_id = @case_id
			RETURNING judgement_no`,
			pgx.NamedArgs{"case_id": t.c.CaseID, "management": t.in.Judgement.Management, "note": t.in.Judgement.Note, "by": t.actor.ID, "now": t.now}).Scan(&no)
		if err != nil {
			return fmt.Errorf("insert judgement: %w", err)
		}
		t.detail["judgementNo"] = no
		return nil
	}}

var recordTruth = Effect{"recordTruth", "who was right is kept, with what showed it; the last word counts, and statistics of before stay as they were",
	func(ctx context.Context, t *turn) error {
		o := t.in.Truth
		var no int
		err := t.tx.QueryRow(ctx, `
			INSERT INTO ground_truth (tenant_id, case_id, truth_no, who_right, source, found_on, evidence, note, recorded_by, role, recorded_at)
			SELECT overread_tenant(), @case_id, coalesce(max(truth_no), 0) + 1, @right, @source, @found_on, @evidence, @note, @by, @role, @now
			FROM ground_truth
			WHERE case_id = @case_id
			RETURNING truth_no`,
			pgx.NamedArgs{"case_id": t.c.CaseID, "right": o.Right, "source": o.Source, "found_on": string(o.FoundOn), "evidence": listed(o.Evidence),
				"note": o.Note, "by": t.actor.ID, "role": t.actor.Role, "now": t.now}).Scan(&no)
		if err != nil {
			return fmt.Errorf("insert ground truth: %w", err)
		}
		t.detail["truthNo"] = no
		return nil
	}}

// JudgementsTx are what clinicians said of a case, the first one first.
func JudgementsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]GivenJudgement, error) {
	rows, err := tx.Query(ctx, `
		SELECT judgement_no, management, note, judged_by, judged_at
		FROM clinician_judgement
		WHERE case_id = $1
		ORDER BY judgement_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("judgements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[GivenJudgement])
}

// TruthsTx are what showed who was right, the first one first.
func TruthsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]GivenTruth, error) {
	rows, err := tx.Query(ctx, `
		SELECT truth_no, who_right AS right, source, found_on::text AS found_on, evidence, note, recorded_by, role, recorded_at
		FROM ground_truth
		WHERE case_id = $1
		ORDER BY truth_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("ground truths: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[GivenTruth])
}

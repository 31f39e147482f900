package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// The lists of the peer-learning room, the newest first. They name no patient and no
// reader; each line leads to its case, where the rules are about who may open it.

// QualityHead is the case that a line of such a list is about.
type QualityHead struct {
	CaseID           uuid.UUID
	TaskID           string
	OriginalReportID *string
	PatientID        *string // for the record of who has opened it
	OrderNumber      string
	Exam             string
	Modality         string
}

// QualityHeadColumns are its columns, of case_file as c.
const QualityHeadColumns = `c.case_id, c.task_id, c.original_report_id, c.patient_id, c.placer_value AS order_number, coalesce(c.exam->>'display', '') AS exam, coalesce(c.exam->>'modality', '') AS modality`

// Head is the line's.
func (h QualityHead) Head() QualityHead { return h }

// ReviewLine is a review.
type ReviewLine struct {
	QualityHead
	Review
}

// Place is where it stands in its list.
func (r ReviewLine) Place() Place { return Place{r.OpenedAt, r.CaseID} }

// PointLine is a learning point that stands.
type PointLine struct {
	QualityHead
	GivenPoint
}

// Place is where it stands in its list.
func (p PointLine) Place() Place { return Place{p.AddedAt, p.CaseID} }

// TruthLine is what showed who was right.
type TruthLine struct {
	QualityHead
	GivenTruth
}

// Place is where it stands in its list.
func (o TruthLine) Place() Place { return Place{o.RecordedAt, o.CaseID} }

// FeedbackLine is what a reader of an original was told, and what they said to it.
type FeedbackLine struct {
	QualityHead
	FeedbackID uuid.UUID
	ReportNo   int
	Kind       FeedbackMode
	MadeAt     time.Time
	OpenedAt   *time.Time
	AnsweredAt *time.Time
	Agrees     *bool
	Answer     string
}

// PlaceIn is where it stands in a list of such.
func (f FeedbackLine) PlaceIn(shown FeedbackShown) Place {
	if shown == FeedbackAnswered || shown == FeedbackDisagreed {
		return Place{*f.AnsweredAt, f.FeedbackID}
	}
	return Place{f.MadeAt, f.FeedbackID}
}

// SampleLine is a final that was looked at for a second read.
type SampleLine struct {
	QualityHead
	Stratum     string
	PerThousand int
	Drawn       bool
	DrawnAt     time.Time
	NotRead     string
	Level       *Level
	ConcludedAt *time.Time
	FindingAt   *time.Time
	SettledAt   *time.Time
	SecondRead  *string // its Task
}

// Place is where it stands in its list.
func (q SampleLine) Place() Place { return Place{q.DrawnAt, q.CaseID} }

// SampleStratum is what was found in a stratum.
type SampleStratum struct {
	Stratum                                             string
	Drawn, Read, Agreed, Minor, Major, Waiting, Settled int
}

// qualityLines asks for a list whose WHERE has its place in it.
func qualityLines[T any](ctx context.Context, tx pgx.Tx, query string, after Place, most int, args pgx.NamedArgs) ([]T, error) {
	args["at"], args["id"], args["most"] = after.at(), after.ID, most
	rows, err := tx.Query(ctx, query, args)
	if err != nil {
		return nil, fmt.Errorf("lines of the quality room: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[T])
	if err != nil {
		return nil, fmt.Errorf("lines of the quality room: %w", err)
	}
	return all, nil
}

// ReviewLinesTx are the reviews of the transaction's tenant that are open, or closed.
func ReviewLinesTx(ctx context.Context, tx pgx.Tx, open bool, after Place, most int) ([]ReviewLine, error) {
	return qualityLines[ReviewLine](ctx, tx, `
		SELECT `+QualityHeadColumns+`, q.review_no, q.reason, q.opened_by, q.opened_at, q.conclusion, q.note, q.closed_by, q.closed_at
		FROM quality_review q
		JOIN case_file c USING (tenant_id, case_id)
		WHERE q.tenant_id = overread_tenant() AND (q.closed_at IS NULL) = @open
		  AND (@at::timestamptz IS NULL OR q.opened_at < @at OR q.opened_at = @at AND q.case_id > @id)
		ORDER BY q.opened_at DESC, q.case_id
		LIMIT @most`, after, most, pgx.NamedArgs{"open": open})
}

// PointLinesTx are the learning points that stand, with this tag where one is given.
func PointLinesTx(ctx context.Context, tx pgx.Tx, tag string, after Place, most int) ([]PointLine, error) {
	return qualityLines[PointLine](ctx, tx, `
		SELECT `+QualityHeadColumns+`, p.point_no, p.text, p.tags, p.added_by, p.added_at
		FROM learning_point p
		JOIN case_file c USING (tenant_id, case_id)
		WHERE p.tenant_id = overread_tenant() AND p.withdrawn_at IS NULL AND (@tag = '' OR @tag = ANY (p.tags))
		  AND (@at::timestamptz IS NULL OR p.added_at < @at OR p.added_at = @at AND p.case_id > @id)
		ORDER BY p.added_at DESC, p.case_id
		LIMIT @most`, after, most, pgx.NamedArgs{"tag": tag})
}

// TruthLinesTx are the last words about who was right, a line for each case.
func TruthLinesTx(ctx context.Context, tx pgx.Tx, after Place, most int) ([]TruthLine, error) {
	return qualityLines[TruthLine](ctx, tx, `
		SELECT `+QualityHeadColumns+`, o.truth_no, o.who_right AS right, o.source, to_char(o.found_on, 'YYYY-MM-DD') AS found_on, o.evidence, o.note, o.recorded_by, o.role, o.recorded_at
		FROM ground_truth o
		JOIN case_file c USING (tenant_id, case_id)
		WHERE o.tenant_id = overread_tenant()
		  AND NOT EXISTS (SELECT FROM ground_truth n WHERE n.tenant_id = o.tenant_id AND n.case_id = o.case_id AND n.truth_no > o.truth_no)
		  AND (@at::timestamptz IS NULL OR o.recorded_at < @at OR o.recorded_at = @at AND o.case_id > @id)
		ORDER BY o.recorded_at DESC, o.case_id
		LIMIT @most`, after, most, pgx.NamedArgs{})
}

// FeedbackShown is which feedback a list has.
type FeedbackShown string

// The choices. Those that are answered stand by the time of the answer, the others by
// that of the signature.
const (
	FeedbackAll       FeedbackShown = "all"
	FeedbackAnswered  FeedbackShown = "answered"
	FeedbackDisagreed FeedbackShown = "disagreed"
	FeedbackUnopened  FeedbackShown = "unopened"
)

// FeedbackChoices are all of them.
var FeedbackChoices = []FeedbackShown{FeedbackAnswered, FeedbackDisagreed, FeedbackUnopened, FeedbackAll}

// FeedbackLinesTx is what readers of originals were told, and what they said.
func FeedbackLinesTx(ctx context.Context, tx pgx.Tx, shown FeedbackShown, after Place, most int) ([]FeedbackLine, error) {
	by, which := "made_at", "f.withdrawn_at IS NULL"
	switch shown {
	case FeedbackAnswered:
		by, which = "answered_at", "f.answered_at IS NOT NULL"
	case FeedbackDisagreed:
		by, which = "answered_at", "f.answered_at IS NOT NULL AND NOT f.agrees"
	case FeedbackUnopened:
		which += " AND f.opened_at IS NULL"
	case FeedbackAll:
	}
	lines, err := qualityLines[FeedbackLine](ctx, tx, `
		SELECT `+QualityHeadColumns+`, f.feedback_id, f.report_no, f.kind, f.made_at, f.opened_at, f.answered_at, f.agrees, f.answer
		FROM feedback f
		JOIN case_file c USING (tenant_id, case_id)
		WHERE f.tenant_id = overread_tenant() AND `+which+`
		  AND (@at::timestamptz IS NULL OR f.`+by+` < @at OR f.`+by+` = @at AND f.feedback_id > @id)
		ORDER BY f.`+by+` DESC, f.feedback_id
		LIMIT @most`, after, most, pgx.NamedArgs{})
	return lines, err
}

// SampleLinesTx are the finals for which the policy had a rate: those that were drawn,
// or all of them.
func SampleLinesTx(ctx context.Context, tx pgx.Tx, drawn bool, after Place, most int) ([]SampleLine, error) {
	which := ""
	if drawn {
		which = "AND q.drawn"
	}
	return qualityLines[SampleLine](ctx, tx, `
		SELECT `+QualityHeadColumns+`, q.stratum, q.per_thousand, q.drawn, q.drawn_at, q.not_read, q.level, q.concluded_at, q.finding_at, q.settled_at,
		       (SELECT s.task_id FROM case_file s WHERE s.tenant_id = q.tenant_id AND s.sample_of = q.case_id) AS second_read
		FROM quality_sample q
		JOIN case_file c USING (tenant_id, case_id)
		WHERE q.tenant_id = overread_tenant() `+which+`
		  AND (@at::timestamptz IS NULL OR q.drawn_at < @at OR q.drawn_at = @at AND q.case_id > @id)
		ORDER BY q.drawn_at DESC, q.case_id
		LIMIT @most`, after, most, pgx.NamedArgs{})
}

// SampleStrataTx tells for each stratum what was drawn since a moment, what came of it,
// and how many findings wait for an amendment or were settled.
func SampleStrataTx(ctx context.Context, tx pgx.Tx, since time.Time) ([]SampleStratum, error) {
	rows, err := tx.Query(ctx, `
		SELECT stratum, count(*) AS drawn, count(level) AS read, count(*) FILTER (WHERE level = 'none') AS agreed, count(*) FILTER (WHERE level = 'minor') AS minor,
		       count(*) FILTER (WHERE level = 'major') AS major, count(*) FILTER (WHERE finding_at IS NOT NULL AND settled_at IS NULL) AS waiting, count(settled_at) AS settled
		FROM quality_sample
		WHERE tenant_id = overread_tenant() AND drawn AND drawn_at >= $1
		GROUP BY stratum
		ORDER BY stratum`, since)
	if err != nil {
		return nil, fmt.Errorf("strata of samples: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[SampleStratum])
}

// OpenReviewsCountTx is how many reviews are open, up to mostCounted.
func OpenReviewsCountTx(ctx context.Context, tx pgx.Tx) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM quality_review WHERE tenant_id = overread_tenant() AND closed_at IS NULL LIMIT $1) q`, mostCounted).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("open reviews: %w", err)
	}
	return n, nil
}

// newestTagged is of how many learning points the tags are counted, the newest.
const newestTagged = 5000

// LearningTagsTx are the tags of the newest learning points that stand, those of most points first.
func LearningTagsTx(ctx context.Context, tx pgx.Tx, most int) ([]string, error) {
	rows, err := tx.Query(ctx, `
		SELECT tag
		FROM (SELECT tags FROM learning_point WHERE tenant_id = overread_tenant() AND withdrawn_at IS NULL ORDER BY added_at DESC LIMIT @newest) p, unnest(p.tags) AS tag
		GROUP BY tag
		ORDER BY count(*) DESC, tag
		LIMIT @most`, pgx.NamedArgs{"newest": newestTagged, "most": most})
	if err != nil {
		return nil, fmt.Errorf("tags: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// InForce is the grade that counts at a moment: the last of an adjudicator, who
// beats the reader; before there is one, the last of all. Not ok before the first.
func InForce(grades []GivenGrade, at time.Time) (in GivenGrade, ok bool) {
	for _, g := range grades {
		if g.GradedAt.After(at) {
			continue
		}
		if !ok || g.Role == "adjudicator" || in.Role != "adjudicator" {
			in, ok = g, true
		}
	}
	return in, ok
}

// Why a case is in no denominator.
const (
	ExcludedOpen         = "not-final"
	ExcludedCancelled    = "cancelled" // and rejected, failed
	ExcludedError        = "entered-in-error"
	ExcludedNoComparison = "no-comparison"
	ExcludedSameStudy    = "same-study" // a later judgement of the same study counts
	ExcludedSample       = "quality-sample"
)

// Standing is how a case counted at a moment, by what was known then: grades of
// later, amendments, errors and truths do not change what was reported of before.
// It is quality work product.
type Standing struct {
	CaseID          uuid.UUID
	TaskID          string
	Study           string // Study Instance UID, or another name of the study; "" where it has none
	Exam            Exam
	Priority        string
	Protocol        Protocol
	ReaderID        *uuid.UUID
	FinalAt         *time.Time // the first signature
	Excluded        string     // "": it is in the denominator
	ExcludedWhy     string     // the reason of no comparison
	Grade           *GivenGrade
	Scored          bool   // the tenant's policy wants scores
	Asymmetric      bool   // the first reader lacked what the second had
	Clinician       string // change of management as the clinician says it; "" when not said
	Right           string // who was right; "" when not known
	RightKnownAt    *time.Time
	SampleOf        *uuid.UUID
	adjudicated     bool
	lastGradedOrEnd time.Time
}

// StandingsTx is every case that was opened by then, as it stood at that moment.
func StandingsTx(ctx context.Context, tx pgx.Tx, at time.Time) ([]Standing, error) {
	grades, err := gradesUntil(ctx, tx, at)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT c.case_id, c.task_id, coalesce(c.study_uid, c.study_id, c.accession, '') AS study, c.exam, c.priority, c.protocol, c.policy,
		       c.reader_id, c.sample_of, CASE WHEN c.final_at <= @at THEN c.final_at END AS final_at,
		       (SELECT e.to_state FROM case_event e WHERE e.tenant_id = c.tenant_id AND e.case_id = c.case_id AND e.occurred_at <= @at ORDER BY e.seq DESC LIMIT 1) AS state,
		       coalesce((SELECT j.management FROM clinician_judgement j WHERE j.tenant_id = c.tenant_id AND j.case_id = c.case_id AND j.judged_at <= @at ORDER BY j.judgement_no DESC LIMIT 1), '') AS clinician,
		       coalesce(t.who_right, '') AS who_right, t.recorded_at
		FROM case_file c
		LEFT JOIN LATERAL (
			SELECT g.who_right, g.recorded_at
			FROM ground_truth g
			WHERE g.tenant_id = c.tenant_id AND g.case_id = c.case_id AND g.recorded_at <= @at
			ORDER BY g.truth_no DESC
			LIMIT 1) t ON true
		WHERE c.opened_at <= @at
		ORDER BY c.case_id`, pgx.NamedArgs{"at": at})
	if err != nil {
		return nil, fmt.Errorf("standings: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Standing, error) {
		var s Standing
		var state State
		var policy Policy
		err := row.Scan(&s.CaseID, &s.TaskID, &s.Study, &s.Exam, &s.Priority, &s.Protocol, &policy, &s.ReaderID, &s.SampleOf, &s.FinalAt, &state, &s.Clinician, &s.Right, &s.RightKnownAt)
		s.Scored = policy.scored()
		s.judge(state, grades[s.CaseID], at)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("standings: %w", err)
	}
	onePerStudy(all)
	return all, nil
}

// judge says how the case counts.
func (s *Standing) judge(state State, grades []GivenGrade, at time.Time) {
	switch {
	case state == EnteredInError:
		s.Excluded = ExcludedError
	case state == Cancelled || state == Rejected || state == Failed:
		s.Excluded = ExcludedCancelled
	case s.FinalAt == nil:
		s.Excluded = ExcludedOpen
	case s.SampleOf != nil:
		s.Excluded = ExcludedSample
	}
	if s.FinalAt == nil {
		return // a grade of a report that nobody has signed counts nowhere
	}
	s.lastGradedOrEnd = *s.FinalAt
	grade, ok := InForce(grades, at)
	if ok {
		s.Grade, s.Asymmetric = &grade, grade.Content.Asymmetric()
		s.adjudicated, s.lastGradedOrEnd = grade.Role == "adjudicator", grade.GradedAt
	}
	if s.Excluded == "" && (!ok || grade.Level == LevelNoComparison) {
		s.Excluded, s.ExcludedWhy = ExcludedNoComparison, "no-original"
		if ok {
			s.ExcludedWhy = grade.Content.NoComparisonReason
			if s.ExcludedWhy == "" {
				s.ExcludedWhy = "other" // of before there were reasons
			}
		}
	}
}

// onePerStudy leaves of each study the one that counts: an adjudicated one beats
// the others, and then the latest.
func onePerStudy(all []Standing) {
	best := map[string]*Standing{}
	for i := range all {
		s := &all[i]
		if s.Excluded != "" || s.Study == "" {
			continue
		}
		other := best[s.Study]
		if other == nil {
			best[s.Study] = s
			continue
		}
		if s.adjudicated == other.adjudicated && s.lastGradedOrEnd.After(other.lastGradedOrEnd) || s.adjudicated && !other.adjudicated {
			s, other = other, s
			best[s.Study] = other
		}
		s.Excluded = ExcludedSameStudy
	}
}

// gradesUntil are the grades of all cases that were given by then, by case.
func gradesUntil(ctx context.Context, tx pgx.Tx, at time.Time) (map[uuid.UUID][]GivenGrade, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, grade_no, graded_by, role, graded_at, level, content
		FROM grade
		WHERE graded_at <= $1
		ORDER BY case_id, grade_no`, at)
	if err != nil {
		return nil, fmt.Errorf("grades: %w", err)
	}
	all := map[uuid.UUID][]GivenGrade{}
	var id uuid.UUID
	var g GivenGrade
	_, err = pgx.ForEachRow(rows, []any{&id, &g.GradeNo, &g.GradedBy, &g.Role, &g.GradedAt, &g.Level, &g.Content}, func() error {
		all[id] = append(all[id], g)
		g.Content = Grade{} // the next row is decoded into one of its own
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("grades: %w", err)
	}
	return all, nil
}

// Counted are those that are in the denominator.
func Counted(all []Standing) []Standing {
	return slices.DeleteFunc(slices.Clone(all), func(s Standing) bool { return s.Excluded != "" })
}

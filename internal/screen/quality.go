package screen

import (
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/workflow"
)

// QualityList is one of the lists of the peer-learning room; those that are not asked
// for are empty.
type QualityList struct {
	Zone        *time.Location // of the hospital
	Now         time.Time
	OpenReviews int    // how many wait, whichever list it is
	Next        string // the place of the next page; "" at the end

	Reviews  []workflow.ReviewLine
	Points   []workflow.PointLine
	Tags     []string // of the learning points, the most used first
	Feedback []workflow.FeedbackLine
	Outcomes []workflow.TruthLine
	Samples  []workflow.SampleLine
	Strata   []workflow.SampleStratum // of a year
	Packs    []workflow.Pack
}

// QualityAsked is which list, and how it is narrowed.
type QualityAsked struct {
	List  string // reviews, points, feedback, outcomes, samples, packs
	Tag   string // points: with this one
	Shown string // reviews: closed; feedback: of workflow.FeedbackChoices; samples: all
	After string // the place of the page before
}

// QualityCase is what the quality compartment has of a case, with the two readings
// beside each other.
type QualityCase struct {
	Task, Number, Order, Exam, Modality, State string
	Zone                                       *time.Location
	Now                                        time.Time
	Opened                                     time.Time
	Scored                                     bool // the policy of the case has scores
	Pseudonyms                                 bool // and names readers by pseudonyms
	Sample                                     bool
	Independent                                *bool // nil: it says nothing here
	May                                        map[string]bool

	People       []CasePerson
	Grades       []QualityGrade
	Acknowledged []workflow.Acknowledgement
	Judgements   []workflow.GivenJudgement
	Truths       []workflow.GivenTruth
	Points       []workflow.GivenPoint
	Told         []QualityTold
	Reviews      []workflow.Review

	Original []Original
	Compared []Pair
	Report   *workflow.Report
}

// OpenReview tells whether one waits to be concluded.
func (c QualityCase) OpenReview() bool {
	n := len(c.Reviews)
	return n > 0 && c.Reviews[n-1].ClosedAt == nil
}

// QualityGrade is a grade with who gave it and the scores that follow from it.
type QualityGrade struct {
	workflow.GivenGrade

	By        string
	InForce   bool
	RADPEER   string // "" where there is none, or no scores
	FivePoint int    // 0 where there is none
}

// QualityTold is what a reader of the original was told, with who it was.
type QualityTold struct {
	workflow.Feedback

	Who string
}

// OwnFeedback is what somebody who reads is told, as the reader of originals.
type OwnFeedback struct {
	Zone *time.Location
	Told []ToldReader
	Next string
}

// ToldReader is what they are told of one second opinion.
type ToldReader struct {
	ID         uuid.UUID
	Kind       workflow.FeedbackMode
	Exam       string
	MadeAt     time.Time
	New        bool // they have not seen it before
	Level      workflow.Level
	Difference string
	GoodCall   bool
	Points     []string
	AnsweredAt *time.Time
	Agrees     *bool
	Answer     string
}

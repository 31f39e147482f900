package workflow

import (
	"hash/fnv"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Fact is what statistics count of a case, as it is known since a moment: a row of
// measure_fact. It is quality work product, and tells no patient.
type Fact struct {
	CaseID    uuid.UUID
	KnownFrom time.Time
	Description
	Asymmetry string

	Excluded     string // "": it counts; else one of Exclusions
	NoComparison string // why there was none, one of noComparisonReasons
	Significance Level  // "" where nothing was compared, or nobody has signed
	Management   string // as the grade in force says
	Clinician    string // as the clinician says
	Reader       Level  // the last grade of the reader
	Adjudicator  Level  // the last grade of a third reader
	Right        string // who was right; "" when not known

	OpenedAt       time.Time
	CompleteAt     *time.Time
	SignedAt       *time.Time // first
	AcknowledgedAt *time.Time // first
	CountsAt       *time.Time // when the grade in force was given
	Study          string     // of a signed one; "" where it has no name
}

// Exclusions are why a case is in no denominator, by their number in measure_fact,
// which stays.
var Exclusions = []string{"", ExcludedOpen, ExcludedCancelled, ExcludedError, ExcludedNoComparison, ExcludedSameStudy, ExcludedSample}

// The words of a fact by their number in measure_fact, which stays. Rights are from 0
// for what is not determined.
var (
	FactLevels      = []Level{LevelNone, LevelMinor, LevelMajor}
	FactManagements = managements
	FactRights      = []string{"undetermined", "first", "second", "both", "neither"}
)

// knowledge is what is known of a case: all that its fact is made from.
type knowledge struct {
	caseID       uuid.UUID
	state        State
	description  Description
	unveiled     bool // the reader of a blinded case had opened the record before
	sample       bool
	study        string
	opened       time.Time
	complete     *time.Time
	signed       *time.Time
	acknowledged *time.Time
	grades       []GivenGrade
	clinician    string
	right        string
}

// fact is what is counted, but for other cases of the same study.
func (k knowledge) fact(now time.Time) Fact {
	s := Standing{FinalAt: k.signed}
	if k.sample {
		s.SampleOf = &k.caseID
	}
	s.judge(k.state, k.grades, endOfTime)
	f := Fact{
		CaseID: k.caseID, KnownFrom: now, Description: k.description, Asymmetry: "no",
		Excluded: s.Excluded, NoComparison: s.ExcludedWhy, OpenedAt: k.opened, CompleteAt: k.complete,
	}
	if f.Blinding == string(Blinded) && k.unveiled {
		f.Blinding = "unveiled"
	}
	if k.signed == nil {
		return f
	}
	f.SignedAt, f.AcknowledgedAt, f.Study, f.Right, f.Clinician = k.signed, k.acknowledged, k.study, k.right, k.clinician
	if s.Asymmetric {
		f.Asymmetry = "yes"
	}
	if s.Grade == nil {
		return f
	}
	f.CountsAt = &s.lastGradedOrEnd
	if s.Grade.Level != LevelNoComparison {
		f.Significance, f.Management = s.Grade.Level, s.Grade.Content.Management()
	}
	for _, g := range k.grades {
		if g.Level == LevelNoComparison {
			continue
		}
		if g.Role == "adjudicator" {
			f.Adjudicator = g.Level
		} else {
			f.Reader = g.Level
		}
	}
	return f
}

// endOfTime is later than every grade.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// adjudicated tells that a third reader's grade counts, also one that says that
// nothing can be compared.
func (f Fact) adjudicated() bool { return f.Adjudicator != "" }

// periodAt is by which a case belongs to a period.
func (f Fact) periodAt() time.Time {
	if f.SignedAt != nil {
		return *f.SignedAt
	}
	return f.OpenedAt
}

// competes tells that the case counts, or would if no other of its study did.
func (f Fact) competes() bool {
	return f.Study != "" && (f.Excluded == "" || f.Excluded == ExcludedSameStudy)
}

// settleStudy leaves of the facts of one study the one that counts, as StandingsTx
// does, and returns those that change.
func settleStudy(facts []*Fact) (changed []*Fact) {
	var rivals []*Fact
	for _, f := range facts {
		if f.competes() {
			rivals = append(rivals, f)
		}
	}
	slices.SortFunc(rivals, func(a, b *Fact) int { return slices.Compare(a.CaseID[:], b.CaseID[:]) })
	standings := make([]Standing, len(rivals))
	for i, f := range rivals {
		standings[i] = Standing{Study: f.Study, adjudicated: f.adjudicated(), lastGradedOrEnd: *f.CountsAt}
	}
	onePerStudy(standings)
	for i, f := range rivals {
		if f.Excluded != standings[i].Excluded {
			f.Excluded = standings[i].Excluded
			changed = append(changed, f)
		}
	}
	return changed
}

// studyKey finds the cases of a study without saying which it is.
func studyKey(study string) *int64 {
	if study == "" {
		return nil
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(study))
	key := int64(h.Sum64()) //nolint:gosec // any 64 bits
	return &key
}

// study is the name of the study: as StandingsTx has it.
func (c *Case) study() string {
	for _, name := range []*string{c.StudyUID, c.StudyID, c.Accession} {
		if name != nil {
			return *name
		}
	}
	return ""
}

// before the signature all is in the case itself.
func (c *Case) known() knowledge {
	return knowledge{caseID: c.CaseID, state: c.State, description: c.description(), sample: c.SampleOf != nil, opened: c.OpenedAt, complete: c.CompleteAt}
}

package screen

import (
	"time"

	"github.com/overread/overread/workflow"
)

// Reading is a case before one who reads it, decides between two, or countersigns: as
// much of it as they may see in this moment.
type Reading struct {
	Task     string // id
	Version  int64  // of the Task
	Order    string // the placer's number
	Number   string // ours
	Exam     string
	Priority string
	State    workflow.State
	Opened   time.Time
	Due      *time.Time
	Zone     *time.Location // of the hospital
	Now      time.Time

	Stage     Stage
	May       map[string]bool // what the rules let them do now: nothing but what is given with it would have it refused
	Barred    string          // why the next step of this stage would be refused to them, "" where it is offered
	Mine      bool            // it is in their hands
	Blinded   bool            // the protocol: the original is shown after the opinion is sealed
	Hidden    bool            // and it is not shown yet
	Alone     bool            // there is no original to compare with
	Scored    bool            // expectedness may be graded
	Graded    bool            // they have graded it
	Grade     *workflow.Grade // theirs; else to the third reader who decides the reader's, for a beginning
	Says      *Says           // what the report will say of the grade in force, to who signs
	Returned  bool            // a supervisor has returned it
	Signed    bool            // the report is theirs, or its version in force has their signature
	Verifies  bool            // an amendment may say that it takes into account what the study has become
	Judged    []Judged        // findings of which a signature may say whether they stand
	Compares  bool            // and is to compare the report with a first one, which has come or was taken back
	Rewritten bool            // the first report says something else now, or was taken back, and nobody has looked
	OwnFirst  bool            // as the third reader they read for themselves before they see the others
	Reading   workflow.ReadingProtocol
	Notices   []string // what others did under their hands

	Patient  []Line
	Question string
	History  []string
	Study    []Line
	Priors   []Prior

	Form     *Form // the template of the exam, nil where none fits
	Follows  int   // the number of the draft
	SavedAt  *time.Time
	Draft    workflow.Opinion
	Sealed   []Sealed // opinions that they may see, the oldest first
	Original []Original
	Compared []Pair                   // the original beside the opinion in force
	Changed  []workflow.SectionChange // of a signed report: what the last version changed
	Report   *workflow.Report         // the version in force

	Matters []Matter
}

// Says is what a report says of its grade.
type Says struct {
	Level      workflow.Level
	Difference string
}

// Stage is which of the pages of a case somebody has before them.
type Stage string

// The stages.
const (
	Waiting     Stage = "waiting"     // nothing to do, or not theirs
	Claimable   Stage = "claimable"   // in the pool or offered to them
	Writing     Stage = "writing"     // their opinion, in the dark
	Locked      Stage = "locked"      // sealed, the original not shown yet
	Comparing   Stage = "comparing"   // beside the original: grade, sign
	Conferring  Stage = "conferring"  // two have locked: one text, or a third
	Arbitrating Stage = "arbitrating" // a third decides between two
	Deciding    Stage = "deciding"    // a third decides between reader and original
	Cosigning   Stage = "cosigning"   // a supervisor reads what waits for a signature
	Amending    Stage = "amending"    // an amendment is open
	Signed      Stage = "signed"
)

// Line is a fact with its label.
type Line struct{ Label, Value string }

// Prior is another examination of the patient, once, with all that was reported of it.
type Prior struct {
	Title    string
	On       time.Time
	Modality string
	Site     string
	Number   string // its accession number
	Reports  []PriorReport
}

// PriorReport is a report of it, without which only its images are known.
type PriorReport struct {
	Title string
	On    time.Time // it was issued
	Parts []Line    // without a label where the report has none for it
}

// Original is the report that is read again.
type Original struct {
	Title  string
	On     time.Time
	Status string
	By     string
	Text   string
	Files  []string // content types of forms that are no text
}

// Sealed is an opinion that was locked.
type Sealed struct {
	No       int
	Part     workflow.ReadingPart
	Own      bool
	InForce  bool
	Table    bool // another reader's text that can be concurred with
	Waits    bool // their own text, which the other reader can concur with
	At       time.Time
	SHA256   string
	Content  workflow.Opinion
	Findings string          // with those of the template, in words
	Marked   []MarkedSection // where it is shown beside another: what only it says; else nil
	Changed  []string        // sections that are not as in the opinion before it
}

// MarkedSection is a section of a text beside another one.
type MarkedSection struct {
	Section string // Technique, Comparison ...
	Runs    []workflow.Run
}

// Pair is a part of two texts side by side, with what is only in one of them marked.
type Pair struct {
	Title       string
	Left, Right []workflow.Run
}

// Matter is what is open on a case besides its state.
type Matter struct {
	No         int
	Kind       workflow.MatterKind
	Category   string
	Text       string
	Opened     time.Time
	Due        time.Time
	Settlement string          // "" while it is open
	May        map[string]bool // what may be done about it now
	Compare    bool            // a first report is to be compared: by an amendment with a grade alone
	Retracted  bool            // since the hospital has taken it back
	Strayed    bool            // what was read may be another patient's
	Answer     string
	Told       []Told
}

// Judged is a finding of which whoever signs may say whether it stands.
type Judged struct {
	No       int
	Category string
	Text     string
	Must     bool // it came from another text than the one that is in force
}

// Form is a template with what has been answered.
type Form struct {
	Questionnaire string // url|version
	Title         string
	Comparison    bool // the report must say with what it was compared
	Sections      []FormSection
}

// FormSection is one of its sections.
type FormSection struct {
	ID, Title, Normal  string
	NormalID, ChoiceID string
	TextID, Text       string
	Required, IsNormal bool
	Choices            []FormChoice
	Measures           []FormMeasure
}

// FormChoice is a finding that can be chosen.
type FormChoice struct {
	Code, Text string
	Chosen     bool
}

// FormMeasure is a number with its unit.
type FormMeasure struct{ ID, Title, Unit, Value string }

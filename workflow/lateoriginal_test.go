package workflow

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// unreported is a case whose hospital has no report of the study, as far as anybody
// knows, that anybody may read.
func (h *house) unreported() Case {
	h.Helper()
	c := h.open(func(f *Facts) { f.Original, f.Reported, f.First = nil, false, FirstReaders{} })
	h.tick()
	h.fire(h.coordinator, c, "proceed", Input{Reason: "the hospital has no report"})
	h.tick()
	return h.stands(c, Ready)
}

// reported: the hospital's report comes.
func (h *house) reported(c Case) {
	f, whole := h.facts[c.PlacerValue], wholeFacts()
	f.Original, f.Reported, f.First = whole.Original, true, whole.First
	h.lookAt(c)
}

// grows: the study has so many images now.
func (h *house) grows(c Case, images int) {
	h.Helper()
	f := h.facts[c.PlacerValue]
	f.Study.Instances, f.Study.InstancesSaid = images, images
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return h.engine.StudyChangedTx(ctx, tx, h.tenant, "", f.Study.UID, images, false)
	})
}

func TestImagesThatCameAfterTheLockAreVerifiedAlsoWhereTheOriginalComesAfterThem(t *testing.T) {
	t.Parallel()
	for name, come := range map[string]func(h *house, c Case){
		"the images, then the report": func(h *house, c Case) { h.grows(c, 500); h.reported(c) },
		"the report, then the images": func(h *house, c Case) { h.reported(c); h.grows(c, 500) },
		"both at once": func(h *house, c Case) { // and no message tells of the study
			f := h.facts[c.PlacerValue]
			f.Study.Instances, f.Study.InstancesSaid = 500, 500
			h.reported(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.unreported()
			h.fire(h.anna, c, "claim", Input{Independent: true})
			h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
			read := h.find(c).Exam.imagesRead()
			come(h, c)
			h.fire(h.anna, c, "reveal", Input{})
			h.fire(h.anna, c, "grade", Input{Grade: &agreement})
			h.fire(h.anna, c, "sign", Input{})
			all := h.matters(c)
			if len(all) != 1 || all[0].Kind != VerificationMatter || all[0].Content.Images != 500 || all[0].Content.ImagesThen != read {
				t.Errorf("after %d images were read: %+v", read, all)
			}
		})
	}
}

// verdict is what a reader of a study without a first report says of it.
var verdict = Grade{NoComparison: "there is no report", NoComparisonReason: "original-unusable"}

func TestAFirstReportThatComesWhileComparingIsComparedBeforeTheSignature(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(h *house, c Case){
		"not graded":    func(*house, Case) {},
		"graded before": func(h *house, c Case) { h.fire(h.anna, c, "grade", Input{Grade: &verdict}) },
		"on hold":       func(h *house, c Case) { h.fire(h.placer, c, "hold", Input{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.unreported()
			h.comparing(h.anna, c)
			before(h, c)
			h.reported(c)
			if name == "on hold" {
				h.fire(h.placer, c, "resume", Input{})
				h.tick()
			}
			got := h.stands(c, Comparing)
			if !got.comparable() || got.OriginalReportID == nil || *got.OriginalReportID != "r1" {
				t.Fatalf("%+v", got)
			}
			if told := h.notices(h.anna); !slices.Contains(told, "original-arrives") {
				t.Errorf("Anna is told %v", told)
			}
			h.refused(fault.BusinessRule, h.anna, c, "sign", Input{})
			h.refused(fault.BusinessRule, h.anna, c, "grade", Input{Grade: &Grade{NoComparison: "none", NoComparisonReason: "no-original"}})
			h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
			h.stands(c, Adjudication)
			h.replays(c)
		})
	}
}

func TestAFirstReportThatComesBeforeTheCoSignatureIsComparedByTheReaderOrTheSupervisor(t *testing.T) {
	t.Parallel()
	for _, returned := range []bool{false, true} {
		h := newHouse(t, `{"assignment": "pool"}`)
		c := h.unreported()
		carl := as(h.carl, access.Supervisor)
		h.comparing(h.trainee, c)
		h.fire(h.trainee, c, "sign", Input{})
		h.stands(c, AwaitingCosign)
		h.reported(c)
		h.stands(c, AwaitingCosign)
		h.refused(fault.BusinessRule, carl, c, "sign", Input{})
		h.refused(fault.BusinessRule, carl, c, "sign", Input{Opinion: &Opinion{Impression: "Other."}, GradeStands: true})
		sign := Input{Grade: &minorMiss}
		if returned {
			h.fire(carl, c, "return", Input{Reason: "the first report is here"})
			h.refused(fault.BusinessRule, h.trainee, c, "sign", Input{})
			h.fire(h.trainee, c, "grade", Input{Grade: &minorMiss})
			h.fire(h.trainee, c, "sign", Input{})
			sign = Input{}
		}
		if r := h.fire(carl, c, "sign", sign).Report; r.Level != LevelMinor {
			t.Errorf("returned %t: the report says %s", returned, r.Level)
		}
		h.replays(c)
	}
}

func TestAFirstReportThatComesAfterTheSignatureIsComparedByAnAmendment(t *testing.T) {
	t.Parallel()
	amendment := Amendment{Kind: "amendment", Reason: "the first report came", Text: "The two were compared.", Verifies: true}
	for name, before := range map[string]func(h *house, c Case){
		"final":    func(*house, Case) {},
		"closed":   func(h *house, c Case) { h.fire(h.placer, c, "acknowledge", Input{}) },
		"amending": func(h *house, c Case) { h.fire(h.anna, c, "amend", Input{Reason: "a second look"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.unreported()
			h.comparing(h.anna, c)
			if r := h.fire(h.anna, c, "sign", Input{}).Report; r.Level != LevelNoComparison {
				t.Fatalf("the report says %s", r.Level)
			}
			before(h, c)
			f, whole := h.facts[c.PlacerValue], wholeFacts()
			f.Original, f.Reported, f.First = whole.Original, true, whole.First
			f.Original.Final = false
			h.lookAt(c)
			if got := h.matters(c); len(got) != 0 {
				t.Fatalf("a preliminary report is compared: %+v", got)
			}
			f.Original.Final = true
			h.lookAt(c)
			h.lookAt(c)
			all := h.matters(c)
			if len(all) != 1 || !all[0].Open() || !all[0].Content.FirstReport || all[0].Content.Words() != originalCame {
				t.Fatalf("%+v", all)
			}
			if name != "amending" {
				h.refused(fault.BusinessRule, h.anna, c, "verify", Input{Reason: "it holds"})
				h.fire(h.anna, c, "amend", Input{Reason: "the first report came"})
			}
			h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Amendment: &amendment})
			r := h.fire(h.anna, c, "sign", Input{Amendment: &amendment, Grade: &majorMiss}).Report
			if r.Level != LevelMajor {
				t.Errorf("the report says %s", r.Level)
			}
			all = h.matters(c)
			if all[0].Open() || len(all) != 2 || all[1].Category != "urgent" {
				t.Errorf("%+v", all)
			}
			h.lookAt(c)
			if again := h.matters(c); len(again) != len(all) {
				t.Errorf("it is told again: %+v", again)
			}
			h.replays(c)
		})
	}
}

// rewritten: the hospital's report says something else now.
func (h *house) rewritten(c Case, says string) {
	f := h.facts[c.PlacerValue]
	original := *f.Original
	original.Version++
	original.Said = says
	f.Original = &original
	h.lookAt(c)
}

func TestAFirstReportThatIsRewrittenAfterTheGradeIsComparedAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.open(func(f *Facts) { f.Original.Said = "a tear" })
	h.tick()
	h.comparing(h.anna, c)
	h.rewritten(c, "a tear") // its readers are named otherwise, say
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.rewritten(c, "a tear")
	if e := h.find(c).Exam; e.OriginalRevised != nil {
		t.Fatalf("what says the same is another first report: %s", e.OriginalRevised)
	}
	h.rewritten(c, "no tear at all")
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	now := h.fire(h.anna, c, "sign", Input{}).Case
	if v := now.OriginalReportVersion; v == nil || *v != h.facts[c.PlacerValue].Original.Version {
		t.Errorf("compared was version %v of the first report", v)
	}
	h.replays(c)

	// what waits for a supervisor is compared by its reader, or with the signature
	c = h.open(func(f *Facts) { f.Original.Said = "a tear" })
	h.tick()
	carl := as(h.carl, access.Supervisor)
	h.comparing(h.trainee, c)
	h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
	h.fire(h.trainee, c, "sign", Input{})
	h.stands(c, AwaitingCosign)
	h.rewritten(c, "no tear at all")
	h.refused(fault.BusinessRule, carl, c, "sign", Input{})
	h.refused(fault.BusinessRule, carl, c, "sign", Input{GradeStands: true})
	if r := h.fire(carl, c, "sign", Input{Grade: &minorMiss}).Report; r.Level != LevelMinor {
		t.Errorf("the report says %s", r.Level)
	}
	h.replays(c)
}

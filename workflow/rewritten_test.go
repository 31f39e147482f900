package workflow

import (
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// comparedCase is a signed case that was compared with a first report.
func (h *house) comparedCase() Case {
	c := h.open(func(f *Facts) { f.Original.Said, f.Original.Status = "a tear", "final" })
	h.tick()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	return h.find(c)
}

// originalIs: the hospital's report has another status.
func (h *house) originalIs(c Case, status string) {
	f := h.facts[c.PlacerValue]
	original := *f.Original
	original.Version++
	original.Status, original.Final = status, status != "entered-in-error"
	f.Original = &original
	h.lookAt(c)
}

func (h *house) comparedWith(c Case) int64 { return *h.find(c).OriginalReportVersion }

func TestAFirstReportThatIsRewrittenAfterTheSignatureIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.comparedCase()
	compared := h.comparedWith(c)
	h.rewritten(c, "a tear") // the same, sent again
	if all := h.matters(c); len(all) != 0 {
		t.Fatalf("what says the same is looked at: %+v", all)
	}
	h.rewritten(c, "no tear at all")
	h.rewritten(c, "no tear at all")
	all := h.matters(c)
	if len(all) != 1 || !all[0].Content.Rewritten || all[0].Content.Words() != originalRewritten {
		t.Fatalf("%+v", all)
	}
	if got := h.owes(h.anna); got != "look" {
		t.Errorf("who signed has %q", got)
	}
	if got := h.comparedWith(c); got != compared {
		t.Errorf("nobody has looked, and it is compared with version %d", got)
	}
	h.refused(fault.Forbidden, h.coordinator, c, "dismiss-verification", Input{Reason: "no time"})
	h.fire(h.anna, c, "verify", Input{Reason: "It is no tear."})
	if got := h.comparedWith(c); got != compared+2 { // the first version that says so
		t.Errorf("it was looked at, and is compared with version %d", got)
	}
	if got := h.owes(h.anna); got != "" {
		t.Errorf("who signed has %q", got)
	}

	// Changed again it is amended, which says how the two compare, or that this stands.
	h.rewritten(c, "two tears")
	h.fire(h.anna, c, "amend", Input{Reason: "it changed"})
	h.rewritten(c, "three tears") // while it is written
	amended := &Amendment{Kind: "amendment", Reason: "it changed", Text: "They differ now.", Verifies: true}
	if why := h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Amendment: amended}); !strings.Contains(why, "gradeStands") {
		t.Error(why)
	}
	if r := h.fire(h.anna, c, "sign", Input{Amendment: amended, Grade: &minorMiss}).Report; r.Level != LevelMinor {
		t.Errorf("%+v", r)
	}
	h.rewritten(c, "four tears")
	h.fire(h.anna, c, "amend", Input{Reason: "it changed"})
	h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "addition", Reason: "it changed", Text: "It still holds.", Verifies: true}, GradeStands: true})
	if open := h.owes(h.anna); open != "" || h.comparedWith(c) != h.facts[c.PlacerValue].Original.Version {
		t.Errorf("%q is open", open)
	}
	h.replays(c)
}

func TestAFirstReportThatIsTakenBackAfterTheSignatureIsComparedNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.comparedCase()
	h.originalIs(c, "entered-in-error")
	all := h.matters(c)
	if len(all) != 1 || !all[0].Content.Retracted || all[0].Content.Words() != originalRetracted {
		t.Fatalf("%+v", all)
	}
	if got := h.owes(h.anna); got != "comparison" {
		t.Errorf("who signed has %q", got)
	}
	h.refused(fault.BusinessRule, h.anna, c, "verify", Input{Reason: "it holds"})
	h.fire(h.anna, c, "amend", Input{Reason: "it was taken back"})
	amended := &Amendment{Kind: "amendment", Reason: "it was taken back", Text: "Nothing is compared.", Verifies: true}
	h.refused(fault.BusinessRule, h.anna, c, "sign", Input{Amendment: amended, GradeStands: true})
	r := h.fire(h.anna, c, "sign", Input{Amendment: amended, Grade: &Grade{NoComparison: "it was taken back", NoComparisonReason: "original-unusable"}}).Report
	if r.Level != LevelNoComparison {
		t.Errorf("%+v", r)
	}
	h.originalIs(c, "corrected") // and sent anew
	if all := h.matters(c); len(all) != 2 || !all[1].Content.Rewritten || all[1].Content.Retracted {
		t.Errorf("%+v", all)
	}
	h.replays(c)
}

// What the hospital says of its report by its status alone is looked at where it says that
// something has changed.
func TestAStatusThatTellsOfAChangeIsLookedAt(t *testing.T) {
	t.Parallel()
	for status, looked := range map[string]bool{"final": false, "amended": true, "corrected": true, "appended": true, "unknown": false} {
		t.Run(status, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.comparedCase()
			h.originalIs(c, status)
			if all := h.matters(c); (len(all) == 1) != looked {
				t.Errorf("%+v", all)
			}
		})
	}
	// The director, who had no part in it, may find that nobody has to look.
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.comparedCase()
	h.rewritten(c, "a tear.")
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "a full stop"})
	if got := h.owedTo(as(h.anna, access.Reader)); got != nil || h.comparedWith(c) != 1 {
		t.Errorf("%+v", got)
	}
}

// A first report that came after the signature may change, or be taken back, before anybody
// has compared it. Then nobody is told that it was compared with what it said before.
func TestAFirstReportThatChangesBeforeItIsComparedHasNotBeenComparedBefore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.unreported()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &verdict})
	h.fire(h.anna, c, "sign", Input{})
	f, whole := h.facts[c.PlacerValue], wholeFacts()
	f.Original, f.Reported, f.First = whole.Original, true, whole.First
	f.Original.Said, f.Original.Status = "a tear", "final"
	h.lookAt(c)
	words := func() string {
		t.Helper()
		all := h.matters(c)
		if len(all) != 1 || !all[0].Content.FirstReport || !all[0].Open() {
			t.Fatalf("%+v", all)
		}
		return all[0].Content.Words()
	}
	h.rewritten(c, "two tears")
	if got := words(); got != originalCame {
		t.Error(got)
	}
	h.originalIs(c, "entered-in-error")
	if got := words(); got != originalCameAndWent {
		t.Error(got)
	}
	h.originalIs(c, "corrected")
	if got := words(); got != originalCame {
		t.Error(got)
	}
	h.fire(h.anna, c, "amend", Input{Reason: "it came"})
	h.fire(h.anna, c, "sign", Input{Amendment: &Amendment{Kind: "amendment", Reason: "it came", Text: "They agree.", Verifies: true}, Grade: &agreement})
	if now := h.facts[c.PlacerValue].Original.Version; h.comparedWith(c) != now {
		t.Errorf("it is compared with version %d of %d", h.comparedWith(c), now)
	}
	h.replays(c)
}

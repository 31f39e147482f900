package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/fault"
)

func asking(subspecialty string) func(*Facts) {
	return func(f *Facts) { f.Exam.Subspecialty = subspecialty }
}

func TestACaseThatNobodyFitsIsBroadenedStepByStepAndSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"broaden": [{"to": "related", "after": "2h"}, {"to": "general", "after": "6h"}]}`)
	c := h.open(asking("cardiac")) // Ben reads chest, which is related; Anna neuro only
	h.exec(`UPDATE reader SET credential = credential || '{"subspecialties": ["neuro"]}' WHERE display = 'Ben'`)
	h.tick()
	h.stands(c, Unassignable)
	h.pass(119 * time.Minute)
	if got := h.stands(c, Unassignable); got.Exam.Broadened != nil {
		t.Fatal("too early")
	}
	h.pass(2 * time.Minute)
	got := h.stands(c, Unassignable)
	if b := got.Exam.Broadened; b == nil || b.To != ToRelated || b.Why != "no reader of cardiac was available for 2 hours" {
		t.Fatalf("%+v", b)
	}
	h.refused(fault.Conflict, h.anna, c, "claim", Input{Independent: true})
	h.pass(6*time.Hour + time.Minute)
	got = h.stands(c, Ready)
	if b := got.Exam.Broadened; b.To != ToGeneral || b.Why != "no reader of cardiac or chest or vascular was available for 6 hours" {
		t.Fatalf("%+v", b)
	}
	h.fire(h.anna, c, "claim", Input{Independent: true})
	want := "Read by a general radiologist instead of one of the subspecialty cardiac, because no reader of cardiac or chest or vascular was available for 6 hours."
	if got := h.find(c).Exam.Downgrade; got != want {
		t.Error(got)
	}
	if detail := h.lastDetail(c); !strings.Contains(detail, "instead of one of the subspecialty cardiac") {
		t.Error("the event of the claim does not tell of the downgrade:", detail)
	}
	h.fire(h.anna, c, "release", Input{Reason: "ill"})
	if got := h.find(c).Exam; got.Downgrade != "" || got.Broadened == nil {
		t.Errorf("%+v", got)
	}
	h.replays(c)
}

func TestACoordinatorBroadensWithAReason(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.open(asking("cardiac"))
	h.tick()
	h.stands(c, Unassignable)
	h.refused(fault.BusinessRule, h.coordinator, c, "broaden", Input{Breadth: ToRelated})
	h.refused(fault.BusinessRule, h.coordinator, c, "broaden", Input{Breadth: "wide", Reason: "ward is waiting"})
	h.refused(fault.Forbidden, h.anna, c, "broaden", Input{Breadth: ToRelated, Reason: "me"})
	h.fire(h.coordinator, c, "broaden", Input{Breadth: ToRelated, Reason: "the ward is waiting"})
	h.refused(fault.BusinessRule, h.coordinator, c, "broaden", Input{Breadth: ToRelated, Reason: "again"})
	h.tick()
	h.stands(c, Ready)
	h.refused(fault.BusinessRule, h.anna, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "claim", Input{Independent: true})
	want := "Read by a radiologist of the related subspecialty chest instead of one of the subspecialty cardiac, because the ward is waiting."
	if got := h.find(c).Exam.Downgrade; got != want {
		t.Error(got)
	}
	general := h.open(asking(General))
	h.tick()
	h.refused(fault.BusinessRule, h.coordinator, general, "broaden", Input{Breadth: ToGeneral, Reason: "why not"})
}

func TestALadderThatGetsNoBroaderIsRefused(t *testing.T) {
	for _, policy := range []string{
		`{"broaden": [{"to": "general", "after": "1h"}, {"to": "related", "after": "1h"}]}`,
		`{"broaden": [{"to": "related", "after": "1h"}, {"to": "related", "after": "2h"}]}`,
		`{"matching": {"weights": {"fit": 0, "load": 0, "fairness": 0, "due": 0}}}`,
	} {
		if _, err := ParsePolicy([]byte(policy)); err == nil {
			t.Error(policy)
		}
	}
	var p Policy
	if diff := cmp.Diff([]string{"head-neck"}, p.relatedTo("neuro")); diff != "" || p.relatedTo("breast") != nil {
		t.Error(diff)
	}
	p.Related = []Kinship{{"neuro", []Privilege{}}}
	if got := p.relatedTo("neuro"); got != nil {
		t.Error("the policy's own word does not count:", got)
	}
}

func TestWhoDeclinesForAConflictHasNoPartInTheCase(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "offer"}`)
	c := h.ready()
	first := h.stands(c, Offered).OfferedTo
	who, other := h.anna, h.ben
	if *first == h.ben.ID {
		who, other = h.ben, h.anna
	}
	h.refused(fault.BusinessRule, who, c, "decline", Input{Code: "bored"})
	h.fire(who, c, "decline", Input{Code: DeclinedForConflict})
	h.tick()
	if got := h.stands(c, Offered); *got.OfferedTo != other.ID {
		t.Fatal("offered to", got.OfferedTo)
	}
	h.refused(fault.BusinessRule, h.coordinator, c, "reassign", Input{ReaderID: &who.ID, Reason: "please"})
	h.fire(other, c, "decline", Input{Code: "workload"})
	if detail := h.lastDetail(c); !strings.Contains(detail, `"code": "workload"`) {
		t.Error(detail)
	}
	h.refused(fault.BusinessRule, who, c, "claim", Input{Independent: true})
	h.fire(other, c, "claim", Input{Independent: true})
	h.replays(c)
}

func TestACoordinatorGivesACaseToAnotherReaderAndWhatWasWrittenIsSealed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "start", Input{})
	h.fire(h.anna, c, "draft", Input{Opinion: &Opinion{Findings: "So far."}})
	h.refused(fault.BusinessRule, h.coordinator, c, "reassign", Input{ReaderID: &h.ben.ID})
	h.refused(fault.BusinessRule, h.coordinator, c, "reassign", Input{ReaderID: &h.anna.ID, Reason: "to the same"})
	h.refused(fault.Forbidden, h.anna, c, "reassign", Input{ReaderID: &h.ben.ID, Reason: "I am tired"})
	h.fire(h.coordinator, c, "reassign", Input{ReaderID: &h.ben.ID, Reason: "Anna is ill"})
	got := h.stands(c, Offered)
	if *got.OfferedTo != h.ben.ID || got.ReaderID != nil {
		t.Fatalf("%+v", got)
	}
	if detail := h.lastDetail(c); !strings.Contains(detail, `"sha256"`) || !strings.Contains(detail, h.anna.ID.String()) {
		t.Error("what was written is not sealed:", detail)
	}
	h.refused(fault.Conflict, h.anna, c, "draft", Input{Opinion: &opinion})
	h.fire(h.coordinator, c, "reassign", Input{ReaderID: &h.carl.ID, Reason: "Ben is away"}) // an offer is moved too
	h.fire(h.coordinator, c, "reassign", Input{ReaderID: &h.ben.ID, Reason: "he is back"})
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.refused(fault.BusinessRule, h.ben, c, "lock", Input{}) // the former reader's words are not his
	h.fire(h.ben, c, "lock", Input{Opinion: &opinion})
	h.replays(c)
}

// lastDetail is what the last event of a case says of itself.
func (h *house) lastDetail(c Case) (text string) {
	h.Helper()
	err := h.db.Owner(h).QueryRow(h.Context(), `SELECT detail::text FROM case_event WHERE case_id = $1 ORDER BY seq DESC LIMIT 1`, c.CaseID).Scan(&text)
	if err != nil {
		h.Fatal(err)
	}
	return text
}

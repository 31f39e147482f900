package workflow

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

var alarming = Opinion{Findings: "A spiculated nodule.", Impression: "Probably cancer.", Actionable: "urgent"}

// conferring takes a case through two independent readings, by Anna and Ben.
func (h *house) conferring(c Case, first, second *Opinion) {
	h.Helper()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "lock", Input{Opinion: first})
	h.stands(c, Ready)
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "lock", Input{Opinion: second})
}

// readings are what an actor sees, each as its part, and "*" behind it where the
// impression is that of the alarming one.
func (h *house) readings(actor access.Actor, c Case) (parts []string) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		shown, err := ReadingsTx(ctx, tx, actor, h.find(c))
		for _, o := range shown {
			parts = append(parts, string(o.Part))
		}
		return err
	})
	return parts
}

func TestTwoReadersKnowNothingOfEachOtherUntilBothHaveLocked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "consensus"}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	c = h.stands(c, Ready)
	if c.ReaderID != nil || c.LockedAt != nil || c.AcceptedAt == nil || !c.Unsettled() {
		t.Errorf("between two readings: %+v", c)
	}
	why := h.refused(fault.BusinessRule, h.anna, c, "claim", Input{Independent: true})
	if !strings.Contains(why, "has had a part") {
		t.Error(why)
	}
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "start", Input{})
	h.fire(h.ben, c, "draft", Input{Opinion: &alarming})
	for name, actor := range map[string]access.Actor{"the second": h.ben, "a supervisor": as(h.carl, access.Supervisor), "an adjudicator": as(h.carl, access.Adjudicator), "the trainee": h.trainee} {
		if seen := h.readings(actor, c); seen != nil {
			t.Errorf("%s sees %v", name, seen)
		}
	}
	if diff := cmp.Diff([]string{"first"}, h.readings(h.anna, c)); diff != "" {
		t.Error("the first sees their own only:", diff)
	}
	h.refused(fault.Conflict, h.anna, c, "propose", Input{Opinion: &opinion})
	h.refused(fault.Forbidden, h.anna, c, "lock", Input{Opinion: &opinion})
	h.fire(h.ben, c, "lock", Input{})
	h.stands(c, Conferring)
	for _, actor := range []access.Actor{h.anna, h.ben} {
		if diff := cmp.Diff([]string{"first", "second"}, h.readings(actor, c)); diff != "" {
			t.Errorf("%s: %s", actor.Display, diff)
		}
	}
	if seen := h.readings(h.trainee, c); seen != nil {
		t.Errorf("a third sees %v", seen)
	}
	h.refused(fault.Forbidden, h.trainee, c, "propose", Input{Opinion: &opinion})
	h.refused(fault.Conflict, h.ben, c, "reveal", Input{})
	h.replays(c)
}

func TestTwoWhoAgreeAreOneByTheWordOfOneOfThem(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "arbitration"}`)
	c := h.ready()
	h.conferring(c, &opinion, &alarming)
	texts := h.sealed(c)
	h.refused(fault.BusinessRule, h.ben, c, "concur", Input{SHA256: texts[1].SHA256}) // one's own
	h.refused(fault.BusinessRule, h.ben, c, "propose", Input{Opinion: &opinion})
	h.fire(h.ben, c, "concur", Input{SHA256: texts[0].SHA256})
	c = h.stands(c, Locked)
	if *c.ReaderID != h.anna.ID || *c.OtherReaderID != h.ben.ID || *c.Settled != "agreed" || *c.OpinionNo != texts[0].OpinionNo {
		t.Errorf("%+v", c)
	}
	h.refused(fault.Forbidden, h.ben, c, "reveal", Input{})
	h.fire(h.anna, c, "reveal", Input{})
	h.refused(fault.Forbidden, h.ben, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	r := h.fire(h.anna, c, "sign", letStand).Report
	if r.Opinion.Impression != opinion.Impression || r.ReaderID != h.anna.ID || r.OtherReaderID == nil || *r.OtherReaderID != h.ben.ID {
		t.Errorf("%+v", r)
	}
	h.replays(c)
}

func TestConsensusIsATextThatBothConfirm(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "consensus"}`)
	c := h.ready()
	h.conferring(c, &opinion, &alarming)
	common := Opinion{Findings: "A nodule, spiculated.", Impression: "Suspicious nodule."}
	h.refused(fault.BusinessRule, h.anna, c, "propose", Input{Opinion: &Opinion{Findings: "half"}})
	h.refused(fault.BusinessRule, h.anna, c, "refer", Input{Reason: "no"})
	h.fire(h.anna, c, "propose", Input{Opinion: &opinion})
	stale := h.sealed(c)[2].SHA256
	h.fire(h.anna, c, "propose", Input{Opinion: &common})
	h.refused(fault.BusinessRule, h.ben, c, "concur", Input{SHA256: stale}) // Anna has thought better of it
	h.refused(fault.BusinessRule, h.ben, c, "concur", Input{})
	h.fire(h.ben, c, "concur", Input{SHA256: h.sealed(c)[3].SHA256})
	c = h.stands(c, Locked)
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &minorMiss})
	r := h.fire(h.anna, c, "sign", letStand).Report
	if diff := cmp.Diff(common, r.Opinion); diff != "" || *c.Settled != "consensus" || *r.OtherReaderID != h.ben.ID {
		t.Errorf("%+v %s", r, diff)
	}
	var kept []string
	for _, o := range h.sealed(c) {
		kept = append(kept, string(o.Part)+" "+o.Content.Impression)
	}
	want := []string{"first Nodule.", "second Probably cancer.", "proposal Nodule.", "proposal Suspicious nodule."}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Error("every opinion is kept:", diff)
	}
}

func TestOfTwoOpinionsTheMorePressingStandsWhereTheProtocolSaysSo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "recall-if-one-suggests"}`)
	calm := Opinion{Findings: "Nothing.", Impression: "Normal.", Actionable: "none"}
	for _, test := range []struct {
		first, second Opinion
		leads         access.Actor
	}{{calm, alarming, h.ben}, {alarming, calm, h.anna}, {calm, opinion, h.anna}, {alarming, alarming, h.anna}} {
		c := h.ready()
		h.conferring(c, &test.first, &test.second)
		c = h.stands(c, Locked)
		if *c.ReaderID != test.leads.ID || *c.Settled != "more-pressing" {
			t.Errorf("%s, %s: %s leads", test.first.Actionable, test.second.Actionable, c.ReaderID)
		}
		h.fire(test.leads, c, "reveal", Input{})
		h.fire(test.leads, c, "grade", Input{Grade: &agreement})
		if r := h.fire(test.leads, c, "sign", Input{}).Report; r.OtherReaderID != nil {
			t.Error("who has not written it does not answer for it")
		}
	}
}

func TestAThirdReaderDecidesBetweenTwoAndReadsForThemselvesFirst(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "arbitration", "blindAdjudication": true}`)
	carl := as(h.carl, access.Adjudicator)
	for _, test := range []struct {
		decision, impression string
	}{{"first", opinion.Impression}, {"second", alarming.Impression}, {"own", "Scar."}} {
		c := h.ready()
		h.conferring(c, &opinion, &alarming)
		h.refused(fault.BusinessRule, h.ben, c, "refer", Input{})
		h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
		h.stands(c, Arbitration)
		h.refused(fault.BusinessRule, as(h.anna, access.Adjudicator), c, "claim", Input{Independent: true})
		h.refused(fault.BusinessRule, carl, c, "claim", Input{})
		h.fire(carl, c, "claim", Input{Independent: true})
		if seen := h.readings(carl, c); seen != nil {
			t.Errorf("before the lock the third reader sees %v", seen)
		}
		h.refused(fault.BusinessRule, carl, c, "arbitrate", Input{Decision: test.decision})
		h.fire(carl, c, "draft", Input{Opinion: &Opinion{Findings: "So far."}})
		h.refused(fault.BusinessRule, carl, c, "lock", Input{})
		h.fire(carl, c, "lock", Input{Opinion: &Opinion{Findings: "A scar.", Impression: "Scar."}, DraftNo: new(1)})
		h.refused(fault.BusinessRule, carl, c, "lock", Input{Opinion: &opinion})
		if diff := cmp.Diff([]string{"first", "second", "arbitration"}, h.readings(carl, c)); diff != "" {
			t.Error(diff)
		}
		h.refused(fault.BusinessRule, carl, c, "arbitrate", Input{Decision: "both"})
		h.fire(carl, c, "arbitrate", Input{Decision: test.decision})
		c = h.stands(c, Locked)
		h.refused(fault.Forbidden, h.anna, c, "reveal", Input{})
		h.fire(carl, c, "reveal", Input{})
		h.fire(carl, c, "grade", Input{Grade: &majorMiss}) // a third has read it already: no fourth
		r := h.fire(carl, h.stands(c, Comparing), "sign", letStand).Report
		if r.Opinion.Impression != test.impression || *r.AdjudicatorID != h.carl.ID || r.SignedBy != h.carl.ID || len(h.sealed(c)) != 3 {
			t.Errorf("%s: %+v", test.decision, r)
		}
		h.replays(c)
	}
}

func TestMixedReadingGoesToAThirdReaderWhenTimeIsUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "mixed", "conferWithin": "3h"}`)
	c := h.ready()
	h.conferring(c, &opinion, &alarming)
	h.fire(h.anna, c, "propose", Input{Opinion: &opinion})
	h.pass(2 * time.Hour)
	h.stands(c, Conferring)
	h.fire(h.placer, c, "hold", Input{})
	h.pass(10 * time.Hour)
	h.fire(h.placer, c, "resume", Input{})
	h.tick()
	h.stands(c, Conferring)
	h.pass(61 * time.Minute)
	h.stands(c, Arbitration)
	carl := as(h.carl, access.Adjudicator)
	h.fire(carl, c, "claim", Input{Independent: true})
	if diff := cmp.Diff([]string{"first", "second", "proposal"}, h.readings(carl, c)); diff != "" {
		t.Error("where the policy lets them, third readers see what they decide between:", diff)
	}
	h.fire(h.coordinator, c, "release", Input{Reason: "ill"})
	h.fire(as(h.carl, access.Adjudicator), c, "claim", Input{Independent: true})
	h.fire(carl, c, "arbitrate", Input{Decision: "own", Opinion: &Opinion{Findings: "f", Impression: "Scar."}})
	h.fire(h.coordinator, c, "release", Input{Reason: "on leave"})
	if c := h.stands(c, Arbitration); c.AdjudicatorID != nil || c.Settled != nil || c.OpinionNo != nil {
		t.Errorf("another third reader begins anew: %+v", c)
	}
	h.replays(c)
}

func TestTheSecondReadingCanBeReleasedHeldCancelledAndDoneWithout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "consensus"}`)
	c := h.ready()
	h.fire(h.anna, c, "claim", Input{Independent: true})
	h.fire(h.anna, c, "lock", Input{Opinion: &opinion})
	h.fire(h.ben, c, "claim", Input{Independent: true})
	h.fire(h.ben, c, "start", Input{})
	h.fire(h.ben, c, "draft", Input{Opinion: &alarming})
	h.fire(h.ben, c, "release", Input{Reason: "called away"})
	h.refused(fault.BusinessRule, h.anna, h.stands(c, Ready), "claim", Input{Independent: true})
	h.fire(h.coordinator, c, "offer", Input{ReaderID: &h.trainee.ID})
	h.fire(h.coordinator, c, "forgo-second", Input{Reason: "urgent, and nobody is here"})
	c = h.stands(c, Locked)
	if *c.ReaderID != h.anna.ID || c.OtherReaderID != nil || *c.Settled != "forgone" || c.OfferedTo != nil {
		t.Errorf("%+v", c)
	}
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	h.fire(h.anna, c, "sign", Input{})
	h.replays(c)

	c = h.ready()
	h.refused(fault.BusinessRule, h.coordinator, c, "forgo-second", Input{Reason: "x"})
	h.conferring(c, &opinion, &alarming)
	h.fire(h.placer, c, "hold", Input{})
	if diff := cmp.Diff([]string{"first", "second"}, h.readings(h.anna, c)); diff != "" {
		t.Error("on hold:", diff)
	}
	h.fire(h.placer, c, "resume", Input{})
	h.fire(h.coordinator, c, "release", Input{Reason: "Ben has left"})
	h.refused(fault.BusinessRule, h.ben, h.stands(c, Ready), "claim", Input{Independent: true})
	h.fire(h.trainee, c, "claim", Input{Independent: true})
	h.fire(h.trainee, c, "lock", Input{Opinion: &alarming})
	if diff := cmp.Diff([]string{"first", "second"}, h.readings(h.trainee, c)); diff != "" {
		t.Error("who has left is none of the two any more:", diff)
	}
	h.fire(h.placer, c, "cancel", Input{})
	h.replays(c)
}

func TestTheProtocolIsTheOrdersWhereAllowedThenTheRulesThenThePolicys(t *testing.T) {
	t.Parallel()
	rule := []TriageRule{{When: TriageWhen{Modality: []string{"MR"}}, Then: TriageThen{Subspecialty: "neuro", Protocol: Blinded, Reading: ByConsensus}}}
	for name, test := range map[string]struct {
		policy   Policy
		asked    ProtocolWish
		modality string // "" before the facts are known
		protocol Protocol
		reading  ReadingProtocol
		why      string
	}{
		"the policy":                      {Policy{Protocol: Unblinded}, ProtocolWish{}, "CT", Unblinded, SingleReading, "policy"},
		"a rule":                          {Policy{Protocol: Unblinded, Triage: rule}, ProtocolWish{}, "MR", Blinded, ByConsensus, "rule 1"},
		"no rule of these":                {Policy{Protocol: Unblinded, Reading: MixedReading, Triage: rule}, ProtocolWish{}, "CT", Blinded, MixedReading, "policy"},
		"before the facts, as blind":      {Policy{Protocol: Unblinded, Triage: rule}, ProtocolWish{}, "", Blinded, SingleReading, "until order and triage have decided"},
		"the order":                       {Policy{Protocol: Blinded, Triage: rule, OrderMayAskProtocol: true}, ProtocolWish{Reading: ByArbitration}, "MR", Blinded, ByArbitration, "order"},
		"the order, which is not allowed": {Policy{Protocol: Blinded}, ProtocolWish{Protocol: Unblinded}, "CT", Blinded, SingleReading, "policy; the order asked for unblinded, which the policy does not allow"},
	} {
		var triage *Triage
		if test.modality != "" {
			d := DecideTriage(test.policy.Triage, Exam{Modality: test.modality, PatientAge: -1}, "routine")
			triage = &d
		}
		protocol, reading, why := decideProtocol(test.policy, test.asked, triage)
		if protocol != test.protocol || reading != test.reading || why != test.why {
			t.Errorf("%s: %s, %s by %q", name, protocol, reading, why)
		}
	}
}

func TestTheProtocolIsKeptWithTheCaseAndDoesNotChangeOnceAReaderHasIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"triage": [{"when": {"modality": ["CT"]}, "then": {"subspecialty": "neuro", "protocol": "unblinded", "reading": "mixed"}}]}`)
	c := h.ready()
	if c.Protocol != Blinded || c.Reading != MixedReading || c.ProtocolWhy != "rule 1" {
		t.Errorf("%s, %s by %s", c.Protocol, c.Reading, c.ProtocolWhy)
	}
	var items []WorkItem
	h.conferring(c, &opinion, &alarming)
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		items, err = WorklistTx(ctx, tx, h.anna, 10)
		return err
	})
	if !slices.ContainsFunc(items, func(w WorkItem) bool { return w.CaseID == c.CaseID }) {
		t.Error("who confers has the case on their worklist")
	}
}

// Who has decided between two and needs a supervisor revises what that one returns, as any
// reader does, also where the text is that of one of the two: then it is theirs.
func TestAThirdReaderRevisesWhatASupervisorHasReturned(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`)
	carl := as(h.carl, access.Adjudicator)
	_, dora := pgtest.AddReader(t, h.db, h.tenant, "Dora", []byte(`{"subspecialties": ["neuro"], "maySupervise": true}`))
	dora.Role = access.Supervisor
	c := h.ready()
	h.conferring(c, &opinion, &alarming)
	h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "arbitrate", Input{Decision: "first"})
	h.fire(carl, c, "reveal", Input{})
	h.fire(carl, c, "grade", Input{Grade: &agreement})
	h.exec(`UPDATE reader SET credential = credential || '{"trainee": true}' WHERE reader_id = $1`, h.carl.ID)
	h.fire(carl, c, "sign", Input{})
	h.stands(c, AwaitingCosign)
	h.refused(fault.Conflict, carl, c, "revise", Input{Opinion: &Opinion{Impression: "Nodule, 9 mm."}})
	h.fire(dora, c, "return", Input{Reason: "how large is it?"})
	h.refused(fault.Forbidden, as(h.ben, access.Adjudicator), c, "revise", Input{Opinion: &Opinion{Impression: "x"}})
	h.refused(fault.Forbidden, h.anna, c, "revise", Input{Opinion: &Opinion{Impression: "x"}}) // who does not lead it any more
	h.fire(carl, c, "revise", Input{Opinion: &Opinion{Impression: "Nodule, 9 mm."}})
	h.refused(fault.BusinessRule, carl, c, "sign", Input{}) // what is revised is graded again
	h.fire(carl, c, "grade", Input{Grade: &minorMiss})
	h.fire(carl, c, "sign", Input{})
	if diff := cmp.Diff([]string{"revision"}, h.readings(dora, c)); diff != "" {
		t.Error("the supervisor sees what waits for their signature:", diff)
	}
	r := h.fire(dora, c, "sign", letStand).Report
	if r.Opinion.Impression != "Nodule, 9 mm." || r.Level != LevelMinor || !slices.Equal(r.AuthoredBy(), []uuid.UUID{h.carl.ID}) {
		t.Errorf("%+v", r)
	}
	h.replays(c)
}

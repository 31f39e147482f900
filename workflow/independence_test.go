package workflow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

// Who had a case to decide has seen the original, though they wrote nothing and gave
// it back: they read the study no more, in this case or another.
func TestWhoHadACaseToDecideReadsItsStudyNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	carl := as(h.carl, access.Adjudicator)
	uid := newUID()
	ofStudy := func(f *Facts) { f.Study.UID = uid }
	c := h.open(ofStudy)
	h.tick()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "release", Input{Reason: "called away"})
	h.fire(carl, c, "claim", Input{Independent: true}) // the third reading is open to them again
	h.fire(carl, c, "release", Input{Reason: "called away"})
	h.fire(h.director, c, "forgo-third", Input{Reason: "nobody is there"})
	h.fire(h.coordinator, c, "release", Input{Reason: "Anna is ill"})
	h.stands(c, Ready)
	noMore := func(c Case) {
		t.Helper()
		if why := h.refused(fault.BusinessRule, h.carl, c, "claim", Input{Independent: true}); !strings.Contains(why, "has had a part") {
			t.Error(why)
		}
	}
	noMore(c)
	h.fire(h.placer, c, "cancel", Input{})
	again := h.open(ofStudy)
	h.tick()
	h.stands(again, Ready)
	noMore(again)
	h.fire(h.ben, again, "claim", Input{Independent: true})
}

func TestASupervisorWhoReturnedACaseMaySignItAndReadsItsStudyNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	carl := as(h.carl, access.Supervisor)
	uid := newUID()
	ofStudy := func(f *Facts) { f.Study.UID = uid }
	waitsForCarl := func() Case {
		c := h.open(ofStudy)
		h.tick()
		h.comparing(h.trainee, c)
		h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
		h.fire(h.trainee, c, "sign", Input{})
		h.fire(carl, c, "return", Input{Reason: "look at the bones again"})
		return c
	}
	c := waitsForCarl()
	h.fire(h.placer, c, "cancel", Input{})
	again := h.open(ofStudy)
	h.tick()
	if why := h.refused(fault.BusinessRule, h.carl, again, "claim", Input{Independent: true}); !strings.Contains(why, "has had a part") {
		t.Error(why)
	}
	h.fire(h.placer, again, "cancel", Input{})
	uid = newUID()
	c = waitsForCarl()
	h.fire(h.trainee, c, "sign", Input{})
	h.fire(carl, c, "sign", Input{})
	h.stands(c, Final)
}

// Who decided between two and has revealed the original goes on to the signature; once
// they have given the case back they know too much to decide it anew. Who gave it back
// before that knows no more than any third reader.
func TestAThirdReaderWhoHasRevealedDoesNotDecideAnewBetweenTheTwo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`)
	carl := as(h.carl, access.Adjudicator)
	arbitrated := func() Case {
		c := h.ready()
		h.conferring(c, &opinion, &alarming)
		h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
		h.fire(carl, c, "claim", Input{Independent: true})
		h.fire(carl, c, "arbitrate", Input{Decision: "second"})
		return c
	}
	c := arbitrated()
	h.fire(carl, c, "release", Input{Reason: "called away"})
	h.stands(c, Arbitration)
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "arbitrate", Input{Decision: "first"})
	h.fire(carl, c, "reveal", Input{})
	h.fire(carl, c, "release", Input{Reason: "called away"})
	if got := h.stands(c, Arbitration); got.RevealedAt != nil {
		t.Error("the original is still shown to who decides next")
	}
	if why := h.refused(fault.BusinessRule, carl, c, "claim", Input{Independent: true}); !strings.Contains(why, "has had a part") {
		t.Error(why)
	}
	h.tick()
	if now := h.find(c); !now.NoThird() {
		t.Error("nobody is told that there is no other third reader")
	}
	_, dora := pgtest.AddReader(t, h.db, h.tenant, "Dora", []byte(`{"subspecialties": ["neuro"], "mayAdjudicate": true}`))
	dora.Role = access.Adjudicator
	h.fire(dora, c, "claim", Input{Independent: true})
	h.fire(dora, c, "arbitrate", Input{Decision: "first"})
	h.fire(dora, c, "reveal", Input{})
	h.fire(dora, c, "grade", Input{Grade: &agreement})
	h.fire(dora, c, "sign", letStand)
	h.stands(c, Final)
	h.replays(c)

	c = arbitrated() // and who does not give it back signs it
	h.fire(carl, c, "reveal", Input{})
	h.fire(carl, c, "grade", Input{Grade: &agreement})
	h.fire(carl, c, "sign", Input{})
	h.stands(c, Final)
}

// The same person saw the original as the third reader between the reader and it; then
// the case is read anew by two, who differ.
func TestWhoHadAnAdjudicationDoesNotDecideBetweenTwoWhoReadTheCaseAnew(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`)
	carl := as(h.carl, access.Adjudicator)
	c := h.ready()
	h.conferring(c, &opinion, &opinion)
	h.fire(h.ben, c, "concur", Input{SHA256: h.sealed(c)[0].SHA256})
	h.fire(h.anna, c, "reveal", Input{})
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.stands(c, Adjudication)
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "release", Input{Reason: "called away"})
	h.fire(carl, c, "claim", Input{Independent: true}) // nothing is withheld there
	h.fire(carl, c, "release", Input{Reason: "called away"})
	h.fire(h.director, c, "forgo-third", Input{Reason: "nobody is there"})
	h.fire(h.coordinator, c, "release", Input{Reason: "read it again"})
	_, eve := pgtest.AddReader(t, h.db, h.tenant, "Eve", []byte(`{"subspecialties": ["neuro"]}`))
	h.fire(eve, c, "claim", Input{Independent: true})
	h.fire(eve, c, "lock", Input{Opinion: &alarming})
	h.fire(eve, c, "refer", Input{Reason: "we differ"})
	h.stands(c, Arbitration)
	if why := h.refused(fault.BusinessRule, carl, c, "claim", Input{Independent: true}); !strings.Contains(why, "has had a part") {
		t.Error(why)
	}
}

// The third reader who decided between two gives the case back: the time for the
// third reading begins again.
func TestACaseThatGoesBackToArbitrationHasItsClock(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"reading": "arbitration"}`)
	carl := as(h.carl, access.Adjudicator)
	c := h.ready()
	h.conferring(c, &opinion, &alarming)
	h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "arbitrate", Input{Decision: "second"})
	h.stands(c, Locked)
	if _, runs := h.clockOf(c, kindOf(ClockAdjudicate)); runs {
		t.Error("the clock runs on after the decision")
	}
	h.fire(carl, c, "release", Input{Reason: "called away"})
	h.stands(c, Arbitration)
	if row, runs := h.clockOf(c, kindOf(ClockAdjudicate)); !runs || row.DueAt == nil {
		t.Errorf("no clock waits for a third reader: %+v", row)
	}
}

// The ledger in memory says the same as the tables.
func TestTheModelKnowsDuplicatesAndWhoHadACaseToDecide(t *testing.T) {
	t.Parallel()
	reader := func(adjudicates bool) Reader {
		return Reader{ID: newID(), PractitionerID: uuid.NewString(), Subspecialties: []string{"neuro"}, MayAdjudicate: adjudicates}
	}
	anna, carl := reader(false), reader(true)
	facts := wholeFacts()
	m := NewModel(DefaultPolicy(), []Reader{anna, carl}, time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC), ModelHooks{
		Facts: func(*Case, time.Time) Facts { return facts }, NewID: newID})
	actor := func(role access.Role, id uuid.UUID) access.Actor {
		return access.Actor{Tenant: m.Tenant(), Role: role, ID: id}
	}
	open := func(no string) Case {
		c, err := m.Open(actor(access.Placer, newID()), Order{PlacerSystem: "urn:x", PlacerValue: no, TaskID: no})
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Tick(); err != nil {
			t.Fatal(err)
		}
		c, _ = m.Case(c.CaseID)
		return c
	}
	c := open("1")
	fire := func(who access.Actor, ev Event, in Input) {
		t.Helper()
		if _, err := m.Fire(who, c.CaseID, ev, in); err != nil {
			t.Fatalf("%s: %v", ev, err)
		}
	}
	if second := open("2"); second.State != IntakeReview {
		t.Errorf("the second order of a study is %s", second.State)
	}
	fire(actor(access.Reader, anna.ID), "claim", Input{Independent: true})
	fire(actor(access.Reader, anna.ID), "lock", Input{Opinion: &opinion})
	fire(actor(access.Reader, anna.ID), "reveal", Input{})
	fire(actor(access.Reader, anna.ID), "grade", Input{Grade: &majorMiss})
	if !m.MayHave(c.CaseID, carl.ID, ToRead) {
		t.Error("who knows nothing of the study may read it")
	}
	fire(actor(access.Adjudicator, carl.ID), "claim", Input{Independent: true})
	fire(actor(access.Coordinator, newID()), "release", Input{Reason: "called away"})
	if m.MayHave(c.CaseID, carl.ID, ToRead) || !m.MayHave(c.CaseID, carl.ID, ToAdjudicate) {
		t.Error("who had the third reading may have that alone")
	}
}

// Who read first may come to light after the signature. Was it who signed, they change
// the report no more: somebody independent looks at it, and everybody is told.
func TestWhoTurnsOutAfterTheSignatureToHaveReadFirstChangesTheReportNoMore(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	carl := as(h.carl, access.Supervisor)
	c := h.open(func(f *Facts) { f.Original, f.Reported, f.First = nil, false, FirstReaders{} })
	h.tick()
	h.fire(h.coordinator, c, "proceed", Input{Reason: "the hospital has no report"})
	h.tick()
	h.stands(c, Ready)
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &Grade{NoComparison: "there is no report", NoComparisonReason: "no-original"}})
	h.fire(h.anna, c, "sign", Input{})
	var anna string
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT 'Practitioner/' || practitioner_id FROM reader WHERE reader_id = $1`, h.anna.ID).Scan(&anna)
	})
	// Somebody else's report changes nothing for who signed.
	h.facts[c.PlacerValue].First = FirstReaders{Readers: []string{"Practitioner/elsewhere"}}
	h.recheckSigned(c)
	h.fire(h.anna, c, "amend", Input{Reason: "a word is missing"})
	h.fire(h.anna, c, "withdraw-amendment", Input{Reason: "none is"})
	if got := h.find(c).Exam.OriginalReaders; len(got) != 1 {
		t.Errorf("who read first is not noted: %v", got)
	}

	h.facts[c.PlacerValue].First = FirstReaders{Readers: []string{anna}}
	told := len(h.heard)
	for range 2 { // the second time nothing is new
		h.recheckSigned(c)
	}
	heard := h.heard[told:]
	if len(heard) != 1 || heard[0].Event != "first-reader-named" || len(heard[0].Matters) != 1 || len(heard[0].Told) != 1 || heard[0].Told[0].Tell != TellCoordinator {
		t.Fatalf("heard %+v", heard)
	}
	if words := heard[0].Matters[0].Content.Words(); words != notIndependent {
		t.Error(words)
	}
	for event, in := range map[Event]Input{"amend": {Reason: "a word is missing"}, "verify": {Reason: "it holds"}} {
		if why := h.refused(fault.Forbidden, h.anna, c, event, in); !strings.Contains(why, "may be your own") {
			t.Errorf("%s: %s", event, why)
		}
	}
	ch := h.fire(carl, c, "verify", Input{Reason: "Read anew."})
	if !strings.Contains(ch.Report.Amendment.Text, "Who has read, or countersigned, this second opinion turns out to be, or may be, who read the study first. This was looked at, and the report stands as it is. Read anew.") {
		t.Errorf("%+v", ch.Report.Amendment)
	}
	h.stands(c, Final)
}

// Who decided between two has come to need a supervisor meanwhile, and the coordinator
// takes the case back from both: another third reader decides, and the two need not read again.
func TestACaseThatIsTakenBackFromItsSupervisorGoesToAnotherThirdReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`)
	carl := as(h.carl, access.Adjudicator)
	c := h.ready()
	h.conferring(c, &opinion, &alarming)
	h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "arbitrate", Input{Decision: "second"})
	h.fire(carl, c, "reveal", Input{})
	h.fire(carl, c, "grade", Input{Grade: &agreement})
	h.exec(`UPDATE reader SET credential = credential || '{"trainee": true}' WHERE reader_id = $1`, h.carl.ID)
	h.fire(carl, c, "sign", Input{})
	h.stands(c, AwaitingCosign)
	h.fire(h.coordinator, c, "release", Input{Reason: "there is no supervisor"})
	if now := h.stands(c, Arbitration); now.AdjudicatorID != nil || now.RevealedAt != nil || now.ReaderID == nil || now.OtherReaderID == nil {
		t.Errorf("%+v", now)
	}
	h.replays(c)
}

// The director looks at it and finds that it is somebody else of that name: who signed
// goes on. A coordinator does not judge that.
func TestADirectorMayFindThatTheReportIsIndependent(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	h.facts[c.PlacerValue].First = FirstReaders{Names: []string{"Dr. Anna Karenina"}}
	h.recheckSigned(c)
	h.refused(fault.Forbidden, h.anna, c, "amend", Input{Reason: "a word is missing"})
	h.refused(fault.Forbidden, h.coordinator, c, "dismiss-verification", Input{Reason: "no time"})
	h.fire(h.director, c, "dismiss-verification", Input{Reason: "another Anna"})
	h.fire(h.anna, c, "amend", Input{Reason: "a word is missing"})
	h.replays(c)
}

// Whoever had a part in the report is looked at, who countersigned too.
func TestASupervisorWhoTurnsOutToHaveReadFirstIsNoticed(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	c := h.ready()
	h.comparing(h.trainee, c)
	h.fire(h.trainee, c, "grade", Input{Grade: &agreement})
	h.fire(h.trainee, c, "sign", Input{})
	h.fire(as(h.carl, access.Supervisor), c, "sign", Input{Opinion: &Opinion{Findings: "x", Impression: "All rewritten."}, Grade: &minorMiss})
	h.facts[c.PlacerValue].First = FirstReaders{Names: []string{"Carl"}}
	told := len(h.heard)
	h.recheckSigned(c)
	if heard := h.heard[told:]; len(heard) != 1 || len(heard[0].Matters) != 1 || len(heard[0].Told) != 1 {
		t.Errorf("%+v", heard)
	}
}

// A third reader does not decide for whom the original turns out to be of, and what the
// other has read is not lost.
func TestNobodyDecidesForTheOneWhoMadeTheOriginal(t *testing.T) {
	t.Parallel()
	named := func(h *house, c Case, name string) {
		h.facts[c.PlacerValue].First = FirstReaders{Names: []string{name}}
		h.recheck(c)
	}
	t.Run("between two", func(t *testing.T) {
		t.Parallel()
		for name, wrong := range map[string]string{"Anna": "first", "Ben": "second"} {
			h := newHouse(t, `{"reading": "arbitration", "assignment": "pool"}`)
			carl := as(h.carl, access.Adjudicator)
			c := h.ready()
			h.conferring(c, &opinion, &alarming)
			h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
			h.fire(carl, c, "claim", Input{Independent: true})
			named(h, c, name)
			h.refused(fault.BusinessRule, carl, c, "arbitrate", Input{Decision: wrong})
			h.fire(carl, c, "arbitrate", Input{Decision: map[string]string{"first": "second", "second": "first"}[wrong]})
			h.fire(carl, c, "reveal", Input{})
			h.fire(carl, c, "grade", Input{Grade: &agreement})
			h.fire(carl, c, "sign", letStand)
			h.stands(c, Final)
		}
	})
	t.Run("between the reader and the original", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"assignment": "pool"}`)
		carl := as(h.carl, access.Adjudicator)
		c := h.ready()
		h.comparing(h.anna, c)
		h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
		named(h, c, "Anna")
		h.fire(carl, c, "claim", Input{Independent: true})
		h.refused(fault.BusinessRule, carl, c, "adjudicate", Input{Decision: "first", Grade: &minorMiss})
		h.fire(carl, c, "adjudicate", Input{Decision: "own", Opinion: &opinion, Grade: &minorMiss})
		h.fire(carl, c, "sign", Input{})
		h.stands(c, Final)
	})
	t.Run("two who confer", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, `{"reading": "consensus", "assignment": "pool"}`)
		c := h.ready()
		h.conferring(c, &opinion, &alarming)
		named(h, c, "Anna")
		h.fire(h.coordinator, c, "release", Input{Reason: "Anna read it first"})
		if now := h.stands(c, Ready); now.ReaderID != nil || now.OtherReaderID == nil || *now.OtherReaderID != h.ben.ID {
			t.Errorf("whose reading is kept: %v", now.OtherReaderID)
		}
	})
}

package workflow

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

// byCarl: the only one who adjudicates has read the original.
func byCarl(f *Facts) { f.First.Readers = []string{"urn:npi|carl"} }

// stuck is a case with a major discrepancy for which there is no third reader.
func (h *house) stuck() Case {
	h.Helper()
	h.exec(`UPDATE reader SET credential = credential || '{"identifiers": ["urn:npi|carl"]}' WHERE reader_id = $1`, h.carl.ID)
	c := h.open(byCarl)
	h.tick()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss})
	h.stands(c, Adjudication)
	h.tick()
	return h.find(c)
}

// told are those who were told of a clock.
func (h *house) told(clock ClockName) (list []Addressee) {
	for _, ch := range h.heard {
		for _, one := range ch.Told {
			if one.Clock == clock {
				list = append(list, one.Tell)
			}
		}
	}
	return list
}

func TestThatThereIsNoThirdReaderIsToldAtOnceAndADirectorDoesWithout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.stuck()
	if len(c.Findings) != 1 || c.Findings[0].Code != "no-third-reader" || !strings.Contains(c.Findings[0].Text, "is the original reader (1)") {
		t.Errorf("%+v", c.Findings)
	}
	if diff := h.told(ClockAdjudicate); !slices.Equal(diff, []Addressee{TellCoordinator}) {
		t.Errorf("told: %v", diff)
	}
	h.skip(5 * time.Hour) // and nobody takes note
	h.tick()
	h.tick()
	if told := h.told(ClockAdjudicate); !slices.Contains(told, TellDirector) || len(told) != 2 {
		t.Errorf("told: %v", told)
	}
	h.refused(fault.Forbidden, h.coordinator, c, "forgo-third", Input{Reason: "it is urgent"})
	h.refused(fault.BusinessRule, h.director, c, "forgo-third", Input{})
	h.fire(h.director, c, "forgo-third", Input{Reason: "it is urgent, and nobody is licensed."})
	h.stands(c, Comparing)
	h.fire(h.anna, c, "grade", Input{Grade: &majorMiss}) // which demands no third reader any more
	r := h.fire(h.anna, c, "sign", Input{}).Report
	if got := h.stands(c, Final).Exam.AboutReaders(); r.Level != LevelMajor || !strings.Contains(got, "No third reader was available") || !strings.Contains(got, "without one: it is urgent, and nobody is licensed.") {
		t.Errorf("%q, %s", got, r.Level)
	}
	h.replays(c)
}

func TestACaseIsBroadenedForItsThirdReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.stuck()
	_, dora := pgtest.AddReader(t, h.db, h.tenant, "Dora", []byte(`{"subspecialties": ["chest"], "mayAdjudicate": true}`))
	dora.Role = access.Adjudicator
	h.refused(fault.BusinessRule, dora, c, "claim", Input{Independent: true})
	h.refused(fault.BusinessRule, h.coordinator, c, "broaden", Input{Breadth: ToGeneral})
	h.fire(h.coordinator, c, "broaden", Input{Breadth: ToGeneral, Reason: "the only one read the original"})
	h.tick()
	if got := h.stands(c, Adjudication); len(got.Findings) > 0 {
		t.Errorf("%+v", got.Findings)
	}
	h.fire(dora, c, "claim", Input{Independent: true})
	h.refused(fault.BusinessRule, h.director, c, "forgo-third", Input{Reason: "x"})
	h.fire(dora, c, "claim", Input{Independent: true})
	h.fire(dora, c, "adjudicate", Input{Grade: &majorMiss})
	h.fire(dora, c, "sign", Input{})
	if got := h.stands(c, Final).Exam.AboutReaders(); !strings.HasPrefix(got, "Decided by a general radiologist instead of") {
		t.Error(got)
	}
	h.replays(c)
}

// By the policy's ladder as by hand; and whoever becomes eligible ends the search.
func TestTheLadderBroadensForTheThirdReaderToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "broaden": [{"to": "general", "after": "2h"}]}`)
	c := h.stuck()
	h.pass(3 * time.Hour)
	if b := h.stands(c, Adjudication).Exam.Broadened; b == nil || b.To != ToGeneral {
		t.Errorf("%+v", b)
	}
	h.tick()
	if len(h.find(c).Findings) != 1 {
		t.Error("there is still nobody")
	}
	pgtest.AddReader(t, h.db, h.tenant, "Dora", []byte(`{"subspecialties": ["neuro"], "mayAdjudicate": true}`))
	h.pass(time.Hour)
	if got := h.find(c); len(got.Findings) > 0 {
		t.Errorf("%+v", got.Findings)
	}
	h.fire(h.coordinator, c, "release", Input{Reason: "look again"})
	h.stands(c, Adjudication)
	h.replays(c)
}

func TestWhereTwoReadersDifferAndThereIsNoThirdTheMorePressingOpinionStands(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`)
	h.exec(`UPDATE reader SET credential = credential || '{"identifiers": ["urn:npi|carl"]}' WHERE reader_id = $1`, h.carl.ID)
	c := h.open(byCarl)
	h.tick()
	pressing := opinion
	pressing.Actionable = "urgent"
	for _, one := range []struct {
		who access.Actor
		o   Opinion
	}{{h.anna, opinion}, {h.ben, pressing}} {
		h.fire(one.who, c, "claim", Input{Independent: true})
		h.fire(one.who, c, "lock", Input{Opinion: &one.o})
	}
	h.fire(h.anna, c, "refer", Input{Reason: "we differ"})
	h.tick()
	if got := h.stands(c, Arbitration); len(got.Findings) != 1 {
		t.Errorf("%+v", got.Findings)
	}
	h.fire(h.director, c, "forgo-third", Input{Reason: "it is urgent"})
	if got := h.stands(c, Locked); *got.ReaderID != h.ben.ID || !strings.Contains(got.Exam.AboutReaders(), "No third reader") {
		t.Errorf("%s leads, %q", got.ReaderID, got.Exam.AboutReaders())
	}
	h.fire(h.ben, c, "reveal", Input{})
	h.fire(h.ben, c, "grade", Input{Grade: &majorMiss})
	h.fire(h.ben, c, "sign", Input{})
	h.stands(c, Final)
	h.replays(c)
}

// Whoever has a case may be ill, or gone: somebody else must be able to lead it
// on. What the server or the placer has in hand is named.
func TestFromEveryStateSomebodyElseCanLeadTheCaseOn(t *testing.T) {
	office := by(access.Coordinator, access.Supervisor, access.Director)
	others := map[State]access.Role{
		Received: access.System, // the checks run at once, and again
		OnHold:   access.Placer, // whose hold it is
	}
	for _, s := range States {
		if slices.Contains(in(Rejected, Cancelled, Failed, EnteredInError), s.State) {
			continue
		}
		leads := func(row Transition) bool {
			if !slices.Contains(row.From, s.State) || slices.Contains(in(Same, Quietly, Rejected, Cancelled, Failed, EnteredInError), row.To) {
				return false
			}
			return slices.ContainsFunc(row.By, func(r access.Role) bool { return slices.Contains(office, r) || others[s.State] == r })
		}
		if !slices.ContainsFunc(Transitions, leads) {
			t.Errorf("%s: nobody leads the case on but who has it", s.State)
		}
	}
}

// A director may read as well. Who made one of the readings, or the original, does not
// decide that nobody decides between them.
func TestADirectorWhoHasReadTheCaseDoesNotDoWithoutAThirdReader(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.stuck()
	reads := func(who access.Actor) access.Actor {
		both := h.director
		both.Reader = who.ID
		return both
	}
	for why, who := range map[string]access.Actor{"had a part": h.anna, "the original report may be your own": h.carl} {
		if got := h.refused(fault.Forbidden, reads(who), c, "forgo-third", Input{Reason: "it is urgent"}); !strings.Contains(got, why) || !strings.Contains(got, "another director") {
			t.Error(got)
		}
	}
	h.fire(reads(h.ben), c, "forgo-third", Input{Reason: "it is urgent"})
	h.stands(c, Comparing)

	h = newHouse(t, `{"assignment": "pool", "reading": "arbitration"}`) // nor who had begun to, and gave it back
	c = h.ready()
	h.conferring(c, &opinion, &alarming)
	h.fire(h.ben, c, "refer", Input{Reason: "we differ"})
	carl := as(h.carl, access.Adjudicator)
	h.fire(carl, c, "claim", Input{Independent: true})
	h.fire(carl, c, "release", Input{Reason: "ill"})
	for _, who := range []access.Actor{h.anna, h.ben, h.carl} {
		both := h.director
		both.Reader = who.ID
		h.refused(fault.Forbidden, both, c, "forgo-third", Input{Reason: "it is urgent"})
	}
	h.fire(h.director, c, "forgo-third", Input{Reason: "it is urgent"})
	h.stands(c, Locked)
	h.replays(c)
}

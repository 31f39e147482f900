package workflow

import (
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

var nodule = Input{Amendment: &Amendment{Kind: "amendment", Reason: "second look", Text: "There is a nodule."}, Grade: &majorMiss}

// A finding that nobody may answer would never reach the patient.
func TestAFindingOfASampleIsAnsweredByAStandInWhereWhoSignedCannot(t *testing.T) {
	t.Parallel()
	for name, credential := range map[string]string{
		"licence ended": `{"validTo": "2020-01-01"}`,
		"on leave":      `{"absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, sampleAll)
			c, _ := h.sampled(&minorMiss)
			h.exec(`INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at) VALUES ($1, $2, 'sample-finding', now(), now())`, h.tenant, c.CaseID)
			carl := as(h.carl, access.Supervisor)
			h.tick()
			h.stands(c, Amending)
			h.refused(fault.Forbidden, carl, c, "sign", nodule) // she is here
			h.exec(`UPDATE reader SET credential = credential || $2 WHERE reader_id = $1`, h.anna.ID, credential)
			h.refused(fault.Forbidden, as(h.trainee, access.Reader), c, "sign", nodule)
			h.fire(carl, c, "amend", Input{Reason: "she cannot"})
			if told := h.feedback(h.carl); len(told) != 1 || told[0].Kind != findingFeedback {
				t.Errorf("who stands in is not told what was found: %+v", told)
			}
			r := h.fire(carl, c, "sign", nodule).Report
			if r.SignedBy != h.carl.ID || *r.SupervisorID != h.carl.ID || r.Level != LevelMajor {
				t.Errorf("%+v", r)
			}
			h.stands(c, Final)
			h.replays(c)
		})
	}
}

func TestTheCoordinatorGivesAnAmendmentToAStandInAndCannotDropIt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sampleAll)
	c, _ := h.sampled(&minorMiss)
	h.exec(`INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at) VALUES ($1, $2, 'sample-finding', now(), now())`, h.tenant, c.CaseID)
	h.tick()
	h.stands(c, Amending)
	h.refused(fault.BusinessRule, h.coordinator, c, "withdraw-amendment", Input{})
	h.refused(fault.Forbidden, h.coordinator, c, "withdraw-amendment", Input{Reason: "it is late"})
	for _, who := range []access.Actor{h.ben, h.anna, h.trainee} {
		h.refused(fault.BusinessRule, h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &who.ID})
	}
	carl := as(h.carl, access.Supervisor)
	h.refused(fault.Forbidden, carl, c, "sign", nodule)
	h.fire(h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &h.carl.ID})
	if got := h.find(c); *got.responsible(ClockAcknowledge) != h.carl.ID {
		t.Errorf("%s is told that it is open", got.responsible(ClockAcknowledge))
	}
	h.fire(h.director, c, "withdraw-amendment", Input{Reason: "it was artefact"})
	if got := h.find(c); got.SupervisorID != nil || got.State != Final {
		t.Errorf("%v still stands in, %s", got.SupervisorID, got.State)
	}
	h.fire(h.anna, c, "amend", Input{Reason: "it was none"})
	h.fire(h.coordinator, c, "reassign", Input{Reason: "it is late", ReaderID: &h.carl.ID})
	h.fire(carl, c, "sign", nodule)
	h.replays(c)
}

// After the acknowledgement too, and of what a study's change has opened.
func TestAnAmendmentThatStaysOpenEscalates(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{"assignment": "pool"}`)
	c := h.ready()
	h.signed(c)
	h.fire(h.placer, c, "acknowledge", Input{})
	h.fire(h.anna, c, "amend", Input{Reason: "a prior came"})
	h.pass(8 * 24 * time.Hour)
	var told []Addressee
	for _, ch := range h.heard {
		for _, one := range ch.Told {
			if one.Clock == ClockAcknowledge {
				told = append(told, one.Tell)
			}
		}
	}
	if len(told) == 0 || told[0] != TellCoordinator {
		t.Errorf("%v are told", told)
	}
	h.fire(h.coordinator, c, "withdraw-amendment", Input{Reason: "nothing to change"})
	h.stands(c, Closed)
}

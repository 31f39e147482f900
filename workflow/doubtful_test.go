package workflow

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// lookAt: something that may concern this very case has changed.
func (h *house) lookAt(c Case) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error { return h.engine.RecheckTx(ctx, tx, h.tenant, c.CaseID) })
}

// Somebody found something and gave the case back; then the order turns out to be of
// another patient, or of other images.
func TestAFindingSaysThatItMayBeAnotherPatientsAlsoWhereNobodyReadsAnyMore(t *testing.T) {
	t.Parallel()
	for what, corrected := range toAnother {
		for where, stand := range map[string]func(h *house, c Case){
			"given back": func(h *house, c Case) { h.fire(h.anna, c, "release", Input{Reason: "ill"}) },
			"given back, on hold": func(h *house, c Case) {
				h.fire(h.anna, c, "release", Input{Reason: "ill"})
				h.fire(h.placer, c, "hold", Input{})
			},
			"given back, offered": func(h *house, c Case) {
				h.fire(h.anna, c, "release", Input{Reason: "ill"})
				h.fire(h.coordinator, c, "offer", Input{ReaderID: &h.ben.ID})
			},
			"cancelled": func(h *house, c Case) { h.fire(h.placer, c, "cancel", Input{}) },
			"given back, rejected": func(h *house, c Case) {
				h.fire(h.anna, c, "release", Input{Reason: "ill"})
				h.fire(h.coordinator, c, "reject", Input{Reason: "r"})
			},
		} {
			t.Run(what+" "+where, func(t *testing.T) {
				t.Parallel()
				h := newHouse(t, `{"assignment": "pool"}`)
				c := h.ready()
				h.fire(h.anna, c, "claim", Input{Independent: true})
				h.fire(h.anna, c, "raise-finding", Input{Finding: &RaisedFinding{Category: "emergent", Text: "Free air."}})
				stand(h, c)
				h.lookAt(c)
				if h.matters(c)[0].Content.Doubtful {
					t.Fatal("nothing was corrected yet")
				}
				corrected(h.facts[c.PlacerValue])
				n := len(h.heard)
				h.lookAt(c)
				h.lookAt(c)
				h.tick()
				if !h.matters(c)[0].Content.Doubtful {
					t.Error("the finding does not say that the images may be of another patient")
				}
				told := slices.DeleteFunc(slices.Clone(h.heard[n:]), func(ch Change) bool { return ch.Event != "doubt-findings" })
				if len(told) != 1 || len(told[0].Matters) != 1 || *told[0].Case.PatientID != "p1" {
					t.Errorf("the outside hears %+v", told)
				}
				h.replays(c)
			})
		}
	}
}

// raises has somebody find something as the operation does.
func (h *house) raises(who access.Actor, c Case, f RaisedFinding) (ch Change) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		ch, err = h.engine.RaiseTx(ctx, tx, who, c.CaseID, f)
		return err
	})
	return ch
}

// Who has read a case, and tells of a finding when its order is another patient's by
// now, is believed, and everybody hears whose images they may be.
func TestAFindingThatIsRaisedAfterTheOrderWasMovedSaysThatItMayBeAnotherPatients(t *testing.T) {
	t.Parallel()
	found := RaisedFinding{Category: "emergent", Text: "Free air."}
	release := func(h *house, c Case) { h.fire(h.anna, c, "release", Input{Reason: "ill"}) }
	move := func(h *house, c Case) {
		f := h.facts[c.PlacerValue]
		f.OrderPatient, f.Study.Patient, f.Original.Patient = "p2", "p2", "p2"
		h.lookAt(c)
		h.tick()
	}
	goOn := func(h *house, c Case) {
		h.fire(h.coordinator, c, "continue-reading", Input{Reason: "a typing error", Facts: h.facts[c.PlacerValue]})
	}
	for name, row := range map[string]struct {
		way      []func(h *house, c Case)
		doubtful bool
	}{
		"nothing happens":   {nil, false},
		"given back":        {[]func(*house, Case){release}, false},
		"given back, moved": {[]func(*house, Case){release, move}, true},
		"given back, on hold, moved": {[]func(*house, Case){release,
			func(h *house, c Case) { h.fire(h.placer, c, "hold", Input{}) }, move}, true},
		"cancelled, moved": {[]func(*house, Case){func(h *house, c Case) { h.fire(h.placer, c, "cancel", Input{}) }, move}, true},
		"moved, waits":     {[]func(*house, Case){move}, true},
		"moved, goes on":   {[]func(*house, Case){move, goOn}, false},
		"moved, begun anew": {[]func(*house, Case){move, func(h *house, c Case) {
			h.fire(h.coordinator, c, "restart-reading", Input{Reason: "r"})
			h.tick()
			h.fire(h.ben, c, "claim", Input{Independent: true})
		}}, true},
		"given back, moved, another reads and it goes on": {[]func(*house, Case){release, move,
			func(h *house, c Case) {
				h.fire(h.ben, c, "claim", Input{Independent: true})
				f := h.facts[c.PlacerValue]
				f.OrderPatient, f.Study.Patient, f.Original.Patient = "p3", "p3", "p3"
				h.lookAt(c)
			}, goOn}, true},
		"given back, another side": {[]func(*house, Case){release, func(h *house, c Case) {
			h.facts[c.PlacerValue].Exam.Ordered = &OrderedSite{Side: "left"}
			h.lookAt(c)
			h.tick()
		}}, false},
		"given back, consent withdrawn": {[]func(*house, Case){release, func(h *house, c Case) {
			h.facts[c.PlacerValue].Consent = "deny"
			h.lookAt(c)
			h.tick()
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, `{"assignment": "pool"}`)
			c := h.ready()
			h.fire(h.anna, c, "claim", Input{Independent: true})
			for _, step := range row.way {
				step(h, c)
			}
			ch := h.raises(h.anna, c, found)
			m := h.matters(c)[0]
			if m.Content.Doubtful != row.doubtful {
				t.Errorf("in doubt: %t", m.Content.Doubtful)
			}
			office := slices.ContainsFunc(ch.Told, func(told Told) bool { return told.Tell == TellCoordinator && told.Clock == m.clock() })
			if office != row.doubtful {
				t.Errorf("told: %+v", ch.Told)
			}
			h.replays(c)
		})
	}
}

package workflow

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
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

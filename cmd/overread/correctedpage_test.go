package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// changes has the placer change a resource of a case that is read.
func (w *world) changes(t *testing.T, path string, change func(n *fhir.Node)) {
	t.Helper()
	placer := w.clients["mercy-placer"]
	n, err := placer.get(t.Context(), path)
	if err == nil {
		change(n)
		_, err = placer.send(t.Context(), http.MethodPut, path, n)
	}
	if err != nil {
		t.Fatal(path, err)
	}
}

// The order is corrected while it is read. Where it means another study than was read, the
// desk is not offered to let the reading go on, and is told why and what leads on; where the
// images are the same, it is offered and done.
func TestThatTheReadingGoesOnIsOfferedWhereItCan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, same := range []bool{false, true} {
		number := map[bool]string{false: "OTHER-1", true: "SAME-1"}[same]
		o := w.knee(number)
		task := w.sends(t, o)
		w.live(t, o, task, chapter{then: workflow.Ready})
		w.live(t, o, task, chapter{"tanaka", "claim", independent(), workflow.Accepted})
		n, err := w.clients["mercy-placer"].get(t.Context(), "Task/"+task)
		if err != nil {
			t.Fatal(err)
		}
		order := n.Text("focus", "reference")
		if same {
			w.changes(t, order, func(n *fhir.Node) {
				n.Set("bodySite", []*fhir.Node{fhir.Object("coding", []*fhir.Node{fhir.Object("system", "http://snomed.info/sct", "code", "72696002", "display", "Knee")}, "text", "Knee, again")})
			})
		} else {
			other := w.knee("OTHER-2")
			second := w.sends(t, other)
			w.live(t, other, second, chapter{then: workflow.Ready})
			n, err := w.clients["mercy-placer"].get(t.Context(), "Task/"+second)
			if err != nil {
				t.Fatal(err)
			}
			orders, err := w.clients["mercy-placer"].get(t.Context(), n.Text("focus", "reference"))
			if err != nil {
				t.Fatal(err)
			}
			w.changes(t, order, func(n *fhir.Node) { n.Set("supportingInfo", orders.Each("supportingInfo")) })
		}
		if state, err := w.state(t.Context(), "mercy", task); err != nil || state != workflow.OnHold {
			t.Fatalf("%s is %s (%v), and its correction waits for nobody", number, state, err)
		}
		v, rooms := w.at(t, access.Coordinator)
		page := v.get(rooms + "/board/" + task)
		wants(t, page, "/do/restart-reading")
		if offered := strings.Contains(page.text, "/do/continue-reading"); offered != same {
			t.Errorf("%s: offered is %v: %s", number, offered, page.text)
		}
		if !same {
			wants(t, page, "the order means another study than was read; begin the reading anew")
			v.does(page, "restart-reading", url.Values{"reason": {"another study is meant"}})
			continue
		}
		v.does(page, "continue-reading", url.Values{"reason": {"the same knee"}})
		w.live(t, o, task, chapter{then: workflow.Accepted})
	}
}

package workflow

import (
	"slices"
	"testing"

	"github.com/overread/overread/internal/access"
)

func TestEveryStateOfTheTableExists(t *testing.T) {
	known := in()
	for _, s := range States {
		known = append(known, s.State)
	}
	known = append(known, Quietly)
	for _, row := range Transitions {
		for _, s := range append(slices.Clone(row.From), row.To) {
			if s != Same && s != Resumed && !slices.Contains(known, s) {
				t.Errorf("%s: no such state: %s", row.Event, s)
			}
		}
		if len(row.From) == 0 || len(row.By) == 0 || row.Event == "" || row.To == "" {
			t.Errorf("%s %v: a row says from where, by whom and to where", row.Event, row.From)
		}
	}
}

func TestEveryStateCanBeReachedFromReceived(t *testing.T) {
	reached := map[State]bool{Received: true}
	for range States {
		for _, row := range Transitions {
			for _, from := range row.From {
				if reached[from] && row.To != Same && row.To != Quietly && row.To != Resumed {
					reached[row.To] = true
				}
			}
		}
	}
	for _, s := range States {
		if !reached[s.State] {
			t.Errorf("no way leads to %s", s.State)
		}
	}
}

// Who acts next, as States says it, must be able to.
func TestEveryStateHasAnOwnerWithAWayOut(t *testing.T) {
	for _, s := range States {
		var ways []Transition
		for _, row := range Transitions {
			if slices.Contains(row.From, s.State) && row.To != Same && row.To != Quietly {
				ways = append(ways, row)
			}
		}
		over := slices.Contains(in(Rejected, Cancelled, Failed, EnteredInError), s.State)
		if over != (len(ways) == 0) {
			t.Errorf("%s: %d ways out", s.State, len(ways))
		}
		if over || s.State == Closed {
			if s.ActsNext != "none" {
				t.Errorf("%s is over, but waits for %s", s.State, s.ActsNext)
			}
			continue
		}
		if s.ActsNext == "none" || s.ActsNext == "" {
			t.Errorf("%s has no owner", s.State)
		}
		if !slices.ContainsFunc(ways, func(row Transition) bool {
			return slices.ContainsFunc(row.By, func(r access.Role) bool { return r != access.Director })
		}) {
			t.Errorf("%s: only a director can end it", s.State)
		}
	}
}

func TestNoRowHidesAnother(t *testing.T) {
	type key struct {
		from  State
		event Event
		by    access.Role
	}
	unconditional := map[key]bool{}
	for _, row := range Transitions {
		for _, from := range row.From {
			for _, by := range row.By {
				k := key{from, row.Event, by}
				if unconditional[k] {
					t.Errorf("%v: a row after one without condition is never taken", k)
				}
				unconditional[k] = unconditional[k] || row.When == nil
			}
		}
	}
}

func TestNamesOfGuardsChoicesAndEffectsAreUnique(t *testing.T) {
	docs := map[string]string{}
	see := func(name, doc string) {
		if name == "" || doc == "" || docs[name] != "" && docs[name] != doc {
			t.Errorf("%q: a name of its own and a doc, please", name)
		}
		docs[name] = doc
	}
	for _, row := range Transitions {
		for _, g := range row.Guards {
			see(g.Name, g.Doc)
		}
		for _, e := range row.Effects {
			see(e.Name, e.Doc)
		}
		if row.When != nil {
			see(row.When.Name, row.When.Doc)
		}
	}
}

func TestEveryAgendaRowHasAPlaceAndSomethingToDo(t *testing.T) {
	for _, it := range agenda() {
		if len(it.While) == 0 || it.Doc == "" || (it.do == nil) != (it.Clock != "") {
			t.Errorf("%s: incomplete row", it.Kind)
		}
		for _, s := range it.PausedIn {
			if !slices.Contains(it.While, s) {
				t.Errorf("%s stands still in %s, but has no place there", it.Kind, s)
			}
		}
	}
}

package web

import (
	"slices"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// What a table of the engine says has words here.
func TestEveryCodeOfABoardHasWords(t *testing.T) {
	t.Parallel()
	inQuality := []workflow.Event{"judge-management", "outcome", "add-learning-point", "withdraw-learning-point", "open-review", "close-review"}
	for _, row := range workflow.Transitions {
		if eventWords[string(row.Event)] == "" && !slices.Contains(inQuality, row.Event) {
			t.Errorf("the event %s has no words", row.Event)
		}
		for _, office := range offices {
			if slices.Contains(row.By, office) && deedWords[string(row.Event)].Button == "" {
				t.Errorf("what the %s may do has no words: %s", office, row.Event)
			}
		}
	}
	for _, c := range workflow.IntakeCodes() {
		if boardWords["reason"][c.Code] == "" {
			t.Errorf("the finding %s has no words", c.Code)
		}
	}
	for _, p := range workflow.BoardParties {
		if boardWords["party"][p] == "" {
			t.Errorf("the party %s has no words", p)
		}
	}
	for _, p := range workflow.Parties {
		if boardWords["party"][string(p)] == "" {
			t.Errorf("the party %s has no words", p)
		}
	}
	for _, s := range workflow.BoardSorts {
		if boardWords["sort"][string(s)] == "" {
			t.Errorf("the order %s has no words", s)
		}
	}
	if slices.Contains(offices, access.Reader) {
		t.Error("readers are no office")
	}
}

package workflow

import "slices"

// FactTie is two dimensions of which one says something of the other, because of how they
// are made: there is no case that two read unblinded. Tables by both, each with small
// counts hidden, can be subtracted (TestTablesOfDimensionsThatAreTiedGiveAwayWhatEachHides),
// so auditors are shown one of the two.
type FactTie struct {
	One, Other string
	Why        string
	ByRules    bool // only where rules of triage say how a case is read
}

// FactTies are all of them: TestDimensionsAreTiedAsTheTableSays draws cases and looks
// which words never meet. Two dimensions that are only rarely together are not tied.
var FactTies = func() []FactTie {
	ties := []FactTie{
		{"reason", "oncologic", Phrase("a staging is oncologic, and who gives no code is neither"), false}, // Exam.oncologic
		{"blinding", "protocol", Phrase("what two read is blinded"), false},                                // decideProtocol
	}
	for _, asked := range triaged { // DecideTriage
		ties = append(ties, FactTie{asked, "subspecialty", Phrase("rules of triage decide by it"), false})
		for _, how := range []string{"blinding", "protocol"} {
			ties = append(ties, FactTie{asked, how, Phrase("rules of triage decide by it"), true})
		}
	}
	for _, other := range []string{"blinding", "protocol", "oncologic"} { // the same rule decides both, or by the reason
		ties = append(ties, FactTie{"subspecialty", other, Phrase("rules of triage decide both"), true})
	}
	return ties
}()

// triaged are the dimensions that rules of triage ask for (TriageWhen). The body region is
// of the words of which the rules are, too.
var triaged = []string{"modality", "body-region", "reason", "priority"}

// tieOf finds why two dimensions are tied; false where they are not.
func tieOf(one, other string, byRules bool) (FactTie, bool) {
	i := slices.IndexFunc(FactTies, func(t FactTie) bool {
		return (t.One == one && t.Other == other || t.One == other && t.Other == one) && (byRules || !t.ByRules)
	})
	if i < 0 {
		return FactTie{}, false
	}
	return FactTies[i], true
}

// Untied leaves of dimensions those that are not tied with one before them.
func Untied(names []string, byRules bool) (kept []string) {
	for _, name := range names {
		if !slices.ContainsFunc(kept, func(before string) bool { _, tied := tieOf(before, name, byRules); return tied }) {
			kept = append(kept, name)
		}
	}
	return kept
}

// saysHow tells that a rule decides how cases are read.
func saysHow(rules []TriageRule) bool {
	return slices.ContainsFunc(rules, func(r TriageRule) bool { return r.Then.Protocol != "" || r.Then.Reading != "" })
}

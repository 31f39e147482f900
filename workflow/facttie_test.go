package workflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
)

// drawnFact is what is counted of an order as it may come, by the code that makes it so:
// intake's triage and protocol, description and fact.
func drawnFact(random *rand.Rand, rules []TriageRule) Fact {
	one := func(words ...string) string { return words[random.IntN(len(words))] }
	e := Exam{
		Modality: one("CT", "MR", "MG", "NM", "PT", "XA", "US", "DX"), BodySite: one("", "head", "chest", "breast", "knee", "abdomen", "pelvis"),
		Display: one("", "cardiac", "angiography", "spine", "mammography"), Setting: one("", "inpatient", "outpatient", "emergency"),
	}
	for range random.IntN(3) {
		e.Reasons = append(e.Reasons, one(ReasonSystem+"|"+Reasons[random.IntN(len(Reasons))].Code, "http://hl7.org/fhir/sid/icd-10|C50", "http://hl7.org/fhir/sid/icd-10|J18", secondOpinionMarker+"2"))
	}
	if random.IntN(2) == 0 {
		e.Priors = []string{"ImagingStudy/1"}
	}
	if random.IntN(2) == 0 {
		e.Asked = &ProtocolWish{Protocol: Protocol(one("", string(Blinded), string(Unblinded))), Reading: ReadingProtocol(one(append(protocolWords(), "")...))}
	}
	for _, list := range []*[]string{&e.OriginalReaders, &e.OriginalAuthors, &e.OriginalGroups} {
		if random.IntN(2) == 0 {
			*list = []string{one("a", "b")}
		}
	}
	reader := uuid.MustParse(one("00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"))
	c := Case{Exam: e, Priority: one(Priorities...), PlacerSystem: one("urn:p", "urn:q"), State: Final, ReaderID: &reader}
	c.Policy = Policy{Protocol: Protocol(one(string(Blinded), string(Unblinded))), OrderMayAskProtocol: rules == nil, Triage: rules}
	triage := DecideTriage(c.Policy.Triage, c.Exam, c.Priority)
	c.Exam.Subspecialty = triage.Subspecialty
	c.decideProtocol(&triage)
	k := c.known()
	now := time.Now()
	k.signed, k.unveiled = &now, random.IntN(2) == 0
	content := Grade{Discrepancies: []Discrepancy{{Significance: one("none", "unimportant", "important")}}}
	if random.IntN(2) == 0 {
		content.Discrepancies[0].Asymmetry = []string{"priors"}
	}
	k.grades = []GivenGrade{{GradeNo: 1, Level: content.Level(), Content: content, GradedAt: now}}
	return k.fact(now)
}

// tiedByDrawing are the pairs of dimensions of which two words never meet.
func tiedByDrawing(rules []TriageRule) (tied []string) {
	random := rand.New(rand.NewPCG(11, 12))
	const draws = 30_000
	seen := make([]map[string]int, len(FactDimensions)) // words, and how often
	pairs := map[[2]int]map[[2]string]bool{}
	for i := range seen {
		seen[i] = map[string]int{}
	}
	for range draws {
		f := drawnFact(random, rules)
		words := make([]string, len(FactDimensions))
		for i, d := range FactDimensions {
			words[i] = *d.word(&f)
			seen[i][words[i]]++
			for j := range i {
				if pairs[[2]int{j, i}] == nil {
					pairs[[2]int{j, i}] = map[[2]string]bool{}
				}
				pairs[[2]int{j, i}][[2]string{words[j], words[i]}] = true
			}
		}
	}
	for at, met := range pairs {
	words:
		for one, n := range seen[at[0]] {
			for other, m := range seen[at[1]] {
				if !met[[2]string{one, other}] && n*m/draws > 25 { // so often they would be together
					tied = append(tied, fmt.Sprint(FactDimensions[at[0]].Name, " ", FactDimensions[at[1]].Name))
					break words
				}
			}
		}
	}
	slices.Sort(tied)
	return tied
}

func TestDimensionsAreTiedAsTheTableSays(t *testing.T) {
	t.Parallel()
	rules := []TriageRule{
		{When: TriageWhen{Modality: []string{"CT"}}, Then: TriageThen{Subspecialty: "general", Reading: ByConsensus}},
		{When: TriageWhen{Priority: []string{"stat"}}, Then: TriageThen{Subspecialty: "general", Protocol: Unblinded, Reading: SingleReading}},
		{When: TriageWhen{Reason: []string{"staging"}}, Then: TriageThen{Subspecialty: "abdominal", Protocol: Unblinded, Reading: SingleReading}},
		{When: TriageWhen{BodySite: []Word{"knee"}}, Then: TriageThen{Subspecialty: "general", Protocol: Unblinded, Reading: SingleReading}},
		{Then: TriageThen{Subspecialty: "general", Protocol: Blinded, Reading: MixedReading}},
	}
	for _, byRules := range []bool{false, true} {
		given := rules
		if !byRules {
			given = nil
		}
		found := tiedByDrawing(given)
		t.Log(byRules, found)
		for _, pair := range found {
			var one, other string
			_, _ = fmt.Sscan(pair, &one, &other)
			if _, told := tieOf(one, other, byRules); !told {
				t.Errorf("%s and %s are tied, and the table does not say so", one, other)
			}
		}
		for _, want := range []string{"reason oncologic", "blinding protocol", "modality subspecialty", "body-region subspecialty"} {
			if !byRules && !slices.Contains(found, want) {
				t.Errorf("%s were not found to be tied: %v", want, found)
			}
		}
	}
	// What is published by default is not tied.
	if got := Untied(factNames(), false); slices.Contains(got, "oncologic") || slices.Contains(got, "protocol") || slices.Contains(got, "subspecialty") || !slices.Contains(got, "blinding") || len(got) != 1+len(FactDimensions)-3 {
		t.Errorf("%v", got)
	}
	if got := Untied(factNames(), true); slices.Contains(got, "blinding") {
		t.Errorf("%v", got)
	}
}

package workflow

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wholeFacts is an order that nothing is missing from.
func wholeFacts() Facts {
	return Facts{
		Exam:         Exam{Display: "CT Head", Modality: "CT", BodySite: "Head", PatientAge: 60, OriginalReaders: nil},
		OrderPatient: "p1", OrderModality: "CT", OrderBodySite: "Brain", OrderLaterality: "",
		Question: true, History: true, Requester: true,
		StudyReferenced:    true,
		Study:              &StudyFacts{ID: "s1", UID: "2.25.1", Patient: "p1", Modalities: []string{"CT"}, BodySite: "Head", Available: true, Instances: 3, InstancesSaid: 3},
		OriginalReferenced: true,
		Original:           &OriginalFacts{ID: "r1", Version: 1, Patient: "p1", Final: true},
		Reported:           true,
		First:              FirstReaders{Readers: []string{"Practitioner/first"}, Groups: []string{"Organization/north"}},
	}
}

func TestEachCheckFindsItsFault(t *testing.T) {
	all := DefaultPolicy()
	all.RequesterRequired = true
	for code, spoil := range map[string]func(*Facts, *Policy){
		"patient-mismatch":    func(f *Facts, _ *Policy) { f.Study.Patient = "p2" },
		"modality-mismatch":   func(f *Facts, _ *Policy) { f.OrderModality = "MR" },
		"body-site-mismatch":  func(f *Facts, _ *Policy) { f.OrderBodySite = "Knee" },
		"laterality-mismatch": func(f *Facts, _ *Policy) { f.OrderLaterality, f.Study.Laterality = "left", "right" },
		"duplicate-case":      func(f *Facts, _ *Policy) { f.Duplicates = []string{"t9"} },
		"consent-denied":      func(f *Facts, _ *Policy) { f.Consent = "deny" },
		"priors-doubtful":     func(f *Facts, _ *Policy) { f.Priors = []PriorFacts{{Later: true}} },
		"out-of-scope": func(_ *Facts, p *Policy) {
			p.OutOfScope = []TriageWhen{{Modality: []string{"MG"}}, {Modality: []string{"CT"}}}
		},
		"requester-not-authorised": func(f *Facts, p *Policy) {
			p.Requesters, f.Requesters = []string{"urn:staff|1"}, []string{"urn:staff|2"}
		},
		ConsentDoubtful:             func(f *Facts, _ *Policy) { f.Consent, f.ConsentDoubtful = "permit", true },
		OriginalReaderUnnamed:       func(f *Facts, _ *Policy) { f.First = FirstReaders{} },
		"consent-missing":           func(_ *Facts, p *Policy) { p.ConsentRequired = true },
		"study-not-named":           func(f *Facts, _ *Policy) { f.StudyReferenced, f.Study = false, nil },
		"question-missing":          func(f *Facts, _ *Policy) { f.Question = false },
		"history-missing":           func(f *Facts, _ *Policy) { f.History = false },
		"requester-missing":         func(f *Facts, _ *Policy) { f.Requester = false },
		"original-report-missing":   func(f *Facts, _ *Policy) { f.Original = nil },
		"original-report-not-final": func(f *Facts, _ *Policy) { f.Original.Final = false },
		"study-missing":             func(f *Facts, _ *Policy) { f.Study = nil },
		"study-unavailable":         func(f *Facts, _ *Policy) { f.Study.Available = false },
		"study-incomplete":          func(f *Facts, _ *Policy) { f.Study.Instances = 2 },
	} {
		f, p := wholeFacts(), all
		spoil(&f, &p)
		got := names(EvalIntake(f, p, nil), func(f Finding) string { return f.Code })
		if diff := cmp.Diff([]string{code}, got); diff != "" {
			t.Errorf("%s: %s", code, diff)
		}
		if left := EvalIntake(f, p, []string{code}); len(left) != 0 {
			t.Errorf("%s is waived and still found: %v", code, left)
		}
	}
	if len(checks) != 32 { // those of the PACS have theirs in pacs_test.go
		t.Errorf("%d checks; each needs its row in this test", len(checks))
	}
}

func TestACompleteOrderPassesEveryCheck(t *testing.T) {
	if found := EvalIntake(wholeFacts(), DefaultPolicy(), nil); len(found) != 0 {
		t.Error(found)
	}
	withoutOriginal := wholeFacts()
	withoutOriginal.OriginalReferenced, withoutOriginal.Original = false, nil
	if found := EvalIntake(withoutOriginal, DefaultPolicy(), nil); len(found) != 0 {
		t.Error("an order that names no original report goes on without comparison:", found)
	}
}

func TestFindingsNameTheElementAndSayWhatToDo(t *testing.T) {
	for _, c := range checks {
		if !strings.HasPrefix(c.element, "ServiceRequest.") || c.doc == "" {
			t.Errorf("%s: incomplete row", c.code)
		}
		if (c.kind == Doubtful) != (c.waiver == resolvedInReview) && c.waiver != neverWaived {
			t.Errorf("%s: doubts are resolved, the rest is waived", c.code)
		}
	}
}

func TestTheFirstKindOfFindingDecides(t *testing.T) {
	doubt, info, images := Finding{Kind: Doubtful}, Finding{Kind: MissingInformation}, Finding{Kind: MissingImages}
	for _, test := range []struct {
		found []Finding
		want  Event
	}{
		{nil, "pass-checks"},
		{[]Finding{images}, "miss-images"},
		{[]Finding{images, info}, "miss-information"},
		{[]Finding{images, info, doubt}, "doubt"},
	} {
		if got := intakeEvent(test.found); got != test.want {
			t.Errorf("%v: %s, want %s", test.found, got, test.want)
		}
	}
}

// Nobody has sent the order of a second read for quality, and so what it lacks is
// waited for from no placer.
func TestWhatASecondReadForQualityLacksIsTheCoordinators(t *testing.T) {
	sampled := newID()
	lacks := func(code string, kind FindingKind) []Finding { return []Finding{{Code: code, Kind: kind}} }
	for _, test := range []struct {
		found []Finding
		want  Event
	}{
		{lacks("question-missing", MissingInformation), "doubt"},
		{lacks("study-incomplete", MissingImages), "doubt"},
		{lacks("pacs-study-missing", MissingImages), "miss-images"},
		{nil, "pass-checks"},
	} {
		c := Case{SampleOf: &sampled, Findings: test.found, State: AwaitingImages}
		if got := c.intakeEvent(test.found); got != test.want {
			t.Errorf("%v: %s, want %s", test.found, got, test.want)
		}
		if w, _ := c.waitOf(); w.Party == WaitsForPlacer {
			t.Errorf("%v: it waits for the placer", test.found)
		}
	}
	c := Case{SampleOf: &sampled, State: IntakeReview, Findings: lacks("question-missing", MissingInformation)}
	if err := waiveFindings.Do(t.Context(), &turn{c: &c, event: "resolve", detail: map[string]any{}}); err != nil || len(c.Waived) != 1 {
		t.Errorf("the coordinator's word is not taken: %v %v", c.Waived, err)
	}
	for code, may := range map[string]bool{"question-missing": true, "patient-missing": false} {
		c.Findings = lacks(code, MissingInformation)
		if err := canResolve.Check(t.Context(), &turn{c: &c, event: "resolve"}); (err == nil) != may {
			t.Errorf("%s: %v", code, err)
		}
	}
}

package workflow

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"
)

const triageTable = `
triage:
  - when: {modality: [MR, CT], bodySite: [brain, head], age: {to: 17}}
    then: {subspecialty: neuro, needs: [paediatric]}
  - when: {age: {from: 0, to: 17}}
    then: {subspecialty: paediatric}
  - when: {code: ["http://loinc.org|24590-2", "36554-4"]}
    then: {subspecialty: chest}
  - when: {reason: [staging], modality: [CT]}
    then: {subspecialty: oncologic}
  - when: {priority: [stat], modality: [CT]}
    then: {subspecialty: emergency}
`

func TestTheFirstRuleThatHoldsDecidesAndSaysWhy(t *testing.T) {
	policy, err := ParsePolicy([]byte(triageTable))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, priority string
		exam           Exam
		want           string // why
		needs          []string
	}{
		{"a child's head", "routine", Exam{Modality: "MR", BodySite: "Brain", PatientAge: 4}, "rule 1: MR or CT of brain or head, age 0 to 17 -> neuro with paediatric", []string{"paediatric"}},
		{"the last year", "routine", Exam{Modality: "CT", Display: "CT HEAD", PatientAge: 17}, "rule 1: MR or CT of brain or head, age 0 to 17 -> neuro with paediatric", []string{"paediatric"}},
		{"a child's knee", "routine", Exam{Modality: "MR", BodySite: "Knee", PatientAge: 4}, "rule 2: age 0 to 17 -> paediatric", nil},
		{"an adult's head", "routine", Exam{Modality: "MR", BodySite: "Brain", PatientAge: 18}, "default rule 21: body site head or brain or skull or neuro", nil},
		{"an age that nobody knows", "routine", Exam{Modality: "MR", BodySite: "Brain", PatientAge: -1}, "default", nil},
		{"by code and system", "routine", Exam{CodeSystem: "http://loinc.org", Code: "24590-2", PatientAge: 40}, "rule 3: code http://loinc.org|24590-2 or 36554-4 -> chest", nil},
		{"by code alone", "routine", Exam{CodeSystem: "urn:ours", Code: "36554-4", PatientAge: 40}, "rule 3: ", nil},
		{"the code of another system", "routine", Exam{CodeSystem: "urn:ours", Code: "24590-2", PatientAge: 40}, "no rule: everything else -> general", nil},
		{"by reason", "stat", Exam{Modality: "CT", Reasons: []string{"urn:x|other", "https://overread.org/fhir/CodeSystem/reason|staging"}, PatientAge: 40}, "rule 4: CT, reason staging -> oncologic", nil},
		{"by priority", "stat", Exam{Modality: "CT", BodySite: "Abdomen", PatientAge: 40}, "rule 5: CT, stat -> emergency", nil},
		{"not that urgent", "asap", Exam{Modality: "CT", BodySite: "Abdomen", PatientAge: 40}, "default rule ", nil},
		{"by the default modality", "routine", Exam{Modality: "MG", PatientAge: 40}, "default rule 1: MG -> breast", nil},
		{"an exam without code", "routine", Exam{PatientAge: 40}, "no rule", nil},
	} {
		got := DecideTriage(policy.Triage, test.exam, test.priority)
		if !strings.HasPrefix(got.Why, test.want) || !strings.HasPrefix(got.Why, got.Rule+": ") || !cmp.Equal(got.Needs, test.needs) {
			t.Errorf("%s: %+v, want %s", test.name, got, test.want)
		}
	}
}

func TestRulesThatAreNeverReachedAreNamed(t *testing.T) {
	for text, want := range map[string]string{
		triageTable: "",
		"triage: [{when: {}, then: {subspecialty: general}}, {when: {modality: [MR]}, then: {subspecialty: neuro}}]":                                       "triage[1] is never reached: whatever it holds for, rule 1 decides before (everything -> general)",
		"triage: [{when: {modality: [MR, CT]}, then: {subspecialty: neuro}}, {when: {modality: [ct], priority: [stat]}, then: {subspecialty: emergency}}]": "triage[1] is never reached",
		"triage: [{when: {bodySite: [shoulder]}, then: {subspecialty: msk}}, {when: {bodySite: [shoulderblade]}, then: {subspecialty: bone}}]":             "triage[1] is never reached",
		"triage: [{when: {bodySite: [head]}, then: {subspecialty: neuro}}, {when: {bodySite: [forehead]}, then: {subspecialty: face}}]":                    "",
		"triage: [{when: {bodySite: [forehead]}, then: {subspecialty: face}}, {when: {bodySite: [head]}, then: {subspecialty: neuro}}]":                    "",
		"triage: [{when: {age: {from: 10}}, then: {subspecialty: a1}}, {when: {age: {from: 12, to: 17}}, then: {subspecialty: b1}}]":                       "triage[1] is never reached",
		"triage: [{when: {age: {from: 10, to: 16}}, then: {subspecialty: a1}}, {when: {age: {from: 12, to: 17}}, then: {subspecialty: b1}}]":               "",
		"triage: [{when: {age: {from: 10, to: 16}}, then: {subspecialty: a1}}, {when: {age: {from: 12}}, then: {subspecialty: b1}}]":                       "",
		"triage: [{when: {code: [\"24590-2\"]}, then: {subspecialty: a1}}, {when: {code: [\"http://loinc.org|24590-2\"]}, then: {subspecialty: b1}}]":      "triage[1] is never reached",
		"triage: [{when: {code: [\"http://loinc.org|24590-2\"]}, then: {subspecialty: a1}}, {when: {code: [\"24590-2\"]}, then: {subspecialty: b1}}]":      "",
		"triage: [{when: {age: {from: 17, to: 3}}, then: {subspecialty: a1}}]":                                                                             "triage[0].when.age must not end before it begins",
		"triage: [{when: {age: {from: -1}}, then: {subspecialty: a1}}]":                                                                                    "triage[0].when.age.from must be at least 0",
		"triage: [{when: {modality: []}, then: {subspecialty: a1}}]":                                                                                       "triage[0].when.modality must have at least 1",
		"triage: [{when: {bodySite: [Head]}, then: {subspecialty: a1}}]":                                                                                   "triage[0].when.bodySite[0] must be a word in small letters",
		"triage: [{when: {}, then: {subspecialty: Neuro Radiology}}]":                                                                                      "triage[0].then.subspecialty must be a subspecialty such as neuro",
		"triage: [{when: {}}]":           "triage[0] must have then",
		"triage: [{when: {}, then: {}}]": "triage[0].then must have subspecialty",
		"triage:\n- when: {}\n  then: {subspecialty: general}\n- when: {modality: [MR]}\n  then: {subspecialty: neuro}\n": "line 4: triage[1] is never reached",
	} {
		_, err := ParsePolicy([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s\n%v\nwant %s", text, err, want)
		}
	}
}

func drawWhen(rt *rapid.T, name string) (w TriageWhen) {
	some := func(what string, of ...string) []string {
		if rapid.Bool().Draw(rt, name+what) {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, 2, rapid.ID[string]).Draw(rt, name+what+"s")
	}
	w.Modality, w.Priority = some("modality", "MR", "CT", "ct", "MG"), some("priority", "stat", "urgent", "routine")
	w.Code, w.Reason = some("code", "1", "2", "urn:a|1", "urn:b|1"), some("reason", "1", "2", "urn:a|1")
	for _, word := range some("site", "head", "forehead", "ear", "knee") {
		w.BodySite = append(w.BodySite, Word(word))
	}
	if rapid.Bool().Draw(rt, name+"age") {
		w.Age = &Ages{From: rapid.IntRange(0, 4).Draw(rt, name+"from"), To: rapid.IntRange(0, 6).Draw(rt, name+"to")}
	}
	return w
}

// examFor is the exam made such that the conditions hold.
func examFor(w TriageWhen, e Exam, priority string) (Exam, string) {
	if w.Modality != nil {
		e.Modality = w.Modality[0]
	}
	if w.BodySite != nil {
		e.BodySite = strings.ToUpper(string(w.BodySite[0]))
	}
	for _, code := range w.Code[:min(1, len(w.Code))] {
		system, alone, ok := strings.Cut(code, "|")
		if !ok {
			system, alone = "urn:c", code
		}
		e.CodeSystem, e.Code = system, alone
	}
	for _, code := range w.Reason[:min(1, len(w.Reason))] {
		if !strings.Contains(code, "|") {
			code = "urn:c|" + code
		}
		e.Reasons = append(e.Reasons, code)
	}
	if w.Age != nil {
		e.PatientAge = w.Age.From
	}
	if w.Priority != nil {
		priority = w.Priority[0]
	}
	return e, priority
}

// A rule that is said to be never reached is never reached; and what is decided
// is what the first rule says whose conditions hold, before those of everybody.
func TestARuleThatIsCoveredNeverDecides(t *testing.T) {
	covered, decided := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var rules []TriageRule
		for i := range rapid.IntRange(1, 4).Draw(rt, "rules") {
			if i > 0 && rapid.Bool().Draw(rt, "narrower") {
				narrower := TriageRule{rules[0].When, TriageThen{Subspecialty: Privilege("s" + string(rune('a'+i)))}}
				narrower.When.Modality = append(narrower.When.Modality[:0:0], rapid.SampledFrom(append([]string{"MR", "CT"}, rules[0].When.Modality...)).Draw(rt, "its modality"))
				if narrower.When.Age == nil {
					narrower.When.Age = &Ages{From: 1, To: 6}
				}
				rules = append(rules, narrower)
				continue
			}
			rules = append(rules, TriageRule{drawWhen(rt, string(rune('a'+i))), TriageThen{Subspecialty: Privilege("s" + string(rune('a'+i)))}})
		}
		e := Exam{
			Modality: rapid.SampledFrom([]string{"MR", "CT", "MG", ""}).Draw(rt, "modality"), BodySite: rapid.SampledFrom([]string{"Head", "FOREHEAD", "Knee", ""}).Draw(rt, "site"),
			CodeSystem: rapid.SampledFrom([]string{"urn:a", "urn:b"}).Draw(rt, "system"), Code: rapid.SampledFrom([]string{"1", "2", ""}).Draw(rt, "code"),
			PatientAge: rapid.IntRange(-1, 7).Draw(rt, "age"), Reasons: rapid.SliceOfN(rapid.SampledFrom([]string{"urn:a|1", "urn:b|1", "urn:a|2"}), 0, 2).Draw(rt, "reasons"),
		}
		priority := rapid.SampledFrom(Priorities).Draw(rt, "priority")
		if rapid.IntRange(0, 2).Draw(rt, "any exam") > 0 {
			e, priority = examFor(rules[len(rules)-1].When, e, priority)
		}
		want := ""
		for i, rule := range rules {
			if !rule.When.holds(e, priority) {
				continue
			}
			if want == "" {
				want = string(rule.Then.Subspecialty)
			}
			for _, earlier := range rules[:i] {
				if earlier.When.covers(rule.When) {
					covered++
					if !earlier.When.holds(e, priority) {
						rt.Fatalf("%s is said to cover %s, and does not for %+v", earlier, rule, e)
					}
				}
			}
		}
		got := DecideTriage(rules, e, priority)
		if want != "" && got.Subspecialty != want || (want == "") == (strings.HasPrefix(got.Rule, "rule ")) {
			rt.Fatalf("%+v, want %q", got, want)
		}
		if want != "" {
			decided++
		}
	})
	if covered == 0 || decided == 0 {
		t.Errorf("%d covered, %d decided: the test shows nothing", covered, decided)
	}
}

func TestTheDecisionIsInTheHistoryAndTheNeedsAreAsked(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	h.setPolicy(triageTable)
	c := h.open(func(f *Facts) { f.Exam = Exam{Modality: "MR", BodySite: "Brain", PatientAge: 4} })
	h.tick()
	c = h.stands(c, Unassignable)
	if !strings.Contains(c.Findings[0].Text, "no privilege for paediatric") || c.Exam.Subspecialty != "neuro" {
		t.Errorf("%+v", c.Findings)
	}
	var said struct{ Triage Triage }
	if err := json.Unmarshal(h.detailOf(c, "pass-checks"), &said); err != nil || said.Triage.Rule != "rule 1" || !cmp.Equal(c.Exam.Triage, &said.Triage) {
		t.Errorf("%v %+v", err, said)
	}
	h.exec(`UPDATE reader SET credential = '{"subspecialties": ["neuro", "paediatric"]}' WHERE reader_id = $1`, h.ben.ID)
	h.fire(h.coordinator, c, "rematch", Input{})
	h.tick()
	h.stands(c, Ready)
	h.replays(c)
}

// detailOf is what the last event of this name keeps.
func (h *house) detailOf(c Case, event Event) (detail json.RawMessage) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		history, err := HistoryTx(ctx, tx, c.CaseID)
		for _, r := range history {
			if r.Event == event {
				detail = r.Detail
			}
		}
		return err
	})
	return detail
}

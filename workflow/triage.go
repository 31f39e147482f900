package workflow

import (
	"fmt"
	"slices"
	"strings"
)

// TriageRule says who should read an exam. The rules of a policy are tried in
// their order, then those that every tenant has (defaultTriage); the first
// whose conditions all hold decides. What no rule knows is general work.
type TriageRule struct {
	When TriageWhen `json:"when"`
	Then TriageThen `json:"then"`
}

// TriageWhen are the conditions of a rule; what is left out holds for all.
type TriageWhen struct {
	Modality []string `json:"modality,omitempty"` // DICOM: CT, MR, ...
	Code     []string `json:"code,omitempty"`     // of the exam: system|code, or the code alone
	BodySite []Word   `json:"bodySite,omitempty"` // one of these stands in the body site or the name of the exam
	Age      *Ages    `json:"age,omitempty"`      // of the patient at the study; does not hold where that is unknown
	Reason   []string `json:"reason,omitempty"`   // of the request: system|code, or the code alone
	Priority []string `json:"priority,omitempty"`
}

// TriageThen is what a rule decides.
type TriageThen struct {
	Subspecialty Privilege       `json:"subspecialty"`
	Needs        []Privilege     `json:"needs,omitempty"`    // what a reader must have besides
	Protocol     Protocol        `json:"protocol,omitempty"` // "": as the policy says
	Reading      ReadingProtocol `json:"reading,omitempty"`
}

// Privilege is a subspecialty as readers' credentials have it.
type Privilege string

// Word is a word of a name or how one begins, in small letters: see containsAny.
type Word string

// Triage is what the rules have decided, and why.
type Triage struct {
	Subspecialty string       `json:"subspecialty"`
	Needs        []string     `json:"needs,omitempty"`
	Rule         string       `json:"rule"` // "rule 3", "default rule 5", "no rule"
	Protocol     ProtocolWish `json:"protocol,omitzero"`
	Why          string       `json:"why"` // "rule 3: MR of brain or head, age 0 to 17 -> neuro with paediatric"
}

// DecideTriage finds who should read an exam.
func DecideTriage(rules []TriageRule, e Exam, priority string) Triage {
	for i, rule := range rules {
		if rule.When.holds(e, priority) {
			name := fmt.Sprintf("rule %d", i+1)
			return Triage{Subspecialty: string(rule.Then.Subspecialty), Needs: texts(rule.Then.Needs...), Rule: name, Why: name + ": " + rule.String(),
				Protocol: ProtocolWish{rule.Then.Protocol, rule.Then.Reading}}
		}
	}
	asked := e.triaged()
	for i, rule := range defaultTriage {
		if rule.holds(asked) {
			name := fmt.Sprintf("default rule %d", i+1)
			return Triage{Subspecialty: rule.subspecialty, Rule: name, Why: name + ": " + rule.String()}
		}
	}
	return Triage{Subspecialty: General, Rule: "no rule", Why: "no rule: everything else -> " + General}
}

func (w TriageWhen) holds(e Exam, priority string) bool {
	name := strings.ToLower(e.BodySite + " " + e.Display)
	return oneOf(w.Modality, func(m string) bool { return strings.EqualFold(m, e.Modality) }) &&
		oneOf(w.Code, func(c string) bool { return means(c, e.CodeSystem+"|"+e.Code) }) &&
		oneOf(w.BodySite, func(word Word) bool { return containsAny(name, []string{string(word)}) }) &&
		(w.Age == nil || e.PatientAge >= 0 && w.Age.include(e.PatientAge)) &&
		oneOf(w.Reason, func(r string) bool {
			return slices.ContainsFunc(e.Reasons, func(said string) bool { return means(r, said) })
		}) &&
		oneOf(w.Priority, func(p string) bool { return p == priority })
}

// oneOf: nothing is asked for, or one of what is asked for holds.
func oneOf[T any](list []T, holds func(T) bool) bool {
	return len(list) == 0 || slices.ContainsFunc(list, holds)
}

// means tells whether a code of a rule, with or without its system, is this one.
func means(rule, systemAndCode string) bool {
	_, code, _ := strings.Cut(systemAndCode, "|")
	return code != "" && (rule == systemAndCode || rule == code)
}

// String is a rule in words.
func (r TriageRule) String() string {
	var parts []string
	w := r.When
	exam := strings.Join(w.Modality, " or ")
	if len(w.BodySite) > 0 {
		exam = strings.TrimSpace(exam + " of " + strings.Join(texts(w.BodySite...), " or "))
		exam = strings.TrimPrefix(exam, "of ")
	}
	for _, part := range []string{exam, prefixed("code ", w.Code), w.Age.String(), prefixed("reason ", w.Reason), prefixed("", w.Priority)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if parts == nil {
		parts = []string{"everything"}
	}
	then := string(r.Then.Subspecialty)
	if len(r.Then.Needs) > 0 {
		then += " with " + strings.Join(texts(r.Then.Needs...), " and ")
	}
	if wish := (ProtocolWish{r.Then.Protocol, r.Then.Reading}); !wish.empty() {
		then += "; read " + wish.String()
	}
	return strings.Join(parts, ", ") + " -> " + then
}

func prefixed(prefix string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return prefix + strings.Join(list, " or ")
}

// String is a range of ages in words, "" for every age.
func (a *Ages) String() string {
	switch {
	case a == nil:
		return ""
	case a.To == 0:
		return fmt.Sprintf("age %d and above", a.From)
	}
	return fmt.Sprintf("age %d to %d", a.From, a.To)
}

// covers: whatever the other conditions hold for, these hold for too. It errs
// on the side of no.
func (w TriageWhen) covers(o TriageWhen) bool {
	return coversList(w.Modality, o.Modality, strings.EqualFold) &&
		coversList(w.Code, o.Code, func(a, b string) bool { return a == b || means(a, b) }) &&
		coversList(w.BodySite, o.BodySite, func(a, b Word) bool { return containsAny(string(b), []string{string(a)}) }) &&
		coversAges(w.Age, o.Age) &&
		coversList(w.Reason, o.Reason, func(a, b string) bool { return a == b || means(a, b) }) &&
		coversList(w.Priority, o.Priority, func(a, b string) bool { return a == b })
}

// coversList: each of the other's alternatives is covered by one of ours.
func coversList[T any](ours, others []T, covers func(a, b T) bool) bool {
	if len(ours) == 0 {
		return true
	}
	for _, b := range others {
		if !slices.ContainsFunc(ours, func(a T) bool { return covers(a, b) }) {
			return false
		}
	}
	return len(others) > 0
}

func coversAges(ours, others *Ages) bool {
	switch {
	case ours == nil:
		return true
	case others == nil:
		return false
	}
	return ours.From <= others.From && (ours.To == 0 || others.To != 0 && others.To <= ours.To)
}

// triageFaults names the rules that can never decide, because one before them
// does.
func (p Policy) triageFaults() (wrong PolicyErrors) {
	for i, rule := range p.Triage {
		at := element("triage", i)
		if a := rule.When.Age; a != nil && a.To != 0 && a.To < a.From {
			wrong = append(wrong, PolicyFault{Path: at + ".when.age", Text: Phrase("must not end before it begins (%d to %d)", a.From, a.To)})
			continue
		}
		for j, earlier := range p.Triage[:i] {
			if earlier.When.covers(rule.When) {
				wrong = append(wrong, PolicyFault{Path: at, Text: Phrase("is never reached: whatever it holds for, rule %d decides before (%v)", j+1, earlier)})
				break
			}
		}
	}
	return wrong
}

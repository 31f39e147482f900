package fhir

import "slices"

// profileInvariant is a constraint of a profile of ours, as a row: the
// StructureDefinition has the FHIRPath, which a test holds these to.
type profileInvariant struct {
	key, profile string
	expression   string
	at           string // the element below to blame, "" for the whole
	text         string // what to do
	holds        func(n *Node, codes valueSetCodes) bool
}

const (
	vsRequest       = Canonical + "/ValueSet/second-opinion-request"
	v2System        = "'" + v2Identifier + "'"
	agreementSystem = "'" + csAgreement + "'"
)

// profileInvariants is the table of them.
var profileInvariants = []profileInvariant{
	{key: "so-req-1", profile: "second-opinion-request",
		expression: "(category | code).where(memberOf('" + vsRequest + "')).exists() or reasonCode.coding.where(system = '" + v2Referral + "' and code = 'S').exists()",
		text:       "nothing in the order asks for a second opinion: give category or code a code of " + vsRequest,
		holds: func(n *Node, codes valueSetCodes) bool {
			set, _ := codes(vsRequest)
			return meansSecondOpinion(n, set)
		}},
	{key: "so-req-2", profile: "second-opinion-request", at: "identifier",
		expression: "identifier.where(system.exists() and value.exists() and (type.coding.where(system = " + v2System + " and code = 'PLAC').exists() or type.coding.where(system = " + v2System + " and (code = 'FILL' or code = 'ACSN')).empty())).exists()",
		text:       "the order number of the placer is missing: an identifier with system and value, of type PLAC or at least neither FILL nor ACSN",
		holds: func(n *Node, _ valueSetCodes) bool {
			_, err := placerIdentifier(n)
			return err == nil
		}},
	{key: "so-task-1", profile: "second-opinion-task", expression: "focus.exists() or basedOn.exists()",
		text:  "the Task names no order: give focus or basedOn",
		holds: func(n *Node, _ valueSetCodes) bool { return has(n, "focus") || has(n, "basedOn") }},
	{key: "so-rep-1", profile: "second-opinion-report",
		expression: "status in ('final' | 'amended' | 'corrected' | 'appended') implies (resultsInterpreter.exists() and issued.exists() and conclusion.exists() and presentedForm.exists())",
		text:       "a signed report says who read (resultsInterpreter), when it was issued, what it concludes, and has the report as it was signed (presentedForm)",
		holds: func(n *Node, _ valueSetCodes) bool {
			return !oneOf(n.Text("status"), "final", "amended", "corrected", "appended") || hasAll(n, "resultsInterpreter", "issued", "conclusion", "presentedForm")
		}},
	{key: "so-rep-2", profile: "second-opinion-report",
		expression: "status = 'entered-in-error' implies (conclusion.empty() and conclusionCode.empty() and presentedForm.empty() and result.empty())",
		text:       "a report that was entered in error has no content: leave conclusion, conclusionCode, presentedForm and result out",
		holds: func(n *Node, _ valueSetCodes) bool {
			content := []string{"conclusion", "conclusionCode", "presentedForm", "result"}
			return n.Text("status") != "entered-in-error" || !slices.ContainsFunc(content, func(name string) bool { return has(n, name) })
		}},
	{key: "so-cmp-1", profile: "second-opinion-comparison", at: "value", expression: "status = 'entered-in-error' or value.exists()",
		text: "a comparison has its result: add valueCodeableConcept",
		holds: func(n *Node, _ valueSetCodes) bool {
			return n.Text("status") == "entered-in-error" || hasChoice(n, "value")
		}},
	{key: "so-cmp-2", profile: "second-opinion-comparison", at: "note",
		expression: "value.coding.where(system = " + agreementSystem + " and (code = 'minor-difference' or code = 'major-difference')).exists() implies note.exists()",
		text:       "a difference is told in words: add note",
		holds: func(n *Node, _ valueSetCodes) bool {
			value := n.Get("valueCodeableConcept")
			return !hasCode(value, csAgreement, "minor-difference") && !hasCode(value, csAgreement, "major-difference") || has(n, "note")
		}},
}

func hasAll(n *Node, names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !has(n, name) })
}

// profileRule panics for a key that is no row, which a test makes impossible.
func profileRule(key string) profileInvariant {
	for _, rule := range profileInvariants {
		if rule.key == key {
			return rule
		}
	}
	panic("fhir: a profile has a constraint that is no row of profileInvariants: " + key)
}

package fhir

import (
	"slices"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/fault"
)

// An invariant is a rule of FHIR R4 about several elements of one object: a
// constraint of the StructureDefinition of its type. The rules are written in Go
// and not evaluated from their FHIRPath, see docs/decisions/0007-invariants-in-go.md;
// a test holds the table to the published definitions, and another has an example
// that keeps each rule and one that breaks it.
type invariant struct {
	key        string
	on         string // the type, or type.element where the element alone has the rule
	warning    bool   // never refuses; told by $validate
	expression string // as the specification writes it
	at         string // the element below to blame, "" for the whole
	text       string // what to do
	holds      func(n *Node) bool
	breaker    func(n *Node) int // instead of holds, of a rule about each item of at: which breaks it, -1 for none
}

const conditionStatus = "http://terminology.hl7.org/CodeSystem/condition-"

// invariants is the table of them. ele-1, ext-1, dom-2, dom-3, ref-1, txt-1 and
// txt-2 need more than the object they are about and stand in check.go.
func invariants() []invariant {
	return slices.Concat(datatypeInvariants(), resourceInvariants(), bundleInvariants())
}

func datatypeInvariants() []invariant {
	rows := []invariant{
		{key: "att-1", on: "Attachment", expression: "data.empty() or contentType.exists()", at: "contentType",
			text:  "content without its type cannot be read: add contentType",
			holds: func(n *Node) bool { return !has(n, "data") || has(n, "contentType") }},
		{key: "cpt-2", on: "ContactPoint", expression: "value.empty() or system.exists()", at: "system",
			text:  "say in system what the value is: phone, email, ...",
			holds: func(n *Node) bool { return !has(n, "value") || has(n, "system") }},
		{key: "exp-1", on: "Expression", expression: "expression.exists() or reference.exists()",
			text:  "an Expression needs expression or reference: add one",
			holds: func(n *Node) bool { return has(n, "expression") || has(n, "reference") }},
		{key: "per-1", on: "Period", expression: "start.hasValue().not() or end.hasValue().not() or (start <= end)", at: "end",
			text:  "the period ends before it starts: mend one of its ends",
			holds: func(n *Node) bool { return mayFollow(n.Text("start"), n.Text("end")) }},
		{key: "rat-1", on: "Ratio", expression: "(numerator.empty() xor denominator.exists()) and (numerator.exists() or extension.exists())",
			text: "a ratio has both numerator and denominator, or neither and an extension",
			holds: func(n *Node) bool {
				return has(n, "numerator") == has(n, "denominator") && (has(n, "numerator") || has(n, "extension"))
			}},
	}
	for _, typ := range []string{"Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"} {
		rows = append(rows, invariant{key: "qty-3", on: typ, expression: "code.empty() or system.exists()", at: "system",
			text:  "a coded unit needs the system of its code, such as http://unitsofmeasure.org: add system",
			holds: func(n *Node) bool { return !has(n, "code") || has(n, "system") }})
	}
	return slices.Concat(rows, quantityInvariants(), timingInvariants(), triggerInvariants())
}

const ucum = "http://unitsofmeasure.org"

// quantityInvariants: what the kinds of Quantity add to it.
func quantityInvariants() []invariant {
	inUCUM := func(n *Node) bool { return !has(n, "system") || n.Text("system") == ucum }
	coded := func(n *Node) bool { return has(n, "code") || !has(n, "value") }
	positive := func(n *Node) bool { v := n.Text("value"); return v == "" || !strings.HasPrefix(v, "-") && !isZero(v) }
	return []invariant{
		{key: "age-1", on: "Age", expression: "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (value.empty() or value.hasValue().not() or value > 0)",
			text:  "an age is above zero and has the code of a unit of UCUM, in the system " + ucum,
			holds: func(n *Node) bool { return coded(n) && inUCUM(n) && positive(n) }},
		{key: "cnt-3", on: "Count", expression: "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (code.empty() or code = '1') and (value.empty() or value.hasValue().not() or value.toString().contains('.').not())",
			text: "a count is a whole number, with the code 1 in the system " + ucum,
			holds: func(n *Node) bool {
				return coded(n) && inUCUM(n) && (!has(n, "code") || n.Text("code") == "1") && !strings.Contains(n.Text("value"), ".")
			}},
		{key: "dis-1", on: "Distance", expression: "(code.exists() or value.empty()) and (system.empty() or system = %ucum)",
			text:  "a distance has the code of a unit of UCUM, in the system " + ucum,
			holds: func(n *Node) bool { return coded(n) && inUCUM(n) }},
		{key: "drt-1", on: "Duration", expression: "code.exists() implies ((system = %ucum) and value.exists())",
			text:  "a duration with a code has a value, and the system " + ucum,
			holds: func(n *Node) bool { return !has(n, "code") || n.Text("system") == ucum && has(n, "value") }},
		{key: "sqty-1", on: "SimpleQuantity", expression: "comparator.empty()", at: "comparator",
			text:  "this quantity has no comparator: leave it out",
			holds: func(n *Node) bool { return !has(n, "comparator") }},
		{key: "rng-2", on: "Range", expression: "low.empty() or high.empty() or (low <= high)", at: "high",
			text:  "the range ends before it begins: mend one of its ends",
			holds: func(n *Node) bool { return mayBeAbove(n.Get("low"), n.Get("high")) }},
	}
}

// mayBeAbove compares quantities of one unit; others cannot be compared here.
func mayBeAbove(low, high *Node) bool {
	for _, unit := range []string{"system", "code", "unit"} {
		if low.Text(unit) != high.Text(unit) {
			return true
		}
	}
	from, err := strconv.ParseFloat(low.Text("value"), 64)
	until, also := strconv.ParseFloat(high.Text("value"), 64)
	return err != nil || also != nil || from <= until
}

// triggerInvariants are of what a Task may have as input.
func triggerInvariants() []invariant {
	either := func(n *Node) bool { return has(n, "path") != has(n, "searchParam") }
	return []invariant{
		{key: "drq-1", on: "DataRequirement.codeFilter", expression: "path.exists() xor searchParam.exists()", text: "give path or searchParam, not both", holds: either},
		{key: "drq-2", on: "DataRequirement.dateFilter", expression: "path.exists() xor searchParam.exists()", text: "give path or searchParam, not both", holds: either},
		{key: "trd-1", on: "TriggerDefinition", expression: "data.empty() or timing.empty()", at: "data",
			text:  "give data or timing, not both",
			holds: func(n *Node) bool { return !has(n, "data") || !hasChoice(n, "timing") }},
		{key: "trd-2", on: "TriggerDefinition", expression: "condition.exists() implies data.exists()", at: "condition",
			text:  "a condition needs data: add it",
			holds: func(n *Node) bool { return !has(n, "condition") || has(n, "data") }},
		{key: "trd-3", on: "TriggerDefinition", expression: "(type = 'named-event' implies name.exists()) and (type = 'periodic' implies timing.exists()) and (type.startsWith('data-') implies data.exists())", at: "type",
			text: "a named event needs its name, what is periodic timing, and an event of data data",
			holds: func(n *Node) bool {
				typ := n.Text("type")
				return (typ != "named-event" || has(n, "name")) && (typ != "periodic" || hasChoice(n, "timing")) && (!strings.HasPrefix(typ, "data-") || has(n, "data"))
			}},
	}
}

// timingInvariants: a number that has no meaning without another element.
func timingInvariants() []invariant {
	var rows []invariant
	for _, pair := range []struct{ key, name, needs string }{
		{"tim-1", "duration", "durationUnit"}, {"tim-2", "period", "periodUnit"}, {"tim-6", "periodMax", "period"},
		{"tim-7", "durationMax", "duration"}, {"tim-8", "countMax", "count"},
	} {
		rows = append(rows, invariant{key: pair.key, on: "Timing.repeat", expression: pair.name + ".empty() or " + pair.needs + ".exists()", at: pair.needs,
			text:  pair.name + " means nothing without " + pair.needs + ": add it",
			holds: func(n *Node) bool { return !has(n, pair.name) || has(n, pair.needs) }})
	}
	for _, number := range []struct{ key, name string }{{"tim-4", "duration"}, {"tim-5", "period"}} {
		rows = append(rows, invariant{key: number.key, on: "Timing.repeat", expression: number.name + ".exists() implies " + number.name + " >= 0", at: number.name,
			text:  "this is not below zero",
			holds: func(n *Node) bool { return !strings.HasPrefix(n.Text(number.name), "-") || isZero(n.Text(number.name)) }})
	}
	return append(rows,
		invariant{key: "tim-9", on: "Timing.repeat", expression: "offset.empty() or (when.exists() and ((when in ('C' | 'CM' | 'CD' | 'CV')).not()))", at: "offset",
			text: "an offset needs a when that is an event, and no meal as such (C, CM, CD, CV)",
			holds: func(n *Node) bool {
				return !has(n, "offset") || has(n, "when") && !slices.ContainsFunc(n.Each("when"), func(w *Node) bool { return oneOf(w.Text(), "C", "CM", "CD", "CV") })
			}},
		invariant{key: "tim-10", on: "Timing.repeat", expression: "timeOfDay.empty() or when.empty()", at: "when",
			text:  "give timeOfDay or when, not both",
			holds: func(n *Node) bool { return !has(n, "timeOfDay") || !has(n, "when") }})
}

func resourceInvariants() []invariant {
	return []invariant{
		{key: "dom-4", on: "DomainResource", expression: "contained.meta.versionId.empty() and contained.meta.lastUpdated.empty()", at: "contained",
			text: "a contained resource has no version of its own: leave meta.versionId and meta.lastUpdated out",
			holds: func(n *Node) bool {
				return none(n, "contained", "meta", "versionId") && none(n, "contained", "meta", "lastUpdated")
			}},
		{key: "dom-5", on: "DomainResource", expression: "contained.meta.security.empty()", at: "contained",
			text:  "security labels are those of the whole resource: move them there",
			holds: func(n *Node) bool { return none(n, "contained", "meta", "security") }},
		{key: "dom-6", on: "DomainResource", warning: true, expression: "text.`div`.exists()",
			text:  "a resource should have a narrative (text), for readers that do not know its type",
			holds: func(n *Node) bool { return has(n.Get("text"), "div") }},
		{key: "app-1", on: "Appointment.participant", expression: "type.exists() or actor.exists()",
			text:  "a participant needs type or actor: add one",
			holds: func(n *Node) bool { return has(n, "type") || has(n, "actor") }},
		{key: "app-2", on: "Appointment", expression: "start.exists() = end.exists()", at: "end",
			text:  "give both start and end, or neither",
			holds: func(n *Node) bool { return has(n, "start") == has(n, "end") }},
		{key: "app-3", on: "Appointment", expression: "(start.exists() and end.exists()) or (status in ('proposed' | 'cancelled' | 'waitlist'))", at: "start",
			text: "only what is proposed, cancelled or on the waitlist may be without start and end: add both",
			holds: func(n *Node) bool {
				return has(n, "start") && has(n, "end") || oneOf(n.Text("status"), "proposed", "cancelled", "waitlist")
			}},
		{key: "app-4", on: "Appointment", expression: "Appointment.cancelationReason.exists() implies (Appointment.status='no-show' or Appointment.status='cancelled')", at: "cancelationReason",
			text: "only what is cancelled or a no-show has a cancelationReason",
			// The published expression says no-show; the code of the value set is noshow.
			holds: func(n *Node) bool {
				return !has(n, "cancelationReason") || oneOf(n.Text("status"), "no-show", "noshow", "cancelled")
			}},
		{key: "sev-1", on: "AuditEvent.entity", expression: "name.empty() or query.empty()", at: "query",
			text:  "give name or query, not both",
			holds: func(n *Node) bool { return !has(n, "name") || !has(n, "query") }},
		{key: "con-1", on: "Condition.stage", expression: "summary.exists() or assessment.exists()",
			text:  "a stage needs summary or assessment: add one",
			holds: func(n *Node) bool { return has(n, "summary") || has(n, "assessment") }},
		{key: "con-2", on: "Condition.evidence", expression: "code.exists() or detail.exists()",
			text:  "evidence needs code or detail: add one",
			holds: func(n *Node) bool { return has(n, "code") || has(n, "detail") }},
		{key: "con-3", on: "Condition", warning: true, at: "clinicalStatus",
			expression: "clinicalStatus.exists() or verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status' and code = 'entered-in-error').exists() or category.select($this='problem-list-item').empty()",
			text:       "a Condition of the problem list should say its clinicalStatus",
			holds: func(n *Node) bool {
				// As published the last part compares a concept with a string; the official validator reads it as here.
				return has(n, "clinicalStatus") || hasCode(n.Get("verificationStatus"), conditionStatus+"ver-status", "entered-in-error") || !hasCode(n.Get("category"), conditionStatus+"category", "problem-list-item")
			}},
		{key: "con-4", on: "Condition", at: "clinicalStatus",
			expression: "abatement.empty() or clinicalStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-clinical' and (code='resolved' or code='remission' or code='inactive')).exists()",
			text:       "what has abated has the clinicalStatus inactive, resolved or remission: mend it, or leave the abatement out",
			holds: func(n *Node) bool {
				status := n.Get("clinicalStatus")
				return !hasChoice(n, "abatement") || slices.ContainsFunc([]string{"resolved", "remission", "inactive"}, func(code string) bool {
					return hasCode(status, conditionStatus+"clinical", code)
				})
			}},
		{key: "con-5", on: "Condition", at: "clinicalStatus",
			expression: "verificationStatus.coding.where(system='http://terminology.hl7.org/CodeSystem/condition-ver-status' and code='entered-in-error').empty() or clinicalStatus.empty()",
			text:       "what was entered in error has no clinicalStatus: leave it out",
			holds: func(n *Node) bool {
				return !hasCode(n.Get("verificationStatus"), conditionStatus+"ver-status", "entered-in-error") || !has(n, "clinicalStatus")
			}},
		{key: "ppc-1", on: "Consent", expression: "policy.exists() or policyRule.exists()",
			text:  "a Consent needs policy or policyRule: add one",
			holds: func(n *Node) bool { return has(n, "policy") || has(n, "policyRule") }},
		scopeNeedsPatient("ppc-2", "patient-privacy"),
		scopeNeedsPatient("ppc-3", "research"),
		scopeNeedsPatient("ppc-4", "adr"),
		scopeNeedsPatient("ppc-5", "treatment"),
		{key: "grp-1", on: "Group", expression: "member.empty() or (actual = true)", at: "member",
			text:  "only an actual group has members: write actual true, or leave them out",
			holds: func(n *Node) bool { return !has(n, "member") || n.Text("actual") == "true" }},
		{key: "lst-1", on: "List", expression: "emptyReason.empty() or entry.empty()", at: "emptyReason",
			text:  "a list with entries is not empty: leave emptyReason out",
			holds: func(n *Node) bool { return !has(n, "emptyReason") || !has(n, "entry") }},
		{key: "lst-2", on: "List", expression: "mode = 'changes' or entry.deleted.empty()", at: "entry",
			text:  "only a list of mode changes has deleted entries",
			holds: func(n *Node) bool { return n.Text("mode") == "changes" || none(n, "entry", "deleted") }},
		{key: "lst-3", on: "List", expression: "mode = 'working' or entry.date.empty()", at: "entry",
			text:  "only a list of mode working has dates in its entries",
			holds: func(n *Node) bool { return n.Text("mode") == "working" || none(n, "entry", "date") }},
		{key: "mea-0", on: "Measure", warning: true, expression: "name.matches('[A-Z]([A-Za-z0-9_]){0,254}')", at: "name",
			text:  "name should be usable by programs: a capital letter, then letters, digits and underscores",
			holds: func(n *Node) bool { return !has(n, "name") || programName.MatchString(n.Text("name")) }},
		{key: "mea-1", on: "Measure", expression: "group.stratifier.all((code | description | criteria).exists() xor component.exists())", at: "group",
			text: "a stratifier has either components or code, description, criteria of its own",
			holds: func(n *Node) bool {
				return all(n, []string{"group", "stratifier"}, func(s *Node) bool {
					return (has(s, "code") || has(s, "description") || has(s, "criteria")) != has(s, "component")
				})
			}},
		{key: "mrp-1", on: "MeasureReport", expression: "(type != 'data-collection') or group.exists().not()", at: "group",
			text:  "a report of type data-collection has no groups: leave them out",
			holds: func(n *Node) bool { return n.Text("type") != "data-collection" || !has(n, "group") }},
		{key: "mrp-2", on: "MeasureReport", expression: "group.stratifier.stratum.all(value.exists() xor component.exists())", at: "group",
			text: "a stratum has either a value or components: keep or add one of them",
			holds: func(n *Node) bool {
				return all(n, []string{"group", "stratifier", "stratum"}, func(s *Node) bool { return has(s, "value") != has(s, "component") })
			}},
		{key: "obs-3", on: "Observation.referenceRange", expression: "low.exists() or high.exists() or text.exists()",
			text:  "a reference range needs low, high or text: add one",
			holds: func(n *Node) bool { return has(n, "low") || has(n, "high") || has(n, "text") }},
		{key: "obs-6", on: "Observation", expression: "dataAbsentReason.empty() or value.empty()", at: "dataAbsentReason",
			text:  "an Observation with a value has no dataAbsentReason: keep one of them",
			holds: func(n *Node) bool { return !has(n, "dataAbsentReason") || !hasChoice(n, "value") }},
		{key: "obs-7", on: "Observation", expression: "value.empty() or component.code.where(coding.intersect(%resource.code.coding).exists()).empty()", at: "component",
			text: "a component has the code of the Observation itself: its value belongs in only one of the two places",
			holds: func(n *Node) bool {
				return !hasChoice(n, "value") || all(n, []string{"component", "code", "coding"}, func(c *Node) bool {
					return !slices.ContainsFunc(n.Each("code", "coding"), func(own *Node) bool { return len(changed(own, c)) == 0 })
				})
			}},
		{key: "org-1", on: "Organization", expression: "(identifier.count() + name.count()) > 0",
			text:  "an Organization needs a name or an identifier: add one",
			holds: func(n *Node) bool { return has(n, "identifier") || has(n, "name") }},
		{key: "org-2", on: "Organization.address", expression: "where(use = 'home').empty()", at: "use",
			text:  "an organization has no home: use work, or leave it out",
			holds: func(n *Node) bool { return n.Text("use") != "home" }},
		{key: "org-3", on: "Organization.telecom", expression: "where(use = 'home').empty()", at: "use",
			text:  "an organization has no home: use work, or leave it out",
			holds: func(n *Node) bool { return n.Text("use") != "home" }},
		{key: "inv-1", on: "Parameters.parameter",
			expression: "(part.exists() and value.empty() and resource.empty()) or (part.empty() and (value.exists() xor resource.exists()))",
			text:       "a parameter has exactly one of value[x], resource and part",
			holds: func(n *Node) bool {
				count := 0
				for _, there := range []bool{hasChoice(n, "value"), has(n, "resource"), has(n, "part")} {
					if there {
						count++
					}
				}
				return count == 1
			}},
		{key: "pat-1", on: "Patient.contact", expression: "name.exists() or telecom.exists() or address.exists() or organization.exists()",
			text: "a contact needs name, telecom, address or organization: add one",
			holds: func(n *Node) bool {
				return has(n, "name") || has(n, "telecom") || has(n, "address") || has(n, "organization")
			}},
		{key: "prr-1", on: "ServiceRequest", expression: "orderDetail.empty() or code.exists()", at: "orderDetail",
			text:  "orderDetail says more about a code: add code",
			holds: func(n *Node) bool { return !has(n, "orderDetail") || has(n, "code") }},
		{key: "inv-1", on: "Task", expression: "lastModified.exists().not() or authoredOn.exists().not() or lastModified >= authoredOn", at: "lastModified",
			text:  "a Task is not changed before it is written: lastModified is not before authoredOn",
			holds: func(n *Node) bool { return mayFollow(n.Text("authoredOn"), n.Text("lastModified")) }},
	}
}

// scopeNeedsPatient is one of the rules of Consent about a system that is called
// "something" in R4 as published, and so never refuse what anybody sends.
func scopeNeedsPatient(key, code string) invariant {
	return invariant{key: key, on: "Consent", at: "patient",
		expression: "patient.exists() or scope.coding.where(system='something' and code='" + code + "').exists().not()",
		text:       "a Consent of this scope is about a patient: add patient",
		holds:      func(n *Node) bool { return has(n, "patient") || !hasCode(n.Get("scope"), "something", code) }}
}

func bundleInvariants() []invariant {
	is := func(n *Node, types ...string) bool { return oneOf(n.Text("type"), types...) }
	entry := func(n *Node, breaks func(e *Node) bool) int { return slices.IndexFunc(n.Get("entry").Items(), breaks) }
	document := func(n *Node) bool { return n.Text("type") == "document" }
	first := func(n *Node) string {
		if entries := n.Get("entry").Items(); len(entries) > 0 {
			return entries[0].Get("resource").Type()
		}
		return ""
	}
	return []invariant{
		{key: "bdl-1", on: "Bundle", expression: "total.empty() or (type = 'searchset') or (type = 'history')", at: "total",
			text:  "only a searchset or history has a total: leave it out",
			holds: func(n *Node) bool { return !has(n, "total") || is(n, "searchset", "history") }},
		{key: "bdl-2", on: "Bundle", expression: "entry.search.empty() or (type = 'searchset')", at: "entry",
			text: "only a searchset has search in its entries: leave it out",
			breaker: func(n *Node) int {
				return entry(n, func(e *Node) bool { return has(e, "search") && !is(n, "searchset") })
			}},
		{key: "bdl-3", on: "Bundle", expression: "entry.all(request.exists() = (%resource.type = 'batch' or %resource.type = 'transaction' or %resource.type = 'history'))", at: "entry",
			text: "every entry of a batch, transaction or history has a request, no other has",
			breaker: func(n *Node) int {
				return entry(n, func(e *Node) bool { return has(e, "request") != is(n, "batch", "transaction", "history") })
			}},
		{key: "bdl-4", on: "Bundle", expression: "entry.all(response.exists() = (%resource.type = 'batch-response' or %resource.type = 'transaction-response' or %resource.type = 'history'))", at: "entry",
			text: "every entry of a batch-response, transaction-response or history has a response, no other has",
			breaker: func(n *Node) int {
				return entry(n, func(e *Node) bool {
					return has(e, "response") != is(n, "batch-response", "transaction-response", "history")
				})
			}},
		{key: "bdl-5", on: "Bundle.entry", expression: "resource.exists() or request.exists() or response.exists()",
			text:  "an entry needs a resource, a request or a response: add one",
			holds: func(n *Node) bool { return has(n, "resource") || has(n, "request") || has(n, "response") }},
		{key: "bdl-7", on: "Bundle", expression: "(type = 'history') or entry.where(fullUrl.exists()).select(fullUrl&resource.meta.versionId).isDistinct()", at: "entry",
			text: "an entry before this one has the same fullUrl: give each its own",
			breaker: func(n *Node) int {
				if is(n, "history") {
					return -1
				}
				return repeatedEntry(n)
			}},
		{key: "bdl-8", on: "Bundle.entry", expression: "fullUrl.contains('/_history/').not()", at: "fullUrl",
			text:  "a fullUrl names the resource, not a version of it: leave /_history/... out",
			holds: func(n *Node) bool { return !strings.Contains(n.Text("fullUrl"), "/_history/") }},
		{key: "bdl-9", on: "Bundle", expression: "type = 'document' implies (identifier.system.exists() and identifier.value.exists())", at: "identifier",
			text: "a document has an identifier with system and value: add it",
			holds: func(n *Node) bool {
				return !document(n) || has(n.Get("identifier"), "system") && has(n.Get("identifier"), "value")
			}},
		{key: "bdl-10", on: "Bundle", expression: "type = 'document' implies (timestamp.hasValue())", at: "timestamp",
			text:  "a document has a timestamp: add it",
			holds: func(n *Node) bool { return !document(n) || n.Text("timestamp") != "" }},
		{key: "bdl-11", on: "Bundle", expression: "type = 'document' implies entry.first().resource.is(Composition)", at: "entry",
			text:  "a document begins with its Composition: make it the first entry",
			holds: func(n *Node) bool { return !document(n) || first(n) == "Composition" }},
		{key: "bdl-12", on: "Bundle", expression: "type = 'message' implies entry.first().resource.is(MessageHeader)", at: "entry",
			text:  "a message begins with its MessageHeader: make it the first entry",
			holds: func(n *Node) bool { return n.Text("type") != "message" || first(n) == "MessageHeader" }},
	}
}

// repeatedEntry is the first entry with the fullUrl of one before it.
func repeatedEntry(bundle *Node) int {
	seen := map[string]bool{}
	return slices.IndexFunc(bundle.Get("entry").Items(), func(e *Node) bool {
		url := e.Text("fullUrl")
		key := url + " " + e.Text("resource", "meta", "versionId")
		again := url != "" && seen[key]
		seen[key] = true
		return again
	})
}

// broken is the issue of an element that breaks the invariant.
func (v invariant) broken(element string, n *Node) (fault.Issue, bool) {
	if v.at != "" {
		element += "." + v.at
	}
	switch {
	case v.breaker != nil:
		i := v.breaker(n)
		if i < 0 {
			return fault.Issue{}, false
		}
		element += "[" + strconv.Itoa(i) + "]"
	case v.holds(n):
		return fault.Issue{}, false
	}
	return fault.Issue{Kind: fault.Invariant, Expression: element, Text: v.text + " (" + v.key + ")"}, true
}

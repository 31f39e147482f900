package fhir

import "slices"

const conditionStatus = "http://terminology.hl7.org/CodeSystem/condition-"

// domainInvariants are those of all resources that may contain others.
func domainInvariants() []invariant {
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
	}
}

// clinicalInvariants are those of requests, findings and measures.
func clinicalInvariants() []invariant {
	return []invariant{
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

// administrativeInvariants are those of people, places, groups and records.
func administrativeInvariants() []invariant {
	return []invariant{
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
	}
}

package fhir

import (
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/calls"
	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// An actionable finding is an Observation, and a Communication (category alert)
// that lasts until somebody has acknowledged it. Each attempt to tell somebody is
// a Communication of its own, part of that one. FHIR R4 communication.html

// findingPriority says how pressing a finding is in the codes of request-priority.
var findingPriority = map[string]string{"emergent": "stat", "urgent": "asap", "non-critical": "routine"}

// media are the codes of v3-ParticipationMode.
var media = map[string]workflow.Coding{
	"phone":          {System: participationMode, Code: "PHONE", Display: "telephone"},
	"in-person":      {System: participationMode, Code: "FACE", Display: "face-to-face"},
	"secure-message": {System: participationMode, Code: "ONLINEWRIT", Display: "online written"},
}

// findingResources are what is kept of a finding.
func findingResources(src reportSources, m workflow.Matter) []*Node {
	by := m.OpenedBy
	if m.Content.Stands != nil {
		by = &m.Content.Stands.By
	}
	o := findingObservation(src, m.No, m.Category, m.Content.Text, m.OpenedAt, by)
	if m.Content.Uncosigned {
		o.Append("note", Object("text", notCountersigned))
	}
	if m.Withdrawn() {
		takenBack(o)
	}
	out := []*Node{o, alert(src, m)}
	for _, call := range m.Calls {
		out = append(out, callCommunication(src, m, call))
	}
	if m.Withdrawn() {
		if n := withdrawal(src, m); n != nil {
			out = append(out, n)
		}
	}
	if m.Settlement != nil && *m.Settlement == "acknowledged" && !m.Closing.Spoken && m.Closing.Resource == "" {
		slot := matterSlot(m.Kind, m.No)
		n := communication(src, slot+"-acknowledgement", "acknowledgement", "completed", *m.SettledAt)
		n.Set("inResponseTo", []*Node{communicationReference(src.Case, slot)})
		n.Set("sender", src.requesting())
		n.Set("recipient", []*Node{resourceReference(src.Service)})
		n.Set("payload", says("Acknowledged"+byWhom(m.Closing.Person, m.Closing.Role)+"."))
		out = append(out, n)
	}
	return out
}

func byWhom(name, role string) string {
	switch {
	case name == "":
		return ""
	case role == "":
		return " by " + name
	}
	return " by " + name + " (" + role + ")"
}

// requesting is who ordered, nil where nobody said.
func (src reportSources) requesting() *Node { return src.Requester.Clone() }

// findingObservation is a finding as the report has it among its results; before
// the signature it is preliminary.
func findingObservation(src reportSources, no int, category, text string, at time.Time, by *uuid.UUID) *Node {
	o := observationFrame(src, matterSlot(workflow.FindingMatter, no), workflow.Coding{System: csObservation, Code: "actionable-finding", Display: "Actionable finding"})
	o.Set("issued", instant(at))
	o.Set("performer", []*Node{resourceReference(src.Service)})
	if by != nil && src.others[*by] != nil {
		o.Append("performer", src.person(by))
	}
	o.Set("valueString", text)
	c := actionableCodes[category]
	o.Set("component", []*Node{Object(
		"code", concept(csObservation, "actionable-category", "Category of actionable finding"),
		"valueCodeableConcept", concept(c.System, c.Code, c.Display))})
	return o
}

// findingCommunication is the frame of every Communication that tells of a finding,
// part what it is called besides the finding.
func findingCommunication(src reportSources, m workflow.Matter, part, status string, sent time.Time) *Node {
	n := communication(src, matterSlot(m.Kind, m.No)+part, "actionable-finding", status, sent)
	n.Set("category", []*Node{concept(communicationCategory, "alert", "Alert")})
	n.Set("priority", findingPriority[m.Category])
	return n
}

// alert is the Communication that lasts until the finding is acknowledged.
func alert(src reportSources, m workflow.Matter) *Node {
	slot := matterSlot(m.Kind, m.No)
	n := findingCommunication(src, m, "", matterStatus(m, "entered-in-error"), m.OpenedAt)
	n.Append("about", refer("Observation/"+derivedID(src.Case, slot), "Observation", ""))
	n.Set("recipient", []*Node{src.asker("", "")})
	n.Set("sender", src.person(m.OpenedBy))
	if m.Withdrawn() {
		n.Set("statusReason", Object("text", m.Closing.Text))
		n.Set("payload", says("This finding was withdrawn."))
		return n
	}
	if !m.Open() {
		n.Set("received", instant(*m.SettledAt))
	}
	n.Set("payload", says(findingWords(m)))
	return n
}

// findingWords tell a clinician of a finding, and where it is in doubt whose it is.
func findingWords(m workflow.Matter) string {
	text := capitalised(m.Category) + " finding: " + m.Content.Text
	if m.Content.Doubtful {
		text += "\nThe identity is in doubt: the order or its study was corrected since the images were looked at, and they may be of another patient. Make sure whose they are."
	}
	if m.Content.Uncosigned {
		text += "\n" + notCountersigned
	}
	return text
}

// notCountersigned marks what was found by a reader whose report a supervisor signs.
const notCountersigned = "Not countersigned yet: found by a reader whose report a supervisor has still to sign."

// withdrawal tells those who were told of a finding that it was taken back.
func withdrawal(src reportSources, m workflow.Matter) *Node {
	var told []*Node
	for _, call := range m.Calls {
		if call.Reached {
			told = append(told, src.asker(call.Content.Recipient, call.Content.Role))
		}
	}
	if told == nil && m.Closing.Person != "" {
		told = append(told, src.asker(m.Closing.Person, m.Closing.Role))
	}
	if told == nil {
		return nil
	}
	n := findingCommunication(src, m, "-withdrawal", "completed", *m.SettledAt)
	n.Set("inResponseTo", []*Node{communicationReference(src.Case, matterSlot(m.Kind, m.No))})
	n.Set("recipient", told)
	n.Set("sender", src.person(m.SettledBy))
	n.Set("payload", says("Withdrawn: the "+m.Category+" finding of which you were told ("+m.Content.Text+"). "+m.Closing.Text))
	return n
}

// callCommunication is one attempt to tell somebody.
func callCommunication(src reportSources, m workflow.Matter, call workflow.Call) *Node {
	status := "completed"
	switch {
	case m.Withdrawn():
		status = "entered-in-error"
	case !call.Reached:
		status = "not-done"
	}
	n := findingCommunication(src, m, "-call-"+strconv.Itoa(call.No), status, call.MadeAt)
	n.Set("partOf", []*Node{communicationReference(src.Case, matterSlot(m.Kind, m.No))})
	how := media[call.Content.Medium]
	n.Set("medium", []*Node{concept(how.System, how.Code, how.Display)})
	n.Set("recipient", []*Node{src.asker(call.Content.Recipient, call.Content.Role)})
	n.Set("sender", src.person(&call.RecordedBy))
	if !call.Reached {
		n.Set("statusReason", Object("text", "nobody was reached"))
	} else if call.Content.Medium != "secure-message" {
		n.Set("received", instant(call.MadeAt))
	}
	if !m.Withdrawn() {
		n.Set("payload", says(findingWords(m)))
		n.Append("note", Object("text", call.Reported().Told().Words(calls.English, zoneOf(src.Case.Policy))+"."))
	}
	return n
}

// findingLines tell in the report of each finding and whom somebody told of it.
func findingLines(src reportSources) (out []shownSection) {
	for _, f := range findingsTold(src) {
		section := f.Section("en", zoneOf(src.Case.Policy))
		out = append(out, shownSection{section.Heading, section.Text})
	}
	return out
}

// findingsTold are the findings as a letter tells of them.
func findingsTold(src reportSources) (out []letter.Finding) {
	for _, f := range src.Report.Findings {
		finding := letter.Finding{Category: actionableCodes[f.Category].Display, Text: f.Text, StandsBy: readerCalled(src, f.StandsBy), KnownBy: f.AcknowledgedBy}
		if f.FromReport {
			finding.Text = ""
		}
		if f.AcknowledgedAt != nil {
			finding.KnownAt = *f.AcknowledgedAt
		}
		for _, call := range f.Calls {
			finding.Calls = append(finding.Calls, letter.Call{Call: call.Told(), By: readerCalled(src, call.By)})
		}
		out = append(out, finding)
	}
	return out
}

// readerCalled is the name of a reader; "" where it is nobody, or not to be told.
func readerCalled(src reportSources, id *uuid.UUID) string {
	if id == nil || src.others[*id] == nil {
		return ""
	}
	return displayOf(src.others[*id])
}

func capitalised(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

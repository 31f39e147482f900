package fhir

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/overread/overread/workflow"
)

// taskSources is what a Task shows besides the case itself.
type taskSources struct {
	Patient   *Node                      // Reference
	Requester *Node                      // Reference: who ordered
	Encounter *Node                      // Reference
	Owner     *Node                      // Reference: our Organization, from acceptance on the reader
	Question  string                     // of the order, in words: for a reader from whom the order is withheld
	Due       *time.Time                 // when the report is due
	Times     *workflow.Times            // of a case that is signed
	Read      []workflow.Acknowledgement // which versions of the report were read
	Matters   []workflow.Matter          // of a case that is revealed: what is open besides
	Unsent    []workflow.Undelivered     // what does not reach an EHR
	Reason    string                     // why the case ended or rests, for the placer
	At        time.Time
}

// caseTask brings a Task up to date with its case. prior is the Task as it
// stands, nil for a new one of our own; of a Task that the placer made (a
// Coordination Task) everything that is not ours to say is kept.
//
// The state machine speaks through the Task, never through the placer's
// ServiceRequest (HL7 Clinical Order Workflows, "Task at Fulfiller"). focus
// and basedOn both name the order, because the guide's text says the one and
// its profile the other.
func caseTask(prior *Node, c workflow.Case, src taskSources) *Node {
	t := prior.Clone()
	if t == nil {
		t = newTask(c)
	}
	info := c.State.Info()
	identify(t, "", sidCase, c.CaseID.String())
	identify(t, "FILL", sidFiller, c.Number())
	t.Set("status", info.Task)
	t.Set("statusReason", statusReason(t, c, src))
	t.Set("businessStatus", concept(csCaseState, string(c.State), info.Display))
	say := setIfAbsent
	if isOwnTask(t, c) { // it follows its order; a placer's says these itself
		say = setIfSaid
		t.Set("priority", c.Priority)
		if src.Question != "" {
			t.Set("description", src.Question)
		}
	}
	say(t, "for", src.Patient)
	say(t, "encounter", src.Encounter)
	say(t, "requester", src.Requester)
	t.Set("owner", src.Owner)
	t.Set("lastModified", instant(src.At))
	if authored := t.Text("authoredOn"); !mayFollow(authored, instant(src.At)) {
		t.Set("lastModified", authored) // the placer's clock is ahead of ours (invariant inv-1)
	}
	t.Set("restriction", restriction(t, src.Due))
	t.Set("executionPeriod", executionPeriod(c))
	t.Set("output", slices.Concat(taskOutput(c, src.Times), afterSigning(c, src), undelivered(c, src.Unsent)))
	return t
}

// isOwnTask tells a Task that we made from a placer's. Ours was authored in the
// moment in which its case was opened, which no client can know beforehand, or
// write later (placersElements).
func isOwnTask(t *Node, c workflow.Case) bool { return t.Text("authoredOn") == instant(c.OpenedAt) }

func newTask(c workflow.Case) *Node {
	order := orderReference(c)
	return Object(
		"resourceType", "Task",
		"id", c.TaskID,
		"identifier", []*Node{Object("system", sidCase, "value", c.CaseID.String())},
		"basedOn", []*Node{order},
		"status", "requested",
		"intent", "order",
		"priority", c.Priority,
		"code", concept(taskCode, "fulfill", "Fulfill the focal request"),
		"focus", order.Clone(),
		"authoredOn", instant(c.OpenedAt),
	)
}

// statusReason says in one concept what is waited for, or why the case ended.
// The reasons why readers are not eligible are about readers and stay here.
func statusReason(t *Node, c workflow.Case, src taskSources) *Node {
	switch c.State {
	case workflow.IntakeReview, workflow.AwaitingInformation, workflow.AwaitingImages:
		return findingsReason(c.Findings)
	case workflow.OnHold:
		if c.Correction != nil {
			return findingsReason(c.Findings)
		}
	case workflow.Arbitration, workflow.Adjudication:
		if c.NoThird() {
			return concept(csFinding, "no-third-reader", workflow.Phrase("No eligible third reader is available at present; the reading service is looking for one"))
		}
	case workflow.Unassignable:
		return concept(csFinding, "nobody-eligible", workflow.Phrase("No eligible reader is available at present; the reading service is looking for one"))
	}
	if c.State == workflow.OnHold || hasEnded(c) {
		if src.Reason == "" {
			return t.Get("statusReason")
		}
		return Object("text", src.Reason)
	}
	return nil
}

func findingsReason(findings []workflow.Finding) *Node {
	if len(findings) == 0 {
		return nil
	}
	var texts []string
	for _, f := range findings {
		texts = append(texts, f.Text)
	}
	return Object("coding", []*Node{coding(csFinding, findings[0].Code, "")}, "text", strings.Join(texts, "; "))
}

// taskOutput lists what is to be mended, one entry each, the report, and how
// long it took.
func taskOutput(c workflow.Case, times *workflow.Times) []*Node {
	var out []*Node
	for _, f := range findingsNow(c) {
		out = append(out, Object("type", concept(csOutput, "finding", "What the intake checks found"), "valueCodeableConcept", findingConcept(f)))
	}
	if c.Exam.MoreImages() {
		out = append(out, Object(
			"type", concept(csOutput, "finding", "What the intake checks found"),
			"valueCodeableConcept", Object("coding", []*Node{coding(csFinding, workflow.StudyLarger, "")},
				"text", moreImages(c))))
	}
	if len(c.Exam.Priors) > 0 && c.StudyID != nil { // else there is one study, and it is read
		out = append(out, outputReference("study-to-read", "The study that is read", "ImagingStudy/"+*c.StudyID))
		for _, prior := range c.Exam.Priors {
			out = append(out, outputReference("prior", "A study that is only compared", prior))
		}
	}
	if b := c.Exam.Broadened; b != nil {
		out = append(out, Object("type", concept(csOutput, "broadened", "Read more broadly than asked for"), "valueString", broadenedText(c.Exam, c.Unsettled())))
	}
	if c.ReportNo > 0 && c.ReportID != nil {
		out = append(out, outputReference("report", "Second-opinion report", "DiagnosticReport/"+*c.ReportID))
	}
	if times != nil {
		out = append(out, took("gross-time", "Gross time", times.Gross), took("net-time", "Net time", times.Net))
		for _, party := range workflow.Parties {
			if waited := times.Waited[party]; waited > 0 {
				out = append(out, took("waited-for-"+string(party), "Waited for the "+string(party), waited))
			}
		}
	}
	return out
}

func outputReference(code, display, to string) *Node {
	return Object("type", concept(csOutput, code, display), "valueReference", refer(to, parseReference(to).typ, ""))
}

// afterSigning are the outputs that come once there is a report: who has read
// which version, what somebody must be told of, and that the study is another now.
func afterSigning(c workflow.Case, src taskSources) (out []*Node) {
	for _, a := range src.Read {
		out = append(out, Object("type", concept(csOutput, "acknowledged", "Acknowledged"),
			"valueString", fmt.Sprintf("Version %d%s on %s", a.ReportNo, byWhom(a.Content.Person, a.Content.Role), a.AcknowledgedAt.In(zoneOf(c.Policy)).Format("2 January 2006 at 15:04 MST"))))
	}
	if text := unread(c, src.Read); text != "" {
		out = append(out, Object("type", concept(csOutput, "unread-version", "A newer version of the report waits to be read"), "valueString", text))
	}
	for _, m := range src.Matters {
		if m.Open() && m.Kind != workflow.VerificationMatter && !c.WaitsForSignature(m) {
			ref := communicationReference(c, matterSlot(m.Kind, m.No))
			if m.Content.Resource != "" {
				ref = refer(m.Content.Resource, "Communication", "")
			}
			out = append(out, Object("type", concept(csOutput, "open-"+string(m.Kind), openMatters[m.Kind]), "valueReference", ref))
		}
	}
	if m, ok := openStudyChange(src.Matters); ok {
		out = append(out, Object("type", concept(csOutput, verificationTopic(m), topics[verificationTopic(m)]),
			"valueString", capitalised(m.Content.Words())+"; "+asItWas(m)+"."))
	}
	return out
}

var openMatters = map[workflow.MatterKind]string{
	workflow.FindingMatter:  "Finding that waits to be acknowledged",
	workflow.QuestionMatter: "Question that waits to be answered",
}

// took is a length of time as an output, in minutes.
func took(code, display string, d time.Duration) *Node {
	return Object("type", concept(csOutput, code, display),
		"valueDuration", Object("value", Number(strconv.FormatInt(int64(d.Round(time.Minute)/time.Minute), 10)), "unit", "min", "system", "http://unitsofmeasure.org", "code", "min"))
}

// restriction says when the report is due, while it is; the rest of it is the
// placer's.
func restriction(t *Node, due *time.Time) *Node {
	r := t.Get("restriction").Clone()
	if r == nil {
		r = Object()
	}
	r.Remove("period")
	if due != nil {
		r.Set("period", Object("end", instant(*due)))
	}
	if len(r.Names()) == 0 {
		return nil
	}
	return r
}

func executionPeriod(c workflow.Case) *Node {
	if c.AcceptedAt == nil || c.Unsettled() { // of two readers, neither is to know who began
		return nil
	}
	p := Object("start", instant(*c.AcceptedAt))
	if c.FinalAt != nil {
		p.Set("end", instant(*c.FinalAt))
	}
	return p
}

// refer is a Reference; typ and display may be "".
func refer(ref, typ, display string) *Node {
	return Object("reference", ref, "type", typ, "display", display)
}

// identify adds an identifier of ours unless it is there. kind is a code of
// v2-0203, or "".
func identify(n *Node, kind, system, value string) {
	for _, id := range n.Each("identifier") {
		if id.Text("system") == system && id.Text("value") == value {
			return
		}
	}
	id := Object("system", system, "value", value)
	if kind != "" {
		id = Object("type", Object("coding", []*Node{coding(v2Identifier, kind, "")}), "system", system, "value", value)
	}
	n.Append("identifier", id)
}

func setIfSaid(t *Node, name string, value *Node) {
	if value != nil {
		t.Set(name, value)
	}
}

func setIfAbsent(n *Node, name string, v *Node) {
	if n.Get(name) == nil && v != nil {
		n.Set(name, v)
	}
}

// broadenedText says who may read a case besides those who should, or who has it
// and is none of them. It names nobody.
func broadenedText(e workflow.Exam, unsettled bool) string {
	if e.Downgrade != "" && !unsettled { // two who read it are not to know what the other is
		return e.Downgrade
	}
	who := "every radiologist of the modality and the patient's age"
	if e.Broadened.To == workflow.ToRelated {
		who = "radiologists of " + strings.Join(e.Broadened.Related, " or ") + " too"
	}
	return "Open to " + who + ", where " + e.Subspecialty + " is asked for: " + e.Broadened.Why
}

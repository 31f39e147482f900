package fhir

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// publishMatters keeps the resources of what is open on a case besides its state,
// and queues them for the EHR: an Observation of a finding, and Communications of
// whom somebody told, of questions and answers, and of a study that changed.
//
// Under a blinded protocol they are withheld from readers until the reveal, as
// the original is: who reads next must not know what the one before has found.
func (s *Server) publishMatters(ctx context.Context, tx pgx.Tx, ch workflow.Change) error {
	if ch.Matters == nil {
		return nil
	}
	src, err := s.matterSources(ctx, tx, ch)
	if err != nil {
		return err
	}
	var all []*Node
	for _, m := range ch.Matters {
		if ch.Case.WaitsForSignature(m) {
			continue
		}
		made, err := s.matterResources(ctx, tx, src, m)
		if err != nil {
			return err
		}
		for _, n := range made {
			if _, err := s.putOf(ctx, tx, ch.Case, ch.Actor, n); err != nil {
				return err
			}
			if err := s.withholdOwn(ctx, tx, ch.Case, n); err != nil {
				return err
			}
		}
		all = append(all, made...)
	}
	if err := s.publishPreliminary(ctx, tx, ch, src, all); err != nil {
		return err
	}
	if ch.Event == "ask" || ch.Event == "correct-question" || ch.Case.SampleOf != nil { // the EHR has just said it itself, or knows nothing of a second read for quality
		return nil
	}
	return s.deliverMessage(ctx, tx, src, all)
}

// withholdOwn withholds what tells of a blinded reading from other readers: of
// this case until its reveal, and of the other cases of the study. It is noted after
// the reveal too: whoever reads next when this reader has released the case must not
// know it, until they reveal.
func (s *Server) withholdOwn(ctx context.Context, tx pgx.Tx, c workflow.Case, n *Node) error {
	if c.Protocol == workflow.Blinded {
		w := withheld{}
		w.add(n.Type(), n.Text("id"))
		if err := w.note(ctx, tx, c); err != nil {
			return err
		}
	}
	return s.withholdTeller(ctx, tx, c.TenantID, n)
}

// matterSources are what the resources are made from. Before the reveal there is
// nothing of the original in them.
func (s *Server) matterSources(ctx context.Context, tx pgx.Tx, ch workflow.Change) (reportSources, error) {
	src, err := s.reportSources(ctx, tx, ch.Case)
	if err != nil {
		return src, err
	}
	if ch.Case.RevealedAt == nil {
		src.Original, src.OriginalReport = nil, nil
	}
	src.Report.Status = "preliminary"
	if ch.Case.ReportNo > 0 {
		src.Report.Status = *ch.Case.ReportStatus
	}
	return src, nil
}

// matterResources are what is kept of a matter.
func (s *Server) matterResources(ctx context.Context, tx pgx.Tx, src reportSources, m workflow.Matter) ([]*Node, error) {
	who := []*uuid.UUID{m.OpenedBy, m.SettledBy}
	if m.Content.Stands != nil {
		who = append(who, &m.Content.Stands.By)
	}
	for i := range m.Calls {
		who = append(who, &m.Calls[i].RecordedBy)
	}
	if err := s.loadPeople(ctx, tx, &src, who...); err != nil {
		return nil, err
	}
	switch m.Kind {
	case workflow.FindingMatter:
		return findingResources(src, m), nil
	case workflow.QuestionMatter:
		return questionResources(src, m), nil
	}
	return []*Node{studyChangeCommunication(src, m)}, nil
}

// loadPeople finds the readers among these; others, such as the desk, speak for
// the service.
func (s *Server) loadPeople(ctx context.Context, tx pgx.Tx, src *reportSources, ids ...*uuid.UUID) error {
	if src.others == nil {
		src.others = map[uuid.UUID]*Node{}
	}
	for _, id := range ids {
		if id == nil || src.others[*id] != nil {
			continue
		}
		var reads bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM reader WHERE reader_id = $1)`, *id).Scan(&reads); err != nil {
			return fmt.Errorf("who has told: %w", err)
		}
		if !reads {
			continue
		}
		n, err := s.practitioner(ctx, tx, src.Case.TenantID, id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
		if n != nil {
			src.others[*id] = n
		}
	}
	return nil
}

// person refers to somebody of the service: a reader, else the service.
func (src reportSources) person(id *uuid.UUID) *Node {
	if id != nil && src.others[*id] != nil {
		return resourceReference(src.others[*id])
	}
	return resourceReference(src.Service)
}

// asker is who asked or is told, by name, else who ordered.
func (src reportSources) asker(name, role string) *Node {
	switch {
	case name != "" && role != "":
		return Object("display", name+" ("+role+")")
	case name != "":
		return Object("display", name)
	case src.Requester != nil:
		return src.Requester.Clone()
	}
	return Object("display", "the requester")
}

func matterSlot(kind workflow.MatterKind, no int) string {
	return string(kind) + "-" + strconv.Itoa(no)
}

// communication is the frame of every Communication of a matter, slot its name
// within the case.
func communication(src reportSources, slot, topic, status string, sent time.Time) *Node {
	c := src.Case
	about := []*Node{refer("Task/"+c.TaskID, "Task", "")}
	if c.ReportID != nil {
		about = append(about, refer("DiagnosticReport/"+*c.ReportID, "DiagnosticReport", ""))
	}
	return Object(
		"resourceType", "Communication",
		"id", derivedID(c, slot),
		"identifier", []*Node{Object("system", sidCommunication, "value", c.CaseID.String()+"/"+slot)},
		"basedOn", []*Node{src.Order.Clone()},
		"status", status,
		"category", []*Node{concept(communicationCategory, "notification", "Notification")},
		"subject", src.Subject.Clone(),
		"topic", concept(csTopic, topic, topics[topic]),
		"about", about,
		"encounter", src.Encounter.Clone(),
		"sent", instant(sent),
	)
}

// matterStatus is that of the Communication that lasts as long as its matter, with
// the word for one that was withdrawn (FHIR R4 valueset-event-status.html).
func matterStatus(m workflow.Matter, withdrawn string) string {
	switch {
	case m.Withdrawn():
		return withdrawn
	case m.Open():
		return "in-progress"
	}
	return "completed"
}

// topics are what a Communication of the service may be about.
var topics = map[string]string{
	"actionable-finding": "Actionable finding",
	"acknowledgement":    "Acknowledgement",
	"question":           "Question about the report",
	"answer":             "Answer to a question",
	"study-changed":      "The study changed after the report",
	"same-reader":        "Who read this second opinion read the study first",
	"first-report":       "The first report came after the second opinion",
	"original-changed":   "The first report was changed after the second opinion",
	"newer-version":      "A newer version of the report must be read",
}

func says(text string) []*Node { return []*Node{Object("contentString", text)} }

func communicationReference(c workflow.Case, slot string) *Node {
	return refer("Communication/"+derivedID(c, slot), "Communication", "")
}

// questionResources are a question, unless the EHR keeps its own of it, and its
// answer.
func questionResources(src reportSources, m workflow.Matter) []*Node {
	slot := matterSlot(m.Kind, m.No)
	asked := communicationReference(src.Case, slot)
	var out []*Node
	if m.Content.Resource != "" {
		asked = refer(m.Content.Resource, "Communication", "")
	} else {
		q := communication(src, slot, "question", matterStatus(m, "stopped"), m.OpenedAt)
		if m.Withdrawn() {
			q.Set("statusReason", Object("text", m.Closing.Text))
		}
		q.Set("recipient", []*Node{resourceReference(src.Service)})
		if m.Content.Person != "" {
			q.Set("sender", src.asker("", "")) // FHIR R4 Communication.sender: who, where the EHR has said it
			q.Append("note", Object("text", "Asked by "+m.Content.Person))
		}
		q.Set("payload", says(m.Content.Text))
		if m.Content.Follows > 0 {
			q.Set("inResponseTo", []*Node{communicationReference(src.Case, matterSlot(m.Kind, m.Content.Follows)+"-answer")})
		}
		out = append(out, q)
	}
	if m.Settlement != nil && *m.Settlement == "answered" {
		a := communication(src, slot+"-answer", "answer", "completed", *m.SettledAt)
		a.Set("inResponseTo", []*Node{asked})
		a.Set("recipient", []*Node{src.asker(m.Content.Person, "")})
		a.Set("sender", src.person(m.SettledBy))
		a.Set("payload", says(m.Closing.Text))
		a.Append("note", Object("text", "This answer is an addendum of the report: version "+strconv.Itoa(*m.ReportNo)+"."))
		out = append(out, a)
	}
	return out
}

// verificationTopic: that an opinion is not independent weighs more than what has
// changed besides.
func verificationTopic(m workflow.Matter) string {
	if m.Content.SameReader {
		return "same-reader"
	}
	if m.Content.Astray() {
		return "study-changed"
	}
	if m.Content.FirstReport && !m.Content.Ordered {
		return "first-report"
	}
	if (m.Content.Rewritten || m.Content.Retracted) && !m.Content.Ordered {
		return "original-changed"
	}
	return "study-changed"
}

func whoLooks(m workflow.Matter) string {
	if m.Content.SameReader {
		return "an independent reader"
	}
	return "who signed it"
}

// studyChangeCommunication tells who ordered that the report is of the study as
// it was, or of who read it first.
func studyChangeCommunication(src reportSources, m workflow.Matter) *Node {
	since := capitalised(asItWas(m)) + "; " + whoLooks(m) + " has been asked to look at it again."
	switch {
	case m.Withdrawn():
		since = "The reading service finds that the report need not be looked at again: " + m.Closing.Text
	case !m.Open() && *m.Settlement == "valid":
		since = capitalised(whoLooks(m)) + " has looked at it: the report stands as it is (version " + strconv.Itoa(*m.ReportNo) + ")."
	case !m.Open():
		since = "The report was amended (version " + strconv.Itoa(*m.ReportNo) + ")."
	}
	n := communication(src, matterSlot(m.Kind, m.No), verificationTopic(m), matterStatus(m, "stopped"), m.OpenedAt)
	if src.Study != nil {
		n.Append("about", src.Study.Clone())
	}
	n.Set("recipient", []*Node{src.asker("", "")})
	n.Set("sender", resourceReference(src.Service))
	if f := m.Content.Independent; f != nil {
		since = "Who read it did not read the study first, as the reading service finds: " + strings.TrimRight(f.Reason, ". ") + ". " + since
	}
	n.Set("payload", says(capitalised(m.Content.Words())+". "+since))
	return n
}

// asItWas says what a report is of that nobody has looked at again.
func asItWas(m workflow.Matter) string {
	switch {
	case m.Content.Astray():
		return "the report may be of another patient, and does not follow by itself; is it of another patient, ask the medical director to declare it an error, and send a new order for the right one"
	case m.Content.Parted:
		return "the report stands in the record of another patient until it is signed anew"
	case m.Content.SameReader:
		return "the report is no independent opinion"
	case m.Content.Ordered:
		return "the report is of what was ordered before, and may be of the wrong side"
	case m.Content.FirstReport:
		return "the report does not say how the two differ"
	case m.Content.Retracted:
		return "what the report says of how the two differ does not hold"
	case m.Content.Rewritten:
		return "the report says how it differs from what the first one said before"
	}
	return "the report is of the study as it was before"
}

// openStudyChange is the change of the study that nobody has looked at, of which
// the Task warns.
func openStudyChange(all []workflow.Matter) (workflow.Matter, bool) {
	i := slices.IndexFunc(all, func(m workflow.Matter) bool { return m.Kind == workflow.VerificationMatter && m.Open() })
	if i < 0 {
		return workflow.Matter{}, false
	}
	return all[i], true
}

package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// Reading is the case of a Task before one who reads, decides or countersigns. All of
// it is looked up as they would over the API: what blinding withholds from them there
// is not here, and one AuditEvent says what was shown.
func (s *Server) Reading(ctx context.Context, actor access.Actor, task string, asked Asked) (screen.Reading, error) {
	if !actor.ReadsHere() {
		return screen.Reading{}, fault.New(fault.Forbidden, "This page is for those who read.")
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.Reading, error) {
		c, err := s.caseSeen(ctx, tx, actor, task)
		if err != nil {
			return screen.Reading{}, err
		}
		p := &readingPage{s: s, tx: tx, actor: actor, c: c, shown: []string{"Task/" + task}}
		for _, step := range []func(context.Context) error{p.theCase, p.theOrder, p.thePatient, p.theStudy, p.thePriors, p.theOpinions, p.theForm, p.theOriginal, p.theReport, p.theMatters} {
			if err := step(ctx); err != nil {
				return screen.Reading{}, err
			}
		}
		return p.page, s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Target: "Task/" + task, Patient: casePatient(c),
			Query: "page of the case: " + strings.Join(p.shown, ", "), RequestID: asked.RequestID, Client: asked.Client})
	})
}

// readingPage is a page as it is put together.
type readingPage struct {
	s     *Server
	tx    pgx.Tx
	actor access.Actor
	c     workflow.Case
	task  *Node
	order *Node // nil where it is not here, or withheld
	study string
	page  screen.Reading
	shown []string // for the audit

	offers *workflow.Offers
	grade  *workflow.GivenGrade // the one in force, nil before the first
}

// look is a resource, nil where there is none for this person.
func (p *readingPage) look(ctx context.Context, typ string, id *string) (*Node, error) {
	if id == nil || !idPattern.MatchString(*id) || !p.actor.May(typ, access.Read) {
		return nil, nil
	}
	found, err := p.s.store.Visible(ctx, p.tx, p.actor, typ, *id)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) || err == nil && found.Deleted {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p.shown = append(p.shown, found.Reference())
	return Parse(found.Body, Limits{})
}

func (p *readingPage) theCase(ctx context.Context) error {
	c, page := p.c, &p.page
	*page = screen.Reading{
		Task: c.TaskID, Order: c.PlacerValue, Number: c.Number(), Exam: examName(c.Exam), Priority: c.Priority, State: c.State, Opened: c.OpenedAt, Zone: zoneOf(c.Policy), Now: p.s.now(),
		Blinded: c.Protocol == workflow.Blinded, Scored: c.Scored(), Reading: c.Reading, Returned: c.ReturnedAt != nil,
	}
	page.Hidden = page.Blinded && c.Concealed() && c.FinalAt == nil
	page.Alone = !page.Hidden && c.Comparable != nil && !*c.Comparable
	page.Mine = c.LedBy(p.actor.ID) || c.DecidedBy(p.actor.ID) || c.State == workflow.Conferring && c.IsOneOfTwo(p.actor.ID)
	page.OwnFirst = c.Policy.BlindAdjudication && p.actor.Role == access.Adjudicator
	if err := p.tx.QueryRow(ctx, `SELECT min(deadline_at) FROM agenda WHERE case_id = $1 AND due_at < 'infinity'`, c.CaseID).Scan(&page.Due); err != nil {
		return fmt.Errorf("due: %w", err)
	}
	found, err := p.s.store.Visible(ctx, p.tx, p.actor, "Task", c.TaskID)
	if err != nil {
		return err
	}
	page.Version = found.Version
	if p.task, err = Parse(found.Body, Limits{}); err != nil {
		return err
	}
	if p.grade, err = workflow.LastGradeTx(ctx, p.tx, c.CaseID); err != nil {
		return err
	}
	page.Graded = p.grade != nil && p.grade.GradedBy == p.actor.ID
	p.offers = workflow.OffersTx(p.tx, p.actor, c, p.s.now())
	if page.May, err = p.offers.All(ctx); err != nil {
		return err
	}
	notices, err := workflow.NoticesOfTx(ctx, p.tx, p.actor, c.CaseID)
	for _, n := range notices {
		page.Notices = append(page.Notices, n.Words())
	}
	return err
}

// theOrder: its question, and what it tells of before. Where the order itself is
// withheld, because it tells of the original, the Task has the question.
func (p *readingPage) theOrder(ctx context.Context) (err error) {
	if p.order, err = p.look(ctx, "ServiceRequest", p.c.ServiceRequestID); err != nil {
		return err
	}
	if p.order == nil {
		p.page.Question = questionOf(p.task)
		if p.page.Question == "" {
			p.page.Question = p.task.Text("description")
		}
		return nil
	}
	var asked []string
	for _, reason := range p.order.Each("reasonCode") {
		if text := conceptText(reason); text != "" && (reason.Text("text") != "" || !hasCode(reason, v2Referral, "S")) {
			asked = append(asked, text)
		}
	}
	p.page.Question = strings.Join(asked, "\n")
	for _, note := range p.order.Each("note", "text") {
		p.page.History = append(p.page.History, note.Text())
	}
	for _, ref := range append(p.order.Each("supportingInfo"), p.order.Each("reasonReference")...) {
		typ, id, ok := strings.Cut(ref.Text("reference"), "/")
		if !ok || !slices.Contains([]string{"Condition", "Procedure", "Observation", "AllergyIntolerance", "MedicationStatement"}, typ) {
			continue
		}
		n, err := p.look(ctx, typ, &id)
		if err != nil {
			return err
		}
		if n != nil {
			p.page.History = append(p.page.History, strings.TrimSpace(conceptText(n.Get("code"))+" "+valueText(n)))
		}
	}
	return nil
}

func (p *readingPage) thePatient(ctx context.Context) error {
	patient, err := p.look(ctx, "Patient", p.c.PatientID)
	if patient == nil || err != nil {
		return err
	}
	for _, line := range patientLines(patient, "en") {
		if line.Label == "Born" {
			line.Value = dayWritten(patient.Text("birthDate"))
		}
		if line.Value != "" {
			p.page.Patient = append(p.page.Patient, screen.Line{Label: line.Label, Value: line.Value})
		}
	}
	return nil
}

// theOpinions: those that are sealed and that they may see, and their own draft.
func (p *readingPage) theOpinions(ctx context.Context) error {
	sealed, err := workflow.ReadingsTx(ctx, p.tx, p.actor, p.c)
	if err != nil {
		return err
	}
	closed := map[int]bool{}
	third := false
	for i, o := range sealed {
		closed[o.OpinionNo] = true
		own := o.ReaderID == p.actor.ID
		third = third || own && o.Status == "locked" && (o.Part == workflow.PartArbitration || o.Part == workflow.PartAdjudication)
		if o.Status != "locked" {
			continue
		}
		row := screen.Sealed{No: i + 1, Part: o.Part, Own: own, InForce: p.c.OpinionNo != nil && *p.c.OpinionNo == o.OpinionNo,
			At: o.SealedAt.In(p.page.Zone), SHA256: o.SHA256, Content: o.Content, Findings: o.Content.AllFindings()}
		if i > 0 && (o.Part == workflow.PartCosign || o.Part == workflow.PartRevision) {
			row.Changed = workflow.ChangedSections(sealed[i-1].Content, o.Content)
		}
		p.page.Sealed = append(p.page.Sealed, row)
	}
	p.page.Stage = stageOf(p.c, p.actor, third)
	p.theTwo()
	p.theGrade()
	if err := p.theNext(ctx); err != nil {
		return err
	}
	if !p.page.May["draft"] {
		return nil
	}
	drafts, err := workflow.DraftsTx(ctx, p.tx, p.c.CaseID, p.actor.ID)
	if err != nil || len(drafts) == 0 || closed[drafts[0].OpinionNo] {
		return err
	}
	last, err := workflow.DraftTx(ctx, p.tx, p.c.CaseID, p.actor.ID, drafts[0].OpinionNo, drafts[0].DraftNo)
	if err == nil {
		at := last.SavedAt.In(p.page.Zone)
		p.page.Follows, p.page.SavedAt, p.page.Draft = last.DraftNo, &at, last.Content
	}
	return err
}

// theGrade: what they graded themselves, what the reader graded to the third who decides
// after them, without the comment for quality; and to who signs what the report will say of it.
func (p *readingPage) theGrade() {
	if p.grade == nil {
		return
	}
	content := p.grade.Content
	if !p.page.Graded {
		content.Comment = ""
	}
	deciding := p.page.Stage == screen.Deciding
	if deciding || p.page.Stage == screen.Comparing && p.page.Graded {
		p.page.Grade = &content
	}
	if p.page.Stage == screen.Comparing && p.page.Graded || deciding || p.page.Stage == screen.Cosigning {
		p.page.Says = &screen.Says{Level: p.grade.Level, Difference: content.Difference}
	}
}

// nextSteps are what one goes on by at a stage, where it is not barred.
var nextSteps = map[screen.Stage]workflow.Event{
	screen.Claimable: "claim", screen.Locked: "reveal", screen.Comparing: "grade", screen.Conferring: "concur",
	screen.Arbitrating: "arbitrate", screen.Deciding: "adjudicate", screen.Cosigning: "sign", screen.Amending: "sign",
}

// theNext says why they cannot go on, where the rules would refuse it.
func (p *readingPage) theNext(ctx context.Context) error {
	next := nextSteps[p.page.Stage]
	switch {
	case p.page.Stage == screen.Writing && p.c.State == workflow.Accepted:
		next = "start"
	case p.page.Stage == screen.Writing:
		next = "lock"
	case p.page.Stage == screen.Comparing && p.page.Graded:
		next = "sign"
	case next == "":
		return nil
	}
	why, err := p.offers.May(ctx, next, 0)
	if why != nil {
		p.page.Barred = why.Issues[0].Text
	}
	return err
}

// stageOf is which page of a case somebody has before them. locked tells that they
// have sealed an opinion of their own as the third reader.
func stageOf(c workflow.Case, actor access.Actor, locked bool) screen.Stage {
	leads := c.LedBy(actor.ID)
	switch c.State {
	case workflow.Ready:
		if actor.Role == access.Reader {
			return screen.Claimable
		}
	case workflow.Offered:
		if c.OfferedTo != nil && *c.OfferedTo == actor.ID && actor.Role == access.Reader {
			return screen.Claimable
		}
	case workflow.Accepted, workflow.Reading:
		if leads {
			return screen.Writing
		}
	case workflow.Locked:
		if leads {
			return screen.Locked
		}
	case workflow.Comparing:
		if leads {
			return screen.Comparing
		}
	case workflow.Conferring:
		if c.IsOneOfTwo(actor.ID) && actor.Role == access.Reader {
			return screen.Conferring
		}
	case workflow.Arbitration, workflow.Adjudication:
		switch {
		case actor.Role != access.Adjudicator || c.AdjudicatorID != nil && !c.DecidedBy(actor.ID):
		case c.AdjudicatorID == nil:
			return screen.Claimable
		case c.Policy.BlindAdjudication && !locked:
			return screen.Writing
		case c.State == workflow.Arbitration:
			return screen.Arbitrating
		default:
			return screen.Deciding
		}
	case workflow.AwaitingCosign:
		if actor.Role == access.Supervisor {
			return screen.Cosigning
		}
	case workflow.Amending:
		return screen.Amending
	case workflow.Final, workflow.Closed:
		return screen.Signed
	}
	return screen.Waiting
}

// theReport is the signed one, where they may read it, and what its last version changed.
func (p *readingPage) theReport(ctx context.Context) error {
	if p.c.ReportNo == 0 {
		return nil
	}
	resource, err := p.look(ctx, "DiagnosticReport", p.c.ReportID)
	if resource == nil || err != nil {
		return err
	}
	all, err := workflow.ReportsTx(ctx, p.tx, p.c.CaseID)
	if err != nil || len(all) == 0 {
		return err
	}
	last := len(all) - 1
	all[last].SignedAt = all[last].SignedAt.In(p.page.Zone)
	p.page.Report, p.page.Signed = &all[last], all[last].SignedBy == p.actor.ID || all[0].SignedBy == p.actor.ID
	if last > 0 {
		p.page.Changed = workflow.Changes(all[last-1], all[last])
	}
	return nil
}

// theMatters are those of $matters, by its rules; and whoever is to answer or verify for
// somebody who cannot sees what it is about.
func (p *readingPage) theMatters(ctx context.Context) error {
	if !p.actor.May("Communication", access.Read) {
		return nil
	}
	if err := p.theJudged(ctx); err != nil {
		return err
	}
	all, err := workflow.MattersTx(ctx, p.tx, p.c.CaseID)
	for _, m := range p.c.Choosable(all, p.actor) {
		may, err := mayAbout(ctx, p.offers, m)
		if err != nil {
			return err
		}
		if p.c.State == workflow.Amending && p.page.May["sign"] && m.Kind == workflow.VerificationMatter && m.Open() {
			p.page.Verifies, p.page.Compares = true, m.Content.ToCompare()
		}
		if !p.c.MayKnow(m.Matter, p.actor) && !may["answer"] && !may["verify"] {
			continue
		}
		row := screen.Matter{No: m.Number, Kind: m.Kind, Category: m.Category, Text: m.Content.Text, Opened: m.OpenedAt.In(p.page.Zone), Due: m.DueAt.In(p.page.Zone), Answer: m.Closing.Text, May: may}
		if m.Kind == workflow.VerificationMatter {
			row.Text, row.Compare, row.Retracted = m.Content.Words(), m.Content.ToCompare(), m.Content.Retracted
			row.Strayed = m.Content.Astray()
			p.page.Rewritten = p.page.Rewritten || m.Open() && (m.Content.Rewritten || m.Content.Retracted)
		}
		if m.Settlement != nil {
			row.Settlement = *m.Settlement
		}
		for _, call := range m.Calls {
			row.Told = append(row.Told, toldOnScreen(call, p.page.Zone))
		}
		p.page.Matters = append(p.page.Matters, row)
	}
	return err
}

// theJudged are the findings of which who signs may say whether they stand.
func (p *readingPage) theJudged(ctx context.Context) error {
	if !p.page.May["sign"] {
		return nil
	}
	all, must, err := p.offers.Findings(ctx)
	for _, m := range all {
		p.page.Judged = append(p.page.Judged, screen.Judged{No: m.Number, Category: m.Category, Text: m.Content.Text, Must: must[m.Number]})
	}
	return err
}

// aboutMatters are the events that are about a matter, by its kind.
var aboutMatters = map[workflow.MatterKind][]workflow.Event{
	workflow.FindingMatter:      {"communicate", "withdraw-finding"},
	workflow.QuestionMatter:     {"answer", "withdraw-question"},
	workflow.VerificationMatter: {"verify", "dismiss-verification"},
}

// mayAbout is what may be done about a matter.
func mayAbout(ctx context.Context, offers *workflow.Offers, m workflow.KnownMatter) (map[string]bool, error) {
	may := map[string]bool{}
	for _, ev := range aboutMatters[m.Kind] {
		refused, err := offers.May(ctx, ev, m.Number)
		if err != nil {
			return nil, err
		}
		may[string(ev)] = refused == nil
	}
	return may, nil
}

package workflow

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// memory is the ledger of a Model: what the tables of the server are, in maps and
// slices. Each method does what the SQL of its namesake in sqlLedger does.
type memory struct{ m *Model }

// file is all that is kept of a case.
type file struct {
	c        Case
	agenda   []entry
	opinions []Sealed // and the draft, while its status says so
	written  draft
	grades   []GivenGrade
	reports  []Report
	waits    []Wait
	told     []toldRow
	matters  []Matter
	parts    []part // who had one by an event, as case_event tells
	place    int    // in the order of arrival
}

type part struct {
	who      uuid.UUID
	role     access.Role
	event    Event
	unveiled bool // they saw the original by it, as who decides
}

// decides is the duty of who had the case to decide, and so saw what the original
// says, though they may have written nothing; "" of others.
func (p part) decides() Duty {
	switch {
	case p.role == access.Supervisor && (p.event == "return" || p.event == "sign"):
		return ToSupervise
	case p.role == access.Adjudicator && (p.event == "claim" || p.event == "adjudicate"):
		return ToAdjudicate
	}
	return ""
}

type toldRow struct {
	Told
	heeded, ended bool
}

func (t toldRow) open() bool { return !t.heeded && !t.ended }

// keep makes the file what the other is now, with lists of its own; what it had room
// for is used again.
func (f *file) keep(g *file) {
	old := *f
	*f = *g
	f.agenda, f.opinions, f.told = into(old.agenda, g.agenda), into(old.opinions, g.opinions), into(old.told, g.told)
	f.grades, f.reports = into(old.grades, g.grades), into(old.reports, g.reports)
	f.waits, f.matters, f.parts = into(old.waits, g.waits), into(old.matters, g.matters), into(old.parts, g.parts)
}

// into is a copy of a list, where there is room for it in an old one.
func into[T any](room, list []T) []T { return append(room[:0], list...) }

func (l memory) file(id uuid.UUID) *file { return l.m.files[id] }

func (l memory) updateCase(_ context.Context, c *Case) error {
	f := l.file(c.CaseID)
	l.m.load(&f.c, -1)
	c.detach()
	f.c = *c
	l.m.load(&f.c, +1)
	if c.FinalAt != nil && c.ReaderID != nil && c.State == Final && c.ReportNo == 1 {
		l.m.noteDone(*c.ReaderID, c.Exam.RelativeValue())
	}
	return nil
}

// detach gives the case values of its own where it points into what made it so, which
// would stay in memory with all that it holds.
func (c *Case) detach() {
	for _, p := range []**uuid.UUID{&c.ReaderID, &c.OtherReaderID, &c.AdjudicatorID, &c.SupervisorID, &c.OfferedTo, &c.ErrorProposedBy} {
		own(p)
	}
	for _, p := range []**time.Time{&c.ReturnedAt, &c.CompleteAt, &c.AcceptedAt, &c.LockedAt, &c.RevealedAt, &c.FinalAt, &c.ClosedAt} {
		own(p)
	}
}

func own[T any](p **T) {
	if *p != nil {
		value := **p
		*p = &value
	}
}

// insertEvent keeps what rules ask of the history; Heard tells the rest.
func (l memory) insertEvent(_ context.Context, ch Change, _ map[string]any) error {
	p := part{ch.Actor.ID, ch.Actor.Role, ch.Event, ch.Event == "reveal"}
	if p.decides() == ToAdjudicate && ch.Before == Adjudication && !ch.Case.Policy.BlindAdjudication {
		p.unveiled = true
	}
	if f := l.file(ch.Case.CaseID); (slices.Contains(partsInReading, ch.Event) || p.unveiled) && !slices.Contains(f.parts, p) {
		f.parts = append(f.parts, p)
	}
	return nil
}

func (l memory) keepFact(context.Context, *Case, time.Time) error { return nil } // nobody counts there

func (l memory) entries(_ context.Context, id uuid.UUID) ([]entry, error) {
	return slices.Clone(l.file(id).agenda), nil
}

func (l memory) write(_ context.Context, row entry, anew bool) error {
	f := l.file(row.CaseID)
	switch there := rowOf(f.agenda, row.Kind); {
	case there == nil:
		f.agenda = append(f.agenda, row)
	case anew:
		*there = row
	default:
		return nil
	}
	l.m.remind(row)
	return nil
}

func (l memory) updateEntry(_ context.Context, row entry) error {
	if there := rowOf(l.file(row.CaseID).agenda, row.Kind); there != nil {
		*there = row
		l.m.remind(row)
	}
	return nil
}

func (l memory) deleteEntry(_ context.Context, row entry) error {
	f := l.file(row.CaseID)
	f.agenda = slices.DeleteFunc(f.agenda, func(e entry) bool { return e.Kind == row.Kind })
	return nil
}

func (l memory) reader(_ context.Context, id uuid.UUID) (Reader, error) {
	if r := l.m.byID[id]; r != nil {
		return *r, nil
	}
	return Reader{}, pgx.ErrNoRows
}

func (l memory) readers(context.Context) ([]Reader, error) {
	out := make([]Reader, len(l.m.all))
	for i, r := range l.m.all {
		out[i] = *r
	}
	return out, nil
}

func (l memory) staff(_ context.Context, need Need) ([]Reader, error) {
	if list := l.m.lists.of(need).plain; len(list) > 0 {
		return list, nil
	}
	return l.m.few, nil
}

func (l memory) candidates(_ context.Context, need Need, fairDays int, why bool) ([]Reader, error) {
	return l.m.readersFor(need, fairDays, why), nil
}

func (l memory) noteOffer(_ context.Context, id uuid.UUID, now time.Time) error {
	l.m.byID[id].LastOffered = &now
	return nil
}

// need: who is involved, as in pastReadersTx. Nobody opens a record in an emergency
// here.
func (l memory) need(_ context.Context, c *Case, duty Duty) (Need, error) {
	need, blind := c.need(duty), duty == ToAdjudicate && c.thirdIsBlind()
	involve := func(id uuid.UUID) {
		if !slices.Contains(need.Involved, id) {
			need.Involved = append(need.Involved, id)
		}
	}
	for _, f := range l.m.sameStudy(c) {
		for _, o := range f.opinions {
			if o.Status != "draft" {
				involve(o.ReaderID)
			}
		}
		another := f.c.CaseID != c.CaseID
		for _, id := range []*uuid.UUID{f.c.AdjudicatorID, f.c.SupervisorID} {
			if id != nil && another {
				involve(*id)
			}
		}
		for _, p := range f.parts {
			if d := p.decides(); d != "" && (another || d != duty) || blind && !another && p.unveiled {
				involve(p.who)
			}
		}
	}
	return need, nil
}

func (l memory) unveiled(context.Context, *Case) (bool, error) { return false, nil }

func (f *file) draft() int {
	return slices.IndexFunc(f.opinions, func(o Sealed) bool { return o.Status == "draft" })
}

func (l memory) draft(_ context.Context, id uuid.UUID) (draft, error) {
	f := l.file(id)
	i := f.draft()
	if i < 0 {
		return draft{}, errNoDraft
	}
	return f.written, nil
}

func (l memory) openDraft(_ context.Context, c *Case, author uuid.UUID, part ReadingPart, _ time.Time) (int, error) {
	f := l.file(c.CaseID)
	f.opinions = append(f.opinions, Sealed{OpinionNo: len(f.opinions) + 1, ReaderID: author, Part: part, Status: "draft"})
	f.written = draft{No: len(f.opinions), ReaderID: author}
	return len(f.opinions), nil
}

func (l memory) saveDraft(_ context.Context, c *Case, d Draft) error {
	f := l.file(c.CaseID)
	if i := f.draft(); i >= 0 {
		f.opinions[i].Content, f.written.Content, f.written.Version = d.Content, d.Content, d.DraftNo
	}
	return nil
}

func (l memory) sealDraft(_ context.Context, id uuid.UUID, status string, now time.Time) (Sealed, error) {
	f := l.file(id)
	i := f.draft()
	if i < 0 {
		return Sealed{}, errNoDraft
	}
	_, sum, err := canonical(f.opinions[i].Content)
	if err != nil {
		return Sealed{}, err
	}
	o := &f.opinions[i]
	o.Status, o.SealedAt, o.SHA256 = status, now, hexOf(sum)
	return *o, nil
}

func (l memory) sealed(_ context.Context, id uuid.UUID) (list []Sealed, err error) {
	for _, o := range l.file(id).opinions {
		if o.Status != "draft" {
			list = append(list, o)
		}
	}
	return list, nil
}

func (l memory) insertGrade(_ context.Context, id uuid.UUID, g GivenGrade) (int, error) {
	f := l.file(id)
	g.GradeNo = len(f.grades) + 1
	f.grades = append(f.grades, g)
	return g.GradeNo, nil
}

func (l memory) lastGrade(_ context.Context, id uuid.UUID) (GivenGrade, error) {
	grades := l.file(id).grades
	if len(grades) == 0 {
		return GivenGrade{}, errNoGrade
	}
	return grades[len(grades)-1], nil
}

func (l memory) insertReport(_ context.Context, id uuid.UUID, r Report) (string, error) {
	_, sum, err := canonical(r)
	if err != nil {
		return "", err
	}
	f := l.file(id)
	f.reports = append(f.reports, r)
	return hexOf(sum), nil
}

func (l memory) lastReport(_ context.Context, id uuid.UUID) (Report, error) {
	reports := l.file(id).reports
	if len(reports) == 0 {
		return Report{}, refuse("nothing is signed yet")
	}
	return reports[len(reports)-1], nil
}

func (l memory) report(_ context.Context, id uuid.UUID, no int) (Report, error) {
	return versionOf(l.file(id).reports, no)
}

func (l memory) endWait(_ context.Context, id uuid.UUID, now time.Time) error {
	if waits := l.file(id).waits; len(waits) > 0 && waits[len(waits)-1].EndedAt == nil {
		waits[len(waits)-1].EndedAt = &now
	}
	return nil
}

func (l memory) beginWait(_ context.Context, c *Case, w Wait) error {
	f := l.file(c.CaseID)
	w.WaitNo = len(f.waits) + 1
	f.waits = append(f.waits, w)
	return nil
}

func (l memory) insertTold(_ context.Context, c *Case, told Told) (bool, error) {
	f := l.file(c.CaseID)
	for _, t := range f.told {
		if t.Clock == told.Clock && t.Started.Equal(told.Started) && t.Stage == told.Stage && t.Rule == told.Rule && t.Link == told.Link {
			return false, nil
		}
	}
	f.told = append(f.told, toldRow{Told: told})
	return true, nil
}

func (l memory) nextEscalation(_ context.Context, id uuid.UUID) (next *time.Time, err error) {
	for _, t := range l.file(id).told {
		if !t.ended && t.NextAt != nil && (next == nil || t.NextAt.Before(*next)) {
			next = t.NextAt
		}
	}
	return next, nil
}

func (l memory) dueEscalations(_ context.Context, id uuid.UUID) (due []Told, err error) {
	f := l.file(id)
	for i := range f.told {
		if t := &f.told[i]; !t.ended && t.NextAt != nil && !t.NextAt.After(l.m.now) {
			t.NextAt = nil
			due = append(due, Told{Clock: t.Clock, Started: t.Started, Stage: t.Stage, Rule: t.Rule, Link: t.Link + 1})
		}
	}
	return due, nil
}

func (l memory) endEscalations(_ context.Context, id uuid.UUID, clock ClockName, _ time.Time) error {
	f := l.file(id)
	for i := range f.told {
		if t := &f.told[i]; t.Clock == clock && (t.open() || t.NextAt != nil) {
			t.ended, t.NextAt = true, nil
		}
	}
	return nil
}

func (l memory) endReminders(_ context.Context, id uuid.UUID, told Told, last int) error {
	f := l.file(id)
	for i := range f.told {
		if t := &f.told[i]; t.Clock == told.Clock && t.Started.Equal(told.Started) && t.Stage == told.Stage && t.Rule == told.Rule && t.Link >= last && t.Link < told.Link {
			t.ended, t.NextAt = true, nil
		}
	}
	return nil
}

func (l memory) goesOn(_ context.Context, id uuid.UUID, told Told) (bool, error) {
	return slices.ContainsFunc(l.file(id).told, func(t toldRow) bool {
		return t.Clock == told.Clock && t.Started.Equal(told.Started) && t.Rule == told.Rule && t.Stage != told.Stage && !t.ended && t.NextAt != nil
	}), nil
}

func (l memory) putOffEscalations(ctx context.Context, id uuid.UUID, due time.Time) error {
	first, err := l.nextEscalation(ctx, id)
	if err != nil || first == nil {
		return err
	}
	rested := due.Sub(*first)
	f := l.file(id)
	for i := range f.told {
		if t := &f.told[i]; !t.ended && t.NextAt != nil {
			later := t.NextAt.Add(rested)
			t.NextAt = &later
		}
	}
	return nil
}

func (l memory) openEscalations(_ context.Context, id, person uuid.UUID) (open, mine int, err error) {
	for _, t := range l.file(id).told {
		if !t.open() {
			continue
		}
		open++
		if t.Tell == TellReader && t.PersonID != nil && *t.PersonID == person {
			mine++
		}
	}
	return open, mine, nil
}

func (l memory) heedEscalations(_ context.Context, id, person uuid.UUID, onlyOwn bool, _ time.Time) error {
	f := l.file(id)
	own := func(t toldRow) bool {
		return slices.ContainsFunc(f.told, func(o toldRow) bool {
			return o.Clock == t.Clock && o.Started.Equal(t.Started) && o.Stage == t.Stage && o.Rule == t.Rule &&
				o.Tell == TellReader && o.PersonID != nil && *o.PersonID == person
		})
	}
	office := func(t toldRow) bool {
		return slices.ContainsFunc(f.told, func(o toldRow) bool {
			return o.Clock == t.Clock && o.Started.Equal(t.Started) && o.Tell != TellReader
		})
	}
	for i := range f.told {
		t := &f.told[i]
		switch {
		case onlyOwn && t.open() && own(*t), !onlyOwn && (t.open() || t.NextAt != nil) && (!t.Clock.Pressing() || office(*t)):
			if t.heeded = true; !t.Clock.Pressing() {
				t.NextAt = nil
			}
		}
	}
	return nil
}

func (l memory) matters(_ context.Context, id uuid.UUID) ([]Matter, error) {
	return slices.Clone(l.file(id).matters), nil
}

func (l memory) insertMatter(_ context.Context, c *Case, m Matter) (bool, error) {
	f := l.file(c.CaseID)
	if slices.ContainsFunc(f.matters, func(o Matter) bool { return o.Kind == m.Kind && o.Key == m.Key }) {
		return false, nil
	}
	f.matters = append(f.matters, m)
	return true, nil
}

func (l memory) updateMatter(_ context.Context, id uuid.UUID, m Matter) error {
	f := l.file(id)
	if i := slices.IndexFunc(f.matters, func(o Matter) bool {
		return o.No == m.No && (o.SettledAt == nil || m.Withdrawn() && *o.Settlement == "acknowledged" || m.SettledAt != nil && m.SettledAt.Equal(*o.SettledAt))
	}); i >= 0 {
		f.matters[i] = m
	}
	return nil
}

func (l memory) insertCall(_ context.Context, id uuid.UUID, call Call) error {
	f := l.file(id)
	if i := slices.IndexFunc(f.matters, func(o Matter) bool { return o.No == call.MatterNo }); i >= 0 {
		f.matters[i].Calls = append(slices.Clone(f.matters[i].Calls), call)
	}
	return nil
}

func (l memory) insertAcknowledgement(context.Context, uuid.UUID, Acknowledgement) error { return nil }
func (l memory) wantLookAfter(context.Context, *Case, time.Duration) error               { return nil }

func (l memory) queueMail(context.Context, *Case, Told) error { return nil }

// duplicates: as duplicatesTx.
func (l memory) duplicates(_ context.Context, c *Case, facts Facts) (tasks []string, err error) {
	own, asked := l.file(c.CaseID).place, facts.Exam.questions()
	for _, f := range l.m.studies[facts.Study.UID] {
		over := slices.Contains(in(Rejected, Cancelled, Failed, EnteredInError), f.c.State)
		old := f.c.FinalAt != nil && !f.c.FinalAt.After(l.m.now.AddDate(0, 0, -c.Policy.DuplicateWithinDays))
		other := f.c.Exam.questions()
		another := len(asked) > 0 && len(other) > 0 && !meet(asked, other)
		if f.c.CaseID != c.CaseID && f.place < own && !over && !old && !another {
			tasks = append(tasks, f.c.TaskID)
		}
	}
	return tasks, nil
}

// hasRead: as hasReadTx.
func (l memory) hasRead(_ context.Context, caseID, who uuid.UUID) (bool, error) {
	return slices.ContainsFunc(l.file(caseID).parts, func(p part) bool { return p.who == who && slices.Contains(partsInReading, p.event) }), nil
}

func (l memory) pacs(context.Context, *Case, Facts) (*PACSFacts, error) { return nil, nil }

func (l memory) waits(_ context.Context, id uuid.UUID) ([]Wait, error) {
	return slices.Clone(l.file(id).waits), nil
}

func (l memory) insertNotices(context.Context, *Case, Event, []uuid.UUID, time.Time) error {
	return nil
}

package workflow

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Model is the engine without a database: the same table of transitions, guards,
// effects, agenda, clocks and choice of readers, over a ledger in memory and by a
// clock that its user sets. It is what `overread simulate` runs, and what random
// histories are judged on. It is for one goroutine.
//
// What belongs to the server alone is not here: the PACS, emergencies, mail.
type Model struct {
	engine *Engine
	tenant uuid.UUID
	policy Policy
	now    time.Time
	newID  func() uuid.UUID

	files   map[uuid.UUID]*file
	studies map[string][]*file // by study UID, in the order of arrival
	ready   map[uuid.UUID]bool
	arrived int
	due     reminders

	all    []*Reader // by id
	byID   map[uuid.UUID]*Reader
	lists  *shortlists // of all
	work   map[uuid.UUID]*workDone
	few    []Reader // some of all, without their work
	chosen []Reader // room for those of whom one is chosen

	before file // the case as it was before what is going on, to put it back
	c      Case // that case while it goes on
}

// ModelHooks are what a Model asks its user for, as Hooks for the server.
type ModelHooks struct {
	Facts func(c *Case, now time.Time) Facts
	Heard func(ch Change) // each event, also the first; may be nil
	NewID func() uuid.UUID
}

// NewModel returns a model of one tenant.
func NewModel(policy Policy, readers []Reader, start time.Time, h ModelHooks) *Model {
	m := &Model{
		tenant: h.NewID(), policy: policy, now: start, newID: h.NewID,
		files: map[uuid.UUID]*file{}, ready: map[uuid.UUID]bool{}, studies: map[string][]*file{}, byID: map[uuid.UUID]*Reader{},
		work: map[uuid.UUID]*workDone{},
	}
	for _, r := range readers {
		m.all = append(m.all, &r)
		m.byID[r.ID] = &r
		m.work[r.ID] = &workDone{}
	}
	slices.SortFunc(m.all, func(a, b *Reader) int { return slices.Compare(a.ID[:], b.ID[:]) })
	m.lists = newShortlists(m.all)
	for _, r := range m.all[:min(len(m.all), fewest)] {
		m.few = append(m.few, *r)
	}
	m.engine = NewEngine(nil, func() time.Time { return m.now }, slog.New(slog.DiscardHandler))
	m.engine.Use(Hooks{
		Facts: func(_ context.Context, _ pgx.Tx, c *Case) (Facts, error) { return h.Facts(c, m.now), nil },
		Publish: func(_ context.Context, _ pgx.Tx, ch Change) error {
			if h.Heard != nil {
				h.Heard(ch)
			}
			return nil
		},
	})
	return m
}

// SetNow sets the clock, which must not go back.
func (m *Model) SetNow(now time.Time) { m.now = now.UTC() }

// Tenant is the id of the model's one tenant, for actors.
func (m *Model) Tenant() uuid.UUID { return m.tenant }

// Open opens a case for an order.
func (m *Model) Open(actor access.Actor, o Order) (Case, error) {
	c := newCase(actor, o, inForce{policy: m.policy}, m.newID(), m.engine.moment())
	m.arrived++
	m.files[c.CaseID] = &file{c: c, place: m.arrived}
	t := m.turn(actor, &c, "open", Input{})
	t.detail["priority"] = c.Priority
	return c, m.engine.begin(context.Background(), t)
}

// Fire makes an event happen, as Engine.Fire. What is refused leaves no trace.
func (m *Model) Fire(actor access.Actor, caseID uuid.UUID, ev Event, in Input) (ch Change, err error) {
	err = m.undoing(caseID, func(c *Case) error {
		ch, err = m.engine.fire(context.Background(), m.turn(actor, c, ev, in))
		return err
	})
	return ch, err
}

// Recheck looks at a case anew, because something arrived, as Engine.RecheckTx.
func (m *Model) Recheck(caseID uuid.UUID) error {
	return m.undoing(caseID, func(c *Case) error {
		return m.engine.reconsider(context.Background(), job{ledger: memory{m}, c: c, now: m.engine.moment()})
	})
}

// Due is when the agenda has something to do next.
func (m *Model) Due() (time.Time, bool) {
	for len(m.due) > 0 {
		if row := m.row(m.due[0]); row != nil {
			return *row.DueAt, true
		}
		m.due.pop()
	}
	return time.Time{}, false
}

// Tick does what is due on the agenda, as Engine.Tick.
func (m *Model) Tick() error {
	for {
		at, ok := m.Due()
		if !ok || at.After(m.now) {
			return nil
		}
		row := *m.row(m.due.pop())
		it, known := m.engine.item(row.Kind)
		err := m.undoing(row.CaseID, func(c *Case) error {
			if !known || !slices.Contains(it.While, c.State) {
				return memory{m}.deleteEntry(context.Background(), row)
			}
			return m.engine.perform(context.Background(), it, job{ledger: memory{m}, c: c, row: row, now: m.engine.moment()})
		})
		if err != nil {
			return fmt.Errorf("agenda %s: %w", row.Kind, err)
		}
	}
}

// AssignBatch offers the cases of the pool to their readers by one plan for all of
// them, as Engine.BatchTick. Readers who are away or have all that they can take are
// left out beforehand: no case is theirs.
func (m *Model) AssignBatch() error {
	if len(m.ready) == 0 {
		return nil
	}
	var desks []Desk
	today := DateOf(m.now)
	for _, r := range m.all {
		if m.present(r) && (r.Capacity == 0 || r.OpenCases < r.Capacity) {
			m.count(r, m.policy.Matching.FairDays, today)
			desks = append(desks, Desk{Reader: *r, Given: r.given()})
		}
	}
	if desks == nil {
		return nil
	}
	var pool []Waiting
	for id := range m.ready {
		c := m.files[id].c
		need, err := memory{m}.need(context.Background(), &c, ToRead)
		if err != nil {
			return err
		}
		need.Due = m.DueOf(id)
		pool = append(pool, c.waiting(need, m.lists, m.now))
	}
	for _, p := range assign(pool, desks, m.lists, m.now, m.policy.Matching.Weights.assign()).Assigned {
		if _, err := m.Fire(access.SystemActor(m.tenant), p.CaseID, "offer", Input{ReaderID: &p.ReaderID}); err != nil {
			return err
		}
	}
	return nil
}

// Case is the case as it stands.
func (m *Model) Case(id uuid.UUID) (Case, bool) {
	f := m.files[id]
	if f == nil {
		return Case{}, false
	}
	return f.c, true
}

// DueOf is when the report of a case is due, as DueTx.
func (m *Model) DueOf(id uuid.UUID) *time.Time {
	if f := m.files[id]; f != nil {
		return deadlineOf(f.agenda)
	}
	return nil
}

// Waits is when and for whom a case waited.
func (m *Model) Waits(id uuid.UUID) []Wait {
	if f := m.files[id]; f != nil {
		return f.waits
	}
	return nil
}

// MayHave tells whether a reader may have a part in a case, for whoever chooses
// what to ask for: the guards ask again.
func (m *Model) MayHave(id, reader uuid.UUID, duty Duty) bool {
	f, r := m.files[id], m.byID[reader]
	if f == nil || r == nil {
		return false
	}
	need, err := memory{m}.need(context.Background(), &f.c, duty)
	return err == nil && len(Eligible(need, *r, m.now)) == 0
}

// Readings are the sealed opinions of a case that a reader or third reader may see,
// and for the role of quality all, as ReadingsTx.
func (m *Model) Readings(actor access.Actor, id uuid.UUID) []Sealed {
	f := m.files[id]
	if f == nil {
		return nil
	}
	all, _ := memory{m}.sealed(context.Background(), id)
	if actor.Role == access.Quality {
		return all
	}
	shown := f.c.mutual(actor, all)
	return slices.DeleteFunc(all, func(o Sealed) bool { return o.ReaderID != actor.ID && !shown(o) })
}

// OpenMatters are the findings, questions and re-verifications of a case that nobody
// has settled.
func (m *Model) OpenMatters(id uuid.UUID) (open []Matter) {
	if f := m.files[id]; f != nil {
		for _, matter := range f.matters {
			if matter.Open() {
				open = append(open, matter)
			}
		}
	}
	return open
}

// Undecided are the findings of which somebody who signs by in must say whether they
// stand, by the numbers under which they know them.
func (m *Model) Undecided(actor access.Actor, id uuid.UUID, in Input) ([]KnownMatter, error) {
	f := m.files[id]
	if f == nil {
		return nil, nil
	}
	c := f.c
	return (&turn{ledger: memory{m}, actor: actor, c: &c, event: "sign", in: in, now: m.now}).undecided(context.Background())
}

// Reader is a reader as the model knows them.
func (m *Model) Reader(id uuid.UUID) Reader { return *m.byID[id] }

// Forget drops a case that is over and of whose study no other comes, so that the
// model does not grow.
func (m *Model) Forget(id uuid.UUID) {
	f := m.files[id]
	if f == nil {
		return
	}
	delete(m.files, id)
	defer func() { *f = file{} }() // what reminds of it counts for nothing, and holds nothing
	if f.c.StudyUID != nil {
		left := slices.DeleteFunc(m.studies[*f.c.StudyUID], func(g *file) bool { return g == f })
		if m.studies[*f.c.StudyUID] = left; len(left) == 0 {
			delete(m.studies, *f.c.StudyUID)
		}
	}
}

// Size is how many cases the model holds.
func (m *Model) Size() int { return len(m.files) }

func (m *Model) turn(actor access.Actor, c *Case, ev Event, in Input) *turn {
	return &turn{ledger: memory{m}, actor: actor, c: c, event: ev, in: in, now: m.engine.moment(), detail: map[string]any{}}
}

// undoing does something with a case, and puts all back when that fails.
func (m *Model) undoing(id uuid.UUID, do func(c *Case) error) error {
	f := m.files[id]
	if f == nil {
		return fault.New(fault.NotFound, "no such case")
	}
	m.c = f.c
	m.before.keep(f)
	err := do(&m.c)
	if err != nil {
		m.load(&f.c, -1)
		f.keep(&m.before)
		m.load(&f.c, +1)
		for _, row := range f.agenda {
			m.remind(row)
		}
		return err
	}
	m.noteStudy(f)
	return nil
}

// noteStudy keeps the case among those of its study.
func (m *Model) noteStudy(f *file) {
	if uid := f.c.StudyUID; uid != nil && !slices.Contains(m.studies[*uid], f) {
		m.studies[*uid] = append(m.studies[*uid], f)
	}
}

// sameStudy are the case and the others of its study.
func (m *Model) sameStudy(c *Case) []*file {
	own := m.files[c.CaseID]
	if c.StudyUID == nil {
		return []*file{own}
	}
	same := m.studies[*c.StudyUID]
	if slices.Contains(same, own) {
		return same
	}
	return append(slices.Clone(same), own)
}

// reminder is when to look at a row of the agenda. One whose row has another time
// meanwhile counts for nothing.
type reminder struct {
	at   int64 // in nanoseconds, as time.UnixNano
	no   int
	file *file
	kind string
}

func (r reminder) before(o reminder) bool { return r.at < o.at || r.at == o.at && r.no < o.no }

// reminders are a heap, the next one first: container/heap would make a copy of each.
type reminders []reminder

func (r *reminders) push(one reminder) {
	*r = append(*r, one)
	all, i := *r, len(*r)-1
	for i > 0 {
		up := (i - 1) / 2
		if !one.before(all[up]) {
			break
		}
		all[i], i = all[up], up
	}
	all[i] = one
}

func (r *reminders) pop() reminder {
	all, n := *r, len(*r)-1
	first, last := all[0], all[n]
	all[n] = reminder{}
	*r = all[:n]
	for i := 0; n > 0; {
		down := 2*i + 1
		if down+1 < n && all[down+1].before(all[down]) {
			down++
		}
		if down >= n || last.before(all[down]) {
			all[i] = last
			break
		}
		all[i], i = all[down], down
	}
	return first
}

func (m *Model) remind(row entry) {
	if row.DueAt != nil {
		m.arrived++
		m.due.push(reminder{row.DueAt.UnixNano(), m.arrived, m.files[row.CaseID], row.Kind})
	}
}

// row is the row of the agenda that a reminder means, nil when it means none any
// more.
func (m *Model) row(r reminder) *entry {
	if row := rowOf(r.file.agenda, r.kind); row != nil && row.DueAt != nil && row.DueAt.UnixNano() == r.at { // there is none when the case is forgotten
		return row
	}
	return nil
}

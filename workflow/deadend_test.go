package workflow

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// ward is a service in memory with one case, in which anything may happen.
type ward struct {
	*rapid.T
	m      *Model
	facts  *Facts
	id     uuid.UUID
	people map[access.Role][]access.Actor
	grade  *Grade // that readers give before anything is to be led to its end
	first  int    // who of those who read is asked first
	trace  []string
}

// wardNames are how many letters ever name the readers of a ward.
var wardNames = []string{"Anna", "Ben", "Eve", "Tina", "Carl", "Dora"}

func newWard(rt *rapid.T) *ward {
	w := &ward{T: rt, people: map[access.Role][]access.Actor{}, grade: rapid.SampledFrom([]*Grade{&agreement, &majorMiss}).Draw(rt, "first grade"), first: rapid.IntRange(0, len(wardNames)-1).Draw(rt, "first reader")}
	policy := DefaultPolicy()
	policy.Assignment = FromPool
	policy.Reading = rapid.SampledFrom(readingProtocols).Draw(rt, "reading")
	policy.BlindAdjudication = rapid.Bool().Draw(rt, "blind adjudication")
	policy.AdjudicateOn = rapid.SampledFrom([]AdjudicateOn{AdjudicateMajor, AdjudicateMinor}).Draw(rt, "adjudicate on")
	facts := wholeFacts()
	if rapid.Bool().Draw(rt, "no original") {
		facts.Original, facts.Reported, facts.First = nil, false, FirstReaders{}
	}
	facts.Exam.Ordered = &OrderedSite{Side: "left"}
	w.facts = &facts
	var readers []Reader
	for i, name := range wardNames {
		senior := name == "Carl" || name == "Dora"
		r := Reader{ID: newID(), PractitionerID: fmt.Sprint(i), Display: name, Subspecialties: []string{"neuro"}, Trainee: name == "Tina", MayAdjudicate: senior, MaySupervise: senior}
		readers = append(readers, r)
	}
	w.m = NewModel(policy, readers, time.Date(2026, 9, 7, 12, 0, 0, 0, time.UTC), ModelHooks{
		Facts: func(*Case, time.Time) Facts { return *w.facts }, NewID: newID, Heard: w.hear})
	add := func(role access.Role, id, reads uuid.UUID) {
		w.people[role] = append(w.people[role], access.Actor{Tenant: w.m.Tenant(), Role: role, ID: id, Reader: reads})
	}
	for _, r := range readers {
		add(access.Reader, r.ID, r.ID)
		if r.MayAdjudicate {
			add(access.Adjudicator, r.ID, r.ID)
			add(access.Supervisor, r.ID, r.ID)
		}
	}
	for _, role := range []access.Role{access.Placer, access.Coordinator, access.Quality} {
		add(role, newID(), uuid.Nil)
	}
	add(access.Director, newID(), readers[0].ID) // who reads as well
	add(access.Director, newID(), uuid.Nil)
	add(access.Director, newID(), uuid.Nil)
	c, err := w.m.Open(w.people[access.Placer][0], Order{PlacerSystem: "urn:x", PlacerValue: "1", TaskID: "1"})
	if err != nil {
		rt.Fatal(err)
	}
	w.id = c.CaseID
	w.tick(0)
	return w
}

func (w *ward) now() Case {
	c, _ := w.m.Case(w.id)
	return c
}

func (w *ward) tick(d time.Duration) {
	w.m.SetNow(w.m.now.Add(d))
	if err := w.m.Tick(); err != nil {
		w.Fatal(err)
	}
}

// hear judges each report: everybody whose text it is has sealed one here, and none of
// them is known to have made the original, unless a director found otherwise.
func (w *ward) hear(ch Change) {
	if ch.Report == nil {
		return
	}
	r, f := *ch.Report, w.m.files[ch.Case.CaseID]
	if len(r.Authors) == 0 {
		w.Fatalf("nobody is the author of version %d", r.No)
	}
	for _, who := range r.Authors {
		if !slices.ContainsFunc(f.opinions, func(o Sealed) bool { return o.ReaderID == who && o.Status == "locked" }) {
			w.Fatalf("%s is an author of version %d, and has sealed nothing", w.name(who), r.No)
		}
		if why := ch.Case.Exam.readFirst(*w.m.byID[who], ch.Case.Policy.unnamed()); why != "" && r.No == 1 {
			w.Fatalf("%s is an author, and %s", w.name(who), why)
		}
	}
}

func (w *ward) name(who uuid.UUID) string { return w.m.byID[who].Display }

func (w *ward) fire(a access.Actor, event Event, in Input) bool {
	before := w.now()
	if event == "sign" {
		undecided, _ := w.m.Undecided(a, w.id, in)
		for _, m := range undecided {
			in.Outcomes = append(in.Outcomes, FindingOutcome{m.Number, Outcomes[m.No%2]})
		}
	}
	_, err := w.m.Fire(a, w.id, event, in)
	switch {
	case err == nil:
		who := string(a.Role)
		if r := w.m.byID[a.ID]; r != nil {
			who += " " + r.Display
		}
		w.trace = append(w.trace, fmt.Sprintf("%s: %s by %s %s -> %s", before.State, event, who, in.Decision, w.now().State))
		return true
	case !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.BusinessRule):
		w.Fatalf("%s in %s: %v\n%v", event, before.State, err, w.trace)
	}
	return false
}

// any of a role does it who may.
func (w *ward) any(event Event, in Input, roles ...access.Role) bool {
	for _, role := range roles {
		all := w.people[role]
		for i := range all {
			if w.fire(all[(i+w.first)%len(all)], event, in) {
				return true
			}
		}
	}
	return false
}

// happens lets something come about outside: a report, a name, a corrected order, more images.
func (w *ward) happens() {
	f := *w.facts
	what := rapid.SampledFrom([]string{"report", "name", "identifier", "side", "patient", "images", "time", "time"}).Draw(w.T, "happens")
	switch what {
	case "report":
		whole := wholeFacts()
		f.Original, f.Reported = whole.Original, true
		if len(f.First.Readers)+len(f.First.Names) == 0 {
			f.First = whole.First
		}
	case "name":
		f.First.Names = append(slices.Clone(f.First.Names), rapid.SampledFrom(wardNames).Draw(w.T, "name"))
	case "identifier":
		f.First.Readers = append(slices.Clone(f.First.Readers), fmt.Sprintf("Practitioner/%d", rapid.IntRange(0, len(wardNames)-1).Draw(w.T, "who")))
	case "side":
		f.Exam.Ordered = &OrderedSite{Side: map[string]string{"left": "right", "right": "left"}[f.Exam.Ordered.Side]}
	case "patient":
		f.OrderPatient = "p2"
		study := *f.Study
		study.Patient = "p2"
		f.Study = &study
		if f.Original != nil {
			original := *f.Original
			original.Patient = "p2"
			f.Original = &original
		}
	case "images":
		study := *f.Study
		study.Instances += 10
		study.InstancesSaid += 10
		f.Study = &study
		if err := w.m.undoing(w.id, func(c *Case) error {
			return w.m.engine.studyChanged(context.Background(), job{ledger: memory{w.m}, c: c, now: w.m.engine.moment()}, study.Instances, false)
		}); err != nil {
			w.Fatal(err)
		}
	case "time":
		w.tick(time.Duration(rapid.SampledFrom([]int{0, 1, 30, 200}).Draw(w.T, "hours")) * time.Hour)
		return
	}
	w.facts = &f
	w.trace = append(w.trace, what)
	if err := w.m.Recheck(w.id); err != nil {
		w.Fatal(err)
	}
	w.tick(0)
}

// qualityWork is of the server alone.
var qualityWork = []Event{"judge-management", "outcome", "add-learning-point", "withdraw-learning-point", "open-review", "close-review"}

// acts has somebody do what the table foresees in the state.
func (w *ward) acts() {
	c := w.now()
	var events []Event
	for _, row := range Transitions {
		if slices.Contains(row.From, c.State) && !slices.Contains(ends, row.Event) && !slices.Contains(qualityWork, row.Event) && !slices.Contains(events, row.Event) &&
			slices.ContainsFunc(row.By, func(r access.Role) bool { return r != access.System }) {
			events = append(events, row.Event)
		}
	}
	if events == nil {
		return
	}
	event := rapid.SampledFrom(events).Draw(w.T, "event")
	var roles []access.Role
	for _, row := range Transitions {
		if row.Event == event && slices.Contains(row.From, c.State) {
			roles = append(roles, row.By...)
		}
	}
	in := w.input(c)
	in.Decision = rapid.SampledFrom([]string{"first", "second", "own"}).Draw(w.T, "decision")
	if in.Decision != "own" {
		in.Opinion = nil
	}
	if slices.Contains([]Event{"lock", "propose", "revise", "draft"}, event) {
		in.Opinion = &alarming
	}
	in.Grade = rapid.SampledFrom([]*Grade{&agreement, &minorMiss, &majorMiss, {NoComparisonReason: "original-unusable", NoComparison: "cut off"}}).Draw(w.T, "grade")
	if !c.comparable() {
		in.Grade = &verdict
	}
	w.any(event, in, roles...)
	w.tick(0)
}

func (w *ward) input(c Case) Input {
	reader := w.people[access.Reader][rapid.IntRange(0, len(wardNames)-1).Draw(w.T, "to whom")].ID
	return Input{Reason: "because", Independent: true, Opinion: &opinion, ReaderID: &reader, Priority: "urgent", Code: "", Facts: w.facts, SHA256: w.onTable(c),
		Breadth: ToRelated, Answer: "Yes.", Question: &Asked{Text: fmt.Sprint("Question ", c.Version)}, Finding: &RaisedFinding{Category: "urgent", Text: fmt.Sprint("Finding ", c.Version)},
		Call:      &Call{Reached: true, Content: CallContent{Recipient: "Dr Jones", Medium: "phone", ReadBack: true}},
		Amendment: &Amendment{Kind: "correction", Reason: "r", Text: "t"}}
}

// onTable is a text with which one of two may concur.
func (w *ward) onTable(c Case) string {
	if c.State != Conferring {
		return ""
	}
	last := ""
	for _, o := range w.m.files[w.id].opinions {
		if o.Status == "locked" {
			last = o.SHA256
		}
	}
	return last
}

// Whatever has happened, a case can be led to its end by those whom the table names, with
// nothing open on it: no step but one of theirs is needed, and none of the end that gives
// up (cancel, reject, declare-error) where somebody is there who may go on.
func TestFromWhateverHasHappenedACaseCanBeLedToItsEnd(t *testing.T) {
	t.Parallel()
	reached := map[State]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w := newWard(rt)
		for range rapid.IntRange(0, 14).Draw(rt, "head start") {
			if !w.goesOn(w.now()) {
				break
			}
		}
		for range rapid.IntRange(0, 15).Draw(rt, "steps") {
			if rapid.IntRange(0, 2).Draw(rt, "outside") == 0 {
				w.happens()
			} else {
				w.acts()
			}
		}
		reached[w.now().State]++
		w.grade = &agreement
		for range 150 {
			c := w.now()
			if w.over(c) {
				return
			}
			if !w.goesOn(c) {
				w.Fatalf("nobody can go on: %s, open %+v, first %+v\n%v", c.State, w.m.OpenMatters(w.id), w.facts.First, w.trace)
			}
			w.tick(0)
		}
		w.Fatalf("it goes round in circles: %s, open %+v\n%v", w.now().State, w.m.OpenMatters(w.id), w.trace[max(0, len(w.trace)-40):])
	})
	t.Logf("led to the end from %v", reached)
}

func (w *ward) over(c Case) bool {
	return slices.Contains(in(Closed, Rejected, Cancelled, Failed, EnteredInError), c.State) && len(w.m.OpenMatters(w.id)) == 0
}

const (
	asReader   = access.Reader
	decides    = access.Adjudicator
	supervises = access.Supervisor
	office     = access.Coordinator
	director   = access.Director
	placer     = access.Placer
)

// goesOn does the next of the steps that lead on; false where nobody may do any.
func (w *ward) goesOn(c Case) bool {
	why := Input{Reason: "because", Independent: true, Facts: w.facts, SHA256: w.onTable(c)}
	grade := w.grade
	if !c.comparable() {
		grade = &verdict
	}
	graded := why
	graded.Grade = grade
	locked := why
	locked.Opinion = &opinion
	signers := []access.Role{asReader, decides, supervises}
	switch c.State {
	case Received:
		w.tick(time.Minute)
		return w.now().State != Received
	case IntakeReview:
		return w.any("resolve", why, office) || w.any("reject", why, office)
	case AwaitingInformation, AwaitingImages:
		return w.any("proceed", why, office) || w.any("give-up", why, office) || w.any("reject", why, office)
	case Ready:
		return w.any("claim", why, asReader) || w.any("forgo-second", why, office) || w.any("reject", why, office)
	case Unassignable:
		return w.any("forgo-second", why, office) || w.any("give-up", why, office)
	case Offered:
		return w.any("claim", why, asReader) || w.any("withdraw-offer", why, office)
	case Accepted, Reading:
		return w.any("lock", locked, asReader) || w.any("release", why, office)
	case Conferring:
		return w.any("concur", why, asReader) || w.any("refer", why, office) || w.any("release", why, office)
	case Locked:
		return w.any("reveal", why, asReader, decides) || w.any("release", why, office)
	case Comparing:
		return w.any("sign", why, asReader, decides) || w.any("grade", graded, asReader, decides) && w.any("sign", why, asReader, decides) || w.any("release", why, office)
	case Arbitration, Adjudication:
		return w.decided(c, why, grade)
	case AwaitingCosign:
		return w.any("sign", why, supervises) || w.any("sign", graded, supervises) || w.any("release", why, office)
	case OnHold:
		return w.any("continue-reading", why, office) || w.any("restart-reading", why, office) || w.any("resume", why, placer)
	case Final, Closed, Amending:
		if w.settled(c, grade, signers) {
			return true
		}
		if c.State == Final && w.any("acknowledge", why, placer) {
			return true
		}
		return w.any("declare-error", why, director) // nobody is there who is independent
	case Cancelled, Failed, Rejected:
		return w.settled(c, grade, signers)
	}
	return false
}

// decided: a third reader takes it, and decides; or the director does without.
func (w *ward) decided(c Case, why Input, grade *Grade) bool {
	if c.AdjudicatorID == nil {
		return w.any("claim", why, decides) || w.any("forgo-third", why, director)
	}
	event := map[State]Event{Arbitration: "arbitrate", Adjudication: "adjudicate"}[c.State]
	if c.State == Adjudication && w.any("sign", why, decides) {
		return true
	}
	why.Grade = grade
	for _, decision := range []string{"first", "second", "own"} {
		why.Decision = decision
		if decision == "own" {
			why.Opinion = &opinion
		}
		if w.any(event, why, decides) {
			return true
		}
	}
	return w.any("lock", Input{Opinion: &opinion}, decides) || w.any("release", why, office)
}

// settled: what is open is settled, the first that anybody can settle.
func (w *ward) settled(c Case, grade *Grade, signers []access.Role) bool {
	amendment := &Amendment{Kind: "amendment", Reason: "r", Text: "t"}
	for _, m := range w.m.OpenMatters(w.id) {
		in := Input{Matter: m.No, Reason: "because", Answer: "Yes.", Grade: grade}
		switch m.Kind {
		case FindingMatter:
			if w.any("acknowledge-finding", in, placer) {
				return true
			}
		case QuestionMatter:
			if c.State != Amending && (w.any("answer", in, signers...) || w.any("withdraw-question", in, placer)) {
				return true
			}
		case VerificationMatter:
			verifies := *amendment
			verifies.Verifies = true
			in.Amendment = &verifies
			if c.State == Amending && (w.any("sign", in, signers...) || w.any("dismiss-verification", in, director)) {
				return true
			}
			if c.State != Amending && (w.any("verify", in, signers...) || w.any("amend", in, signers...) || w.any("dismiss-verification", in, director)) {
				return true
			}
		}
	}
	if c.State == Amending {
		in := Input{Reason: "because", Amendment: amendment}
		return w.any("sign", in, signers...) || w.any("withdraw-amendment", in, director)
	}
	return false
}

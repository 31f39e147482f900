package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Whatever anybody does in whatever order: an event either happens by a row of
// the table, or is refused with a reason and leaves no trace; the database's
// constraints are never met; and the history leads to the state of the row.
func TestRandomHistoriesKeepToTheTable(t *testing.T) {
	t.Parallel()
	houses := []*house{newHouse(t, `{"assignment": "offer"}`), newHouse(t, `{"assignment": "pool", "adjudicateOn": "minor", "contacts": {"coordinator": ["desk@north.example"]}}`),
		newHouse(t, `{"reading": "mixed", "blindAdjudication": true, "adjudicateOn": "minor"}`), newHouse(t, `{"reading": "consensus", "triage": [{"when": {"modality": ["MR"]}, "then": {"subspecialty": "neuro", "reading": "recall-if-one-suggests"}}]}`)}
	rapid.Check(t, func(rt *rapid.T) {
		h := houses[rapid.IntRange(0, len(houses)-1).Draw(rt, "house")]
		c := h.open(func(f *Facts) {
			patient := uuid.NewString() // of this case alone: whoever opens the record reads none of theirs
			f.OrderPatient, f.Study.Patient, f.Original.Patient = patient, patient, patient
			switch rapid.IntRange(0, 5).Draw(rt, "facts") {
			case 0:
				f.Original = nil
			case 1:
				f.Study.Instances = 2
			case 2:
				f.OrderModality = "MR"
			}
		})
		h.tick()
		h.headStart(rt, c)
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			if rapid.IntRange(0, 3).Draw(rt, "who acts") == 0 {
				h.pass(time.Duration(rapid.SampledFrom([]int{0, 1, 10, 100}).Draw(rt, "hours")) * time.Hour)
				continue
			}
			if rapid.IntRange(0, 7).Draw(rt, "emergency") == 0 {
				h.breaksGlass(rapid.SampledFrom([]access.Actor{h.anna, h.ben, h.trainee, as(h.carl, access.Adjudicator)}).Draw(rt, "who opens the record"), h.find(c))
			}
			h.randomEvent(rt, h.find(c))
		}
		h.replays(c)
		h.readingsFit(rt, h.find(c))
		h.agendaFits(rt, h.find(c))
		h.timesFit(rt, h.find(c))
		h.escalationsFit(rt, h.find(c))
		h.mattersFit(rt, h.find(c))
		h.factsFit(rt, h.find(c))
	})
}

// headStart takes the case some way along, so that the late states are met as
// often as the early ones.
func (h *house) headStart(rt *rapid.T, c Case) {
	c = h.find(c)
	reader := rapid.SampledFrom([]access.Actor{h.anna, h.trainee}).Draw(rt, "reader")
	carl := as(h.carl, access.Adjudicator)
	grade := rapid.SampledFrom([]*Grade{&agreement, &majorMiss}).Draw(rt, "first grade")
	way := []func(){
		func() { h.fire(h.coordinator, c, "offer", Input{ReaderID: &reader.ID}) },
		func() { h.fire(reader, c, "claim", Input{Independent: true}) },
		func() {
			if rapid.IntRange(0, 2).Draw(rt, "opens the record") == 0 {
				h.breaksGlass(reader, h.find(c))
			}
			h.fire(reader, c, "lock", Input{Opinion: &opinion})
		},
		func() { h.fire(reader, c, "reveal", Input{}) },
		func() { h.fire(reader, c, "grade", Input{Grade: grade}) },
		func() {
			if h.find(c).State == Adjudication {
				h.fire(carl, c, "claim", Input{Independent: true})
				h.fire(carl, c, "adjudicate", Input{Grade: &minorMiss})
				h.fire(carl, c, "sign", Input{})
				return
			}
			h.fire(reader, c, "sign", Input{})
		},
	}
	if c.Reading != SingleReading {
		way = h.wayOfTwo(rt, c)
	}
	if c.State == Offered {
		h.fire(h.coordinator, c, "withdraw-offer", Input{})
	} else if c.State != Ready {
		return
	}
	for _, step := range way[:rapid.IntRange(0, len(way)).Draw(rt, "head start")] {
		step()
	}
}

// breaksGlass opens the record of the case's patient in an emergency, as a person of whom
// it is the first.
func (h *house) breaksGlass(who access.Actor, c Case) {
	h.Helper()
	if c.PatientID == nil {
		return
	}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		_, err := EmergencyTx(ctx, tx, who, uuid.New(), *c.PatientID, "the surgeon stands at the table and asks")
		return err
	})
}

// ends are the events after which little can happen; they are drawn less often.
var ends = []Event{"cancel", "declare-error", "reject", "give-up"}

// randomEvent fires one of the events that the state takes, or, now and then,
// any.
func (h *house) randomEvent(rt *rapid.T, c Case) {
	var events []Event
	sensible := rapid.IntRange(0, 9).Draw(rt, "sensible") > 0
	mayEnd := rapid.IntRange(0, 7).Draw(rt, "may end") == 0
	for _, row := range Transitions {
		if !mayEnd && slices.Contains(ends, row.Event) {
			continue
		}
		people := slices.ContainsFunc(row.By, func(r access.Role) bool { return r != access.System })
		if people && (!sensible || slices.Contains(row.From, c.State)) {
			events = append(events, row.Event)
		}
	}
	if events == nil {
		return
	}
	event := rapid.SampledFrom(events).Draw(rt, "event")
	actor := h.randomActor(rt, c, event)
	ch, err := h.engine.Fire(context.Background(), actor, c.CaseID, event, h.randomInput(rt, c))
	after := h.find(c)
	switch {
	case err == nil && ch.Draft != nil && event == "draft":
		if after.Version != c.Version || after.State != c.State {
			rt.Fatalf("a draft is told: from %s at %d to %s at %d", c.State, c.Version, after.State, after.Version)
		}
	case err == nil:
		if after.Version != c.Version+1 || ch.Case.State != after.State || ch.Before != c.State {
			rt.Fatalf("%s: from %s at %d to %s at %d", event, c.State, c.Version, after.State, after.Version)
		}
	case after.Version != c.Version || after.State != c.State:
		rt.Fatalf("%s was refused (%v) and left a trace", event, err)
	case !fault.Is(err, takes(c.State, event, actor.Role)) && !fault.Is(err, fault.Forbidden) && !fault.Is(err, fault.BusinessRule) &&
		(event != "draft" && event != "lock" && event != "acknowledge" || !fault.Is(err, fault.Conflict)): // a draft may have gone on; who has closed it has read what is in force
		rt.Fatalf("%s on a case that is %s: %v", event, c.State, err)
	}
}

// takes is the kind of fault that the table alone foresees.
func takes(s State, ev Event, role access.Role) fault.Kind {
	kind := fault.Conflict
	for _, row := range Transitions {
		if row.Event == ev && slices.Contains(row.From, s) {
			if slices.Contains(row.By, role) {
				return fault.BusinessRule
			}
			kind = fault.Forbidden
		}
	}
	return kind
}

func (h *house) randomActor(rt *rapid.T, c Case, event Event) access.Actor {
	people := []access.Actor{h.placer, h.coordinator, h.director, h.director2, h.anna, h.ben, h.trainee,
		as(h.carl, access.Adjudicator), as(h.carl, access.Supervisor)}
	var fit []access.Actor
	for _, a := range people {
		for _, row := range Transitions {
			if row.Event == event && slices.Contains(row.From, c.State) && slices.Contains(row.By, a.Role) &&
				(a.Role != access.Reader || c.ReaderID == nil || c.IsOneOfTwo(a.ID)) {
				fit = append(fit, a)
			}
		}
	}
	if fit == nil || rapid.IntRange(0, 9).Draw(rt, "stranger") == 0 {
		fit = people
	}
	return rapid.SampledFrom(fit).Draw(rt, "actor")
}

func (h *house) randomInput(rt *rapid.T, c Case) Input {
	in := Input{Priority: rapid.SampledFrom(Priorities).Draw(rt, "priority"), Reason: "because", Independent: true, Opinion: &opinion, ReaderID: &h.trainee.ID}
	in.Grade = rapid.SampledFrom([]*Grade{&agreement, &minorMiss, &majorMiss, {NoComparisonReason: "original-unusable", NoComparison: "cut off"}, nil}).Draw(rt, "grade")
	in.Amendment = &Amendment{Kind: rapid.SampledFrom([]string{"addition", "correction", "amendment", "whim"}).Draw(rt, "kind"), Reason: "r", Text: "t"}
	in.Finding = &RaisedFinding{Category: rapid.SampledFrom(categories).Draw(rt, "category"), Text: rapid.SampledFrom([]string{"Bleeding.", "Free air."}).Draw(rt, "finding")}
	in.Call = &Call{Reached: rapid.Bool().Draw(rt, "reached"), Content: CallContent{Recipient: "Dr Jones", Medium: "phone"}}
	in.Call.Content.ReadBack = in.Call.Reached && rapid.Bool().Draw(rt, "read back")
	in.Question, in.Answer = &Asked{Text: rapid.SampledFrom([]string{"Which side?", "How large?"}).Draw(rt, "question")}, "As the report says."
	in.Matter = rapid.SampledFrom([]int{0, 0, 0, 1, 2, 3}).Draw(rt, "matter")
	in.ReportNo = rapid.IntRange(0, c.ReportNo).Draw(rt, "version")
	for no := 1; no <= rapid.IntRange(0, 3).Draw(rt, "findings judged"); no++ {
		in.Outcomes = append(in.Outcomes, FindingOutcome{no, rapid.SampledFrom(Outcomes).Draw(rt, "outcome")})
	}
	if in.Amendment.Kind == "addition" || rapid.IntRange(0, 4).Draw(rt, "terse") == 0 {
		in.Opinion = nil
	}
	if no := rapid.IntRange(-1, 2).Draw(rt, "follows"); no >= 0 {
		in.DraftNo = &no
	}
	if rapid.IntRange(0, 1).Draw(rt, "another text") == 0 {
		in.Opinion = &Opinion{Findings: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "text"), Impression: "i", Actionable: "urgent"}
	}
	in.Decision = rapid.SampledFrom([]string{"", "first", "second", "own"}).Draw(rt, "decision")
	if all := h.sealed(c); len(all) > 0 {
		in.SHA256 = rapid.SampledFrom(all).Draw(rt, "text on the table").SHA256
	}
	return in
}

func (h *house) sealed(c Case) (all []Sealed) {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		all, err = sealedTx(ctx, tx, c.CaseID)
		return err
	})
	return all
}

// wayOfTwo is a head start where two read.
func (h *house) wayOfTwo(rt *rapid.T, c Case) []func() {
	carl := as(h.carl, access.Adjudicator)
	pressing := Opinion{Findings: "Another nodule.", Impression: "Cancer.", Actionable: "urgent"}
	way := []func(){
		func() { h.fire(h.anna, c, "claim", Input{Independent: true}) },
		func() { h.fire(h.anna, c, "lock", Input{Opinion: &opinion}) },
		func() { h.fire(h.trainee, c, "claim", Input{Independent: true}) },
		func() { h.fire(h.trainee, c, "lock", Input{Opinion: &pressing}) },
	}
	third := []func(){
		func() { h.fire(h.coordinator, c, "refer", Input{Reason: "they differ"}) },
		func() { h.fire(carl, c, "claim", Input{Independent: true}) },
		func() { h.fire(carl, c, "lock", Input{Opinion: &pressing}) },
		func() { h.fire(carl, c, "arbitrate", Input{Decision: "own"}) },
		func() { h.fire(carl, c, "reveal", Input{}) },
	}
	if c.Reading == RecallIfOne {
		return append(way, func() { h.fire(h.trainee, c, "reveal", Input{}) })
	}
	if rapid.Bool().Draw(rt, "arbitrated") {
		return append(way, third...)
	}
	return append(way, func() {
		h.fire(h.anna, c, "concur", Input{SHA256: h.sealed(c)[1].SHA256})
	}, func() { h.fire(h.trainee, c, "reveal", Input{}) })
}

// readingsFit: no opinion that was sealed is gone or changed; nobody has read a
// case twice; what is in force is an opinion of the case; who decided between two
// is neither; and a case that was signed by two opinions says how they became one.
func (h *house) readingsFit(rt *rapid.T, c Case) {
	all := h.sealed(c)
	history := map[string]int{}
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		records, err := HistoryTx(ctx, tx, c.CaseID)
		for _, r := range records {
			var said struct {
				SHA256        string
				OpinionSHA256 string
				OpinionNo     int
			}
			if err := json.Unmarshal(r.Detail, &said); err != nil {
				return err
			}
			if said.OpinionNo > 0 && said.SHA256 != "" {
				history[said.SHA256]++
				history[said.OpinionSHA256]++
			}
		}
		return err
	})
	inForce, readers := false, map[string]ReadingPart{}
	for _, o := range all {
		_, sum, err := canonical(o.Content)
		if err != nil || hexOf(sum) != o.SHA256 {
			rt.Errorf("opinion %d is not what was sealed: %v", o.OpinionNo, err)
		}
		if o.Status == "locked" && history[o.SHA256] == 0 {
			rt.Errorf("opinion %d was sealed by no event", o.OpinionNo)
		}
		if before, read := readers[o.ReaderID.String()]; read && o.Status == "locked" && (o.Part == PartFirst || o.Part == PartSecond) {
			rt.Errorf("somebody gave the opinions %s and %s", before, o.Part)
		}
		if o.Part == PartFirst || o.Part == PartSecond {
			readers[o.ReaderID.String()] = o.Part
		}
		inForce = inForce || c.OpinionNo != nil && *c.OpinionNo == o.OpinionNo && o.Status == "locked"
	}
	switch {
	case c.OpinionNo != nil && !inForce:
		rt.Errorf("opinion %d is in force, and is none", *c.OpinionNo)
	case c.AdjudicatorID != nil && c.IsOneOfTwo(*c.AdjudicatorID):
		rt.Error("the third reader is one of the two")
	case c.double() && c.FinalAt != nil && (c.Settled == nil || c.OpinionNo == nil):
		rt.Errorf("it is %s by two who have not come to one opinion", c.State)
	case c.Unsettled() && c.RevealedAt != nil:
		rt.Error("the original was revealed before two had come to one opinion")
	}
}

// agendaFits: nothing waits for a case that is over, and every row has its
// place in the state.
func (h *house) agendaFits(rt *rapid.T, c Case) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT kind FROM agenda WHERE case_id = $1`, c.CaseID)
		if err != nil {
			return err
		}
		kinds, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, kind := range kinds {
			state := c.State
			if state == OnHold {
				state = *c.ResumeState
			}
			if it, ok := h.engine.item(kind); !ok || !slices.Contains(it.While, state) {
				rt.Errorf("%s is on the agenda of a case that is %s", kind, c.State)
			}
		}
		return err
	})
}

// timesFit: who waited for whom follows from the history; the times add up; and
// the final clock, which counts for itself, has what the net time leaves of its
// limit, until it is breached: then the deadline that was missed stays.
func (h *house) timesFit(rt *rapid.T, c Case) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		waits, err := WaitsTx(ctx, tx, c.CaseID)
		if err != nil {
			return err
		}
		if want := h.waitsByHistory(ctx, tx, c); !cmp.Equal(want, waits, cmpopts.EquateEmpty()) {
			rt.Errorf("waits: %s", cmp.Diff(want, waits))
		}
		now := time.Now()
		times := TimesOf(c, waits, now, false)
		var all time.Duration
		for _, waited := range times.Waited {
			all += waited
		}
		if times.Net < 0 || times.Net > times.Gross || all > times.Gross {
			rt.Errorf("times do not add up: %+v", times)
		}
		var deadline *time.Time
		var left *float64
		err = tx.QueryRow(ctx, `SELECT deadline_at, remaining_s FROM agenda WHERE case_id = $1 AND kind = 'clock-final' AND stage < 100`, c.CaseID).Scan(&deadline, &left)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		remains := deadline.Sub(now)
		if left != nil {
			remains = time.Duration(*left * float64(time.Second))
		}
		if off := c.limit(ClockFinal).Length - times.Net - remains; off.Abs() > 50*time.Millisecond {
			rt.Errorf("the final clock has %s left and the net time is %s of %s: off by %s", remains, times.Net, c.limit(ClockFinal), off)
		}
		return err
	})
}

// waitsByHistory are the waits of a case as its events tell them.
func (h *house) waitsByHistory(ctx context.Context, tx pgx.Tx, c Case) (out []Wait) {
	history, err := HistoryTx(ctx, tx, c.CaseID)
	if err != nil {
		h.Fatal(err)
	}
	var state State
	for i, r := range history {
		if r.ToState == state {
			continue
		}
		if state = r.ToState; len(out) > 0 && out[len(out)-1].EndedAt == nil {
			out[len(out)-1].EndedAt = &history[i].OccurredAt
		}
		var said struct{ Findings []Finding }
		if err := json.Unmarshal(r.Detail, &said); err != nil {
			h.Fatal(err)
		}
		then := Case{State: state, Findings: said.Findings}
		if w, waiting := then.waitOf(); waiting {
			w.WaitNo, w.BeganAt = len(out)+1, r.OccurredAt
			out = append(out, w)
		}
	}
	return out
}

// mattersFit: what is open has its clock, and what is settled has none; nothing
// is open of a case that was entered in error; a case is closed only without an
// emergent finding that is open, and when the version in force was read.
func (h *house) mattersFit(rt *rapid.T, c Case) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		all, err := MattersTx(ctx, tx, c.CaseID)
		if err != nil {
			return err
		}
		read, err := AcknowledgementsTx(ctx, tx, c.CaseID)
		if err != nil {
			return err
		}
		if c.State == Closed && !slices.ContainsFunc(read, func(a Acknowledgement) bool { return a.ReportNo == c.ReportNo }) {
			rt.Errorf("the case is closed, and nobody has read version %d, which is in force", c.ReportNo)
		}
		reports, err := ReportsTx(ctx, tx, c.CaseID)
		if err != nil {
			return err
		}
		for _, m := range all {
			if n := len(reports); n > 0 && slices.Contains(signed, c.State) && m.Withdrawn() && reports[n-1].tells(m) {
				rt.Errorf("the report in force tells of finding %d, which was withdrawn", m.No)
			}
			var runs bool
			err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM agenda WHERE case_id = $1 AND kind = $2)`, c.CaseID, kindOf(m.clock())).Scan(&runs)
			switch {
			case err != nil:
				return err
			case runs != m.Open():
				rt.Errorf("%s %d: open %t, its clock runs: %t", m.Kind, m.No, m.Open(), runs)
			case m.Open() && c.State == EnteredInError:
				rt.Errorf("%s %d is open on a case that was entered in error", m.Kind, m.No)
			case m.Open() && m.Category == "emergent" && c.State == Closed:
				rt.Errorf("the case is closed, and nobody has acknowledged emergent finding %d", m.No)
			}
		}
		return nil
	})
}

// escalationsFit: each chain was told in its order and without a gap, one of
// its links at most waits for the next, nothing was told after somebody had
// taken note or the clock had ended, and nothing stays open of a clock that has. A
// reminder of an emergency ends the one before it, when it is told.
func (h *house) escalationsFit(rt *rapid.T, c Case) {
	h.in(func(ctx context.Context, tx pgx.Tx) error {
		var wrong []string
		for what, sql := range map[string]string{
			"two links of a chain wait for the next": `
				SELECT clock FROM escalation WHERE case_id = $1 AND next_at IS NOT NULL
				GROUP BY clock, clock_started_at, stage, rule HAVING count(*) > 1`,
			"a later link was told before an earlier one, or after somebody had taken note": `
				SELECT a.clock FROM escalation a JOIN escalation b USING (tenant_id, case_id, clock, clock_started_at, stage, rule)
				WHERE case_id = $1 AND a.link < b.link AND (a.told_at > b.told_at
				  OR a.ended_at < b.told_at AND (a.link = b.link - 1 OR a.clock !~ '^finding-(emergent|urgent)/')
				  OR a.heeded_at < b.told_at AND a.clock !~ '^finding-(emergent|urgent)/')`,
			"it is open though its clock has ended": `
				SELECT clock FROM escalation e WHERE case_id = $1 AND heeded_at IS NULL AND ended_at IS NULL
				AND NOT EXISTS (SELECT FROM agenda a WHERE a.case_id = e.case_id AND a.kind = 'clock-' || e.clock AND a.started_at = e.clock_started_at)`,
			"it was told before its stage": `
				SELECT clock FROM escalation e WHERE case_id = $1 AND NOT EXISTS (
					SELECT FROM case_event v WHERE v.case_id = e.case_id AND v.occurred_at <= e.told_at
					AND (v.event IN ('warn', 'breach') AND v.detail->>'clock' = e.clock AND (v.detail->>'percent')::int = e.stage
					     OR v.event = 'find-no-third' AND e.clock = 'adjudicate'))`,
			"the next link is due and not on the agenda": `
				SELECT clock FROM escalation e WHERE case_id = $1 AND next_at IS NOT NULL AND heeded_at IS NULL AND ended_at IS NULL
				AND NOT EXISTS (SELECT FROM agenda a WHERE a.case_id = e.case_id AND a.kind = 'escalate')`,
		} {
			rows, err := tx.Query(ctx, sql, c.CaseID)
			if err != nil {
				return err
			}
			clocks, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil {
				return err
			}
			for _, clock := range clocks {
				wrong = append(wrong, clock+": "+what)
			}
		}
		if wrong != nil {
			rt.Errorf("%v", wrong)
		}
		return nil
	})
}

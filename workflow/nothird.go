package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A case that waits for a third reader whom there is not: the coordinator is told
// at once, the case is broadened as one is that has no first reader, and in the
// end a director does without. A known difference must reach the clinician.

var lookForThird = Effect{"lookForThird", "whether somebody may be the third reader is looked at at once, and then again and again while nobody has the case",
	func(ctx context.Context, t *turn) error {
		t.c.Findings = nil
		return t.plan(ctx, findThird, t.now, restart)
	}}

// findThird tells when nobody may be the third reader, and when somebody may again.
func (e *Engine) findThird(ctx context.Context, j job) (time.Time, error) {
	if j.c.AdjudicatorID != nil {
		return done, nil
	}
	told := j.c.NoThird()
	found, reasons, err := thirdReader(ctx, j, !told)
	if err != nil {
		return done, err
	}
	again := j.now.Add(matchPause)
	switch {
	case !found && !told:
		f := nobody(reasons)
		f.Code, f.Text = noThirdReader, Phrase("as the third reader, %s", f.Text)
		return again, e.fireSystem(ctx, j, "find-no-third", Input{Candidates: reasons, Findings: []Finding{f}})
	case found && told:
		return again, e.fireSystem(ctx, j, "find-third", Input{})
	}
	return again, nil
}

const noThirdReader = "no-third-reader" // code of the finding

// NoThird tells that nobody may be the case's third reader, as was last seen.
func (c *Case) NoThird() bool {
	return slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Code == noThirdReader })
}

// thirdReader tells whether there is one, and where it is asked for why nobody may be;
// absences do not count, since the clock tells of whoever does not come.
func thirdReader(ctx context.Context, j job, why bool) (found bool, reasons map[uuid.UUID][]string, err error) {
	need, err := j.ledger.need(ctx, j.c, ToAdjudicate)
	if err != nil {
		return false, nil, err
	}
	readers, err := j.ledger.staff(ctx, need)
	if err != nil {
		return false, nil, err
	}
	if anyEligible(need, readers, j.now) {
		return true, nil, nil
	}
	if !why {
		return false, nil, nil
	}
	reasons = map[uuid.UUID][]string{}
	for _, r := range readers {
		reasons[r.ID] = Eligible(need, r, j.now)
	}
	return false, reasons, nil
}

var tellOffice = Effect{"tellOffice", "the coordinator is told at once, by the policy's ways; further as the chain goes. The next step of the policy's ladder comes when its time is over",
	func(ctx context.Context, t *turn) error {
		if rung, ok := t.c.nextRung(); ok {
			if err := t.plan(ctx, broadenNext, t.c.Policy.Calendar.Add(t.now, rung.After), restart); err != nil {
				return err
			}
		}
		return t.tellCoordinator(ctx, ClockAdjudicate)
	}}

// tellCoordinator tells the coordinator at once of what a clock runs for, as the
// first rule about that clock does, or any other where there is none.
func (t *turn) tellCoordinator(ctx context.Context, clock ClockName) error {
	rules := t.c.Policy.rules()
	office := func(l Link) bool { return l.Tell == TellCoordinator }
	of := func(mine func(Escalation) bool) int {
		return slices.IndexFunc(rules, func(r Escalation) bool {
			return mine(r) && slices.ContainsFunc(r.Chain, office) && (len(r.Priorities) == 0 || slices.Contains(r.Priorities, t.c.Priority))
		})
	}
	i := of(func(r Escalation) bool { return r.Clock == clock.family() })
	if i < 0 { // the policy tells nobody of that clock
		i = of(func(Escalation) bool { return true })
	}
	if i < 0 {
		return nil
	}
	started, err := t.startOf(ctx, clock)
	if clock == ClockOrigin { // which never runs
		started = &t.now
	}
	if err != nil || started == nil { // where the policy gives no time, the Task alone tells it
		return err
	}
	told := Told{Clock: clock, Started: *started, Rule: i, Link: slices.IndexFunc(rules[i].Chain, office)}
	if err := t.tell(ctx, told); err != nil {
		return err
	}
	return t.planEscalation(ctx)
}

var forgetFindings = Effect{"forgetFindings", "what stood in the way does no more",
	func(_ context.Context, t *turn) error {
		t.c.Findings = nil
		return nil
	}}

var thirdIsMissing = Guard{"thirdIsMissing", "no third reader has the case",
	func(_ context.Context, t *turn) error {
		if t.c.AdjudicatorID != nil {
			return refuse("a third reader has this case; where they do not come, release it first")
		}
		return nil
	}}

// A third reader decides between readings. Who made one of them does not decide that there
// shall be none: their own would go on unopposed.
var mayForgoThird = Guard{"mayForgoThird", "the director has had no part in the reading of the case, and cannot have made the original",
	func(ctx context.Context, t *turn) error {
		return t.uninvolved(ctx, "another director does without a third reader; or the coordinator broadens the case ($broaden)", func(me uuid.UUID) (bool, error) {
			if t.c.IsOneOfTwo(me) {
				return true, nil
			}
			return t.ledger.hasRead(ctx, t.c.CaseID, me)
		})
	}}

var forgoThird = Effect{"forgoThird", "nobody decides between the two, and the report will say so, with the director's reason; its reader goes on to the signature",
	func(_ context.Context, t *turn) error {
		t.c.Exam.ThirdForgone = fmt.Sprintf("No third reader was available to decide. The medical director has let the report go on without one: %s.",
			strings.TrimRight(strings.TrimSpace(t.in.Reason), "."))
		t.c.Findings, t.c.Veiled = nil, false
		t.detail["thirdForgone"] = true
		return nil
	}}

// noteThird keeps for the report that the third reader is none of those who should
// read the case.
func (t *turn) noteThird(ctx context.Context) error {
	t.c.Findings = nil
	if t.c.Exam.Broadened == nil {
		return nil
	}
	r, err := t.ledger.reader(ctx, t.actor.ID)
	if err != nil {
		return err
	}
	t.c.Exam.ThirdDowngrade = strings.Replace(t.c.Exam.downgrade(r.fields(DateOf(r.local(t.now)))), "Read by", "Decided by", 1)
	return nil
}

// AboutReaders is what the report says of who read it and who decided: that they
// are none of those who should, or that nobody decided. It names nobody.
func (e Exam) AboutReaders() string {
	said := slices.DeleteFunc([]string{e.Downgrade, e.ThirdDowngrade, e.ThirdForgone}, func(s string) bool { return s == "" })
	return strings.Join(said, " ")
}

package simulation

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/overread/overread/workflow"
)

// watchedMatter is a finding, a question or a verification that is open, with its clock: it never
// stands still, on hold neither, and goes on when the case is over.
type watchedMatter struct {
	family string // finding-urgent, question, reverify
	run    watchedClock
	limit  workflow.Span
	told   bool // somebody was
}

func (m *watchedMatter) clock(no int) workflow.ClockName {
	return workflow.ClockName(fmt.Sprint(m.family, "/", no))
}

// listed: what is opened has a clock from then on, until it is settled.
func (k *checker) listed(ch *workflow.Change, w *watched) {
	for no, m := range w.matters {
		k.late(m.clock(no), &m.run, m.limit, fourStages, ch.At)
	}
	for _, m := range ch.Matters {
		if m.Kind == workflow.FindingMatter && m.Withdrawn() {
			w.takenBack = append(w.takenBack, m.No)
		}
		switch known := w.matters[m.No]; {
		case known != nil && m.SettledAt != nil:
			delete(w.matters, m.No)
		case known == nil && m.SettledAt == nil:
			at := ch.At
			watched := &watchedMatter{family: "question", run: watchedClock{since: &at}, limit: k.limit(&ch.Case, workflow.ClockQuestion)}
			switch m.Kind {
			case workflow.VerificationMatter:
				watched.family, watched.limit = "reverify", k.limit(&ch.Case, workflow.ClockReverify)
			case workflow.FindingMatter:
				w.findings++
				limits := k.policy.Findings
				watched.family = "finding-" + m.Category
				watched.limit = map[string]workflow.Span{"emergent": limits.Emergent, "urgent": limits.Urgent, "non-critical": limits.NonCritical}[m.Category]
			}
			if w.matters == nil {
				w.matters = map[int]*watchedMatter{}
			}
			w.matters[m.No] = watched
		}
	}
	if r := ch.Report; r != nil && r.Status != "entered-in-error" {
		for _, f := range r.Findings {
			if slices.Contains(w.takenBack, f.No) {
				k.wrong("withdrawn finding reported", "version %d tells of finding %d, which was taken back", r.No, f.No)
			}
		}
	}
	if o := ch.Input.Opinion; ch.Event == "lock" && o != nil && pressing(o.Actionable) && w.findings == 0 {
		k.wrong("finding without a clock", "an opinion was sealed that is %s, and nothing waits for who is told of it", o.Actionable)
	}
	if r := ch.Report; r != nil && ch.Event == "sign" && r.Level == workflow.LevelMajor && w.findings == 0 {
		k.wrong("finding without a clock", "a report with a major difference was signed, and nothing waits for who is told of it")
	}
}

func pressing(category string) bool { return category == "urgent" || category == "emergent" }

// spokenOf: the clock of a finding or a question speaks when its time has come, once
// at each stage, and when it is over somebody has been told.
func (k *checker) spokenOf(ch *workflow.Change, w *watched, family, number string, stage int) {
	no, _ := strconv.Atoi(number)
	m := w.matters[no]
	if m == nil || m.family != family {
		k.wrong("deadline without a clock", "%s of %s/%s", ch.Event, family, number)
		return
	}
	if slices.Contains(m.run.spoken, stage) {
		k.wrong("deadline twice", "%s at %d %%", m.clock(no), stage)
	}
	m.run.spoken = append(m.run.spoken, stage)
	if ran, due := k.ran(&m.run, m.limit.Business, ch.At), stageOf(m.limit, stage); ran < due-early {
		k.wrong("deadline early", "%s at %d %% after %s of %s", m.clock(no), stage, ran, m.limit)
	}
	m.told = m.told || len(ch.Told) > 0
	if ch.Event == "breach" && !m.told {
		k.wrong("no acknowledgement path", "%s is beyond its limit, and nobody was told", m.clock(no))
	}
}

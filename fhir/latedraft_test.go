package fhir

import (
	"net/http"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
)

// What is being written when the case is taken away is kept, for its author alone.
func TestWhatIsWrittenForACaseThatIsTakenAwayIsKept(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
	task := c.order(chestXray(t, "late-draft")...)
	c.tick()
	anna := c.tokens[access.Reader]
	c.addColleague(access.Reader, "Dr Next", everything)
	next := c.tokens[access.Reader]
	drafts := func(token string) string {
		return c.by(token).do(access.Reader, "GET", "/fhir/Task/"+task+"/$drafts", "").body
	}
	late := func(name string, params ...any) string {
		t.Helper()
		got := c.by(anna).act(access.Reader, task, name, params...)
		if got.status != http.StatusConflict {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		return got.body
	}
	c.by(anna)
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	c.mustAct(access.Reader, task, "$draft", "findings", "One.", "impression", "one")

	c.mustAct(access.Placer, task, "$hold")
	c.mustAct(access.Reader, task, "$draft", "findings", "One, two.", "impression", "two", "follows", Object("valueInteger", 1))
	if got := late("$lock", "findings", "One, two, three.", "impression", "three", "follows", Object("valueInteger", 2)); !strings.Contains(got, "on hold, and nothing was locked. What you have sent is kept as version 3") {
		t.Error(got)
	}
	c.mustAct(access.Placer, task, "$resume")
	if got := drafts(anna); !strings.Contains(got, "One, two, three.") {
		t.Error(got)
	}

	c.mustAct(access.Coordinator, task, "$release", "reason", "she is ill")
	for range 2 {
		if got := late("$draft", "findings", "Zebra.", "impression", "four", "follows", Object("valueInteger", 3)); !strings.Contains(got, "kept, sealed, as version 4 of your draft of opinion 1") {
			t.Error(got)
		}
	}
	c.by(next)
	c.act(access.Reader, task, "$draft", "findings", "Not mine.", "impression", "x").want(t, http.StatusConflict, "conflict") // who never had it
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	if got := late("$lock", "findings", "Zebra two.", "impression", "five"); !strings.Contains(got, "version 5") {
		t.Error(got)
	}
	if got := drafts(next); strings.Contains(got, "Zebra") || strings.Contains(got, "One") || strings.Contains(got, "Not mine") {
		t.Errorf("the next reader sees it: %s", got)
	}
	if got := drafts(anna); !strings.Contains(got, "Zebra two.") {
		t.Errorf("its author does not have it: %s", got)
	}
	c.mustAct(access.Placer, task, "$cancel")
	c.by(next)
	if got := c.act(access.Reader, task, "$draft", "findings", "After all.", "impression", "six"); got.status != http.StatusConflict || !strings.Contains(got.body, "is kept, sealed, as version 1 of your draft of opinion 1") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

// An emergency that is sealed too late is told all the same, once; whether its reader
// had begun here, or wrote it elsewhere and sends all of it at once.
func TestAnEmergencyThatIsSealedTooLateIsTold(t *testing.T) {
	t.Parallel()
	for _, begun := range []bool{true, false} {
		t.Run(map[bool]string{true: "begun", false: "not begun"}[begun], func(t *testing.T) {
			t.Parallel()
			emergencySealedTooLate(t, begun)
		})
	}
}

func emergencySealedTooLate(t *testing.T, begun bool) {
	for name, end := range map[string]func(c *clinic, task string){
		"released":  func(c *clinic, task string) { c.mustAct(access.Coordinator, task, "$release", "reason", "she is ill") },
		"cancelled": func(c *clinic, task string) { c.mustAct(access.Placer, task, "$cancel") },
		"on hold":   func(c *clinic, task string) { c.mustAct(access.Placer, task, "$hold") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
			task := c.order(chestXray(t, "late-emergency")...)
			c.tick()
			c.mustAct(access.Reader, task, "$claim", "independent", true)
			if begun {
				c.mustAct(access.Reader, task, "$start")
			}
			end(c, task)
			matters := func() string { return c.do(access.Placer, "GET", "/fhir/Task/"+task+"/$matters", "").body }
			c.act(access.Reader, task, "$draft", "findings", "Air.", "impression", "Free air.", "actionable", Object("valueCode", "emergent"))
			if got := matters(); strings.Contains(got, "Free air.") {
				t.Errorf("a draft is told: %s", got)
			}
			for i := range 2 {
				got := c.act(access.Reader, task, "$lock", "follows", Object("valueInteger", i+1), "findings", "Much air.", "impression", "Free air.", "actionable", Object("valueCode", "emergent"))
				if got.status != http.StatusConflict || !strings.Contains(got.body, "was raised as a finding (emergent)") {
					t.Errorf("%d %s", got.status, got.body)
				}
			}
			if got := matters(); strings.Count(got, "Free air.") != 1 || !strings.Contains(got, "emergent") {
				t.Error(got)
			}
			if len(c.messages()) == 0 {
				t.Error("no EHR is told")
			}
		})
	}
}

// Two windows, and the older one seals an emergency while the case is on hold: its text
// does not follow the other's and is not kept, and the clinician is told all the same.
func TestAnEmergencyOfAnOldWindowOnHoldIsTold(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"assignment": "pool"}'`)
	task := c.order(chestXray(t, "old-window")...)
	c.tick()
	c.mustAct(access.Reader, task, "$claim", "independent", true)
	c.mustAct(access.Reader, task, "$start")
	c.mustAct(access.Reader, task, "$draft", "findings", "One.", "impression", "one")
	c.mustAct(access.Reader, task, "$draft", "findings", "Two.", "impression", "two", "follows", Object("valueInteger", 1))
	lock := func() response {
		return c.act(access.Reader, task, "$lock", "follows", Object("valueInteger", 1), "findings", "Much air.", "impression", "Free air.", "actionable", Object("valueCode", "emergent"))
	}
	if got := lock(); strings.Contains(got.body, "raised as a finding") { // they can send it anew
		t.Errorf("%d %s", got.status, got.body)
	}
	c.mustAct(access.Placer, task, "$hold")
	if got := lock(); got.status != http.StatusConflict || !strings.Contains(got.body, "was raised as a finding (emergent)") {
		t.Errorf("%d %s", got.status, got.body)
	}
}

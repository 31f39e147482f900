package fhir

import (
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/access"
)

// filed is a report of the study of a signed case as the EHR files it, by our reader.
func (c *clinic) filed(task, placer string, change func(n *Node)) (id string) {
	c.t.Helper()
	study := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3." + placer).ids()[0]
	n := Object("resourceType", "DiagnosticReport", "status", "final", "code", Object("text", "Chest X-ray"),
		"subject", c.task(task).Get("for"), "imagingStudy", []*Node{Object("reference", "ImagingStudy/"+study)},
		"conclusion", "Something.", "resultsInterpreter", []*Node{Object("display", "Dr Second Reader")})
	change(n)
	return c.mustCreate("DiagnosticReport", n.jsonText())
}

// What an EHR files of a study that is signed may be the original that comes late, our
// own report, or another one by our reader. Only the first one says that there is no
// independent opinion, and only it is compared with; where nobody can say, the
// coordinator is asked, and no clinician is alarmed.
func TestWhatIsFiledAfterTheSignatureIsAFirstReadingOnlyIfItWasMadeBefore(t *testing.T) {
	t.Parallel()
	const before = "2024-10-13T12:00:00-08:00" // when the images were made
	after := time.Now().Add(time.Hour).Format(time.RFC3339)
	ours := func(c *clinic, task string) string { return c.report(task).Text("conclusion") }
	order := func(c *clinic, task string) []*Node { return []*Node{c.task(task).Get("focus").Clone()} }
	const verdict, doubt, nothing = "verdict", "doubt", "nothing"
	for name, row := range map[string]struct {
		change func(c *clinic, task string, n *Node)
		want   string
	}{
		"the original, dated":       {func(_ *clinic, _ string, n *Node) { n.Set("issued", before) }, verdict},
		"entered in error":          {func(_ *clinic, _ string, n *Node) { n.Set("issued", before); n.Set("status", "entered-in-error") }, doubt},
		"without a date":            {func(*clinic, string, *Node) {}, doubt},
		"the time of the images":    {func(_ *clinic, _ string, n *Node) { n.Set("effectiveDateTime", before) }, doubt},
		"our words, without a date": {func(c *clinic, task string, n *Node) { n.Set("conclusion", ours(c, task)) }, doubt},
		"our words, dated before":   {func(c *clinic, task string, n *Node) { n.Set("conclusion", ours(c, task)); n.Set("issued", before) }, doubt},
		"made later":                {func(_ *clinic, _ string, n *Node) { n.Set("issued", after) }, nothing},
		"effective later":           {func(_ *clinic, _ string, n *Node) { n.Set("effectiveDateTime", after) }, nothing},
		"corrected later":           {func(_ *clinic, _ string, n *Node) { n.Set("issued", after); n.Set("status", "corrected") }, doubt},
		"of our order":              {func(c *clinic, task string, n *Node) { n.Set("basedOn", order(c, task)) }, nothing},
		"of our order, corrected": {func(c *clinic, task string, n *Node) {
			n.Set("basedOn", order(c, task))
			n.Set("status", "corrected")
			n.Set("issued", after)
		}, nothing},
		"of our order, dated before": {func(c *clinic, task string, n *Node) { n.Set("basedOn", order(c, task)); n.Set("issued", before) }, doubt},
		"of our order by its number": {func(_ *clinic, _ string, n *Node) {
			n.Set("basedOn", []*Node{Object("type", "ServiceRequest", "identifier", Object("system", "urn:placer", "value", "81"))})
		}, nothing},
		"by nobody, without a date": {func(_ *clinic, _ string, n *Node) { n.Remove("resultsInterpreter") }, doubt},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, compared := range []bool{true, false} {
				if compared && name == "by nobody, without a date" {
					continue // it says nothing of who read first
				}
				c := startClinic(t)
				var task string
				if compared {
					task = c.signed("81")
				} else {
					task = c.signedUncompared("81")
				}
				told := len(c.messages())
				id := c.filed(task, "81", func(n *Node) { row.change(c, task, n) })
				c.mustChange("DiagnosticReport", id, func(n *Node) { n.Set("language", "en") }) // nothing new
				got := nothing
				if told := c.messages()[told:]; len(told) > 0 {
					if got = verdict; !strings.Contains(string(told[0].Body), "same-reader") {
						t.Errorf("compared %t: the EHR is told of something else: %s", compared, told[0].Body)
					}
				}
				if n := c.count(`escalation WHERE clock = 'first-reader' AND tell = 'coordinator'`); n == 1 && got == nothing {
					got = doubt
				} else if n != 0 {
					t.Errorf("compared %t: the coordinator is told of a doubt %d times", compared, n)
				}
				if got != row.want {
					t.Errorf("compared %t: %s, want %s", compared, got, row.want)
				}
				if got == doubt { // and the hospital says when it was made
					c.mustChange("DiagnosticReport", id, func(n *Node) {
						n.Set("issued", before)
						n.Set("status", "final")
						n.Set("conclusion", "Clear.")
						n.Remove("basedOn")
						n.Set("resultsInterpreter", []*Node{Object("display", "Dr Second Reader")})
					})
					if task := c.task(task).jsonText(); !strings.Contains(task, "same-reader") {
						t.Errorf("compared %t: once it is dated nobody is told", compared)
					}
					if n := c.count(`escalation WHERE clock = 'first-reader' AND ended_at IS NULL`); n != 0 {
						t.Errorf("compared %t: the coordinator is still asked what is known now", compared)
					}
				}
			}
		})
	}
}

// A study names whoever has interpreted it, and not when.
func TestAnInterpreterWhoIsNamedAfterTheSignatureIsADoubt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.signed("82")
	study := c.get("/fhir/ImagingStudy?identifier=urn:dicom:uid|1.2.3.82").ids()[0]
	c.mustChange("ImagingStudy", study, func(n *Node) { n.Set("interpreter", []*Node{Object("display", "Dr Second Reader")}) })
	if task := c.task(task).jsonText(); strings.Contains(task, "same-reader") {
		t.Errorf("%s", task)
	}
	if n := c.count(`escalation WHERE clock = 'first-reader'`); n != 1 {
		t.Errorf("the coordinator is told %d times", n)
	}
	c.mustAct(access.Reader, task, "$amend", "reason", "a word is missing") // who signed goes on
}

// The hospital says when the report was made, or whose it is, and nothing is in doubt: the
// coordinator is asked no more, by itself. A new doubt is told again.
func TestADoubtOfWhoReadFirstEndsWhenItIsClearThatTheReportIsIndependent(t *testing.T) {
	t.Parallel()
	after := time.Now().Add(time.Hour).Format(time.RFC3339)
	for name, clear := range map[string]func(n *Node){
		"made later":       func(n *Node) { n.Set("issued", after) },
		"by somebody else": func(n *Node) { n.Set("resultsInterpreter", []*Node{Object("display", "Dr Elsewhere")}) },
		"before, elsewhere": func(n *Node) {
			n.Set("issued", "2024-10-13T12:00:00-08:00")
			n.Set("resultsInterpreter", []*Node{Object("display", "Dr Elsewhere")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			task := c.signed("83")
			id := c.filed(task, "83", func(*Node) {})
			const asked = `escalation WHERE clock = 'first-reader'`
			if n := c.count(asked + ` AND ended_at IS NULL`); n != 1 {
				t.Fatalf("the coordinator is told %d times", n)
			}
			told := len(c.messages())
			c.mustChange("DiagnosticReport", id, clear)
			c.mustChange("DiagnosticReport", id, func(n *Node) { n.Set("language", "en") })
			if n := c.count(asked + ` AND ended_at IS NULL`); n != 0 {
				t.Error("the coordinator is still asked")
			}
			if n := c.count(`case_event WHERE event = 'first-reader-clear'`); n != 1 {
				t.Errorf("it became clear %d times", n)
			}
			if n := len(c.messages()) - told; n != 0 || strings.Contains(c.task(task).jsonText(), "same-reader") {
				t.Errorf("the EHR is told %d times of what is no doubt", n)
			}
			c.filed(task, "83", func(n *Node) { n.Set("conclusion", "Another.") })
			if n := c.count(asked + ` AND ended_at IS NULL`); n != 1 {
				t.Errorf("of a new doubt the coordinator is told %d times", n)
			}
		})
	}
}

package fhir

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// correct signs the next version of a report, which says something else.
func (c *clinic) correct(id, impression string) {
	c.t.Helper()
	c.mustAct(access.Reader, id, "$amend", "reason", "wrong side")
	c.mustAct(access.Reader, id, "$sign", "kind", "correction", "reason", "wrong side", "text", "The side was wrong.", "impression", impression, "gradeStands", true)
}

// readOf is an EHR's Communication that a clinician has read a report.
func (c *clinic) readOf(id string, sent time.Time, about *Node) *Node {
	n := Object("resourceType", "Communication", "status", "completed", "topic", concept(csTopic, "acknowledgement", ""),
		"subject", c.report(id).Get("subject").Clone(), "about", []*Node{about}, "sender", Object("display", "Dr Jones"))
	if !sent.IsZero() {
		n.Set("sent", instant(sent))
	}
	return n
}

// arrives says that the EHR has a version of the report, and since when.
func (c *clinic) arrives(report int, at time.Time, location string) {
	c.t.Helper()
	_, err := c.db.Owner(c.t).Exec(c.t.Context(), `UPDATE delivery SET state = 'done', done_at = $2, location = $3 WHERE lane = 'report' AND report_no = $1`, report, at, location)
	if err != nil {
		c.t.Fatal(err)
	}
}

// outputs are the texts of the Task's outputs of a kind.
func (c *clinic) outputs(id, code string) (texts []string) {
	c.t.Helper()
	for _, out := range c.task(id).Each("output") {
		if hasCode(out.Get("type"), csOutput, code) {
			texts = append(texts, out.Text("valueString"))
		}
	}
	return texts
}

// versionRead is the address of a signed version: of the resource, whose first
// version is the report that is not signed yet.
func (c *clinic) versionRead(id string, signed int) string {
	return fmt.Sprintf("DiagnosticReport/%s/_history/%d", c.report(id).Text("id"), signed+1)
}

func TestAnAcknowledgementOfAnOlderVersionLeavesTheNewerOneToBeRead(t *testing.T) {
	t.Parallel()
	reference := func(to string) *Node { return Object("valueReference", Object("reference", to)) }
	post := func(c *clinic, n *Node) response { return c.post("/fhir/Communication", n.jsonText()) }
	for name, say := range map[string]func(c *clinic, id string, signed time.Time) response{
		"the operation names the version": func(c *clinic, id string, _ time.Time) response {
			return c.act(access.Placer, id, "$acknowledge", "report", reference(c.versionRead(id, 1)), "clinician", "Dr Jones")
		},
		"the operation names it by our address": func(c *clinic, id string, _ time.Time) response {
			return c.act(access.Placer, id, "$acknowledge", "report", reference(c.url+"/fhir/"+c.versionRead(id, 1)), "clinician", "Dr Jones")
		},
		"the operation names none, and the EHR has only the older one": func(c *clinic, id string, _ time.Time) response {
			c.arrives(1, time.Now(), "DiagnosticReport/77/_history/4")
			return c.act(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
		},
		"a Communication names the version": func(c *clinic, id string, _ time.Time) response {
			return post(c, c.readOf(id, time.Time{}, refer(c.versionRead(id, 1), "DiagnosticReport", "")))
		},
		"a Communication names the EHR's copy of it": func(c *clinic, id string, signed time.Time) response {
			c.arrives(1, signed, "DiagnosticReport/77/_history/4")
			c.arrives(2, time.Now(), "DiagnosticReport/77/_history/5")
			return post(c, c.readOf(id, time.Time{}, refer(ehrBase+"/DiagnosticReport/77/_history/4", "DiagnosticReport", "")))
		},
		"a Communication names none, and was sent before the newer was signed": func(c *clinic, id string, signed time.Time) response {
			return post(c, c.readOf(id, signed, refer("DiagnosticReport/"+c.report(id).Text("id"), "DiagnosticReport", "")))
		},
		"a Communication was sent after the newer was signed, and before the EHR had it": func(c *clinic, id string, signed time.Time) response {
			between := time.Now()
			c.arrives(1, signed, "DiagnosticReport/77/_history/4")
			c.arrives(2, between.Add(time.Second), "DiagnosticReport/77/_history/5")
			return post(c, c.readOf(id, between, refer("Task/"+id, "Task", "")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			id := c.signed("81")
			signed := time.Now()
			c.correct(id, "Solitary pulmonary nodule on the right, 9 mm.")
			for range 2 { // the answer to the first one was lost
				if got := say(c, id, signed); got.status != http.StatusOK && got.status != http.StatusCreated {
					t.Fatal(got.status, got.body)
				}
			}
			c.wantState(id, "final")
			if got := c.outputs(id, "acknowledged"); len(got) != 1 || !strings.HasPrefix(got[0], "Version 1 by Dr Jones on ") {
				t.Errorf("who has read which: %q", got)
			}
			if got := c.outputs(id, "unread-version"); len(got) != 1 || !strings.HasPrefix(got[0], "Version 2 ") {
				t.Errorf("that the newer one is unread: %q", got)
			}
			told := c.wantCount(access.Placer, "Communication?identifier="+sidCommunication+"|", 1)[0]
			if !hasCode(told.Get("topic"), csTopic, "newer-version") || !strings.Contains(told.Text("payload", "contentString"), "Version 2") || told.Text("recipient", "display") != "Dr Jones" || len(c.messages()) != 1 {
				t.Errorf("who has read the older one is told of the newer: %s, %d messages", told.Bytes(), len(c.messages()))
			}
			quality := c.do(access.Quality, "GET", "/fhir/Task/"+id+"/$quality", "").node
			if saidIn(quality, "acknowledged", "report") != "1" || saidIn(quality, "acknowledged", "outdated") != "true" {
				t.Errorf("%s", quality.Bytes())
			}
			c.wantAudited("$acknowledge?report=1")

			c.mustAct(access.Placer, id, "$acknowledge", "report", reference(c.versionRead(id, 2)), "clinician", "Dr Jones")
			c.wantState(id, "closed")
			if got := c.outputs(id, "unread-version"); got != nil {
				t.Errorf("it was read: %q", got)
			}
		})
	}
}

// wantAudited wants an AuditEvent of this question.
func (c *clinic) wantAudited(query string) {
	c.t.Helper()
	c.settle()
	got := c.do(access.Director, "GET", "/fhir/AuditEvent?_count=200", "")
	if !strings.Contains(got.body, base64.StdEncoding.EncodeToString([]byte(query))) {
		c.t.Errorf("no AuditEvent says %s: %d", query, got.status)
	}
}

func TestAnAcknowledgementNamesAVersionThatWasSigned(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("82")
	other := c.signed("83")
	for name, report := range map[string]string{
		"the report before it was signed": c.versionRead(id, 0),
		"a version that is to come":       c.versionRead(id, 5),
		"another case's report":           c.versionRead(other, 1),
		"no report":                       "Patient/1/_history/1",
	} {
		if got := c.act(access.Placer, id, "$acknowledge", "clinician", "Dr Jones", "report", Object("valueReference", Object("reference", report))); got.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
	}
	c.wantState(id, "final")

	// Not told apart from the version in force: one that names the report and no version.
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones", "report", Object("valueReference", Object("reference", "DiagnosticReport/"+c.report(id).Text("id"))))
	c.wantState(id, "closed")
}

// An older version that is acknowledged late, when the case is closed or the report
// is being amended again, is kept and changes nothing.
func TestAnOlderVersionMayBeAcknowledgedAfterTheNewer(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("84")
	c.correct(id, "Solitary pulmonary nodule on the right, 9 mm.")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
	c.wantState(id, "closed")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Smith", "report", Object("valueReference", Object("reference", c.versionRead(id, 1))))
	c.wantState(id, "closed")
	if got := c.outputs(id, "acknowledged"); len(got) != 2 || !strings.HasPrefix(got[0], "Version 1 by Dr Smith") {
		t.Errorf("%q", got)
	}
	c.wantCount(access.Placer, "Communication?identifier="+sidCommunication+"|", 1) // Dr Smith has not read the newer
	for range 2 {
		c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Jones", "report", Object("valueReference", Object("reference", c.versionRead(id, 1))))
	}
	c.wantCount(access.Placer, "Communication?identifier="+sidCommunication+"|", 1) // Dr Jones has
}

// Each who acknowledges an older version is warned, also when others have read that
// one, or the newer; by a Communication as by the operation.
func TestEachWhoAcknowledgesAnOlderVersionIsWarned(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("85")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Early") // while it was in force
	c.correct(id, "Solitary pulmonary nodule on the right, 9 mm.")
	older := c.versionRead(id, 1)
	warned := func(people ...string) {
		t.Helper()
		var got []string
		for _, n := range c.wantCount(access.Placer, "Communication?identifier="+sidCommunication+"|", len(people)) {
			got = append(got, n.Text("recipient", "display"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(people, got); diff != "" {
			t.Error(diff)
		}
	}
	for range 2 {
		c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Second", "report", Object("valueReference", Object("reference", older)))
	}
	c.wantState(id, "final")
	warned("Dr Second")
	c.mustAct(access.Placer, id, "$acknowledge", "clinician", "Dr Newest")
	c.wantState(id, "closed")
	c.post("/fhir/Communication", c.readOf(id, time.Time{}, refer(older, "DiagnosticReport", "")).jsonText()).want(t, http.StatusCreated, "")
	warned("Dr Jones", "Dr Second")
	c.wantState(id, "closed")
	if got := c.outputs(id, "acknowledged"); len(got) != 4 {
		t.Errorf("who has read it: %q", got)
	}
}

// A version that is being amended is the one in force: who has read it says so, and
// it is not asked again when the amendment is dropped.
func TestTheVersionInForceMayBeAcknowledgedWhileItIsAmended(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(c *clinic, id string) response{
		"operation": func(c *clinic, id string) response {
			return c.act(access.Placer, id, "$acknowledge", "clinician", "Dr Jones")
		},
		"communication": func(c *clinic, id string) response {
			return c.post("/fhir/Communication", c.readOf(id, time.Time{}, refer("DiagnosticReport/"+c.report(id).Text("id"), "DiagnosticReport", "")).jsonText())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			id := c.signed("86")
			c.mustAct(access.Reader, id, "$raise-finding", "category", Object("valueCode", "emergent"), "text", "Free air.")
			c.mustAct(access.Reader, id, "$amend", "reason", "wrong side")
			for range 2 {
				if got := say(c, id); got.status != http.StatusOK && got.status != http.StatusCreated {
					t.Fatal(got.status, got.body)
				}
			}
			c.wantState(id, "amending")
			if got := c.outputs(id, "acknowledged"); len(got) != 1 {
				t.Errorf("who has read it: %q", got)
			}
			c.mustAct(access.Placer, id, "$acknowledge-finding", "clinician", "Dr Jones")
			c.wantState(id, "amending")
			c.mustAct(access.Reader, id, "$withdraw-amendment", "reason", "it was right")
			c.wantState(id, "closed")
		})
	}
}

// An EHR that has lost the answer sends its Communication again. Comes that after a
// correction, nobody has read the correction by it.
func TestAnAcknowledgementThatIsSentAgainIsNoneOfANewerVersion(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("84")
	said := c.readOf(id, time.Time{}, refer("DiagnosticReport/"+c.report(id).Text("id"), "DiagnosticReport", ""))
	said.Set("identifier", []*Node{Object("system", "urn:ehr:message", "value", "a-1")})
	first := c.post("/fhir/Communication", said.jsonText())
	if first.status != http.StatusCreated {
		t.Fatal(first.status, first.body)
	}
	c.wantState(id, "closed")
	again := func(when string) {
		t.Helper()
		if got := c.post("/fhir/Communication", said.jsonText()); got.status != http.StatusOK || got.node.Text("id") != first.node.Text("id") {
			t.Errorf("%s: %d %s", when, got.status, got.body)
		}
	}
	again("at once")
	c.correct(id, "Solitary pulmonary nodule on the right, 9 mm.")
	again("after a correction")
	c.wantState(id, "final")
	if got := c.outputs(id, "acknowledged"); len(got) != 1 || !strings.HasPrefix(got[0], "Version 1 ") {
		t.Errorf("who has read which: %q", got)
	}

	// Something else under the same identifier is not taken for a repetition, nor kept in silence.
	said.Set("sender", Object("display", "Dr Smith"))
	c.post("/fhir/Communication", said.jsonText()).want(t, http.StatusConflict, "conflict")
	said.Set("identifier", []*Node{Object("system", "urn:ehr:message", "value", "a-2")})
	if got := c.post("/fhir/Communication", said.jsonText()); got.status != http.StatusCreated {
		t.Error(got.status, got.body)
	}
	c.wantState(id, "closed")
}

package fhir

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// doubtRow is an element of a doubt: how the sources agree, and what each says.
type doubtRow struct {
	agreement string
	said      map[string][]string
}

// doubts are what $comparison tells a coordinator, by finding and element.
func (c *clinic) doubts(task string) map[string]map[string]doubtRow {
	c.t.Helper()
	got := c.do(access.Coordinator, "GET", "/fhir/Task/"+task+"/$comparison", "")
	if got.status != http.StatusOK {
		c.t.Fatalf("$comparison: %d %s", got.status, got.body)
	}
	if _, err := Decode([]byte(got.body), "Parameters"); err != nil {
		c.t.Error(err)
	}
	part := func(n *Node, name string) (text string) {
		for _, p := range n.Each("part") {
			if p.Text("name") == name {
				text = parameterValue(p).Text()
			}
		}
		return text
	}
	all := map[string]map[string]doubtRow{}
	for _, doubt := range got.node.Each("parameter") {
		rows := map[string]doubtRow{}
		for _, element := range doubt.Each("part") {
			if element.Text("name") != "element" {
				continue
			}
			row := doubtRow{part(element, "agreement"), map[string][]string{}}
			for _, said := range element.Each("part") {
				if said.Text("name") == "said" {
					row.said[part(said, "source")] = append(row.said[part(said, "source")], part(said, "value"))
				}
			}
			rows[part(element, "name")] = row
		}
		all[part(doubt, "code")] = rows
	}
	return all
}

func TestADoubtIsLaidOutSideBySide(t *testing.T) {
	t.Parallel()
	rows := spoiltOrders(nil)
	for code, want := range map[string]struct {
		element, agreement string
		sources            []string
		a, b               string // of the first source and of the second
	}{
		"patient-mismatch":         {"record", "differs", []string{"patient", "study"}, "", "urn:mrn|somebody else"},
		"modality-mismatch":        {"modality", "differs", []string{"order", "study"}, "MR", "DX"},
		"body-site-mismatch":       {"bodySite", "differs", []string{"order", "study"}, "Knee", ""},
		"laterality-mismatch":      {"laterality", "differs", []string{"order", "study"}, "left", "right"},
		"duplicate-case":           {"studyInstanceUid", "equal", []string{"order", "other-case"}, "", ""},
		"priors-doubtful":          {"started", "differs", []string{"study", "prior"}, "", "2025-01-01T00:00:00Z"},
		"out-of-scope":             {"scope", "unknown", []string{"policy"}, `{"modality":["DX"],"reason":["S"]}`, ""},
		"requester-not-authorised": {"requester", "differs", []string{"order", "policy"}, "urn:staff|2", "urn:staff|1"},
		"consent-denied":           {"consent", "unknown", []string{"consent"}, "deny", ""},
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			if policy := rows[code].policy; policy != "" {
				c.sql(`UPDATE tenant SET policy = '` + policy + `'`)
			}
			o := orderToSpoil(t, "order")
			rows[code].spoil(c, o)
			o.send(c)
			if code == "duplicate-case" { // nothing is doubtful before the checks
				if got := c.doubts(o.taskID); len(got) != 0 {
					t.Errorf("before the checks: %v", got)
				}
			}
			c.tick()
			got, there := c.doubts(o.taskID)[code][want.element]
			if !there || got.agreement != want.agreement {
				t.Fatalf("%s %s: %+v", code, want.element, c.doubts(o.taskID))
			}
			for i, text := range []string{want.a, want.b} {
				if text != "" && !slices.Contains(got.said[want.sources[i]], text) || i < len(want.sources) && len(got.said[want.sources[i]]) == 0 {
					t.Errorf("the %s says %v", want.sources[i], got.said)
				}
			}
		})
	}
}

func TestWhoThePACSSaysThatThePatientIsStandsBesideThePatient(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.sql(`INSERT INTO pacs (tenant_id, pacs, base_url) SELECT tenant_id, 'archive', 'https://pacs.example' FROM tenant`)
	o := orderToSpoil(t, "order")
	o.patient.Set("name", []*Node{Object("family", "Müller", "given", []string{"Ada"})})
	o.patient.Set("birthDate", "1970-05-17")
	o.patient.Remove("identifier")
	o.order.Get("subject").Remove("display")
	o.study.Set("identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:2.25.77")})
	o.send(c)
	scout := workflow.NewScout(c.db.DB, c.engine, func(context.Context, workflow.Archive, workflow.Inquiry) workflow.Sighting {
		return workflow.Sighting{Answer: workflow.PACSFound, Study: workflow.StudyInPACS{UID: "2.25.1", Instances: 2, Series: 1, Modalities: []string{"CR"},
			Patient: workflow.Person{Names: []workflow.PersonName{{Family: "MUELLER", Given: "ADA"}}, BirthDate: "1971-05-17"}}}
	}, slog.New(slog.DiscardHandler))
	c.tick()
	if _, err := scout.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.tick()
	got := c.doubts(o.taskID)["pacs-patient-mismatch"]
	if got["name"].agreement != "equal" || got["birthDate"].agreement != "differs" ||
		got["birthDate"].said["pacs"][0] != "1971-05-17" || got["birthDate"].said["patient"][0] != "1970-05-17" || got["name"].said["pacs"][0] != "MUELLER, ADA" {
		t.Errorf("%+v %s", got, c.task(o.taskID).Bytes())
	}
}

func TestTheComparisonIsForTheDeskIsRecordedAndIsKeptFromWhoReadsHere(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	o := orderToSpoil(t, "order")
	spoiltOrders(nil)["duplicate-case"].spoil(c, o)
	o.send(c)
	c.tick()
	path := "/fhir/Task/" + o.taskID + "/$comparison"
	for _, as := range []access.Role{access.Reader, access.Adjudicator, access.Placer, access.Auditor, access.Quality, access.Admin} {
		if got := c.do(as, "GET", path, ""); got.status != http.StatusForbidden {
			t.Errorf("%s: %d", as, got.status)
		}
	}
	both := c.hat(c.readers[access.Adjudicator], access.Coordinator)
	if got := c.do(both, "GET", path, ""); got.status != http.StatusForbidden || strings.Contains(got.body, "other-case") {
		t.Errorf("a coordinator who reads here: %d %s", got.status, got.body)
	}
	if got := c.do(c.with(access.Coordinator, "system/Task.r"), "GET", path, ""); got.status != http.StatusForbidden {
		t.Errorf("with a scope for Tasks alone: %d %s", got.status, got.body)
	}
	if n := c.audited("$comparison"); n != 0 {
		t.Errorf("%d are recorded", n)
	}
	for _, h := range howTos {
		if h.ID != "settle-a-doubt" {
			continue
		}
		token := "OVERREAD_COORDINATOR_TOKEN=" + c.tokens[access.Coordinator] + "\n"
		if out, err := c.shell(access.Placer, token+c.server.setup().Command+"\n"+h.Command); err != nil || !strings.Contains(out, "duplicate-case") {
			t.Errorf("the page's example: %v %s", err, out)
		}
	}
	for _, as := range []access.Role{access.Coordinator, access.Director} {
		if got := c.do(as, "POST", path, `{"resourceType":"Parameters"}`); got.status != http.StatusOK {
			t.Errorf("%s: %d %s", as, got.status, got.body)
		}
	}
	if n := c.audited("$comparison"); n != 3 {
		t.Errorf("%d are recorded", n)
	}
	if got := c.do(access.Coordinator, "GET", "/fhir/Task/nobody/$comparison", ""); got.status != http.StatusNotFound {
		t.Errorf("%d", got.status)
	}
}

// The patients of the case and of the order are different people while a correction
// waits: both are laid out, and both are in the record of who looked.
func TestACorrectionIsLaidOutBesideWhatWasRead(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	o := orderToSpoil(t, "order")
	o.send(c)
	c.tick()
	c.mustAct(access.Reader, o.taskID, "$claim", "independent", true)
	was := c.task(o.taskID).Text("for", "reference")
	other := "Patient/" + c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Elsewhere"}],"birthDate":"1999-01-01"}`)
	c.mustChange("ServiceRequest", o.orderID, func(n *Node) { n.Set("subject", Object("reference", other)) })
	got := c.doubts(o.taskID)[workflow.OrderCorrected]
	if row := got["record"]; row.agreement != "differs" || row.said["read"][0] != strings.TrimPrefix(was, "Patient/") || row.said["patient"][0] != strings.TrimPrefix(other, "Patient/") {
		t.Errorf("%+v", got)
	}
	if got["name"].said["patient"][0] != "Elsewhere" || got["birthDate"].agreement != "differs" || got["studyInstanceUid"].agreement != "equal" {
		t.Errorf("%+v", got)
	}
	c.settle()
	if got := c.do(access.Director, "GET", "/fhir/AuditEvent?entity="+other, ""); !strings.Contains(got.body, other) {
		t.Errorf("who looked at the other patient is not told: %s", got.body)
	}
}

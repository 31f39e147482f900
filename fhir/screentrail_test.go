package fhir

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
)

// trailOf is a page of the trail for a role, with what was read before written.
func (c *clinic) trailOf(role access.Role, ask screen.TrailAsk) screen.Trail {
	c.t.Helper()
	if err := c.server.Flush(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.settle()
	page, err := c.server.Trail(c.t.Context(), c.somebody(role), ask, Asked{RequestID: "page-1", Client: "192.0.2.7"})
	if err != nil {
		c.t.Fatalf("%+v: %v", ask, err)
	}
	return page
}

func (c *clinic) somebody(role access.Role) access.Actor {
	return access.Actor{Tenant: c.tenant, ID: uuid.NewSHA1(uuid.Nil, []byte(role)), Role: role, Display: "Somebody of " + string(role), Token: access.SessionURN(uuid.NewSHA1(uuid.Nil, []byte(role)))}
}

// What a page finds is what the API finds for the same question and role, and that it
// was looked at is recorded as a search of the API is.
func TestThePagesOfTheTrailFindWhatTheAPIFinds(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	agreed, disagreed := c.twoOutcomes()
	patient := c.task(disagreed).Text("for", "reference")
	number := c.get("/fhir/"+patient).node.Text("identifier", "value")
	if number == "" {
		t.Fatal("the patient has no identifier")
	}
	c.do(access.Placer, "GET", "/fhir/Patient/none", "").want(t, 404, "not-found")
	for _, role := range []access.Role{access.Auditor, access.Director} {
		for _, q := range []struct {
			ask   screen.TrailAsk
			query string
		}{
			{screen.TrailAsk{}, ""},
			{screen.TrailAsk{Record: patient}, "patient=" + patient},
			{screen.TrailAsk{Record: number}, "patient=" + patient + "," + c.task(agreed).Text("for", "reference")}, // the fixture's patients have one number
			{screen.TrailAsk{Record: "Task/" + agreed}, "entity=Task/" + agreed},
			{screen.TrailAsk{Role: "coordinator"}, "actor-role=coordinator"},
			{screen.TrailAsk{Role: "reader", Record: patient}, "actor-role=reader&patient=" + patient},
			{screen.TrailAsk{Action: "C", Kind: "record"}, "action=C&type=rest"},
			{screen.TrailAsk{Outcome: "failed"}, "outcome=4,8,12"},
			{screen.TrailAsk{From: "2001-01-01", To: "2001-12-31"}, "date=ge2001-01-01&date=le2001-12-31"},
			{screen.TrailAsk{Emergency: true}, "purpose=" + actReason + "|BTG"},
			{screen.TrailAsk{Actor: c.readers[access.Reader].ID.String()}, "agent:identifier=" + Canonical + "/sid/actor|" + c.readers[access.Reader].ID.String()},
		} {
			page := c.trailOf(role, q.ask)
			var ids []string
			for _, e := range page.Events {
				ids = append(ids, e.ID)
			}
			// The page before has been recorded since, and so has this question.
			api := slices.DeleteFunc(c.do(role, "GET", "/fhir/AuditEvent?_count=400&"+q.query, "").ids(), func(id string) bool { return len(ids) > 0 && id > slices.Max(ids) })
			if api = api[:min(len(api), 50)]; !slices.Equal(ids, api) {
				t.Errorf("%+v as %s: %d on the page, %d by the API", q.ask, role, len(ids), len(api))
			}
			if page.Whole != (role == access.Director) {
				t.Errorf("the %s is told that the trail is whole: %v", role, page.Whole)
			}
		}
	}
	if page := c.trailOf(access.Auditor, screen.TrailAsk{Record: "no-such-number"}); !page.Unknown || len(page.Events) > 0 {
		t.Errorf("nobody's number: %+v", page)
	}
	mine := c.do(access.Director, "GET", "/fhir/AuditEvent?agent:identifier="+Canonical+"/sid/actor|"+c.somebody(access.Auditor).ID.String()+"&subtype=search-type&patient="+patient, "")
	if len(mine.ids()) != 3 || !strings.Contains(mine.body, `"page-1"`) || strings.Contains(mine.body, number) {
		t.Errorf("three looks at the patient's trail are recorded %d times: %s", len(mine.ids()), mine.body)
	}
}

// Pages go on where the one before ended, until there are no more, and meet each event once.
func TestTheTrailIsReadToItsEndPageByPage(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	c.twoOutcomes()
	ask, seen, pages := screen.TrailAsk{Role: "placer"}, map[string]bool{}, 0
	for {
		page := c.trailOf(access.Director, ask)
		for _, e := range page.Events {
			if seen[e.ID] {
				t.Fatalf("%s comes twice", e.ID)
			}
			seen[e.ID] = true
		}
		if pages++; page.Next == "" {
			break
		}
		ask.After = page.Next
	}
	if total := c.do(access.Director, "GET", "/fhir/AuditEvent?actor-role=placer&_total=accurate&_count=0", "").node.Text("total"); total != fmt.Sprint(len(seen)) || pages < 2 {
		t.Errorf("%d on %d pages of %s", len(seen), pages, total)
	}
}

// An event that is not for auditors is not there on a page either, and one that is has
// its place in the log, with the number of it for directors alone.
func TestAnEventOnItsPageIsWhoAndWhatAndWhereItStandsInTheLog(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	agreed, _ := c.twoOutcomes()
	patient := c.task(agreed).Text("for", "reference")
	if err := c.server.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.settle()
	if _, err := auditlog.Sequence(t.Context(), c.db.DB); err != nil {
		t.Fatal(err)
	}
	for _, role := range []access.Role{access.Auditor, access.Director} {
		id := c.trailOf(role, screen.TrailAsk{Record: patient, Action: "R", Role: "placer"}).Events[0].ID
		e, err := c.server.TrailEvent(t.Context(), c.somebody(role), id, Asked{})
		if err != nil || e.Code != "read" || e.Role == "" || e.Person == "" || e.Text == "" || e.Failed || !slices.ContainsFunc(e.Records, func(r screen.TrailRecord) bool { return r.Reference == patient }) {
			t.Errorf("%s: %+v %v", role, e, err)
		}
		if (e.Index >= 0) != (role == access.Director) {
			t.Errorf("the place of the event is %d for the %s", e.Index, role)
		}
	}
	hidden := c.trailOf(access.Director, screen.TrailAsk{Role: "reader"}).Events[0].ID
	if _, err := c.server.TrailEvent(t.Context(), c.somebody(access.Auditor), hidden, Asked{}); !fault.Is(err, fault.NotFound) {
		t.Errorf("what a reader did, by an auditor: %v", err)
	}
	for _, role := range anybody {
		if role == access.Auditor || role == access.Director {
			continue
		}
		_, trail := c.server.Trail(t.Context(), c.somebody(role), screen.TrailAsk{}, Asked{})
		_, event := c.server.TrailEvent(t.Context(), c.somebody(role), hidden, Asked{})
		_, proof := c.server.Proof(t.Context(), c.somebody(role), "north", Asked{})
		_, compared := c.server.CompareLog(t.Context(), c.somebody(role), Asked{})
		for _, err := range []error{trail, event, proof, compared} {
			if !fault.Is(err, fault.Forbidden) {
				t.Errorf("a %s: %v", role, err)
			}
		}
	}
}

// Whoever changes an event behind the log is found when somebody has it compared, and
// that is recorded; sizes are for directors.
func TestTheLogIsComparedAndWhatWasFoundIsRecorded(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	c.addDirector()
	c.twoOutcomes()
	if _, err := auditlog.Sequence(t.Context(), c.db.DB); err != nil {
		t.Fatal(err)
	}
	compare := func() string {
		t.Helper()
		broken, err := c.server.CompareLog(t.Context(), c.somebody(access.Auditor), Asked{})
		if err != nil {
			t.Fatal(err)
		}
		c.settle()
		return broken
	}
	if broken := compare(); broken != "" {
		t.Fatalf("an untouched log: %s", broken)
	}
	proof := func(role access.Role) screen.Proof {
		t.Helper()
		p, err := c.server.Proof(t.Context(), c.somebody(role), "north", Asked{})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if p := proof(access.Auditor); p.Size != 0 || p.Compared == nil || p.Compared.Failed || !p.Fits {
		t.Errorf("to an auditor: %+v", p)
	}
	if p := proof(access.Director); p.Size < 20 || !p.Whole {
		t.Errorf("to a director: %+v", p)
	}
	c.behind(`UPDATE audit_event SET body = convert_to(replace(convert_from(body, 'UTF8'), '"outcome":"0"', '"outcome":"8"'), 'UTF8')
		WHERE audit_id = (SELECT audit_id FROM audit_leaf ORDER BY index LIMIT 1)`)
	if broken := compare(); broken != "an event is not what stands in the log" {
		t.Errorf("an event was changed: %q", broken)
	}
	if p := proof(access.Auditor); p.Compared == nil || !p.Compared.Failed {
		t.Errorf("what was found is not told: %+v", p.Compared)
	}
}

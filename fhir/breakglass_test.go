package fhir

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// signedIn is a person at the clinic who has a session.
type signedIn struct {
	c        *clinic
	sessions *session.Store
	person   uuid.UUID
	cookie   string
}

func (c *clinic) signIn(actors ...access.Actor) *signedIn {
	c.t.Helper()
	s := &signedIn{c: c, sessions: session.NewStore(session.Config{DB: c.db.DB, BaseURL: c.url})}
	c.server.whoCalls = s.sessions.Identify
	err := c.db.System(context.Background(), func(tx pgx.Tx) (err error) {
		if s.person, _, err = s.sessions.Known(context.Background(), tx, session.Person{Issuer: "https://idp.example", Subject: actors[0].ID.String(), Display: actors[0].Display}); err != nil {
			return err
		}
		_, s.cookie, err = s.sessions.Open(context.Background(), tx, s.person, session.FromOIDC, "", actors)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (s *signedIn) get(path string, header ...string) response {
	s.c.t.Helper()
	return s.c.do("", "GET", path, "", append(header, "Cookie", s.sessions.CookieName()+"="+s.cookie)...)
}

// actor is who the session is at its one place, as a request finds it.
func (s *signedIn) actor() access.Actor {
	s.c.t.Helper()
	found, err := s.sessions.Find(context.Background(), s.cookie)
	if err != nil || len(found.Places) != 1 {
		s.c.t.Fatalf("%v (%v)", found, err)
	}
	return found.Places[0].Actor
}

// blinded is a case that the reader has claimed: addresses, but for the Task's id
// and the reference of the patient.
type blinded struct{ task, original, study, patient string }

func (c *clinic) blindedCase(placer string) (b blinded) {
	c.t.Helper()
	before := c.get("/fhir/DiagnosticReport").ids()
	studies := c.get("/fhir/ImagingStudy").ids()
	entries := chestXray(c.t, placer)
	entries[3].Get("resource").Set("interpreter", []*Node{Object("display", "Dr First")})
	b.task = c.order(entries...)
	c.tick()
	fresh := func(typ string, had []string) string {
		for _, id := range c.get("/fhir/" + typ).ids() {
			if !slices.Contains(had, id) {
				return "/fhir/" + typ + "/" + id
			}
		}
		c.t.Fatalf("no new %s", typ)
		return ""
	}
	b.original, b.study, b.patient = fresh("DiagnosticReport", before), fresh("ImagingStudy", studies), c.task(b.task).Text("for", "reference")
	c.mustAct(access.Reader, b.task, "$claim", "independent", true)
	return b
}

const emergency = "the surgeon stands at the table and asks"

func TestARecordIsOpenedInAnEmergencyForOnePatientAndAWhile(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	one := c.blindedCase("one")
	task, original, study, patient := one.task, one.original, one.study, one.patient
	another := c.blindedCase("two").original
	reader := c.signIn(c.readers[access.Reader])

	reader.get(original).want(t, http.StatusNotFound, "not-found")
	id := strings.TrimPrefix(patient, "Patient/")
	opened, err := c.server.BreakGlass(t.Context(), reader.actor(), reader.person, id, emergency, Asked{})
	if err != nil {
		t.Fatal(err)
	}
	if len(opened.Unveiled) != 1 || !opened.Unveiled[0].Own || !opened.Unveiled[0].BeforeLock || opened.Till.Sub(opened.OpenedAt).Minutes() != 30 {
		t.Errorf("%+v", opened)
	}
	for _, path := range []string{original, original + "/_history/1", original + "/_history"} {
		if got := reader.get(path); got.status != http.StatusOK {
			t.Errorf("%s: %d", path, got.status)
		}
	}
	if got := reader.get("/fhir/DiagnosticReport?subject=" + patient); !slices.Contains(got.ids(), strings.TrimPrefix(original, "/fhir/DiagnosticReport/")) {
		t.Errorf("a search finds %v", got.ids())
	}
	if got := reader.get(study); !strings.Contains(got.body, "Dr First") {
		t.Errorf("the study is %s", got.body)
	}
	reader.get(another).want(t, http.StatusNotFound, "not-found")                      // another patient
	c.do(access.Reader, "GET", original, "").want(t, http.StatusNotFound, "not-found") // the same reader, who has not signed in
	reader.get("/fhir/AuditEvent").want(t, http.StatusForbidden, "forbidden")          // quality and audit stay shut

	c.wantUnveiled(task, true)
	c.wantEmergencyAudited(patient, task)

	c.behind(`UPDATE break_glass SET till = now()`)
	reader.get(original).want(t, http.StatusNotFound, "not-found")
	if got := reader.get(study); strings.Contains(got.body, "Dr First") {
		t.Error("the study is whole after the emergency")
	}
}

func (c *clinic) behind(sql string, args ...any) {
	c.t.Helper()
	if _, err := c.db.Owner(c.t).Exec(context.Background(), sql, args...); err != nil {
		c.t.Fatal(err)
	}
}

// wantUnveiled looks at what stands next to the case.
func (c *clinic) wantUnveiled(task string, beforeLock bool) {
	c.t.Helper()
	var rows int
	var before bool
	err := c.db.Owner(c.t).QueryRow(context.Background(), `
		SELECT count(*), bool_and(u.before_lock)
		FROM case_unveiling u
		JOIN case_file c ON c.tenant_id = u.tenant_id AND c.case_id = u.case_id
		WHERE c.task_id = $1`, task).Scan(&rows, &before)
	if err != nil || rows != 1 || before != beforeLock {
		c.t.Errorf("%d rows, before the lock: %v (%v)", rows, before, err)
	}
}

// wantEmergencyAudited looks for the events: that the record was opened and why,
// that the case was unveiled, and that what was read then was read in an emergency.
func (c *clinic) wantEmergencyAudited(patient, task string) {
	c.t.Helper()
	if err := c.server.Flush(context.Background()); err != nil {
		c.t.Fatal(err)
	}
	for query, want := range map[string]string{
		"subtype=break-glass&patient=" + patient:      emergency,
		"subtype=unblinding&entity=Task/" + task:      patient,
		"subtype=read&patient=" + patient:             `"BTG"`,
		"subtype=search-type&patient=" + patient:      `"BTG"`,
		"subtype=history-instance&patient=" + patient: `"BTG"`,
	} {
		got := c.do(access.Director, "GET", "/fhir/AuditEvent?"+query, "")
		if got.status != http.StatusOK || !strings.Contains(got.body, want) {
			c.t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

func TestWhoMayOpenARecordAndWhoMayNot(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := strings.TrimPrefix(c.blindedCase("one").patient, "Patient/")
	other := pgtest.AddTenant(t, c.db, "south")
	as := func(role access.Role) access.Actor {
		return access.Actor{Tenant: c.tenant, ID: uuid.New(), Role: role, Display: "somebody"}
	}
	elsewhere := as(access.Reader)
	elsewhere.Tenant = other
	scoped := as(access.Coordinator)
	scoped.Grant = access.Grant{}
	for name, row := range map[string]struct {
		actor           access.Actor
		patient, reason string
		want            fault.Kind
	}{
		"a reader":                      {as(access.Reader), id, emergency, ""},
		"an adjudicator":                {as(access.Adjudicator), id, emergency, ""},
		"a supervisor":                  {as(access.Supervisor), id, emergency, ""},
		"a coordinator":                 {as(access.Coordinator), id, emergency, ""},
		"the director":                  {as(access.Director), id, emergency, ""},
		"an auditor":                    {as(access.Auditor), id, emergency, fault.Forbidden},
		"the placer":                    {as(access.Placer), id, emergency, fault.Forbidden},
		"quality":                       {as(access.Quality), id, emergency, fault.Forbidden},
		"an admin":                      {as(access.Admin), id, emergency, fault.Forbidden},
		"a launch that scopes bound":    {scoped, id, emergency, fault.Forbidden},
		"no reason":                     {as(access.Reader), id, "", fault.Value},
		"a reason of blanks":            {as(access.Reader), id, strings.Repeat(" ", 40), fault.Value},
		"a reason that says nothing":    {as(access.Reader), id, "urgent", fault.Value},
		"a reason of dots":              {as(access.Reader), id, strings.Repeat(".", 40), fault.Value},
		"a reason without end":          {as(access.Reader), id, strings.Repeat("long ", 300), fault.Value},
		"a patient who is nobody":       {as(access.Reader), "nobody", emergency, fault.NotFound},
		"a patient's id that is none":   {as(access.Reader), "../x", emergency, fault.NotFound},
		"a patient of another tenant's": {elsewhere, id, emergency, fault.NotFound},
	} {
		_, err := c.server.BreakGlass(t.Context(), row.actor, uuid.New(), row.patient, row.reason, Asked{})
		if row.want == "" && err != nil || row.want != "" && !fault.Is(err, row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

// A page that is sent twice, or a second look, opens nothing again.
func TestARecordThatIsOpenIsNotOpenedAgain(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "twice")...)
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	reader, person := c.readers[access.Reader], uuid.New()
	open := func() workflow.Emergency {
		t.Helper()
		e, err := c.server.BreakGlass(t.Context(), reader, person, patient, emergency, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	first, second := open(), open()
	if first.Running || !second.Running || second.BreakID != first.BreakID || !second.Till.Equal(first.Till) {
		t.Errorf("opened %+v and then %+v", first, second)
	}
	if len(first.Unveiled) != 1 || len(second.Unveiled) != 0 {
		t.Errorf("unveiled %+v and then %+v", first.Unveiled, second.Unveiled)
	}
	c.behind(`UPDATE break_glass SET till = now()`)
	if third := open(); third.Running || third.BreakID == first.BreakID {
		t.Errorf("after its time %+v", third)
	}
}

// Who had the record open while a case was here does not read it independently.
func TestWhoHasOpenedTheRecordDoesNotGetTheCase(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "open")...)
	c.tick()
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	if _, err := c.server.BreakGlass(t.Context(), c.readers[access.Reader], uuid.New(), patient, emergency, Asked{}); err != nil {
		t.Fatal(err)
	}
	c.act(access.Reader, task, "$claim", "independent", true).want(t, http.StatusUnprocessableEntity, "business-rule")
	c.wantUnveiled(task, true)
	c.addColleague(access.Reader, "Dr Fresh Reader", everything)
	c.mustAct(access.Reader, task, "$claim", "independent", true)
}

func TestInAnEmergencyAPatientIsMeantByNumber(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "ORDER-4711")...)
	reader := c.readers[access.Reader]
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	add := func(value string) {
		t.Helper()
		if got := c.do(access.Coordinator, "POST", "/fhir/Patient", `{"resourceType":"Patient","identifier":[{"system":"urn:oid:1.2.3","value":"`+value+`"}]}`); got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	mrn := c.get("/fhir/Patient/"+patient).node.Each("identifier", "value")[0].Text()
	add("twice")
	add("twice")
	for name, row := range map[string]struct {
		text string
		want fault.Kind
	}{
		"the id": {patient, ""}, "the MRN": {mrn, ""}, "the order": {"ORDER-4711", ""},
		"two of them": {"twice", fault.Value}, "nobody": {"nobody", fault.NotFound}, "a pattern": {"|", fault.NotFound}, "all": {mrn + ",twice", fault.NotFound},
	} {
		e, err := c.server.BreakGlass(t.Context(), reader, uuid.New(), row.text, emergency, Asked{})
		if row.want == "" && (err != nil || e.PatientID != patient) || row.want != "" && !fault.Is(err, row.want) {
			t.Errorf("%s: %q (%v)", name, e.PatientID, err)
		}
	}
}

func TestNobodyOpensRecordsWithoutEndAndTheCoordinatorsSeeThemAll(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "often")...)
	patient := strings.TrimPrefix(c.task(task).Text("for", "reference"), "Patient/")
	reader, person := c.readers[access.Reader], uuid.New()
	open := func(person uuid.UUID, reason string) error {
		_, err := c.server.BreakGlass(t.Context(), reader, person, patient, reason, Asked{})
		return err
	}
	for n := range 10 {
		if err := open(person, emergency); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		c.behind(`UPDATE break_glass SET till = now()`)
	}
	if err := open(person, emergency); !fault.Is(err, fault.Throttled) || !strings.Contains(err.Error(), "call the coordinator") {
		t.Errorf("the eleventh within an hour: %v", err)
	}
	if err := open(uuid.New(), "somebody else has one to open"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	c.behind(`UPDATE break_glass SET opened_at = opened_at - interval '1 hour'`)
	if err := open(person, "an hour later there is one more"); err != nil {
		t.Errorf("an hour later: %v", err)
	}

	desk := access.Actor{Tenant: reader.Tenant, ID: uuid.New(), Role: access.Coordinator, Display: "Desk"}
	var seen []uuid.UUID
	w := workflow.EmergencyWindow{Most: 5}
	for want := 12; want > 0; want -= 5 {
		list, err := c.server.Emergencies(t.Context(), desk, w, Asked{})
		if err != nil || len(list.Emergencies) != min(want, 5) || list.More != max(want-5, 0) {
			t.Fatalf("of %d: %d and %d more (%v)", want, len(list.Emergencies), list.More, err)
		}
		for _, e := range list.Emergencies {
			seen = append(seen, e.BreakID)
		}
		w.Before = seen[len(seen)-1]
	}
	slices.SortFunc(seen, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	if got := len(slices.Compact(seen)); got != 12 {
		t.Errorf("%d of 12 are seen", got)
	}
	if list, err := c.server.Emergencies(t.Context(), desk, workflow.EmergencyWindow{Within: time.Minute}, Asked{}); err != nil || len(list.Emergencies) != 1 || list.More != 0 {
		t.Errorf("of the last minute: %+v (%v)", list, err)
	}
	for role := range c.readers {
		if _, err := c.server.Emergencies(t.Context(), c.readers[role], workflow.EmergencyWindow{}, Asked{}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s sees them (%v)", role, err)
		}
	}
	if err := c.server.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype=search-type&patient=Patient/"+patient, ""); len(got.ids()) < 4 || !strings.Contains(got.body, "Desk") {
		t.Errorf("what the desk has looked at: %d %s", got.status, got.body)
	}
}

func TestASessionWorksOnTheAPIAsATokenDoes(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	blind := c.blindedCase("api")
	task, original := blind.task, blind.original
	both := c.readers[access.Reader]
	decides := both
	decides.Role = access.Adjudicator
	reader := c.signIn(both, decides)
	reader.get("/fhir/Task/"+task).want(t, http.StatusBadRequest, "required")
	if got := reader.get("/fhir/Task/" + task); !strings.Contains(got.body, "north adjudicator, north reader") {
		t.Errorf("the places are not named: %s", got.body)
	}
	as := []string{access.TenantHeader, "north", access.RoleHeader, "reader"}
	if got := reader.get("/fhir/Task/"+task, as...); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	reader.get(original, as...).want(t, http.StatusNotFound, "not-found")
	reader.get("/fhir/Task/"+task, access.RoleHeader, "director").want(t, http.StatusForbidden, "forbidden")

	found, err := reader.sessions.Find(t.Context(), reader.cookie)
	if err != nil {
		t.Fatal(err)
	}
	header := slices.Concat(as, []string{"Cookie", reader.sessions.CookieName() + "=" + reader.cookie})
	c.do("", "POST", "/fhir/Task/"+task+"/$start", "{}", header...).want(t, http.StatusForbidden, "forbidden")
	header = append(header, session.CSRFHeader, found.CSRF())
	if got := c.do("", "POST", "/fhir/Task/"+task+"/$start", `{"resourceType":"Parameters"}`, header...); got.status != http.StatusOK {
		t.Errorf("with the token: %d %s", got.status, got.body)
	}
	c.wantState(task, "reading")
}

package fhir

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// otherHats are the roles in which somebody may come who reads as well.
var otherHats = []access.Role{access.Adjudicator, access.Supervisor, access.Coordinator, access.Director, access.Quality}

// hat gives the reader of the clinic a token in another role, as
// `token add --person` does, and returns the name of it.
func (c *clinic) hat(who access.Actor, role access.Role) access.Role {
	c.t.Helper()
	token := access.NewToken()
	sum := sha256.Sum256([]byte(token))
	c.behind(`INSERT INTO token (tenant_id, token_sha256, actor_id, role, display) VALUES ($1, $2, $3, $4, 'another hat')`, c.tenant, sum[:], who.ID, role)
	name := "hat of " + role
	c.tokens[name] = token
	return name
}

// wantVeiled looks for the original in every way of reading; get asks as whoever
// it is about.
func (b blinded) wantVeiled(t *testing.T, who string, get func(path string) response, veiled bool) {
	t.Helper()
	id := strings.TrimPrefix(b.original, "/fhir/DiagnosticReport/")
	want := http.StatusOK
	if veiled {
		want = http.StatusNotFound
	}
	for _, path := range []string{b.original, b.original + "/_history/1", b.original + "/_history"} {
		if got := get(path); got.status != want {
			t.Errorf("%s: %s is %d, want %d", who, path, got.status, want)
		}
	}
	study := strings.TrimPrefix(b.study, "/fhir/")
	for _, path := range []string{
		"/fhir/DiagnosticReport?_count=100", "/fhir/DiagnosticReport?subject=" + b.patient, "/fhir/" + b.patient + "?_x", "/fhir/Patient?_id=" + strings.TrimPrefix(b.patient, "Patient/") + "&_revinclude=DiagnosticReport:subject",
		"/fhir/" + b.patient + "/$everything", "/fhir/" + b.patient + "/DiagnosticReport", "/fhir/Task/" + b.task + "/$everything", "/fhir/DiagnosticReport/_history", "/fhir/_history?_count=200",
		"/fhir/ServiceRequest?_include=*&_revinclude=*", "/fhir/DiagnosticReport?_id=" + id,
	} {
		path = strings.TrimSuffix(path, "?_x")
		got := get(path)
		if got.status != http.StatusOK {
			t.Errorf("%s: %s is %d: %s", who, path, got.status, got.body)
		}
		if shown := strings.Contains(got.body, `"id":"`+id+`"`); shown && veiled {
			t.Errorf("%s: %s shows the original", who, path)
		} else if !shown && !veiled && strings.Contains(path, "DiagnosticReport?") {
			t.Errorf("%s: %s does not show the original", who, path)
		}
	}
	if got := get("/fhir/" + study); strings.Contains(got.body, "Dr First") == veiled {
		t.Errorf("%s: who read first, in the study: %s", who, got.body)
	}
	if got := get("/fhir/ImagingStudy?interpreter:identifier=1"); (got.status == http.StatusForbidden) != veiled {
		t.Errorf("%s: who read first can be asked for: %d", who, got.status)
	}
}

// Blinding is of the person: who reads a case does not see its original in
// whatever role they come, by token or by session; their colleagues in these roles do.
func TestAReaderDoesNotFindTheOriginalOfTheirCaseInAnyRole(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	b := c.blindedCase("hats")
	other := c.order(chestXray(t, "somebody-else")...) // nobody's yet
	c.tick()
	open := "/fhir/" + c.task(other).Text("focus", "reference")
	reader := c.readers[access.Reader]
	desk := reader
	desk.ID, desk.Role = uuid.New(), access.Coordinator // as a sign-in makes it: the id of the person
	places := []access.Actor{reader, desk}
	for _, role := range otherHats {
		if role != access.Coordinator {
			place := reader
			place.Role = role
			if role != access.Adjudicator && role != access.Supervisor {
				place.ID = desk.ID
			}
			places = append(places, place)
		}
	}
	person := c.signIn(places...)
	deskOnly := c.signIn(desk) // the same person, whose session has that one role
	c.behind(`UPDATE person SET reader_id = $1 WHERE person_id = $2`, reader.ID, deskOnly.person)

	all := func(veiled bool) {
		t.Helper()
		for _, role := range otherHats {
			name := c.hat(reader, role)
			b.wantVeiled(t, "token of "+string(role), func(path string) response { return c.do(name, "GET", path, "") }, veiled)
			b.wantVeiled(t, "session of "+string(role), func(path string) response {
				return person.get(path, access.TenantHeader, "north", access.RoleHeader, string(role))
			}, veiled)
			if got := c.do(name, "GET", open, ""); got.status != http.StatusOK {
				t.Errorf("%s does not see what is nobody's: %d", name, got.status)
			}
		}
		b.wantVeiled(t, "session of the desk", func(path string) response { return deskOnly.get(path) }, veiled)
	}
	all(true)
	for _, role := range []access.Role{access.Coordinator, access.Director, access.Quality} {
		b.wantVeiled(t, "a "+string(role)+" who does not read", func(path string) response { return c.do(role, "GET", path, "") }, false)
	}
}

// Who is offered a case has not decided yet to read it, and may.
func TestWhomACaseIsOfferedToDoesNotFindItsOriginalAtTheDesk(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := c.order(chestXray(t, "offered")...)
	c.tick()
	reader := c.readers[access.Reader]
	desk := c.hat(reader, access.Coordinator)
	original := "DiagnosticReport/" + c.get("/fhir/DiagnosticReport").ids()[0]
	if c.reads(desk, original) == nil {
		t.Error("hidden while the case is nobody's")
	}
	if got := c.do(access.Coordinator, "POST", "/fhir/Task/"+task+"/$offer", Object("resourceType", "Parameters", "parameter", []*Node{
		Object("name", "reader", "valueReference", Object("reference", "Practitioner/"+reader.ID.String()))}).jsonText()); got.status != http.StatusOK {
		t.Fatal(got.status, got.body)
	}
	for _, who := range []access.Role{access.Reader, desk} {
		if c.reads(who, original) != nil {
			t.Errorf("the %s sees it", who)
		}
	}
	if c.reads(access.Coordinator, original) == nil {
		t.Error("hidden from the coordinator who does not read")
	}
}

// What is withheld is not changed either, nor exported, nor found out by its grade.
func TestWhatIsWithheldFromAReaderInAnotherRoleIsNotChangedOrExported(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	b := c.blindedCase("change")
	desk := c.hat(c.readers[access.Reader], access.Coordinator)
	whole := c.get(b.original)
	patch := `[{"op":"test","path":"/status","value":"final"}]`
	c.do(desk, "PATCH", b.original, patch, "Content-Type", "application/json-patch+json").want(t, http.StatusNotFound, "not-found")
	c.do(desk, "PUT", b.original, whole.body).want(t, http.StatusMethodNotAllowed, "not-supported")
	c.do(desk, "DELETE", b.original, "")
	if got := c.get(b.original); got.body != whole.body {
		t.Errorf("the original is %d %s", got.status, got.body)
	}
	c.do(desk, "PUT", b.study, c.get(b.study).body).want(t, http.StatusForbidden, "forbidden")
	c.do(desk, "GET", "/fhir/$export", "", "Prefer", "respond-async").want(t, http.StatusForbidden, "forbidden")
	if got := c.do(access.Coordinator, "GET", "/fhir/$export", "", "Prefer", "respond-async"); got.status != http.StatusAccepted {
		t.Errorf("a coordinator who does not read: %d %s", got.status, got.body)
	}
}

// A second order for a study that somebody has compared already: whoever reads it
// does not see the original in the role of those who decide.
func TestTheReaderOfASecondOrderDoesNotSeeTheOriginalAsAnAdjudicator(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	first, original, second := c.orderedTwice()
	c.tick()
	c.mustAct(access.Coordinator, second, "$resolve", "reason", "another question")
	c.tick()
	okafor := c.tokens[access.Reader]
	c.addColleague(access.Reader, "Dr Petrov", everything)
	petrov := c.readers[access.Reader]
	hats := []access.Role{access.Reader}
	for _, role := range otherHats {
		hats = append(hats, c.hat(petrov, role))
	}
	c.mustAct(access.Reader, second, "$claim", "independent", true)
	c.mustAct(access.Reader, second, "$start")
	for _, hat := range hats {
		if c.reads(hat, original, original+"/_history/1") != nil {
			t.Errorf("petrov sees it, %s", hat)
		}
	}
	if got := c.do("hat of quality", "GET", "/fhir/Task/"+first+"/$quality", ""); got.status != http.StatusNotFound {
		t.Errorf("petrov opens how the first reading was graded: %d", got.status)
	}
	if c.reads(access.Adjudicator, original) != nil {
		t.Error("seen by an adjudicator who has no part in the first case, and may yet get the second")
	}
	for _, hat := range hats[:3] {
		for _, path := range []string{"Task/" + first, "Task/" + first + "/_history", c.task(first).Text("focus", "reference")} {
			if got := c.do(hat, "GET", "/fhir/"+path, ""); got.status != http.StatusNotFound {
				t.Errorf("petrov sees how far the first case is, %s: %s %d", hat, path, got.status)
			}
		}
	}
	c.tokens["okafor"] = okafor
	if c.reads("okafor", original) == nil {
		t.Error("hidden from who compares")
	}
	c.mustAct(access.Reader, second, "$lock", "findings", "f", "impression", "i")
	c.mustAct(access.Reader, second, "$reveal")
	for _, hat := range hats {
		if c.reads(hat, original) == nil {
			t.Errorf("after the reveal petrov does not see it, %s", hat)
		}
	}
}

// Who opens the record as a coordinator and reads the case is its reader who opened
// it; and then the report says so, in every form.
func TestAReportSaysThatItsReaderHadSeenTheOriginal(t *testing.T) {
	t.Parallel()
	for _, opened := range []bool{true, false} {
		c := startClinic(t)
		b := c.blindedCase("letter")
		c.mustAct(access.Reader, b.task, "$start")
		if opened {
			desk := c.readers[access.Reader]
			desk.Reader, desk.ID, desk.Role = desk.ID, uuid.New(), access.Coordinator
			e, err := c.server.BreakGlass(t.Context(), desk, uuid.New(), strings.TrimPrefix(b.patient, "Patient/"), emergency, Asked{})
			if err != nil || len(e.Unveiled) != 1 || !e.Unveiled[0].Own || e.ActorID != desk.Reader {
				t.Fatalf("%+v (%v)", e, err)
			}
			c.wantUnveiled(b.task, true)
			if got := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype=unblinding&entity=Task/"+b.task, ""); len(got.ids()) != 1 {
				t.Errorf("unblinding is told %d times", len(got.ids()))
			}
		}
		c.mustAct(access.Reader, b.task, "$lock", "findings", "f", "impression", "i")
		c.mustAct(access.Reader, b.task, "$reveal")
		c.mustAct(access.Reader, b.task, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule is not mentioned.")
		c.mustAct(access.Reader, b.task, "$sign")

		report := c.report(b.task)
		page, err := base64.StdEncoding.DecodeString(report.Each("presentedForm")[0].Text("data"))
		if err != nil {
			t.Fatal(err)
		}
		note := ""
		for _, o := range report.Each("result") {
			note += c.get("/fhir/"+o.Text("reference")).body + "\n"
		}
		const seen, sealed = "had seen the original report in an emergency before sealing the opinion", "before the original report was shown"
		sent := ""
		for _, d := range c.deliveries() {
			sent += string(d.Body)
		}
		for where, text := range map[string]string{"letter": string(page), "narrative": report.Text("text", "div"), "observations": note, "what is sent": sent} {
			if strings.Contains(text, seen) != opened {
				t.Errorf("opened: %v, the %s says %s", opened, where, text)
			}
		}
		if strings.Contains(string(page), sealed) == opened {
			t.Errorf("opened: %v, the letter says %s", opened, page)
		}
		quality := c.do(access.Quality, "GET", "/fhir/Task/"+b.task+"/$quality", "")
		i := slices.IndexFunc(quality.node.Each("parameter"), func(p *Node) bool { return p.Text("name") == "independent" })
		if i < 0 || quality.node.Each("parameter")[i].Text("valueBoolean") != map[bool]string{true: "false", false: "true"}[opened] {
			t.Errorf("opened: %v, quality is told %s", opened, quality.body)
		}
		var locked bool
		err = c.db.Owner(t).QueryRow(context.Background(), `SELECT coalesce((detail->>'unveiled')::boolean, false) FROM case_event WHERE event = 'lock'`).Scan(&locked)
		if err != nil || locked != opened {
			t.Errorf("opened: %v, the lock says %v (%v)", opened, locked, err)
		}
	}
}

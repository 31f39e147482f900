package fhir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
)

// twins are two tenants of one server that hold the same, but that the first has
// besides what somebody must not know of. For them, both must be the same.
type twins struct {
	*rest
	tenants [2]uuid.UUID
	tokens  map[string][2]string
	moment  time.Time
}

func startTwins(t *testing.T) *twins {
	t.Helper()
	r := startREST(t)
	w := &twins{rest: r, tokens: map[string][2]string{}, moment: time.Now().UTC().Truncate(time.Second)}
	w.tenants = [2]uuid.UUID{r.tenant, pgtest.AddTenant(t, r.db, "south")}
	r.server.now = func() time.Time { return w.moment }
	r.server.store.now = r.server.now
	w.token("all", access.Placer, "", "")
	return w
}

// token gives somebody a token at both tenants.
func (w *twins) token(who string, role access.Role, scopes, patient string) {
	w.t.Helper()
	id := uuid.Must(uuid.NewV7())
	var both [2]string
	for i, tenant := range w.tenants {
		both[i] = access.NewToken()
		sum := sha256.Sum256([]byte(both[i]))
		err := w.db.System(context.Background(), func(tx pgx.Tx) error {
			_, err := tx.Exec(context.Background(), `
				INSERT INTO token (tenant_id, token_sha256, actor_id, role, display, scopes, patient)
				VALUES ($1, $2, $3, $4, $4, nullif($5, ''), nullif($6, ''))`, tenant, sum[:], id, role, scopes, patient)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	w.tokens[who] = both
}

func (w *twins) at(i int, who, method, path, body string, header ...string) response {
	w.t.Helper()
	r := *w.rest
	r.tokens = map[access.Role]string{"who": w.tokens[who][i]}
	return r.do("who", method, path, body, header...)
}

// put stores a resource at the first tenant, and at the other where it is no secret.
func (w *twins) put(n *Node, secret bool) {
	w.t.Helper()
	for i := range w.tenants {
		if i == 1 && secret {
			continue
		}
		got := w.at(i, "all", "PUT", "/fhir/"+n.Type()+"/"+n.Text("id"), n.jsonText())
		if got.status != http.StatusCreated && got.status != http.StatusOK {
			w.t.Fatalf("PUT %s: %d %s", n.Type(), got.status, got.body)
		}
	}
}

var (
	uuidInAnswer = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	cursorInLink = regexp.MustCompile(`_after=[A-Za-z0-9_-]+`)
)

// tellsAll is all that an answer tells, with ids that the server made in the order in
// which they come.
func tellsAll(a response) string {
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name != "Date" && name != "X-Request-Id" {
			fmt.Fprintln(&b, name, a.header[name])
		}
	}
	b.WriteString(strings.ReplaceAll(a.body, `,"`, ",\n\""))
	names := map[string]string{}
	text := cursorInLink.ReplaceAllString(b.String(), "_after=...")
	text = regexp.MustCompile(`(?m)^Content-Length .*$`).ReplaceAllString(text, "")
	return uuidInAnswer.ReplaceAllStringFunc(text, func(id string) string {
		if names[id] == "" {
			names[id] = fmt.Sprint("id-", len(names)+1)
		}
		return names[id]
	})
}

// same does a request at both, which must be answered alike.
func (w *twins) same(who, method, path, body string, header ...string) response {
	w.t.Helper()
	first, second := w.at(0, who, method, path, body, header...), w.at(1, who, method, path, body, header...)
	if diff := cmp.Diff(tellsAll(second), tellsAll(first)); diff != "" {
		w.t.Errorf("%s %s by %s %s tells: %s", method, path, who, body, diff)
	}
	if strings.Contains(first.body, "canary") && !strings.Contains(body+path, "canary") {
		w.t.Errorf("%s %s by %s gives the canary: %s", method, path, who, first.body)
	}
	if first.status >= 500 {
		w.t.Errorf("%s %s by %s: %d %s", method, path, who, first.status, first.body)
	}
	return first
}

// everyWay asks in every way for these ids of these types.
func (w *twins) everyWay(who string, types, ids []string) {
	w.t.Helper()
	for _, typ := range types {
		for _, id := range ids {
			for _, code := range codesOfTypes {
				for _, a := range attemptsOf(code, typ, id) {
					if code == "create" && id != ids[0] {
						continue
					}
					w.same(who, a.method, "/fhir/"+a.path, a.body, a.header...)
					if id != ids[0] || len(types) > 3 {
						continue
					}
					w.same(who, "POST", "/fhir", `{"resourceType":"Bundle","type":"batch","entry":[`+a.asEntry()+`]}`)
					if !strings.HasSuffix(a.path, "/_search") {
						w.same(who, "POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[`+a.asEntry()+`]}`)
					}
				}
			}
			at := typ + "/" + id
			w.same(who, "GET", "/fhir/"+at, "", "If-None-Match", `W/"1"`)
			w.same(who, "PUT", "/fhir/"+at, exampleOf(typ).withID(id), "If-Match", `W/"7"`)
			w.same(who, "PUT", "/fhir/"+at, exampleOf(typ).withID(id), "If-None-Match", `*`)
			w.same(who, "PATCH", "/fhir/"+at, `[{"op":"test","path":"/id","value":"x"}]`, "Content-Type", "application/json-patch+json", "If-Match", `W/"7"`)
			w.same(who, "DELETE", "/fhir/"+at, "", "If-Match", `W/"7"`)
			w.same(who, "POST", "/fhir/"+at+"/$validate?mode=delete", "")
			w.same(who, "POST", "/fhir/"+at+"/$validate?mode=update", exampleOf(typ).withID(id))
			w.same(who, "GET", "/fhir/"+at+"/$validate", "")
			w.same(who, "GET", "/fhir/"+at+"/$everything", "")
			w.same(who, "GET", "/fhir/"+at+"/$export", "", "Prefer", "respond-async")
			for _, op := range operations {
				if typ == "Task" {
					w.same(who, "POST", "/fhir/"+at+"/$"+op.Name, "")
				}
			}
		}
		for _, q := range []string{"_total=accurate", "_total=estimate", "_summary=count", "_count=1", "_sort=_lastUpdated&_count=1", "_include=*", "_revinclude=*", "_include:iterate=*&_revinclude:iterate=*", "_elements=id"} {
			w.same(who, "GET", "/fhir/"+typ+"?"+q, "")
		}
		for _, q := range []string{"_count=1", "_since=2000-01-01T00:00:00Z", "_at=2999"} {
			w.same(who, "GET", "/fhir/"+typ+"/_history?"+q, "")
		}
	}
	for _, path := range []string{"", "?_total=accurate&_lastUpdated=gt2000", "/_history", "/_history?_count=1", "?_type=Patient,Observation&_total=accurate"} {
		w.same(who, "GET", "/fhir"+path, "")
	}
}

func about(typ, id, patient string) *Node {
	body := strings.ReplaceAll(exampleOf(typ).body, patientElsewhere, `{"reference":"Patient/`+patient+`"}`)
	n, err := Parse([]byte(body), Limits{})
	if err != nil {
		panic(typ + ": " + err.Error())
	}
	n.Set("id", id)
	return n
}

func observationOf(id, category, patient, value string) *Node {
	n, err := Parse([]byte(`{"resourceType":"Observation","id":"`+id+`","identifier":[{"system":"urn:lab","value":"`+id+`"}],"status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"`+category+
		`"}]}],"code":{"text":"`+value+`"},"subject":{"reference":"Patient/`+patient+`"}}`), Limits{})
	if err != nil {
		panic(err)
	}
	return n
}

func patientOfSex(id, gender, family string) *Node {
	n, err := Parse([]byte(`{"resourceType":"Patient","id":"`+id+`","gender":"`+gender+`","identifier":[{"system":"urn:mrn","value":"`+id+`"}],"name":[{"family":"`+family+`"}]}`), Limits{})
	if err != nil {
		panic(err)
	}
	return n
}

const laboratory = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"

// What the restriction of a scope leaves out is as absent as what does not exist.
func TestWhatARestrictionLeavesOutDoesNotExist(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.put(patientOfSex("ours", "female", "Visible"), false)
	w.put(patientOfSex("secret", "male", "canary"), true)
	w.put(observationOf("ours", "laboratory", "ours", "glucose"), false)
	w.put(observationOf("more", "laboratory", "ours", "sodium"), false)
	w.put(observationOf("secret", "imaging", "ours", "canary"), true)
	w.put(observationOf("gone", "imaging", "ours", "canary"), true)
	w.at(0, "all", "DELETE", "/fhir/Observation/gone", "")
	w.put(observationOf("his", "imaging", "secret", "canary"), true)
	w.put(about("ServiceRequest", "ours", "ours"), false)
	if got := w.at(0, "all", "GET", "/fhir/Observation?_total=accurate", "").node.Text("total"); got != "4" {
		t.Fatalf("there are %s", got)
	}

	const all = "system/ServiceRequest.cruds system/Provenance.cruds system/DiagnosticReport.cruds system/Group.cruds"
	w.token("lab", access.Placer, all+" system/Observation.cruds?category="+laboratory+" system/Patient.cruds?gender=female", "")
	for _, path := range []string{
		"Observation?subject=Patient/ours&_total=accurate", "Observation?code:text=canary", "Observation?subject:Patient.gender=male", "Observation?subject:Patient.family=canary",
		"Patient?_has:Observation:subject:category=imaging", "Patient?_has:Observation:subject:identifier=urn:lab|secret", "Patient?family=canary", "Patient?identifier=urn:mrn|secret", "Patient?_revinclude=Observation:subject",
		"ServiceRequest?subject:Patient._has:Observation:subject:category=imaging", "Observation?_include=Observation:subject", "Patient?_sort=family", "Patient?_id=secret", "Observation?_id:not=ours",
		"Patient/ours/Observation", "Patient/secret/Observation", "Patient/ours/*", "Patient/ours/$everything", "Patient/secret/$everything", "Patient/ours/$everything?_count=1", "Observation/secret/_history", "Observation/gone/_history/1",
	} {
		w.same("lab", "GET", "/fhir/"+path, "")
	}
	// Nothing can be hung on what is hidden, and nothing is found by what it has.
	for _, patient := range []string{"secret", "none", "ours"} {
		w.same("lab", "POST", "/fhir/Observation", strings.Replace(observationOf("x", "laboratory", patient, "x").jsonText(), `"id":"x",`, "", 1))
		w.same("lab", "POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+observationOf("y", "laboratory", patient, "y").jsonText()+`,"request":{"method":"POST","url":"Observation"}}]}`)
	}
	for _, number := range []string{"urn:mrn|secret", "urn:mrn|none", "urn:mrn|ours"} {
		w.same("lab", "POST", "/fhir/Patient", patientOfSex("x", "female", "x").jsonText(), "If-None-Exist", "identifier="+number)
		w.same("lab", "PUT", "/fhir/Patient?identifier="+url.QueryEscape(number), strings.Replace(patientOfSex("x", "female", "x").jsonText(), `"id":"x",`, "", 1))
		w.same("lab", "DELETE", "/fhir/Patient?identifier="+url.QueryEscape(number+"x"), "")
		w.same("lab", "POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[{"resource":`+strings.Replace(observationOf("z", "laboratory", "ours", "z").jsonText(), "Patient/ours", "Patient?identifier="+number, 1)+`,"request":{"method":"POST","url":"Observation"}}]}`)
	}
	for _, number := range []string{"urn:lab|secret", "urn:lab|none"} {
		body := strings.Replace(observationOf("q", "laboratory", "ours", "q").jsonText(), `"id":"q",`, "", 1)
		w.same("lab", "PUT", "/fhir/Observation?identifier="+url.QueryEscape(number), body)
		w.same("lab", "POST", "/fhir/Observation", body, "If-None-Exist", "identifier="+number)
	}
	w.everyWay("lab", []string{"Observation", "Patient"}, []string{"secret", "gone", "none", "ours"})
	if got := w.at(0, "all", "GET", "/fhir/Observation/secret", ""); got.status != http.StatusOK || got.header.Get("ETag") != `W/"1"` {
		t.Errorf("the secret was changed: %d %s", got.status, got.body)
	}
}

// A token for one patient sees that patient, and nothing else of anybody.
func TestAPatientsTokenSeesThatPatientOnly(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.put(patientOfSex("ours", "female", "Visible"), false)
	w.put(patientOfSex("secret", "female", "canary"), true)
	var types []string
	for _, typ := range w.server.typeNames {
		row := w.server.resources[typ]
		if !row.allows("create") {
			continue
		}
		types = append(types, typ)
		switch {
		case typ == "Patient":
		case row.directory:
			w.put(about(typ, "ours", "ours"), false)
		case len(fencedParams(typ)) > 0 && typ != "Binary" && strings.Contains(exampleOf(typ).body, patientElsewhere):
			w.put(about(typ, "ours", "ours"), false)
			w.put(about(typ, "secret", "secret"), true)
		default: // of nobody
			w.put(about(typ, "secret", "secret"), true)
		}
	}
	w.token("launched", access.Placer, "patient/*.cruds", "Patient/ours")
	for _, typ := range types {
		got := w.same("launched", "GET", "/fhir/"+typ+"?_total=accurate", "")
		hidden := w.at(0, "launched", "GET", "/fhir/"+typ+"/secret", "")
		hidden.want(t, http.StatusNotFound, "not-found")
		if len(fencedParams(typ)) > 0 && typ != "Binary" && strings.Contains(exampleOf(typ).body, patientElsewhere) && len(got.ids()) != 1 {
			t.Errorf("%s of this patient: %v", typ, got.ids())
		}
	}
	for _, path := range []string{"Patient/ours/$everything", "Patient/secret/$everything", "Patient/secret/*", "Patient/ours/*", "Patient?family=canary", "Observation?subject=Patient/secret",
		"ServiceRequest?subject:Patient.family=canary", "Patient?_has:ServiceRequest:subject:status=active", "Patient?_revinclude=*", "Practitioner?_revinclude=*"} {
		w.same("launched", "GET", "/fhir/"+path, "")
	}
	for _, patient := range []string{"secret", "none"} {
		got := w.same("launched", "POST", "/fhir/Observation", observationOf("x", "laboratory", patient, "x").jsonText())
		if got.status < 400 {
			t.Errorf("an Observation of %s: %d", patient, got.status)
		}
	}
	w.everyWay("launched", types, []string{"secret", "none", "ours"})
	if got := w.at(0, "launched", "POST", "/fhir/Practitioner", exampleOf("Practitioner").body); got.status != http.StatusForbidden {
		t.Errorf("a Practitioner by who is bound to a patient: %d", got.status)
	}
	for typ := range compartments["Patient"] {
		if got := w.at(0, "all", "GET", "/fhir/"+typ+"/secret", ""); got.status == http.StatusOK && got.header.Get("ETag") != `W/"1"` {
			t.Errorf("the secret %s was changed: %s", typ, got.header.Get("ETag"))
		}
	}
}

// What is another tenant's is not there, whatever is asked.
func TestWhatAnotherTenantOwnsDoesNotExist(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	third := pgtest.AddTenant(t, w.db, "third")
	token, _ := pgtest.AddToken(t, w.db, third, access.Placer)
	w.put(patientOfSex("secret", "female", "canary"), true)
	types := []string{"Patient"}
	for _, typ := range w.server.typeNames {
		if w.server.resources[typ].allows("create") && typ != "Patient" {
			types = append(types, typ)
			w.put(about(typ, "secret", "secret"), true)
		}
	}
	// The secret is the first tenant's; a third and a fourth are told alike.
	fourth := pgtest.AddTenant(t, w.db, "fourth")
	other, _ := pgtest.AddToken(t, w.db, fourth, access.Placer)
	w.tokens["stranger"] = [2]string{token, other}
	w.everyWay("stranger", types, []string{"secret", "none"})
}

func TestARestrictionBindsWhatIsWritten(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.put(patientOfSex("ours", "female", "Visible"), false)
	w.put(observationOf("lab", "laboratory", "ours", "glucose"), false)
	w.put(observationOf("image", "imaging", "ours", "x"), false)
	w.put(observationOf("turned", "imaging", "ours", "earlier"), false)
	w.put(observationOf("turned", "laboratory", "ours", "now"), false)
	w.token("lab", access.Placer, "system/Patient.rs system/Observation.cruds?category="+laboratory, "")
	w.token("sees more", access.Placer, "system/Patient.rs system/Observation.rs system/Observation.cud?category="+laboratory, "")
	do := func(who, method, path string, n *Node, want int) response {
		t.Helper()
		body := ""
		if n != nil {
			body = n.jsonText()
		}
		got := w.at(0, who, method, "/fhir/"+path, body)
		if got.status != want {
			t.Errorf("%s %s by %s: %d %s, want %d", method, path, who, got.status, got.body, want)
		}
		return got
	}
	do("lab", "POST", "Observation", observationOf("x", "laboratory", "ours", "x"), 201)
	refused := do("lab", "POST", "Observation", observationOf("x", "imaging", "ours", "x"), 403)
	if !strings.Contains(refused.body, "category="+laboratory) {
		t.Errorf("it is not told why: %s", refused.body)
	}
	do("lab", "PUT", "Observation/lab", observationOf("lab", "imaging", "ours", "x"), 403)
	do("lab", "PUT", "Observation/lab", observationOf("lab", "laboratory", "ours", "y"), 200)
	do("sees more", "PUT", "Observation/image", observationOf("image", "laboratory", "ours", "x"), 403) // the earlier version
	do("sees more", "DELETE", "Observation/image", nil, 403)
	do("sees more", "GET", "Observation/image", nil, 200)
	do("lab", "GET", "Observation/image", nil, 404)
	do("lab", "DELETE", "Observation/image", nil, 204) // as of what is not there
	do("all", "GET", "Observation/image", nil, 200)
	do("lab", "PUT", "Observation/new", observationOf("new", "laboratory", "ours", "x"), 405)
	do("lab", "GET", "Observation/turned/_history/2", nil, 200)
	do("lab", "GET", "Observation/turned/_history/1", nil, 404)
	if history := do("lab", "GET", "Observation/turned/_history", nil, 200); strings.Contains(history.body, "earlier") || history.node.Text("total") != "1" {
		t.Errorf("the version that was outside: %s", history.body)
	}
	do("lab", "DELETE", "Observation/lab", nil, 204)
	do("lab", "GET", "Observation/lab", nil, 404)

	// A page's link is for who sees the same.
	first := do("all", "GET", "Observation?_count=1&_total=accurate", nil, 200)
	for _, link := range first.node.Each("link") {
		if link.Text("relation") == "next" {
			do("lab", "GET", strings.TrimPrefix(link.Text("url"), w.url+"/fhir/"), nil, 400)
		}
	}
	// Of several restrictions any one is enough.
	w.token("both", access.Placer, "system/Observation.rs?category="+laboratory+" system/Observation.rs?code=none system/Observation.s?category=imaging", "")
	if got := do("both", "GET", "Observation?_total=accurate", nil, 200); len(got.ids()) != 3 {
		t.Errorf("found %v", got.ids())
	}
	do("both", "GET", "Observation/image", nil, 404) // found, by s, and not read
}

func TestAnExportGivesWhatRestrictionsLetSee(t *testing.T) {
	t.Parallel()
	w := startTwins(t)
	w.put(patientOfSex("ours", "female", "Visible"), false)
	w.put(observationOf("lab", "laboratory", "ours", "glucose"), false)
	w.put(observationOf("image", "imaging", "ours", "canary"), false)
	w.token("lab", access.Placer, "system/Patient.rs system/Observation.rs?category="+laboratory, "")
	w.token("other", access.Placer, "system/Patient.rs system/Observation.rs?category=imaging", "")
	w.token("launched", access.Placer, "patient/*.rs", "Patient/ours")
	if got := w.at(0, "launched", "GET", "/fhir/$export", "", "Prefer", "respond-async"); got.status != http.StatusForbidden {
		t.Errorf("an export by a patient's token: %d", got.status)
	}
	started := w.at(0, "lab", "GET", "/fhir/$export", "", "Prefer", "respond-async")
	at, err := url.Parse(started.header.Get("Content-Location"))
	if err != nil || started.status != http.StatusAccepted {
		t.Fatal(started.body)
	}
	for ready := http.StatusAccepted; ready == http.StatusAccepted; ready = w.at(0, "lab", "GET", at.Path, "").status {
		if _, err = w.server.ExportTick(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.at(0, "other", "GET", at.Path, ""); got.status != http.StatusNotFound {
		t.Errorf("the export of other restrictions: %d", got.status)
	}
	done := w.at(0, "lab", "GET", at.Path, "")
	if done.status != http.StatusOK || strings.Count(done.body, `"count":1`) != 2 {
		t.Errorf("%d %s", done.status, done.body)
	}
	for _, file := range regexp.MustCompile(`http[^"]*ndjson`).FindAllString(done.body, -1) {
		if got := w.at(0, "lab", "GET", strings.TrimPrefix(file, w.url), ""); strings.Contains(got.body, "canary") || got.status != http.StatusOK {
			t.Errorf("%d %s", got.status, got.body)
		}
	}
}

func TestARestrictionThatIsNoneIsRefusedWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	for scopes, good := range map[string]bool{
		"system/Observation.rs?category=" + laboratory:   true,
		"system/Task.rs?patient=Patient/1":               true,
		"system/Observation.rs?date=ge2026&status=final": true,
		"system/Observation.rs?shoe-size=43":             false,
		"system/CodeSystem.rs?status=active":             false,
		"system/Unknown.rs?status=active":                false,
		"system/Observation.rs?date=yesterday":           false,
		"system/Observation.rs":                          true,
	} {
		g, err := access.ParseGrant(scopes)
		if err == nil {
			err = CheckGrant(g)
		}
		if (err == nil) != good {
			t.Errorf("%s: %v", scopes, err)
		}
	}
}

// Who is not restricted asks the same of PostgreSQL as before there were fences.
func TestAFenceCostsNothingWhereThereIsNone(t *testing.T) {
	t.Parallel()
	grant, err := access.ParseGrant("system/*.cruds")
	if err != nil {
		t.Fatal(err)
	}
	q := &query{row: servedTypes()["Observation"]}
	for _, actor := range []access.Actor{{Role: access.Placer}, {Role: access.Placer, Grant: grant}, {Role: access.Reader}} {
		bare := &sqlBuilder{args: pgx.NamedArgs{}}
		bare.where = append(bare.where, `r.type = `+bare.arg("Observation"), `NOT r.deleted`)
		bare.unblinded(actor)
		built := &sqlBuilder{args: pgx.NamedArgs{}}
		built.query(q, actor)
		if diff := cmp.Diff(bare.conditions(), built.conditions()); diff != "" {
			t.Errorf("%s: %s", actor.Role, diff)
		}
	}
}

func TestAPatientsTokenAcknowledgesThatPatientsReportOnly(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.signed("1")
	theirs := c.task(id).Text("for", "reference")
	stranger := "Patient/" + c.mustCreate("Patient", patientJSON("other"))
	for patient, who := range map[string]access.Role{theirs: "theirs", stranger: "stranger's"} {
		token, actor := pgtest.AddToken(t, c.db, c.tenant, access.Placer)
		if _, err := c.db.Owner(t).Exec(context.Background(), `UPDATE token SET patient = $2, scopes = 'patient/*.cruds' WHERE actor_id = $1`, actor.ID, patient); err != nil {
			t.Fatal(err)
		}
		c.tokens[who] = token
	}
	absent := c.act("stranger's", "none", "$acknowledge")
	hidden := c.act("stranger's", id, "$acknowledge")
	if diff := cmp.Diff(tellsAll(absent), tellsAll(hidden)); diff != "" || hidden.status != http.StatusNotFound {
		t.Errorf("a Task of another patient: %s", diff)
	}
	report := c.report(id)
	for who, want := range map[access.Role]int{"theirs": http.StatusOK, "stranger's": http.StatusNotFound} {
		if got := c.do(who, "GET", "/fhir/DiagnosticReport/"+report.Text("id"), ""); got.status != want {
			t.Errorf("the report by %s: %d", who, got.status)
		}
	}
	c.mustAct("theirs", id, "$acknowledge", "clinician", "Dr Jones")
	c.wantState(id, "closed")
}

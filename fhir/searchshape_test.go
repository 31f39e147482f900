package fhir

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
)

// ward is a server with resources that refer to each other, by name.
type ward struct {
	*rest
	names map[string]string // reference -> name
	ids   map[string]string // name -> id
}

func startWard(t *testing.T) *ward {
	t.Helper()
	w := &ward{rest: startREST(t), names: map[string]string{}, ids: map[string]string{}}
	w.add("region", "Organization", `"name":"Region"`)
	w.add("hospital", "Organization", `"name":"North Hospital","partOf":{"reference":"Organization/{region}"}`)
	w.add("gp", "Practitioner", `"name":[{"family":"Good"}]`)
	w.add("radiologist", "Practitioner", `"name":[{"family":"Ray"}],"identifier":[{"system":"urn:npi","value":"7"}]`)
	w.add("zoe", "Patient", `"identifier":[{"system":"urn:mrn","value":"1"}],"name":[{"family":"Zoll"}],"birthDate":"1970-05-02","gender":"female",
		"managingOrganization":{"reference":"Organization/{hospital}"},"generalPractitioner":[{"reference":"Practitioner/{gp}"}]`)
	w.add("max", "Patient", `"identifier":[{"system":"urn:mrn","value":"2"}],"name":[{"family":"Adler"},{"family":"Zz"}],"birthDate":"1990",
		"managingOrganization":{"reference":"Organization/{region}"}`)
	w.add("nobody", "Patient", `"active":false`)
	w.add("study", "ImagingStudy", `"status":"available","subject":{"reference":"Patient/{zoe}"},"started":"2026-02-01T08:30:00Z",
		"interpreter":[{"reference":"Practitioner/{radiologist}"}]`)
	w.add("order", "ServiceRequest", `"status":"active","intent":"order","priority":"stat","authoredOn":"2026-02-01","subject":{"reference":"Patient/{zoe}"},
		"requester":{"reference":"Practitioner/{gp}"},"code":{"coding":[{"system":"http://loinc.org","code":"24627-2"}]}`)
	w.add("later", "ServiceRequest", `"status":"active","intent":"order","priority":"urgent","authoredOn":"2026-03-01","subject":{"reference":"Patient/{max}"},
		"code":{"coding":[{"system":"http://loinc.org","code":"30799-1"}]},"basedOn":[{"reference":"ServiceRequest/{order}"}]`)
	w.add("undated", "ServiceRequest", `"status":"draft","intent":"plan","subject":{"reference":"Patient/{max}"}`)
	w.add("bone", "Observation", `"status":"final","code":{"coding":[{"code":"bone"}]},"subject":{"reference":"Patient/{zoe}"},"effectiveDateTime":"2026-02-02","performer":[{"reference":"Practitioner/{radiologist}"}]`)
	w.add("lung", "Observation", `"status":"preliminary","code":{"coding":[{"code":"lung"}]},"subject":{"reference":"Patient/{max}"},"effectiveDateTime":"2026-02-03"`)
	w.add("report", "DiagnosticReport", `"status":"final","code":{"text":"CT"},"subject":{"reference":"Patient/{zoe}"},"basedOn":[{"reference":"ServiceRequest/{order}"}],
		"result":[{"reference":"Observation/{bone}"}],"imagingStudy":[{"reference":"ImagingStudy/{study}"}],"text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">CT</div>"},
		"conclusion":"fine","effectiveDateTime":"2026-02-02"`)
	return w
}

func (w *ward) add(name, typ, members string) {
	w.t.Helper()
	id := w.mustCreate(typ, w.fill(`{"resourceType":"`+typ+`",`+members+`}`))
	w.ids[name], w.names[typ+"/"+id] = id, name
}

// fill puts ids in the place of {names}.
func (w *ward) fill(text string) string {
	for name, id := range w.ids {
		text = strings.ReplaceAll(text, "{"+name+"}", id)
	}
	return text
}

// finds are the names on a page by their mode: "zoe max +hospital" where + is
// included, and ! for an outcome.
func (w *ward) finds(answer response) string {
	var names []string
	for _, e := range answer.node.Each("entry") {
		name := w.names[e.Text("resource", "resourceType")+"/"+e.Text("resource", "id")]
		switch e.Text("search", "mode") {
		case "match":
		case "include":
			name = "+" + name
		case "outcome":
			name = "!"
		default:
			name = "?" + name
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// link is the address of a link of a page, below the server.
func (a response) link(relation string) string {
	for _, l := range a.node.Each("link") {
		if l.Text("relation") == relation {
			return l.Text("url")
		}
	}
	return ""
}

type finding struct{ question, want string }

func (w *ward) check(as access.Role, findings []finding) {
	w.t.Helper()
	for _, f := range findings {
		got := w.do(as, "GET", "/fhir"+w.fill(f.question), "")
		if found := w.finds(got); got.status != http.StatusOK || found != f.want {
			w.t.Errorf("%s finds %q, want %q (%d %.300s)", f.question, found, f.want, got.status, got.body)
			continue
		}
		self := strings.TrimPrefix(got.link("self"), w.url)
		// Not its next link, which tells the moment too.
		if again := w.do(as, "GET", self, ""); w.finds(again) != f.want || again.link("self") != got.link("self") {
			w.t.Errorf("%s: its self link %s answers something else", f.question, self)
		}
	}
}

// refusal is a question, the code of its refusal and a part of its text.
type refusal struct{ question, code, says string }

func (w *ward) refuses(as access.Role, refusals []refusal) {
	w.t.Helper()
	for _, f := range refusals {
		got := w.do(as, "GET", "/fhir"+w.fill(f.question), "")
		if text := got.node.Text("issue", "details", "text"); got.status < 400 || got.status >= 500 || got.node.Text("issue", "code") != f.code || !strings.Contains(text, f.says) {
			w.t.Errorf("%s is answered %d %.300s, want %s with %q", f.question, got.status, got.body, f.code, f.says)
		}
	}
}

// hide withholds a resource from readers, as a blinded case does.
func (w *ward) hide(typ, id string) {
	w.t.Helper()
	owner, ctx, caseID := w.db.Owner(w.t), context.Background(), uuid.New()
	if _, err := owner.Exec(ctx, `INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, opened_at)
		VALUES ($1, $2, 1, 'ready', 'routine', 's', $3, 'ServiceRequest/1', $3, 'blinded', '{}', now())`, w.tenant, caseID, id); err != nil {
		w.t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `INSERT INTO case_original (tenant_id, case_id, type, id) VALUES ($1, $2, $3, $4)`, w.tenant, caseID, typ, id); err != nil {
		w.t.Fatal(err)
	}
}

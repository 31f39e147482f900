package fhir

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// with is somebody of the role whose token has these scopes.
func (r *rest) with(role access.Role, scopes string) access.Role {
	r.t.Helper()
	who := access.Role(string(role) + " with " + scopes)
	if r.tokens[who] != "" {
		return who
	}
	ctx := context.Background()
	token := access.NewToken()
	sum := sha256.Sum256([]byte(token))
	id := uuid.Must(uuid.NewV7())
	err := r.db.System(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `
			INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks)
			VALUES ($1, $2, 'system', $3, $4, '{}')`, r.tenant, id, role, scopes); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at)
			VALUES ($1, $2, $3, $4, now() + interval '1 hour')`, r.tenant, sum[:], id, scopes)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.tokens[who] = token
	return who
}

// again is the same client as who, with a token that has other scopes.
func (r *rest) again(who access.Role, scopes string) access.Role {
	r.t.Helper()
	token := access.NewToken()
	had, sum := sha256.Sum256([]byte(r.tokens[who])), sha256.Sum256([]byte(token))
	err := r.db.System(context.Background(), func(tx pgx.Tx) error {
		_, err := tx.Exec(context.Background(), `
			INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at)
			SELECT tenant_id, $2, client_id, $3, expires_at
			FROM access_token
			WHERE token_sha256 = $1`, had[:], sum[:], scopes)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	same := who + access.Role(" again with "+scopes)
	r.tokens[same] = token
	return same
}

// allBut are scopes that have everything but one letter for one type.
func (r *rest) allBut(typ, letter string) string {
	scopes := []string{"system/" + typ + "." + strings.Replace("cruds", letter, "", 1)}
	for _, other := range r.server.typeNames {
		if other != typ {
			scopes = append(scopes, "system/"+other+".cruds")
		}
	}
	return strings.Join(scopes, " ")
}

// lettersOf are what an attempt at an interaction needs.
func lettersOf(code string, a attempt) string {
	letter := string(permissionOf[code])
	if strings.Contains(a.path, "?_id=") && a.method != "GET" {
		letter += "s" // whether something meets a condition is found by a search
	}
	return letter
}

// asEntry is an attempt as the entry of a Bundle.
func (a attempt) asEntry() string {
	resource := ""
	switch {
	case a.method == "PATCH":
		resource = `"resource":{"resourceType":"Binary","contentType":"application/json-patch+json","data":"` + base64.StdEncoding.EncodeToString([]byte(a.body)) + `"},`
	case strings.HasPrefix(a.body, "{"):
		resource = `"resource":` + a.body + `,`
	}
	return `{` + resource + `"request":{"method":"` + a.method + `","url":` + quoted(a.path) + `}}`
}

// The matrix: every interaction that the CapabilityStatement tells of, with every
// type, is done with the one scope that it needs, and refused with all others of
// all types together; as a request, as an entry of a batch, and of a transaction.
func TestAScopeAllowsWhatItSaysAndNothingElse(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, row := range r.do("", "GET", "/fhir/metadata", "").node.Each("rest", "resource") {
		t.Run(row.Text("type"), func(t *testing.T) {
			t.Parallel()
			c := *r
			c.t, c.tokens = t, maps.Clone(r.tokens)
			c.scopesOf(t, row)
		})
	}
}

func (r *rest) scopesOf(t *testing.T, row *Node) {
	typ := row.Text("type")
	said := map[string]bool{}
	for _, i := range row.Each("interaction") {
		said[i.Text("code")] = true
	}
	id := r.oneOf(t, typ, said)
	if id == "" {
		t.Fatalf("there is no %s to try its interactions with", typ)
	}
	tried := 0
	for _, code := range codesOfTypes {
		for _, a := range attemptsOf(code, typ, id) {
			if !said[code] {
				continue
			}
			tried++
			letters := lettersOf(code, a)
			role := r.allowed(a)
			for letter := range strings.SplitSeq(letters, "") {
				who := r.with(role, r.allBut(typ, letter))
				if got := r.do(who, a.method, "/fhir/"+a.path, a.body, a.header...); got.status != http.StatusForbidden {
					t.Errorf("%s %s without %s: %d %s", a.method, a.path, letter, got.status, got.body)
				}
				got := r.do(who, "POST", "/fhir", `{"resourceType":"Bundle","type":"batch","entry":[`+a.asEntry()+`]}`)
				if !strings.HasPrefix(got.node.Text("entry", "response", "status"), "403") {
					t.Errorf("%s %s in a batch without %s: %s", a.method, a.path, letter, got.body)
				}
				if strings.HasSuffix(a.path, "/_search") {
					continue // no part of a transaction
				}
				got = r.do(who, "POST", "/fhir", `{"resourceType":"Bundle","type":"transaction","entry":[`+a.asEntry()+`]}`)
				if got.status != http.StatusForbidden {
					t.Errorf("%s %s in a transaction without %s: %d %s", a.method, a.path, letter, got.status, got.body)
				}
			}
			who := r.with(role, "system/"+typ+"."+letters)
			if letters == "us" || letters == "ds" {
				who = r.with(role, "system/"+typ+"."+letters[:1]+" system/"+typ+".s")
			}
			got := r.do(who, a.method, "/fhir/"+a.path, a.body, a.header...)
			if !slices.Contains(a.wants, got.status) {
				t.Errorf("%s %s with %s: %d %s", a.method, a.path, letters, got.status, got.body)
			}
			if writing[a.method] != "" && a.method != "DELETE" && !strings.HasSuffix(a.path, "/_search") && strings.Contains(got.body, `"id"`) {
				t.Errorf("%s %s shows the resource to whom may not read it: %s", a.method, a.path, got.body)
			}
		}
	}
	if tried < 2 {
		t.Errorf("only %d attempts", tried)
	}
}

// The matrix again, with a scope that is restricted to what the one resource that
// is there is not: to each interaction that the CapabilityStatement tells of, it is
// answered as one that never was.
func TestWhatARestrictedScopeLeavesOutIsAbsentToEveryInteraction(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for _, row := range r.do("", "GET", "/fhir/metadata", "").node.Each("rest", "resource") {
		if !r.server.resources[row.Text("type")].kept() {
			continue // CheckGrant refuses such scopes
		}
		t.Run(row.Text("type"), func(t *testing.T) {
			t.Parallel()
			c := *r
			c.t, c.tokens = t, maps.Clone(r.tokens)
			c.restrictionsOf(t, row)
		})
	}
}

// matchesNothing are values, by the kind of a search parameter, that nothing has.
var matchesNothing = map[string]string{"token": "urn:none|none", "string": "nosuchtext", "reference": "Patient/none", "date": "1801-01-01", "uri": "urn:none"}

func (r *rest) restrictionsOf(t *testing.T, row *Node) {
	typ, query := row.Text("type"), ""
	for _, p := range row.Each("searchParam") {
		if value := matchesNothing[p.Text("type")]; query == "" && value != "" && !strings.HasPrefix(p.Text("name"), "_") {
			query = p.Text("name") + "=" + value
		}
	}
	if query == "" {
		t.Fatalf("no search parameter of %s is one to restrict by", typ)
	}
	said := map[string]bool{}
	for _, i := range row.Each("interaction") {
		said[i.Text("code")] = true
	}
	const absent = "01890000-0000-7000-8000-000000000000"
	id := r.oneOf(t, typ, said)
	tried := 0
	for _, code := range codesOfTypes {
		there, never := attemptsOf(code, typ, id), attemptsOf(code, typ, absent)
		for i, a := range there {
			if !said[code] {
				continue
			}
			tried++
			who := r.with(r.allowed(a), "system/"+typ+".cruds?"+query)
			got := r.do(who, a.method, "/fhir/"+a.path, a.body, a.header...)
			want := r.do(who, a.method, "/fhir/"+never[i].path, never[i].body, a.header...)
			if got.status != want.status || strings.ReplaceAll(got.body, id, absent) != want.body && !strings.Contains(got.body, `"searchset"`) && !strings.Contains(got.body, `"history"`) {
				t.Errorf("%s %s: %d %s\nand of one that never was: %d %s", a.method, a.path, got.status, got.body, want.status, want.body)
			}
			shown := strings.ReplaceAll(got.body, `"resource":{"resourceType":"OperationOutcome"`, "") // auditors are told that there is more
			if strings.Contains(shown, `"resource":`) || strings.Contains(shown, `"total":1`) {
				t.Errorf("%s %s shows it: %s", a.method, a.path, got.body)
			}
			if writing[a.method] != "" && !strings.HasSuffix(a.path, "/_search") && a.method != "DELETE" && got.status < 400 {
				t.Errorf("%s %s writes what the restriction leaves out: %d", a.method, a.path, got.status)
			}
		}
	}
	if tried < 2 {
		t.Errorf("only %d attempts", tried)
	}
	if got := r.do(r.allowed(attempt{path: typ}), "GET", "/fhir/"+typ+"/"+id, ""); got.status != http.StatusOK || said["create"] && got.header.Get("ETag") != `W/"1"` {
		t.Errorf("afterwards: %d %s", got.status, got.body)
	}
}

// neededBy is what each operation needs of the type in its address; "*" for any.
var neededBy = map[string]string{"everything": "r", "drafts": "r", "readings": "r", "template": "r", "quality": "r", "evaluate-measure": "r", "measure-table": "r", "funnel": "r", "compare-strata": "r", "control-chart": "r", "standardise": "r", "agreement-of-readers": "r", "statistic-table": "r", "flat-view": "r", "save-query": "r", "saved-query": "r", "saved-queries": "r", "withdraw-query": "r", "check": "r", "reviews": "r", "samples": "r", "feedback": "r", "respond": "u", "make-meeting-pack": "r", "meeting-pack": "r", "triage": "r", "difference": "r", "patient-summary": "r", "matters": "r", "candidates": "r", "comparison": "r", "expiring-credentials": "r", "validate": "*", "export": "rs", "lookup": "r", "validate-code": "r", "expand": "r", "translate": "r"}

func TestAnOperationNeedsItsScopeToo(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	refused := func(who access.Role, method, path string) bool {
		got := r.do(who, method, path, `{"resourceType":"Parameters"}`, "Prefer", "respond-async")
		return got.status == http.StatusForbidden
	}
	for _, v := range services() {
		if neededBy[v.name] == "" {
			t.Errorf("the test does not know the operation %s", v.name)
		}
		for _, at := range v.paths() {
			letters := neededBy[v.name]
			typ, _, _ := strings.Cut(strings.TrimPrefix(at, "/fhir/"), "/")
			if strings.HasPrefix(typ, "$") {
				typ, letters = "Patient", "rs" // of the system: by the types that it gives
			}
			if typ == "Group" && v.name == "export" {
				letters = "r" // and of the patients, what it gives
			}
			path := strings.Replace(at, ":id", "1", 1)
			for letter := range strings.SplitSeq(strings.Replace(letters, "*", "", 1), "") {
				scopes := r.allBut(typ, letter)
				if strings.HasPrefix(at, "/fhir/$") {
					scopes = "system/*." + strings.Replace("cruds", letter, "", 1)
				}
				if letter != "" && !refused(r.with(access.Placer, scopes), "POST", path) {
					t.Errorf("%s without %s", at, letter)
				}
			}
			if !slices.Contains(v.by, access.Placer) {
				continue // TestTheQualityCompartment has the rest
			}
			scopes := "system/" + typ + "." + strings.Replace(letters, "*", "r", 1)
			if typ == "Group" {
				scopes += " system/Patient.rs"
			}
			if refused(r.with(access.Placer, scopes), "POST", path) {
				t.Errorf("%s is refused with %s", at, scopes)
			}
			if letters == "*" && !refused(r.with(access.Placer, others(r, typ)), "POST", path) {
				t.Errorf("%s without any scope of the type", at)
			}
		}
	}
	for _, op := range operations {
		path := "/fhir/Task/1/$" + op.Name
		if !refused(r.with(access.Placer, r.allBut("Task", "u")), "POST", path) {
			t.Errorf("%s without u", path)
		}
		if got := r.do(r.with(access.Coordinator, "system/Task.u"), "POST", path, ""); strings.Contains(got.body, "scopes") {
			t.Errorf("%s is refused: %s", path, got.body)
		}
	}
	for mode, letter := range map[string]string{"create": "c", "update": "u", "delete": "d"} {
		path := "/fhir/Patient/1/$validate?mode=" + mode
		if mode == "create" {
			path = "/fhir/Patient/$validate?mode=create"
		}
		if !refused(r.with(access.Placer, r.allBut("Patient", letter)), "POST", path) || refused(r.with(access.Placer, "system/Patient.r system/Patient."+letter), "POST", path) {
			t.Errorf("$validate with mode %s is not decided by %s", mode, letter)
		}
	}
}

func others(r *rest, typ string) string {
	var scopes []string
	for _, other := range r.server.typeNames {
		if other != typ {
			scopes = append(scopes, "system/"+other+".cruds")
		}
	}
	return strings.Join(scopes, " ")
}

func TestTheAnswerOfATransactionIsForThoseWithTheSameScopes(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := r.mustCreate("Patient", patientJSON("1"))
	bundle := `{"resourceType":"Bundle","type":"transaction","entry":[` +
		`{"resource":` + exampleOf("Organization").body + `,"request":{"method":"POST","url":"Organization"}},` +
		`{"request":{"method":"GET","url":"Patient/` + patient + `"}}]}`
	full := r.with(access.Placer, "system/*.cruds")
	first := r.do(full, "POST", "/fhir", bundle)
	if again := r.do(full, "POST", "/fhir", bundle); first.status != http.StatusOK || again.body != first.body {
		t.Errorf("the same again: %d %s", again.status, again.body)
	}
	if got := r.do(r.with(access.Placer, "system/Organization.c"), "POST", "/fhir", bundle); got.status != http.StatusForbidden || strings.Contains(got.body, "Zoë") {
		t.Errorf("with fewer scopes: %d %s", got.status, got.body)
	}
}

func TestAnExportGivesWhatTheScopesCover(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.onePatient()
	start := func(scopes, query string) response {
		return r.do(r.with(access.Placer, scopes), "GET", "/fhir/$export"+query, "", "Prefer", "respond-async")
	}
	const few = "system/Patient.rs system/Condition.rs system/Observation.r system/Task.s"
	for _, refused := range []struct{ scopes, query string }{
		{few, "?_type=Patient,Observation"}, {few, "?_type=Task"}, {"system/Observation.r system/Task.s", ""},
	} {
		if got := start(refused.scopes, refused.query); got.status != http.StatusForbidden {
			t.Errorf("$export%s with %s: %d %s", refused.query, refused.scopes, got.status, got.body)
		}
	}
	started := start(few, "")
	if started.status != http.StatusAccepted {
		t.Fatal(started.body)
	}
	var types []string
	if err := r.db.Owner(t).QueryRow(context.Background(), `SELECT types FROM export_job`).Scan(&types); err != nil {
		t.Fatal(err)
	}
	slices.Sort(types)
	if diff := cmp.Diff([]string{"Condition", "Patient"}, types); diff != "" {
		t.Error(diff)
	}
	at, err := url.Parse(started.header.Get("Content-Location"))
	if err != nil {
		t.Fatal(err)
	}
	client := r.with(access.Placer, few)
	for scopes, want := range map[string]int{few: http.StatusAccepted, "system/Patient.rs system/Condition.r": http.StatusNotFound, "system/*.rs": http.StatusAccepted} {
		if got := r.do(r.again(client, scopes), "GET", at.Path, ""); got.status != want {
			t.Errorf("the export with %s: %d, want %d", scopes, got.status, want)
		}
	}
}

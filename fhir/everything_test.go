package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// refs are Type/id of the resources of a Bundle, in its order.
func (a response) refs() []string {
	found := []string{}
	for _, n := range a.node.Each("entry", "resource") {
		found = append(found, n.Type()+"/"+n.Text("id"))
	}
	return found
}

// filled is a server with one patient and what belongs to them, and another
// patient's.
func filled(t *testing.T) (r *rest, id map[string]string) {
	t.Helper()
	r, id = startREST(t), map[string]string{}
	make := func(name, typ, body string) {
		body = strings.NewReplacer("$patient", "Patient/"+id["patient"], "$doctor", "Practitioner/"+id["doctor"], "$clinic", "Organization/"+id["clinic"],
			"$parent", "Organization/"+id["parent"], "$order", "ServiceRequest/"+id["order"]).Replace(body)
		id[name] = r.mustCreate(typ, `{"resourceType":"`+typ+`",`+body+`}`)
	}
	make("parent", "Organization", `"name":"The trust"`)
	make("clinic", "Organization", `"name":"The clinic","partOf":{"reference":"$parent"}`)
	make("elsewhere", "Organization", `"name":"Another clinic"`)
	make("doctor", "Practitioner", `"name":[{"family":"Adler"}]`)
	make("patient", "Patient", `"name":[{"family":"Synthetic"}],"managingOrganization":{"reference":"$clinic"}`)
	make("order", "ServiceRequest", `"status":"active","intent":"order","subject":{"reference":"$patient"},"requester":{"reference":"$doctor"},"authoredOn":"2026-03-02"`)
	make("old", "ServiceRequest", `"status":"completed","intent":"order","subject":{"reference":"$patient"},"authoredOn":"2020-03-02"`)
	make("task", "Task", `"status":"requested","intent":"order","for":{"reference":"$patient"}`)
	make("condition", "Condition", `"subject":{"reference":"$patient"}`)
	id["own"] = id["patient"]
	make("patient", "Patient", `"name":[{"family":"Stranger"}]`)
	make("others", "ServiceRequest", `"status":"active","intent":"order","subject":{"reference":"$patient"}`)
	id["stranger"], id["patient"] = id["patient"], id["own"]
	return r, id
}

func TestEverythingOfAPatientIsTheCompartmentAndWhatItRefersTo(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	all := []string{"Patient/" + id["patient"], "Task/" + id["task"], "ServiceRequest/" + id["order"], "ServiceRequest/" + id["old"],
		"Condition/" + id["condition"], "Practitioner/" + id["doctor"], "Organization/" + id["parent"], "Organization/" + id["clinic"]}
	without := func(names ...string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(ref string) bool {
			return slices.ContainsFunc(names, func(name string) bool { return strings.HasSuffix(ref, id[name]) })
		})
	}
	asked := func(parameters ...*Node) string {
		return Object("resourceType", "Parameters", "parameter", parameters).jsonText()
	}
	for _, test := range []struct {
		query string
		body  string // of a POST; "" for a GET
		want  []string
	}{
		{"", "", all},
		{"", asked(), all},
		{"?start=2026-01-01", "", without("old")},
		{"?start=2020&end=2020-12", "", without("order", "doctor")},
		{"?end=2019", "", without("order", "old", "doctor")},
		{"", asked(Object("name", "start", "valueDate", "2026-01-01")), without("old")},
		{"?_type=Practitioner,Condition", "", []string{"Condition/" + id["condition"], "Practitioner/" + id["doctor"]}},
		{"?_type=Task&_type=Patient", "", []string{"Patient/" + id["patient"], "Task/" + id["task"]}},
		{"?_since=2999-01-01T00:00:00Z", "", []string{"Patient/" + id["patient"]}},
		{"?_since=2001-01-01T00:00:00%2B01:00", "", all},
	} {
		method := http.MethodGet
		if test.body != "" {
			method = http.MethodPost
		}
		got := r.do(access.Placer, method, "/fhir/Patient/"+id["patient"]+"/$everything"+test.query, test.body)
		if diff := cmp.Diff(sorted(test.want), sorted(got.refs())); got.status != http.StatusOK || diff != "" {
			t.Errorf("%s %s %s: %d %s", method, test.query, test.body, got.status, diff)
		}
		if got.node.Text("total") != fmt.Sprint(len(test.want)) || got.node.Text("type") != "searchset" {
			t.Errorf("%s: total %s of %d", test.query, got.node.Text("total"), len(test.want))
		}
	}
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return list
}

func TestEverythingIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	own := "/fhir/Patient/" + id["patient"] + "/$everything"
	for path, want := range map[string]struct {
		status int
		code   string
	}{
		"/fhir/Patient/none/$everything":                      {404, "not-found"},
		"/fhir/Patient/no%20id/$everything":                   {404, "not-found"},
		"/fhir/Patient/$everything":                           {400, "not-supported"},
		own + "?_count=0":                                     {400, "value"},
		own + "?_since=2026":                                  {400, "value"},
		own + "?start=yesterday":                              {400, "value"},
		own + "?start=2026-01-01T10:00:00Z":                   {400, "value"},
		own + "?start=2026&end=2025":                          {400, "value"},
		own + "?_type=Measles":                                {400, "not-supported"},
		own + "?_after=x":                                     {400, "value"},
		own + "?name=x":                                       {400, "value"},
		"/fhir/Task/" + id["task"] + "/$everything":           {404, "not-found"}, // no case runs on it
		"/fhir/Practitioner/" + id["doctor"] + "/$everything": {404, "not-found"},
	} {
		r.get(path).want(t, want.status, want.code)
	}
}

// The pages follow the types and ids, which no write changes: each resource that
// was there at the first page comes once.
func TestPagesOfEverythingNeitherRepeatNorLoseWhileOthersWrite(t *testing.T) {
	t.Parallel()
	r, id := filled(t)
	address := "/fhir/Patient/" + id["patient"] + "/$everything"
	want := r.get(address).refs()
	seen := map[string]int{}
	for page, next := 0, address+"?_count=1"; next != ""; page++ {
		got := r.get(next)
		for _, ref := range got.refs() {
			seen[ref]++
		}
		next = ""
		for _, link := range got.node.Each("link") {
			if link.Text("relation") == "next" {
				next = strings.TrimPrefix(link.Text("url"), r.url)
			}
		}
		order := `{"resourceType":"ServiceRequest","id":"` + id["order"] + `","status":"active","intent":"order","subject":{"reference":"Patient/` + id["patient"] +
			`"},"requester":{"reference":"Practitioner/` + id["doctor"] + `"},"note":[{"text":"` + fmt.Sprint(page) + `"}]}`
		if got := r.put("/fhir/ServiceRequest/"+id["order"], order); got.status != http.StatusOK {
			t.Fatal(got.body)
		}
		r.mustCreate("Condition", `{"resourceType":"Condition","subject":{"reference":"Patient/`+id["patient"]+`"}}`)
		if page > 40 {
			break // each page adds a Condition, which may come as well; after them come the others
		}
	}
	for _, ref := range want {
		if seen[ref] > 1 {
			t.Errorf("%s came %d times", ref, seen[ref])
		}
	}
	if seen[want[0]] != 1 || seen["ServiceRequest/"+id["order"]] != 1 || seen["ServiceRequest/"+id["old"]] != 1 {
		t.Errorf("lost: %v", seen)
	}
}

// A reader who must not know the original yet gets everything else, and nothing
// that tells of it: neither itself nor who made it, nor in a total.
func TestEverythingOfACaseBlindedBeforeTheRevealAndWholeAfterIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "everything")...)
	c.tick()
	patient := c.task(id).Text("for", "reference")
	originals := c.get("/fhir/DiagnosticReport?identifier:not=" + sidReport + "|x").refs()
	firstReader := c.get("/fhir/Practitioner").refs()
	hidden := append(slices.Clone(originals), c.get("/fhir/Observation").refs()...)
	if len(originals) != 1 || len(hidden) != 3 || len(firstReader) == 0 {
		t.Fatalf("%v %v %v", originals, hidden, firstReader)
	}
	addresses := []string{"/fhir/Task/" + id + "/$everything", "/fhir/" + patient + "/$everything"}
	must := []string{"Task/" + id, patient, c.task(id).Text("focus", "reference")}
	for _, address := range addresses {
		for _, role := range []access.Role{access.Placer, access.Coordinator, access.Director} {
			wantAll(t, address+" as "+string(role), c.do(role, "GET", address, ""), append(hidden, must...))
		}
		for _, role := range []access.Role{access.Reader, access.Adjudicator, access.Supervisor} {
			got := c.do(role, "GET", address, "")
			wantAll(t, address+" as "+string(role), got, must)
			for _, ref := range hidden {
				if slices.Contains(got.refs(), ref) {
					t.Errorf("%s shows %s to the %s", address, ref, role)
				}
			}
			if got.node.Text("total") != fmt.Sprint(len(got.refs())) {
				t.Errorf("%s: a total of %s for %d resources", address, got.node.Text("total"), len(got.refs()))
			}
		}
	}
	c.read(id)
	for _, address := range addresses {
		wantAll(t, address+" after the reveal", c.do(access.Reader, "GET", address, ""), append(hidden, must...))
	}
	c.mustAct(access.Reader, id, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule is not mentioned.")
	c.mustAct(access.Reader, id, "$sign")
	report := c.report(id)
	whole := c.do(access.Director, "GET", addresses[0], "")
	want := append(slices.Clone(hidden), "DiagnosticReport/"+report.Text("id"))
	for _, ref := range report.Each("result", "reference") {
		want = append(want, ref.Text())
	}
	want = append(want, c.get("/fhir/Provenance?target=DiagnosticReport/"+report.Text("id")).refs()...)
	for _, ref := range report.Each("performer", "reference") {
		want = append(want, ref.Text())
	}
	wantAll(t, "the whole case", whole, append(want, must...))
	if len(want) < 9 {
		t.Errorf("the report has too little: %v", want)
	}
}

func wantAll(t *testing.T, what string, got response, want []string) {
	t.Helper()
	refs := got.refs()
	if got.status != http.StatusOK {
		t.Fatalf("%s: %d %s", what, got.status, got.body)
	}
	for _, ref := range want {
		if !slices.Contains(refs, ref) {
			t.Errorf("%s: %s is missing of %v", what, ref, refs)
		}
	}
	for i, ref := range refs {
		if slices.Contains(refs[:i], ref) {
			t.Errorf("%s: %s comes twice", what, ref)
		}
	}
}

// Who first reported is not to be seen through what the report refers to, nor
// through the study.
func TestEverythingDoesNotTellWhoFirstReported(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	entries := chestXray(t, "told")
	first := Object("resourceType", "Practitioner", "id", "first", "name", []*Node{Object("family", "Firstreader")})
	for _, e := range entries {
		switch n := e.Get("resource"); n.Type() {
		case "ImagingStudy":
			n.Set("interpreter", []*Node{Object("reference", "Practitioner/first")})
		case "DiagnosticReport":
			n.Set("resultsInterpreter", []*Node{Object("reference", "Practitioner/first")})
		}
	}
	id := c.order(append([]*Node{entryOf(first, ehrBase+"/Practitioner/first")}, entries...)...)
	c.tick()
	for _, address := range []string{"/fhir/Task/" + id + "/$everything", "/fhir/" + c.task(id).Text("for", "reference") + "/$everything"} {
		if got := c.do(access.Reader, "GET", address, ""); strings.Contains(got.body, "Firstreader") || got.status != http.StatusOK {
			t.Errorf("%s: %d, and names the first reader", address, got.status)
		}
		if got := c.do(access.Director, "GET", address, ""); !strings.Contains(got.body, "Firstreader") {
			t.Errorf("%s: the director does not get the first reader", address)
		}
	}
}

// The first report as a PDF, which it names by its address, is withheld with it,
// whether it came before or comes after.
func TestTheOriginalsAttachmentsAreWithheldWithIt(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	for _, id := range []string{"pdf", "scan"} {
		if got := c.put("/fhir/Binary/"+id, `{"resourceType":"Binary","id":"`+id+`","contentType":"application/pdf","data":"UERG"}`); got.status != http.StatusCreated {
			t.Fatal(got.body)
		}
	}
	entries := chestXray(t, "attached")
	for _, e := range entries {
		if n := e.Get("resource"); n.Type() == "DiagnosticReport" {
			n.Set("presentedForm", []*Node{Object("contentType", "application/pdf", "url", "Binary/pdf"), Object("contentType", "application/pdf", "url", c.url+"/fhir/Binary/late")})
		}
	}
	id := c.order(entries...)
	c.tick()
	original := c.get("/fhir/DiagnosticReport").refs()[0]
	c.mustCreate("DocumentReference", `{"resourceType":"DocumentReference","status":"current","content":[{"attachment":{"url":"Binary/scan"}}],"context":{"related":[{"reference":"`+original+`"}]}}`)
	if got := c.put("/fhir/Binary/late", `{"resourceType":"Binary","id":"late","contentType":"application/pdf","data":"UERG"}`); got.status != http.StatusCreated {
		t.Fatal(got.body)
	}
	all := []string{"Binary/pdf", "Binary/scan", "Binary/late"}
	if got := c.reads(access.Reader, all...); got != nil {
		t.Errorf("the reader gets %v", got)
	}
	if got := c.do(access.Reader, "GET", "/fhir/Binary", "").refs(); len(got) != 0 {
		t.Errorf("a search finds %v", got)
	}
	if diff := cmp.Diff(all, c.reads(access.Placer, all...)); diff != "" {
		t.Error(diff)
	}
	wantAll(t, "everything", c.do(access.Director, "GET", "/fhir/Task/"+id+"/$everything", ""), all)
	c.read(id)
	if diff := cmp.Diff(all, c.reads(access.Reader, all...)); diff != "" {
		t.Errorf("after the reveal: %s", diff)
	}
}

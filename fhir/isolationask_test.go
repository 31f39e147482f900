package fhir

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// askable is what questions are made of: what the CapabilityStatement says, and
// the values that are in both tenants' resources.
type askable struct {
	types      []asType
	ids        map[string][]string // by type: north's, south's, ones that nobody has, and those made on the way
	tokens     []string
	words      []string
	dates      []string
	references []string
	numbers    []string
}

// asType is a row of the CapabilityStatement.
type asType struct {
	name               string
	params             []asParam
	includes, reverses []string
	operations         []string
}

type asParam struct{ name, kind string }

var (
	isDate = regexp.MustCompile(`^\d{4}(-\d\d(-\d\d(T.*)?)?)?$`)
	isWord = regexp.MustCompile(`^\p{L}[\p{L} -]{1,30}$`)
)

// gather reads what there is.
func (w *isolation) gather() askable {
	w.t.Helper()
	a := askable{ids: map[string][]string{}}
	var statement map[string]any
	if err := json.Unmarshal([]byte(w.sides[0].ask(northAsks{method: "GET", path: "/metadata"}, "", 0).Body), &statement); err != nil {
		w.t.Fatal(err)
	}
	rest := statement["rest"].([]any)[0].(map[string]any)
	for _, row := range rest["resource"].([]any) {
		a.types = append(a.types, readType(row.(map[string]any)))
	}
	rows, err := w.sides[1].db.Owner(w.t).Query(w.t.Context(), `
		SELECT type, id, coalesce(convert_from(body, 'UTF8'), '{}') FROM resource
		UNION ALL
		SELECT 'AuditEvent', audit_id::text, convert_from(body, 'UTF8') FROM audit_event
		ORDER BY 1, 2, 3`)
	if err != nil {
		w.t.Fatal(err)
	}
	var typ, id, body string
	if _, err := pgx.ForEachRow(rows, []any{&typ, &id, &body}, func() error {
		if !slices.Contains(a.ids[typ], id) && len(a.ids[typ]) < 60 {
			a.ids[typ] = append(a.ids[typ], id)
		}
		var n any
		if err := json.Unmarshal([]byte(body), &n); err != nil {
			return err
		}
		a.harvest(n)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	for _, list := range []*[]string{&a.tokens, &a.words, &a.dates, &a.references, &a.numbers} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
		if len(*list) == 0 {
			w.t.Fatal("there are no values of a kind to ask for")
		}
	}
	for _, row := range a.types {
		a.ids[row.name] = append(a.ids[row.name], "nobody-has-this", "south-1")
	}
	return a
}

func readType(row map[string]any) asType {
	t := asType{name: row["type"].(string)}
	list := func(name string) []any { l, _ := row[name].([]any); return l }
	for _, p := range list("searchParam") {
		p := p.(map[string]any)
		t.params = append(t.params, asParam{p["name"].(string), p["type"].(string)})
	}
	for _, i := range list("searchInclude") {
		t.includes = append(t.includes, i.(string))
	}
	for _, i := range list("searchRevInclude") {
		t.reverses = append(t.reverses, i.(string))
	}
	for _, o := range list("operation") {
		t.operations = append(t.operations, o.(map[string]any)["name"].(string))
	}
	return t
}

// harvest keeps the values of a resource, as they are asked for.
func (a *askable) harvest(n any) {
	switch n := n.(type) {
	case map[string]any:
		system, _ := n["system"].(string)
		for _, name := range []string{"code", "value"} {
			if v, ok := n[name].(string); ok && len(v) < 80 && !strings.Contains(v, southCanary) {
				a.tokens = append(a.tokens, v, system+"|"+v, "|"+v)
			}
		}
		if v, ok := n["reference"].(string); ok {
			a.references = append(a.references, v)
		}
		for _, v := range n {
			a.harvest(v)
		}
	case []any:
		for _, v := range n {
			a.harvest(v)
		}
	case float64:
		a.numbers = append(a.numbers, fmt.Sprint(n))
	case string:
		switch {
		case isDate.MatchString(n):
			a.dates = append(a.dates, n)
		case isWord.MatchString(n): // half of the canary is asked for too, and never all of it: answers repeat it
			a.words = append(a.words, strings.ReplaceAll(n, southCanary, southCanary[:9]))
		}
	}
}

// learn remembers the ids that the server has made, so that they are asked for.
func (w *isolation) learn(q northAsks, r reply) {
	typ, _, _ := strings.Cut(strings.TrimPrefix(q.path, "/"), "?")
	if q.method == http.MethodPost && r.Status == http.StatusCreated {
		if id := placeholder.FindString(strings.Join(r.Header, " ")); id != "" && len(w.ids[typ]) < 200 {
			w.ids[typ] = append(w.ids[typ], id)
		}
	}
	if q.path == "/$export" || strings.Contains(q.path, "/$export?") {
		for _, h := range r.Header {
			if rest, ok := strings.CutPrefix(h, "Content-Location: "+isolationBase); ok {
				w.references = append(w.references, rest) // asked for as an address
			}
		}
	}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

// often tells whether something happens that happens n times of a hundred.
func (w *isolation) often(n int) bool { return w.rand.IntN(100) < n }

// kindsOfQuestions is the table of what is northAsks, and how often of a hundred.
func (w *isolation) kindsOfQuestions() []struct {
	often int
	make  func() northAsks
} {
	return []struct {
		often int
		make  func() northAsks
	}{
		{34, w.askSearch},
		{6, w.askAcross},
		{10, w.askRead},
		{8, w.askHistory},
		{12, w.askWrite},
		{8, w.askCondition},
		{7, w.askBundle},
		{10, w.askOperation},
		{5, w.askNonsense},
	}
}

// question is the next one.
func (w *isolation) question() northAsks {
	n := w.rand.IntN(100)
	q := northAsks{}
	for _, kind := range w.kindsOfQuestions() {
		if n -= kind.often; n < 0 {
			q = kind.make()
			break
		}
	}
	if q.as == "" && !w.often(2) {
		q.as = pick(w.rand, anybody)
		if w.often(60) {
			q.as = pick(w.rand, []access.Role{access.Placer, access.Coordinator, access.Reader, bounded})
		}
	}
	return q
}

func (w *isolation) typ() asType { return pick(w.rand, w.types) }

func (w *isolation) id(typ string) string {
	if w.often(3) {
		typ = w.typ().name
	}
	if len(w.ids[typ]) == 0 {
		return "nobody-has-this"
	}
	return pick(w.rand, w.ids[typ])
}

// value is a value of a search parameter of this type.
func (w *isolation) value(kind string) string {
	prefix := ""
	if w.often(40) {
		prefix = pick(w.rand, []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
	}
	var v string
	switch kind {
	case "token":
		v = pick(w.rand, w.tokens)
	case "string":
		v = pick(w.rand, w.words)
		v = v[:len(string([]rune(v)[:1+w.rand.IntN(len([]rune(v)))]))]
	case "date":
		v = prefix + pick(w.rand, w.dates)
	case "reference":
		v = pick(w.rand, w.references)
		if w.often(40) {
			typ := w.typ().name
			v = typ + "/" + w.id(typ)
		}
	case "number", "quantity":
		v = prefix + pick(w.rand, w.numbers)
		if kind == "quantity" && w.often(50) {
			v += "|" + pick(w.rand, []string{"http://unitsofmeasure.org|mm", "|mm", "|kg"})
		}
	case "uri":
		v = pick(w.rand, w.tokens)
	case "composite":
		v = pick(w.rand, w.tokens) + "$" + pick(w.rand, slices.Concat(w.tokens, w.dates))
	default:
		v = pick(w.rand, w.words)
	}
	if w.often(8) {
		v += "," + w.value(kind)
	}
	return v
}

var modifiersOf = map[string][]string{
	"token":     {":not", ":text", ":in", ":not-in", ":of-type", ":missing", ":above", ":below"},
	"string":    {":exact", ":contains", ":missing"},
	"date":      {":missing"},
	"reference": {":missing", ":identifier", ":Patient", ":Practitioner"},
	"uri":       {":above", ":below", ":missing"},
}

// criterion is one parameter of a search of the type, with its value.
func (w *isolation) criterion(t asType, depth int) (name, value string) {
	if len(t.params) == 0 {
		return "_id", w.id(t.name)
	}
	p := pick(w.rand, t.params)
	if w.often(12) {
		return "_id", w.id(t.name)
	}
	if p.kind == "reference" && depth < 2 && w.often(35) {
		target := w.typ()
		inner, v := w.criterion(target, depth+1)
		if w.often(60) {
			inner = ":" + target.name + "." + inner
		} else {
			inner = "." + inner
		}
		return p.name + inner, v
	}
	if len(t.reverses) > 0 && depth < 2 && w.often(10) {
		reverse := strings.Split(pick(w.rand, t.reverses), ":")
		if i := slices.IndexFunc(w.types, func(o asType) bool { return o.name == reverse[0] }); i >= 0 && len(reverse) > 1 {
			inner, v := w.criterion(w.types[i], depth+1)
			return "_has:" + reverse[0] + ":" + reverse[1] + ":" + inner, v
		}
	}
	name, value = p.name, w.value(p.kind)
	if more := modifiersOf[p.kind]; len(more) > 0 && w.often(20) {
		m := pick(w.rand, more)
		if m == ":missing" {
			value = pick(w.rand, []string{"true", "false"})
		}
		name += m
	}
	return name, value
}

// parameters are those of a search.
func (w *isolation) parameters(t asType) url.Values {
	v := url.Values{}
	for range w.rand.IntN(3) {
		name, value := w.criterion(t, 0)
		v.Add(name, value)
	}
	add := func(often int, name string, values ...string) {
		if w.often(often) && len(values) > 0 {
			v.Add(name, pick(w.rand, values))
		}
	}
	add(30, "_count", "1", "2", "5", "50", "0")
	add(20, "_total", "accurate", "none", "estimate")
	add(10, "_summary", "count", "true", "text", "data")
	add(20, "_include", append(slices.Clone(t.includes), "*")...)
	add(15, "_revinclude", t.reverses...)
	add(5, "_include:iterate", t.includes...)
	add(5, "_elements", "id", "identifier,status", "name")
	add(4, "_lastUpdated", "gt2020", "lt2020")
	if len(t.params) > 0 {
		add(15, "_sort", pick(w.rand, t.params).name, "-"+pick(w.rand, t.params).name, "_id", "-_lastUpdated")
	}
	return v
}

func (w *isolation) askSearch() northAsks {
	t := w.typ()
	v := w.parameters(t)
	if w.often(15) {
		return northAsks{method: "POST", path: "/" + t.name + "/_search", body: v.Encode(), header: []string{"Content-Type", "application/x-www-form-urlencoded"}}
	}
	q := northAsks{method: "GET", path: "/" + t.name + "?" + v.Encode()}
	if w.often(10) {
		q.header = []string{"Prefer", "handling=" + pick(w.rand, []string{"strict", "lenient"})}
	}
	return q
}

// askAcross searches all types, and compartments.
func (w *isolation) askAcross() northAsks {
	t := w.typ()
	if w.often(40) {
		v := url.Values{"_type": {t.name + "," + w.typ().name}, "_count": {pick(w.rand, []string{"1", "3", "20"})}}
		return northAsks{method: "GET", path: "?" + v.Encode()}
	}
	owner := pick(w.rand, []string{"Patient", "Practitioner", "Encounter", "Device", "RelatedPerson"})
	inside := pick(w.rand, []string{t.name, "*"})
	return northAsks{method: "GET", path: "/" + owner + "/" + w.id(owner) + "/" + inside + "?" + w.parameters(t).Encode()}
}

func (w *isolation) askRead() northAsks {
	t := w.typ()
	q := northAsks{method: pick(w.rand, []string{"GET", "GET", "GET", "HEAD"}), path: "/" + t.name + "/" + w.id(t.name)}
	if w.often(25) {
		q.path += "/_history/" + pick(w.rand, []string{"1", "2", "3", "99"})
	}
	if w.often(10) {
		q.header = []string{"If-None-Match", pick(w.rand, []string{`W/"1"`, `W/"2"`, "*"})}
	}
	return q
}

func (w *isolation) askHistory() northAsks {
	t := w.typ()
	v := url.Values{}
	if w.often(70) {
		v.Set("_count", pick(w.rand, []string{"1", "3", "50"}))
	}
	if w.often(20) {
		v.Set(pick(w.rand, []string{"_since", "_at"}), pick(w.rand, []string{"2020-01-01T00:00:00Z", "2090-01-01T00:00:00Z", w.begin.Format("2006-01-02T15:04:05Z")}))
	}
	at := pick(w.rand, []string{"/" + t.name + "/" + w.id(t.name), "/" + t.name, ""})
	return northAsks{method: "GET", path: at + "/_history?" + v.Encode()}
}

// body is a resource to send, often under an id or a number that is south's.
func (w *isolation) body(typ, id string) string {
	e := exampleOf(typ)
	body := e.body
	if body == "" {
		body = `{"resourceType":"` + typ + `"}`
	}
	if id != "" {
		body = strings.Replace(body, `"resourceType":"`+typ+`"`, `"resourceType":"`+typ+`","id":"`+id+`"`, 1)
	}
	if w.often(30) {
		body = strings.ReplaceAll(body, "-77", fmt.Sprintf("-%d", 70+w.rand.IntN(20)))
	}
	if w.often(10) {
		body = strings.Replace(body, `"type":"Patient","identifier":{"system":"urn:example:mrn","value":"1001"}`, `"reference":"Patient/`+w.id("Patient")+`"`, 1)
	}
	return body
}

var writersOf = []access.Role{access.Placer, access.Coordinator, access.Placer, access.Coordinator, access.Admin, access.Reader}

func (w *isolation) askWrite() northAsks {
	t := w.typ()
	id := w.id(t.name)
	q := northAsks{as: pick(w.rand, writersOf), path: "/" + t.name + "/" + id}
	switch n := w.rand.IntN(100); {
	case n < 35:
		q.method, q.path, q.body = "POST", "/"+t.name, w.body(t.name, "")
	case n < 65:
		q.method, q.body = "PUT", w.body(t.name, id)
	case n < 85:
		q.method, q.body = "PATCH", `[{"op":"add","path":"/language","value":"`+pick(w.rand, []string{"en", "de"})+`"}]`
		q.header = []string{"Content-Type", "application/json-patch+json"}
	case n < 92 || strings.Contains(id, "-77"):
		q.method, q.path = "DELETE", "/"+t.name+"/"+pick(w.rand, []string{"south-1", "south-2", "nobody-has-this"})
	default:
		q.method = "DELETE"
	}
	if w.often(15) && q.method != "POST" {
		q.header = append(q.header, "If-Match", pick(w.rand, []string{`W/"1"`, `W/"2"`, `W/"99"`}))
	}
	return q
}

func (w *isolation) askCondition() northAsks {
	t := w.typ()
	name, value := w.criterion(t, 1)
	if w.often(50) {
		name, value = "identifier", pick(w.rand, w.tokens)
	}
	condition := url.Values{name: {value}}.Encode()
	q := northAsks{as: pick(w.rand, writersOf), path: "/" + t.name + "?" + condition}
	switch w.rand.IntN(4) {
	case 0:
		q.method, q.path, q.body, q.header = "POST", "/"+t.name, w.body(t.name, ""), []string{"If-None-Exist", condition}
	case 1:
		q.method, q.body = "PUT", w.body(t.name, "")
	case 2:
		q.method, q.body = "PATCH", `[{"op":"test","path":"/language","value":"en"}]`
		q.header = []string{"Content-Type", "application/json-patch+json"}
	default:
		q.method, q.path = "DELETE", "/"+t.name+"?_id="+pick(w.rand, []string{"south-1", "south-3", "nobody-has-this"})
	}
	return q
}

// askBundle sends some of the other questions as a batch or transaction.
func (w *isolation) askBundle() northAsks {
	var entries []*Node
	kind := pick(w.rand, []string{"batch", "transaction"})
	for range 1 + w.rand.IntN(4) {
		q := pick(w.rand, []func() northAsks{w.askSearch, w.askRead, w.askHistory, w.askWrite, w.askCondition})()
		if q.method == "HEAD" || strings.Contains(q.path, "_search") || q.method == "PATCH" {
			q = w.askRead()
			q.method = "GET"
		}
		e := Object("request", Object("method", q.method, "url", strings.TrimPrefix(q.path, "/")))
		if n, err := Parse([]byte(q.body), Limits{}); err == nil && q.body != "" {
			e.Set("resource", n)
		}
		for i := 0; i+1 < len(q.header); i += 2 {
			switch q.header[i] {
			case "If-None-Exist":
				e.Get("request").Set("ifNoneExist", q.header[i+1])
			case "If-Match":
				e.Get("request").Set("ifMatch", q.header[i+1])
			}
		}
		entries = append(entries, e)
	}
	return northAsks{as: pick(w.rand, writersOf), method: "POST", path: "", body: Object("resourceType", "Bundle", "type", kind, "entry", entries).jsonText()}
}

// askOperation asks for operations: on everything, on a type, on a case.
func (w *isolation) askOperation() northAsks {
	t := w.typ()
	patient := w.id("Patient")
	switch w.rand.IntN(9) {
	case 0, 1:
		return northAsks{method: "GET", path: pick(w.rand, []string{"/Patient/" + patient + "/$everything?_count=5", "/Task/" + w.id("Task") + "/$everything", "/Patient/$everything?_count=3"})}
	case 2:
		return northAsks{as: pick(w.rand, []access.Role{access.Placer, access.Coordinator}), method: "GET",
			path: pick(w.rand, []string{"/$export", "/Patient/$export?_type=" + t.name, "/$export?_type=Patient,Observation"}), header: []string{"Prefer", "respond-async", "Accept", "application/fhir+json"}}
	case 3, 4:
		at := "/export/nobody-has-this"
		for _, ref := range w.references {
			if strings.HasPrefix(ref, exportStatusPath) {
				at = ref
			}
		}
		if w.often(30) {
			return northAsks{as: pick(w.rand, []access.Role{access.Placer, access.Coordinator}), method: "DELETE", path: at}
		}
		if w.often(50) {
			at = strings.Replace(at, exportStatusPath, exportFilePath, 1) + "/" + pick(w.rand, []string{"1", "2", "7"})
		}
		return northAsks{as: pick(w.rand, []access.Role{access.Placer, access.Coordinator}), method: "GET", path: at}
	case 5:
		return northAsks{method: "POST", path: "/" + t.name + "/$validate", body: w.body(t.name, "")}
	case 6:
		return northAsks{method: "GET", path: pick(w.rand, []string{"/ValueSet/$expand?url=" + url.QueryEscape("http://hl7.org/fhir/ValueSet/administrative-gender"),
			"/CodeSystem/$lookup?system=" + url.QueryEscape("http://hl7.org/fhir/administrative-gender") + "&code=female", "/ValueSet/" + w.id("ValueSet") + "/$expand"})}
	default:
		op := pick(w.rand, operations)
		return northAsks{method: "POST", path: "/Task/" + w.id("Task") + "/$" + op.Name,
			body: pick(w.rand, []string{"", `{"resourceType":"Parameters","parameter":[{"name":"reason","valueString":"as asked"}]}`})}
	}
}

// askNonsense is refused, and its refusal must not tell either.
func (w *isolation) askNonsense() northAsks {
	t := w.typ()
	return pick(w.rand, []northAsks{
		{method: "GET", path: "/" + t.name + "?colour=" + southCanary[:6]},
		{method: "GET", path: "/Nothing/1"},
		{method: "GET", path: "/" + t.name + "?_sort=colour"},
		{method: "GET", path: "/" + t.name + "?_after=nonsense"},
		{method: "POST", path: "/" + t.name, body: "{"},
		{method: "POST", path: "/" + t.name, body: `{"resourceType":"Patient","colour":1}`},
		{method: "PUT", path: "/" + t.name + "/south-1", body: w.body(t.name, "south-2")},
		{method: "PATCH", path: "/" + t.name + "/south-1", body: "[]"},
		{method: "POST", path: "", body: `{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"DELETE","url":"Patient/` + w.id("Patient") + `"}}]}`},
		{as: access.Placer, method: "DELETE", path: "/Patient/" + w.id("Patient")},
		{method: "TRACE", path: "/" + t.name},
		{method: "GET", path: "/" + t.name + "/%2e%2e/Patient"},
	})
}

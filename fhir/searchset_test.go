package fhir

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// _total=estimate is the truth: an estimate of the planner's would tell of other
// tenants.
func TestAnEstimateIsTheTruth(t *testing.T) {
	t.Parallel()
	r := startLibrary(t, 5000)
	for question, want := range map[string][2]int{
		"ServiceRequest?_total=estimate&_count=1":                       {10000, 10000},
		"ServiceRequest?status=draft&_total=estimate&_count=1":          {1000, 1000},
		"ServiceRequest?_total=accurate&_count=1":                       {10000, 10000},
		"ServiceRequest?_total=estimate&_summary=count":                 {10000, 10000},
		"ServiceRequest?_summary=count":                                 {10000, 10000},
		"?_type=Patient,Observation&_total=estimate&_count=1":           {10000, 10000},
		"ServiceRequest?patient.family=family&_total=estimate&_count=1": {1001, 12000},
	} {
		got, err := strconv.Atoi(r.get("/fhir" + strings.Replace("/"+question, "/?", "?", 1)).node.Text("total"))
		if err != nil || got < want[0] || got > want[1] {
			t.Errorf("%s: %d, want %v", question, got, want)
		}
	}
	if got := r.do(access.Reader, "GET", "/fhir/ServiceRequest?_total=estimate&_count=1", ""); got.node.Text("total") != "10000" {
		t.Errorf("the estimate of a reader is %s", got.node.Text("total"))
	}
}

// FHIR R4 search.html#total: a total is told where it is known or asked for.
func TestATotalIsToldWhereItIsKnownOrAskedFor(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	for question, total := range map[string]string{
		"Patient":                                   "3",
		"Patient?_total=none":                       "3",
		"Patient?_count=1":                          "",
		"Patient?_count=1&_total=none":              "",
		"Patient?_count=1&_total=accurate":          "3",
		"Patient?_count=1&_total=estimate":          "3",
		"Patient?_summary=count":                    "3",
		"Patient?_count=0":                          "3",
		"Patient?family=zoll&_summary=count":        "1",
		"ServiceRequest?_include=*&_total=accurate": "3",
		"Patient?_count=0&_count=0&_total=none":     "refused",
	} {
		got := w.get("/fhir/" + question)
		if total == "refused" {
			got.want(t, http.StatusBadRequest, "value")
			continue
		}
		if got.node.Text("total") != total {
			t.Errorf("%s has the total %q, want %q", question, got.node.Text("total"), total)
		}
		for next := got.link("next"); next != ""; {
			page := w.get(strings.TrimPrefix(next, w.url))
			if page.node.Text("total") != total {
				t.Errorf("a page of %s has the total %q, want %q", question, page.node.Text("total"), total)
			}
			next = page.link("next")
		}
	}
	w.refuses(access.Placer, []refusal{
		{"/Patient?_total=exact", "value", "accurate"},
		{"/Patient?_summary=most", "value", "true, text"},
		{"/Patient?_elements=colour", "value", "_elements"},
		{"/Patient?_elements=", "value", "_elements"},
		{"/Patient?_elements=name&_summary=true", "value", "together"},
		{"/Patient?_elements=name.family", "value", "top"},
		{"/Patient?_contained=true", "not-supported", "contained"},
		{"/Patient?_filter=name%20eq%20x", "not-supported", "_filter"},
		{"/Patient?_query=x", "not-supported", "named"},
		{"/Patient?_list=x", "not-supported", "lists"},
		{"/Patient?_foo=x", "not-supported", "_foo"},
	})
}

// FHIR R4 search.html#conformance and #errors.
func TestTheLinksOfAPageSayWhatWasUsed(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	got := w.get("/fhir/Patient?_count=9999&gender=female&_sort=-birthdate,_id&_include=Patient:organization&_format=json&_elements=name&_total=accurate")
	self, err := url.Parse(got.link("self"))
	if err != nil {
		t.Fatal(err)
	}
	want := url.Values{"_count": {"500"}, "gender": {"female"}, "_sort": {"-birthdate"}, "_include": {"Patient:organization"}, "_format": {"json"}, "_elements": {"name"}, "_total": {"accurate"}}
	if diff := cmp.Diff(want, self.Query()); diff != "" {
		t.Error(diff)
	}
	got = w.get("/fhir/Patient?colour=red&_foo=1&gender=female", "Prefer", "respond-async, handling=lenient")
	if found := w.finds(got); found != "zoe !" {
		t.Errorf("a lenient search finds %q: %s", found, got.body)
	}
	if issues := got.node.Each("entry", "resource", "issue", "details", "text"); len(issues) != 2 || strings.Contains(got.body, "red") {
		t.Errorf("a lenient search remarks %s", got.body)
	}
	if _, err := Decode([]byte(got.body), "Bundle"); err != nil {
		t.Errorf("%+v", err)
	}
	got = w.get("/fhir/Patient?colour=red&_count=0", "Prefer", "handling=lenient")
	if w.finds(got) != "!" || got.node.Text("total") != "3" {
		t.Errorf("a lenient count: %s", got.body)
	}
	got = w.get("/fhir/Patient?_count=1&_sort=_id")
	next := w.get(strings.TrimPrefix(got.link("next"), w.url))
	if first := w.get(strings.TrimPrefix(next.link("first"), w.url)); w.finds(first) != w.finds(got) || first.link("self") != got.link("self") {
		t.Errorf("first leads to %s", first.body)
	}
	if head := w.do(access.Placer, "HEAD", "/fhir/Patient?_id="+w.ids["zoe"], ""); head.status != http.StatusOK || head.body != "" {
		t.Errorf("HEAD: %d %s", head.status, head.body)
	}
}

package fhir

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FHIR R4 search.html#number: the range is half a unit of the last digit to
// either side.
func TestTheDigitsOfANumberAreItsPrecision(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"5.4": "535e-2 545e-2", "5.40": "5395e-3 5405e-3", "100": "995e-1 1005e-1", "100.00": "99995e-3 100005e-3",
		"1e2": "5e1 15e1", "1.00e2": "995e-1 1005e-1", "5.40e-3": "5395e-6 5405e-6", "-5.4": "-545e-2 -535e-2", "+0": "-5e-1 5e-1",
		"": "", "5,4": "", "5.": "", ".5": "", "0x1": "", "1e1000": "", "NaN": "", "Infinity": "", "١": "", strings.Repeat("9", 41): "",
	} {
		d, ok := parseDecimal(text)
		got := ""
		if ok {
			low, high := d.precision()
			got = low.String() + " " + high.String()
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

// No type that is served has a standard parameter of type number, so one is
// made here.
func TestIntegersMatchExactly(t *testing.T) {
	t.Parallel()
	r := startREST(t, func(s *Server) {
		p := ownParam("ImagingStudy", "instances", "number", "ImagingStudy.numberOfInstances")
		if err := p.compile("ImagingStudy"); err != nil {
			t.Fatal(err)
		}
		s.resources["ImagingStudy"].search = append(s.resources["ImagingStudy"].search, p)
	})
	counts := map[string]string{}
	for _, n := range []int{0, 99, 100, 101, 1000} {
		counts[r.mustCreate("ImagingStudy", fmt.Sprintf(`{"resourceType":"ImagingStudy","status":"available","subject":{"display":"x"},"numberOfInstances":%d}`, n))] = fmt.Sprint(n)
	}
	for question, want := range map[string]string{
		"=100": "100", "=100.0": "100", "=100.4": "", "=1e2": "100 101 99", "=ne100": "0 1000 101 99",
		"=gt100": "1000 101", "=ge100": "100 1000 101", "=lt100": "0 99", "=le100": "0 100 99", "=ap100": "100 101 99", "=99,101": "101 99",
		"=gt99.5": "100 1000 101", ":missing=true": "",
	} {
		got := r.get("/fhir/ImagingStudy?instances" + question)
		found := []string{}
		for _, id := range got.ids() {
			found = append(found, counts[id])
		}
		slices.Sort(found)
		if got.status != http.StatusOK || strings.Join(found, " ") != want {
			t.Errorf("instances%s finds %v, want %s (%d)", question, found, want, got.status)
		}
	}
	r.get("/fhir/ImagingStudy?instances=5||kg").want(t, http.StatusBadRequest, "value")
}

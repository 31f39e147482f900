package dicomweb_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/integrations/dicomweb"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

// What Orthanc never does, other servers do. This one answers a path with what a
// test wants; anything else is an empty list.
func server(t *testing.T, answers map[string]http.HandlerFunc) workflow.Archive {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answer, ok := answers[r.URL.Path]; ok {
			answer(w, r)
			return
		}
		says(`[]`)(w, r)
	}))
	t.Cleanup(s.Close)
	return workflow.Archive{Name: "other", BaseURL: s.URL + "/dw"}
}

func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/dicom+json")
		_, _ = w.Write([]byte(body))
	}
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

const studyFound = `[{"0020000D":{"vr":"UI","Value":["2.25.1"]}%s}]`

func study(more string) http.HandlerFunc { return says(fmt.Sprintf(studyFound, more)) }

func TestWhatFollowsFromEachAnswer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   workflow.Sighting
	}{
		"204":                    {status(204), workflow.Sighting{Answer: workflow.PACSAbsent, Status: 200}},
		"an empty list":          {says(`[]`), workflow.Sighting{Answer: workflow.PACSAbsent, Status: 200}},
		"another study":          {says(`[{"0020000D":{"vr":"UI","Value":["2.25.12"]}}]`), workflow.Sighting{Answer: workflow.PACSAbsent, Status: 200}},
		"401":                    {status(401), workflow.Sighting{Answer: workflow.PACSRefused, Status: 401, Reason: "credentials-refused"}},
		"403":                    {status(403), workflow.Sighting{Answer: workflow.PACSRefused, Status: 403, Reason: "forbidden"}},
		"404":                    {status(404), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 404, Reason: "not-found"}},
		"400":                    {status(400), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 400, Reason: "search-refused"}},
		"413":                    {status(413), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 413, Reason: "too-broad"}},
		"a redirect":             {status(302, "Location", "https://elsewhere.example"), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 302, Reason: "redirected"}},
		"429":                    {status(429), workflow.Sighting{Answer: workflow.PACSUnreachable, Status: 429, Reason: "rate-limited", Wait: 5 * time.Second}},
		"429 for a minute":       {status(429, "Retry-After", "60"), workflow.Sighting{Answer: workflow.PACSUnreachable, Status: 429, Reason: "rate-limited", Wait: time.Minute}},
		"503 for a year":         {status(503, "Retry-After", "31536000"), workflow.Sighting{Answer: workflow.PACSUnreachable, Status: 503, Reason: "unavailable", Wait: 15 * time.Minute}},
		"500":                    {status(500), workflow.Sighting{Answer: workflow.PACSUnreachable, Status: 500, Reason: "server-error"}},
		"a login page":           {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "media-type"}},
		"a cut connection":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, workflow.Sighting{Answer: workflow.PACSUnreachable, Reason: "connection-cut"}},
		"an endless answer":      {says(`[` + strings.Repeat(" ", 9<<20) + `]`), workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "answer-too-large"}},
		"no JSON":                {says(`[{`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"no list":                {says(`{}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"null within":            {says(`[null]`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"a name twice":           {study(`,"0020000D":{"vr":"UI","Value":["2.25.2"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"no tag":                 {study(`,"StudyDate":{"vr":"DA"}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"small letters":          {study(`,"0020000d":{"vr":"UI","Value":["2.25.2"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"no VR":                  {study(`,"00100020":{"Value":["100"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"another VR":             {study(`,"00100020":{"vr":"UN","Value":["100"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"an unknown member":      {study(`,"00100020":{"vr":"LO","value":["100"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Status: 200, Reason: "dicom-json"}},
		"a number for a text":    {study(`,"00100020":{"vr":"LO","Value":[100]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "dicom-json"}},
		"a text for a name":      {study(`,"00100010":{"vr":"PN","Value":["A^B"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "dicom-json"}},
		"a long text":            {study(`,"00100020":{"vr":"LO","Value":["` + strings.Repeat("9", 2000) + `"]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "dicom-json"}},
		"a negative count":       {study(`,"00201208":{"vr":"IS","Value":[-1]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "dicom-json"}},
		"a count of half images": {study(`,"00201208":{"vr":"IS","Value":[1.5]}`), workflow.Sighting{Answer: workflow.PACSUnreadable, Reason: "dicom-json"}},
	} {
		a := server(t, map[string]http.HandlerFunc{"/dw/studies": c.answer})
		if diff := cmp.Diff(c.want, newClient().Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestWhereTheStudyDoesNotTellItsNumberTheSeriesAreAdded(t *testing.T) {
	t.Parallel()
	series := `[{"0020000E":{"vr":"UI","Value":["2.25.11"]},"00201209":{"vr":"IS","Value":["3"]}},
	            {"0020000E":{"vr":"UI","Value":["2.25.12"]},"00201209":{"vr":"IS","Value":[4]}}]`
	for name, c := range map[string]struct {
		study, series, instances http.HandlerFunc
		want                     int
	}{
		"as it tells":         {study(`,"00201208":{"vr":"IS","Value":[9]}`), says(series), nil, 9},
		"left out":            {study(``), says(series), nil, 7},
		"empty":               {study(`,"00201208":{"vr":"IS"}`), says(series), nil, 7},
		"null":                {study(`,"00201208":{"vr":"IS","Value":[null]}`), says(series), nil, 7},
		"nor do the series":   {study(``), says(`[{"0020000E":{"vr":"UI","Value":["2.25.11"]}}]`), instances(450, true), 450},
		"no paging":           {study(``), says(`[{"0020000E":{"vr":"UI","Value":["2.25.11"]}}]`), instances(450, false), 450},
		"no series, no image": {study(``), says(`[]`), nil, 0},
	} {
		a := server(t, map[string]http.HandlerFunc{"/dw/studies": c.study, "/dw/studies/2.25.1/series": c.series, "/dw/studies/2.25.1/instances": c.instances})
		got := newClient().Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"})
		if got.Answer != workflow.PACSFound || got.Study.Instances != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// instances are n of them, by pages where the server knows them.
func instances(n int, pages bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, to := 0, n
		if pages {
			_, _ = fmt.Sscan(r.URL.Query().Get("offset"), &from)
			_, _ = fmt.Sscan(r.URL.Query().Get("limit"), &to)
			to = min(from+to, n)
		}
		list := []any{}
		for i := from; i < to; i++ {
			list = append(list, map[string]any{"00080018": map[string]any{"vr": "UI", "Value": []string{fmt.Sprintf("2.25.9%d", i)}}})
		}
		text, _ := json.Marshal(list)
		says(string(text))(w, r)
	}
}

func TestAStudyThatIsRemovedMeanwhileIsAbsent(t *testing.T) {
	t.Parallel()
	a := server(t, map[string]http.HandlerFunc{"/dw/studies": study(``), "/dw/studies/2.25.1/series": status(404)})
	if got := newClient().Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"}); got.Answer != workflow.PACSAbsent || got.Reason != "removed" {
		t.Errorf("%+v", got)
	}
}

func TestNothingThatIsNoUIDComesIntoAnAddress(t *testing.T) {
	t.Parallel()
	for _, uid := range []string{"../admin", "2.25.1/../../x", "2.25.1?x", "..", ""} {
		var asked []string
		note := func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.URL.Path)
			says(`[]`)(w, r)
		}
		a := server(t, map[string]http.HandlerFunc{
			"/dw/studies":               says(`[{"0020000D":{"vr":"UI","Value":["2.25.1"]},"00080050":{"vr":"SH","Value":["A1"]}}]`),
			"/dw/studies/2.25.1/series": says(`[{"0020000E":{"vr":"UI","Value":["` + uid + `"]}}]`),
			"/dw/admin/instances":       note, "/dw/studies/x/instances": note,
		})
		got := newClient().Look(t.Context(), a, workflow.Inquiry{Accession: "A1", Sides: true})
		if got.Answer != workflow.PACSUnreadable || asked != nil {
			t.Errorf("%q: %+v %v", uid, got, asked)
		}
	}
}

func TestWhatIsAskedIsWhatTheStandardSays(t *testing.T) {
	t.Parallel()
	var got []*url.URL
	var accept []string
	note := func(answer http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			got, accept = append(got, r.URL), append(accept, r.Header.Get("Accept"))
			answer(w, r)
		}
	}
	a := server(t, map[string]http.HandlerFunc{
		"/dw/studies":                                 note(study(`,"00080050":{"vr":"SH","Value":["A 1&x"]}`)),
		"/dw/studies/2.25.1/series":                   note(says(`[{"0020000E":{"vr":"UI","Value":["2.25.11"]}}]`)),
		"/dw/studies/2.25.1/series/2.25.11/instances": note(says(`[{"0020000D":{"vr":"UI","Value":["2.25.1"]},"0020000E":{"vr":"UI","Value":["2.25.11"]},"00080018":{"vr":"UI","Value":["2.25.111"]}}]`)),
		"/dw/studies/2.25.1/series/2.25.11/instances/2.25.111/metadata": note(says(`[{"00200062":{"vr":"CS","Value":["L"]},"00180015":{"vr":"CS","Value":["BREAST"]}}]`)),
	})
	s := newClient().Look(t.Context(), a, workflow.Inquiry{Accession: "A 1&x", Sides: true})
	if diff := cmp.Diff([]string{"left"}, s.Study.Sides); diff != "" || len(s.Study.BodyParts) != 1 {
		t.Errorf("the metadata were not read: %+v", s)
	}
	if len(got) != 5 || got[0].Query().Get("00080050") != "A 1&x" || got[0].Query().Get("limit") != "21" || len(got[0].Query()["includefield"]) != 7 {
		t.Errorf("%v", got)
	}
	for _, a := range accept {
		if a != "application/dicom+json" {
			t.Errorf("Accept: %s", a)
		}
	}
}

func TestAnIssuerIsKnownByItsNameOrItsUniversalIdentifier(t *testing.T) {
	t.Parallel()
	more := `,"00100020":{"vr":"LO","Value":["1"]},"00100021":{"vr":"LO","Value":["X"]},
	  "00100024":{"vr":"SQ","Value":[{"00400032":{"vr":"UT","Value":["1.2.3"]},"00400033":{"vr":"CS","Value":["ISO"]}}]},
	  "00101002":{"vr":"SQ","Value":[
	    {"00100020":{"vr":"LO","Value":["2"]},"00100021":{"vr":"LO","Value":["MERCY"]}},
	    {"00100020":{"vr":"LO","Value":["3"]}},
	    {"00100020":{"vr":"LO","Value":["4"]},"00100024":{"vr":"SQ","Value":[{"00400032":{"vr":"UT","Value":["urn:x"]},"00400033":{"vr":"CS","Value":["URI"]}}]}},
	    {"00100020":{"vr":"LO"}}]}`
	a := server(t, map[string]http.HandlerFunc{"/dw/studies": study(more)})
	a.Issuers = map[string]string{"MERCY": "https://mercy.example/mrn"}
	got := newClient().Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"})
	want := []workflow.PersonID{{System: "urn:oid:1.2.3", Value: "1"}, {System: "https://mercy.example/mrn", Value: "2"}, {Value: "3"}, {System: "urn:x", Value: "4"}}
	if diff := cmp.Diff(want, got.Study.Patient.IDs); diff != "" {
		t.Error(diff)
	}
}

func TestALookEndsWithItsContext(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	a := server(t, map[string]http.HandlerFunc{"/dw/studies": func(http.ResponseWriter, *http.Request) { <-slow }})
	t.Cleanup(func() { close(slow) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if got := newClient().Look(ctx, a, workflow.Inquiry{UID: "2.25.1"}); got.Answer != workflow.PACSUnreachable || got.Reason != "timeout" {
		t.Errorf("%+v", got)
	}
}

func TestAPACSWhereNoStrangerMaySendUsIsNotAsked(t *testing.T) {
	t.Parallel()
	asked := false
	a := server(t, map[string]http.HandlerFunc{"/dw/studies": func(http.ResponseWriter, *http.Request) { asked = true }})
	strict, err := outbound.New(outbound.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{a.BaseURL, "https://169.254.169.254", "https://localhost/dw"} {
		a.BaseURL = base
		got := dicomweb.New("test", strict, time.Now).Look(t.Context(), a, workflow.Inquiry{UID: "2.25.1"})
		if got.Answer != workflow.PACSUnreachable || got.Reason != "address-not-allowed" || asked {
			t.Errorf("%s: %+v", base, got)
		}
	}
}

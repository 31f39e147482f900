package ehr_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/overread/overread/integrations/ehr"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

func TestWhatFollowsFromEachAnswer(t *testing.T) {
	t.Parallel()
	const sent = `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation"}},{"resource":{"resourceType":"DiagnosticReport"}}]}`
	good := response("transaction-response", "200 OK|Observation/1", "201 Created|http://ehr/fhir/DiagnosticReport/2/_history/1")
	notUnderstood := workflow.Receipt{Verdict: workflow.Retry, Reason: "answer-not-understood", Sick: true}
	parked := func(reason string) workflow.Receipt {
		return workflow.Receipt{Verdict: workflow.Parked, Reason: reason}
	}
	again := func(reason string) workflow.Receipt { return workflow.Receipt{Verdict: workflow.Retry, Reason: reason} }
	sick := func(reason string) workflow.Receipt {
		return workflow.Receipt{Verdict: workflow.Retry, Reason: reason, Sick: true}
	}
	after := func(r workflow.Receipt, wait time.Duration) workflow.Receipt { r.Wait = wait; return r }
	done := func(location string) workflow.Receipt {
		return workflow.Receipt{Verdict: workflow.Delivered, Reason: "acknowledged", Location: location}
	}
	const transaction, report = workflow.PackTransaction, workflow.PackReport
	date := func(seconds int) string {
		return testNow().Add(time.Duration(seconds) * time.Second).UTC().Format(http.TimeFormat)
	}

	for name, c := range map[string]struct {
		packaging string
		status    int
		headers   string // "Name: value", by line
		body      string
		want      workflow.Receipt
	}{
		"a transaction-response":             {transaction, 200, "", good, done("DiagnosticReport/2/_history/1")},
		"a log-in page":                      {transaction, 200, "", "<html>", notUnderstood},
		"no body":                            {transaction, 200, "", "", notUnderstood},
		"a batch-response":                   {transaction, 200, "", response("batch-response", "200|Observation/1", "200|DiagnosticReport/2"), notUnderstood},
		"an entry too few":                   {transaction, 200, "", response("transaction-response", "200|DiagnosticReport/2"), notUnderstood},
		"an entry that was refused":          {transaction, 200, "", response("transaction-response", "422|", "200|DiagnosticReport/2"), notUnderstood},
		"a report without its place":         {transaction, 200, "", response("transaction-response", "200|Observation/1", "200|"), notUnderstood},
		"a place that is no report's":        {transaction, 200, "", response("transaction-response", "200|Observation/1", "200|Observation/2"), notUnderstood},
		"an answer larger than can be":       {transaction, 200, "", good + strings.Repeat(" ", 2<<20), notUnderstood},
		"accepted for later":                 {transaction, 202, "", good, notUnderstood},
		"a report by its location":           {report, 201, "Location: http://ehr/fhir/DiagnosticReport/7/_history/1", "", done("DiagnosticReport/7/_history/1")},
		"a report by its content":            {report, 200, "", `{"resourceType":"DiagnosticReport","id":"7"}`, done("DiagnosticReport/7")},
		"a report by its new version":        {report, 200, `ETag: W/"2"`, "", done("")},
		"a report and a log-in page":         {report, 200, `ETag: "x"`, "<html>", notUnderstood},
		"a report and nothing":               {report, 200, "", "", notUnderstood},
		"a redirect":                         {transaction, 307, "Location: http://elsewhere/", "", sick("redirected")},
		"400":                                {transaction, 400, "", "", parked("refused-invalid")},
		"401":                                {transaction, 401, "", "", sick("token-refused")},
		"403":                                {transaction, 403, "", "", sick("forbidden")},
		"404":                                {transaction, 404, "", "", sick("not-found")},
		"405":                                {transaction, 405, "", "", parked("refused-method")},
		"408":                                {transaction, 408, "", "", sick("timeout")},
		"409":                                {transaction, 409, "", "", again("conflict")},
		"410":                                {transaction, 410, "", "", parked("refused-gone")},
		"412":                                {transaction, 412, "", "", parked("refused-ambiguous")},
		"413":                                {transaction, 413, "", "", parked("refused-too-large")},
		"415":                                {transaction, 415, "", "", parked("refused-media-type")},
		"418":                                {transaction, 418, "", "", parked("refused")},
		"422":                                {transaction, 422, "", "", parked("refused-by-rule")},
		"425":                                {transaction, 425, "", "", again("too-early")},
		"429 with seconds":                   {transaction, 429, "Retry-After: 7", "", after(again("rate-limited"), 7*time.Second)},
		"429 with a date":                    {transaction, 429, "Retry-After: " + date(90) + "\nDate: " + date(60), "", after(again("rate-limited"), 30*time.Second)},
		"429 with a date that is past":       {transaction, 429, "Retry-After: " + date(-90), "", after(again("rate-limited"), 5*time.Second)},
		"429 with a date and no clock":       {transaction, 429, "Retry-After: " + date(60) + "\nDate: -", "", after(again("rate-limited"), time.Minute)},
		"429 for a week":                     {transaction, 429, "Retry-After: 604800", "", after(again("rate-limited"), 15*time.Minute)},
		"429 that does not say":              {transaction, 429, "", "", after(again("rate-limited"), 5*time.Second)},
		"429 with rubbish":                   {transaction, 429, "Retry-After: soon", "", after(again("rate-limited"), 5*time.Second)},
		"500":                                {transaction, 500, "Retry-After: 7", "", sick("server-error")},
		"502":                                {transaction, 502, "", "", sick("server-error")},
		"503":                                {transaction, 503, "", "", sick("unavailable")},
		"503 with seconds":                   {transaction, 503, "Retry-After: 7", "", after(sick("unavailable"), 7*time.Second)},
		"a status that there is not":         {transaction, 799, "", "", notUnderstood},
		"a report that was refused by a 422": {report, 422, "", `{"resourceType":"OperationOutcome"}`, parked("refused-by-rule")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for line := range strings.Lines(c.headers) {
					header, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
					w.Header().Set(header, value)
				}
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			}))
			defer server.Close()
			c.want.Status = c.status
			got := client().Send(t.Context(), parcel(server.URL, c.packaging, sent))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatFollowsWhenThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	server := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	tls := httptest.NewTLSServer(http.NotFoundHandler())
	tls.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	t.Cleanup(tls.Close)

	for name, c := range map[string]struct{ base, reason string }{
		"nobody listens":           {closed.URL, "unreachable"},
		"the name is not known":    {"http://ehr.invalid/fhir", "name-not-found"},
		"the certificate is wrong": {tls.URL, "tls-failed"},
		"no TLS where there should": {
			strings.Replace(server(func(http.ResponseWriter, *http.Request) {}), "http:", "https:", 1), "tls-failed"},
		"it is cut off": {server(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), "connection-cut"},
		"it is cut off midway": {server(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}), "connection-cut"},
		"it says nothing": {server(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}), "timeout"},
		"a cloud's metadata service":  {"http://169.254.169.254/fhir", "address-not-allowed"},
		"a base that is no address":   {"http://a b/fhir", "destination-misconfigured"},
		"a token file that is absent": {"token:" + closed.URL, "destination-misconfigured"},
	} {
		t.Run(name, func(t *testing.T) {
			p := parcel(c.base, workflow.PackTransaction, "{}")
			if base, ok := strings.CutPrefix(c.base, "token:"); ok {
				p.To.BaseURL, p.To.TokenFile = base, new("/nonexistent")
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got := client().Send(ctx, p)
			want := workflow.Receipt{Verdict: workflow.Retry, Reason: c.reason, Sick: true}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheRequestIsTheParcelAndNothingElse(t *testing.T) {
	t.Parallel()
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got http.Request
	var body bytes.Buffer
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = *r
		_, _ = body.ReadFrom(r.Body)
	}))
	defer server.Close()
	p := parcel(server.URL+"/fhir", workflow.PackReport, `{"a": 1.50}`)
	p.Method, p.Path, p.To.TokenFile = "PUT", "DiagnosticReport?identifier=urn:x%7C1", &tokenFile
	client().Send(t.Context(), p)

	if got.Method != http.MethodPut || got.RequestURI != "/fhir/DiagnosticReport?identifier=urn:x%7C1" || body.String() != `{"a": 1.50}` {
		t.Errorf("%s %s %s", got.Method, got.RequestURI, body.String())
	}
	for header, want := range map[string]string{
		"Authorization": "Bearer s3cret", "Content-Type": "application/fhir+json", "Accept": "application/fhir+json",
		"Prefer": "return=minimal", "User-Agent": "Overread/test", "X-Request-Id": p.CaseID.String() + "-1-1",
	} {
		if v := got.Header.Get(header); v != want {
			t.Errorf("%s: %q, want %q", header, v, want)
		}
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	var stolen atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	client().Send(t.Context(), parcel(server.URL, workflow.PackTransaction, "{}"))
	if stolen.Load() > 0 {
		t.Error("the report went elsewhere")
	}
}

func TestAConnectionThatTricklesIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, err := conn.Read(make([]byte, 4096)) // the request
				_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"))
				for err == nil {
					_, err = conn.Write([]byte(" "))
					time.Sleep(time.Millisecond) // the trickle
				}
			}()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	started := time.Now()
	got := client().Send(ctx, parcel("http://"+listener.Addr().String(), workflow.PackTransaction, "{}"))
	if got.Reason != "timeout" || time.Since(started) > 5*time.Second {
		t.Errorf("%+v after %v", got, time.Since(started))
	}
}

func TestAMessageIsAcknowledgedByThePlaceOfItsCommunication(t *testing.T) {
	t.Parallel()
	const sent = `{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation"}},{"resource":{"resourceType":"Communication"}},{"resource":{"resourceType":"Communication"}}]}`
	for answer, want := range map[string]workflow.Receipt{
		response("transaction-response", "200|Observation/1", "201|Communication/3/_history/1", "201|Communication/4/_history/1"): {Verdict: workflow.Delivered, Reason: "acknowledged", Location: "Communication/3/_history/1"},
		response("transaction-response", "200|Observation/1", "201|", "201|Communication/4/_history/1"):                           {Verdict: workflow.Retry, Reason: "answer-not-understood", Sick: true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }))
		got := client().Send(t.Context(), parcel(server.URL, workflow.PackTransaction, sent))
		server.Close()
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(workflow.Receipt{}, "Status")); diff != "" {
			t.Error(diff)
		}
	}
}

func client() *ehr.Client { return ehr.New("test", outbound.Loopback(), testNow) }

func testNow() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func parcel(base, packaging, body string) workflow.Parcel {
	return workflow.Parcel{
		Delivery: workflow.Delivery{ReportNo: 1, Method: "POST", Body: []byte(body)},
		To:       workflow.Destination{BaseURL: base, Packaging: packaging, Timeout: 10 * time.Second},
		Attempt:  1,
	}
}

// response is a Bundle of responses, each given as "status|location".
func response(kind string, entries ...string) string {
	var text []string
	for _, e := range entries {
		status, location, _ := strings.Cut(e, "|")
		text = append(text, fmt.Sprintf(`{"response":{"status":%q,"location":%q}}`, status, location))
	}
	return fmt.Sprintf(`{"resourceType":"Bundle","type":%q,"entry":[%s]}`, kind, strings.Join(text, ","))
}

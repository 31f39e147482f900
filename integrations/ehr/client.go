// Package ehr brings reports to an EHR over FHIR R4 REST.
//
// It sends what the outbox holds (workflow.Parcel) byte for byte, but for people
// whom an EHR does not take (people.go), and reads the answer just far enough to
// know whether the EHR has the report: answer.go says what counts as an
// acknowledgement, verdict.go has the one table of what follows from each answer.
// Nothing that an EHR writes is logged, stored or shown, for it may hold patient
// data; only codes of our own and the report's place at the EHR leave this package.
package ehr

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

const (
	fhirJSON     = "application/fhir+json"
	answerSlack  = 1 << 20 // an answer may echo what was sent, and say this much more
	tokenMaxSize = 64 << 10

	// The attempt's own limits are tighter: its context, and what was sent.
	longestAttempt = 3 * time.Minute
	answerMax      = 64 << 20
)

// Client sends parcels to EHRs. It may be used by many goroutines.
type Client struct {
	http      *http.Client
	userAgent string
	now       func() time.Time
}

// New makes a client that calls itself Overread/version and goes where the
// guard lets it.
func New(version string, guard *outbound.Guard, now func() time.Time) *Client {
	return &Client{
		userAgent: "Overread/" + version,
		now:       now,
		http:      guard.Client(outbound.Limits{Timeout: longestAttempt, MaxBody: answerMax}),
	}
}

// Send makes one attempt and says what came of it. It never returns later
// than the context ends. An attempt that is refused where the people whom it brings
// may be the reason is made once more without them (people.go).
func (c *Client) Send(ctx context.Context, p workflow.Parcel) workflow.Receipt {
	r := c.send(ctx, p)
	if !slices.Contains(maybePeople, r.Status) {
		return r
	}
	named, ok := withoutPeople(p)
	if !ok {
		return r
	}
	if r = c.send(ctx, named); r.Verdict == workflow.Delivered {
		r.Reason = namedOnly
	}
	return r
}

func (c *Client) send(ctx context.Context, p workflow.Parcel) workflow.Receipt {
	req, err := c.request(ctx, p)
	if err != nil {
		return workflow.Receipt{Verdict: workflow.Retry, Reason: "destination-misconfigured", Sick: true}
	}
	res, err := c.http.Do(req)
	if err != nil {
		return unanswered(err)
	}
	defer res.Body.Close()
	limit := int64(len(p.Body)) + answerSlack
	body, err := io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return unanswered(err)
	case int64(len(body)) > limit:
		body = nil // whatever it is, it is no acknowledgement
	}
	return c.judge(p, res, body)
}

// request is the HTTP request of a parcel.
func (c *Client) request(ctx context.Context, p workflow.Parcel) (*http.Request, error) {
	url := p.To.BaseURL
	if p.Path != "" {
		url += "/" + p.Path
	}
	req, err := http.NewRequestWithContext(ctx, p.Method, url, bytes.NewReader(p.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", fhirJSON)
	req.Header.Set("Content-Type", fhirJSON)
	req.Header.Set("Prefer", "return=minimal") // FHIR R4 http.html#ops
	req.Header.Set("User-Agent", c.userAgent)
	// FHIR R4 http.html#custom: lets both logs be read side by side.
	req.Header.Set("X-Request-Id", fmt.Sprintf("%s-%d-%d", p.CaseID, p.ReportNo, p.Attempt))
	if p.To.TokenFile == nil {
		return req, nil
	}
	token, err := readToken(*p.To.TokenFile)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return req, nil
}

// readToken reads the bearer token anew each time, so that whoever renews it
// only has to replace the file.
func readToken(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, tokenMaxSize))
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if token == "" || strings.ContainsAny(token, " \r\n\t") {
		return "", fmt.Errorf("token file %s: want one token and nothing else", path)
	}
	return token, nil
}

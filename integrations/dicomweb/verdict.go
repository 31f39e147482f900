package dicomweb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

// trouble is why there is no answer, in codes of ours.
type trouble struct {
	answer workflow.PACSAnswer
	reason string
	status int
	wait   time.Duration
}

func (t *trouble) Error() string { return fmt.Sprintf("%s: %s (%d)", t.answer, t.reason, t.status) }

// sighting is the trouble as the scout takes it.
func (t *trouble) sighting() workflow.Sighting {
	return workflow.Sighting{Answer: t.answer, Reason: t.reason, Status: t.status, Wait: t.wait}
}

// verdicts is the one table of statuses but 200 and 204. A status that is not
// here is looked up by its class.
var verdicts = map[int]trouble{
	http.StatusUnauthorized:          {answer: workflow.PACSRefused, reason: "credentials-refused"},
	http.StatusForbidden:             {answer: workflow.PACSRefused, reason: "forbidden"},
	http.StatusProxyAuthRequired:     {answer: workflow.PACSRefused, reason: "proxy-refused"},
	http.StatusNotFound:              {answer: workflow.PACSUnreadable, reason: "not-found"},
	http.StatusRequestTimeout:        {answer: workflow.PACSUnreachable, reason: "timeout"},
	http.StatusRequestEntityTooLarge: {answer: workflow.PACSUnreadable, reason: "too-broad"}, // PS3.18 section 10.6.3.1
	http.StatusTooManyRequests:       {answer: workflow.PACSUnreachable, reason: "rate-limited"},
	http.StatusServiceUnavailable:    {answer: workflow.PACSUnreachable, reason: "unavailable"},
}

var classes = map[int]trouble{
	2: {answer: workflow.PACSUnreadable, reason: "answer-not-understood"},
	3: {answer: workflow.PACSUnreadable, reason: "redirected"}, // never followed
	4: {answer: workflow.PACSUnreadable, reason: "search-refused"},
	5: {answer: workflow.PACSUnreachable, reason: "server-error"},
}

const (
	waitMax    = 15 * time.Minute
	waitUntold = 5 * time.Second // for a 429 that does not say
)

func (c *Client) judge(res *http.Response) error {
	t, ok := verdicts[res.StatusCode]
	if !ok {
		if t, ok = classes[res.StatusCode/100]; !ok {
			t = classes[2]
		}
	}
	t.status = res.StatusCode
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		t.wait = cmp.Or(c.retryAfter(res.Header), waitUntold)
	case http.StatusServiceUnavailable:
		t.wait = c.retryAfter(res.Header)
	}
	return &t
}

// retryAfter reads Retry-After, RFC 9110 section 10.2.3: seconds, or a date.
func (c *Client) retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, waitMax)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(c.now()), 0), waitMax)
}

// unanswered is the trouble when no whole answer came.
func unanswered(err error) error {
	t := &trouble{answer: workflow.PACSUnreachable, reason: "connection-cut"}
	var (
		timeout net.Error
		dial    *net.OpError
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, outbound.ErrTooLarge):
		t.answer, t.reason = workflow.PACSUnreadable, "answer-too-large"
	case outbound.Refused(err) != nil:
		t.reason = "address-not-allowed" // see internal/outbound; --outbound-allow
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		t.reason = "timeout"
	case errors.As(err, &dns):
		t.reason = "name-not-found"
	case errors.As(err, &cert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		t.reason = "tls-failed"
	case errors.As(err, &dial) && dial.Op == "dial":
		t.reason = "unreachable"
	}
	return t
}

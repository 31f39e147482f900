package ehr

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/workflow"
)

// Retry-After: what a destination may ask for at most, and what a 429 that
// does not say gets.
const (
	waitMax    = 15 * time.Minute
	waitUntold = 5 * time.Second
)

// row says what an HTTP status means for a delivery.
type row struct {
	verdict workflow.Verdict
	reason  string
	sick    bool // counts against the destination, not only this report
}

// verdicts is the one table of answers. 200 and 201 still have to prove
// themselves (answer.go). A status that is not here is looked up by its
// class, in classes.
var verdicts = map[int]row{
	http.StatusOK:      {workflow.Delivered, "acknowledged", false},
	http.StatusCreated: {workflow.Delivered, "acknowledged", false},

	// Somebody must mend the destination or its settings; then the same bytes go through.
	http.StatusUnauthorized:       {workflow.Retry, "token-refused", true},
	http.StatusForbidden:          {workflow.Retry, "forbidden", true},
	http.StatusNotFound:           {workflow.Retry, "not-found", true},
	http.StatusProxyAuthRequired:  {workflow.Retry, "proxy-refused", true},
	http.StatusMisdirectedRequest: {workflow.Retry, "misdirected", true},

	// A matter of time.
	http.StatusRequestTimeout:     {workflow.Retry, "timeout", true},
	http.StatusConflict:           {workflow.Retry, "conflict", false},
	http.StatusPreconditionFailed: {workflow.Retry, "precondition-failed", false},
	http.StatusLocked:             {workflow.Retry, "locked", false},
	http.StatusTooEarly:           {workflow.Retry, "too-early", false},
	http.StatusTooManyRequests:    {workflow.Retry, "rate-limited", false},
	http.StatusServiceUnavailable: {workflow.Retry, "unavailable", true},

	// Poison: the EHR will never take these bytes.
	http.StatusBadRequest:            {workflow.Parked, "refused-invalid", false},
	http.StatusMethodNotAllowed:      {workflow.Parked, "refused-method", false},
	http.StatusNotAcceptable:         {workflow.Parked, "refused-media-type", false},
	http.StatusGone:                  {workflow.Parked, "refused-gone", false},
	http.StatusRequestEntityTooLarge: {workflow.Parked, "refused-too-large", false},
	http.StatusUnsupportedMediaType:  {workflow.Parked, "refused-media-type", false},
	http.StatusUnprocessableEntity:   {workflow.Parked, "refused-by-rule", false},
}

// classes are the rows for every other status of a hundred.
var classes = map[int]row{
	2: {workflow.Retry, "answer-not-understood", true},
	3: {workflow.Retry, "redirected", true}, // never followed
	4: {workflow.Parked, "refused", false},
	5: {workflow.Retry, "server-error", true},
}

// judge turns an answer into a receipt.
func (c *Client) judge(p workflow.Parcel, res *http.Response, body []byte) workflow.Receipt {
	v, ok := verdicts[res.StatusCode]
	if !ok {
		if v, ok = classes[res.StatusCode/100]; !ok {
			v = classes[2]
		}
	}
	r := workflow.Receipt{Verdict: v.verdict, Status: res.StatusCode, Reason: v.reason, Sick: v.sick}
	switch {
	case r.Verdict == workflow.Delivered:
		if r.Location, ok = acknowledged(p, res, body); !ok {
			r.Verdict, r.Reason, r.Sick = classes[2].verdict, classes[2].reason, classes[2].sick
		}
	case res.StatusCode == http.StatusTooManyRequests:
		r.Wait = cmp.Or(c.retryAfter(res.Header), waitUntold)
	case res.StatusCode == http.StatusServiceUnavailable:
		r.Wait = c.retryAfter(res.Header)
	}
	return r
}

// retryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds, or a date,
// which is taken against the EHR's own clock if it tells it.
func (c *Client) retryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, waitMax)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	clock := c.now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		clock = date
	}
	return min(max(at.Sub(clock), 0), waitMax)
}

// unanswered is the receipt when no whole answer came. The EHR may have
// applied the request all the same.
func unanswered(err error) workflow.Receipt {
	r := workflow.Receipt{Verdict: workflow.Retry, Reason: "connection-cut", Sick: true}
	var (
		timeout net.Error
		dial    *net.OpError
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case outbound.Refused(err) != nil:
		r.Reason = "address-not-allowed" // see internal/outbound; --outbound-allow
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		r.Reason = "timeout"
	case errors.As(err, &dns):
		r.Reason = "name-not-found"
	case errors.As(err, &cert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		r.Reason = "tls-failed"
	case errors.As(err, &dial) && dial.Op == "dial":
		r.Reason = "unreachable"
	}
	return r
}

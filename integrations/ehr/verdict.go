package ehr

import (
	"cmp"
	"net/http"
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
	http.StatusLocked:             {workflow.Retry, "locked", false},
	http.StatusTooEarly:           {workflow.Retry, "too-early", false},
	http.StatusTooManyRequests:    {workflow.Retry, "rate-limited", false},
	http.StatusServiceUnavailable: {workflow.Retry, "unavailable", true},

	// Poison: the EHR will never take these bytes.
	// 412 is among it: no request of ours says If-Match, and an EHR that has two of what
	// is to be one (http.html#ccreate, #cond-update) has two tomorrow.
	http.StatusBadRequest:            {workflow.Parked, "refused-invalid", false},
	http.StatusPreconditionFailed:    {workflow.Parked, "refused-ambiguous", false},
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
		r.Wait = cmp.Or(outbound.RetryAfter(res.Header, c.now(), waitMax), waitUntold)
	case res.StatusCode == http.StatusServiceUnavailable:
		r.Wait = outbound.RetryAfter(res.Header, c.now(), waitMax)
	}
	return r
}

// unanswered is the receipt when no whole answer came. The EHR may have
// applied the request all the same.
func unanswered(err error) workflow.Receipt {
	return workflow.Receipt{Verdict: workflow.Retry, Reason: outbound.Unanswered(err), Sick: true}
}

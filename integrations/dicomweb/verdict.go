package dicomweb

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
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
		t.wait = cmp.Or(outbound.RetryAfter(res.Header, c.now(), waitMax), waitUntold)
	case http.StatusServiceUnavailable:
		t.wait = outbound.RetryAfter(res.Header, c.now(), waitMax)
	}
	return &t
}

// unanswered is the trouble when no whole answer came.
func unanswered(err error) error {
	if errors.Is(err, outbound.ErrTooLarge) {
		return &trouble{answer: workflow.PACSUnreadable, reason: "answer-too-large"}
	}
	return &trouble{answer: workflow.PACSUnreachable, reason: outbound.Unanswered(err)}
}

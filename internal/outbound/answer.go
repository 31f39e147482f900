package outbound

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Unanswered says in a word why a request of a Client brought no whole answer. The
// other side may have acted on it all the same.
func Unanswered(err error) string {
	var (
		timeout net.Error
		dial    *net.OpError
		dns     *net.DNSError
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
	)
	switch {
	case Refused(err) != nil:
		return "address-not-allowed" // --outbound-allow
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.As(err, &dns):
		return "name-not-found"
	case errors.As(err, &cert), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "tls-failed"
	case errors.As(err, &dial) && dial.Op == "dial":
		return "unreachable"
	}
	return "connection-cut"
}

// RetryAfter reads Retry-After (RFC 9110 section 10.2.3): seconds, or a date, which
// is taken against the other side's own clock if it tells it, else against now. It
// is 0 where nothing is said, and never more than most.
func RetryAfter(h http.Header, now time.Time, most time.Duration) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, most)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(at.Sub(now), 0), most)
}

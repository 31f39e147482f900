package gate

import (
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/overread/overread/internal/fault"
)

// Pace is the least speed of a request's body. The zero value asks for none.
type Pace struct {
	Rate  int           // bytes a second, on average
	Grace time.Duration // before the average counts
	Most  time.Duration // the whole body, however fast; 0 for no bound
}

// Bodies ends requests whose bodies come slower than the pace: who sends a
// byte every few seconds would otherwise keep a connection, and what serves
// it, for as long as they like.
func Bodies(next http.Handler, p Pace) http.Handler {
	if p.Rate <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			b := &paced{ReadCloser: r.Body, pace: p, began: time.Now(), control: http.NewResponseController(w)}
			b.extend() // also for what net/http reads and drops after the handler
			r.Body = b
		}
		next.ServeHTTP(w, r)
	})
}

// paced is a body whose read deadline moves with what has come.
type paced struct {
	io.ReadCloser
	pace    Pace
	began   time.Time
	got     int64
	control *http.ResponseController
}

func (b *paced) Read(to []byte) (int, error) {
	n, err := b.ReadCloser.Read(to)
	b.got += int64(n)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &fault.Error{Cause: err, Issues: []fault.Issue{{Kind: fault.TooSlow, Text: "the body came too slowly: send the request again over a better line"}}}
	case err != nil: // all of it, mostly: the handler may take its time
		_ = b.control.SetReadDeadline(time.Time{})
	default:
		b.extend()
	}
	return n, err
}

// extend sets the deadline of the next read. A connection without deadlines
// keeps the server's own.
func (b *paced) extend() {
	allowed := b.pace.Grace + time.Duration(float64(b.got)/float64(b.pace.Rate)*float64(time.Second))
	if b.pace.Most > 0 {
		allowed = min(allowed, b.pace.Most)
	}
	_ = b.control.SetReadDeadline(b.began.Add(allowed))
}

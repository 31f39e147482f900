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
			r.Body = &paced{ReadCloser: r.Body, pace: p, control: http.NewResponseController(w)}
		}
		next.ServeHTTP(w, r)
	})
}

// betweenReads is how long a body may lie there while its handler does
// something else, or net/http drops what nobody wants.
const betweenReads = time.Minute

// paced is a body whose read deadline moves with what has come. Only the time
// that is spent waiting for the client counts.
type paced struct {
	io.ReadCloser
	pace    Pace
	waited  time.Duration
	got     int64
	control *http.ResponseController
}

func (b *paced) Read(to []byte) (int, error) {
	began := time.Now()
	b.until(began.Add(b.allowed() - b.waited))
	n, err := b.ReadCloser.Read(to)
	b.waited += time.Since(began)
	b.got += int64(n)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, &fault.Error{Cause: err, Issues: []fault.Issue{{Kind: fault.TooSlow, Text: "the body came too slowly: send the request again over a better line"}}}
	case err != nil: // all of it, mostly: now the handler may take its time
		b.until(time.Time{})
	default:
		b.until(time.Now().Add(betweenReads))
	}
	return n, err
}

// allowed is how long what has come may have taken.
func (b *paced) allowed() time.Duration {
	allowed := b.pace.Grace + time.Duration(float64(b.got)/float64(b.pace.Rate)*float64(time.Second))
	if b.pace.Most > 0 {
		allowed = min(allowed, b.pace.Most)
	}
	return allowed
}

// until sets the deadline of the connection, or of its stream in HTTP/2. One
// that has none keeps the server's own.
func (b *paced) until(deadline time.Time) { _ = b.control.SetReadDeadline(deadline) }

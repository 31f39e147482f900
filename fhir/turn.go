package fhir

import (
	"context"
	"runtime"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/overread/overread/internal/fault"
)

// Checking the worst body that is allowed (28 levels of extensions, 100,000
// values, 1 MB) takes more than a second of a processor and 100 MB. So large
// bodies take turns: as many bytes of them at once as there are processors to
// check them, however many clients send them. Small bodies, and so nearly all
// orders, wait for nobody.
const (
	smallBody    = 64 << 10
	turnPerCPU   = 1 << 20
	turnsMost    = 16 << 20
	turnPatience = 15 * time.Second
)

// turns is how many bytes of large bodies may be checked at once.
type turns struct {
	bytes *semaphore.Weighted
	room  int64
}

func newTurns() turns {
	room := min(int64(runtime.GOMAXPROCS(0))*turnPerCPU, turnsMost)
	return turns{semaphore.NewWeighted(room), room}
}

// wait returns when it is this body's turn; done ends the turn. It returns a
// fault of kind Throttled when too many are before it, or the context's error.
func (t turns) wait(ctx context.Context, size int) (done func(), err error) {
	if size <= smallBody {
		return func() {}, nil
	}
	weight := min(int64(size), t.room)
	patience, cancel := context.WithTimeout(ctx, turnPatience)
	defer cancel()
	switch err := t.bytes.Acquire(patience, weight); {
	case err == nil:
		return func() { t.bytes.Release(weight) }, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, fault.New(fault.Throttled, "too many large bodies at once: try again in a moment, or send less in each")
}

// decode is Decode for a request's body, in its turn.
func (s *Server) decode(ctx context.Context, body []byte, wantType string) (*Node, error) {
	done, err := s.turns.wait(ctx, len(body))
	if err != nil {
		return nil, err
	}
	defer done()
	return Decode(body, wantType)
}

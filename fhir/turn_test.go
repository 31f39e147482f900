package fhir

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/overread/overread/internal/fault"
)

func TestLargeBodiesTakeTurnsAndSmallOnesWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns()
		all, err := turns.wait(t.Context(), int(2*turns.room)) // more than there is room: takes all of it
		if err != nil {
			t.Fatal(err)
		}
		small, err := turns.wait(t.Context(), smallBody)
		if err != nil {
			t.Fatal(err)
		}
		small()

		if _, err := turns.wait(t.Context(), smallBody+1); !fault.Is(err, fault.Throttled) {
			t.Errorf("a large body while there is no room: %v", err)
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := turns.wait(gone, smallBody+1); !errors.Is(err, context.Canceled) {
			t.Errorf("a client that has gone: %v", err)
		}

		var served atomic.Int32
		for range 3 {
			go func() {
				if done, err := turns.wait(t.Context(), int(turns.room)); err == nil {
					served.Add(1)
					done()
				}
			}()
		}
		synctest.Wait()
		if n := served.Load(); n != 0 {
			t.Errorf("%d went before their turn", n)
		}
		all()
		synctest.Wait()
		if n := served.Load(); n != 3 {
			t.Errorf("%d of 3 had their turn", n)
		}
	})
}

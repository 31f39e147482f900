package workflow

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoffGrowsUpToItsLimitAndNeverPast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		attempt := rapid.IntRange(-3, 1<<20).Draw(t, "attempt")
		if d := backoff(attempt); d <= 0 || d > backoffMax+1 {
			t.Fatalf("attempt %d rests %v", attempt, d)
		}
	})
	for n, want := range []time.Duration{1 * time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		if got := doubled(backoffFirst, n, backoffMax); got != want {
			t.Errorf("doubled %d times: %v, want %v", n, got, want)
		}
	}
	if got := doubled(backoffFirst, 9, backoffMax); got != backoffMax {
		t.Errorf("doubled 9 times: %v, want the limit", got)
	}
}

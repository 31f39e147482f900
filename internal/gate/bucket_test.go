package gate

import (
	"fmt"
	"testing"
	"time"
)

func TestBucketsForgetTheOneThatWasNotUsedLongest(t *testing.T) {
	t.Parallel()
	b := newBuckets(1, 1, 3)
	now := time.Now()
	for i := range 1000 {
		b.take("kept", now)
		b.take(fmt.Sprint(i), now)
		if len(b.byKey) > 3 || b.order.Len() != len(b.byKey) {
			t.Fatalf("%d keys, %d in order", len(b.byKey), b.order.Len())
		}
	}
	if b.take("kept", now) == 0 {
		t.Error("a bucket in use was forgotten")
	}
	if b.take("0", now) != 0 {
		t.Error("the first key is still known")
	}
}

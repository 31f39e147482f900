package gate

import (
	"container/list"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// buckets are token buckets by key, as many as size: then the one that was
// not used for the longest time is forgotten, so that nobody can fill the
// memory with keys.
type buckets struct {
	rate  rate.Limit // 0: no limit
	burst int
	size  int

	mu    sync.Mutex
	byKey map[string]*list.Element // of *bucket
	order *list.List               // the last used in front
}

type bucket struct {
	key     string
	limiter *rate.Limiter
}

func newBuckets(perSecond float64, burst, size int) *buckets {
	return &buckets{rate: rate.Limit(perSecond), burst: max(burst, 1), size: size, byKey: map[string]*list.Element{}, order: list.New()}
}

// take takes one from the bucket of the key. When there is none it says how
// long it takes until there is.
func (b *buckets) take(key string, now time.Time) (wait time.Duration) {
	if b.rate <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.of(key).limiter.ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now) // a refused request costs nothing
	}
	return wait
}

// empty tells how long it takes until the bucket has one, and takes nothing.
func (b *buckets) empty(key string, now time.Time) (wait time.Duration) {
	if b.rate <= 0 {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	element, ok := b.byKey[key]
	if !ok {
		return 0
	}
	missing := 1 - element.Value.(*bucket).limiter.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(b.rate) * float64(time.Second))
}

func (b *buckets) of(key string) *bucket {
	if element, ok := b.byKey[key]; ok {
		b.order.MoveToFront(element)
		return element.Value.(*bucket)
	}
	if b.order.Len() >= b.size {
		oldest := b.order.Back()
		delete(b.byKey, b.order.Remove(oldest).(*bucket).key)
	}
	made := &bucket{key: key, limiter: rate.NewLimiter(b.rate, b.burst)}
	b.byKey[key] = b.order.PushFront(made)
	return made
}

func (b *buckets) has(key string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.byKey[key]
	return ok
}

func (b *buckets) forget(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if element, ok := b.byKey[key]; ok {
		b.order.Remove(element)
		delete(b.byKey, key)
	}
}

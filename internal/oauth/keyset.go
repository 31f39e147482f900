package oauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/outbound"
)

// The key set of a client that publishes it is kept as long as its Cache-Control
// says, and asked for again when an assertion names a key that is not in it, a
// bounded number of times. While its server does not answer, what was found last
// is good for some time more: an outage there is no outage here.
const (
	freshWithout = 5 * time.Minute  // where there is no Cache-Control
	freshMost    = 24 * time.Hour   // whatever it says
	pauseUnknown = 10 * time.Second // between two questions for a key that is not there
	pauseFailed  = 5 * time.Second  // after a failure
	goodInOutage = time.Hour        // after the set is no longer fresh
	mostKeySet   = 64 << 10         // bytes
	keySetWait   = 5 * time.Second
)

// KeySetLimits bound one question for a key set.
var KeySetLimits = outbound.Limits{Timeout: keySetWait, MaxBody: mostKeySet + 1}

// attempts remembers when this replica last asked for a client's key set.
type attempts struct {
	mu   sync.Mutex
	last map[uuid.UUID]attempt
}

type attempt struct {
	at     time.Time
	failed bool
}

func (a *attempts) of(client uuid.UUID) attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.last[client]
}

func (a *attempts) note(client uuid.UUID, at time.Time, failed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = map[uuid.UUID]attempt{}
	}
	a.last[client] = attempt{at, failed}
}

// keyOf finds the key that has to have signed.
func (s *Server) keyOf(ctx context.Context, c *client, h header) (*verifier, error) {
	if c.JWKS != nil {
		if key, ok := choose(c.JWKS, h); ok {
			return key, nil
		}
		return nil, invalidClient("no such key")
	}
	now := s.now()
	last := s.attempts.of(c.ClientID)
	fresh := c.FreshTill != nil && now.Before(*c.FreshTill)
	if fresh {
		if key, ok := choose([]byte(c.Found), h); ok {
			return key, nil
		}
	}
	rest := pauseUnknown
	switch {
	case last.failed:
		rest = pauseFailed
	case !fresh:
		rest = 0
	}
	if now.Sub(last.at) >= rest {
		if err := s.refresh(ctx, c); err != nil {
			s.log.Warn("the key set of a client is not to be had", "client", c.ClientID, "error", err)
		}
	}
	usable := c.FreshTill != nil && s.now().Before(c.FreshTill.Add(goodInOutage))
	if key, ok := choose([]byte(c.Found), h); ok && usable {
		return key, nil
	}
	return nil, invalidClient("no such key")
}

type keySet struct {
	text  string
	fresh time.Duration
}

// refresh asks for the key set of a client, once for all that wait for it.
func (s *Server) refresh(ctx context.Context, c *client) error {
	found, err, _ := s.asking.Do(c.ClientID.String(), func() (any, error) {
		// Who comes first may go away; the others still want it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keySetWait)
		defer cancel()
		set, err := s.fetch(ctx, *c.JWKSURL)
		now := s.now()
		s.attempts.note(c.ClientID, now, err != nil)
		if err != nil {
			return nil, err
		}
		return set, s.keep(ctx, c, set.text, now, now.Add(set.fresh))
	})
	if err != nil {
		return err
	}
	set, _ := found.(keySet)
	till := s.now().Add(set.fresh)
	c.Found, c.FreshTill = set.text, &till
	return nil
}

func (s *Server) fetch(ctx context.Context, address string) (keySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return keySet{}, err
	}
	request.Header.Set("Accept", "application/json")
	answer, err := s.http.Do(request)
	if err != nil {
		return keySet{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return keySet{}, fmt.Errorf("status %d", answer.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, mostKeySet+1))
	switch {
	case err != nil:
		return keySet{}, err
	case len(text) > mostKeySet:
		return keySet{}, errors.New("it is too large")
	}
	if _, err := jwkSet(text); err != nil {
		return keySet{}, err
	}
	return keySet{string(text), freshFor(answer.Header)}, nil
}

// freshFor is how long an answer may be kept, RFC 9111 section 5.2.2.
func freshFor(h http.Header) time.Duration {
	fresh := freshWithout
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			n, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return 0
			}
			fresh = time.Duration(n) * time.Second
		}
	}
	age, err := strconv.ParseUint(h.Get("Age"), 10, 31)
	if err == nil {
		fresh -= time.Duration(age) * time.Second
	}
	return min(max(fresh, 0), freshMost)
}

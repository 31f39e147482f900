package gate_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/gate"
)

// house is a router behind a limiter, with a clock that stands still. It takes
// the tokens that begin with "good".
type house struct {
	echo *echo.Echo
	now  time.Time
}

func newHouse(l gate.Limits) *house {
	h := &house{echo: echo.New(), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	h.echo.IPExtractor = echo.ExtractIPDirect()
	h.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		status := http.StatusTooManyRequests
		if fault.Is(err, fault.Unauthenticated) {
			status = http.StatusUnauthorized
		}
		_ = c.NoContent(status)
	}
	h.echo.Use(gate.NewLimiter(l, func() time.Time { return h.now }).Middleware)
	h.echo.GET("/*", func(c echo.Context) error {
		switch token := c.Request().Header.Get("Authorization"); {
		case c.Request().URL.Path == "/open":
			return c.NoContent(http.StatusOK) // for everybody
		case c.Request().URL.Path == "/token":
			return c.NoContent(http.StatusUnauthorized) // a handler that writes by itself
		case len(token) < 4 || token[:4] != "good":
			return fault.New(fault.Unauthenticated, "who is it")
		}
		gate.Identified(c)
		return c.NoContent(http.StatusOK)
	})
	return h
}

func (h *house) ask(address, token, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.RemoteAddr = address
	if token != "" {
		r.Header.Set("Authorization", token)
	}
	w := httptest.NewRecorder()
	h.echo.ServeHTTP(w, r)
	return w
}

// taken asks n times and counts what was not refused as too many.
func (h *house) taken(n int, address, token, path string) (count int) {
	for range n {
		if h.ask(address, token, path).Code != http.StatusTooManyRequests {
			count++
		}
	}
	return count
}

const here, there = "192.0.2.1:1000", "192.0.2.2:1000"

func TestAClientIsLimitedWhereverItComesFrom(t *testing.T) {
	t.Parallel()
	h := newHouse(gate.Limits{Client: 2})
	if got := h.taken(30, here, "good-a", "/"); got != 20 {
		t.Errorf("%d at once, want 20", got)
	}
	if got := h.taken(10, there, "good-a", "/"); got != 0 {
		t.Errorf("%d more from elsewhere", got)
	}
	if got := h.taken(10, here, "good-b", "/"); got != 10 {
		t.Errorf("another client: %d of 10", got)
	}
	refused := h.ask(here, "good-a", "/")
	wait, err := strconv.Atoi(refused.Header().Get("Retry-After"))
	if err != nil || wait < 1 {
		t.Errorf("Retry-After is %q", refused.Header().Get("Retry-After"))
	}
	h.now = h.now.Add(time.Duration(wait) * time.Second)
	if got := h.taken(10, here, "good-a", "/"); got != 2 {
		t.Errorf("%d after waiting as told, want 2", got)
	}
}

func TestAnAddressIsLimitedWhateverTokensItHas(t *testing.T) {
	t.Parallel()
	h := newHouse(gate.Limits{Address: 1})
	count := 0
	for i := range 30 {
		count += h.taken(1, here, fmt.Sprint("good-", i), "/")
	}
	if count != 10 {
		t.Errorf("%d at once, want 10", count)
	}
	if got := h.taken(5, there, "good", "/"); got != 5 {
		t.Errorf("another address: %d of 5", got)
	}
	if got := h.taken(30, "[2001:db8::1]:1", "good", "/") + h.taken(30, "[2001:db8::2]:1", "good", "/"); got != 10 {
		t.Errorf("%d from one IPv6 network, want 10", got)
	}
}

func TestHealthChecksAreNeverRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(gate.Limits{Address: 1, Failure: 1})
	h.taken(50, here, "bad", "/")
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := h.taken(50, here, "good", path); got != 50 {
			t.Errorf("%s: %d of 50", path, got)
		}
	}
}

func TestWhoGuessesTokensIsStoppedAndNobodyElse(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/fhir", "/token"} {
		h := newHouse(gate.Limits{Failure: 6})
		h.ask(here, "good-known", "/fhir")
		guesses := 0
		for i := range 100 {
			guesses += h.taken(1, here, fmt.Sprint("guess-", i), path)
		}
		if guesses != 6 {
			t.Errorf("%s: %d guesses, want 6", path, guesses)
		}
		if got := h.ask(here, "good-new", "/fhir").Code; got != http.StatusTooManyRequests {
			t.Errorf("%s: a token that is new there: %d", path, got)
		}
		if got := h.ask(here, "good-known", "/fhir").Code; got != http.StatusOK {
			t.Errorf("%s: a token that was good before: %d", path, got)
		}
		if got := h.ask(there, "good-new", "/fhir").Code; got != http.StatusOK {
			t.Errorf("%s: from another address: %d", path, got)
		}
		h.now = h.now.Add(10 * time.Second)
		if got := h.ask(here, "good-new", "/fhir").Code; got != http.StatusOK {
			t.Errorf("%s: ten seconds later: %d", path, got)
		}
	}
}

// Who sends a guess to a page for everybody first gains nothing by it.
func TestWhatEverybodyMayReadMakesNoTokenGood(t *testing.T) {
	t.Parallel()
	h := newHouse(gate.Limits{Failure: 6})
	guesses := 0
	for i := range 100 {
		guess := fmt.Sprint("guess-", i)
		if got := h.ask(here, guess, "/open").Code; i < 6 && got != http.StatusOK {
			t.Errorf("what everybody may read is answered %d", got)
		}
		guesses += h.taken(1, here, guess, "/fhir")
	}
	if guesses != 6 {
		t.Errorf("%d guesses, want 6", guesses)
	}
}

// A person who is signed in has a limit too, and is not kept out by a neighbour
// who guesses.
func TestASessionIsAClient(t *testing.T) {
	t.Parallel()
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		status := http.StatusTooManyRequests
		if fault.Is(err, fault.Unauthenticated) {
			status = http.StatusUnauthorized
		}
		_ = c.NoContent(status)
	}
	e.Use(gate.NewLimiter(gate.Limits{Client: 2, Failure: 3}, func() time.Time { return now }).Middleware)
	e.GET("/*", func(c echo.Context) error {
		if _, err := c.Cookie("__Host-overread"); err != nil {
			return fault.New(fault.Unauthenticated, "who is it")
		}
		gate.Identified(c)
		return c.NoContent(http.StatusOK)
	})
	ask := func(cookie string) int {
		r := httptest.NewRequest(http.MethodGet, "/home", nil)
		r.RemoteAddr = here
		if cookie != "" {
			r.AddCookie(&http.Cookie{Name: "__Host-overread", Value: cookie})
		}
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		return w.Code
	}
	ask("ito")
	for range 10 {
		ask("")
	}
	for i := range 30 {
		want := http.StatusOK
		if i >= 19 {
			want = http.StatusTooManyRequests
		}
		if got := ask("ito"); got != want {
			t.Errorf("request %d: %d", i, got)
		}
	}
	if got := ask("somebody else"); got != http.StatusTooManyRequests {
		t.Errorf("a session that is new there: %d", got)
	}
}

func TestNoLimitIsNoLimit(t *testing.T) {
	t.Parallel()
	h := newHouse(gate.Limits{})
	if got := h.taken(5000, here, "bad", "/"); got != 5000 {
		t.Errorf("%d of 5000", got)
	}
}

// Many addresses and tokens must not fill the memory, and a limit holds under
// many goroutines.
func TestALimiterIsOfManyAndBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(gate.Limits{Client: 1, Address: 1, Failure: 1})
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 5000 {
				h.ask(fmt.Sprintf("10.%d.%d.%d:1", worker, i/250, i%250), fmt.Sprint("good", worker, "-", i), "/")
			}
		})
	}
	all.Wait()
	if got := h.taken(100, here, "good", "/"); got != 10 {
		t.Errorf("%d at once, want 10", got)
	}
}

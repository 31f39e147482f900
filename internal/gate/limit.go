package gate

import (
	"crypto/sha256"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
)

// Limits are how many requests are taken. 0 is no limit. They are of this
// process: with three replicas a client may have three times as much.
type Limits struct {
	Client  float64 // requests a second with one token
	Address float64 // requests a second from one address
	Failure float64 // failed authentications a minute from one address
}

// burst is for how many seconds of its rate somebody may come at once.
const burst = 10

// remembered is how many clients and addresses are told apart at once: some
// megabytes of memory.
const remembered = 20_000

// exempt are the addresses of health checks, which must not fail for somebody
// else's eagerness.
var exempt = []string{"/healthz", "/readyz"}

// Limiter refuses who asks too often: 429 with Retry-After.
type Limiter struct {
	clients, addresses, failures *buckets
	logins                       *buckets // that an address begins
	known                        *buckets // tokens that were good of late; never refused
	now                          func() time.Time
}

// NewLimiter makes a limiter.
func NewLimiter(l Limits, now func() time.Time) *Limiter {
	return &Limiter{
		clients:   newBuckets(l.Client, int(math.Ceil(l.Client*burst)), remembered),
		addresses: newBuckets(l.Address, int(math.Ceil(l.Address*burst)), remembered),
		failures:  newBuckets(l.Failure/60, int(math.Ceil(l.Failure)), remembered),
		logins:    newBuckets(loginsAMinute/60.0, loginsAMinute, remembered),
		known:     newBuckets(math.MaxFloat64, 1, remembered),
		now:       now,
	}
}

// Middleware is the limiter for a router, within what renders errors.
func (l *Limiter) Middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if slices.Contains(exempt, c.Request().URL.Path) {
			return next(c)
		}
		address, client := addressKey(c.RealIP()), clientKey(c.Request())
		if err := l.admit(c, address, client); err != nil {
			return err
		}
		err := next(c)
		switch {
		case fault.Is(err, fault.Unauthenticated), c.Response().Committed && c.Response().Status == http.StatusUnauthorized, c.Get(unproven) != nil:
			l.failures.take(address, l.now())
			l.known.forget(client)
		case client != "" && c.Get(identified) != nil:
			l.known.take(client, l.now())
		}
		return err
	}
}

// loginsAMinute is how many sign-ins and launches one address may begin: enough
// for a hospital behind one address when a shift begins.
const loginsAMinute = 120

// Begin refuses an address that begins too many sign-ins: each leaves a row, and
// whoever begins one is not known yet.
func (l *Limiter) Begin(c echo.Context) error {
	if wait := l.logins.take(addressKey(c.RealIP()), l.now()); wait > 0 {
		return tooMany(c, wait, "too many sign-ins begun from this address")
	}
	return nil
}

const identified = "gate identified"

// Identified says that the request's token, or its session, is somebody's. What
// everybody may read proves nothing of a token that came along.
func Identified(c echo.Context) { c.Set(identified, true) }

const unproven = "gate unproven"

// Unproven says that who asked could not prove who they are, where the answer's
// status is not 401 (RFC 6749 section 5.2 has 400 invalid_client).
func Unproven(c echo.Context) { c.Set(unproven, true) }

// admit refuses an address that has failed too often, unless it comes with a
// token that was good of late: whoever guesses tokens behind a hospital's one
// address must not lock out the hospital.
func (l *Limiter) admit(c echo.Context, address, client string) error {
	now := l.now()
	if wait := l.failures.empty(address, now); wait > 0 && !l.known.has(client) {
		return tooMany(c, wait, "too many failed authentications from this address")
	}
	if wait := l.addresses.take(address, now); wait > 0 {
		return tooMany(c, wait, "too many requests from this address")
	}
	if client == "" {
		return nil
	}
	if wait := l.clients.take(client, now); wait > 0 {
		return tooMany(c, wait, "too many requests of this client")
	}
	return nil
}

func tooMany(c echo.Context, wait time.Duration, what string) error {
	seconds := int(math.Ceil(wait.Seconds()))
	c.Response().Header().Set("Retry-After", strconv.Itoa(seconds))
	return fault.New(fault.Throttled, "%s: wait %d s, as Retry-After says", what, seconds)
}

// cookies are those of sessions (internal/session), over https and on this machine.
var cookies = []string{"__Host-overread", "overread"}

// clientKey stands for a client's token, or a person's session; neither is kept.
func clientKey(r *http.Request) string {
	credential := r.Header.Get("Authorization")
	for _, name := range cookies {
		if cookie, err := r.Cookie(name); err == nil && credential == "" {
			credential = "session " + cookie.Value
		}
	}
	if credential == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(credential))
	return string(sum[:])
}

// addressKey stands for an address; in IPv6 for its network of 64 bits, as one
// machine has as many addresses of it as it likes.
func addressKey(text string) string {
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return "?"
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		if network, err := ip.Prefix(64); err == nil {
			return network.String()
		}
	}
	return ip.String()
}

package access

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Tokens remembers what tokens stand for, so that a request need not go to the
// database and back to find out before it does anything. What is remembered is
// never enough: the first transaction of the request asks again, and fails if
// anything has changed (pg.CheckLater). So a token that was revoked, has expired or
// allows less is refused at once, on every replica.
type Tokens struct {
	db *pg.DB

	mu    sync.Mutex
	known map[[sha256.Size]byte]knownToken
}

type knownToken struct {
	rows   []placeRow
	places []Place
	since  time.Time
}

// So many tokens are remembered, for so long.
const (
	mostTokens = 10_000
	tokenFor   = time.Minute
)

// NewTokens remembers none yet.
func NewTokens(db *pg.DB) *Tokens {
	return &Tokens{db: db, known: map[[sha256.Size]byte]knownToken{}}
}

// Identify is the function Identify, for a request whose context has room for
// checks (pg.WithChecks). Whoever answers without a transaction asks pg.Checked
// first.
func (t *Tokens) Identify(ctx context.Context, token string, choice Choice) (Actor, error) {
	sum := sha256.Sum256([]byte(token))
	t.mu.Lock()
	known, ok := t.known[sum]
	t.mu.Unlock()
	if ok && time.Since(known.since) < tokenFor && pg.CheckLater(ctx, t.check(sum, known.rows)) {
		return choice.Of(known.places)
	}
	rows, places, err := lookUp(ctx, t.db, sum[:])
	if err != nil {
		return Actor{}, err
	}
	if !slices.ContainsFunc(rows, func(r placeRow) bool { return r.Suspended }) {
		t.remember(sum, knownToken{rows, places, time.Now()})
	}
	return choice.Of(places)
}

func (t *Tokens) remember(sum [sha256.Size]byte, known knownToken) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.known) >= mostTokens {
		clear(t.known)
	}
	t.known[sum] = known
}

func (t *Tokens) forget(sum [sha256.Size]byte) {
	t.mu.Lock()
	delete(t.known, sum)
	t.mu.Unlock()
}

// check asks whether a token stands for exactly what it did.
func (t *Tokens) check(sum [sha256.Size]byte, was []placeRow) pg.Check {
	return pg.Check{SQL: placesOfToken, Args: pgx.NamedArgs{"sum": sum[:]}, Judge: func(rows pgx.Rows) error {
		now, err := collectPlaces(rows)
		if err != nil {
			return err
		}
		if slices.EqualFunc(was, now, placeRow.equal) {
			return nil
		}
		t.forget(sum)
		switch {
		case len(now) == 0:
			return unknownToken()
		case slices.ContainsFunc(now, func(r placeRow) bool { return r.Suspended }):
			return Suspended()
		}
		return fault.New(fault.Unavailable, "what this token allows has changed at this moment, and nothing was done: send the same request again")
	}}
}

func (r placeRow) equal(other placeRow) bool {
	same := r.Scopes == other.Scopes || r.Scopes != nil && other.Scopes != nil && *r.Scopes == *other.Scopes
	r.Scopes, other.Scopes = nil, nil
	return same && r == other
}

// collectPlaces reads the rows of placesOfToken, always in the same order.
func collectPlaces(rows pgx.Rows) ([]placeRow, error) {
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[placeRow])
	slices.SortFunc(found, func(a, b placeRow) int {
		return strings.Compare(a.TenantName+" "+string(a.Role), b.TenantName+" "+string(b.Role))
	})
	return found, err
}

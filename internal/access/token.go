package access

import (
	"context"
	"crypto/sha256"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// Tokens remembers what tokens stand for, so that a request need not go to the
// database and back to find out before it does anything. What is remembered is
// never enough: the first transaction of the request finds out whether anything may
// have changed since, looks again if so, and fails if it has (pg.CheckLater). So a
// token that was revoked, has expired or allows less is refused at once, on every
// replica.
type Tokens struct {
	db *pg.DB

	mu    sync.Mutex
	known map[[sha256.Size]byte]knownToken
}

type knownToken struct {
	rows   []placeRow
	places []Place
	marks  map[uuid.UUID]uuid.UUID // of the tenants, as pg.Check has them
	till   time.Time
	since  time.Time
}

// knowing is what is remembered of a token that stands for these rows.
func knowing(rows []placeRow, places []Place, since time.Time) knownToken {
	known := knownToken{rows: rows, places: places, marks: make(map[uuid.UUID]uuid.UUID, len(rows)), since: since}
	for _, r := range rows {
		known.marks[r.TenantID] = r.AccessMark
		if r.EndsAt.InfinityModifier == pgtype.Finite && (known.till.IsZero() || r.EndsAt.Time.Before(known.till)) {
			known.till = r.EndsAt.Time
		}
	}
	return known
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
	if ok && time.Since(known.since) < tokenFor && pg.CheckLater(ctx, t.check(sum, known)) {
		return choice.Of(known.places)
	}
	rows, places, err := lookUp(ctx, t.db, sum[:])
	if err != nil {
		return Actor{}, err
	}
	if !slices.ContainsFunc(rows, func(r placeRow) bool { return r.Suspended }) {
		t.remember(sum, knowing(rows, places, time.Now()))
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

// check finds out whether a token stands for exactly what it did. Who it was may
// have been marked for something else: then that is remembered.
func (t *Tokens) check(sum [sha256.Size]byte, was knownToken) pg.Check {
	return pg.Check{Marks: was.marks, Till: was.till, SQL: placesOfToken, Args: pgx.NamedArgs{"sum": sum[:]}, Judge: func(rows pgx.Rows) error {
		now, err := collectPlaces(rows)
		if err != nil {
			return err
		}
		if slices.EqualFunc(was.rows, now, placeRow.equal) {
			t.remember(sum, knowing(now, was.places, was.since))
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

// equal tells whether two rows mean the same, whenever they were read.
func (r placeRow) equal(other placeRow) bool {
	same := r.Scopes == other.Scopes || r.Scopes != nil && other.Scopes != nil && *r.Scopes == *other.Scopes
	r.Scopes, r.AccessMark, r.EndsAt = other.Scopes, other.AccessMark, other.EndsAt
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

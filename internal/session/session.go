// Package session keeps people logged in: a row in PostgreSQL for each browser,
// found by a cookie of 256 random bits of which only the SHA-256 is kept, and so
// shared by all replicas.
//
// A session is opened after a login (integrations/oidc) or a launch from an EHR
// (integrations/smart), with the places that its person may have: at each tenant
// some roles. It ends by logout, when nothing has come for a while (Idle), at a
// fixed time (Life), and with the person. What a place rests on is looked at for
// every request: a reader who is no longer credentialed has lost it at once.
//
// store.go has the SQL, door.go the cookie and what a request must bring.
package session

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
)

// Where a session may come from.
const (
	FromOIDC   = "oidc"
	FromLaunch = "launch"
)

// Why a session ended.
const (
	Logout    = "logout"
	Idle      = "idle"
	Time      = "time"
	Elsewhere = "elsewhere" // from another session of the person
	Operator  = "operator"
)

// ErrNone is the error of a cookie that is no session, or no longer.
var ErrNone = errors.New("no session")

// Config is what a Store needs. DB and BaseURL have no default.
type Config struct {
	DB      *pg.DB
	BaseURL string        // as clients see it: over https the cookie is a __Host- one
	Idle    time.Duration // without a request for so long it ends; default: 15 minutes
	Life    time.Duration // it ends after so long in any case; default: 12 hours
	Record  access.Recorder
}

// Store opens, finds and ends sessions.
type Store struct {
	db         *pg.DB
	tokens     *access.Tokens
	secure     bool
	idle, life time.Duration
	record     access.Recorder
}

// NewStore makes a Store.
func NewStore(cfg Config) *Store {
	s := &Store{db: cfg.DB, tokens: access.NewTokens(cfg.DB), secure: isHTTPS(cfg.BaseURL), idle: cfg.Idle, life: cfg.Life, record: cfg.Record}
	if s.idle <= 0 {
		s.idle = 15 * time.Minute
	}
	if s.life <= 0 {
		s.life = 12 * time.Hour
	}
	if s.record == nil {
		s.record = func(context.Context, pgx.Tx, access.Event) error { return nil }
	}
	return s
}

// IdleAfter is after how long without a request a session ends.
func (s *Store) IdleAfter() time.Duration { return s.idle }

// Session is one that is in force.
type Session struct {
	ID       uuid.UUID
	PersonID uuid.UUID
	ReaderID *uuid.UUID // who the person is among the readers, if they are one
	Issuer   string     // who said who the person is
	Display  string     // name of the person
	CameFrom string
	Browser  string
	OpenedAt time.Time
	SeenAt   time.Time
	EndsAt   time.Time
	Places   []access.Place `db:"-"`
	cookie   string
}

// At is the place of the session at a tenant in a role; role "" is any.
func (s *Session) At(tenant string, role access.Role) (access.Place, bool) {
	for _, p := range s.Places {
		if p.TenantName == tenant && (role == "" || p.Role == role) {
			return p, true
		}
	}
	return access.Place{}, false
}

// Tenants are the tenants of the session's places, each once.
func (s *Session) Tenants() (tenants []access.Place) {
	for _, p := range s.Places {
		if !slices.ContainsFunc(tenants, func(t access.Place) bool { return t.Tenant == p.Tenant }) {
			tenants = append(tenants, p)
		}
	}
	return tenants
}

// CSRF is a token that the session's forms (field csrf) and API calls (header
// Overread-CSRF) send back. It follows from the cookie, which no other site can
// read, and does not tell it. It looks different on every page, so that nobody
// finds it out by how well a page that holds it is compressed (BREACH).
func (s *Session) CSRF() string {
	var mask [sha256.Size]byte
	_, _ = rand.Read(mask[:]) // never fails since Go 1.24
	proof := s.proof()
	subtle.XORBytes(proof, proof, mask[:])
	return base64.RawURLEncoding.EncodeToString(append(mask[:], proof...))
}

func (s *Session) proof() []byte {
	mac := hmac.New(sha256.New, []byte(s.cookie))
	mac.Write([]byte("overread csrf"))
	return mac.Sum(nil)
}

// Proves tells whether a token is the session's.
func (s *Session) Proves(token string) bool {
	sent, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(sent) != 2*sha256.Size || s.cookie == "" {
		return false
	}
	mask, proof := sent[:sha256.Size], sent[sha256.Size:]
	subtle.XORBytes(proof, proof, mask)
	return subtle.ConstantTimeCompare(proof, s.proof()) == 1
}

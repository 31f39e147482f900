package session

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// CSRFHeader is sent with a session's calls of the API that change anything.
const CSRFHeader = "Overread-CSRF"

// CSRFField is the field of a form that has the same.
const CSRFField = "csrf"

func isHTTPS(base string) bool { return strings.HasPrefix(base, "https://") }

// CookieName is the session's cookie. Over plain http, which is for loopback and
// development only, a browser may refuse a Secure cookie, and a __Host- one is
// always Secure: then it has a name without that promise.
func (s *Store) CookieName() string {
	if s.secure {
		return "__Host-overread"
	}
	return "overread"
}

// SetCookie gives the browser the session's cookie. It lives as long as the
// browser; how long it is good is said by the session.
func (s *Store) SetCookie(w http.ResponseWriter, value string) { s.giveCookie(w, value, 0) }

// ClearCookie takes it away.
func (s *Store) ClearCookie(w http.ResponseWriter) { s.giveCookie(w, "", -1) }

func (s *Store) giveCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure: see CookieName
		Name: s.CookieName(), Value: value, Path: "/", MaxAge: maxAge,
		Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// Secure tells whether clients come over https.
func (s *Store) Secure() bool { return s.secure }

// OfRequest is the session of a request; ErrNone where it has none, or one that
// was launched.
func (s *Store) OfRequest(r *http.Request) (*Session, error) {
	sent := r.CookiesNamed(s.CookieName())
	if len(sent) != 1 || sent[0].Value == "" || len(sent[0].Value) > 128 {
		return nil, ErrNone // two of them: somebody has put one beside ours
	}
	found, err := s.find(r.Context(), sent[0].Value, r.Header.Get(RefreshHeader) == "")
	if err == nil && found.CameFrom == FromLaunch {
		return nil, ErrNone // it opens its own pages only, launched.go
	}
	return found, err
}

// RefreshHeader is on requests that a page sends by itself to keep a list fresh.
// They do not count as using the session: nobody may be sitting there.
const RefreshHeader = "Overread-Refresh"

// InForce tells whether the session of a request is in force, and does not take
// that for using it: a page that nobody looks at asks.
func (s *Store) InForce(r *http.Request) (is bool, err error) {
	sent := only(r, s.CookieName())
	if sent == "" {
		return false, nil
	}
	sum := sha256.Sum256([]byte(sent))
	err = s.db.System(r.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(r.Context(), `
			SELECT EXISTS (
				SELECT
				FROM session s
				JOIN person p ON p.person_id = s.person_id
				WHERE s.cookie_sha256 = @sum AND s.ended_at IS NULL AND p.ended_at IS NULL AND s.came_from = 'oidc'
				  AND s.ends_at > now() AND s.seen_at > now() - @idle * interval '1 second')`,
			pgx.NamedArgs{"sum": sum[:], "idle": s.idle.Seconds()}).Scan(&is)
	})
	if err != nil {
		return false, fmt.Errorf("look for a session: %w", err)
	}
	return is, nil
}

// forged refuses requests that a page of another site makes a browser send.
var forged = http.NewCrossOriginProtection()

// SameSite refuses (Forbidden) what a page of another site has sent. It lets
// through what reads only, and what no browser sends.
func SameSite(r *http.Request) error {
	if forged.Check(r) != nil {
		return fault.New(fault.Forbidden, "a page of another site has sent this; nothing was done")
	}
	return nil
}

// Identify is the actor of a request: of its bearer token, else of its session.
// With a session, what may change anything or starts work needs the session's CSRF token, and
// must not come from another site.
func (s *Store) Identify(r *http.Request) (access.Actor, error) {
	if r.Header.Get("Authorization") != "" {
		token, err := access.Bearer(r)
		if err != nil {
			return access.Actor{}, err
		}
		return s.tokens.Identify(r.Context(), token, access.ChoiceOf(r))
	}
	found, err := s.OfRequest(r)
	if errors.Is(err, ErrNone) {
		return access.Actor{}, fault.New(fault.Unauthenticated, "send a bearer token (Authorization: Bearer ...), or log in")
	}
	if err != nil {
		return access.Actor{}, err
	}
	if changes(r) {
		if err := SameSite(r); err != nil {
			return access.Actor{}, err
		}
		if !found.Proves(r.Header.Get(CSRFHeader)) {
			return access.Actor{}, fault.New(fault.Forbidden, "a session's request that may change something needs the header %s with the session's token", CSRFHeader)
		}
	}
	return access.ChoiceOf(r).Of(found.Places)
}

// changes tells whether a request may change anything, or starts work: a bulk
// export does, which is a GET (FHIR Bulk Data Access 2.0), and a link on another
// site makes a browser send that with its cookie.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || path.Base(r.URL.Path) == "$export"
}

package session

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// A session that was launched from an EHR has a cookie of its own, for two reasons.
// It may be shown in the EHR's frame, so its cookie must come along there
// (SameSite=None, Partitioned): it opens the launched pages and nothing else. And
// a clinician may have two patients open in two windows: each session's cookie has
// the session's id in its name, as its pages have in their address, so that no
// window ever shows the patient of another one.

// launchCookies is how many of them a browser keeps; the oldest go first.
const launchCookies = 12

func (s *Store) launchPrefix() string {
	if s.secure {
		return "__Host-overread-launch-"
	}
	return "overread-launch-"
}

func (s *Store) launchName(id uuid.UUID) string {
	return s.launchPrefix() + strings.ReplaceAll(id.String(), "-", "")
}

// OpenLaunched opens a session for one actor, who is bound to a patient, in a
// transaction of System. It ends after life, if not before.
func (s *Store) OpenLaunched(ctx context.Context, tx pgx.Tx, person uuid.UUID, browser string, actor access.Actor, life time.Duration) (id uuid.UUID, cookie string, err error) {
	if actor.Patient == "" || actor.Limited() {
		return id, "", errors.New("a launched session is bound to a patient, and by nothing else")
	}
	return s.open(ctx, tx, person, FromLaunch, browser, []access.Actor{actor}, min(life, s.life))
}

// SetLaunchCookie gives the browser the cookie of a launched session, and takes
// away the oldest where it has too many.
func (s *Store) SetLaunchCookie(w http.ResponseWriter, r *http.Request, id uuid.UUID, value string, life time.Duration) {
	var had []string
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, s.launchPrefix()) && !slices.Contains(had, c.Name) {
			had = append(had, c.Name)
		}
	}
	slices.Sort(had) // ids grow with time
	for len(had) >= launchCookies {
		s.framedCookie(w, had[0], "", -1)
		had = had[1:]
	}
	s.framedCookie(w, s.launchName(id), value, int(life.Seconds()))
}

// ClearLaunchCookie takes it away.
func (s *Store) ClearLaunchCookie(w http.ResponseWriter, id uuid.UUID) {
	s.framedCookie(w, s.launchName(id), "", -1)
}

// SetLaunchLanguage keeps in the browser in which language a launched session shows
// its pages: it is no secret, and no more than a word.
func (s *Store) SetLaunchLanguage(w http.ResponseWriter, id uuid.UUID, language string, life time.Duration) {
	s.framedCookie(w, languageCookie+id.String(), language, int(life.Seconds()))
}

// LaunchLanguage is the language that was kept for a launched session, "" for none.
func (*Store) LaunchLanguage(r *http.Request, id uuid.UUID) string {
	return only(r, languageCookie+id.String())
}

const languageCookie = "overread-launched-in-"

// beginning is the cookie of a browser that is about to be launched.
func (s *Store) beginning() string {
	if s.secure {
		return "__Host-overread-launching"
	}
	return "overread-launching"
}

// SetBeginning gives the browser what only it knows, for as long as a launch takes.
func (s *Store) SetBeginning(w http.ResponseWriter, value string, life time.Duration) {
	s.framedCookie(w, s.beginning(), value, int(life.Seconds()))
}

// Beginning is what the browser of a request was given, "" for nothing.
func (s *Store) Beginning(r *http.Request) string { return only(r, s.beginning()) }

// framedCookie sets a cookie that comes along within a frame of the EHR's pages,
// and of these only (CHIPS). Over plain http there are no such cookies.
func (s *Store) framedCookie(w http.ResponseWriter, name, value string, maxAge int) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if s.secure {
		c.Secure, c.Partitioned, c.SameSite = true, true, http.SameSiteNoneMode
	}
	http.SetCookie(w, c)
}

// OfLaunch is the launched session of a page's address, by its own cookie; ErrNone
// where it is not in force, or another's.
func (s *Store) OfLaunch(r *http.Request, id uuid.UUID) (*Session, error) {
	value := only(r, s.launchName(id))
	if value == "" {
		return nil, ErrNone
	}
	found, err := s.Find(r.Context(), value)
	if err != nil {
		return nil, err
	}
	if found.ID != id || found.CameFrom != FromLaunch {
		return nil, ErrNone
	}
	return found, nil
}

// only is the value of a cookie that was sent once, "" otherwise.
func only(r *http.Request, name string) string {
	sent := r.CookiesNamed(name)
	if len(sent) != 1 || len(sent[0].Value) > 128 {
		return ""
	}
	return sent[0].Value
}

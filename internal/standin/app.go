package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// The stand-in as an EHR that can launch apps (SMART App Launch 2.2): its user,
// whom it takes for logged in, opens an app for one of its patients. The
// authorization server is in authorize.go and token.go. It is strict: what a real
// one should refuse, it refuses.

// App is an app that is registered at this EHR.
type App struct {
	ClientID    string          `json:"clientId"`
	Name        string          `json:"name"`
	LaunchURL   string          `json:"launchUrl"`
	RedirectURI string          `json:"redirectUri"`
	Secret      string          `json:"secret,omitempty"` // for client_secret_basic
	Keys        json.RawMessage `json:"keys,omitempty"`   // for private_key_jwt: a JSON Web Key Set
	Scopes      []string        `json:"scopes,omitempty"` // the most that it is granted; default: what it asks for
}

// launching is everything that the authorization server remembers.
type launching struct {
	mu       sync.Mutex
	key      *ecdsa.PrivateKey // signs ID tokens
	apps     []App
	launches map[string]launchContext
	codes    map[string]grant
	tokens   map[string]grant
	seen     map[string]time.Time // jti of assertions
}

// launchContext is what an opaque launch stands for.
type launchContext struct {
	Patient, Order string // ids
	Client         string
	till           time.Time
	used           bool
}

// grant is what a code, and then a token, stands for.
type grant struct {
	launchContext

	redirect, challenge, nonce string
	scopes                     []string
	token                      string // that the code was changed for
	till                       time.Time
}

func newLaunching() (*launching, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &launching{key: key, launches: map[string]launchContext{}, codes: map[string]grant{}, tokens: map[string]grant{}, seen: map[string]time.Time{}}, err
}

// Register registers an app, or changes the one of its client id.
func (e *EHR) Register(app App) {
	e.launching.mu.Lock()
	defer e.launching.mu.Unlock()
	e.launching.apps = slices.DeleteFunc(e.launching.apps, func(a App) bool { return a.ClientID == app.ClientID })
	e.launching.apps = append(e.launching.apps, app)
}

func (l *launching) app(client string) (App, bool) {
	i := slices.IndexFunc(l.apps, func(a App) bool { return a.ClientID == client })
	if i < 0 {
		return App{}, false
	}
	return l.apps[i], true
}

// register is POST /control/app.
func (e *EHR) register(w http.ResponseWriter, r *http.Request) error {
	var app App
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&app); err != nil || app.ClientID == "" || app.LaunchURL == "" || app.RedirectURI == "" {
		return refuse(http.StatusBadRequest, "invalid", "an app has clientId, launchUrl and redirectUri")
	}
	e.Register(app)
	answer(w, http.StatusOK, object{"registered": app.ClientID})
	return nil
}

// mostLaunches bounds what is remembered: it is a stand-in.
const mostLaunches = 10000

// Launch is what the button does: the address to which the user's browser goes.
func (e *EHR) Launch(base, client, patient, order string) (string, error) {
	l := e.launching
	l.mu.Lock()
	defer l.mu.Unlock()
	app, ok := l.app(client)
	if !ok {
		return "", refuse(http.StatusNotFound, "not-found", "no such app is registered")
	}
	if len(l.launches) > mostLaunches {
		clear(l.launches)
	}
	to, err := url.Parse(app.LaunchURL)
	if err != nil {
		return "", err
	}
	launch := rand.Text()
	l.launches[launch] = launchContext{Patient: patient, Order: order, Client: client, till: time.Now().Add(5 * time.Minute)}
	query := to.Query()
	query.Set("iss", base)
	query.Set("launch", launch)
	to.RawQuery = query.Encode()
	return to.String(), nil
}

// launch is POST /launch, the button of the page.
func (e *EHR) launch(w http.ResponseWriter, r *http.Request) error {
	if http.NewCrossOriginProtection().Check(r) != nil {
		return refuse(http.StatusForbidden, "forbidden", "this came from another site")
	}
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	patient, order := r.PostFormValue("patient"), r.PostFormValue("order")
	e.store.mu.Lock()
	known := e.store.records["Patient/"+patient] != nil && (order == "" || e.store.records["ServiceRequest/"+order] != nil)
	e.store.mu.Unlock()
	if !known {
		return refuse(http.StatusNotFound, "not-found", "no such patient or order")
	}
	to, err := e.Launch(base(r), r.PostFormValue("app"), patient, order)
	if err != nil {
		return err
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
	return nil
}

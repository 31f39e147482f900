package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"html/template"
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

// framedPage is a chart with an app in a frame of it.
var framedPage = template.Must(template.New("framed").Parse(`<!doctype html><html lang="en"><meta charset="utf-8"><title>Chart with a frame</title>
<style>body { margin: 0; font: 15px system-ui, sans-serif; } h1 { font-size: 1rem; margin: 0; padding: .6rem 1rem; background: #234; color: #fff; } iframe { border: 0; width: 100vw; height: calc(100vh - 2.6rem); display: block; }</style>
<main><h1>The chart of the EHR</h1><iframe src="{{.}}" title="An app in the chart"></iframe></main></html>`))

// framed is GET /framed?to=: a page of this EHR that shows a page of an app's server in
// a frame, as many EHRs do with apps that they launch.
func (e *EHR) framed(w http.ResponseWriter, r *http.Request) error {
	to, err := url.Parse(r.URL.Query().Get("to"))
	if err != nil {
		return refuse(http.StatusBadRequest, "invalid", "to is no address")
	}
	e.launching.mu.Lock()
	known := slices.ContainsFunc(e.launching.apps, func(a App) bool {
		at, err := url.Parse(a.LaunchURL)
		return err == nil && at.Scheme == to.Scheme && at.Host == to.Host
	})
	e.launching.mu.Unlock()
	if !known {
		return refuse(http.StatusNotFound, "not-found", "no app is registered there")
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src http: https:; base-uri 'none'; frame-ancestors 'none'")
	return framedPage.Execute(w, to.String())
}

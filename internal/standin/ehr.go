// Package standin is a stand-in for the hospital's EHR: a small FHIR R4
// server with an id space, habits and faults of its own, for the demo and the
// tests. It stands for somebody else's system, so it shares no code with
// Overread: what Overread writes is read here by other eyes.
//
// It keeps resources in memory and, if asked, in a journal that is flushed to
// disk before anything is acknowledged. GET /control/log tells what arrived,
// POST /control makes it fall ill, and GET / shows the reports to a person, who
// can open apps from there for one of its patients (SMART App Launch, app.go).
package standin

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Options say how the stand-in behaves.
type Options struct {
	Journal          string // file that outlives a restart; "" keeps everything in memory only
	Token            string // bearer token that /fhir wants; "" wants none
	StrictReferences bool   // refuse literal references to resources that are not here
}

// EHR is one stand-in.
type EHR struct {
	opts   Options
	store  *store
	faults faults
	traffic
	launching *launching
}

// New makes an EHR and reads its journal, if it has one.
func New(opts Options) (*EHR, error) {
	s, err := openStore(opts.Journal)
	if err != nil {
		return nil, fmt.Errorf("stand-in EHR: %w", err)
	}
	l, err := newLaunching()
	if err != nil {
		return nil, fmt.Errorf("stand-in EHR: %w", err)
	}
	return &EHR{opts: opts, store: s, launching: l}, nil
}

// Close closes the journal.
func (e *EHR) Close() error { return e.store.close() }

// Serve serves until the context ends, then closes the journal.
func (e *EHR) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{Handler: e.Handler(), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close()
		}
	})()
	err := server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, e.Close())
}

// Handler is the whole EHR.
func (e *EHR) Handler() http.Handler {
	fhir := http.NewServeMux()
	for pattern, h := range map[string]handler{
		"GET /fhir/metadata":                        e.metadata,
		"GET /fhir/.well-known/smart-configuration": e.smartConfiguration,
		"POST /fhir":                                e.transaction,
		"POST /fhir/{$}":                            e.transaction,
		"POST /fhir/{type}":                         e.create,
		"PUT /fhir/{type}":                          e.updateConditionally,
		"PUT /fhir/{type}/{id}":                     e.update,
		"GET /fhir/{type}":                          e.search,
		"POST /fhir/{type}/_search":                 e.search,
		"GET /fhir/{type}/{id}":                     e.read,
		"GET /fhir/{type}/{id}/_history/{no}":       e.readVersion,
	} {
		fhir.Handle(pattern, h)
	}
	mux := http.NewServeMux()
	mux.Handle("/fhir", e.count(e.faults.inject(e.guarded(e.launched(fhir)))))
	mux.Handle("/fhir/", e.count(e.faults.inject(e.guarded(e.launched(fhir)))))
	mux.Handle("GET /auth/authorize", handler(e.authorize))
	mux.Handle("POST /auth/authorize", handler(e.authorize))
	mux.Handle("POST /auth/token", e.faults.inject(handler(e.token)))
	mux.Handle("GET /auth/jwks.json", handler(e.jwks))
	mux.Handle("POST /launch", handler(e.launch))
	mux.Handle("GET /framed", handler(e.framed))
	mux.Handle("POST /control/app", handler(e.register))
	mux.Handle("GET /control/log", handler(e.showLog))
	mux.Handle("GET /control", handler(e.faults.show))
	mux.Handle("POST /control", handler(e.faults.add))
	mux.Handle("DELETE /control", handler(e.faults.clear))
	mux.Handle("GET /{$}", handler(e.page))
	mux.Handle("GET /report/{id}/form/{n}", handler(e.form))
	return mux
}

// guarded asks for the bearer token, if there is one.
func (e *EHR) guarded(next http.Handler) http.Handler {
	return handler(func(w http.ResponseWriter, r *http.Request) error {
		want, got := "Bearer "+e.opts.Token, r.Header.Get("Authorization")
		open := e.opts.Token == "" || r.URL.Path == "/fhir/metadata" || r.URL.Path == "/fhir/.well-known/smart-configuration"
		launched := strings.HasPrefix(got, "Bearer launch-") // judged by e.launched
		if !open && !launched && subtle.ConstantTimeCompare([]byte(want), []byte(got)) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			return refuse(http.StatusUnauthorized, "login", "a bearer token is required")
		}
		next.ServeHTTP(w, r)
		return nil
	})
}

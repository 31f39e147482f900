package standin

import (
	"net/http"
	"sync"
	"time"
)

// Write is one resource that was written, as GET /control/log shows it.
type Write struct {
	Seq         int       `json:"seq"`
	At          time.Time `json:"at"`
	Method      string    `json:"method"`
	Path        string    `json:"path"`
	Type        string    `json:"type"`
	ID          string    `json:"id"`
	Version     int       `json:"version"`
	Changed     bool      `json:"changed"` // false: it was like this already
	Identifiers []string  `json:"identifiers,omitempty"`
}

// Resource is one resource that is here, with how often it was written.
type Resource struct {
	Type        string   `json:"type"`
	ID          string   `json:"id"`
	Identifiers []string `json:"identifiers,omitempty"`
	Versions    int      `json:"versions"`
	Writes      int      `json:"writes"`
}

// Log is what this EHR has received.
type Log struct {
	Requests     int        `json:"requests"`       // below /fhir since the start, faults included
	PeakInFlight int        `json:"peak_in_flight"` // the most at once
	Writes       []Write    `json:"writes"`
	Resources    []Resource `json:"resources"`
	// The number of resources of a type and identifier ("DiagnosticReport
	// system|value"): more than 1 means that something was doubled.
	ByIdentifier map[string]int `json:"by_identifier"`
}

// traffic counts requests.
type traffic struct {
	mu                       sync.Mutex
	requests, inFlight, peak int
}

func (t *traffic) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.mu.Lock()
		t.requests++
		t.inFlight++
		t.peak = max(t.peak, t.inFlight)
		t.mu.Unlock()
		defer func() {
			t.mu.Lock()
			t.inFlight--
			t.mu.Unlock()
		}()
		next.ServeHTTP(w, r)
	})
}

// Log tells what was received.
func (e *EHR) Log() Log {
	e.mu.Lock()
	l := Log{Requests: e.requests, PeakInFlight: e.peak, ByIdentifier: map[string]int{}}
	e.mu.Unlock()
	e.store.mu.Lock()
	defer e.store.mu.Unlock()
	l.Writes = append([]Write{}, e.store.writes...)
	written := map[string]int{}
	for _, w := range l.Writes {
		written[w.Type+"/"+w.ID]++
	}
	for _, key := range e.store.order {
		rec := e.store.records[key]
		v := rec.newest()
		names := identifiers(rec.current)
		l.Resources = append(l.Resources, Resource{v.Type, v.ID, names, len(rec.versions), written[key]})
		for _, name := range names {
			l.ByIdentifier[v.Type+" "+name]++
		}
	}
	return l
}

func (e *EHR) showLog(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, e.Log())
	return nil
}

package standin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong, as POST /control orders it.
type Fault struct {
	Mode string `json:"mode"` // a row of modes

	// Which requests: "" means any.
	Method   string `json:"method,omitempty"`
	Path     string `json:"path,omitempty"`     // the beginning of it, e.g. /fhir/DiagnosticReport
	Contains string `json:"contains,omitempty"` // something that is in the body, e.g. an identifier

	Times      int `json:"times,omitempty"` // so often, then no more; 0: until cleared
	Status     int `json:"status,omitempty"`
	DelayMS    int `json:"delay_ms,omitempty"`
	RetryAfter int `json:"retry_after,omitempty"` // seconds
	Hits       int `json:"hits"`                  // so often it has happened
}

// modes is what each fault does with a request.
var modes = map[string]func(f Fault, w http.ResponseWriter, r *http.Request, next http.Handler){
	"down":       func(_ Fault, _ http.ResponseWriter, _ *http.Request, _ http.Handler) { cut() },
	"cut-before": func(_ Fault, _ http.ResponseWriter, _ *http.Request, _ http.Handler) { cut() },
	"cut-after": func(_ Fault, _ http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		cut()
	},
	"slow": func(f Fault, w http.ResponseWriter, r *http.Request, next http.Handler) {
		time.Sleep(time.Duration(f.DelayMS) * time.Millisecond) // and goes on, whether or not the caller still waits
		next.ServeHTTP(w, r)
	},
	"status": func(f Fault, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		handler(func(http.ResponseWriter, *http.Request) error {
			return refuse(f.Status, "exception", "a fault that was ordered")
		}).ServeHTTP(w, nil)
	},
	"rate-limit": func(f Fault, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		handler(func(http.ResponseWriter, *http.Request) error {
			return refuse(http.StatusTooManyRequests, "throttled", "too many requests")
		}).ServeHTTP(w, nil)
	},
	"rubbish": func(_ Fault, w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Please log in.</body></html>")
	},
}

// cut closes the connection without an answer.
func cut() { panic(http.ErrAbortHandler) }

type faults struct {
	mu    sync.Mutex
	items []*Fault
}

// Order makes the EHR fall ill as if by POST /control.
func (e *EHR) Order(f Fault) { e.faults.append(f) }

// Heal ends every fault.
func (e *EHR) Heal() {
	e.faults.mu.Lock()
	defer e.faults.mu.Unlock()
	e.faults.items = nil
}

func (fs *faults) append(f Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.items = append(fs.items, &f)
}

func (fs *faults) show(w http.ResponseWriter, _ *http.Request) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{"faults": append([]*Fault{}, fs.items...)})
	return nil
}

func (fs *faults) add(w http.ResponseWriter, r *http.Request) error {
	var f Fault
	decoder := json.NewDecoder(io.LimitReader(r.Body, 1<<16))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return refuse(http.StatusBadRequest, "structure", "not a fault: %v", err)
	}
	if modes[f.Mode] == nil {
		return refuse(http.StatusBadRequest, "value", "mode: one of down, slow, status, cut-before, cut-after, rate-limit, rubbish")
	}
	if f.Mode == "status" && (f.Status < 200 || f.Status > 599) {
		return refuse(http.StatusBadRequest, "value", "status: an HTTP status, 200 to 599")
	}
	f.Hits = 0
	fs.append(f)
	return fs.show(w, r)
}

func (fs *faults) clear(w http.ResponseWriter, r *http.Request) error {
	fs.mu.Lock()
	fs.items = nil
	fs.mu.Unlock()
	return fs.show(w, r)
}

// next is the fault that befalls this request, if any.
func (fs *faults) next(r *http.Request, body []byte) (Fault, bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	i := slices.IndexFunc(fs.items, func(f *Fault) bool {
		return (f.Method == "" || f.Method == r.Method) && strings.HasPrefix(r.URL.Path, f.Path) &&
			bytes.Contains(body, []byte(f.Contains)) && (f.Times == 0 || f.Hits < f.Times)
	})
	if i < 0 {
		return Fault{}, false
	}
	fs.items[i].Hits++
	return *fs.items[i], true
}

// inject lets the ordered faults befall the requests.
func (fs *faults) inject(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, bodyMax+1))
		if err != nil {
			cut()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if f, ok := fs.next(r, body); ok {
			modes[f.Mode](f, w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
}

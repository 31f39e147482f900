package standin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// handler is an http.Handler that may fail.
type handler func(w http.ResponseWriter, r *http.Request) error

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	err := h(w, r)
	if err == nil {
		return
	}
	var no *refusal
	if !errors.As(err, &no) {
		no = &refusal{http.StatusInternalServerError, "exception", "the stand-in failed: " + err.Error()}
	}
	outcome := object{"resourceType": "OperationOutcome", "issue": []object{
		{"severity": "error", "code": no.code, "details": object{"text": no.text}},
	}}
	answer(w, no.status, outcome)
}

// refusal is an error that becomes an OperationOutcome.
type refusal struct {
	status int
	code   string // http://hl7.org/fhir/issue-type
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(status int, code, format string, args ...any) error {
	return &refusal{status, code, fmt.Sprintf(format, args...)}
}

// object is a JSON object.
type object = map[string]any

func answer(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, nil
	}
	kind := "application/json"
	if o, ok := body.(object); ok && o["resourceType"] != nil {
		kind = "application/fhir+json; charset=utf-8"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

// answerVersion answers with a version of a resource and its headers.
func answerVersion(w http.ResponseWriter, r *http.Request, status int, v *version) {
	h := w.Header()
	h.Set("ETag", fmt.Sprintf(`W/"%d"`, v.No))
	h.Set("Last-Modified", v.At.UTC().Format(http.TimeFormat))
	h.Set("Content-Type", "application/fhir+json; charset=utf-8")
	if r.Method != http.MethodGet {
		h.Set("Location", base(r)+"/"+v.place())
		if strings.Contains(r.Header.Get("Prefer"), "return=minimal") {
			w.WriteHeader(status)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(v.Body)
}

// base is the FHIR base as the caller calls it.
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + "/fhir"
}

func (e *EHR) metadata(w http.ResponseWriter, r *http.Request) error {
	var kinds []object
	for _, typ := range types {
		var search []object
		for name := range params {
			search = append(search, object{"name": name, "type": params[name].kind})
		}
		kinds = append(kinds, object{
			"type":        typ,
			"interaction": []object{{"code": "read"}, {"code": "vread"}, {"code": "create"}, {"code": "update"}, {"code": "search-type"}},
			"versioning":  "versioned", "updateCreate": true, "conditionalCreate": true, "conditionalUpdate": true,
			"searchParam": search,
		})
	}
	answer(w, http.StatusOK, object{
		"resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1",
		"date": time.Now().UTC().Format(time.DateOnly), "format": []string{"application/fhir+json"},
		"software":       object{"name": "Overread's stand-in EHR"},
		"implementation": object{"description": "stands for a hospital's EHR", "url": base(r)},
		"rest":           []object{{"mode": "server", "interaction": []object{{"code": "transaction"}}, "resource": kinds}},
	})
	return nil
}

package fhir

import (
	"errors"
	"net/http"

	"github.com/overread/overread/internal/fault"
)

// kinds is the one table from what went wrong to what FHIR and HTTP call it.
// http://hl7.org/fhir/R4/valueset-issue-type.html, http.html
var kinds = map[fault.Kind]struct {
	code   string
	status int
}{
	fault.Structure:        {"structure", http.StatusBadRequest},
	fault.Required:         {"required", http.StatusBadRequest},
	fault.Value:            {"value", http.StatusBadRequest},
	fault.CodeInvalid:      {"code-invalid", http.StatusBadRequest},
	fault.Invariant:        {"invariant", http.StatusBadRequest},
	fault.ProfileRequired:  {"required", http.StatusUnprocessableEntity}, // FHIR R4 http.html#rejecting-updates
	fault.ProfileValue:     {"value", http.StatusUnprocessableEntity},
	fault.ProfileCode:      {"code-invalid", http.StatusUnprocessableEntity},
	fault.ProfileRule:      {"invariant", http.StatusUnprocessableEntity},
	fault.TooLarge:         {"too-long", http.StatusRequestEntityTooLarge},
	fault.NotSupported:     {"not-supported", http.StatusBadRequest},
	fault.MediaType:        {"not-supported", http.StatusUnsupportedMediaType},
	fault.NotAcceptable:    {"not-supported", http.StatusNotAcceptable},
	fault.MethodNotAllowed: {"not-supported", http.StatusMethodNotAllowed},
	fault.NotFound:         {"not-found", http.StatusNotFound},
	fault.Gone:             {"deleted", http.StatusGone},
	fault.MultipleMatches:  {"multiple-matches", http.StatusPreconditionFailed},
	fault.VersionConflict:  {"conflict", http.StatusPreconditionFailed},
	fault.Conflict:         {"conflict", http.StatusConflict},
	fault.BusinessRule:     {"business-rule", http.StatusUnprocessableEntity},
	fault.Unauthenticated:  {"login", http.StatusUnauthorized},
	fault.Forbidden:        {"forbidden", http.StatusForbidden},
	fault.Throttled:        {"throttled", http.StatusTooManyRequests},
	fault.TooSlow:          {"timeout", http.StatusRequestTimeout},
	fault.Unavailable:      {"transient", http.StatusServiceUnavailable},
}

// Outcome renders an error as HTTP status and OperationOutcome. A *fault.Error shows
// its issues, the first of which decides the status. Anything else is internal: it
// becomes 500 and shows nothing but the request id.
func Outcome(err error, requestID string) (status int, body *Node) {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Issues) == 0 {
		return http.StatusInternalServerError, outcome(issue("fatal", "exception", "internal error", "", "request "+requestID))
	}
	var issues []*Node
	for _, each := range f.Issues {
		row, ok := kinds[each.Kind]
		if !ok {
			return Outcome(errors.New("a fault of unknown kind"), requestID)
		}
		if status == 0 {
			status = row.status
		}
		issues = append(issues, issue("error", row.code, each.Text, each.Expression, ""))
	}
	return status, outcome(issues...)
}

func outcome(issues ...*Node) *Node {
	return Object("resourceType", "OperationOutcome", "issue", issues)
}

func issue(severity, code, text, expression, diagnostics string) *Node {
	n := Object("severity", severity, "code", code, "details", Object("text", text), "diagnostics", diagnostics)
	if expression != "" {
		n.Set("expression", []string{expression})
	}
	return n
}

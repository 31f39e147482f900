// Package fault is the one kind of error whose text a client may read.
//
// Every refusal says what is wrong, where, and what to do. Anything that is
// not a *fault.Error is internal: it is logged with the request id and shown as
// "internal error". The surface that renders a fault (fhir/outcome.go) has the
// one table from Kind to OperationOutcome issue code and HTTP status.
package fault

import (
	"errors"
	"fmt"
)

// Kind says what went wrong, in the terms of the one who asked.
type Kind string

// The kinds. Each is one row of fhir/outcome.go.
const (
	Structure        Kind = "structure"        // the text is not well-formed, or not FHIR
	Required         Kind = "required"         // an element is missing
	Value            Kind = "value"            // an element has a value that it may not have
	CodeInvalid      Kind = "code-invalid"     // a code is not in the value set of its element
	Invariant        Kind = "invariant"        // elements of one resource contradict each other
	ProfileRequired  Kind = "profile-required" // a profile that is claimed demands an element
	ProfileValue     Kind = "profile-value"    // or another value
	ProfileCode      Kind = "profile-code"     // or a code of a value set
	ProfileRule      Kind = "profile-rule"     // or that elements agree
	TooLarge         Kind = "too-large"        // body, depth or number of elements over the limit
	NotSupported     Kind = "not-supported"    // well-formed, but not served here
	MediaType        Kind = "media-type"       // Content-Type is not FHIR JSON
	NotAcceptable    Kind = "not-acceptable"   // Accept asks for what is not served
	MethodNotAllowed Kind = "method-not-allowed"
	NotFound         Kind = "not-found"
	Gone             Kind = "gone"             // deleted
	MultipleMatches  Kind = "multiple-matches" // a condition that must find one found several
	VersionConflict  Kind = "version-conflict" // If-Match names another version
	Conflict         Kind = "conflict"         // somebody else was faster, or the state does not allow it
	BusinessRule     Kind = "business-rule"    // understood, and refused by a rule of the case
	Unauthenticated  Kind = "unauthenticated"
	Forbidden        Kind = "forbidden"
	Throttled        Kind = "throttled"
	TooSlow          Kind = "too-slow"    // the body did not come in time
	Unavailable      Kind = "unavailable" // try again later
)

// Issue is one thing to mend.
type Issue struct {
	Kind       Kind
	Expression string // FHIRPath of the element, "" where none is to blame
	Text       string // what is wrong and what to do; never patient data
	Missing    string // of an operation: the parameter that is missing
}

// Error is a refusal with one or more issues; the first decides the status.
type Error struct {
	Issues []Issue
	Cause  error // for the log, never for the client
}

func (e *Error) Error() string {
	first := e.Issues[0]
	if first.Expression == "" {
		return fmt.Sprintf("%s: %s", first.Kind, first.Text)
	}
	return fmt.Sprintf("%s: %s: %s", first.Kind, first.Expression, first.Text)
}

func (e *Error) Unwrap() error { return e.Cause }

// Kind is the kind of the first issue.
func (e *Error) Kind() Kind { return e.Issues[0].Kind }

// New is a fault with one issue about no element in particular.
func New(kind Kind, format string, args ...any) *Error {
	return &Error{Issues: []Issue{{Kind: kind, Text: fmt.Sprintf(format, args...)}}}
}

// Lacks is a fault about a parameter that an operation needs: by its name, with what it is.
func Lacks(expression, operation, name, doc string) *Error {
	return &Error{Issues: []Issue{{Kind: Required, Expression: expression, Text: fmt.Sprintf("%s needs the parameter %s: %s", operation, name, doc), Missing: name}}}
}

// At is a fault with one issue about the element named by a FHIRPath expression.
func At(kind Kind, expression, format string, args ...any) *Error {
	return &Error{Issues: []Issue{{Kind: kind, Expression: expression, Text: fmt.Sprintf(format, args...)}}}
}

// Is reports whether err is a fault of this kind.
func Is(err error, kind Kind) bool {
	var f *Error
	return errors.As(err, &f) && f.Kind() == kind
}

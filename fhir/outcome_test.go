package fhir

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func TestOutcomesSayWhatAndWhere(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", &fault.Error{Issues: []fault.Issue{
		{Kind: fault.Gone, Expression: "Task.focus", Text: "it is deleted"},
		{Kind: fault.Value, Text: "mend it"},
	}, Cause: errors.New("secret")})
	status, body := Outcome(err, "r1")
	want := `{"resourceType":"OperationOutcome","issue":[{"severity":"error","code":"deleted","details":{"text":"it is deleted"},"expression":["Task.focus"]},{"severity":"error","code":"value","details":{"text":"mend it"}}]}`
	if diff := cmp.Diff(want, string(body.Bytes())); status != 410 || diff != "" {
		t.Errorf("%d %s", status, diff)
	}
}

func TestInternalErrorsShowNothingButTheRequestID(t *testing.T) {
	for _, err := range []error{errors.New("pq: secret"), &fault.Error{}, fault.New("no such kind", "secret")} {
		status, body := Outcome(err, "r1")
		want := `{"resourceType":"OperationOutcome","issue":[{"severity":"fatal","code":"exception","details":{"text":"internal error"},"diagnostics":"request r1"}]}`
		if diff := cmp.Diff(want, string(body.Bytes())); status != 500 || diff != "" {
			t.Errorf("%d %s", status, diff)
		}
	}
}

func TestEveryKindOfFaultMakesAValidOutcome(t *testing.T) {
	for _, kind := range []fault.Kind{
		fault.Structure, fault.Required, fault.Value, fault.TooLarge, fault.NotSupported, fault.MediaType, fault.NotAcceptable,
		fault.MethodNotAllowed, fault.NotFound, fault.Gone, fault.MultipleMatches, fault.VersionConflict, fault.Conflict,
		fault.CodeInvalid, fault.Invariant, fault.ProfileRequired, fault.ProfileValue, fault.ProfileCode, fault.ProfileRule, fault.BusinessRule, fault.Unauthenticated, fault.Forbidden, fault.Throttled, fault.TooSlow, fault.Unavailable,
	} {
		status, body := Outcome(fault.At(kind, "Task.code", "do this"), "r1")
		if err := Validate(body); err != nil || status < 400 || body.Text("issue", "severity") == "fatal" {
			t.Errorf("%s: %d %v", kind, status, err)
		}
	}
}

// A refusal tells whoever asks what they may do in their role, and not what others may.
func TestARefusalNamesWhatTheAskersRoleMayDo(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	id := c.order(chestXray(t, "refused-1")...)
	c.tick()
	for _, each := range []struct {
		role      access.Role
		operation string
		with      []any
		possible  string
	}{
		{access.Reader, "$sign", nil, "claim, communicate, heed, raise-finding, withdraw-finding"},
		{access.Placer, "$ask", []any{"question", "Is it a nodule?"}, "acknowledge-finding, cancel, hold, reprioritise"},
		{access.Quality, "$open-review", []any{"reason", "a wish"}, "nothing"},
	} {
		got := c.act(each.role, id, each.operation, each.with...)
		got.want(t, http.StatusConflict, "conflict")
		if text := got.body; !strings.Contains(text, "possible now: "+each.possible+`"`) {
			t.Errorf("%s by the %s: %s", each.operation, each.role, text)
		}
	}
}

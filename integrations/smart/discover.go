package smart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"

	"github.com/overread/overread/internal/outbound"
)

// endpoints are what we take over from an EHR's smart-configuration, SMART App
// Launch 2.2 conformance.html. They are kept with the launch: what is discovered
// after the browser has come back could be somebody else's.
type endpoints struct {
	Issuer        string   `json:"issuer"`   // of ID tokens
	Keys          string   `json:"jwks_uri"` // for ID tokens
	Authorization string   `json:"authorization_endpoint"`
	Token         string   `json:"token_endpoint"`
	Challenges    []string `json:"code_challenge_methods_supported"`
	Capabilities  []string `json:"capabilities"`
	SaysIssuer    bool     `json:"authorization_response_iss_parameter_supported"` // RFC 9207
}

const wellKnown = "/.well-known/smart-configuration"

// discover asks an EHR for its endpoints and judges them.
func (c *Client) discover(ctx context.Context, base string) (endpoints, error) {
	var e endpoints
	if err := c.get(ctx, base+wellKnown, "", &e); err != nil {
		return e, refuseFor(tellThem, "the EHR's smart-configuration is not to be had", err)
	}
	switch {
	case !slices.Contains(e.Capabilities, "launch-ehr"):
		return e, refuse(tellThem, "the EHR does not have the capability launch-ehr")
	case !slices.Contains(e.Challenges, "S256"):
		return e, refuse(tellThem, "the EHR does not have PKCE with S256")
	case e.Issuer == "" || e.Keys == "":
		return e, refuse(tellThem, "the EHR names no issuer or no keys of ID tokens")
	}
	for _, endpoint := range []string{e.Authorization, e.Token, e.Keys, e.Issuer} {
		if _, err := c.Guard.Check(endpoint); err != nil {
			return e, refuseFor(tellThem, "an endpoint of the EHR may not be asked", err)
		}
	}
	return e, nil
}

// get asks an EHR for JSON, with a token where there is one.
func (c *Client) get(ctx context.Context, address, token string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "application/fhir+json, application/json;q=0.9")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	status, body, err := c.do(request)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return statusError(status)
	}
	return readJSON(body, into)
}

// do sends a request through the guard, and reads an answer within its bounds.
func (c *Client) do(request *http.Request) (status int, body []byte, err error) {
	answer, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	if err == nil && len(body) > mostAnswer {
		err = errTooLarge
	}
	return answer.StatusCode, body, err
}

var (
	errTooLarge = errors.New("the answer is too large")
	errNoJSON   = errors.New("the answer is no JSON object of the expected shape")
)

type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// readJSON hides the parser's words, which quote what was sent.
func readJSON(body []byte, into any) error {
	if json.Unmarshal(body, into) != nil {
		return errNoJSON
	}
	return nil
}

// describe is an error of the way to an EHR for the log: nothing of an address
// beyond its host, nothing of what was answered.
func describe(err error) string {
	if r := outbound.Refused(err); r != nil {
		return r.Text
	}
	if status, ok := errors.AsType[statusError](err); ok {
		return status.Error()
	}
	for _, known := range []error{errTooLarge, errNoJSON, context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Sprintf("%T", u.Err)
	}
	return fmt.Sprintf("%T", err)
}

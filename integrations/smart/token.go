package smart

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/overread/overread/internal/fault"
)

// token is the answer of an EHR's token endpoint, SMART App Launch 2.2
// scopes-and-launch-context.html. What else it may hold (refresh_token, intent,
// smart_style_url, tenant) is not looked at.
type token struct {
	Access    string          `json:"access_token"`
	Type      string          `json:"token_type"`
	ExpiresIn json.Number     `json:"expires_in"`
	Scope     string          `json:"scope"`
	ID        string          `json:"id_token"`
	Patient   string          `json:"patient"`
	Banner    *bool           `json:"need_patient_banner"`
	FHIR      json.RawMessage `json:"fhirContext"`
}

// withoutExpiry is how long a token is taken to last that does not say so.
const withoutExpiry = 5 * time.Minute

// life is for how long the EHR lets us in.
func (t *token) life() time.Duration {
	if t.ExpiresIn == "" {
		return withoutExpiry
	}
	seconds, err := t.ExpiresIn.Int64()
	if err != nil || seconds <= 0 {
		return 0
	}
	return time.Duration(min(seconds, int64(Life/time.Second))) * time.Second
}

// banner: the page says whom it is about, unless the EHR says that it does.
func (t *token) banner() bool { return t.Banner == nil || *t.Banner }

func (t *token) grants(scope string) bool {
	for granted := range strings.FieldsSeq(t.Scope) {
		if granted == scope {
			return true
		}
	}
	return false
}

// redeem changes a code for a token, RFC 6749 section 4.1.3 with RFC 7636, and
// checks what came.
func (c *Client) redeem(ctx context.Context, l *under, code string) (*token, error) {
	form := url.Values{
		"grant_type":    {"authorization_code"},
		"code":          {code},
		"redirect_uri":  {c.Callback()},
		"code_verifier": {l.Verifier},
	}
	basic, err := c.authenticate(l, form)
	if err != nil {
		c.Log.Error("we cannot prove to an EHR who we are", "error", err, "tenant", l.TenantName)
		return nil, fault.New(fault.Unavailable, "Overread is not set up completely for your EHR. Please tell the team that looks after Overread.")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.Found.Token, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, refuseFor(tellThem, "the token endpoint cannot be asked", err)
	}
	if basic != "" { // RFC 6749 section 2.3.1
		request.SetBasicAuth(url.QueryEscape(l.ClientID), url.QueryEscape(basic))
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	status, answer, err := c.do(request)
	switch {
	case err != nil:
		return nil, refuseFor(tellThem, "the token endpoint does not answer as it should", err)
	case status != http.StatusOK:
		return nil, refuseFor(tryAgain, "the EHR did not take the code", statusError(status))
	}
	var t token
	if err := readJSON(answer, &t); err != nil {
		return nil, refuseFor(tellThem, "the token endpoint does not answer as it should", err)
	}
	return &t, t.check()
}

// check tells what is missing in a token. An EHR may grant less than was asked for.
func (t *token) check() error {
	switch {
	case t.Access == "" || !strings.EqualFold(t.Type, "Bearer"):
		return refuse(tellThem, "the token is no bearer token")
	case t.life() <= 0:
		return refuse(tryAgain, "the token has expired already")
	case !t.grants("openid") || t.ID == "":
		return refuse(tellThem, "the EHR does not say who has come (openid)")
	case !reads(strings.Fields(t.Scope), "Patient"):
		return refuse(tellThem, "the EHR does not let us read the patient")
	case !idForm.MatchString(t.Patient):
		return refuse("Your EHR did not say which patient this is about. Please open Overread from the patient's record.", "no patient in context")
	}
	return nil
}

// authenticate proves who we are, by how we are registered at this EHR: in the
// form, or by the secret that it returns.
func (c *Client) authenticate(l *under, form url.Values) (basic string, err error) {
	if l.Authentication == Public {
		form.Set("client_id", l.ClientID)
		return "", nil
	}
	text, err := os.ReadFile(*l.SecretFile)
	if err != nil || l.Authentication == Secret {
		return strings.TrimSpace(string(text)), err
	}
	assertion, err := assertionOf(text, l.ClientID, l.Found.Token, c.Now())
	if err != nil {
		return "", err
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	form.Set("client_assertion", assertion)
	return "", nil
}

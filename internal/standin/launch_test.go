package standin_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/overread/overread/internal/standin"
)

const redirectURI = "https://app.example/back"

// launched is an EHR with a patient and an app, and a launch that has begun.
type launched struct {
	ehr       *standin.EHR
	base      string
	authorize url.Values
	verifier  string
}

func newLaunched(t *testing.T) *launched {
	t.Helper()
	ehr, root := start(t, standin.Options{})
	for _, id := range []string{"p1", "p2"} {
		expect(t, 201, "PUT", root+"/fhir/Patient/"+id, `{"resourceType":"Patient","id":"`+id+`"}`)
	}
	ehr.Register(standin.App{ClientID: "app", LaunchURL: "https://app.example/launch?x=1", RedirectURI: redirectURI})
	ehr.Register(standin.App{ClientID: "other", LaunchURL: "https://other.example/launch", RedirectURI: redirectURI})
	l := &launched{ehr: ehr, base: root + "/fhir", verifier: strings.Repeat("v", 43)}
	address, err := ehr.Launch(l.base, "app", "p1", "")
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(address)
	if u.Query().Get("x") != "1" || u.Query().Get("iss") != l.base {
		t.Fatalf("the launch leads to %s", u)
	}
	sum := sha256.Sum256([]byte(l.verifier))
	l.authorize = url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {redirectURI}, "launch": {u.Query().Get("launch")}, "scope": {"launch openid patient/Patient.r"},
		"state": {strings.Repeat("s", 43)}, "aud": {l.base}, "nonce": {"n"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}
	return l
}

// ask is what the authorization endpoint sends the browser back with; nil where it
// sends it nowhere.
func (l *launched) ask(t *testing.T) url.Values {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(strings.TrimSuffix(l.base, "/fhir") + "/auth/authorize?" + l.authorize.Encode())
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusFound {
		return nil
	}
	back, _ := url.Parse(answer.Header.Get("Location"))
	return back.Query()
}

func (l *launched) redeem(t *testing.T, form url.Values) (status int, said map[string]any) {
	t.Helper()
	answer, err := http.PostForm(strings.TrimSuffix(l.base, "/fhir")+"/auth/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	_ = json.Unmarshal(text, &said)
	return answer.StatusCode, said
}

func (l *launched) form(code string) url.Values {
	return url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}, "code_verifier": {l.verifier}, "client_id": {"app"}}
}

func TestTheAuthorizationEndpointIsStrict(t *testing.T) {
	for name, c := range map[string]struct {
		parameter, value string
		problem          string // "": the browser is sent nowhere
	}{
		"an unknown client":     {"client_id", "x", ""},
		"another redirect":      {"redirect_uri", redirectURI + "/", ""},
		"another client's":      {"client_id", "other", "invalid_request"},
		"another response type": {"response_type", "token", "unsupported_response_type"},
		"a launch of nobody":    {"launch", "x", "invalid_request"},
		"another audience":      {"aud", "https://else.example/fhir", "invalid_request"},
		"no challenge":          {"code_challenge", "", "invalid_request"},
		"a plain challenge":     {"code_challenge_method", "plain", "invalid_request"},
		"a short state":         {"state", "x", "invalid_request"},
		"a scope of its own":    {"scope", "launch system/*.rs", "invalid_scope"},
		"no launch scope":       {"scope", "openid", "invalid_scope"},
	} {
		l := newLaunched(t)
		l.authorize.Set(c.parameter, c.value)
		back := l.ask(t)
		if got := back.Get("error"); got != c.problem || back.Get("code") != "" || (back == nil) != (c.problem == "") {
			t.Errorf("%s: %v, want %q", name, back, c.problem)
		}
	}
	l := newLaunched(t)
	if first, second := l.ask(t), l.ask(t); first.Get("code") == "" || second.Get("error") != "invalid_request" {
		t.Errorf("a launch is good twice: %v, %v", first, second)
	}
}

func TestTheTokenEndpointIsStrict(t *testing.T) {
	for name, change := range map[string]func(url.Values){
		"a wrong verifier":     func(f url.Values) { f.Set("code_verifier", strings.Repeat("w", 43)) },
		"a short verifier":     func(f url.Values) { f.Set("code_verifier", "v") },
		"no verifier":          func(f url.Values) { f.Del("code_verifier") },
		"a wrong code":         func(f url.Values) { f.Set("code", "x") },
		"another client":       func(f url.Values) { f.Set("client_id", "other") },
		"an unknown client":    func(f url.Values) { f.Set("client_id", "x") },
		"no client":            func(f url.Values) { f.Del("client_id") },
		"another redirect":     func(f url.Values) { f.Set("redirect_uri", redirectURI+"?") },
		"another grant":        func(f url.Values) { f.Set("grant_type", "client_credentials") },
		"a parameter twice":    func(f url.Values) { f.Add("code", f.Get("code")) },
		"an assertion of none": func(f url.Values) { f.Set("client_assertion", "x") },
	} {
		l := newLaunched(t)
		form := l.form(l.ask(t).Get("code"))
		change(form)
		if status, said := l.redeem(t, form); status != http.StatusBadRequest || said["access_token"] != nil {
			t.Errorf("%s: %d %v", name, status, said)
		}
	}
}

// TestACodeThatComesTwiceTakesItsTokenAway, and a token reads its patient only.
func TestACodeThatComesTwiceTakesItsTokenAway(t *testing.T) {
	l := newLaunched(t)
	form := l.form(l.ask(t).Get("code"))
	_, said := l.redeem(t, form)
	token, _ := said["access_token"].(string)
	read := func(path string) int {
		request, _ := http.NewRequest(http.MethodGet, l.base+path, nil)
		request.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	if said["patient"] != "p1" || said["id_token"] == nil {
		t.Errorf("the token endpoint says %v", said)
	}
	for path, want := range map[string]int{"/Patient/p1": 200, "/Patient/p2": 403, "/Patient": 403, "/ServiceRequest/x": 403, "/Practitioner/x": 403} {
		if got := read(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
	if status, _ := l.redeem(t, form); status != http.StatusBadRequest {
		t.Errorf("a code is good twice: %d", status)
	}
	if got := read("/Patient/p1"); got != http.StatusUnauthorized {
		t.Errorf("the token is still good: %d", got)
	}
}

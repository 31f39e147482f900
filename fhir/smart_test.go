package fhir

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// smartDocument is a smart-configuration in which these members differ.
func smartDocument(change map[string]any) []byte {
	doc := map[string]any{
		"issuer":                           "https://auth.example",
		"jwks_uri":                         "https://auth.example/jwks",
		"authorization_endpoint":           "https://auth.example/authorize",
		"token_endpoint":                   "https://auth.example/token",
		"grant_types_supported":            []string{"authorization_code", "client_credentials"},
		"capabilities":                     []string{"launch-ehr", "sso-openid-connect", "permission-v2"},
		"code_challenge_methods_supported": []string{"S256"},
		"scopes_supported":                 []string{"openid", "patient/*.rs"},
	}
	maps.Copy(doc, change)
	text, _ := json.Marshal(doc)
	return text
}

func TestWithoutAnAuthorizationServerNoneIsAdvertised(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	r.do("", "GET", "/fhir/.well-known/smart-configuration", "").want(t, http.StatusNotFound, "not-found")
	if got := r.get("/fhir/metadata"); got.node.Get("rest").Items()[0].Get("security", "service") != nil {
		t.Errorf("the CapabilityStatement has a security service: %s", got.body)
	}
}

func TestTheSMARTConfigurationIsPublishedAsTheOperatorWroteIt(t *testing.T) {
	t.Parallel()
	text := smartDocument(nil)
	smart, err := ReadSMART(text)
	if err != nil {
		t.Fatal(err)
	}
	r := startREST(t, func(s *Server) { s.smart = smart })
	for _, accept := range []string{"", "text/html", "application/fhir+xml"} {
		got := r.do("", "GET", "/fhir/.well-known/smart-configuration", "", "Accept", accept)
		if diff := cmp.Diff(string(text), got.body); got.status != http.StatusOK || diff != "" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("Accept %q: %d %v %s", accept, got.status, got.header, diff)
		}
	}
	security := r.get("/fhir/metadata").node.Get("rest").Items()[0].Get("security")
	if security.Text("service", "coding", "code") != "SMART-on-FHIR" {
		t.Errorf("the CapabilityStatement does not name SMART: %s", security.Bytes())
	}
	told := map[string]string{}
	for _, uri := range security.Each("extension", "extension") {
		told[uri.Text("url")] = uri.Text("valueUri")
	}
	if diff := cmp.Diff(map[string]string{"token": "https://auth.example/token", "authorize": "https://auth.example/authorize"}, told); diff != "" {
		t.Error(diff)
	}
}

func TestASMARTConfigurationThatBreaksTheRulesIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change map[string]any
		want   string
	}{
		"no token endpoint":          {map[string]any{"token_endpoint": ""}, "token_endpoint is missing"},
		"no grant types":             {map[string]any{"grant_types_supported": []string{}}, "grant_types_supported"},
		"no capabilities":            {map[string]any{"capabilities": nil}, "capabilities is missing"},
		"no S256":                    {map[string]any{"code_challenge_methods_supported": []string{}}, "S256"},
		"plain challenges":           {map[string]any{"code_challenge_methods_supported": []string{"S256", "plain"}}, "must not have plain"},
		"single sign-on, no keys":    {map[string]any{"jwks_uri": ""}, "issuer and jwks_uri"},
		"launch, nowhere to go":      {map[string]any{"authorization_endpoint": ""}, "authorization_endpoint is missing"},
		"an endpoint that is no URL": {map[string]any{"token_endpoint": "/token"}, "token_endpoint is no absolute URL"},
	} {
		if _, err := ReadSMART(smartDocument(c.change)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadSMART([]byte("no JSON")); err == nil {
		t.Error("what is no JSON was taken")
	}
}

package fhir

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
)

// SMART is what the operator says of the authorization server that stands
// before this one, in the words of SMART App Launch 2.2 (conformance.html). It
// is published as it was written.
type SMART struct {
	text                                               []byte
	Issuer, JWKS, Authorization, Token                 string
	Introspection, Revocation, Management, Registering string
	grants, capabilities, challenges                   []string
}

// ReadSMART reads a smart-configuration document and checks it by the rules of
// SMART App Launch 2.2, so that what is wrong shows at the start and not at the
// first app.
func ReadSMART(text []byte) (*SMART, error) {
	var doc struct {
		Issuer        string   `json:"issuer"`
		JWKS          string   `json:"jwks_uri"`
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		Introspection string   `json:"introspection_endpoint"`
		Revocation    string   `json:"revocation_endpoint"`
		Management    string   `json:"management_endpoint"`
		Registering   string   `json:"registration_endpoint"`
		Grants        []string `json:"grant_types_supported"`
		Capabilities  []string `json:"capabilities"`
		Challenges    []string `json:"code_challenge_methods_supported"`
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, fmt.Errorf("is no smart-configuration: %w", err)
	}
	smart := &SMART{text: text, Issuer: doc.Issuer, JWKS: doc.JWKS, Authorization: doc.Authorization, Token: doc.Token,
		Introspection: doc.Introspection, Revocation: doc.Revocation, Management: doc.Management, Registering: doc.Registering,
		grants: doc.Grants, capabilities: doc.Capabilities, challenges: doc.Challenges}
	return smart, smart.check()
}

func (m *SMART) check() error {
	var wrong []error
	need := func(ok bool, text string) {
		if !ok {
			wrong = append(wrong, errors.New(text))
		}
	}
	launches := slices.ContainsFunc([]string{"launch-ehr", "launch-standalone"}, m.offers)
	need(m.Token != "", "token_endpoint is missing")
	need(len(m.grants) > 0, "grant_types_supported is missing: authorization_code, client_credentials or both")
	need(len(m.capabilities) > 0, "capabilities is missing")
	need(slices.Contains(m.challenges, "S256"), "code_challenge_methods_supported must have S256")
	need(!slices.Contains(m.challenges, "plain"), "code_challenge_methods_supported must not have plain")
	need(!m.offers("sso-openid-connect") || m.Issuer != "" && m.JWKS != "", "issuer and jwks_uri are missing, which the capability sso-openid-connect needs")
	need(!launches || m.Authorization != "", "authorization_endpoint is missing, which a launch needs")
	for _, address := range m.endpoints() {
		u, err := url.Parse(address.url)
		need(address.url == "" || err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"), address.name+" is no absolute URL")
	}
	return errors.Join(wrong...)
}

func (m *SMART) offers(capability string) bool { return slices.Contains(m.capabilities, capability) }

type smartEndpoint struct {
	name, url string
	extension string // its name in the extension oauth-uris, "" where it has none
}

func (m *SMART) endpoints() []smartEndpoint {
	return []smartEndpoint{
		{"token_endpoint", m.Token, "token"},
		{"authorization_endpoint", m.Authorization, "authorize"},
		{"introspection_endpoint", m.Introspection, "introspect"},
		{"revocation_endpoint", m.Revocation, "revoke"},
		{"management_endpoint", m.Management, "manage"},
		{"registration_endpoint", m.Registering, "register"},
		{"issuer", m.Issuer, ""},
		{"jwks_uri", m.JWKS, ""},
	}
}

// oauthURIs is the extension of the CapabilityStatement that SMART 1.0 clients
// look for.
func (m *SMART) oauthURIs() *Node {
	var uris []*Node
	for _, at := range m.endpoints() {
		if at.extension != "" && at.url != "" {
			uris = append(uris, Object("url", at.extension, "valueUri", at.url))
		}
	}
	return Object("url", "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris", "extension", uris)
}

// smartConfiguration is GET /fhir/.well-known/smart-configuration: JSON always,
// whatever the client accepts.
func (s *Server) smartConfiguration(c echo.Context) error {
	if s.smart == nil {
		return fault.New(fault.NotFound, "no authorization server is configured here: a bearer token is made by the operator of this server, and is sent as Authorization: Bearer ...")
	}
	return s.smartText.reply(c, echo.MIMEApplicationJSON, func() []byte { return s.smart.text })
}

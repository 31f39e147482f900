package oidc

import (
	"context"
	"strings"
	"time"
	"unicode"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// claims are what a provider says of a person.
type claims struct {
	subject string
	display string
	roles   []string // values of the claim that the operator has named
}

// Clocks of ours and theirs may differ by so much.
const leeway = time.Minute

// judge verifies an ID token (OpenID Connect Core 1.0 section 3.1.3.7) and reads
// it. go-oidc checks iss, aud, exp, nbf, the algorithm and the signature.
func (c *Client) judge(ctx context.Context, p Provider, at *provider, nonce, raw string, token *oauth2.Token) (*claims, error) {
	verifier := gooidc.NewVerifier(p.Issuer, at.keys, &gooidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: at.signs(), Now: c.now})
	id, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, refuse("the ID token is not good")
	}
	var said map[string]any
	var party struct {
		AZP string `json:"azp"`
	}
	if id.Claims(&said) != nil || id.Claims(&party) != nil {
		return nil, refuse("the ID token cannot be read")
	}
	now := c.now()
	switch {
	case id.Nonce == "" || id.Nonce != nonce:
		return nil, refuse("the ID token is of another login")
	case id.Subject == "" || len(id.Subject) > 255:
		return nil, refuse("the ID token names nobody")
	case len(id.Audience) > 1 && party.AZP == "", party.AZP != "" && party.AZP != p.ClientID:
		return nil, refuse("the ID token is for another party")
	case id.IssuedAt.Before(now.Add(-LoginLife - leeway)), id.IssuedAt.After(now.Add(leeway)):
		return nil, refuse("the ID token was issued at another time")
	case id.AccessTokenHash != "" && id.VerifyAccessToken(token.AccessToken) != nil:
		return nil, refuse("the ID token is of another access token")
	}
	who := &claims{subject: id.Subject, display: displayOf(said)}
	values, there := find(said, p.RolesClaim)
	if !there && at.UserInfoEndpoint() != "" { // some providers keep the groups out of the token
		info, err := at.UserInfo(ctx, oauth2.StaticTokenSource(token))
		more := map[string]any{}
		if err != nil || info.Subject != id.Subject || info.Claims(&more) != nil {
			return nil, refuse("the provider did not tell more of the person")
		}
		values, _ = find(more, p.RolesClaim)
	}
	who.roles = texts(values)
	return who, nil
}

// find is a claim by its name, or by a path of names with dots between them
// (realm_access.roles of Keycloak).
func find(said map[string]any, name string) (any, bool) {
	if value, ok := said[name]; ok {
		return value, true
	}
	first, rest, nested := strings.Cut(name, ".")
	if inner, ok := said[first].(map[string]any); ok && nested {
		return find(inner, rest)
	}
	return nil, false
}

// texts are a claim's values: a text, or a list of them. Whatever else it is says
// nothing.
func texts(value any) (all []string) {
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		for _, each := range v {
			if text, ok := each.(string); ok {
				all = append(all, text)
			}
		}
	}
	return all
}

// displayOf is the person's name, fit to be shown.
func displayOf(said map[string]any) string {
	for _, claim := range []string{"name", "preferred_username", "email"} {
		text, _ := said[claim].(string)
		text = strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsGraphic(r) {
				return r
			}
			return -1
		}, text))
		if runes := []rune(text); len(runes) > 0 {
			return string(runes[:min(len(runes), 120)])
		}
	}
	return "somebody without a name"
}

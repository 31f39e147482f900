package smart

import (
	"context"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
)

// clinician is who has come.
type clinician struct {
	subject string // at the issuer of ID tokens
	display string
	locale  string // the language that they read, BCP 47; "" where the EHR does not tell
}

// algorithms are those of ID tokens: no shared secret and no "none".
var algorithms = []string{oidc.RS256, oidc.RS384, oidc.RS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.PS256, oidc.PS384, oidc.PS512}

// identify reads the ID token, OpenID Connect Core section 3.1.3.7.
func (c *Client) identify(ctx context.Context, l *under, t *token) (clinician, error) {
	ctx = oidc.ClientContext(ctx, c.http)
	keys := oidc.NewRemoteKeySet(ctx, l.Found.Keys)
	verifier := oidc.NewVerifier(l.Found.Issuer, keys, &oidc.Config{ClientID: l.ClientID, SupportedSigningAlgs: algorithms, Now: c.Now})
	said, err := verifier.Verify(ctx, t.ID)
	if err != nil {
		return clinician{}, refuse(tellThem, "the ID token is not good") // go-oidc's words quote it
	}
	var claims struct {
		Party    string `json:"azp"`
		FHIRUser string `json:"fhirUser"`
		Name     string `json:"name"`
		Locale   string `json:"locale"` // OpenID Connect Core section 5.1
	}
	switch {
	case said.Claims(&claims) != nil, said.Subject == "", len(said.Subject) > 255:
		return clinician{}, refuse(tellThem, "the ID token has claims of another shape")
	case said.Nonce != l.Nonce:
		return clinician{}, refuse(tryAgain, "the ID token is of another launch")
	case len(said.Audience) > 1 && claims.Party != l.ClientID, claims.Party != "" && claims.Party != l.ClientID:
		return clinician{}, refuse(tellThem, "the ID token is for another party")
	}
	user := c.fhirUser(l.Issuer.Issuer, claims.FHIRUser)
	who := clinician{subject: said.Subject, display: plain(claims.Name), locale: plain(claims.Locale)}
	if who.display == "" && user != "" {
		who.display = c.nameOf(ctx, l, t, user)
	}
	switch {
	case who.display != "" && user != "":
		who.display += " (" + user + ")"
	case who.display == "" && user != "":
		who.display = user
	case who.display == "":
		who.display = "a clinician whom the EHR does not name"
	}
	return who, nil
}

// fhirUser is the resource of whoever has come, below the EHR's base: "" where it
// is none, or elsewhere.
func (c *Client) fhirUser(base, claimed string) string {
	reference := strings.TrimPrefix(claimed, base+"/")
	typ, id, _ := strings.Cut(reference, "/")
	switch typ {
	case "Practitioner", "PractitionerRole", "Person", "RelatedPerson", "Patient":
		if idForm.MatchString(id) {
			return reference
		}
	}
	return ""
}

// nameOf asks the EHR for the name of whoever has come, as far as it lets us:
// without one, they are known by their reference.
func (c *Client) nameOf(ctx context.Context, l *under, t *token, reference string) string {
	var person struct {
		Type string      `json:"resourceType"`
		Name []humanName `json:"name"`
	}
	if c.get(ctx, l.Issuer.Issuer+"/"+reference, t.Access, &person) != nil || !strings.HasPrefix(reference, person.Type+"/") || len(person.Name) == 0 {
		return ""
	}
	return person.Name[0].text()
}

type humanName struct {
	Text   string   `json:"text"`
	Family string   `json:"family"`
	Given  []string `json:"given"`
	Prefix []string `json:"prefix"`
}

func (n humanName) text() string {
	if n.Text != "" {
		return plain(n.Text)
	}
	return plain(strings.Join(append(append(append([]string{}, n.Prefix...), n.Given...), n.Family), " "))
}

// plain is a name without what no name has, and of a bearable length.
func plain(name string) string {
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' }), " ")
	if letters := []rune(name); len(letters) > 120 {
		return string(letters[:120])
	}
	return strings.ToValidUTF8(name, "")
}

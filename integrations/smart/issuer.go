package smart

import (
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// How we prove who we are at an EHR's token endpoint.
const (
	Public = "public" // by PKCE alone
	Secret = "secret" // client_secret_basic
	Key    = "key"    // private_key_jwt
)

// Issuer is an EHR that a tenant's operator has listed.
type Issuer struct {
	TenantID       uuid.UUID
	TenantName     string
	Issuer         string
	ClientID       string
	Authentication string
	SecretFile     *string
	Scopes         string
	FrameOrigins   []string
	Suspended      bool
}

// DefaultScopes are what is asked for: who the clinician is, whom it is about, and
// to read these once. The order is read where the EHR names one.
const DefaultScopes = "launch openid fhirUser patient/Patient.r patient/ServiceRequest.r"

// CheckScopes tells what is wrong with scopes that an operator gives.
func CheckScopes(scopes string) error {
	given := strings.Fields(scopes)
	for _, needed := range []string{"launch", "openid"} {
		if !slices.Contains(given, needed) {
			return fmt.Errorf("%q is missing: without it nobody knows who looks at whom", needed)
		}
	}
	if !reads(given, "Patient") {
		return fmt.Errorf("a scope that reads the patient is missing, e.g. patient/Patient.r")
	}
	for _, scope := range given {
		if scope == "offline_access" || scope == "online_access" {
			return fmt.Errorf("%q is not needed: the EHR's token is not kept", scope)
		}
	}
	return nil
}

var readScope = regexp.MustCompile(`^(?:patient|user)/(\*|[A-Za-z]+)\.(read|\*|c?ru?d?s?)$`)

// reads tells whether one of the scopes lets a type be read, SMART v2 or v1.
func reads(scopes []string, typ string) bool {
	return slices.ContainsFunc(scopes, func(scope string) bool {
		found := readScope.FindStringSubmatch(scope)
		return found != nil && (found[1] == typ || found[1] == "*")
	})
}

// origin is an origin as browsers write it, RFC 6454 section 6.2.
var origin = regexp.MustCompile(`^https?://[a-z0-9.\-\[\]:]+$`)

// CheckOrigin tells whether a text is the origin of a web page.
func CheckOrigin(text string) bool { return origin.MatchString(text) }

// BaseForm is a FHIR base without what is not part of it, or an error: it is
// compared letter by letter with what comes in a launch.
func BaseForm(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.HasSuffix(text, "/") {
		return "", fmt.Errorf("%q is no FHIR base: it has no query, no fragment and no slash at its end, e.g. https://ehr.example/fhir", text)
	}
	return text, nil
}

// listed are the rows of an issuer as it came: of one tenant where the launch
// address names one, else of all.
func (c *Client) listed(ctx context.Context, iss, tenant string) (all []Issuer, err error) {
	err = c.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT i.tenant_id, t.name AS tenant_name, i.issuer, i.client_id, i.authentication, i.secret_file, i.scopes, i.frame_origins, t.state <> 'active' AS suspended
			FROM ehr_issuer i
			JOIN tenant t ON t.tenant_id = i.tenant_id
			WHERE i.issuer = @iss AND (@tenant = '' OR t.name = @tenant)`,
			pgx.NamedArgs{"iss": iss, "tenant": tenant})
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Issuer])
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find an issuer: %w", err)
	}
	return all, nil
}

// actor is who asks on behalf of a launch, before it is known who it is.
func (i Issuer) actor() access.Actor {
	return access.Actor{Tenant: i.TenantID, Role: access.Placer, Display: "a launch from the EHR"}
}

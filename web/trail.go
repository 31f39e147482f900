package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
)

// TrailDesk is what the rooms of the audit trail ask for (fhir/screentrail.go, screenproof.go).
type TrailDesk struct {
	Trail   func(ctx context.Context, actor access.Actor, ask screen.TrailAsk, from Caller) (screen.Trail, error)
	Event   func(ctx context.Context, actor access.Actor, id string, from Caller) (screen.TrailEvent, error)
	Proof   func(ctx context.Context, actor access.Actor, tenant string, from Caller) (screen.Proof, error)
	Compare func(ctx context.Context, actor access.Actor, from Caller) (broken string, err error)
}

// trailRooms are those of who looks at what was done: auditors, and directors.
func (s *Server) trailRooms() []room {
	roles := []access.Role{access.Auditor, access.Director}
	return []room{
		{http.MethodGet, "/trail", "Audit trail", roles, s.trail},
		{http.MethodPost, "/trail", "", roles, s.trailAsked},
		{http.MethodGet, "/trail/event/:event", "", roles, s.trailEvent},
		{http.MethodGet, "/trail/proof", "", roles, s.proof},
		{http.MethodPost, "/trail/proof", "", roles, s.compareLog},
	}
}

// trailView is the page of the audit trail.
type trailView struct {
	screen.Trail
	screen.TrailAsk
	At     string
	Older  string // address of the next page; "" where there is none, or it is asked for by a form
	Posted bool   // what was asked for is not in the address
	Now    time.Time
}

// trailChoice is a row of what can be chosen in the filters.
type trailChoice struct{ Code, Words string }

// Kinds, Actions, Outcomes and Roles are the choices of the filters.
func (trailView) Kinds() []trailChoice {
	return []trailChoice{{"record", "access to records"}, {"door", "sign-in, launches, tokens"}, {"rights", "rights, settings, emergencies"}, {"sent", "reports sent, tenants moved"}, {"log", "the audit log itself"}}
}

func (trailView) Actions() []trailChoice {
	return []trailChoice{{"R", "look at"}, {"E", "search or other act"}, {"C", "create"}, {"U", "change"}, {"D", "erase or remove"}}
}

func (trailView) Outcomes() []trailChoice {
	return []trailChoice{{"done", "done"}, {"failed", "refused or failed"}}
}

func (v trailView) Roles() []access.Role {
	roles := []access.Role{access.Placer, access.Coordinator, access.Director, access.Auditor, access.Admin, access.Operator}
	if v.Whole {
		roles = append(roles, access.Reader, access.Adjudicator, access.Supervisor, access.Quality, access.System)
	}
	return roles
}

// trailTexts are the texts of the choices.
func trailTexts() (all []string) {
	v := trailView{}
	for _, c := range slices.Concat(v.Kinds(), v.Actions(), v.Outcomes()) {
		all = append(all, c.Words)
	}
	all = append(all, trailReasons...)
	return append(all, string(access.Operator), string(access.System), "the log is not what was signed", "an event is not what stands in the log")
}

// trailReasons are what records say of why something was not done: answers of the API and why
// an EHR's launch was refused (fhir/outcome.go, integrations/smart). What the token endpoint
// refuses it tells by the names of the protocol, and so it stays.
var trailReasons = []string{
	"400 structure", "400 required", "400 value", "400 code-invalid", "400 invariant", "400 not-supported", "401 login", "403 forbidden", "404 not-found", "405 not-supported", "406 not-supported", "408 timeout", "409 conflict", "410 deleted",
	"412 conflict", "412 multiple-matches", "413 too-long", "415 not-supported", "422 required", "422 value", "422 code-invalid", "422 invariant", "422 business-rule", "429 throttled", "500 exception", "503 transient",
	"no state, or another browser", "unknown state, or another browser, or too late", "the tenant is suspended", "the answer is of another issuer", "the EHR refused", "no code", "the person was ended",
	"the patient is not known here", "more than one patient could be meant", "the EHR does not have the capability launch-ehr", "the EHR does not have PKCE with S256", "the EHR names no issuer or no keys of ID tokens",
	"the ID token is not good", "the ID token has claims of another shape", "the ID token is of another launch", "the ID token is for another party", "no iss or no launch", "the issuer is not listed",
	"several tenants list the issuer, and the launch address names none", "the token is no bearer token", "the token has expired already", "the EHR does not say who has come (openid)", "the EHR does not let us read the patient", "no patient in context",
	"the EHR's Patient cannot be read", "the EHR's smart-configuration is not to be had", "an endpoint of the EHR may not be asked", "the token endpoint cannot be asked", "the token endpoint does not answer as it should", "the EHR did not take the code",
}

// inAddress are the fields of a question that may stand in an address: none names a
// patient or a person.
var inAddress = []string{"role", "action", "kind", "outcome", "from", "to", "emergency", "actor", "token", "after"}

func trailAsk(fields url.Values) screen.TrailAsk {
	get := func(name string) string { return strings.TrimSpace(fields.Get(name)) }
	return screen.TrailAsk{Record: get("record"), Person: get("person"), Actor: get("actor"), Token: get("token"), Role: get("role"), Action: get("action"),
		Kind: get("kind"), Outcome: get("outcome"), From: get("from"), To: get("to"), Emergency: get("emergency") != "", After: get("after")}
}

// trail answers what stands in the address.
func (s *Server) trail(c echo.Context, at seat) error {
	asked := url.Values{}
	for _, name := range inAddress {
		if v := c.QueryParam(name); v != "" {
			asked.Set(name, v)
		}
	}
	return s.showTrail(c, at, asked, false)
}

// trailAsked takes the form. What names a patient or a person is answered here; all else
// gets an address, so that it can be kept and come back to.
func (s *Server) trailAsked(c echo.Context, at seat) error {
	if err := c.Request().ParseForm(); err != nil {
		return err
	}
	fields := c.Request().PostForm
	if strings.TrimSpace(fields.Get("record")) != "" || strings.TrimSpace(fields.Get("person")) != "" {
		return s.showTrail(c, at, fields, true)
	}
	asked := url.Values{}
	for _, name := range inAddress {
		if v := fields.Get(name); v != "" {
			asked.Set(name, v)
		}
	}
	address := s.at(at.place) + "/trail"
	if len(asked) > 0 {
		address += "?" + asked.Encode()
	}
	return c.Redirect(http.StatusSeeOther, address)
}

func (s *Server) showTrail(c echo.Context, at seat, asked url.Values, posted bool) error {
	v := trailView{TrailAsk: trailAsk(asked), At: s.at(at.place), Posted: posted, Now: s.Now()}
	var err error
	if v.Trail, err = s.Desk.Trail.Trail(c.Request().Context(), at.place.Actor, v.TrailAsk, s.caller(c)); err != nil {
		return err
	}
	if v.Next != "" && !posted {
		asked.Set("after", v.Next)
		v.Older = v.At + "/trail?" + asked.Encode()
	}
	for i := range v.Events {
		v.Events[i].At = v.Events[i].At.In(v.Zone)
	}
	return s.show(c, at, "trail", "Audit trail", v)
}

// trailEventView is the page of one event.
type trailEventView struct {
	screen.TrailEvent
	Here string
}

func (s *Server) trailEvent(c echo.Context, at seat) error {
	e, err := s.Desk.Trail.Event(c.Request().Context(), at.place.Actor, c.Param("event"), s.caller(c))
	if err != nil {
		return err
	}
	e.At, e.SignedAt = e.At.In(e.Zone), timeIn(e.SignedAt, e.Zone)
	return s.show(c, at, "trailevent", "Event of the audit trail", trailEventView{e, s.at(at.place) + "/trail"})
}

// proofView is the page of how the log stands.
type proofView struct {
	screen.Proof
	Here   string
	Just   bool   // it was compared just now
	Found  string // what did not fit then
	Export string // of the commands
	File   string
}

// Late tells whether something waits longer than a signature takes.
func (v proofView) Late() bool { return v.Waiting != nil && v.Now.Sub(*v.Waiting) > 5*time.Minute }

func (s *Server) proof(c echo.Context, at seat) error { return s.showProof(c, at, false, "") }

// compareLog has the log compared, and shows what came of it.
func (s *Server) compareLog(c echo.Context, at seat) error {
	broken, err := s.Desk.Trail.Compare(c.Request().Context(), at.place.Actor, s.caller(c))
	if err != nil {
		return err
	}
	return s.showProof(c, at, true, broken)
}

func (s *Server) showProof(c echo.Context, at seat, just bool, found string) error {
	p, err := s.Desk.Trail.Proof(c.Request().Context(), at.place.Actor, at.place.TenantName, s.caller(c))
	if err != nil {
		return err
	}
	v := proofView{Proof: p, Here: s.at(at.place) + "/trail", Just: just, Found: found, Export: p.Tenant + ".ndjson", File: fmt.Sprintf("%s.checkpoints", p.TenantID)}
	v.Waiting = timeIn(v.Waiting, v.Zone)
	for i := range v.Signed {
		v.Signed[i].At = v.Signed[i].At.In(v.Zone)
	}
	if v.Compared != nil {
		v.Compared.At = v.Compared.At.In(v.Zone)
	}
	for i := range v.Losses {
		v.Losses[i].At = v.Losses[i].At.In(v.Zone)
	}
	return s.show(c, at, "proof", "Proof of the audit trail", v)
}

// trailWords say what an event of the audit trail is (fhir/audit.go, auditdoor.go).
var trailWords = map[string]string{
	"create": "Created", "update": "Changed", "patch": "Changed", "delete": "Deleted", "read": "Looked at", "vread": "Read as it was",
	"search-type": "Searched", "search-system": "Searched all types", "history-instance": "Looked at its history", "history-type": "Looked at the history of a type", "history-system": "Looked at the history of everything",
	"operation": "Did an operation", "erase": "Erased a patient's details from the trail", "refused": "Was refused",
	string(access.Login): "Signed in", string(access.LoginRefused): "Was not let in", string(access.Logout): "Signed out", string(access.IdleLogoff): "Was signed out after a time without a request",
	string(access.Launch): "Came in from an EHR", string(access.TokenIssued): "Was given a token", string(access.TokenRefused): "Was refused a token", string(access.TokenRevoked): "Gave a token back", string(access.TokenIntrospected): "Asked about a token",
	string(access.BreakGlass): "Opened a record in an emergency", string(access.Unblinding): "Was shown what blinding withheld", string(access.QualityOpened): "Opened the quality compartment", string(access.MeasureOpened): "Opened the cases or readers of a measure",
	string(access.ReportDelivered): "A report left the house", string(access.ImagesOpened): "Opened images of a study",
	string(access.TenantAdded): "Hospital added", string(access.TenantChanged): "Hospital changed", string(access.TenantSuspended): "Hospital suspended", string(access.TenantResumed): "Hospital resumed", string(access.TenantExported): "Hospital exported", string(access.TenantImported): "Hospital imported",
	string(access.ClientAdded): "System registered", string(access.ClientChanged): "System changed", string(access.ClientRevoked): "System revoked", string(access.KeyAdded): "Token added", string(access.KeysRevoked): "Tokens revoked",
	string(access.ReaderSet): "Reader's credentials set", string(access.DestinationSet): "Destination of reports set", string(access.IssuerListed): "EHR allowed to launch", string(access.IssuerRemoved): "EHR no longer allowed to launch",
	string(access.ProviderSet): "Identity provider set", string(access.ProviderRemoved): "Identity provider removed", string(access.PersonSet): "Person set", string(access.PersonEnded): "Person ended",
	string(access.RoleGranted): "Role granted", string(access.RoleRevoked): "Role taken away", string(access.GroupSet): "Meaning of a group set", string(access.GroupRemoved): "Meaning of a group removed", string(access.SessionsEnded): "Sessions of somebody ended",
	string(access.DestinationPaused): "Deliveries to a destination paused", string(access.DestinationResumed): "Deliveries to a destination resumed", string(access.DestinationTried): "Destination tried",
	string(access.DestinationProposed): "Another address for a destination proposed", string(access.DestinationWithdrawn): "Proposal for a destination withdrawn", string(access.OperatorNamed): "Operator of the installation named", string(access.OperatorDismissed): "Operator of the installation dismissed",
	string(access.PACSSet): "PACS set", string(access.PACSRemoved): "PACS removed", string(access.PolicySet): "Policy set", string(access.TemplateSet): "Report template set",
	string(access.LogRestored): "Audit log went on after a restore that lost some of it", string(access.CheckpointsLost): "File of checkpoints was lost", string(access.LogCompared): "Had the audit log compared",
}

// thingWords name what else an event was about.
var thingWords = map[string]string{
	"client": "System", "actor": "Owner of the token", "reader": "Reader", "destination": "Destination", "issuer": "EHR", "provider": "Identity provider", "person": "Person", "pacs": "PACS",
	"policy-version": "Version of the policy", "template-version": "Version of the template", "checkpoint": "Checkpoint", "tenant": "Hospital", "measure": "Measure", "meeting-pack": "Meeting pack",
	"study": "Study", "scope": "Scopes", "report-no": "Version of the report", "urn:ietf:rfc:3986": "Token or session",
}

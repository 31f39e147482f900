package fhir

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// auditEntry is what one access did, for its AuditEvent.
type auditEntry struct {
	Interaction string   // a code of http://hl7.org/fhir/restful-interaction: create, read, vread, update, search-type, operation, ...
	Target      string   // "Task/1/_history/2"; "" for a search
	Patient     string   // "Patient/1" where the access is about one
	Patients    []string // more of them, where it is about several
	Query       string   // of a search: what was asked, as it was asked
	RequestID   string   // "" where no request caused it
	Client      string   // IP address that it came from, where it is known
	Refused     string   // why it was not done; "" where it was
	Erased      []string // AuditEvents of which the details were erased
	Reason      string   // of an erasure
	Emergency   bool     // it is to a record that the person has opened in an emergency
}

// auditKind is how IHE BALP wants an interaction told: the role of the caller
// and of this server, which are swapped between writes and reads.
type auditKind struct {
	action         string // http://hl7.org/fhir/audit-event-action
	client, server string // rows of auditRoles
	profile        string // of BALP; "" where it has none
}

// auditKinds is the table of RESTful events, profiles.ihe.net/ITI/BALP. A
// search is an execution (E), not a read.
var auditKinds = map[string]auditKind{
	"create":           {"C", "110153", "110152", "Create"},
	"update":           {"U", "110153", "110152", "Update"},
	"patch":            {"U", "110153", "110152", "Update"},
	"delete":           {"D", "110150", "custodian", "Delete"},
	"read":             {"R", "110152", "110153", "Read"},
	"vread":            {"R", "110152", "110153", "Read"},
	"search-type":      {"E", "110153", "110152", "Query"},
	"search-system":    {"E", "110153", "110152", "Query"},
	"history-instance": {"E", "110153", "110152", "Query"},
	"history-type":     {"E", "110153", "110152", "Query"},
	"history-system":   {"E", "110153", "110152", "Query"},
	"operation":        {"E", "110153", "110152", ""},
	auditlog.EraseCode: {"D", "110150", "custodian", ""},
	refusedAccess:      {"E", "110153", "110152", ""},
}

// refusedAccess is the interaction of what was refused before it was known what
// it would have been.
const refusedAccess = "refused"

// balpProfile is the canonical URL of the event's profile; those about a
// patient have their own.
func (k auditKind) balpProfile(e auditEntry) []string {
	if k.profile == "" || e.Refused != "" || e.Client == "" { // BALP's are of what was done, over a network
		return nil
	}
	variant := ""
	if len(e.patients()) == 1 { // the profiles with a patient have exactly one
		variant = "Patient"
	}
	return []string{balp + variant + k.profile}
}

// balp is what the canonical URLs of BALP's profiles begin with.
const balp = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."

// patients are all whom the access is about.
func (e auditEntry) patients() []string {
	if e.Patient == "" || slices.Contains(e.Patients, e.Patient) {
		return e.Patients
	}
	return append([]string{e.Patient}, e.Patients...)
}

// audit writes the AuditEvent of an access in the transaction of the access,
// so that neither exists without the other, and what it can be found by.
func (s *Server) audit(ctx context.Context, tx pgx.Tx, actor access.Actor, e auditEntry) error {
	if s.trail == nil { // benchmarks, as in watch
		return nil
	}
	if e.Client == "" {
		e.Client = servedIn(ctx).client
	}
	event, err := s.recorded(actor, e)
	if err == nil {
		err = putEvents(ctx, tx, []recordedEvent{event})
	}
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Interaction, err)
	}
	return nil
}

// recorded are the facts of an access, which is recorded now.
func (s *Server) recorded(actor access.Actor, e auditEntry) (recordedEvent, error) {
	return s.recordedNow(actor.Tenant, factsOf(s.baseURL, actor, e))
}

// recordedNow gives facts their id and time.
func (s *Server) recordedNow(tenant uuid.UUID, facts auditFacts) (recordedEvent, error) {
	id, err := uuid.NewV7()
	facts.ID, facts.At = id, s.auditTime()
	return recordedEvent{tenant, facts}, err
}

// auditTime is now as FHIR tells it.
func (s *Server) auditTime() time.Time { return s.now().UTC().Truncate(time.Millisecond) }

// auditEventType is kept in a table of its own. What an event says never changes; only what
// finds it is renewed (reindex.go).
const auditEventType = "AuditEvent"

// event reads an AuditEvent, of which there is one version.
func (s *store) event(ctx context.Context, tx pgx.Tx, id string) (Stored, error) {
	return one(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM audit_search
		WHERE id = @id`,
		pgx.NamedArgs{"id": id}))
}

// auditEvent is the AuditEvent of an access, after IHE BALP (RESTful Create,
// Read, Update, Query and their Patient variants).
func auditEvent(id, recorded, base string, actor access.Actor, e auditEntry) *Node {
	kind := auditKinds[e.Interaction]
	system := "http://hl7.org/fhir/restful-interaction"
	if e.Interaction == auditlog.EraseCode || e.Interaction == refusedAccess {
		system = auditlog.EraseSystem
	}
	result := "0"
	if e.Refused != "" {
		result = "4" // minor failure: the action was not done, and may be tried again
	}
	event := Object(
		"resourceType", "AuditEvent",
		"id", id,
		"meta", Object("versionId", "1", "lastUpdated", recorded, "profile", append(kind.balpProfile(e), tokenProfile(actor)...)),
		"type", coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"),
		"subtype", []*Node{coding(system, e.Interaction, "")},
		"action", kind.action,
		"recorded", recorded,
		"outcome", result,
		"outcomeDesc", e.Refused,
		"agent", auditAgents(kind, base, actor, e),
		"source", auditSource(base),
	)
	if e.Reason != "" {
		event.Set("purposeOfEvent", []*Node{Object("text", e.Reason)})
	}
	event.Set("entity", auditEntities(e))
	return event
}

// auditAgents are who took part: the caller's system, this server, and whose
// token it was. Of whom was not let in, no more is known than an address.
func auditAgents(kind auditKind, base string, actor access.Actor, e auditEntry) []*Node {
	client := auditAgent(kind.client, actorReference(actor), false)
	if e.Client != "" {
		client.Set("network", Object("address", e.Client, "type", "2")) // an IP address
	}
	server := auditServer(kind.server, base)
	if actor.Role == "" {
		client.Set("requestor", true)
		return []*Node{client, server}
	}
	user := auditUser(actor, dataAuthor)
	if kind.action == "R" || kind.action == "E" {
		user = auditUser(actor, informationRecipient)
	}
	if e.Emergency {
		user.Set("purposeOfUse", []*Node{Object("coding", []*Node{breakTheGlass})})
	}
	return []*Node{client, server, user}
}

// inEmergency tells whether the access is to a record that the person has opened
// in an emergency.
func inEmergency(actor access.Actor, e auditEntry) bool {
	return slices.ContainsFunc(actor.Opened, func(patient string) bool {
		return patient == e.Patient || patient == e.Target || slices.Contains(e.Patients, patient)
	})
}

// auditServer is this server as one of those who took part.
func auditServer(role, base string) *Node {
	server := auditAgent(role, Object("display", "Overread", "identifier", Object("system", uriSystem, "value", base)), false)
	server.Set("network", Object("address", base, "type", "5")) // a URI
	return server
}

// auditSource is who has recorded it.
func auditSource(base string) *Node {
	return Object(
		"site", base,
		"observer", Object("display", "Overread"),
		"type", []*Node{coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")},
	)
}

// auditRoles are the codes of who took part in an access.
var auditRoles = map[string]*Node{
	"110150":    coding(dicom, "110150", "Application"),
	"110152":    coding(dicom, "110152", "Destination Role ID"),
	"110153":    coding(dicom, "110153", "Source Role ID"),
	"custodian": coding("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian"),
}

func auditAgent(role string, who *Node, requestor bool) *Node {
	return Object("type", Object("coding", []*Node{auditRoles[role]}), "who", who, "requestor", requestor)
}

// What the person or system whose token it was does in an access (BALP has other
// codes for whoever writes than for whoever reads), and how they came in.
var (
	informationRecipient = coding(participationType, "IRCP", "information recipient")
	dataAuthor           = coding(participationType, "AUT", "author (originator)")
	oauthAgent           = coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes", "UserOauthAgent", "User OAuth Agent participant")
)

const participationType = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"

// auditUser is the person or system whose token it was. The token's own name leads
// to the event that tells how it was got.
func auditUser(actor access.Actor, does *Node) *Node {
	types := []*Node{does}
	if strings.HasPrefix(actor.Token, access.OAuthPrefix) {
		types = append(types, oauthAgent)
	}
	user := Object(
		"type", Object("coding", types),
		"role", []*Node{Object("text", string(actor.Role))},
		"who", actorReference(actor),
		"name", actor.Display,
		"requestor", true,
	)
	if actor.Token != "" {
		user.Set("policy", []string{actor.Token})
	}
	return user
}

func actorReference(actor access.Actor) *Node {
	if actor.Role == "" {
		return Object("display", "somebody who was not let in")
	}
	who := Object("identifier", Object("system", Canonical+"/sid/actor", "value", actor.ID.String()))
	if actor.Display != "" {
		who.Set("display", actor.Display)
	}
	return who
}

func entityType(code, display string) *Node {
	return coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", code, display)
}

func entityRole(code, display string) *Node {
	return coding("http://terminology.hl7.org/CodeSystem/object-role", code, display)
}

func auditEntities(e auditEntry) []*Node {
	var entities []*Node
	if e.Target != "" {
		entities = append(entities, Object("what", Object("reference", e.Target),
			"type", entityType("2", "System Object"), "role", entityRole("4", "Domain Resource")))
	}
	if e.Query != "" {
		entities = append(entities, Object("type", entityType("2", "System Object"), "role", entityRole("24", "Query"),
			"query", base64.StdEncoding.EncodeToString([]byte(e.Query))))
	}
	for _, patient := range e.patients() {
		entities = append(entities, Object("what", Object("reference", patient),
			"type", entityType("1", "Person"), "role", entityRole("1", "Patient")))
	}
	for _, id := range e.Erased {
		entities = append(entities, Object("what", Object("reference", auditEventType+"/"+id),
			"type", entityType("2", "System Object"), "role", entityRole("13", "Security Resource")))
	}
	if e.RequestID != "" {
		entities = append(entities, Object("what", Object("identifier", Object("value", e.RequestID)),
			"type", coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", "")))
	}
	return entities
}

// instant is a FHIR instant in UTC, to the millisecond.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

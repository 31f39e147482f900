package fhir

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// auditEntry is what one access did, for its AuditEvent.
type auditEntry struct {
	Interaction string // a code of http://hl7.org/fhir/restful-interaction: create, read, vread, update, search-type, operation, ...
	Target      string // "Task/1/_history/2"; "" for a search
	Patient     string // "Patient/1" where the access is about one
	Query       string // of a search: what was asked, as it was asked
	RequestID   string // "" where no request caused it
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
	"create":      {"C", "110153", "110152", "Create"},
	"update":      {"U", "110153", "110152", "Update"},
	"patch":       {"U", "110153", "110152", "Update"},
	"delete":      {"D", "110150", "custodian", "Delete"},
	"read":        {"R", "110152", "110153", "Read"},
	"vread":       {"R", "110152", "110153", "Read"},
	"search-type": {"E", "110153", "110152", "Query"},
	"operation":   {"E", "110153", "110152", ""},
}

// balpProfile is the canonical URL of the event's profile; those about a
// patient have their own.
func (k auditKind) balpProfile(e auditEntry) []string {
	if k.profile == "" {
		return nil
	}
	variant := ""
	if e.Patient != "" {
		variant = "Patient"
	}
	return []string{"https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit." + variant + k.profile}
}

// audit writes the AuditEvent of an access in the transaction of the access,
// so that neither exists without the other, and what it can be found by.
func (s *Server) audit(ctx context.Context, tx pgx.Tx, actor access.Actor, e auditEntry) error {
	id, err := uuid.NewV7()
	if err != nil {
		return err
	}
	recorded := s.now().UTC().Truncate(time.Millisecond)
	n := auditEvent(id.String(), recorded, s.baseURL, actor, e)
	args := s.store.index(actor, n).args(Stored{
		Type: auditEventType, ID: id.String(), Version: 1, LastUpdated: recorded, Body: n.Bytes()}, actor)
	_, err = tx.Exec(ctx, `
		WITH recorded AS (
			INSERT INTO audit_event (tenant_id, audit_id, recorded_at, body, keys, indexed)
			VALUES (@tenant, @id::text::uuid, @last_updated, @body, @keys, @indexed)
			RETURNING tenant_id, @type::text AS type, @id::text AS id
		)`+indexRows("recorded")+`
		SELECT 1 FROM recorded`, args)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Interaction, err)
	}
	return nil
}

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
func auditEvent(id string, recorded time.Time, base string, actor access.Actor, e auditEntry) *Node {
	kind := auditKinds[e.Interaction]
	event := Object(
		"resourceType", "AuditEvent",
		"id", id,
		"meta", Object("versionId", "1", "lastUpdated", instant(recorded), "profile", kind.balpProfile(e)),
		"type", coding("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation"),
		"subtype", []*Node{coding("http://hl7.org/fhir/restful-interaction", e.Interaction, "")},
		"action", kind.action,
		"recorded", instant(recorded),
		"outcome", "0",
		"agent", []*Node{
			auditAgent(kind.client, actorReference(actor), false),
			auditAgent(kind.server, Object("display", "Overread", "identifier", Object("system", "urn:ietf:rfc:3986", "value", base)), false),
			auditUser(actor),
		},
		"source", Object(
			"site", base,
			"observer", Object("display", "Overread"),
			"type", []*Node{coding("http://terminology.hl7.org/CodeSystem/security-source-type", "4", "Application Server")},
		),
	)
	event.Set("entity", auditEntities(e))
	return event
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

// auditUser is the person or system whose token it was.
func auditUser(actor access.Actor) *Node {
	return Object(
		"type", Object("coding", []*Node{coding("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP", "information recipient")}),
		"role", []*Node{Object("text", string(actor.Role))},
		"who", actorReference(actor),
		"requestor", true,
	)
}

func actorReference(actor access.Actor) *Node {
	who := Object("identifier", Object("system", Canonical+"/sid/actor", "value", actor.ID.String()))
	if actor.Display != "" {
		who.Set("display", actor.Display)
	}
	return who
}

func auditEntities(e auditEntry) []*Node {
	entityType := func(code, display string) *Node {
		return coding("http://terminology.hl7.org/CodeSystem/audit-entity-type", code, display)
	}
	role := func(code, display string) *Node {
		return coding("http://terminology.hl7.org/CodeSystem/object-role", code, display)
	}
	var entities []*Node
	if e.Target != "" {
		entities = append(entities, Object("what", Object("reference", e.Target),
			"type", entityType("2", "System Object"), "role", role("4", "Domain Resource")))
	}
	if e.Query != "" {
		entities = append(entities, Object("type", entityType("2", "System Object"), "role", role("24", "Query"),
			"query", base64.StdEncoding.EncodeToString([]byte(e.Query))))
	}
	if e.Patient != "" {
		entities = append(entities, Object("what", Object("reference", e.Patient),
			"type", entityType("1", "Person"), "role", role("1", "Patient")))
	}
	if e.RequestID != "" {
		entities = append(entities, Object("what", Object("identifier", Object("value", e.RequestID)),
			"type", coding("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId", "")))
	}
	return entities
}

// instant is a FHIR instant in UTC, to the millisecond.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }

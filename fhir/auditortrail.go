package fhir

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

// What of the audit trail is for auditors. They are shown figures in which no case
// can be counted (docs/disclosure.md), so the trail must not count them either: how
// often a case was worked on, who was called in as a third reader, which patients a
// search for disagreement found all tell how the two readings related. So an event
// is for auditors as a whole, byte by byte as it stands in the log, or is not there
// for them at all, in no interaction; what is there cannot depend on a grade. That
// is a table of what is told, and all else is not (decision 18). Directors have all of it.

// toldTypes are the types of which auditors are told each access. Of all others there
// are as many resources as a case has differences, or steps.
var toldTypes = []string{
	"Patient", "ServiceRequest", "DiagnosticReport", "ImagingStudy", "Encounter", "Condition", "Consent", "DocumentReference", "Group", "Subscription",
	"Practitioner", "PractitionerRole", "Organization", "Location", "Endpoint", auditEventType, "Measure",
	"CapabilityStatement", "StructureDefinition", "CodeSystem", "ValueSet", "ConceptMap", "OperationDefinition", "SearchParameter",
}

// orderTypes are those of which each order has its own, so that accesses to one of them count orders: how many
// were placed, less the cases that figures tell, is how many are left out of these, which may be few. Of them
// auditors are told searches by patient alone.
var orderTypes = []string{"ServiceRequest", "DiagnosticReport", "ImagingStudy", "Encounter", "Condition", "DocumentReference"}

// countsOrders tells whether accesses to one of a type count orders. In an emergency they are told,
// but for reports, which are read when they are signed.
func countsOrders(typ string, emergency bool) bool {
	return slices.Contains(orderTypes, typ) && (!emergency || typ == "DiagnosticReport")
}

// toldOperations are those of which auditors are told, on a resource of toldTypes or none.
var toldOperations = []string{
	"everything", "export", "export-file", "export-cancel", "patient-summary",
	"validate", "validate-code", "lookup", "expand", "translate",
}

// toldParams are what a search may ask of toldTypes: who somebody is, or which one record.
// What finds records by what they are (a priority, a modality, a status, a period) counts
// the values of a dimension; a chain, _has or a code of a result, grades.
var toldParams = []string{
	"_id", "_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", "_include", "_after", "_type",
	"identifier", "patient", "subject", "name", "family", "given", "birthdate", "gender", "phone", "email", "address", "active",
	"encounter", "based-on", "basedOn", "imaging-study", "practitioner", "member",
}

// toldParamsOfOrders are those for orderTypes. An identifier or an id is of one order, and which
// DiagnosticReports are ours tells what is signed.
var toldParamsOfOrders = []string{"patient", "subject", "_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", "_include", "_after"}

// toldRoles are the roles whose accesses auditors are told of. Those who read, the role
// quality and the server itself do what a grade makes them do.
var toldRoles = []string{"", string(access.Placer), string(access.Coordinator), string(access.Director), string(access.Admin)}

// forAuditors are the keys of what auditors may have. It is no search parameter: only
// the view of auditors looks at it (sqlBuilder.visible). What was indexed by an earlier table has
// another key, and is not there for them until it is indexed again.
var forAuditors = fmt.Sprintf("$auditors of index %d", eventIndexVersion)

func auditorsKey(tenant uuid.UUID) uuid.UUID {
	return keySpace{tenant, auditEventType, forAuditors}.key(formPresent)
}

// trailWhole tells whether the actor has all of the audit trail, and not the part
// that is for auditors.
func trailWhole(actor access.Actor) bool { return actor.Role != access.Auditor }

// toldToAuditors tells whether an AuditEvent is for auditors.
func toldToAuditors(event *Node) bool {
	if event.Text("type", "code") != "rest" {
		return toldOfDoor(event)
	}
	role, emergency := whoseAccess(event)
	switch {
	case role == string(access.Auditor): // what they ask tells them nothing
		return true
	case hasCode(Object("coding", event.Each("subtype")), auditlog.EraseSystem, auditlog.EraseCode): // it names no patient
		return true
	case !emergency && !slices.Contains(toldRoles, role):
		return false
	}
	target, query := "", ""
	for _, entity := range event.Each("entity") {
		switch entity.Text("role", "code") {
		case "4":
			target = entity.Text("what", "reference")
		case "24":
			text, err := base64.StdEncoding.DecodeString(entity.Text("query"))
			if err != nil {
				return false
			}
			query = string(text)
		}
	}
	typ := parseReference(target).typ
	switch {
	case target != "" && !slices.Contains(toldTypes, typ):
		return false
	case countsOrders(typ, emergency): // one of them, also for an operation
		return false
	case query != "":
		return toldQuery(query, emergency)
	case emergency:
		return target != ""
	case event.Text("action") != "R": // an order is placed with its patient and with who asks for it
		return role != string(access.Placer) && role != string(access.Coordinator)
	}
	return target != ""
}

// toldDoors are the kinds of what is no access (doorKinds) that auditors are told of,
// whoever it was. Not the end of blinding, since where two disagree there is a third one who is
// shown the original; nor what the role quality has opened of single cases, which it chooses
// by their grades, nor of a measure, where that tells that a count is small; nor of reports that
// left the house: how many these are, less those compared, is how many were not, which may be few.
var toldDoors = []access.EventKind{
	access.Login, access.LoginRefused, access.Logout, access.IdleLogoff, access.Launch,
	access.TokenIssued, access.TokenRefused, access.TokenRevoked, access.TokenIntrospected, access.BreakGlass,
	access.TenantAdded, access.TenantChanged, access.TenantSuspended, access.TenantResumed, access.TenantExported, access.TenantImported,
	access.ClientAdded, access.ClientChanged, access.ClientRevoked, access.KeyAdded, access.KeysRevoked, access.ReaderSet, access.DestinationSet,
	access.IssuerListed, access.IssuerRemoved, access.ProviderSet, access.ProviderRemoved, access.PersonSet, access.PersonEnded,
	access.RoleGranted, access.RoleRevoked, access.GroupSet, access.GroupRemoved, access.SessionsEnded, access.DestinationPaused, access.DestinationResumed, access.DestinationTried,
	access.DestinationProposed, access.DestinationWithdrawn, access.OperatorNamed, access.OperatorDismissed,
	access.PACSSet, access.PACSRemoved, access.PolicySet, access.TemplateSet, access.LogRestored, access.CheckpointsLost, access.LogCompared,
}

// toldOfDoor is toldToAuditors of what is no access.
func toldOfDoor(event *Node) bool {
	var kind access.EventKind
	for _, c := range event.Each("subtype") {
		if c.Text("system") == auditlog.EraseSystem {
			kind = access.EventKind(c.Text("code"))
		}
	}
	switch _, emergency := whoseAccess(event); kind {
	case access.ImagesOpened: // of a single study, as an access to one is
		return emergency
	case access.Launch: // for a single order
		return !slices.ContainsFunc(event.Each("entity", "what", "reference"), func(n *Node) bool { return parseReference(n.Text()).typ == "Task" })
	}
	return slices.Contains(toldDoors, kind)
}

// whoseAccess is the role in which it was done, and whether in an emergency.
func whoseAccess(event *Node) (role string, emergency bool) {
	for _, agent := range event.Each("agent") {
		if agent.Text("requestor") == "true" {
			role = agent.Text("role", "text")
			emergency = hasCode(Object("coding", agent.Each("purposeOfUse", "coding")), actReason, "BTG")
		}
	}
	return role, emergency
}

// toldQuery judges what an access has asked, as asText and callOf tell it. What is
// told in other words (a desk, a worklist) finds cases by how they stand.
func toldQuery(query string, emergency bool) bool {
	if name, ok := strings.CutPrefix(query, "$"); ok {
		name, _, _ = strings.Cut(name, "?")
		name, _, _ = strings.Cut(name, " ")
		return slices.Contains(toldOperations, name)
	}
	if query == recordsOpened {
		return true
	}
	line, form, _ := strings.Cut(query, "\n")
	method, address, ok := strings.Cut(line, " ")
	path, params, _ := strings.Cut(address, "?")
	_, below, found := strings.Cut(path, "/fhir/")
	if !ok || !found || method != strings.ToUpper(method) {
		return false
	}
	parts := strings.Split(strings.Trim(below, "/"), "/")
	if parts[0] == auditEventType { // finds nobody
		return true
	}
	told, named := toldParams, true
	if at := slices.IndexFunc(parts, func(part string) bool { return countsOrders(part, emergency) }); at >= 0 {
		told, named = toldParamsOfOrders, parts[0] == "Patient" // whose compartment it may be
		if at == 0 && len(parts) > 1 && parts[1] != "_search" { // one of them
			return false
		}
	}
	for _, text := range []string{params, form} {
		asked, err := url.ParseQuery(text)
		if err != nil {
			return false
		}
		for name, values := range asked {
			if base, _, _ := strings.Cut(name, ":"); strings.Contains(name, ".") || !slices.Contains(told, base) {
				return false
			}
			named = named || name == "patient" || name == "subject"
			if name == "_type" && slices.ContainsFunc(strings.Split(strings.Join(values, ","), ","), func(typ string) bool { return !slices.Contains(toldTypes, typ) }) {
				return false
			}
		}
	}
	return named && toldPath(parts) // all orders there are tell how many
}

// toldPath judges an address below /fhir: each type in it must be one of toldTypes, and
// one that names none (of the whole system) is not told. Patient/1/* is.
func toldPath(parts []string) bool {
	named := false
	for _, part := range parts {
		switch {
		case servedTypes()[part] != nil:
			if named = true; !slices.Contains(toldTypes, part) {
				return false
			}
		case strings.HasPrefix(part, "$"):
			if !slices.Contains(toldOperations, part[1:]) {
				return false
			}
		}
	}
	return named
}

package fhir

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pg"
)

// What is recorded besides accesses to resources: who came in and went, and who
// changed what others may do (access.Event). BALP has no profiles for these; their
// types are those of DICOM PS3.15 (CID 400 and 401), which are FHIR's value sets
// for AuditEvent.type and subtype, and the kind itself is a second subtype.

// doorKind is how a kind of event is told.
type doorKind struct {
	typ     *Node
	subtype *Node // nil: the kind alone
	action  string
	object  string // what the event's Object identifies; "" where it has none
}

var (
	userAuthentication = coding(dicom, "110114", "User Authentication")
	securityAlert      = coding(dicom, "110113", "Security Alert")
	login              = coding(dicom, "110122", "Login")
	logout             = coding(dicom, "110123", "Logout")
	rolesChanged       = coding(dicom, "110136", "Security Roles Changed")
	attributesChanged  = coding(dicom, "110137", "User Security Attributes Changed")
	securityConfigured = coding(dicom, "110129", "Security Configuration")
	networkConfigured  = coding(dicom, "110128", "Network Configuration")
	dicomExport        = coding(dicom, "110106", "Export")
	dicomImport        = coding(dicom, "110107", "Import")
	auditLogUsed       = coding(dicom, "110101", "Audit Log Used")
	patientRecord      = coding(dicom, "110110", "Patient Record")
	instancesAccessed  = coding(dicom, "110103", "DICOM Instances Accessed")
)

// doorKinds is the table of the kinds of events that are no access.
var doorKinds = map[access.EventKind]doorKind{
	access.Login:             {userAuthentication, login, "E", ""},
	access.LoginRefused:      {userAuthentication, login, "E", ""},
	access.Logout:            {userAuthentication, logout, "E", ""},
	access.IdleLogoff:        {userAuthentication, logout, "E", ""},
	access.Launch:            {userAuthentication, login, "E", ""},
	access.TokenIssued:       {userAuthentication, login, "E", "client"},
	access.TokenRefused:      {userAuthentication, login, "E", "client"},
	access.TokenRevoked:      {userAuthentication, logout, "E", "client"},
	access.TokenIntrospected: {userAuthentication, nil, "R", "client"},
	access.BreakGlass:        {securityAlert, coding(dicom, "110127", "Emergency Override Started"), "E", ""},
	access.Unblinding:        {patientRecord, nil, "E", ""},
	access.QualityOpened:     {patientRecord, nil, "R", "meeting-pack"},
	access.MeasureOpened:     {patientRecord, nil, "R", "measure"},
	access.ImagesOpened:      {instancesAccessed, nil, "R", "study"},
	access.ReportDelivered:   {dicomExport, nil, "R", "destination"},

	access.TenantAdded:     {securityAlert, securityConfigured, "C", "tenant"},
	access.TenantChanged:   {securityAlert, securityConfigured, "U", "tenant"},
	access.TenantSuspended: {securityAlert, securityConfigured, "U", "tenant"},
	access.TenantResumed:   {securityAlert, securityConfigured, "U", "tenant"},
	access.TenantExported:  {dicomExport, nil, "R", "tenant"},
	access.TenantImported:  {dicomImport, nil, "C", "tenant"},
	access.ClientAdded:     {securityAlert, attributesChanged, "C", "client"},
	access.ClientChanged:   {securityAlert, attributesChanged, "U", "client"},
	access.ClientRevoked:   {securityAlert, attributesChanged, "D", "client"},
	access.KeyAdded:        {securityAlert, attributesChanged, "C", "actor"},
	access.KeysRevoked:     {securityAlert, attributesChanged, "D", "actor"},
	access.ReaderSet:       {securityAlert, rolesChanged, "U", "reader"},
	access.DestinationSet:  {securityAlert, networkConfigured, "U", "destination"},
	access.IssuerListed:    {securityAlert, securityConfigured, "U", "issuer"},
	access.IssuerRemoved:   {securityAlert, securityConfigured, "D", "issuer"},
	access.ProviderSet:     {securityAlert, securityConfigured, "U", "provider"},
	access.ProviderRemoved: {securityAlert, securityConfigured, "D", "provider"},
	access.PersonSet:       {securityAlert, attributesChanged, "U", "person"},
	access.PersonEnded:     {securityAlert, attributesChanged, "D", "person"},
	access.RoleGranted:     {securityAlert, rolesChanged, "U", "person"},
	access.RoleRevoked:     {securityAlert, rolesChanged, "U", "person"},
	access.GroupSet:        {securityAlert, rolesChanged, "U", "provider"},
	access.GroupRemoved:    {securityAlert, rolesChanged, "U", "provider"},
	access.SessionsEnded:   {securityAlert, attributesChanged, "U", "person"},

	access.DestinationPaused:  {securityAlert, networkConfigured, "U", "destination"},
	access.DestinationResumed: {securityAlert, networkConfigured, "U", "destination"},
	access.DestinationTried:   {securityAlert, networkConfigured, "R", "destination"},

	access.DestinationProposed:  {securityAlert, networkConfigured, "U", "destination"},
	access.DestinationWithdrawn: {securityAlert, networkConfigured, "U", "destination"},
	access.OperatorNamed:        {securityAlert, rolesChanged, "U", "person"},
	access.OperatorDismissed:    {securityAlert, rolesChanged, "D", "person"},

	access.PACSSet:         {securityAlert, networkConfigured, "U", "pacs"},
	access.PACSRemoved:     {securityAlert, networkConfigured, "D", "pacs"},
	access.PolicySet:       {securityAlert, securityConfigured, "U", "policy-version"},
	access.TemplateSet:     {securityAlert, securityConfigured, "U", "template-version"},
	access.LogRestored:     {securityAlert, securityConfigured, "E", "checkpoint"},
	access.CheckpointsLost: {securityAlert, securityConfigured, "E", "checkpoint"},
	access.LogCompared:     {auditLogUsed, nil, "R", ""},
}

// RecordEvent is the access.Recorder of this server.
func (s *Server) RecordEvent(ctx context.Context, tx pgx.Tx, e access.Event) error {
	if _, known := doorKinds[e.Kind]; !known {
		return fmt.Errorf("audit: there are no events of kind %q", e.Kind)
	}
	from := servedIn(ctx)
	if e.RequestID == "" {
		e.RequestID = from.requestID
	}
	if e.Client == "" {
		e.Client = from.client
	}
	queued := tx == nil && (e.Why != "" || e.Kind == access.TokenIntrospected)
	if queued && e.Why != "" {
		untold, ok := s.refusals.admit(e.Tenant, e.Actor.ID)
		if !ok {
			return nil
		}
		e.Why += moreLike(untold)
	}
	event, err := s.recordedNow(e.Tenant, auditFacts{})
	event.Event = doorEvent(event.ID.String(), instant(event.At), s.baseURL, e).Bytes()
	switch {
	case err != nil:
	case tx != nil:
		err = pg.AsTenant(ctx, tx, e.Tenant, func() error { return putEvents(ctx, tx, []recordedEvent{event}) })
	case queued:
		if err = s.trail.reserve(ctx); err == nil {
			s.trail.put(event)
		}
	default:
		err = s.writeTrail(ctx, e.Tenant, []recordedEvent{event})
	}
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Kind, err)
	}
	return nil
}

// recordEvents records several of one tenant in the transaction, in one batch.
func (s *Server) recordEvents(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, all []access.Event) error {
	from := servedIn(ctx)
	var events []recordedEvent
	for _, e := range all {
		e.RequestID, e.Client = from.requestID, from.client
		event, err := s.recordedNow(tenant, auditFacts{})
		if err != nil {
			return fmt.Errorf("audit %s: %w", e.Kind, err)
		}
		event.Event = doorEvent(event.ID.String(), instant(event.At), s.baseURL, e).Bytes()
		events = append(events, event)
	}
	if len(events) == 0 {
		return nil
	}
	if err := pg.AsTenant(ctx, tx, tenant, func() error { return putEvents(ctx, tx, events) }); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	return nil
}

// moreLike tells how many refusals before this one were not recorded.
func moreLike(untold int) string {
	if untold == 0 {
		return ""
	}
	return fmt.Sprintf("; %d more like this were not recorded one by one", untold)
}

// doorEvent is the AuditEvent of an event.
func doorEvent(id, recorded, base string, e access.Event) *Node {
	kind := doorKinds[e.Kind]
	subtype := []*Node{coding(auditlog.EraseSystem, string(e.Kind), "")}
	if kind.subtype != nil {
		subtype = []*Node{kind.subtype, subtype[0]}
	}
	outcome := "0"
	if e.Why != "" {
		outcome = "4"
	}
	event := Object(
		"resourceType", auditEventType,
		"id", id,
		"meta", Object("versionId", "1", "lastUpdated", recorded, "profile", tokenProfile(e.Actor)),
		"type", kind.typ,
		"subtype", subtype,
		"action", kind.action,
		"recorded", recorded,
		"outcome", outcome,
		"outcomeDesc", e.Why,
	)
	if e.Kind == access.BreakGlass {
		event.Set("purposeOfEvent", []*Node{Object("coding", []*Node{breakTheGlass}, "text", e.Reason)})
	} else if e.Reason != "" {
		event.Set("purposeOfEvent", []*Node{Object("text", e.Reason)})
	}
	event.Set("agent", doorAgents(base, e))
	event.Set("source", auditSource(base))
	event.Set("entity", doorEntities(e))
	return event
}

var breakTheGlass = coding(actReason, "BTG", "break the glass")

// doorAgents are who came, if it is known who, where from, and this server.
func doorAgents(base string, e access.Event) []*Node {
	client := auditAgent("110150", actorReference(e.Actor), false)
	if e.Client != "" {
		client.Set("network", Object("address", e.Client, "type", "2")) // an IP address
	}
	agents := []*Node{client, auditServer("custodian", base)}
	if e.Actor.Role == "" {
		client.Set("requestor", true)
		return agents
	}
	user := auditUser(e.Actor, informationRecipient)
	if e.Kind == access.BreakGlass {
		user.Set("purposeOfUse", []*Node{Object("coding", []*Node{breakTheGlass})})
	}
	return append(agents, user)
}

func doorEntities(e access.Event) []*Node {
	var entities []*Node
	security := func(system, value string) {
		what := Object("identifier", Object("system", system, "value", value))
		entities = append(entities, Object("what", what, "type", entityType("2", "System Object"), "role", entityRole("13", "Security Resource")))
	}
	if e.Token != "" && e.Token != e.Actor.Token {
		security(uriSystem, e.Token)
	}
	if e.Object != "" {
		security(Canonical+"/sid/"+doorKinds[e.Kind].object, e.Object)
	}
	if e.Scopes != "" {
		entities = append(entities, Object("type", entityType("2", "System Object"), "role", entityRole("15", "Security Granularity Definition"),
			"detail", []*Node{Object("type", "scope", "valueString", e.Scopes)}))
	}
	if e.Report != "" {
		entities = append(entities, Object("what", Object("reference", e.Report), "type", entityType("2", "System Object"), "role", entityRole("3", "Report"),
			"detail", []*Node{Object("type", "report-no", "valueString", strconv.Itoa(e.ReportNo))}))
	}
	if e.Case != "" {
		entities = append(entities, Object("what", Object("reference", e.Case), "type", entityType("2", "System Object"), "role", entityRole("20", "Job")))
	}
	return append(entities, auditEntities(auditEntry{Patient: e.Patient, RequestID: e.RequestID})...)
}

// tokenProfile is what the event may claim because of the token: IHE BALP
// OAUTHaccessTokenUse.Minimal.
func tokenProfile(actor access.Actor) []string {
	if actor.Role == "" || !strings.HasPrefix(actor.Token, access.OAuthPrefix) {
		return nil
	}
	return []string{balp + "OAUTHaccessTokenUse.Minimal"}
}

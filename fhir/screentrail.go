package fhir

import (
	"context"
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// The audit trail as people read it. It is searched as the API searches AuditEvents,
// by the same parameters, and so is bounded and recorded as there: an auditor finds
// what is for auditors (auditortrail.go), a director all of it.

// trailCount is how many events a page has.
const trailCount = "50"

// trailKinds are the AuditEvent.type that a page can narrow to.
var trailKinds = map[string]string{"record": "rest", "door": "110114", "rights": "110113", "sent": "110106", "log": "110101"}

var trailRecord = regexp.MustCompile(`^[A-Z][A-Za-z]{2,40}/[A-Za-z0-9.-]{1,64}$`)

// audits refuses whoever has no audit trail, or a token that has not all of its role.
func audits(actor access.Actor) error {
	if !servedTypes()[auditEventType].isFor(actor.Role) || actor.Limited() || actor.Patient != "" {
		return fault.New(fault.Forbidden, "the role %s does not read the audit trail", actor.Role)
	}
	return nil
}

// Trail is a page of the audit trail.
func (s *Server) Trail(ctx context.Context, actor access.Actor, ask screen.TrailAsk, asked Asked) (screen.Trail, error) {
	if err := audits(actor); err != nil {
		return screen.Trail{}, err
	}
	return readRecorded(ctx, s, actor, asked, func() (page screen.Trail, e auditEntry, err error) {
		var query url.Values
		page, err = inSnapshot(ctx, s, actor, func(tx pgx.Tx) (page screen.Trail, err error) {
			page.Whole = trailWhole(actor)
			if page.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
				return page, err
			}
			known := false
			query, known, err = s.trailQuery(ctx, tx, actor, ask)
			if page.Unknown = !known; err != nil || !known {
				return page, err
			}
			found, next, err := s.trailSearch(ctx, tx, actor, query)
			page.Next = next
			for _, n := range found {
				page.Events = append(page.Events, trailEvent(n))
			}
			return page, err
		})
		return page, auditEntry{Interaction: "search-type", Patients: patientsAsked(auditEventType, query), Query: "POST /fhir/AuditEvent/_search\n" + query.Encode()}, err
	})
}

// readRecorded does a read of a page and records it as a read over the API is: before it
// is done there is a place for the record, and what cannot be recorded is not done.
func readRecorded[T any](ctx context.Context, s *Server, actor access.Actor, asked Asked, read func() (T, auditEntry, error)) (T, error) {
	var none T
	if s.trail == nil { // benchmarks, as in watch
		found, _, err := read()
		return found, err
	}
	if err := s.trail.reserve(ctx); err != nil {
		return none, err
	}
	found, e, err := read()
	if err == nil {
		e.RequestID, e.Client = asked.RequestID, asked.Client
		var event recordedEvent
		if event, err = s.recorded(actor, e); err == nil {
			s.trail.put(event)
			return found, nil
		}
	}
	s.trail.release()
	return none, err
}

// trailQuery is what is asked of AuditEvents. known is false where no patient is known
// by what was typed.
func (s *Server) trailQuery(ctx context.Context, tx pgx.Tx, actor access.Actor, ask screen.TrailAsk) (query url.Values, known bool, err error) {
	query = url.Values{"_count": {trailCount}}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	switch {
	case ask.Record == "":
	case trailRecord.MatchString(ask.Record) && strings.HasPrefix(ask.Record, "Patient/"):
		query.Set("patient", ask.Record)
	case trailRecord.MatchString(ask.Record):
		query.Set("entity", ask.Record)
	default:
		patients, err := s.patientsNumbered(ctx, tx, actor.Tenant, ask.Record)
		if err != nil || len(patients) == 0 {
			return nil, false, err
		}
		query.Set("patient", strings.Join(patients, ","))
	}
	if name := strings.TrimSpace(ask.Person); name != "" {
		query.Set("agent-name:contains", strings.NewReplacer(`\`, `\\`, `,`, `\,`, `$`, `\$`, `|`, `\|`).Replace(name))
	}
	if id, err := uuid.Parse(ask.Actor); err == nil {
		query.Set("agent:identifier", Canonical+"/sid/actor|"+id.String())
	}
	if !strings.ContainsAny(ask.Token, `,|$\`) {
		set("policy", ask.Token)
	}
	if slices.Contains(anybody, access.Role(ask.Role)) || ask.Role == string(access.Operator) || ask.Role == string(access.System) {
		query.Set("actor-role", ask.Role)
	}
	if slices.Contains([]string{"C", "R", "U", "D", "E"}, ask.Action) {
		query.Set("action", ask.Action)
	}
	set("type", trailKinds[ask.Kind])
	switch ask.Outcome {
	case "done":
		query.Set("outcome", "0")
	case "failed":
		query.Set("outcome", "4,8,12")
	}
	if ask.Emergency {
		query.Set("purpose", actReason+"|BTG")
	}
	for prefix, day := range map[string]string{"ge": ask.From, "le": ask.To} {
		if _, err := time.Parse(time.DateOnly, day); err == nil {
			query.Add("date", prefix+day)
		}
	}
	set("_after", ask.After)
	return query, true, nil
}

// patientsNumbered are the patients who have this identifier. An auditor names a patient by it
// and is shown nothing of them.
func (s *Server) patientsNumbered(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, number string) (references []string, err error) {
	if len(number) > mostNumber || strings.ContainsAny(number, `,|$\`) { // a token's own signs
		return nil, nil
	}
	q, err := s.parseQuery(ctx, tx, tenant, s.resources["Patient"], url.Values{"identifier": {number}}, false)
	if err != nil {
		return nil, err
	}
	found, err := q.find(ctx, tx, access.SystemActor(tenant), mostPatients)
	for _, r := range found {
		references = append(references, "Patient/"+r.ID)
	}
	return references, err
}

// trailSearch is a search of AuditEvents as the API does it.
func (s *Server) trailSearch(ctx context.Context, tx pgx.Tx, actor access.Actor, asked url.Values) (found []*Node, next string, err error) {
	a := &inquiry{path: auditEventType, queries: []*query{{row: s.resources[auditEventType], tenant: actor.Tenant}}}
	if err := s.understand(ctx, tx, actor, a, asked, false); err != nil {
		return nil, "", err
	}
	text, err := s.searchset(ctx, tx, actor, a)
	if err != nil {
		return nil, "", err
	}
	bundle, err := Parse(text, Limits{})
	if err != nil {
		return nil, "", err
	}
	for _, link := range bundle.Each("link") {
		if link.Text("relation") == "next" {
			if address, err := url.Parse(link.Text("url")); err == nil {
				next = address.Query().Get("_after")
			}
		}
	}
	for _, n := range bundle.Each("entry", "resource") {
		if n.Text("resourceType") == auditEventType { // and what is to be said of the answer the page says itself
			found = append(found, n)
		}
	}
	return found, next, nil
}

// TrailEvent is one event of the audit trail, with its place in the log.
func (s *Server) TrailEvent(ctx context.Context, actor access.Actor, id string, asked Asked) (screen.TrailEvent, error) {
	if err := audits(actor); err != nil {
		return screen.TrailEvent{}, err
	}
	if _, err := uuid.Parse(id); err != nil {
		return screen.TrailEvent{}, notFound()
	}
	return readRecorded(ctx, s, actor, asked, func() (screen.TrailEvent, auditEntry, error) {
		e, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.TrailEvent, error) { return s.trailEventTx(ctx, tx, actor, id) })
		return e, auditEntry{Interaction: "read", Target: auditEventType + "/" + id + "/_history/1"}, err
	})
}

func (s *Server) trailEventTx(ctx context.Context, tx pgx.Tx, actor access.Actor, id string) (e screen.TrailEvent, err error) {
	stored, err := s.store.Visible(ctx, tx, actor, auditEventType, id)
	if err != nil {
		return e, err
	}
	n, err := Parse(stored.Body, Limits{})
	if err != nil {
		return e, err
	}
	e = trailEvent(n)
	e.Text, e.Whole, e.Index = string(stored.Body), trailWhole(actor), -1
	if e.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
		return e, err
	}
	return e, s.placeOf(ctx, tx, actor, &e)
}

// placeOf adds when the event was signed, and to who has all of the trail its index:
// between two of them an auditor could count what is not for auditors.
func (s *Server) placeOf(ctx context.Context, tx pgx.Tx, actor access.Actor, e *screen.TrailEvent) error {
	rows, err := tx.Query(ctx, `
		SELECT l.index, (SELECT c.signed_at FROM audit_checkpoint c WHERE c.tenant_id = l.tenant_id AND c.size > l.index ORDER BY c.size LIMIT 1)
		FROM audit_leaf l
		WHERE l.tenant_id = overread_tenant() AND l.audit_id = $1`, e.ID)
	if err != nil {
		return err
	}
	var index int64
	var at *time.Time
	_, err = pgx.ForEachRow(rows, []any{&index, &at}, func() error {
		e.SignedAt = at
		if trailWhole(actor) {
			e.Index = index
		}
		return nil
	})
	return err
}

// launchedAs is the name of who came by a launch: the record keeps beside it what their EHR
// calls them (integrations/smart).
var launchedAs = regexp.MustCompile(`^(.+) \(([A-Z][A-Za-z]+/[A-Za-z0-9.-]{1,64})\)$`)

// trailEvent is an AuditEvent in the terms of a page.
func trailEvent(n *Node) screen.TrailEvent {
	e := screen.TrailEvent{ID: n.Text("id"), Failed: n.Text("outcome") != "0", Why: n.Text("outcomeDesc")}
	e.At, _ = time.Parse(time.RFC3339Nano, n.Text("recorded")) // written by us
	for _, c := range n.Each("subtype") {                      // ours tells more than DICOM's
		if e.Code == "" || c.Text("system") == auditlog.EraseSystem {
			e.Code = c.Text("code")
		}
	}
	e.Reason = n.Text("purposeOfEvent", "text")
	e.Emergency = hasCode(Object("coding", n.Each("purposeOfEvent", "coding")), actReason, "BTG")
	for _, a := range n.Each("agent") {
		if address := a.Text("network", "address"); a.Text("network", "type") == "2" {
			e.Address = address
		} else if address != "" {
			e.Server = address
		}
		if a.Text("requestor") == "true" {
			e.Person, e.Role, e.Token = a.Text("name"), a.Text("role", "text"), a.Text("policy")
			if named := launchedAs.FindStringSubmatch(e.Person); named != nil {
				e.Person, e.Known = named[1], named[2]
			}
			e.Actor = a.Text("who", "identifier", "value")
			e.Emergency = e.Emergency || hasCode(Object("coding", a.Each("purposeOfUse", "coding")), actReason, "BTG")
		}
	}
	for _, x := range n.Each("entity") {
		what, id := x.Text("what", "reference"), x.Get("what").Get("identifier")
		switch {
		case what != "":
			e.Records = append(e.Records, trailRecordOf(what))
		case x.Text("query") != "":
			text, _ := base64.StdEncoding.DecodeString(x.Text("query"))
			e.Query, e.Detail = string(text), askedShort(string(text))
		case x.Text("type", "code") == "XrequestId":
			e.Request = id.Text("value")
		case id != nil:
			e.Things = append(e.Things, screen.TrailThing{Name: strings.TrimPrefix(id.Text("system"), Canonical+"/sid/"), Value: id.Text("value")})
		}
		for _, d := range x.Each("detail") {
			e.Things = append(e.Things, screen.TrailThing{Name: d.Text("type"), Value: d.Text("valueString")})
		}
	}
	return e
}

// trailRecordOf is a reference as a list shows it: what differs between ids that we gave is
// at their end; an id that is a word is shown whole.
func trailRecordOf(reference string) screen.TrailRecord {
	to := parseReference(reference)
	r := screen.TrailRecord{Type: to.typ, Reference: reference, Short: to.id}
	if _, err := uuid.Parse(to.id); err == nil {
		r.Short = to.id[len(to.id)-8:]
	}
	_, r.Version, _ = strings.Cut(reference, "/_history/")
	return r
}

// askedShort is what an access has asked in a word: the operation, or the type.
func askedShort(query string) string {
	if strings.HasPrefix(query, "$") {
		return query[:len(query)-len(strings.TrimLeft(query, "$-abcdefghijklmnopqrstuvwxyz"))]
	}
	_, below, ok := strings.Cut(query, "/fhir/")
	if !ok {
		return ""
	}
	name := below[:len(below)-len(strings.TrimLeft(below, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))]
	if servedTypes()[name] == nil {
		return ""
	}
	return name
}

package fhir

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// everythingServices are the rows of the table of services that gather what
// belongs together.
func everythingServices() []service {
	return []service{
		{name: "everything", id: "patient-everything", base: "http://hl7.org/fhir/OperationDefinition/Patient-everything",
			does: "Everything about a patient: the Patient, what is in the patient's compartment, the Tasks of the cases, and the " +
				"practitioners, organisations, places and endpoints that these refer to.",
			types: []string{"Patient"}, instance: true, by: clinical, scope: reading, gives: "Bundle", takes: patientEverythingTakes, handle: (*Server).patientEverything},
		{name: "everything", id: "task-everything",
			does: "Everything about a case: its Task, the order, the patient, the study, the original report where the caller may see it, " +
				"the second opinion, what these refer to, and what was said about them (Provenance, Communication). One Bundle, not paged.",
			types: []string{"Task"}, instance: true, by: clinical, scope: reading, gives: "Bundle", handle: (*Server).caseEverything},
	}
}

// reading is what a service needs that only reads.
var reading = []access.Permission{access.Read}

var patientEverythingTakes = []parameter{
	{Name: "start", Type: "date", Doc: "The first day of the care that is asked for. What has no date of care stays in."},
	{Name: "end", Type: "date", Doc: "The last day of the care that is asked for."},
	{Name: "_since", Type: "instant", Doc: "Only what has changed since; the Patient stays in."},
	{Name: "_type", Type: "code", Many: true, Doc: "Only resources of these types, separated by commas or repeated."},
	{Name: "_count", Type: "integer", Doc: "Resources on a page, 500 at most."},
	{Name: "_after", Type: "string", Doc: "Comes from the next link of a page."},
}

// careDates are the search parameters that say when the care was that a
// resource is about. What has none of them is about no time in particular.
var careDates = map[string][]string{
	"Communication":        {"sent", "received"},
	"CommunicationRequest": {"occurrence", "authored"},
	"Condition":            {"onset-date", "recorded-date"},
	"DiagnosticReport":     {"date"},
	"DocumentReference":    {"period", "date"},
	"Encounter":            {"date"},
	"ImagingStudy":         {"started"},
	"MeasureReport":        {"period"},
	"Media":                {"created"},
	"Observation":          {"date"},
	"Provenance":           {"when", "recorded"},
	"ServiceRequest":       {"occurrence", "authored"},
	"Task":                 {"period", "authored-on"},
}

// notEverything are types of the patient's compartment that are left out: a
// Group names other patients, an AuditEvent is about who looked.
var notEverything = []string{"Group", "AuditEvent"}

// chart is what is asked of a patient's $everything.
type chart struct {
	patient string
	care    interval // [low, high); open where not asked for
	dated   bool
	since   *time.Time
	types   []string // wanted, in the order in which they come; never empty
	members []string // types that can belong to the patient
	support []string // types that these may refer to
	count   int
	after   chartCursor
	used    url.Values
}

// chartCursor is the last resource of the page before. The order is that of the
// types, then of the ids: neither changes when a resource does, so that what is
// written meanwhile moves nothing from one page to another.
type chartCursor struct{ typ, id string }

// patientEverything is Patient/{id}/$everything, FHIR R4
// patient-operation-everything.html.
func (s *Server) patientEverything(c echo.Context, actor access.Actor, in *Node) error {
	q, err := s.readChart(actor, c.Param("id"), in)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	page, err := inTenant(ctx, s, actor, func(tx pgx.Tx) ([]byte, error) {
		if _, err := s.store.Visible(ctx, tx, actor, "Patient", q.patient); err != nil {
			return nil, err
		}
		if err := mustBeIndexed(ctx, tx); err != nil {
			return nil, err
		}
		found, err := q.find(ctx, tx, actor)
		for i := range found {
			if err == nil {
				found[i], err = redacted(actor, found[i])
			}
		}
		if err != nil {
			return nil, err
		}
		return s.chartPage(q, found), nil
	})
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, page)
}

func (s *Server) readChart(actor access.Actor, patient string, in *Node) (*chart, error) {
	q := &chart{patient: patient, count: 2 * defaultCount, used: url.Values{}}
	if !idPattern.MatchString(patient) {
		return nil, notFound()
	}
	s.chartTypes(q)
	for _, p := range in.Get("parameter").Items() {
		name := p.Text("name")
		value := parameterValue(p).Text()
		if err := q.take(name, value); err != nil {
			return nil, err
		}
		if name != "_after" {
			q.used.Add(name, value)
		}
	}
	if q.dated && q.care.low.Valid && q.care.high.Valid && !q.care.high.Time.After(q.care.low.Time) {
		return nil, fault.New(fault.Value, "the end is before the start")
	}
	asked := wantedTypes(q.used["_type"])
	for _, typ := range asked {
		if slices.Contains(q.types, typ) && !actor.May(typ, access.Read) {
			return nil, beyond(typ, "r")
		}
	}
	q.members, q.support, q.types = readableTypes(actor, q.members), readableTypes(actor, q.support), readableTypes(actor, q.types)
	if asked != nil {
		for _, typ := range asked {
			if !slices.Contains(q.types, typ) {
				return nil, fault.New(fault.NotSupported, "_type has a type that $everything does not give; it gives: %s", strings.Join(q.types, ", "))
			}
		}
		q.types = slices.DeleteFunc(q.types, func(typ string) bool { return !slices.Contains(asked, typ) })
	}
	return q, nil
}

// wantedTypes are the types of _type, which may repeat and have several each.
func wantedTypes(values []string) []string {
	var types []string
	for _, value := range values {
		types = append(types, strings.Split(value, ",")...)
	}
	return types
}

// chartTypes sorts the types that are kept: the Patient, those that can belong
// to one, and those that have no compartment and explain the others.
func (s *Server) chartTypes(q *chart) {
	q.members = []string{"Patient", "Task"}
	for _, typ := range s.inCompartment("Patient") {
		if typ != "Patient" && !slices.Contains(notEverything, typ) && s.resources[typ].content == nil {
			q.members = append(q.members, typ)
		}
	}
	for _, typ := range supporting {
		if s.resources[typ] != nil {
			q.support = append(q.support, typ)
		}
	}
	q.types = slices.Concat(q.members, q.support)
}

// supporting are the types that explain others and belong to no patient.
var supporting = []string{"PractitionerRole", "Practitioner", "Organization", "Location", "Endpoint"}

func (q *chart) take(name, value string) error {
	switch name {
	case "start", "end":
		i, ok := parseInterval(value)
		if !ok || strings.Contains(value, "T") {
			return fault.New(fault.Value, "%s must be a date, like 2026-01-31", name)
		}
		q.dated = true
		if name == "start" {
			q.care.low = i.low
		} else {
			q.care.high = i.high
		}
	case "_since":
		since, err := readSince(value)
		q.since = since
		return err
	case "_count":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fault.New(fault.Value, "_count must be a number from 1")
		}
		q.count = min(n, maxCount)
	case "_after":
		text, err := base64.RawURLEncoding.DecodeString(value)
		typ, id, _ := strings.Cut(string(text), "/")
		if err != nil || !typePattern.MatchString(typ) || !idPattern.MatchString(id) {
			return fault.New(fault.Value, "_after must come from the next link of a page")
		}
		q.after = chartCursor{typ, id}
	}
	return nil
}

// readSince reads an instant: a moment, with its time zone.
func readSince(value string) (*time.Time, error) {
	since, err := time.Parse(time.RFC3339Nano, strings.ReplaceAll(value, " ", "+")) // a + that was not escaped
	if err != nil || since.Year() < 1 || since.Year() > 9999 {
		return nil, fault.New(fault.Value, "_since must be an instant, like 2026-01-31T09:30:00Z")
	}
	return &since, nil
}

// find answers with one resource more than a page has. Support is found from
// what the actor may see only: what is withheld must not show by whom it is.
func (q *chart) find(ctx context.Context, tx pgx.Tx, actor access.Actor) ([]Stored, error) {
	b := &sqlBuilder{args: pgx.NamedArgs{
		"patient": q.patient, "wanted": q.types, "support": q.support, "limit": q.count + 1,
		"since": q.since, "after_type": q.after.typ, "after_id": q.after.id,
	}}
	b.belongs(q.members)
	b.silent(actor)
	b.visible(actor, access.Read, "")
	if q.dated {
		b.cared(q.care)
	}
	shown := &sqlBuilder{args: b.args} // support may be restricted too
	shown.fence(fenceOf(actor, access.Read), "")
	rows, err := tx.Query(ctx, `
		WITH RECURSIVE member AS MATERIALIZED (
			SELECT r.type, r.id
			FROM (
				SELECT v.type, v.id
				FROM reference_search v
				JOIN unnest(@types::text[], @params::text[]) AS of (type, param) ON of.type = v.type AND of.param = v.param
				WHERE v.target_type = 'Patient' AND v.target_id = @patient
				UNION
				SELECT 'Patient', @patient::text
			) AS at
			JOIN resource_search r ON r.type = at.type AND r.id = at.id
			WHERE NOT r.deleted`+b.conditions()+`
		), support (type, id, far) AS (
			SELECT v.target_type, v.target_id, 1
			FROM member m
			JOIN reference_search v ON v.type = m.type AND v.id = m.id
			WHERE v.target_type = ANY (@support) AND v.param <> '$other' AND v.type || '.' || v.param <> ALL (@silent)
			UNION
			SELECT v.target_type, v.target_id, s.far + 1
			FROM support s
			JOIN reference_search v ON v.type = s.type AND v.id = s.id
			WHERE v.target_type = ANY (@support) AND v.param <> '$other' AND s.far < 3
		)
		SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body
		FROM (SELECT type, id FROM member UNION SELECT type, id FROM support) AS at
		JOIN resource_search r ON r.type = at.type AND r.id = at.id
		JOIN unnest(@wanted::text[]) WITH ORDINALITY AS w (type, place) ON w.type = r.type
		WHERE NOT r.deleted
		  AND (@since::timestamptz IS NULL OR r.last_updated > @since OR r.type = 'Patient')
		  AND (@after_id = '' OR (w.place, r.id) > (coalesce(array_position(@wanted::text[], @after_type), 0), @after_id))`+shown.conditions()+`
		ORDER BY w.place, r.id
		LIMIT @limit`, b.args)
	if err != nil {
		return nil, fmt.Errorf("everything of a patient: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
	if err != nil {
		return nil, fmt.Errorf("everything of a patient: %w", err)
	}
	return found, nil
}

// belongs binds the parameters by which types belong to a patient.
func (b *sqlBuilder) belongs(members []string) {
	types, params := []string{}, []string{}
	for _, typ := range members {
		for _, param := range patientParams(typ) {
			types, params = append(types, typ), append(params, param)
		}
	}
	b.args["types"], b.args["params"] = types, params
}

// patientParams are the parameters by which a type belongs to a patient: those
// of the compartment, and the Task's own.
func patientParams(typ string) []string {
	switch typ {
	case "Task": // in no compartment in R4
		return []string{"patient"}
	case "Patient": // another one that is linked belongs to itself
		return nil
	}
	return compartments["Patient"][typ]
}

// silent binds the parameters that are not followed for the actor.
func (b *sqlBuilder) silent(actor access.Actor) {
	silent := []string{}
	for typ, rule := range redactions {
		for _, param := range rule.params {
			if actor.HidesOriginals() {
				silent = append(silent, typ+"."+param)
			}
		}
	}
	b.args["silent"] = silent
}

// cared leaves out what is about care at another time.
func (b *sqlBuilder) cared(care interval) {
	var types, params []string
	for typ, dates := range careDates {
		for _, param := range dates {
			types, params = append(types, typ), append(params, param)
		}
	}
	b.args["care_types"], b.args["care_params"] = types, params
	b.args["low"], b.args["high"] = care.low, care.high
	const dates = `
			FROM date_search v
			JOIN unnest(@care_types::text[], @care_params::text[]) AS care (type, param) ON care.type = v.type AND care.param = v.param
			WHERE v.type = r.type AND v.id = r.id`
	b.where = append(b.where, `(NOT EXISTS (SELECT`+dates+`) OR EXISTS (SELECT`+dates+`
			  AND (@low::timestamptz IS NULL OR v.high > @low) AND (@high::timestamptz IS NULL OR v.low < @high)))`)
}

// chartPage is the Bundle of a page.
func (s *Server) chartPage(q *chart, found []Stored) []byte {
	more := len(found) > q.count
	if more {
		found = found[:q.count]
	}
	self := s.baseURL + "/Patient/" + q.patient + "/$everything"
	links := []bundleLink{{"self", withQuery(self, q.used)}}
	var total *int
	if n := len(found); !more && q.after.id == "" {
		total = &n
	}
	if more {
		last := found[len(found)-1]
		next := url.Values{"_after": {base64.RawURLEncoding.EncodeToString([]byte(last.Reference()))}}
		maps.Copy(next, q.used)
		links = append(links, bundleLink{"next", withQuery(self, next)})
	}
	return s.asMatches(found, total, links...)
}

// asMatches is a searchset of these.
func (s *Server) asMatches(found []Stored, total *int, links ...bundleLink) []byte {
	w := s.newBundle("searchset", total, links...)
	for _, r := range found {
		w.add(r.Reference(), r.Body, asMatch)
	}
	return w.end()
}

package fhir

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Bulk exports, HL7 FHIR Bulk Data Access 2.0 (hl7.org/fhir/uv/bulkdata): a
// client starts a job here, asks how it is doing (exportstatus.go), and fetches
// the files that the worker has written (exportwork.go).

const bulkData = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"

// exporters are the roles that see everything of the tenant. Who reads blindly
// is none of them, in whatever role they come.
var exporters = []access.Role{access.Placer, access.Coordinator, access.Director}

// exportServices are the rows of the table of services.
func exportServices() []service {
	row := service{name: "export", by: exporters, recorded: true, handle: (*Server).export}
	system, patient, group := row, row, row
	patient.scope, group.scope = []access.Permission{access.Read, access.Search}, reading
	system.id, system.base, system.system = "export", bulkData+"export", true
	system.does, system.takes = "Exports what is kept, as files of NDJSON. "+exportHow, exportTakes
	patient.id, patient.base, patient.types, patient.atType = "patient-export", bulkData+"patient-export", []string{"Patient"}, true
	patient.does, patient.takes = "Exports all patients with what belongs to them. "+exportHow, slices.Concat(exportTakes, list(exportPatient))
	group.id, group.base, group.types, group.instance = "group-export", bulkData+"group-export", []string{"Group"}, true
	group.does, group.takes = "Exports the patients who are members of a Group, with what belongs to them. "+exportHow, slices.Concat(exportTakes, list(exportPatient))
	return []service{system, patient, group}
}

const exportHow = "Send Prefer: respond-async; the answer is 202, and its Content-Location says where to ask for the files."

var exportTakes = []parameter{
	{Name: "_outputFormat", Type: "string", Doc: "application/fhir+ndjson, which is the only one."},
	{Name: "_since", Type: "instant", Doc: "Only what has changed since, and which resources were deleted."},
	{Name: "_type", Type: "string", Many: true, Doc: "Only resources of these types, separated by commas or repeated. AuditEvent is exported only when it is named, to directors."},
	{Name: "_typeFilter", Type: "string", Many: true, Doc: "A search, Patient?active=true: of this type only what it finds, or what another one finds. Without chains and _has."},
	{Name: "_elements", Type: "string", Many: true, Doc: "Not supported: refused, or ignored under Prefer: handling=lenient."},
	{Name: "includeAssociatedData", Type: "string", Many: true, Doc: "Not supported: refused, or ignored under Prefer: handling=lenient."},
}

var exportPatient = parameter{Name: "patient", Type: "Reference", Many: true, Doc: "Only these patients, Patient/{id}; in the Parameters of a POST."}

// ndjsonFormats are what _outputFormat may ask for.
var ndjsonFormats = []string{"application/fhir+ndjson", "application/ndjson", "ndjson"}

// exportJob is a row of export_job.
type exportJob struct {
	JobID           uuid.UUID
	ActorID         uuid.UUID
	ActorRole       access.Role
	Scopes          string // restricted ones only
	State           string
	Request         string
	Scope           string // "system" or "patient"
	Types           []string
	Filters         []string // "Patient?active=true"
	Patients        []string // nil: all
	Since           *time.Time
	TransactionTime time.Time
	Snapshot        *string // what was visible when the first batch began
	AtType          int     // from 1
	AtID            string
	Exported        int64
	Failures        int
	ExpiresAt       time.Time
}

const exportColumns = `job_id, actor_id, actor_role, scopes, state, request, scope, types, filters, patients, since, transaction_time, snapshot::text, at_type, at_id, exported, failures, expires_at`

// exportLife is how long an export is kept, from its start and again from its
// end.
const exportLife = 24 * time.Hour

// export is {base}/$export, Patient/$export and Group/{id}/$export.
func (s *Server) export(c echo.Context, actor access.Actor, in *Node) error {
	if !prefers(c, "respond-async") {
		return fault.New(fault.Value, "an export is made in the background: send Prefer: respond-async")
	}
	if actor.Patient != "" {
		return fault.New(fault.Forbidden, "this token is bound to one patient, and exports nothing: ask for %s/$everything", actor.Patient)
	}
	if actor.HidesOriginals() {
		return fault.New(fault.Forbidden, "an export has what is withheld from readers, and whoever reads here is one in every role: let somebody else start it")
	}
	job, err := s.readExport(c, actor, in)
	if err != nil {
		return err
	}
	if actor.Restricted() {
		job.Scopes = actor.Scopes()
	}
	ctx := c.Request().Context()
	err = s.db.Tenant(ctx, actor.Tenant, func(tx pgx.Tx) error {
		if job.Scope != "system" {
			if err := mustBeIndexed(ctx, tx); err != nil {
				return err
			}
		}
		started := job // the transaction may be run again
		if err := s.choosePatients(ctx, tx, actor, c.Param("id"), in, &started); err != nil {
			return err
		}
		if err := s.checkFilters(ctx, tx, actor.Tenant, started); err != nil {
			return err
		}
		if err := startExport(ctx, tx, started); err != nil {
			return err
		}
		target := ""
		if c.Param("id") != "" {
			target = "Group/" + c.Param("id")
		}
		return s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Target: target, Query: "$export " + job.summary(), RequestID: requestID(ctx)})
	})
	if err != nil {
		return err
	}
	c.Response().Header().Set("Content-Location", s.baseURL+exportStatusPath+job.JobID.String())
	return write(c, http.StatusAccepted, outcome(issue("information", "informational",
		"the export has been started; ask at the address in Content-Location how it is doing", "", "")).Bytes())
}

// summary says for the audit what was asked for.
func (j exportJob) summary() string {
	text := "scope=" + j.Scope + "&_type=" + strings.Join(j.Types, ",")
	if j.Since != nil {
		text += "&_since=" + instant(*j.Since)
	}
	return text
}

// readExport understands what is asked for, but for the patients.
func (s *Server) readExport(c echo.Context, actor access.Actor, in *Node) (exportJob, error) {
	now := s.now().UTC().Truncate(time.Millisecond)
	job := exportJob{ActorID: actor.ID, ActorRole: actor.Role, Scope: "patient", TransactionTime: now, ExpiresAt: now.Add(exportLife)}
	job.Request = s.baseURL + strings.TrimPrefix(c.Request().URL.RequestURI(), "/fhir")
	id, err := uuid.NewV7()
	if err != nil {
		return job, err
	}
	job.JobID = id
	if c.Path() == "/fhir/$export" {
		job.Scope = "system"
	}
	var asked []string
	for _, p := range in.Get("parameter").Items() {
		name := p.Text("name")
		value := given(Object("parameter", []*Node{p}), name).Text()
		switch name {
		case "_outputFormat":
			if !slices.Contains(ndjsonFormats, strings.ReplaceAll(value, " ", "+")) {
				return job, fault.New(fault.NotSupported, "an export is written as application/fhir+ndjson only")
			}
		case "_since":
			if job.Since, err = readSince(value); err != nil {
				return job, err
			}
		case "_type":
			asked = append(asked, value)
		case "_typeFilter":
			job.Filters = append(job.Filters, value)
		case "patient":
		default:
			if !prefers(c, "handling=lenient") {
				return job, fault.New(fault.NotSupported, "exports do not have the parameter %s here; under Prefer: handling=lenient it is ignored", name)
			}
		}
	}
	job.Types, err = s.exportTypes(actor, job.Scope, wantedTypes(asked))
	return job, err
}

// exportTypes are the types of an export: those that are asked for, in the order
// of the table of resources, else all that may be exported.
func (s *Server) exportTypes(actor access.Actor, scope string, asked []string) ([]string, error) {
	may := s.exportable(scope)
	if slices.Contains(asked, auditEventType) && scope == "system" && actor.Role == access.Director {
		may = append(may, auditEventType)
	}
	for _, typ := range asked {
		if !slices.Contains(may, typ) {
			return nil, fault.New(fault.NotSupported, "_type has a type that this export does not give; it gives: %s", strings.Join(may, ", "))
		}
	}
	may, err := exported(actor, may, asked)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(may, func(typ string) bool { return asked != nil && !slices.Contains(asked, typ) }), nil
}

// exportable are the types that are kept and, for an export of patients, that
// belong to one.
func (s *Server) exportable(scope string) []string {
	var types []string
	for _, typ := range s.typeNames {
		belongs := typ == "Patient" || patientParams(typ) != nil && typ != "Group"
		if s.resources[typ].content == nil && typ != auditEventType && (scope == "system" || belongs) {
			types = append(types, typ)
		}
	}
	return types
}

// choosePatients narrows an export to the members of a Group, and to those that
// the parameter patient names. A system export takes all resources.
func (s *Server) choosePatients(ctx context.Context, tx pgx.Tx, actor access.Actor, group string, in *Node, job *exportJob) error {
	if group != "" {
		stored, err := s.store.Visible(ctx, tx, actor, "Group", group)
		if err != nil {
			return err
		}
		f, err := stored.found()
		if err != nil {
			return err
		}
		job.Patients = members(f.Node)
	}
	asked := []string{}
	for _, ref := range allGiven(in, "patient") {
		id := localID(strings.TrimPrefix(ref.Text("reference"), s.baseURL+"/"), "Patient")
		if id == nil {
			return fault.At(fault.Value, "Parameters.parameter.where(name = 'patient')", "refer to a patient as Patient/{id} in valueReference")
		}
		asked = append(asked, *id)
	}
	if len(asked) == 0 {
		return nil
	}
	var known int
	b := &sqlBuilder{args: pgx.NamedArgs{"asked": asked}}
	b.fence(fenceOf(actor, access.Read), "Patient")
	err := tx.QueryRow(ctx, `
		SELECT count(*)
		FROM resource r
		WHERE type = 'Patient' AND id = ANY (@asked) AND NOT deleted`+b.conditions(), b.args).Scan(&known)
	if err != nil {
		return fmt.Errorf("patients of an export: %w", err)
	}
	slices.Sort(asked)
	asked = slices.Compact(asked)
	outside := func(id string) bool { return group != "" && !slices.Contains(job.Patients, id) }
	if known != len(asked) || slices.ContainsFunc(asked, outside) {
		return fault.At(fault.Value, "Parameters.parameter.where(name = 'patient')", "one of the patients is not here, or not a member of the Group")
	}
	job.Patients = asked
	return nil
}

// members are the Patients that are members of a Group now: Group.member.inactive
// and an ended period say of one that it is no longer.
func members(group *Node) []string {
	ids := []string{}
	for _, m := range group.Each("member") {
		id := localID(m.Text("entity", "reference"), "Patient")
		if id != nil && m.Text("inactive") != "true" && m.Text("period", "end") == "" && !slices.Contains(ids, *id) {
			ids = append(ids, *id)
		}
	}
	return ids
}

// startExport queues a job in a free slot of the tenant. Two at the same moment
// cannot have the same one (constraint few_run).
func startExport(ctx context.Context, tx pgx.Tx, j exportJob) error {
	for range 3 {
		tag, err := tx.Exec(ctx, `
			INSERT INTO export_job (tenant_id, job_id, actor_id, actor_role, scopes, slot, request, scope, types, filters, patients, since, transaction_time, waits_for, expires_at)
			SELECT overread_tenant(), @job, @actor, @role, @scopes, free, @request, @scope, @types, @filters, @patients, @since, @time,
			       ARRAY(SELECT virtualtransaction FROM pg_locks WHERE locktype = 'virtualxid' AND pid <> pg_backend_pid()), @expires
			FROM generate_series(1, 3) AS free
			WHERE NOT EXISTS (SELECT FROM export_job WHERE slot = free)
			ORDER BY free
			LIMIT 1
			ON CONFLICT ON CONSTRAINT few_run DO NOTHING`,
			pgx.NamedArgs{"job": j.JobID, "actor": j.ActorID, "role": j.ActorRole, "scopes": j.Scopes, "request": j.Request, "scope": j.Scope, "types": j.Types, "filters": append([]string{}, j.Filters...),
				"patients": j.Patients, "since": j.Since, "time": j.TransactionTime, "expires": j.ExpiresAt})
		if err != nil {
			return fmt.Errorf("start an export: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
	}
	return fault.New(fault.Throttled, "three exports are running: wait for one to end, or cancel it")
}

// exportOf is a job that the actor has started. Whether any other exists is not
// told: an export is its client's, also to be cancelled.
func exportOf(ctx context.Context, tx pgx.Tx, actor access.Actor, id string) (exportJob, error) {
	job, err := uuid.Parse(id)
	if err != nil {
		return exportJob{}, notFound()
	}
	rows, err := tx.Query(ctx, `
		SELECT `+exportColumns+`
		FROM export_job
		WHERE job_id = @job AND state <> 'ended' AND expires_at > now() AND actor_id = @actor`,
		pgx.NamedArgs{"job": job, "actor": actor.ID})
	if err != nil {
		return exportJob{}, fmt.Errorf("read an export: %w", err)
	}
	found, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[exportJob])
	beyond := func(typ string) bool { return !mayExport(actor, typ) } // it was started with more scopes
	beyondAll := actor.Restricted() && (actor.Patient != "" || found.Scopes != actor.Scopes())
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (beyondAll || slices.ContainsFunc(found.Types, beyond)) {
		return exportJob{}, fault.New(fault.NotFound, "there is no such export here, or it has ended, or it is not yours to see")
	}
	return found, err
}

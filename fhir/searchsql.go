package fhir

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// sqlBuilder makes the WHERE of a query. All that a client said is in args.
type sqlBuilder struct {
	where []string
	args  pgx.NamedArgs
}

func (b *sqlBuilder) conditions() string {
	var s strings.Builder
	for _, w := range b.where {
		s.WriteString("\n\t\t  AND ")
		s.WriteString(w)
	}
	return s.String()
}

// arg binds a value and returns its placeholder.
func (b *sqlBuilder) arg(value any) string {
	name := fmt.Sprintf("a%d", len(b.args))
	b.args[name] = value
	return "@" + name
}

// notHidden leaves out what blinding withholds: of all blinded cases that are not
// revealed yet, or are veiled until a third reader has read for themselves, for
// whoever comes as a reader (reads), and of their own cases (read by them, first,
// second or third, or offered to them) for whoever comes in another role. A case
// that ended unread hides nothing, and nothing is hidden of a patient whose record
// the actor has opened in an emergency.
//
// Blinding is of the person. Who had a part in another reading of the study goes on
// seeing what they saw there, and what they signed: matching keeps them off the new
// case. Nobody else does, in whatever role: an adjudicator claims the other case
// first, and is then no reader of this one. Only who may cosign sees it unclaimed.
//
// Orders and Tasks of other cases of the study are withheld too (withholdOthers):
// always from the case's own readers; from others who read once that case is
// compared, for what became of it tells of the original. Who has a part in it, and
// the adjudicators and supervisors for whom it waits, have it.
//
// What is kept aside of a second read for quality is not there for those who
// answer for the report that is read again, or for its original: they may not read
// it, and would know of the draw.
//
// Ids of resources are compared with those of cases in the collation that the indexes of
// cases have: else each original would be looked for among all cases.
const notHidden = `NOT EXISTS (
			SELECT FROM case_original o
			JOIN case_file c ON c.tenant_id = o.tenant_id AND c.case_id = o.case_id
			CROSS JOIN LATERAL (SELECT (@viewer IN (c.reader_id, c.other_reader_id, c.offered_to, c.adjudicator_id)) IS TRUE AS own) AS mine
			WHERE o.tenant_id = r.tenant_id AND o.type = r.type AND o.id = r.id
			  AND c.protocol = 'blinded'
			  AND (c.revealed_at IS NULL OR c.veiled AND c.reader_id IS DISTINCT FROM @viewer AND c.other_reader_id IS DISTINCT FROM @viewer)
			  AND c.state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
			  AND (@reads OR mine.own)
			  AND (c.patient_id = ANY (@opened)) IS NOT TRUE
			  AND (mine.own OR NOT EXISTS (
				SELECT FROM case_file other
				WHERE other.tenant_id = o.tenant_id AND other.case_id <> o.case_id
				  AND (o.type = 'ServiceRequest' AND other.service_request_id = o.id COLLATE "default" OR o.type = 'Task' AND other.task_id = o.id COLLATE "default")
				  AND (@viewer IN (other.reader_id, other.other_reader_id, other.offered_to, other.adjudicator_id, other.supervisor_id)
				    OR other.revealed_at IS NULL AND other.final_at IS NULL AND (other.protocol = 'blinded' OR other.accepted_at IS NULL)
				    OR @decides AND other.state IN ('arbitration', 'adjudication', 'awaiting-cosign'))))
			  AND (mine.own OR NOT EXISTS (
				SELECT FROM case_file seen
				WHERE seen.tenant_id = o.tenant_id AND seen.case_id <> o.case_id AND (seen.study_uid = c.study_uid OR seen.case_id = c.sample_of)
				  AND ` + hasSeen + `))
			  AND (mine.own OR NOT EXISTS (
				SELECT FROM case_original again
				JOIN case_file seen ON seen.tenant_id = again.tenant_id AND seen.case_id = again.case_id
				WHERE again.tenant_id = o.tenant_id AND again.type = o.type AND again.id = o.id AND again.case_id <> o.case_id
				  AND ` + hasSeen + `)))
		AND NOT EXISTS (
			SELECT FROM aside a
			JOIN case_file sampled ON sampled.tenant_id = a.tenant_id AND sampled.case_id = a.case_id
			LEFT JOIN reader me ON me.tenant_id = a.tenant_id AND me.reader_id = @viewer
			WHERE a.tenant_id = r.tenant_id AND a.type = r.type AND a.id = r.id
			  AND (@viewer IN (sampled.reader_id, sampled.other_reader_id, sampled.adjudicator_id, sampled.supervisor_id)
			    OR sampled.exam->'originalReaders' ? ('Practitioner/' || me.practitioner_id)
			    OR sampled.exam->'originalReaders' @> ANY (
				SELECT to_jsonb(name) FROM jsonb_array_elements_text(coalesce(me.credential->'identifiers', '[]')) AS name)))`

// hasSeen tells of a case whether the actor has seen its original as one who had a
// part in it.
const hasSeen = `seen.revealed_at IS NOT NULL
				  AND (@viewer IN (seen.reader_id, seen.other_reader_id)
				    OR NOT seen.veiled AND (@viewer IN (seen.adjudicator_id, seen.supervisor_id) OR @cosigns AND seen.state = 'awaiting-cosign'))`

// notEarlierTask leaves out, of versions r, the earlier ones of the Task of a case that
// is not revealed yet: that it was read before, released or passed on to a second
// reader, and that the study has another case, is not for who is to read it for
// themselves.
const notEarlierTask = `NOT (r.type = 'Task'
			AND r.version < (SELECT now.version FROM resource now WHERE now.tenant_id = r.tenant_id AND now.type = 'Task' AND now.id = r.id)
			AND EXISTS (
				SELECT FROM case_file c
				WHERE c.tenant_id = r.tenant_id AND c.task_id = r.id AND c.revealed_at IS NULL
				  AND (c.protocol = 'blinded' OR c.reading NOT IN ('', 'single'))
				  AND c.state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
				  AND (@reads OR @viewer IN (c.reader_id, c.other_reader_id, c.offered_to, c.adjudicator_id))))`

// viewArgs adds to the arguments of a statement those of notHidden.
func viewArgs(actor access.Actor, args pgx.NamedArgs) pgx.NamedArgs {
	opened := []string{}
	for _, patient := range actor.Opened {
		opened = append(opened, strings.TrimPrefix(patient, "Patient/"))
	}
	args["viewer"], args["reads"], args["opened"] = actor.Viewer(), actor.ReadsHere(), opened
	args["decides"], args["cosigns"] = actor.Role != access.Reader, actor.Role == access.Supervisor
	return args
}

// Visible is Get for an actor: what blinding or a fence hides from them is as
// absent as what does not exist. One statement asks and reads, so that both are of
// one moment.
func (s *store) Visible(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, id string) (Stored, error) {
	if typ == auditEventType {
		return s.visibleEvent(ctx, tx, actor, id)
	}
	sql, args := visibleQuery(actor, typ, id)
	return one(tx.Query(ctx, sql, args))
}

// visibleEvent is Visible of an AuditEvent.
func (s *store) visibleEvent(ctx context.Context, tx pgx.Tx, actor access.Actor, id string) (Stored, error) {
	r, err := s.Get(ctx, tx, auditEventType, id)
	if err != nil {
		return Stored{}, err
	}
	if !trailWhole(actor) {
		if n, err := Parse(r.Body, Limits{}); err != nil || !toldToAuditors(n) {
			return Stored{}, notFound()
		}
	}
	if !fenceOf(actor, access.Read).admitsBody(r.Body) {
		return Stored{}, notFound()
	}
	return r, nil
}

// visibleQuery is the statement of Visible, of all types but AuditEvent.
func visibleQuery(actor access.Actor, typ, id string) (sql string, args pgx.NamedArgs) {
	b := &sqlBuilder{args: pgx.NamedArgs{"type": typ, "id": id}}
	b.visible(actor, access.Read, typ)
	return `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource r
		WHERE type = @type AND id = @id` + b.conditions(), b.args
}

// visibleVersion is Version for an actor, as Visible is Get.
func (s *store) visibleVersion(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, id string, version int64) (Stored, error) {
	if typ == auditEventType { // of which there is one version
		r, err := s.Visible(ctx, tx, actor, typ, id)
		if err == nil && r.Version != version {
			return Stored{}, notFound()
		}
		return r, err
	}
	if f := fenceOf(actor, access.Read); f != nil {
		if _, err := s.Visible(ctx, tx, actor, typ, id); err != nil {
			return Stored{}, err
		}
		r, err := s.unblindedVersion(ctx, tx, actor, typ, id, version)
		if err != nil || !f.admitsBody(r.Body) {
			return Stored{}, notFound()
		}
		return r, nil
	}
	return s.unblindedVersion(ctx, tx, actor, typ, id, version)
}

// unblindedVersion is Version, less what blinding hides.
func (s *store) unblindedVersion(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, id string, version int64) (Stored, error) {
	b := &sqlBuilder{args: pgx.NamedArgs{"type": typ, "id": id, "version": version}}
	if b.unblindedVersions(actor); b.where == nil {
		return s.Version(ctx, tx, typ, id, version)
	}
	return one(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM (
			SELECT tenant_id, type, id, version, last_updated, deleted, body
			FROM resource
			WHERE type = @type AND id = @id AND version = @version
			UNION ALL
			SELECT tenant_id, type, id, version, last_updated, deleted, body
			FROM resource_history
			WHERE type = @type AND id = @id AND version = @version
		) AS r
		WHERE true`+b.conditions()+`
		LIMIT 1`, b.args))
}

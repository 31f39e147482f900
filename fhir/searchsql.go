package fhir

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
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

// hidesOriginals tells whether blinding concerns the actor: everybody who reads,
// and in any other role whoever is a reader of the tenant too.
func hidesOriginals(actor access.Actor) bool {
	return readsHere(actor) || actor.Reader != uuid.Nil
}

// readsHere tells whether the actor comes as one who reads: from them all
// originals are withheld. Who adjudicates or supervises may have a token for each
// role, and has nothing to decide before the reveal.
func readsHere(actor access.Actor) bool {
	return actor.Role == access.Reader || actor.Role == access.Adjudicator || actor.Role == access.Supervisor
}

// viewerOf is the actor as cases name them.
func viewerOf(actor access.Actor) uuid.UUID {
	if actor.Reader != uuid.Nil {
		return actor.Reader
	}
	return actor.ID
}

// notHidden leaves out the original reports of blinded cases that are not
// revealed yet, or are veiled until a third reader has read for themselves, with all that belongs to them: of all cases for whoever comes as a
// reader (reads), and of their own cases (read by them, first, second or third, or offered to them) for
// whoever comes in another role. A case that ended unread hides
// nothing. Who has seen the original in another case goes on seeing it: its
// reader, and (decides) whoever adjudicates and supervises, but for the case that
// they read themselves; matching keeps them off the new case. What another case
// came to run on is there for its reader. Nor is anything hidden of a patient whose
// record the actor has opened in an emergency.
const notHidden = `NOT EXISTS (
			SELECT FROM case_original o
			JOIN case_file c ON c.tenant_id = o.tenant_id AND c.case_id = o.case_id
			WHERE o.tenant_id = r.tenant_id AND o.type = r.type AND o.id = r.id
			  AND c.protocol = 'blinded'
			  AND (c.revealed_at IS NULL OR c.veiled AND c.reader_id IS DISTINCT FROM @viewer AND c.other_reader_id IS DISTINCT FROM @viewer)
			  AND c.state NOT IN ('rejected', 'cancelled', 'failed', 'entered-in-error')
			  AND (@reads OR c.reader_id = @viewer OR c.other_reader_id = @viewer OR c.offered_to = @viewer OR c.adjudicator_id = @viewer)
			  AND (c.patient_id = ANY (@opened)) IS NOT TRUE
			  AND NOT EXISTS (
				SELECT FROM case_file own
				WHERE own.tenant_id = o.tenant_id AND own.case_id <> o.case_id
				  AND (o.type = 'ServiceRequest' AND own.service_request_id = o.id OR o.type = 'Task' AND own.task_id = o.id))
			  AND NOT EXISTS (
				SELECT FROM case_original other
				JOIN case_file seen ON seen.tenant_id = other.tenant_id AND seen.case_id = other.case_id
				WHERE other.tenant_id = o.tenant_id AND other.type = o.type AND other.id = o.id
				  AND c.reader_id IS DISTINCT FROM @viewer AND c.other_reader_id IS DISTINCT FROM @viewer
				  AND c.adjudicator_id IS DISTINCT FROM @viewer AND c.offered_to IS DISTINCT FROM @viewer
				  AND seen.revealed_at IS NOT NULL AND (seen.reader_id = @viewer OR seen.other_reader_id = @viewer OR @decides AND NOT c.veiled)))`

// viewArgs adds to the arguments of a statement those of notHidden.
func viewArgs(actor access.Actor, args pgx.NamedArgs) pgx.NamedArgs {
	opened := []string{}
	for _, patient := range actor.Opened {
		opened = append(opened, strings.TrimPrefix(patient, "Patient/"))
	}
	args["viewer"], args["reads"], args["decides"], args["opened"] = viewerOf(actor), readsHere(actor), actor.Role != access.Reader, opened
	return args
}

// Visible is Get for an actor: what blinding or a fence hides from them is as
// absent as what does not exist. One statement asks and reads, so that both are of
// one moment.
func (s *store) Visible(ctx context.Context, tx pgx.Tx, actor access.Actor, typ, id string) (Stored, error) {
	if typ == auditEventType {
		r, err := s.Get(ctx, tx, typ, id)
		if err == nil && !fenceOf(actor, access.Read).admitsBody(r.Body) {
			return Stored{}, notFound()
		}
		return r, err
	}
	sql, args := visibleQuery(actor, typ, id)
	return one(tx.Query(ctx, sql, args))
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
	if b.unblinded(actor); b.where == nil || typ == auditEventType {
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

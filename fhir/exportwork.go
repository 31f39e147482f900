package fhir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
)

// A batch is as much of an export as is in memory at once, and in one
// transaction. A file that is full is followed by another.
const (
	exportBatchLines = 500
	exportBatchBytes = 4 << 20
	exportFileLines  = 10_000
	exportFileBytes  = 10 << 20
	exportPatience   = 10 // failures of one batch, one after the other, until the export is given up
)

var errNoExport = errors.New("no export is to be worked on")

// ExportTick does one batch of the export that has waited longest, and says how
// many it has done: 0 when there is nothing to do. Any replica may, at any time.
func (s *Server) ExportTick(ctx context.Context) (int, error) {
	var tenant, job uuid.UUID
	err := s.db.System(ctx, func(tx pgx.Tx) (err error) {
		tenant, job = uuid.Nil, uuid.Nil
		if tenant, job, err = claimExport(ctx, tx); err != nil {
			return err
		}
		if err := pg.EnterTenant(ctx, tx, tenant); err != nil {
			return err
		}
		return s.exportBatch(ctx, tx, tenant, job)
	})
	switch {
	case errors.Is(err, errNoExport):
		return 0, nil
	case err != nil && job != uuid.Nil && ctx.Err() == nil:
		return 0, errors.Join(fmt.Errorf("export %s: %w", job, err), s.putOffExport(ctx, tenant, job))
	case err != nil:
		return 0, err
	}
	return 1, nil
}

// claimExport takes the job whose last batch is longest ago, unless another
// replica has it. It begins only when all transactions have ended that ran when
// the job was started: some of these may have given a resource a time before the
// job's and become visible after it, and the next export with _since would lack
// it. Between giving a time and writing, a transaction may rest for 15 seconds at
// most (pg.DB); once it has written it has an xid.
func claimExport(ctx context.Context, tx pgx.Tx) (tenant, job uuid.UUID, err error) {
	err = tx.QueryRow(ctx, `
		SELECT tenant_id, job_id
		FROM export_job
		WHERE state = 'running' AND `+pg.AtWork+`
		  AND (NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'virtualxid' AND l.virtualtransaction = ANY (waits_for))
		       OR started_at < now() - interval '20 seconds' AND started_xid < pg_snapshot_xmin(pg_current_snapshot()))
		  AND (failures = 0 OR worked_at + failures * interval '5 seconds' <= now())
		ORDER BY worked_at
		LIMIT 1
		FOR UPDATE SKIP LOCKED`).Scan(&tenant, &job)
	if errors.Is(err, pgx.ErrNoRows) {
		err = errNoExport
	}
	return tenant, job, err
}

// putOffExport notes that a batch failed; the next one is tried later. A job
// that only fails is given up.
func (s *Server) putOffExport(ctx context.Context, tenant, job uuid.UUID) error {
	return s.db.Finish(ctx, tenant, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE export_job
			SET failures = failures + 1, worked_at = now(),
			    state = CASE WHEN failures + 1 >= @patience THEN 'failed' ELSE state END,
			    slot = CASE WHEN failures + 1 >= @patience THEN NULL ELSE slot END
			WHERE job_id = @job AND state = 'running'`,
			pgx.NamedArgs{"job": job, "patience": exportPatience})
		return err
	})
}

// exportBatch writes the next batch of a job, whose row the transaction holds.
func (s *Server) exportBatch(ctx context.Context, tx pgx.Tx, tenant, id uuid.UUID) error {
	rows, err := tx.Query(ctx, `
		UPDATE export_job
		SET snapshot = coalesce(snapshot, pg_current_snapshot()), worked_at = clock_timestamp()
		WHERE job_id = @job
		RETURNING `+exportColumns, pgx.NamedArgs{"job": id})
	if err != nil {
		return err
	}
	job, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[exportJob])
	if err != nil {
		return err
	}
	if job.AtType > len(job.Types) {
		return s.finishExport(ctx, tx, job)
	}
	typ := job.Types[job.AtType-1]
	page, err := exportPage(ctx, tx, job, s.resources[typ])
	if err != nil {
		return err
	}
	filters, err := s.filtersOf(ctx, tx, tenant, job, typ)
	if err != nil {
		return err
	}
	lines, gone := s.exportLines(tenant, job, typ, page, filters)
	if err := appendToFile(ctx, tx, id, "output", typ, lines); err != nil {
		return err
	}
	if err := appendToFile(ctx, tx, id, "deleted", "Bundle", gone); err != nil {
		return err
	}
	at, atID := job.AtType+1, "" // an empty page: the type is through
	if len(page) > 0 {
		at, atID = job.AtType, page[len(page)-1].At
	}
	_, err = tx.Exec(ctx, `
		UPDATE export_job
		SET at_type = @at, at_id = @id, exported = exported + @lines, failures = 0
		WHERE job_id = @job`,
		pgx.NamedArgs{"job": id, "at": at, "id": atID, "lines": len(lines)})
	return err
}

func (s *Server) finishExport(ctx context.Context, tx pgx.Tx, job exportJob) error {
	_, err := tx.Exec(ctx, `
		UPDATE export_job
		SET state = 'done', slot = NULL, expires_at = @expires
		WHERE job_id = @job`,
		pgx.NamedArgs{"job": job.JobID, "expires": s.now().Add(exportLife)})
	return err
}

// exportRow is a resource as it was at the moment of the export, or nothing
// where it was not there yet (Version nil).
type exportRow struct {
	At      string // the id by which the pages go on
	Current bool   // is still what it was
	Version *int64
	Updated *time.Time
	Deleted *bool
	Body    []byte
}

// exportPage reads the next resources of a type, as they were: a version that
// was written after the job's moment, or was not visible when it began, is
// passed over for the one before it. What belongs to a patient is found by the
// index, which knows the current version; what has changed since is looked at in
// exportLines.
func exportPage(ctx context.Context, tx pgx.Tx, job exportJob, row *resourceType) ([]exportRow, error) {
	typ, belongs, aside := row.name, "", ""
	if typ != auditEventType {
		aside = ` AND ` + notAside
	}
	switch {
	case job.Scope == "system":
	case typ == "Patient" && job.Patients != nil:
		belongs = ` AND r.id = ANY (@patients::text[])`
	case typ != "Patient":
		belongs = ` AND (r.last_updated > @moment OR NOT pg_visible_in_snapshot(r.xid, @snapshot::pg_snapshot) OR EXISTS (
				SELECT FROM reference_search v
				WHERE v.type = r.type AND v.id = r.id AND v.target_type = 'Patient' AND v.param = ANY (@params)
				  AND (@patients::text[] IS NULL OR v.target_id = ANY (@patients::text[]))))`
	}
	rows, err := tx.Query(ctx, `
		WITH page AS (
			SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body, r.current, sum(octet_length(r.body)) OVER (ORDER BY r.id) AS upto
			FROM (
				SELECT r.type, r.id, r.version, r.last_updated, r.deleted, r.body,
				       r.last_updated <= @moment AND pg_visible_in_snapshot(r.xid, @snapshot::pg_snapshot) AS current
				FROM `+row.table()+` r
				WHERE r.type = @type AND r.id > @after AND (@since::timestamptz IS NULL OR r.last_updated > @since)`+belongs+aside+`
				ORDER BY r.id
				LIMIT @lines
			) AS r
		)
		SELECT p.id AS at, p.current,
		       CASE WHEN p.current THEN p.version ELSE h.version END AS version,
		       CASE WHEN p.current THEN p.last_updated ELSE h.last_updated END AS updated,
		       CASE WHEN p.current THEN p.deleted ELSE h.deleted END AS deleted,
		       CASE WHEN p.current THEN p.body ELSE h.body END AS body
		FROM page p
		LEFT JOIN LATERAL (
			SELECT h.version, h.last_updated, h.deleted, h.body
			FROM history_search h
			WHERE NOT p.current AND h.type = p.type AND h.id = p.id
			  AND h.last_updated <= @moment AND pg_visible_in_snapshot(h.xid, @snapshot::pg_snapshot)
			ORDER BY h.version DESC
			LIMIT 1
		) AS h ON true
		WHERE coalesce(p.upto, 0) - coalesce(octet_length(p.body), 0) < @bytes
		ORDER BY p.id`,
		pgx.NamedArgs{"snapshot": job.Snapshot, "since": job.Since, "type": typ, "after": job.AtID, "moment": job.TransactionTime, "lines": exportBatchLines,
			"bytes": exportBatchBytes, "patients": job.Patients, "params": patientParams(typ)})
	if err != nil {
		return nil, fmt.Errorf("page of an export: %w", err)
	}
	page, err := pgx.CollectRows(rows, pgx.RowToStructByName[exportRow])
	if err != nil {
		return nil, fmt.Errorf("page of an export: %w", err)
	}
	return page, nil
}

// exportLines are the lines of a page for the files of output and of what was
// deleted.
func (s *Server) exportLines(tenant uuid.UUID, job exportJob, typ string, page []exportRow, filters []*query) (lines, gone [][]byte) {
	var deletes []*Node
	reads, finds := job.fences(tenant)
	for _, r := range page {
		switch {
		case r.Version == nil || job.Since != nil && !r.Updated.After(*job.Since):
		case *r.Deleted:
			if reads == nil && finds == nil && job.Since != nil && (job.Scope == "system" || typ == "Patient") {
				deletes = append(deletes, Object("request", Object("method", "DELETE", "url", typ+"/"+r.At)))
			}
		case (r.Current || s.belonged(tenant, job, typ, r.Body)) && meetsOne(filters, r.Body) && reads.admitsBody(r.Body) && finds.admitsBody(r.Body):
			lines = append(lines, r.Body)
		}
	}
	if deletes != nil {
		gone = append(gone, Object("resourceType", "Bundle", "type", "transaction", "entry", deletes).Bytes())
	}
	return lines, gone
}

// fences are what the scopes of an export let its actor read and find. What was
// deleted is outside: of what it was nobody can tell.
func (j exportJob) fences(tenant uuid.UUID) (reads, finds *fence) {
	if j.Scopes == "" {
		return nil, nil
	}
	actor := access.Actor{Tenant: tenant, Role: j.ActorRole}
	var err error
	if actor.Grant, err = access.ParseGrant(j.Scopes); err != nil {
		actor.Grant = access.Grant{} // and then no type was granted
	}
	return fenceOf(actor, access.Read), fenceOf(actor, access.Search)
}

// belonged tells of a version that is no longer in the index whether it was of
// one of the patients.
func (s *Server) belonged(tenant uuid.UUID, job exportJob, typ string, body []byte) bool {
	if job.Scope == "system" || typ == "Patient" {
		return true
	}
	n, err := Parse(body, Limits{})
	if err != nil {
		return false
	}
	for _, ref := range indexOf(tenant, s.resources[n.Type()], n).references {
		if ref.typ == "Patient" && slices.Contains(patientParams(typ), ref.param) && (job.Patients == nil || slices.Contains(job.Patients, ref.id)) {
			return true
		}
	}
	return false
}

// appendToFile writes lines to the last file of their type, or to a new one when
// there is none or it is full.
func appendToFile(ctx context.Context, tx pgx.Tx, job uuid.UUID, kind, typ string, lines [][]byte) error {
	if len(lines) == 0 {
		return nil
	}
	chunk := append(bytes.Join(lines, []byte("\n")), '\n')
	_, err := tx.Exec(ctx, `
		WITH last AS (
			SELECT file_no
			FROM export_file
			WHERE job_id = @job AND kind = @kind AND type = @type AND lines + @lines <= @most_lines AND bytes < @most_bytes
			ORDER BY file_no DESC
			LIMIT 1
		), file AS (
			INSERT INTO export_file (tenant_id, job_id, file_no, kind, type, lines, bytes, chunks)
			SELECT overread_tenant(), @job,
			       coalesce((SELECT file_no FROM last), (SELECT coalesce(max(file_no), 0) + 1 FROM export_file WHERE job_id = @job)),
			       @kind, @type, @lines, @bytes, 1
			ON CONFLICT (tenant_id, job_id, file_no) DO UPDATE
			SET lines = export_file.lines + excluded.lines, bytes = export_file.bytes + excluded.bytes, chunks = export_file.chunks + 1
			RETURNING tenant_id, job_id, file_no, chunks
		)
		INSERT INTO export_chunk (tenant_id, job_id, file_no, chunk_no, body)
		SELECT tenant_id, job_id, file_no, chunks, @chunk
		FROM file`,
		pgx.NamedArgs{"job": job, "kind": kind, "type": typ, "lines": len(lines), "bytes": len(chunk), "chunk": chunk,
			"most_lines": exportFileLines, "most_bytes": exportFileBytes})
	if err != nil {
		return fmt.Errorf("write a file of an export: %w", err)
	}
	return nil
}

// exportSweep is how many chunks one transaction removes.
const exportSweep = 50

// ExpireExports removes what is left of one export that has expired or was
// cancelled, as much as fits into a transaction, and says how many it has worked
// on: 0 when nothing is left to do.
func (s *Server) ExpireExports(ctx context.Context) (worked int, err error) {
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		worked = 0
		var tenant, job uuid.UUID
		err := tx.QueryRow(ctx, `
			SELECT tenant_id, job_id
			FROM export_job
			WHERE expires_at <= now() AND `+pg.AtWork+`
			ORDER BY expires_at
			LIMIT 1
			FOR UPDATE SKIP LOCKED`).Scan(&tenant, &job)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("find expired exports: %w", err)
		}
		worked = 1
		if err := pg.EnterTenant(ctx, tx, tenant); err != nil {
			return err
		}
		return sweepExport(ctx, tx, job)
	})
	return worked, err
}

func sweepExport(ctx context.Context, tx pgx.Tx, job uuid.UUID) error {
	args := pgx.NamedArgs{"job": job, "most": exportSweep}
	tag, err := tx.Exec(ctx, `
		DELETE FROM export_chunk c
		USING (SELECT file_no, chunk_no FROM export_chunk WHERE job_id = @job LIMIT @most) AS old
		WHERE c.job_id = @job AND c.file_no = old.file_no AND c.chunk_no = old.chunk_no`, args)
	if err != nil || tag.RowsAffected() == exportSweep {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM export_file WHERE job_id = @job`, args); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `DELETE FROM export_job WHERE job_id = @job`, args)
	return err
}

package fhir

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Below the base, where a job is asked after and its files are.
const (
	exportStatusPath = "/$export-status/"
	exportFilePath   = "/$export-file/"
)

const ndjson = "application/fhir+ndjson"

// givesFiles tells of a route that answers with files, which are no FHIR JSON.
func (r route) givesFiles() bool {
	return strings.HasPrefix(r.path, "/fhir"+exportFilePath) || slices.Contains(fileRoutes, r.path)
}

// exportedFile is a row of export_file.
type exportedFile struct {
	FileNo int
	Kind   string
	Type   string
	Lines  int
	Bytes  int64
	Chunks int
}

// name is the last part of the file's address: 3-Patient.ndjson.
func (f exportedFile) name() string { return strconv.Itoa(f.FileNo) + "-" + f.Type + ".ndjson" }

// exportStatus says how a job is doing, and when it is done, where its files are:
// Bulk Data Access 2.0, "Bulk Data Status Request".
func (s *Server) exportStatus(c echo.Context, actor access.Actor) error {
	ctx := c.Request().Context()
	var job exportJob
	files, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (files []exportedFile, err error) {
		if job, err = exportOf(ctx, tx, actor, c.Param("id")); err != nil {
			return nil, err
		}
		return exportedFiles(ctx, tx, job.JobID)
	})
	if err != nil {
		return err
	}
	header := c.Response().Header()
	switch job.State {
	case "running":
		header.Set("X-Progress", fmt.Sprintf("%d resources, type %d of %d", job.Exported, min(job.AtType, len(job.Types)), len(job.Types)))
		header.Set("Retry-After", "2")
		return c.NoContent(http.StatusAccepted)
	case "failed":
		return errors.New("the export failed") // what it was is in the log
	}
	header.Set("Expires", job.ExpiresAt.UTC().Format(http.TimeFormat))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, echo.MIMEApplicationJSON, s.manifest(job, files).Bytes())
}

func exportedFiles(ctx context.Context, tx pgx.Tx, job uuid.UUID) ([]exportedFile, error) {
	rows, err := tx.Query(ctx, `
		SELECT file_no, kind, type, lines, bytes, chunks
		FROM export_file
		WHERE job_id = @job
		ORDER BY file_no`, pgx.NamedArgs{"job": job})
	if err != nil {
		return nil, fmt.Errorf("files of an export: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[exportedFile])
}

// manifest is the list of the files. It is no FHIR resource, and its lists are
// there when they are empty.
func (s *Server) manifest(job exportJob, files []exportedFile) *Node {
	lists := map[string]*Node{"output": Array(), "deleted": Array()}
	for _, f := range files {
		list := lists[f.Kind]
		list.items = append(list.items, Object("type", f.Type, "url", s.baseURL+exportFilePath+job.JobID.String()+"/"+f.name(), "count", f.Lines))
	}
	return Object(
		"transactionTime", instant(job.TransactionTime),
		"request", job.Request,
		"requiresAccessToken", true,
		"output", lists["output"],
		"deleted", lists["deleted"],
		"error", Array(),
	)
}

// exportCancel ends a job and gives its files up: Bulk Data Access 2.0, "Bulk
// Data Delete Request". The files are removed in the background.
func (s *Server) exportCancel(c echo.Context, actor access.Actor) error {
	ctx := c.Request().Context()
	err := s.db.Tenant(ctx, actor.Tenant, func(tx pgx.Tx) error {
		job, err := exportOf(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE export_job
			SET state = 'ended', slot = NULL, expires_at = now()
			WHERE job_id = @job`, pgx.NamedArgs{"job": job.JobID}); err != nil {
			return fmt.Errorf("cancel an export: %w", err)
		}
		return s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Query: "$export-cancel " + job.JobID.String(), RequestID: requestID(ctx)})
	})
	if err != nil {
		return err
	}
	return c.NoContent(http.StatusAccepted)
}

// exportFile sends one file, chunk by chunk, each in a transaction of its own: a
// slow client holds none.
func (s *Server) exportFile(c echo.Context, actor access.Actor) error {
	ctx := c.Request().Context()
	var job exportJob
	file, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (exportedFile, error) {
		var err error
		if job, err = exportOf(ctx, tx, actor, c.Param("id")); err != nil {
			return exportedFile{}, err
		}
		files, err := exportedFiles(ctx, tx, job.JobID)
		for _, f := range files {
			if f.name() == c.Param("file") && job.State == "done" {
				return f, s.audit(ctx, tx, actor, auditEntry{Interaction: "operation",
					Query: "$export-file " + job.JobID.String() + "/" + f.name(), RequestID: requestID(ctx)})
			}
		}
		if err == nil {
			err = fault.New(fault.NotFound, "the export has no such file")
		}
		return exportedFile{}, err
	})
	if err != nil {
		return err
	}
	header := c.Response().Header()
	header.Set(echo.HeaderContentType, ndjson)
	header.Set(echo.HeaderContentLength, strconv.FormatInt(file.Bytes, 10))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Expires", job.ExpiresAt.UTC().Format(http.TimeFormat))
	if c.Request().Method == http.MethodHead {
		return c.NoContent(http.StatusOK)
	}
	return s.sendChunks(c, actor, job.JobID, file)
}

func (s *Server) sendChunks(c echo.Context, actor access.Actor, job uuid.UUID, file exportedFile) error {
	ctx := c.Request().Context()
	for no := 1; no <= file.Chunks; no++ {
		chunk, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (chunk []byte, err error) {
			err = tx.QueryRow(ctx, `
				SELECT body
				FROM export_chunk
				WHERE job_id = @job AND file_no = @file AND chunk_no = @chunk`,
				pgx.NamedArgs{"job": job, "file": file.FileNo, "chunk": no}).Scan(&chunk)
			return chunk, err
		})
		switch {
		case err != nil && no == 1:
			return fmt.Errorf("chunk of an export: %w", err)
		case err != nil:
			panic(http.ErrAbortHandler) // it was removed meanwhile, or the database is away: the client must see that this is not all
		case no == 1:
			c.Response().WriteHeader(http.StatusOK)
		}
		if _, err := c.Response().Write(chunk); err != nil {
			return nil //nolint:nilerr // the client has gone
		}
	}
	return nil
}

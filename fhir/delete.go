package fhir

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// delete reads a DELETE, FHIR R4 http.html#delete. What is not there, or no
// longer, is deleted all the same; of several that meet a condition none is.
func (s *Server) delete(c echo.Context) (change, error) {
	row, err := s.rowFor(c, "delete")
	if err != nil {
		return change{}, err
	}
	wanted := change{method: http.MethodDelete, row: row, path: row.name}
	wanted.ifMatch, err = expectedForUpdate(c.Request().Header.Get("If-Match"), "")
	return wanted, err
}

// mayDelete refuses to delete what a case runs on, or has run on: its Task, its
// order, its patient, study and original report with all that belongs to it,
// and the readers of the service.
func mayDelete(ctx context.Context, tx pgx.Tx, c *change) error {
	var needed bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM case_file WHERE @type = 'Task' AND task_id = @id)
		    OR EXISTS (SELECT FROM case_file WHERE @type = 'ServiceRequest' AND service_request_id = @id)
		    OR EXISTS (SELECT FROM case_file WHERE @type = 'Patient' AND patient_id = @id)
		    OR EXISTS (SELECT FROM case_file WHERE @type = 'ImagingStudy' AND study_id = @id)
		    OR EXISTS (SELECT FROM case_file WHERE @type = 'DiagnosticReport' AND @id IN (original_report_id, report_id))
		    OR EXISTS (SELECT FROM case_original WHERE type = @type AND id = @id)
		    OR EXISTS (SELECT FROM reader WHERE @type = 'Practitioner' AND practitioner_id = @id)`,
		pgx.NamedArgs{"type": c.row.name, "id": c.id}).Scan(&needed)
	switch {
	case err != nil:
		return fmt.Errorf("who needs a %s: %w", c.row.name, err)
	case needed:
		return fault.New(fault.Conflict, "a second opinion rests on this %s, so it is kept: revoke the order or cancel the Task, or set the status entered-in-error where it has one", c.row.name)
	}
	return nil
}

// unreferred refuses deletes that would leave references which lead nowhere. It
// looks when everything of the transaction is written: what refers may be
// deleted or changed in it too. AuditEvents go on telling of what is gone.
func unreferred(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	for _, c := range changes {
		if !c.deletes() || !c.writes() {
			continue
		}
		if err := mustBeIndexed(ctx, tx); err != nil {
			return c.blame(err)
		}
		rows, err := tx.Query(ctx, `
			SELECT type, count(DISTINCT id)
			FROM reference_search
			WHERE target_type = @type AND target_id = @id
			  AND type <> 'AuditEvent' AND (type, id) <> (@type, @id)
			GROUP BY type
			ORDER BY type`,
			pgx.NamedArgs{"type": c.row.name, "id": c.id})
		if err != nil {
			return fmt.Errorf("who refers to a %s: %w", c.row.name, err)
		}
		var (
			who  []string
			typ  string
			many int
		)
		if _, err = pgx.ForEachRow(rows, []any{&typ, &many}, func() error {
			who = append(who, fmt.Sprintf("%d %s", many, typ))
			return nil
		}); err != nil {
			return fmt.Errorf("who refers to a %s: %w", c.row.name, err)
		}
		if who != nil && actor.Restricted() { // some of them may be outside its fence
			return c.blame(fault.New(fault.Conflict, "other resources refer to this %s: delete or change them first, or in the same transaction", c.row.name))
		}
		if who != nil {
			return c.blame(fault.New(fault.Conflict, "other resources refer to this %s: %s. Delete or change them first, or in the same transaction", c.row.name, strings.Join(who, ", ")))
		}
	}
	return nil
}

package fhir

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// movedSince tells whether a case that was known at a moment has since come to a patient,
// or gone from them: by a merge of records, or by a correction of its order. Then
// the cases of the patient are not those of that moment.
//
// An event says whose the case was before, where it has moved it. Those that an older release
// has written do not: then the Task as it stood at the moment, which is kept, says whose it was.
func movedSince(ctx context.Context, tx pgx.Tx, patient string, moment time.Time) (moved bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM case_event e
			JOIN case_file c ON c.tenant_id = e.tenant_id AND c.case_id = e.case_id
			WHERE e.occurred_at > @moment AND c.opened_at <= @moment
				AND (e.detail->>'patientWas' = @patient
				  OR e.detail ? 'patientWas' AND c.patient_id = @patient
				  OR NOT e.detail ? 'patientWas' AND e.event = ANY (@moving) AND (c.patient_id = @patient) <> (@reference = coalesce((
					SELECT convert_from(v.body, 'UTF8')::jsonb #>> '{for,reference}'
					FROM (
						SELECT version, last_updated, deleted, body FROM resource WHERE type = 'Task' AND id = c.task_id
						UNION ALL
						SELECT version, last_updated, deleted, body FROM resource_history WHERE type = 'Task' AND id = c.task_id
					) v
					WHERE v.last_updated <= @moment AND NOT v.deleted
					ORDER BY v.version DESC
					LIMIT 1), ''))))`,
		pgx.NamedArgs{"patient": patient, "reference": "Patient/" + patient, "moment": moment, "moving": workflow.MovingEvents()}).Scan(&moved)
	if err != nil {
		return false, fmt.Errorf("whether cases of a patient have moved: %w", err)
	}
	return moved, nil
}

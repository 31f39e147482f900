package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// MovedSinceTx tells whether a case that was known at a moment has since come to a patient,
// or gone from them: by a merge of records, or by a correction of its order. Then
// the cases of the patient are not those of that moment. Of a merge of before an event
// said whose the case had been, the one to whom it came is found, and who lost it is not.
func MovedSinceTx(ctx context.Context, tx pgx.Tx, patient string, moment time.Time) (moved bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM case_event e
			JOIN case_file c ON c.tenant_id = e.tenant_id AND c.case_id = e.case_id
			WHERE e.occurred_at > @moment AND c.opened_at <= @moment
				AND (e.detail->>'patientWas' = @patient OR c.patient_id = @patient AND (e.detail ? 'patientWas' OR e.event = 'follow-patient')))`,
		pgx.NamedArgs{"patient": patient, "moment": moment}).Scan(&moved)
	if err != nil {
		return false, fmt.Errorf("whether cases of a patient have moved: %w", err)
	}
	return moved, nil
}

func orNothing(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

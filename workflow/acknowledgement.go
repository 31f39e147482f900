package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Acknowledged is who has read something, as the EHR says it.
type Acknowledged struct {
	Person   string `json:"person,omitempty"`   // by name
	Role     string `json:"role,omitempty"`     // function: "attending physician"
	Resource string `json:"resource,omitempty"` // "Communication/1": the EHR's own resource that says so
}

// Acknowledgement is that a version of the report was read.
type Acknowledgement struct {
	ReportNo       int
	AcknowledgedAt time.Time
	ActorID        uuid.UUID
	ActorRole      string
	Content        Acknowledged
}

var noteAcknowledgement = Effect{"noteAcknowledgement", "who has read which version is on record; findings that the version tells of are acknowledged with it, but for emergent ones",
	func(ctx context.Context, t *turn) error {
		a := Acknowledgement{ReportNo: t.c.ReportNo, AcknowledgedAt: t.now, ActorID: t.actor.ID, ActorRole: string(t.actor.Role), Content: t.in.Acknowledged}
		if err := t.ledger.insertAcknowledgement(ctx, t.c.CaseID, a); err != nil {
			return err
		}
		t.detail["reportNo"] = t.c.ReportNo
		report, err := t.ledger.lastReport(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		all, err := t.ledger.matters(ctx, t.c.CaseID)
		if err != nil {
			return err
		}
		for _, f := range report.Findings {
			if m := all[f.No-1]; m.Open() && !m.isEmergent() {
				closing := Closing{Person: t.in.Acknowledged.Person, Role: t.in.Acknowledged.Role}
				if err := t.settleMatter(ctx, m, "acknowledged", closing, report.No); err != nil {
					return err
				}
			}
		}
		return nil
	}}

func insertAcknowledgementTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, a Acknowledgement) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO acknowledgement (tenant_id, case_id, report_no, acknowledged_at, actor_id, actor_role, content)
		VALUES (overread_tenant(), @case, @no, @now, @actor, @role, @content)
		ON CONFLICT DO NOTHING`, // read before an amendment that was dropped
		pgx.NamedArgs{"case": caseID, "no": a.ReportNo, "now": a.AcknowledgedAt, "actor": a.ActorID, "role": a.ActorRole, "content": a.Content})
	if err != nil {
		return fmt.Errorf("note the acknowledgement: %w", err)
	}
	return nil
}

// AcknowledgementsTx returns which versions of a case's report were read, the
// first one first.
func AcknowledgementsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Acknowledgement, error) {
	rows, err := tx.Query(ctx, `
		SELECT report_no, acknowledged_at, actor_id, actor_role, content
		FROM acknowledgement
		WHERE case_id = $1
		ORDER BY report_no`, caseID)
	if err != nil {
		return nil, fmt.Errorf("acknowledgements: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Acknowledgement])
}

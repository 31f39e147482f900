package workflow

import (
	"cmp"
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
	ReadingNo      int // of the version: 1 is the first that it was read
	AcknowledgedAt time.Time
	ActorID        uuid.UUID
	ActorRole      string
	Content        Acknowledged
}

// ofOlderVersion: what a clinician has read may not be what holds now. Of each
// version it is known who has read it; only that of the one in force ends the case.
var ofOlderVersion = &Choice{"ofOlderVersion", "what was read is an older version of the report: the one in force waits to be read as before",
	func(_ context.Context, t *turn) (bool, error) {
		return t.in.ReportNo > 0 && t.in.ReportNo < t.c.ReportNo, nil
	}}

var noteAcknowledgement = Effect{"noteAcknowledgement", "who has read which version is on record; findings that the version tells of are acknowledged with it, but for emergent ones",
	func(ctx context.Context, t *turn) error {
		no := cmp.Or(t.in.ReportNo, t.c.ReportNo)
		a := Acknowledgement{ReportNo: no, AcknowledgedAt: t.now, ActorID: t.actor.ID, ActorRole: string(t.actor.Role), Content: t.in.Acknowledged}
		if err := t.ledger.insertAcknowledgement(ctx, t.c.CaseID, a); err != nil {
			return err
		}
		t.detail["reportNo"] = no
		if no < t.c.ReportNo {
			t.detail["inForce"] = t.c.ReportNo
		}
		report, err := t.ledger.report(ctx, t.c.CaseID, no)
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

var stopWaiting = Effect{"stopWaiting", "the version in force is read: if the amendment is dropped, nobody has to acknowledge it again",
	func(_ context.Context, t *turn) error {
		t.c.ClosedAt = &t.now
		return nil
	}}

func insertAcknowledgementTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, a Acknowledgement) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO acknowledgement (tenant_id, case_id, report_no, reading_no, acknowledged_at, actor_id, actor_role, content)
		SELECT overread_tenant(), @case, @no, 1 + count(*), @now, @actor, @role, @content
		FROM acknowledgement
		WHERE case_id = @case AND report_no = @no`,
		pgx.NamedArgs{"case": caseID, "no": a.ReportNo, "now": a.AcknowledgedAt, "actor": a.ActorID, "role": a.ActorRole, "content": a.Content})
	if err != nil {
		return fmt.Errorf("note the acknowledgement: %w", err)
	}
	return nil
}

// AcknowledgementsTx returns which versions of a case's report were read, the
// first one first.
func AcknowledgementsTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Acknowledgement, error) {
	by, err := AcknowledgementsOfTx(ctx, tx, []uuid.UUID{caseID})
	return by[caseID], err
}

// AcknowledgementsOfTx is AcknowledgementsTx of several cases at once.
func AcknowledgementsOfTx(ctx context.Context, tx pgx.Tx, cases []uuid.UUID) (map[uuid.UUID][]Acknowledgement, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id, report_no, reading_no, acknowledged_at, actor_id, actor_role, content
		FROM acknowledgement
		WHERE case_id = ANY ($1)
		ORDER BY case_id, report_no, reading_no`, cases)
	if err != nil {
		return nil, fmt.Errorf("acknowledgements: %w", err)
	}
	return perCase(rows, func(r struct {
		CaseID uuid.UUID
		Acknowledgement
	}) (uuid.UUID, Acknowledgement) {
		return r.CaseID, r.Acknowledgement
	})
}

// VersionReadTx returns which version of its report a case's clinician can have read
// at a moment, where they do not say which: the last one that an EHR had got by
// then; where none had got any, the last one that was signed by then. Whoever had
// the older one before them has not read the newer.
func VersionReadTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, at time.Time) (no int, err error) {
	err = tx.QueryRow(ctx, `
		WITH version AS (
			SELECT r.report_no, r.signed_at, CASE WHEN count(d.report_no) = 0 THEN r.signed_at ELSE min(d.done_at) END AS arrived_at
			FROM signed_report r
			LEFT JOIN delivery d ON d.tenant_id = r.tenant_id AND d.case_id = r.case_id AND d.report_no = r.report_no AND d.lane = 'report'
			WHERE r.case_id = @case
			GROUP BY r.tenant_id, r.case_id, r.report_no
		)
		SELECT coalesce(max(report_no) FILTER (WHERE arrived_at <= @at), max(report_no) FILTER (WHERE signed_at <= @at), min(report_no), 0)
		FROM version`,
		pgx.NamedArgs{"case": caseID, "at": at}).Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("which version was read: %w", err)
	}
	return no, nil
}

// VersionAtTx returns which version of its report a case's destination keeps at an
// address, 0 where that is not known: an EHR may number no versions, or keep its own.
func VersionAtTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, address string) (no int, err error) {
	err = tx.QueryRow(ctx, `
		SELECT CASE WHEN count(DISTINCT d.report_no) = 1 THEN min(d.report_no) ELSE 0 END
		FROM delivery d
		JOIN destination at ON at.tenant_id = d.tenant_id AND at.destination = d.destination
		WHERE d.case_id = @case AND d.lane = 'report' AND d.report_no > 0 AND at.base_url || '/' || d.location = @address`,
		pgx.NamedArgs{"case": caseID, "address": address}).Scan(&no)
	if err != nil {
		return 0, fmt.Errorf("which version is kept there: %w", err)
	}
	return no, nil
}

package workflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

const caseColumns = `
	tenant_id, case_id, version, state, resume_state, priority, placer_system, placer_value, service_request_id,
	service_request_ref, task_id, patient_id, study_id, study_uid, accession, original_report_id,
	original_report_version, exam, protocol, reading, protocol_why, comparable, policy, policy_version, policy_sha256, waived, findings, correction, reader_id, other_reader_id,
	opinion_no, settled, returned_at, veiled, adjudicator_id,
	supervisor_id, offered_to, declined, lapsed, offer_round, conflicted, report_id, report_no, report_status, error_proposed_by, opened_at,
	complete_at, accepted_at, locked_at, revealed_at, final_at, closed_at, sample_of`

// CaseByIDTx returns a case of the transaction's tenant; a fault of kind
// NotFound when there is none.
func CaseByIDTx(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Case, error) {
	return queryCase(ctx, tx, `case_id = $1`, id)
}

// casesByIDTx returns those cases of the transaction's tenant, by their ids.
func casesByIDTx(ctx context.Context, tx pgx.Tx, ids []uuid.UUID) (map[uuid.UUID]*Case, error) {
	rows, err := tx.Query(ctx, `SELECT `+caseColumns+` FROM case_file WHERE case_id = ANY ($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Case])
	if err != nil {
		return nil, fmt.Errorf("cases: %w", err)
	}
	by := make(map[uuid.UUID]*Case, len(all))
	for _, c := range all {
		by[c.CaseID] = c
	}
	return by, nil
}

// CaseByTaskTx returns the case of a Coordination Task, as CaseByIDTx.
func CaseByTaskTx(ctx context.Context, tx pgx.Tx, taskID string) (Case, error) {
	return queryCase(ctx, tx, `task_id = $1`, taskID)
}

// CasesByTaskTx are those cases of Coordination Tasks that are there, by their Tasks.
func CasesByTaskTx(ctx context.Context, tx pgx.Tx, tasks []string) (map[string]Case, error) {
	rows, err := tx.Query(ctx, `SELECT `+caseColumns+` FROM case_file WHERE task_id = ANY ($1)`, tasks)
	if err != nil {
		return nil, fmt.Errorf("cases of Tasks: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[Case])
	if err != nil {
		return nil, fmt.Errorf("cases of Tasks: %w", err)
	}
	by := make(map[string]Case, len(all))
	for _, c := range all {
		by[c.TaskID] = c
	}
	return by, nil
}

// CaseByPlacerTx returns the case of a placer order number, as CaseByIDTx.
func CaseByPlacerTx(ctx context.Context, tx pgx.Tx, system, value string) (Case, error) {
	return queryCase(ctx, tx, `placer_system = $1 AND placer_value = $2`, system, value)
}

// CaseByServiceRequestTx returns the case of our copy of an order, as
// CaseByIDTx.
func CaseByServiceRequestTx(ctx context.Context, tx pgx.Tx, id string) (Case, error) {
	return queryCase(ctx, tx, `service_request_id = $1`, id)
}

// CasesWaitingTx returns the cases that are not signed that a
// resource about these patients may concern: those of the patients and those
// whose patient is not known yet; all of them where one is "". Give their ids
// to Engine.RecheckTx.
func CasesWaitingTx(ctx context.Context, tx pgx.Tx, patients ...string) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE state = ANY(@open) AND ('' = ANY (@patients) OR patient_id IS NULL OR patient_id = ANY (@patients))
		ORDER BY case_id`,
		pgx.NamedArgs{"open": join(unsigned, in(OnHold)), "patients": patients})
	if err != nil {
		return nil, fmt.Errorf("waiting cases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// CasesSignedTx returns the cases of these patients that are signed, whose report may
// turn out to rest on the reading of who read first. Give their ids to
// Engine.RecheckTx. Second reads for quality are none.
func CasesSignedTx(ctx context.Context, tx pgx.Tx, patients ...string) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE state = ANY(@signed) AND patient_id = ANY (@patients) AND sample_of IS NULL
		ORDER BY case_id`,
		pgx.NamedArgs{"signed": join(signed, in(Amending)), "patients": patients})
	if err != nil {
		return nil, fmt.Errorf("signed cases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// CasesSignedOfTx are those of CasesSignedTx that are of one of these studies, by the id
// here, or were compared with one of these reports.
func CasesSignedOfTx(ctx context.Context, tx pgx.Tx, studies, reports []string, patients ...string) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE state = ANY(@signed) AND patient_id = ANY (@patients) AND sample_of IS NULL
		  AND (study_id = ANY (@studies) OR original_report_id = ANY (@reports))
		ORDER BY case_id`,
		pgx.NamedArgs{"signed": join(signed, in(Amending)), "patients": patients, "studies": studies, "reports": reports})
	if err != nil {
		return nil, fmt.Errorf("signed cases of a study: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// CasesReadingTx returns the blinded cases before the reveal, or on hold, or with a
// third reader who is not to know yet, of any of these studies, by the id here or by Study Instance UID.
func CasesReadingTx(ctx context.Context, tx pgx.Tx, studies, uids []string) ([]uuid.UUID, error) {
	rows, err := tx.Query(ctx, `
		SELECT case_id
		FROM case_file
		WHERE (study_id = ANY (@studies) OR study_uid = ANY (@uids))
		  AND protocol = 'blinded' AND (revealed_at IS NULL AND state = ANY (@open) OR veiled)`,
		pgx.NamedArgs{"studies": studies, "uids": uids, "open": join(beforeAcceptance, beforeReveal, in(OnHold))})
	if err != nil {
		return nil, fmt.Errorf("cases of a study: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
}

// CasesOfStudyTx are the other cases of a study that is here or has this UID, and
// of a second read for quality the one that it reads again.
func CasesOfStudyTx(ctx context.Context, tx pgx.Tx, c Case, study, uid string) ([]Case, error) {
	rows, err := tx.Query(ctx, `
		SELECT `+caseColumns+`
		FROM case_file
		WHERE (study_id = nullif(@study, '') OR study_uid = nullif(@uid, '') OR case_id = @sampled) AND case_id <> @case
		ORDER BY case_id`,
		pgx.NamedArgs{"study": study, "uid": uid, "sampled": c.SampleOf, "case": c.CaseID})
	if err != nil {
		return nil, fmt.Errorf("other cases of a study: %w", err)
	}
	cases, err := pgx.CollectRows(rows, pgx.RowToStructByName[Case])
	if err != nil {
		return nil, fmt.Errorf("other cases of a study: %w", err)
	}
	return cases, nil
}

// lockCase is CaseByIDTx that holds the row until the transaction ends.
func lockCase(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Case, error) {
	return queryCase(ctx, tx, `case_id = $1 FOR UPDATE`, id)
}

// tryLockCase is lockCase that does not wait; NotFound when somebody else
// holds the row.
func tryLockCase(ctx context.Context, tx pgx.Tx, id uuid.UUID) (Case, error) {
	return queryCase(ctx, tx, `case_id = $1 FOR UPDATE SKIP LOCKED`, id)
}

func queryCase(ctx context.Context, tx pgx.Tx, where string, args ...any) (Case, error) {
	rows, err := tx.Query(ctx, `SELECT `+caseColumns+` FROM case_file WHERE `+where, args...)
	if err != nil {
		return Case{}, fmt.Errorf("case: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Case])
	if errors.Is(err, pgx.ErrNoRows) {
		return Case{}, fault.New(fault.NotFound, "there is no such case")
	}
	if err != nil {
		return Case{}, fmt.Errorf("case: %w", err)
	}
	return c, nil
}

// insertCase writes a new case; inserted is false when the placer's order has
// one already. The insert of the same order waits for the first one's commit.
func insertCase(ctx context.Context, tx pgx.Tx, c *Case) (inserted bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value,
		                       service_request_id, service_request_ref, task_id, patient_id, exam, protocol, reading, protocol_why,
		                       policy, policy_version, policy_sha256, opened_at, waived, sample_of)
		VALUES (@tenant_id, @case_id, @version, @state, @priority, @placer_system, @placer_value,
		        @service_request_id, @service_request_ref, @task_id, @patient_id, @exam, @protocol, @reading, @protocol_why,
		        @policy, @policy_version, @policy_sha256, @opened_at, @waived, @sample_of)
		ON CONFLICT ON CONSTRAINT one_case_per_placer_order DO NOTHING`,
		pgx.NamedArgs{
			"tenant_id": c.TenantID, "case_id": c.CaseID, "version": c.Version, "state": c.State, "priority": c.Priority,
			"placer_system": c.PlacerSystem, "placer_value": c.PlacerValue, "service_request_id": c.ServiceRequestID,
			"service_request_ref": c.ServiceRequestRef, "task_id": c.TaskID, "patient_id": c.PatientID, "exam": c.Exam,
			"protocol": c.Protocol, "reading": c.Reading, "protocol_why": c.ProtocolWhy, "policy": c.Policy, "policy_version": c.PolicyVersion, "policy_sha256": c.PolicySHA256, "opened_at": c.OpenedAt,
			"waived": listed(c.Waived), "sample_of": c.SampleOf,
		})
	if err != nil {
		return false, fmt.Errorf("insert case: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// updateCase writes the case over the version before it. It returns a fault of
// kind Conflict when that version is no longer the one in the table.
func updateCase(ctx context.Context, tx pgx.Tx, c *Case) error {
	tag, err := tx.Exec(ctx, `
		UPDATE case_file
		SET version = @version, state = @state, resume_state = @resume_state, patient_id = @patient_id,
		    study_id = @study_id, study_uid = @study_uid, accession = @accession,
		    original_report_id = @original_report_id, original_report_version = @original_report_version,
		    exam = @exam, protocol = @protocol, reading = @reading, protocol_why = @protocol_why, comparable = @comparable,
		    waived = @waived, findings = @findings, correction = @correction, priority = @priority, reader_id = @reader_id, other_reader_id = @other_reader_id,
		    opinion_no = @opinion_no, settled = @settled, returned_at = @returned_at, veiled = @veiled, adjudicator_id = @adjudicator_id, supervisor_id = @supervisor_id,
		    offered_to = @offered_to, declined = @declined, lapsed = @lapsed, offer_round = @offer_round, conflicted = @conflicted,
		    report_id = @report_id, report_no = @report_no, report_status = @report_status,
		    error_proposed_by = @error_proposed_by, complete_at = @complete_at, accepted_at = @accepted_at,
		    locked_at = @locked_at, revealed_at = @revealed_at, final_at = @final_at, closed_at = @closed_at
		WHERE case_id = @case_id AND version = @version - 1`,
		pgx.NamedArgs{
			"case_id": c.CaseID, "version": c.Version, "state": c.State, "resume_state": c.ResumeState,
			"patient_id": c.PatientID, "study_id": c.StudyID, "study_uid": c.StudyUID, "accession": c.Accession,
			"original_report_id": c.OriginalReportID, "original_report_version": c.OriginalReportVersion,
			"exam": c.Exam, "comparable": c.Comparable, "waived": listed(c.Waived), "findings": listed(c.Findings), "correction": c.Correction, "priority": c.Priority,
			"protocol": c.Protocol, "reading": c.Reading, "protocol_why": c.ProtocolWhy,
			"reader_id": c.ReaderID, "other_reader_id": c.OtherReaderID, "opinion_no": c.OpinionNo, "settled": c.Settled, "returned_at": c.ReturnedAt, "veiled": c.Veiled,
			"adjudicator_id": c.AdjudicatorID, "supervisor_id": c.SupervisorID,
			"offered_to": c.OfferedTo, "declined": listed(c.Declined), "lapsed": listed(c.Lapsed), "offer_round": c.OfferRound, "conflicted": listed(c.Conflicted),
			"report_id": c.ReportID, "report_no": c.ReportNo, "report_status": c.ReportStatus,
			"error_proposed_by": c.ErrorProposedBy, "complete_at": c.CompleteAt, "accepted_at": c.AcceptedAt,
			"locked_at": c.LockedAt, "revealed_at": c.RevealedAt, "final_at": c.FinalAt, "closed_at": c.ClosedAt,
		})
	if err != nil {
		return fmt.Errorf("update case: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return fault.New(fault.Conflict, "somebody else changed the case at the same time; read it and try again")
	}
	return nil
}

// insertEvent appends to the history of the case.
func insertEvent(ctx context.Context, tx pgx.Tx, ch Change, detail map[string]any) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO case_event (tenant_id, case_id, seq, occurred_at, event, from_state, to_state, actor_role, actor_id, detail)
		VALUES (@tenant_id, @case_id, @seq, @occurred_at, @event, nullif(@from_state::text, ''), @to_state, @actor_role, nullif(@actor_id::uuid, @nobody::uuid), @detail)`,
		pgx.NamedArgs{
			"tenant_id": ch.Case.TenantID, "case_id": ch.Case.CaseID, "seq": ch.Case.Version, "occurred_at": ch.At,
			"event": ch.Event, "from_state": string(ch.Before), "to_state": ch.Case.State, "actor_role": ch.Actor.Role,
			"actor_id": ch.Actor.ID, "nobody": uuid.Nil, "detail": detail,
		})
	if err != nil {
		return fmt.Errorf("insert case event: %w", err)
	}
	return nil
}

// Record is one row of a case's history.
type Record struct {
	Seq        int64
	OccurredAt time.Time
	Event      Event
	FromState  *State // nil for the first
	ToState    State
	ActorRole  string
	ActorID    *uuid.UUID // nil for the system
	Detail     json.RawMessage
}

// HistoryTx returns what happened to a case, the oldest first.
func HistoryTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) ([]Record, error) {
	rows, err := tx.Query(ctx, `
		SELECT seq, occurred_at, event, from_state, to_state, actor_role, actor_id, detail
		FROM case_event
		WHERE case_id = $1
		ORDER BY seq`, caseID)
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Record])
}

// listed is the list itself, empty rather than NULL.
func listed[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// canonical is the value as JSON in the one form that anybody can make again
// (RFC 8785), with its SHA-256.
func canonical(v any) (text []byte, sum [sha256.Size]byte, err error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, sum, fmt.Errorf("canonical JSON: %w", err)
	}
	value := jsontext.Value(raw)
	if err := value.Canonicalize(); err != nil {
		return nil, sum, fmt.Errorf("canonical JSON: %w", err)
	}
	return value, sha256.Sum256(value), nil
}

func hexOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }

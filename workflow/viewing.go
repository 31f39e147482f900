package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Viewing is what somebody may be shown of the images of a case in this moment
// (docs/images.md).
type Viewing struct {
	Tenant   uuid.UUID
	Archives []Archive
	Studies  []ViewedStudy // the case's own first, then the patient's others, the latest first
	Own      string        // the address of the case's study in the hospital's viewer, "" for none
}

// ViewedStudy is a study that they may see.
type ViewedStudy struct {
	UID    string
	Prior  bool
	Alike  bool // of those of before the one to compare with
	Title  string
	On     time.Time
	Number string // accession number
	Veiled bool   // they read blind: nothing of it but what the modality has made
}

// Of is a study, and whether it is among them. One that is not is veiled.
func (v Viewing) Of(uid string) (ViewedStudy, bool) {
	for _, s := range v.Studies {
		if s.UID == uid {
			return s, true
		}
	}
	return ViewedStudy{Veiled: true}, false
}

// Vanished are the states of cases that ended without being read: nothing of their
// images is shown any more.
var Vanished = in(Rejected, Cancelled, Failed, EnteredInError)

// ArchivesTx are the PACS of the tenant.
func ArchivesTx(ctx context.Context, tx pgx.Tx) ([]Archive, error) {
	rows, err := tx.Query(ctx, `
		SELECT pacs AS name, base_url, credential_file, issuers, timeout_ms * interval '1 millisecond' AS timeout,
		       coalesce(breaker_until > now(), false) AS resting
		FROM pacs
		ORDER BY pacs`)
	if err != nil {
		return nil, fmt.Errorf("PACS of the tenant: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Archive])
}

// StudySeenTx is the UID by which the PACS knows the study of a case, where the
// ImagingStudy has none; "" where the PACS was not asked, or has not got it.
func StudySeenTx(ctx context.Context, tx pgx.Tx, c Case) (uid string, err error) {
	err = tx.QueryRow(ctx, `SELECT coalesce(max(seen->>'uid'), '') FROM pacs_look WHERE case_id = $1 AND answer = 'found'`, c.CaseID).Scan(&uid)
	return uid, err
}

// IsUID tells whether a text is a DICOM UID (PS3.5 section 9.1).
func IsUID(text string) bool { return isUID(text) }

// OpenImagesTx notes that somebody has been shown images of a study, and tells
// whether that is the first time in their session. What was noted longer ago than any
// session lasts is forgotten.
func OpenImagesTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, session, task, study string) (first bool, err error) {
	tag, err := tx.Exec(ctx, `
		INSERT INTO image_opening (tenant_id, session, task_id, study_uid)
		VALUES (@tenant, @session, @task, @study)
		ON CONFLICT DO NOTHING`,
		pgx.NamedArgs{"tenant": tenant, "session": session, "task": task, "study": study})
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM image_opening WHERE opened_at < now() - interval '8 days'`)
	return true, err
}

package pg_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/pgtest"
)

// rows has one row for every table of a tenant's, by table.
var rows = map[string]string{
	"tenant":             `INSERT INTO tenant (tenant_id, name, display) VALUES (@tenant, 't-' || @tenant::uuid, 'T')`,
	"token":              `INSERT INTO token (tenant_id, token_sha256, actor_id, role, display) VALUES (@tenant, sha256(uuid_send(@tenant)), @tenant, 'placer', 'EHR')`,
	"destination":        `INSERT INTO destination (tenant_id, destination, base_url) VALUES (@tenant, 'ehr', 'https://ehr.example/fhir')`,
	"pacs":               `INSERT INTO pacs (tenant_id, pacs, base_url) VALUES (@tenant, 'archive', 'https://pacs.example/dicom-web')`,
	"pacs_look":          `INSERT INTO pacs_look (tenant_id, case_id, study_uid) VALUES (@tenant, @tenant, '2.25.1')`,
	"reader":             `INSERT INTO reader (tenant_id, reader_id, practitioner_id, display, credential) VALUES (@tenant, @tenant, 'p', 'Dr. R', '{}')`,
	"reader_credential":  `INSERT INTO reader_credential (tenant_id, reader_id, seq, source, said_at, said_by, document) VALUES (@tenant, @tenant, 1, 'operator', now(), 'me', '{}')`,
	"batch_run":          `INSERT INTO batch_run (tenant_id, due_at) VALUES (@tenant, now())`,
	"tenant_policy":      `INSERT INTO tenant_policy (tenant_id, version, set_by, text, document, text_sha256) VALUES (@tenant, 1, 'me', '{}', '{}', sha256('{}'))`,
	"resource":           `INSERT INTO resource (tenant_id, type, id, version, last_updated, body) VALUES (@tenant, 'Patient', 'p', 1, now(), '{}')`,
	"resource_history":   `INSERT INTO resource_history (tenant_id, type, id, version, last_updated, deleted, body) VALUES (@tenant, 'Patient', 'p', 1, now(), false, '{}')`,
	"resource_date":      `INSERT INTO resource_date (tenant_id, type, id, param, low, high) VALUES (@tenant, 'Patient', 'p', 'birthdate', now(), now())`,
	"resource_string":    `INSERT INTO resource_string (tenant_id, type, id, param, folded, exact) VALUES (@tenant, 'Patient', 'p', 'name', 'a', 'A')`,
	"resource_reference": `INSERT INTO resource_reference (tenant_id, type, id, param, target_type, target_id) VALUES (@tenant, 'Patient', 'p', 'organization', 'Organization', 'o')`,
	"resource_quantity":  `INSERT INTO resource_quantity (tenant_id, type, id, param, low, high) VALUES (@tenant, 'Observation', 'p', 'value-quantity', 1, 2)`,
	"resource_sort":      `INSERT INTO resource_sort (tenant_id, type, id, param, value, lowest, highest) VALUES (@tenant, 'Patient', 'p', 'family', 'x', true, true)`,
	"resource_origin":    `INSERT INTO resource_origin (tenant_id, type, id, ehr_id) VALUES (@tenant, 'Patient', 'p', 'example')`,
	"conditional_claim":  `INSERT INTO conditional_claim (tenant_id, query_hash) VALUES (@tenant, sha256(''))`,
	"receipt":            `INSERT INTO receipt (tenant_id, body_sha256) VALUES (@tenant, sha256(''))`,
	"audit_event":        `INSERT INTO audit_event (tenant_id, audit_id, recorded_at, body) VALUES (@tenant, @tenant, now(), '{}')`,
	"audit_pending":      `INSERT INTO audit_pending (tenant_id, audit_id, recorded_at) VALUES (@tenant, @tenant, now())`,
	"audit_inbox":        `INSERT INTO audit_inbox (tenant_id, batch_id, recorded_at, size, records) VALUES (@tenant, @tenant, now(), 1, '{}')`,
	"audit_leaf":         `INSERT INTO audit_leaf (tenant_id, index, audit_id, recorded_at, leaf) VALUES (@tenant, 0, @tenant, now(), sha256(''))`,
	"audit_hash":         `INSERT INTO audit_hash (tenant_id, hash_index, hash) VALUES (@tenant, 0, sha256(''))`,
	"audit_checkpoint":   `INSERT INTO audit_checkpoint (tenant_id, size, root, signed_at, note) VALUES (@tenant, 1, sha256(''), now(), '')`,
	"audit_outside":      `INSERT INTO audit_outside (tenant_id) VALUES (@tenant)`,
	"case_file": `INSERT INTO case_file (tenant_id, case_id, version, state, priority, placer_system, placer_value, service_request_ref, task_id, protocol, policy, opened_at)
	              VALUES (@tenant, @tenant, 1, 'received', 'routine', 's', 'v', 'ServiceRequest/1', '1', 'blinded', '{}', now())`,
	"case_event":    `INSERT INTO case_event (tenant_id, case_id, seq, occurred_at, event, to_state, actor_role) VALUES (@tenant, @tenant, 1, now(), 'open', 'received', 'placer')`,
	"case_wait":     `INSERT INTO case_wait (tenant_id, case_id, wait_no, party, reason, stops, began_at) VALUES (@tenant, @tenant, 1, 'placer', 'held', true, now())`,
	"case_notice":   `INSERT INTO case_notice (tenant_id, case_id, seq, person_id, event, priority, told_at) VALUES (@tenant, @tenant, 1, @tenant, 'hold', 'routine', now())`,
	"patient_merge": `INSERT INTO patient_merge (tenant_id, patient_id, into_id) VALUES (@tenant, 'p', 'q')`,
	"escalation": `INSERT INTO escalation (tenant_id, case_id, clock, clock_started_at, stage, rule, link, escalation_id, tell, ways, told_at)
	               VALUES (@tenant, @tenant, 'final', now(), 100, 0, 0, @tenant, 'coordinator', '{page}', now())`,
	"matter": `INSERT INTO matter (tenant_id, case_id, matter_no, kind, category, request_key, content, opened_at, opened_role, due_at)
	           VALUES (@tenant, @tenant, 1, 'finding', 'urgent', 'k', '{}', now(), 'reader', now())`,
	"matter_call": `INSERT INTO matter_call (tenant_id, case_id, matter_no, call_no, made_at, recorded_at, recorded_by, recorded_role, reached, content)
	                VALUES (@tenant, @tenant, 1, 1, now(), now(), @tenant, 'reader', true, '{}')`,
	"acknowledgement":     `INSERT INTO acknowledgement (tenant_id, case_id, report_no, acknowledged_at, actor_id, actor_role, content) VALUES (@tenant, @tenant, 1, now(), @tenant, 'placer', '{}')`,
	"mail":                `INSERT INTO mail (tenant_id, mail_id, case_id, escalation_id, recipient) VALUES (@tenant, @tenant, @tenant, @tenant, 'desk@clinic.example')`,
	"case_original":       `INSERT INTO case_original (tenant_id, case_id, type, id) VALUES (@tenant, @tenant, 'DiagnosticReport', 'd')`,
	"opinion":             `INSERT INTO opinion (tenant_id, case_id, opinion_no, reader_id, status, content, saved_at) VALUES (@tenant, @tenant, 1, @tenant, 'draft', '{}', now())`,
	"grade":               `INSERT INTO grade (tenant_id, case_id, grade_no, graded_by, role, graded_at, level, content) VALUES (@tenant, @tenant, 1, @tenant, 'reader', now(), 'none', '{}')`,
	"signed_report":       `INSERT INTO signed_report (tenant_id, case_id, report_no, status, signed_by, signed_at, content, content_sha256) VALUES (@tenant, @tenant, 1, 'final', @tenant, now(), '{}', sha256(''))`,
	"clinician_judgement": `INSERT INTO clinician_judgement (tenant_id, case_id, judgement_no, management, judged_by, judged_at) VALUES (@tenant, @tenant, 1, 'none', @tenant, now())`,
	"ground_truth": `INSERT INTO ground_truth (tenant_id, case_id, truth_no, who_right, source, found_on, recorded_by, role, recorded_at)
	                 VALUES (@tenant, @tenant, 1, 'first', 'pathology', now(), @tenant, 'placer', now())`,
	"learning_point": `INSERT INTO learning_point (tenant_id, case_id, point_no, text, added_by, added_at) VALUES (@tenant, @tenant, 1, 'look', @tenant, now())`,
	"feedback":       `INSERT INTO feedback (tenant_id, feedback_id, case_id, report_no, reader_id, kind, made_at) VALUES (@tenant, @tenant, @tenant, 1, @tenant, 'difference', now())`,
	"quality_review": `INSERT INTO quality_review (tenant_id, case_id, review_no, reason, opened_at) VALUES (@tenant, @tenant, 1, 'because', now())`,
	"measure_word":   `INSERT INTO measure_word (tenant_id, word_no, word) VALUES (@tenant, 1, 'CT')`,
	"measure_fact": `INSERT INTO measure_fact (tenant_id, case_id, known_from, period_at, opened_at, excluded, no_comparison, modality, body_region, subspecialty, site, original_reader, second_reader, reason, priority, oncologic, blinding, priors, asymmetry, setting, reading)
	                 VALUES (@tenant, @tenant, now(), now(), now(), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)`,
	"measure_fact_past": `INSERT INTO measure_fact_past (tenant_id, case_id, known_from, known_until, period_at, opened_at, excluded, no_comparison, modality, body_region, subspecialty, site, original_reader, second_reader, reason, priority, oncologic, blinding, priors, asymmetry, setting, reading)
	                      VALUES (@tenant, @tenant, now(), now() + interval '1 second', now(), now(), 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)`,
	"saved_query":         `INSERT INTO saved_query (tenant_id, query_id, title, query, role, made_by, made_at) VALUES (@tenant, @tenant, 'Quarter', 'measure=Measure/agreement', 'quality', @tenant, now())`,
	"kept_report":         `INSERT INTO kept_report (tenant_id, query_id, starts_on, made_at, report) VALUES (@tenant, @tenant, '2026-01-01', now(), '{}')`,
	"measure_publication": `INSERT INTO measure_publication (tenant_id, starts_on, from_at, to_at, as_of, made_at, scheme, content) VALUES (@tenant, '2026-01-01', '2026-01-01', '2026-04-01', '2026-05-01', now(), '1', '{}')`,
	"measure_build":       `INSERT INTO measure_build (tenant_id) VALUES (@tenant)`,
	"meeting_pack":        `INSERT INTO meeting_pack (tenant_id, pack_id, title, made_by, made_at, content) VALUES (@tenant, @tenant, 'November', @tenant, now(), '{}')`,
	"sampling_secret":     `INSERT INTO sampling_secret (tenant_id, secret) VALUES (@tenant, sha256(''))`,
	"quality_sample":      `INSERT INTO quality_sample (tenant_id, case_id, stratum, per_thousand, drawn, drawn_at) VALUES (@tenant, @tenant, 'all', 20, false, now())`,
	"aside":               `INSERT INTO aside (tenant_id, type, id, case_id) VALUES (@tenant, 'Task', 't', @tenant)`,
	"opinion_draft":       `INSERT INTO opinion_draft (tenant_id, case_id, opinion_no, draft_no, saved_at, content, content_sha256) VALUES (@tenant, @tenant, 1, 1, now(), '{}', sha256('{}'))`,
	"report_template":     `INSERT INTO report_template (tenant_id, name, version, set_by, text, document, text_sha256) VALUES (@tenant, 'chest', 1, 'me', '{}', '{}', sha256('{}'))`,
	"agenda":              `INSERT INTO agenda (tenant_id, case_id, kind, due_at, started_at) VALUES (@tenant, @tenant, 'checks', now(), now())`,
	"delivery":            `INSERT INTO delivery (tenant_id, case_id, report_no, destination, method, path, body, body_sha256) VALUES (@tenant, @tenant, 1, 'ehr', 'PUT', '/x', '{}', sha256('{}'))`,
	"saved_view":          `INSERT INTO saved_view (tenant_id, actor_id, role, name, filters) VALUES (@tenant, @tenant, 'reader', 'Stat CT', 'modality=CT')`,
	"export_job": `INSERT INTO export_job (tenant_id, job_id, actor_id, actor_role, slot, request, scope, types, transaction_time, waits_for, expires_at)
	               VALUES (@tenant, @tenant, @tenant, 'placer', 1, '/$export', 'system', '{Patient}', now(), '{}', now())`,
	"export_file":      `INSERT INTO export_file (tenant_id, job_id, file_no, kind, type) VALUES (@tenant, @tenant, 1, 'output', 'Patient')`,
	"export_chunk":     `INSERT INTO export_chunk (tenant_id, job_id, file_no, chunk_no, body) VALUES (@tenant, @tenant, 1, 1, '{}')`,
	"client":           `INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks) VALUES (@tenant, @tenant, 'EHR', 'placer', 'system/Task.rs', '{}')`,
	"client_assertion": `INSERT INTO client_assertion (tenant_id, client_id, jti_sha256, expires_at) VALUES (@tenant, @tenant, sha256(''), now())`,
	"access_token":     `INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at) VALUES (@tenant, sha256(uuid_send(@tenant)), @tenant, 'system/Task.rs', now())`,
	"provider_role":    `INSERT INTO provider_role (tenant_id, provider, claim_value, role) VALUES (@tenant, 'p-' || @tenant::uuid, 'readers', 'reader')`,
	"member":           `INSERT INTO member (tenant_id, person_id) VALUES (@tenant, @tenant)`,
	"member_role":      `INSERT INTO member_role (tenant_id, person_id, role, way) VALUES (@tenant, @tenant, 'coordinator', 'granted')`,
	"token_use":        `INSERT INTO token_use (tenant_id, token_sha256) VALUES (@tenant, sha256(uuid_send(@tenant)))`,
	"session_actor":    `INSERT INTO session_actor (tenant_id, session_id, actor_id, role) VALUES (@tenant, @tenant, @tenant, 'reader')`,
	"break_glass":      `INSERT INTO break_glass (tenant_id, break_id, person_id, actor_id, role, display, patient_id, reason, till) VALUES (@tenant, @tenant, @tenant, @tenant, 'reader', 'Dr. R', 'p', 'in an emergency', now())`,
	"case_unveiling":   `INSERT INTO case_unveiling (tenant_id, case_id, actor_id, break_id, before_lock) VALUES (@tenant, @tenant, @tenant, @tenant, true)`,
	"destination_proposal": `INSERT INTO destination_proposal (tenant_id, destination, base_url, packaging, timeout_ms, in_flight_max, reason, proposed_by, proposed_by_name)
	                         VALUES (@tenant, 'ehr', 'https://ehr.example/fhir', 'transaction', 1000, 1, 'it has moved', @tenant, 'Sam Lee')`,
	"ehr_issuer":    `INSERT INTO ehr_issuer (tenant_id, issuer, client_id, authentication, scopes) VALUES (@tenant, 'https://ehr.example/fhir', 'overread', 'public', 'launch openid')`,
	"ehr_launch":    `INSERT INTO ehr_launch (tenant_id, state_sha256, browser_sha256, issuer, nonce, verifier, found, expires_at) VALUES (@tenant, sha256(uuid_send(@tenant)), sha256(''), 'https://ehr.example/fhir', 'n', 'v', '{}', now())`,
	"launched":      `INSERT INTO launched (tenant_id, session_id, issuer) VALUES (@tenant, @tenant, 'https://ehr.example/fhir')`,
	"viewer_ticket": `INSERT INTO viewer_ticket (tenant_id, ticket_id, session_id, role, task_id, expires_at) VALUES (@tenant, @tenant, @tenant, 'reader', '1', now())`,
	"image_opening": `INSERT INTO image_opening (tenant_id, session, task_id, study_uid) VALUES (@tenant, 'urn:uuid:1', '1', '1.2.3')`,
	"delivery_attempt": `INSERT INTO delivery_attempt (tenant_id, case_id, report_no, destination, attempt, outcome, reason, duration_ms)
	                     VALUES (@tenant, @tenant, 1, 'ehr', 1, 'retry', 'timeout', 1)`,
}

// shared are the tables that belong to no tenant, and so to System alone, with a
// row for each: a person is the same at every tenant, and who is logging in
// belongs to none yet (migrations/00019).
var shared = map[string]string{
	"provider":              `INSERT INTO provider (name, issuer, display, client_id) VALUES ('p-' || @tenant::uuid, 'https://' || @tenant::uuid || '.example', 'P', 'overread')`,
	"person":                `INSERT INTO person (person_id, issuer, subject, display) VALUES (@tenant, 'https://idp.example', @tenant::uuid::text, 'Dr. R')`,
	"session":               `INSERT INTO session (session_id, cookie_sha256, person_id, came_from, ends_at) VALUES (@tenant, sha256(uuid_send(@tenant)), @tenant, 'oidc', now())`,
	"installation_operator": `INSERT INTO installation_operator (person_id, granted_by, reason, ends_at) VALUES (@tenant, 'root', 'who runs it', now())`,
	"replica":               `INSERT INTO replica (replica_id, host, version, schema, mails, signs) VALUES (@tenant, 'one', 'dev', 1, false, false)`,
	"login":                 `INSERT INTO login (state_sha256, browser_sha256, provider, nonce, verifier, return_to, expires_at) VALUES (sha256(uuid_send(@tenant)), sha256(''), 'p-' || @tenant::uuid, 'n', 'v', '/', now())`,
}

// addRows fills every table for a tenant, in an order that foreign keys allow.
func addRows(t *testing.T, owner *pgx.Conn) uuid.UUID {
	t.Helper()
	tenant, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"provider", "person", "installation_operator", "session", "login", "replica"} {
		if _, err := owner.Exec(context.Background(), shared[table], pgx.NamedArgs{"tenant": tenant}); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	first := []string{"tenant", "token", "destination", "resource", "case_file", "opinion", "signed_report", "export_job", "export_file", "client", "member", "break_glass", "escalation", "ehr_issuer", "matter", "saved_query"}
	rest := slices.DeleteFunc(slices.Sorted(maps.Keys(rows)), func(table string) bool { return slices.Contains(first, table) })
	for _, table := range append(first, rest...) {
		if _, err := owner.Exec(context.Background(), rows[table], pgx.NamedArgs{"tenant": tenant}); err != nil {
			t.Fatalf("%s: %v", table, err)
		}
	}
	return tenant
}

func TestATenantSeesAndWritesItsOwnRowsOnly(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	owner := db.Owner(t)
	north, south := addRows(t, owner), addRows(t, owner)
	for table := range rows {
		var own, others int
		err := db.Tenant(ctx, north, func(tx pgx.Tx) error {
			return tx.QueryRow(ctx, `
				SELECT count(*) FILTER (WHERE tenant_id = $1), count(*) FILTER (WHERE tenant_id <> $1)
				FROM `+pgx.Identifier{table}.Sanitize(), north).Scan(&own, &others)
		})
		switch {
		case denied(err) && slices.Contains([]string{"token", "client", "client_assertion", "access_token", "provider_role", "session_actor", "member", "member_role", "token_use", "ehr_issuer", "ehr_launch", "launched", "viewer_ticket", "destination_proposal"}, table): // nobody's business but System's
		case err != nil:
			t.Errorf("%s: %v", table, err)
		case own == 0 || others != 0:
			t.Errorf("%s: a tenant sees %d rows of its own and %d of others", table, own, others)
		}
		err = db.Tenant(ctx, north, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, rows[table], pgx.NamedArgs{"tenant": south})
			return err
		})
		if !denied(err) {
			t.Errorf("%s: a tenant writes a row of another: %v", table, err)
		}
	}
}

func TestATenantSeesNothingOfWhatBelongsToNone(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	tenant := addRows(t, db.Owner(t))
	for table := range shared {
		err := db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT FROM `+pgx.Identifier{table}.Sanitize())
			return err
		})
		if !denied(err) {
			t.Errorf("%s: %v", table, err)
		}
	}
}

func TestWithoutATenantNothingIsSeen(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	addRows(t, db.Owner(t))
	conn := db.Owner(t)
	if _, err := conn.Exec(ctx, `SET ROLE overread_app`); err != nil {
		t.Fatal(err)
	}
	for table := range rows {
		var seen int
		err := conn.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()).Scan(&seen)
		if err != nil && !denied(err) || seen > 0 {
			t.Errorf("%s: %d rows seen without a tenant (%v)", table, seen, err)
		}
	}
}

func TestEveryTableForcesRowLevelSecurityAndBelongsToNeitherRole(t *testing.T) {
	t.Parallel()
	owner := pgtest.New(t).Owner(t)
	found, err := owner.Query(context.Background(), `
		SELECT relname
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace
		  AND relkind IN ('r', 'p')
		  AND relname NOT IN ('goose_db_version')
		  AND (NOT relrowsecurity OR NOT relforcerowsecurity OR relowner IN ('overread_app'::regrole, 'overread_system'::regrole))`)
	if err != nil {
		t.Fatal(err)
	}
	lax, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if len(lax) > 0 {
		t.Errorf("without forced row-level security, or owned by a role of the server: %v", lax)
	}
}

func TestTheListOfRowsHereNamesEveryTable(t *testing.T) {
	t.Parallel()
	owner := pgtest.New(t).Owner(t)
	found, err := owner.Query(context.Background(), `
		SELECT relname
		FROM pg_class
		WHERE relnamespace = 'public'::regnamespace
		  AND relkind IN ('r', 'p')
		  AND NOT relispartition
		  AND relname <> 'goose_db_version'
		ORDER BY relname`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tables)
	listed := slices.AppendSeq(slices.Collect(maps.Keys(rows)), maps.Keys(shared))
	slices.Sort(listed)
	if diff := cmp.Diff(tables, listed); diff != "" {
		t.Error(diff)
	}
}

func TestWhatHasHappenedCannotBeChanged(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	tenant := addRows(t, db.Owner(t))
	for _, table := range []string{"resource_history", "audit_event", "audit_leaf", "audit_hash", "audit_checkpoint", "case_event", "case_original", "grade", "signed_report", "delivery_attempt", "break_glass", "case_unveiling", "tenant_policy", "report_template", "opinion_draft", "reader_credential"} {
		for _, sql := range []string{
			`UPDATE ` + table + ` SET tenant_id = tenant_id`,
			`DELETE FROM ` + table,
			`TRUNCATE ` + table,
			`DROP TABLE ` + table,
		} {
			err := db.Tenant(ctx, tenant, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, sql)
				return err
			})
			if !denied(err) {
				t.Errorf("%s: %v", sql, err)
			}
		}
	}
}

func TestTheSystemRoleReadsNoPatientData(t *testing.T) {
	t.Parallel()
	owner := pgtest.New(t).Owner(t)
	found, err := owner.Query(context.Background(), `
		SELECT c.relname || '.' || a.attname
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'public'::regnamespace
		  AND c.relkind IN ('r', 'p')
		  AND c.relname NOT IN ('tenant', 'tenant_policy', 'report_template', 'token', 'client', 'client_assertion', 'access_token', 'destination', 'pacs', 'reader', 'reader_credential', 'batch_run', 'agenda',
		                        'destination_proposal', 'installation_operator', 'provider', 'provider_role', 'person', 'session', 'session_actor', 'login', 'ehr_issuer', 'ehr_launch', 'launched', 'viewer_ticket', 'member', 'member_role', 'token_use', 'replica')
		  AND has_column_privilege('overread_system', c.oid, a.attnum, 'SELECT')
		ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	columns, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(columns)
	want := []string{
		"audit_checkpoint.signed_at", "audit_checkpoint.size", "audit_checkpoint.tenant_id",
		"audit_event.audit_id", "audit_event.indexed", "audit_event.recorded_at", "audit_event.tenant_id",
		"audit_inbox.batch_id", "audit_inbox.recorded_at", "audit_inbox.tenant_id",
		"audit_leaf.index", "audit_leaf.recorded_at", "audit_leaf.tenant_id",
		"audit_outside.tenant_id",
		"audit_pending.audit_id", "audit_pending.recorded_at", "audit_pending.tenant_id",
		"break_glass.break_id", "break_glass.patient_id", "break_glass.person_id", "break_glass.tenant_id", "break_glass.till",
		"delivery.attempts", "delivery.case_id", "delivery.destination", "delivery.epoch", "delivery.lane", "delivery.lease_until",
		"delivery.next_attempt_at", "delivery.queued_at", "delivery.report_no", "delivery.state", "delivery.tenant_id", "delivery.told",
		"export_job.expires_at", "export_job.failures", "export_job.job_id", "export_job.started_at", "export_job.started_xid",
		"export_job.state", "export_job.tenant_id", "export_job.waits_for", "export_job.worked_at",
		"mail.attempts", "mail.epoch", "mail.lease_until", "mail.mail_id", "mail.next_attempt_at", "mail.queued_at", "mail.state", "mail.tenant_id",
		"measure_build.done_at", "measure_build.tenant_id",
		"pacs_look.case_id", "pacs_look.due_at", "pacs_look.epoch", "pacs_look.lease_until", "pacs_look.tenant_id",
		"resource.deleted", "resource.indexed", "resource.indexed_version", "resource.tenant_id", "resource.version",
	}
	if diff := cmp.Diff(want, columns); diff != "" {
		t.Error(diff)
	}
}

func TestTheSystemRoleMakesPartitionsAndMayDoSoAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	owner := db.Owner(t)
	for range 2 {
		err := db.System(ctx, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT overread_make_partitions(6)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if got := partitions(t, owner, "case_event"); got != 8 { // this month, six ahead, and the default
		t.Errorf("%d partitions", got)
	}
}

func TestAMonthThatTheDefaultPartitionHasBegunDoesNotStopTheNextOnes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	owner := db.Owner(t)
	_, err := owner.Exec(ctx, `
		INSERT INTO case_event (tenant_id, case_id, seq, occurred_at, event, to_state, actor_role)
		VALUES (gen_random_uuid(), gen_random_uuid(), 1, now() + interval '4 months', 'open', 'received', 'placer')`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(ctx, `SELECT overread_make_partitions(5)`); err != nil {
		t.Fatal(err)
	}
	if got := partitions(t, owner, "case_event"); got != 6 { // all but that month
		t.Errorf("%d partitions", got)
	}
}

func TestMigratingAgainAndAtOnceChangesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	db := pgtest.New(t)
	failed := make(chan error, 3)
	for range cap(failed) {
		go func() {
			_, err := pg.Migrate(ctx, db.URL)
			failed <- err
		}()
	}
	for range cap(failed) {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	have, want, err := pg.SchemaVersion(ctx, db.URL)
	if err != nil || have != want || want == 0 {
		t.Errorf("schema %d, want %d (%v)", have, want, err)
	}
}

func partitions(t *testing.T, owner *pgx.Conn, table string) int {
	t.Helper()
	var n int
	if err := owner.QueryRow(context.Background(), `SELECT count(*) FROM pg_inherits WHERE inhparent = $1::regclass`, table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// denied reports whether PostgreSQL refused for want of a privilege, which is
// also what row-level security says.
func denied(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == "42501"
}

func TestTheServersLoginNeedsToOwnNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	super := pgtest.New(t)
	admin := super.Owner(t)
	name := "plain_" + strings.ToLower(rand.Text())
	login(t, admin, name)

	as := loginURL(t, super.URL, name, "")
	if _, err := pg.Open(ctx, as); !denied(err) {
		t.Errorf("a login that has not been granted the roles: %v", err)
	}
	run(t, admin, `GRANT overread_app, overread_system TO `+name)
	db, err := pg.Open(ctx, as)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	wantNothingAsItself(t, admin, as)
	if have, want, err := pg.SchemaVersion(ctx, as); err != nil || have != want {
		t.Errorf("schema %d, want %d (%v)", have, want, err)
	}
}

func TestAnOwnerWhoMayNotCreateRolesMigrates(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	super := pgtest.New(t) // the roles are the cluster's, and so they are there
	admin := super.Owner(t)
	name := "owner_" + strings.ToLower(rand.Text())
	login(t, admin, name)
	run(t, admin, `CREATE DATABASE `+name+` OWNER `+name)
	t.Cleanup(func() { run(t, admin, `DROP DATABASE `+name+` WITH (FORCE)`) })

	as := loginURL(t, super.URL, name, name)
	if have, _, err := pg.SchemaVersion(ctx, as); err != nil || have != 0 {
		t.Errorf("an empty database has version %d (%v)", have, err)
	}
	if _, err := pg.Migrate(ctx, as); !denied(err) || !strings.Contains(err.Error(), "CREATEROLE") {
		t.Errorf("without the roles: %v", err)
	}
	run(t, admin, `GRANT overread_app, overread_system, overread_search TO `+name)
	if _, err := pg.Migrate(ctx, as); err != nil {
		t.Fatal(err)
	}
	db, err := pg.Open(ctx, as)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
}

// wantNothingAsItself: the login sees no rows before it has taken a role,
// whatever it inherits from both.
func wantNothingAsItself(t *testing.T, owner *pgx.Conn, as string) {
	t.Helper()
	addRows(t, owner)
	conn, err := pgx.Connect(context.Background(), as)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	for table := range rows {
		var n int
		err := conn.QueryRow(context.Background(), `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()).Scan(&n)
		if (err != nil && !denied(err)) || n > 0 {
			t.Errorf("%s shows %d rows (%v)", table, n, err)
		}
	}
}

// login makes a login with no rights, which goes when the test ends.
func login(t *testing.T, admin *pgx.Conn, name string) {
	t.Helper()
	run(t, admin, `CREATE ROLE `+name+` LOGIN PASSWORD 'secret'`)
	t.Cleanup(func() { run(t, admin, `DROP ROLE `+name) })
}

// loginURL is the URL with another user, and another database unless that is "".
func loginURL(t *testing.T, target, user, database string) string {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(user, "secret")
	if database != "" {
		u.Path = "/" + database
	}
	return u.String()
}

func run(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

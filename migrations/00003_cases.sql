-- +goose Up

-- A case: one second opinion, from order to closure. The row is what worklists
-- need; the truth is case_event. "case" alone is a reserved word of SQL.
CREATE TABLE case_file (
    tenant_id           uuid        NOT NULL REFERENCES tenant,
    case_id             uuid        NOT NULL,
    version             bigint      NOT NULL CHECK (version > 0),
    state               text        NOT NULL CHECK (state IN (
                            'received', 'intake-review', 'awaiting-information', 'awaiting-images', 'ready', 'unassignable',
                            'offered', 'accepted', 'reading', 'locked', 'comparing', 'adjudication', 'awaiting-cosign',
                            'final', 'closed', 'amending', 'on-hold', 'rejected', 'cancelled', 'failed', 'entered-in-error')),
    resume_state        text,
    priority            text        NOT NULL CHECK (priority IN ('stat', 'asap', 'urgent', 'routine')),
    placer_system       text        NOT NULL,
    placer_value        text        NOT NULL,
    service_request_id  text,       -- our copy of the order; NULL while it stays at the EHR
    service_request_ref text        NOT NULL, -- the order as the EHR calls it, or ServiceRequest/{id} here
    task_id             text        NOT NULL,
    patient_id          text,
    study_id            text,
    study_uid           text,
    accession           text,
    original_report_id      text,
    original_report_version bigint,
    exam                jsonb       NOT NULL DEFAULT '{}', -- workflow.Exam
    protocol            text        NOT NULL CHECK (protocol IN ('unblinded', 'blinded')),
    comparable          boolean,
    policy              jsonb       NOT NULL, -- the tenant's policy as it was when the case began
    waived              text[]      NOT NULL DEFAULT '{}', -- intake checks that the coordinator or a time limit has set aside
    findings            jsonb       NOT NULL DEFAULT '[]', -- what the intake checks last said (workflow.Finding)
    reader_id           uuid,
    adjudicator_id      uuid,
    supervisor_id       uuid,
    offered_to          uuid,
    declined            uuid[]      NOT NULL DEFAULT '{}',
    report_id           text,
    report_no           integer     NOT NULL DEFAULT 0,
    report_status       text,
    error_proposed_by   uuid,
    opened_at           timestamptz NOT NULL,
    complete_at         timestamptz,
    accepted_at         timestamptz,
    locked_at           timestamptz,
    revealed_at         timestamptz,
    final_at            timestamptz,
    closed_at           timestamptz,
    PRIMARY KEY (tenant_id, case_id),
    CONSTRAINT one_case_per_placer_order UNIQUE (tenant_id, placer_system, placer_value),
    CONSTRAINT one_case_per_task UNIQUE (tenant_id, task_id),
    CONSTRAINT offered_to_somebody CHECK ((state = 'offered') = (offered_to IS NOT NULL) OR state = 'on-hold'),
    CONSTRAINT read_by_somebody CHECK (state NOT IN ('accepted', 'reading', 'locked', 'comparing', 'adjudication',
                            'awaiting-cosign', 'final', 'closed', 'amending') OR reader_id IS NOT NULL),
    CONSTRAINT held_from_somewhere CHECK ((state = 'on-hold') = (resume_state IS NOT NULL)),
    CONSTRAINT revealed_only_when_locked CHECK (protocol = 'unblinded' OR revealed_at IS NULL OR locked_at IS NOT NULL),
    CONSTRAINT final_has_report CHECK (state NOT IN ('final', 'closed', 'amending')
                            OR (report_id IS NOT NULL AND report_no > 0 AND final_at IS NOT NULL)),
    CONSTRAINT adjudicator_is_third CHECK (adjudicator_id IS NULL OR adjudicator_id <> reader_id)
);
CREATE INDEX case_by_study ON case_file (tenant_id, study_uid) WHERE study_uid IS NOT NULL;
CREATE INDEX case_by_patient ON case_file (tenant_id, patient_id) WHERE patient_id IS NOT NULL;
CREATE INDEX case_by_service_request ON case_file (tenant_id, service_request_id) WHERE service_request_id IS NOT NULL;
CREATE INDEX case_by_reader ON case_file (tenant_id, reader_id, state) WHERE state NOT IN ('closed', 'cancelled', 'rejected', 'failed');
CREATE INDEX case_waiting ON case_file (tenant_id, state) WHERE state IN ('received', 'intake-review', 'awaiting-information', 'awaiting-images', 'ready', 'unassignable');

-- What happened, append-only; seq is the case's version after the event.
CREATE TABLE case_event (
    tenant_id   uuid        NOT NULL,
    case_id     uuid        NOT NULL,
    seq         bigint      NOT NULL CHECK (seq > 0),
    occurred_at timestamptz NOT NULL,
    event       text        NOT NULL,
    from_state  text,       -- NULL for the first
    to_state    text        NOT NULL,
    actor_role  text        NOT NULL,
    actor_id    uuid,       -- NULL for the system
    detail      jsonb       NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, case_id, seq, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE case_event_default PARTITION OF case_event DEFAULT;

-- The resources that a blinded reader may not see before the reveal: the
-- original report with its observations.
CREATE TABLE case_original (
    tenant_id uuid NOT NULL,
    case_id   uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, case_id, type, id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);
CREATE INDEX case_original_by_resource ON case_original (tenant_id, type, id);

-- A reader's interpretation: a draft until it is sealed (locked, or released
-- unfinished when the case goes to somebody else). A sealed one never changes.
CREATE TABLE opinion (
    tenant_id      uuid        NOT NULL,
    case_id        uuid        NOT NULL,
    opinion_no     integer     NOT NULL CHECK (opinion_no > 0),
    reader_id      uuid        NOT NULL,
    status         text        NOT NULL CHECK (status IN ('draft', 'locked', 'released')),
    content        jsonb       NOT NULL, -- workflow.Opinion
    saved_at       timestamptz NOT NULL,
    sealed_at      timestamptz,
    content_sha256 bytea       CHECK (octet_length(content_sha256) = 32),
    PRIMARY KEY (tenant_id, case_id, opinion_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT sealed_has_hash CHECK ((status = 'draft') = (sealed_at IS NULL) AND (sealed_at IS NULL) = (content_sha256 IS NULL))
);
CREATE UNIQUE INDEX one_draft_per_case ON opinion (tenant_id, case_id) WHERE status = 'draft';

-- Grades: quality work product, never part of the chart. Kept, never changed;
-- the latest is in force.
CREATE TABLE grade (
    tenant_id  uuid        NOT NULL,
    case_id    uuid        NOT NULL,
    grade_no   integer     NOT NULL CHECK (grade_no > 0),
    graded_by  uuid        NOT NULL,
    role       text        NOT NULL CHECK (role IN ('reader', 'adjudicator')),
    graded_at  timestamptz NOT NULL,
    level      text        NOT NULL CHECK (level IN ('none', 'minor', 'major', 'no-comparison')),
    content    jsonb       NOT NULL, -- workflow.Grade
    PRIMARY KEY (tenant_id, case_id, grade_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);

-- What was signed, word for word, before anything was rendered from it.
CREATE TABLE signed_report (
    tenant_id      uuid        NOT NULL,
    case_id        uuid        NOT NULL,
    report_no      integer     NOT NULL CHECK (report_no > 0),
    status         text        NOT NULL CHECK (status IN ('final', 'appended', 'corrected', 'amended', 'entered-in-error')),
    signed_by      uuid        NOT NULL,
    signed_at      timestamptz NOT NULL,
    content        jsonb       NOT NULL, -- workflow.Report
    content_sha256 bytea       NOT NULL CHECK (octet_length(content_sha256) = 32),
    PRIMARY KEY (tenant_id, case_id, report_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);

-- What the clock or the system has to do for a case, and when. A tick claims
-- due rows with SKIP LOCKED and does the work in the claiming transaction.
-- kind is a row of workflow/agenda.go. due_at is 'infinity' while paused.
CREATE TABLE agenda (
    tenant_id   uuid        NOT NULL,
    case_id     uuid        NOT NULL,
    kind        text        NOT NULL,
    due_at      timestamptz NOT NULL,
    started_at  timestamptz NOT NULL,
    deadline_at timestamptz,          -- clocks only: when 100 % is reached
    stage       integer     NOT NULL DEFAULT 0, -- clocks: percent last announced; others: attempts
    remaining_s double precision,     -- clocks: seconds left to the deadline when paused
    PRIMARY KEY (tenant_id, case_id, kind),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);
CREATE INDEX agenda_due ON agenda (due_at);

-- The outbox. A lane is (case, destination); only the oldest unfinished
-- report of a lane is ever sent.
CREATE TABLE delivery (
    tenant_id       uuid        NOT NULL,
    case_id         uuid        NOT NULL,
    report_no       integer     NOT NULL CHECK (report_no > 0),
    destination     text        NOT NULL,
    state           text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'parked', 'withdrawn')),
    withdraws       boolean     NOT NULL DEFAULT false, -- says "entered in error": overtakes what is parked
    queued_at       timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 0,
    lease_until     timestamptz,
    epoch           bigint      NOT NULL DEFAULT 0, -- fences a worker whose lease ran out
    method          text        NOT NULL CHECK (method IN ('POST', 'PUT')),
    path            text        NOT NULL, -- below destination.base_url, with its query
    body            bytea       NOT NULL,
    body_sha256     bytea       NOT NULL CHECK (octet_length(body_sha256) = 32),
    done_at         timestamptz,
    location        text,                 -- where the EHR says that it keeps the report
    PRIMARY KEY (tenant_id, case_id, report_no, destination),
    FOREIGN KEY (tenant_id, case_id, report_no) REFERENCES signed_report,
    FOREIGN KEY (tenant_id, destination) REFERENCES destination,
    CONSTRAINT done_has_time CHECK ((state = 'done') = (done_at IS NOT NULL)),
    CONSTRAINT leased_while_queued CHECK (lease_until IS NULL OR state = 'queued')
);
CREATE INDEX delivery_due ON delivery (tenant_id, destination, next_attempt_at) WHERE state = 'queued';
CREATE INDEX delivery_leased ON delivery (tenant_id, destination) WHERE lease_until IS NOT NULL;

-- Every attempt and what the EHR answered, append-only. An attempt of which
-- nobody knows the outcome (the courier stopped or died) is 'released'.
CREATE TABLE delivery_attempt (
    tenant_id   uuid        NOT NULL,
    case_id     uuid        NOT NULL,
    report_no   integer     NOT NULL,
    destination text        NOT NULL,
    attempt     integer     NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    outcome     text        NOT NULL CHECK (outcome IN ('delivered', 'retry', 'parked', 'released')),
    status      integer,              -- HTTP status, NULL when there was no answer
    reason      text        NOT NULL, -- a code of ours, never the EHR's text
    duration_ms integer     NOT NULL,
    PRIMARY KEY (tenant_id, case_id, report_no, destination, attempt)
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['case_file', 'case_event', 'case_original', 'opinion', 'grade', 'signed_report',
                             'agenda', 'delivery', 'delivery_attempt', 'case_event_default'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
    END LOOP;
END $$;
-- +goose StatementEnd
CREATE POLICY every_tenant ON agenda   TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON delivery TO overread_system USING (current_user = 'overread_system');

GRANT SELECT, INSERT, UPDATE ON case_file, opinion, delivery TO overread_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON agenda TO overread_app;
GRANT SELECT, INSERT ON case_event, case_original, grade, signed_report, delivery_attempt TO overread_app; -- append-only
GRANT UPDATE (failures, failed_lanes, breaker_until) ON destination TO overread_app;
GRANT SELECT, UPDATE ON agenda TO overread_system; -- UPDATE for FOR UPDATE
-- The worker's claim sees the head of a lane, never the report in it.
GRANT SELECT (tenant_id, case_id, report_no, destination, state, queued_at, next_attempt_at, attempts, lease_until, epoch) ON delivery TO overread_system;
GRANT UPDATE (lease_until, epoch, attempts) ON delivery TO overread_system;

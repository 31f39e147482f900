-- +goose Up

-- What is open on a case besides its state: an actionable finding that somebody
-- must be told of, a question about the report, a study that changed after the
-- signature. Each has a clock of its own (workflow/matter.go) and is settled
-- once. content and closing hold the words, which are the patient's.
CREATE TABLE matter (
    tenant_id    uuid        NOT NULL,
    case_id      uuid        NOT NULL,
    matter_no    integer     NOT NULL CHECK (matter_no > 0),
    kind         text        NOT NULL CHECK (kind IN ('finding', 'question', 'verification')),
    category     text        NOT NULL CHECK ((kind = 'finding') = (category IN ('emergent', 'urgent', 'non-critical'))),
    request_key  text        NOT NULL CHECK (request_key <> ''), -- the same again is the same matter
    content      jsonb       NOT NULL,
    opened_at    timestamptz NOT NULL,
    opened_by    uuid,                  -- NULL: the system
    opened_role  text        NOT NULL,
    due_at       timestamptz NOT NULL,
    settled_at   timestamptz CHECK (settled_at >= opened_at),
    settled_by   uuid,
    settled_role text,
    settlement   text        CHECK (settlement IN ('acknowledged', 'answered', 'valid', 'amended', 'withdrawn')),
    closing      jsonb       NOT NULL DEFAULT '{}',
    report_no    integer,               -- the version that told how it was settled
    PRIMARY KEY (tenant_id, case_id, matter_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    FOREIGN KEY (tenant_id, case_id, report_no) REFERENCES signed_report,
    CONSTRAINT one_matter_each UNIQUE (tenant_id, case_id, kind, request_key),
    CONSTRAINT settled_somehow CHECK ((settled_at IS NULL) = (settlement IS NULL) AND (settled_at IS NULL) = (settled_role IS NULL))
);
CREATE UNIQUE INDEX one_verification_at_a_time ON matter (tenant_id, case_id) WHERE kind = 'verification' AND settled_at IS NULL;
ALTER TABLE matter ENABLE ROW LEVEL SECURITY; ALTER TABLE matter FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON matter TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON matter TO overread_app;
GRANT UPDATE (content, settled_at, settled_by, settled_role, settlement, closing, report_no) ON matter TO overread_app;

-- Every attempt to tell somebody of a finding, append-only.
CREATE TABLE matter_call (
    tenant_id     uuid        NOT NULL,
    case_id       uuid        NOT NULL,
    matter_no     integer     NOT NULL,
    call_no       integer     NOT NULL CHECK (call_no > 0),
    made_at       timestamptz NOT NULL, -- when somebody was called, as who called says
    recorded_at   timestamptz NOT NULL,
    recorded_by   uuid        NOT NULL,
    recorded_role text        NOT NULL,
    reached       boolean     NOT NULL,
    content       jsonb       NOT NULL, -- whom, how, whether it was read back
    PRIMARY KEY (tenant_id, case_id, matter_no, call_no),
    FOREIGN KEY (tenant_id, case_id, matter_no) REFERENCES matter,
    CONSTRAINT made_before_recorded CHECK (made_at <= recorded_at)
);
ALTER TABLE matter_call ENABLE ROW LEVEL SECURITY; ALTER TABLE matter_call FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON matter_call TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON matter_call TO overread_app;

-- Which version of a report was read, when and by whom: one row each.
CREATE TABLE acknowledgement (
    tenant_id       uuid        NOT NULL,
    case_id         uuid        NOT NULL,
    report_no       integer     NOT NULL,
    acknowledged_at timestamptz NOT NULL,
    actor_id        uuid        NOT NULL,
    actor_role      text        NOT NULL,
    content         jsonb       NOT NULL, -- the clinician's name and function, as the EHR says them
    PRIMARY KEY (tenant_id, case_id, report_no),
    FOREIGN KEY (tenant_id, case_id, report_no) REFERENCES signed_report
);
ALTER TABLE acknowledgement ENABLE ROW LEVEL SECURITY; ALTER TABLE acknowledgement FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON acknowledgement TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON acknowledgement TO overread_app;

-- Besides signed versions, two more things go to an EHR. Messages (findings,
-- answers) have a lane of their own, so that what an EHR refuses of the one does
-- not keep the other; they are numbered from 1,000,001, where the previous
-- release, which knows no lanes, sends them after the reports. A preliminary
-- report goes before the first signed version: its numbers are below 0.
ALTER TABLE delivery
    ADD COLUMN lane text NOT NULL DEFAULT 'report' CHECK (lane IN ('report', 'message')),
    DROP CONSTRAINT delivery_tenant_id_case_id_report_no_fkey,
    DROP CONSTRAINT delivery_report_no_check,
    ADD CONSTRAINT delivery_numbers CHECK (report_no <> 0 AND (lane = 'message') = (report_no > 1000000));
GRANT SELECT (lane) ON delivery TO overread_system;

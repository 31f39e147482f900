-- +goose Up
-- Quality work around a signed report (docs/grading.md): what became of it, what is
-- to be learnt, what the original reader was told, and second reads that the
-- server draws. All of it is privileged work product and stands in no resource.

-- What the clinician says the second opinion changed. Who judges again adds a row;
-- the last one counts.
CREATE TABLE clinician_judgement (
    tenant_id    uuid        NOT NULL,
    case_id      uuid        NOT NULL,
    judgement_no integer     NOT NULL CHECK (judgement_no > 0),
    management   text        NOT NULL CHECK (management IN ('none', 'work-up', 'staging', 'referral', 'treatment')),
    note         text        NOT NULL DEFAULT '',
    judged_by    uuid        NOT NULL,
    judged_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, case_id, judgement_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);

-- Who was right, as pathology, surgery or follow-up showed later. A later row
-- stands over an earlier one; statistics as of a date use what was known then.
CREATE TABLE ground_truth (
    tenant_id   uuid        NOT NULL,
    case_id     uuid        NOT NULL,
    truth_no    integer     NOT NULL CHECK (truth_no > 0),
    who_right   text        NOT NULL CHECK (who_right IN ('first', 'second', 'both', 'neither', 'undetermined')),
    source      text        NOT NULL CHECK (source IN ('pathology', 'surgery', 'follow-up-imaging', 'laboratory', 'clinical-course', 'other')),
    found_on    date        NOT NULL, -- day of the evidence
    evidence    text[]      NOT NULL DEFAULT '{}', -- references to resources: DiagnosticReport/1
    note        text        NOT NULL DEFAULT '',
    recorded_by uuid        NOT NULL,
    role        text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, case_id, truth_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);

-- What others may learn from a case: no patient, no reader.
CREATE TABLE learning_point (
    tenant_id    uuid        NOT NULL,
    case_id      uuid        NOT NULL,
    point_no     integer     NOT NULL CHECK (point_no > 0),
    text         text        NOT NULL CHECK (text <> ''),
    tags         text[]      NOT NULL DEFAULT '{}',
    added_by     uuid        NOT NULL,
    added_at     timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (tenant_id, case_id, point_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);

-- What the reader of the original is told of a signed version, and what they say
-- to it. Of its text nothing is here: it is made from the report when it is opened.
CREATE TABLE feedback (
    tenant_id    uuid        NOT NULL,
    feedback_id  uuid        NOT NULL,
    case_id      uuid        NOT NULL,
    report_no    integer     NOT NULL CHECK (report_no > 0),
    reader_id    uuid        NOT NULL, -- who is told
    kind         text        NOT NULL CHECK (kind IN ('difference', 'peer-learning', 'finding')),
    made_at      timestamptz NOT NULL,
    withdrawn_at timestamptz,          -- a later version has taken its place, or the report was an error
    opened_at    timestamptz,
    answered_at  timestamptz,
    agrees       boolean,
    answer       text        NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, feedback_id),
    CONSTRAINT one_feedback_each UNIQUE (tenant_id, case_id, report_no, reader_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT an_answer_says_whether_it_agrees CHECK ((answered_at IS NULL) = (agrees IS NULL)),
    CONSTRAINT opened_before_it_is_answered CHECK (answered_at IS NULL OR opened_at IS NOT NULL)
);
CREATE INDEX feedback_of_reader ON feedback (tenant_id, reader_id) WHERE withdrawn_at IS NULL;

-- Reviews by the quality role: of a grade that the original reader disputes, of a
-- finding that was not made known, or for a reason of its own.
CREATE TABLE quality_review (
    tenant_id  uuid        NOT NULL,
    case_id    uuid        NOT NULL,
    review_no  integer     NOT NULL CHECK (review_no > 0),
    reason     text        NOT NULL CHECK (reason <> ''),
    opened_by  uuid,       -- NULL: by a rule
    opened_at  timestamptz NOT NULL,
    conclusion text        CHECK (conclusion IN ('stands', 'to-be-amended', 'learning')),
    note       text        NOT NULL DEFAULT '',
    closed_by  uuid,
    closed_at  timestamptz,
    PRIMARY KEY (tenant_id, case_id, review_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT closed_by_somebody CHECK ((closed_at IS NULL) = (conclusion IS NULL) AND (closed_at IS NULL) = (closed_by IS NULL))
);
CREATE UNIQUE INDEX one_open_review ON quality_review (tenant_id, case_id) WHERE closed_at IS NULL;

-- Packs for learning meetings: what is in one stays as it was when it was made.
CREATE TABLE meeting_pack (
    tenant_id uuid        NOT NULL,
    pack_id   uuid        NOT NULL,
    title     text        NOT NULL CHECK (title <> ''),
    made_by   uuid        NOT NULL,
    made_at   timestamptz NOT NULL,
    content   jsonb       NOT NULL, -- workflow.Pack: no patient, no reader
    PRIMARY KEY (tenant_id, pack_id)
);

-- Second reads for quality. The secret decides with the case's id what is drawn,
-- so a draw can be done again, and nobody who has not the secret can foresee it.
CREATE TABLE sampling_secret (
    tenant_id uuid  NOT NULL PRIMARY KEY REFERENCES tenant,
    secret    bytea NOT NULL CHECK (octet_length(secret) = 32)
);

-- Each final for which the policy has a rate, drawn or not.
CREATE TABLE quality_sample (
    tenant_id    uuid        NOT NULL,
    case_id      uuid        NOT NULL, -- the final
    stratum      text        NOT NULL, -- as the policy's rule has it
    per_thousand integer     NOT NULL CHECK (per_thousand BETWEEN 0 AND 1000),
    drawn        boolean     NOT NULL,
    drawn_at     timestamptz NOT NULL,
    not_read     text        NOT NULL DEFAULT '', -- why a drawn one got no second read: a code of ours
    level        text        CHECK (level IN ('none', 'minor', 'major', 'no-comparison')),
    concluded_at timestamptz,
    finding_at   timestamptz,          -- the report was opened for its finding
    settled_at   timestamptz,          -- by an amendment, or a review
    PRIMARY KEY (tenant_id, case_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT concluded_with_a_level CHECK ((concluded_at IS NULL) = (level IS NULL))
);

-- The case that is the second read of another.
ALTER TABLE case_file ADD COLUMN sample_of uuid;
ALTER TABLE case_file ADD CONSTRAINT sample_of_a_case FOREIGN KEY (tenant_id, sample_of) REFERENCES case_file DEFERRABLE INITIALLY DEFERRED;
CREATE UNIQUE INDEX one_sample_per_case ON case_file (tenant_id, sample_of) WHERE sample_of IS NOT NULL;

-- The resources of such a case: for those who read and for quality, and in nobody's
-- chart (fhir/aside.go).
CREATE TABLE aside (
    tenant_id uuid NOT NULL,
    type      text NOT NULL,
    id        text NOT NULL,
    case_id   uuid NOT NULL,
    PRIMARY KEY (tenant_id, type, id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['clinician_judgement', 'ground_truth', 'learning_point', 'feedback', 'quality_review', 'meeting_pack',
                             'sampling_secret', 'quality_sample', 'aside'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO overread_app', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT UPDATE (withdrawn_at) ON learning_point TO overread_app;
GRANT UPDATE (withdrawn_at, opened_at, answered_at, agrees, answer) ON feedback TO overread_app;
GRANT UPDATE (conclusion, note, closed_by, closed_at) ON quality_review TO overread_app;
GRANT UPDATE (not_read, level, concluded_at, finding_at, settled_at) ON quality_sample TO overread_app;

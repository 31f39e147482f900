-- +goose Up

-- What statistics count of a case (docs/measures.md): quality work product, written in
-- the transaction of the event that makes it so (workflow/fact.go), and made again
-- from the case's history by `overread measure rebuild`. A row tells a case, no patient.
--
-- The dimensions are words of measure_word; so a row is narrow, and the facts of a
-- year are counted by any two of them in one pass.
CREATE TABLE measure_word (
    tenant_id uuid    NOT NULL,
    word_no   integer NOT NULL CHECK (word_no > 0),
    word      text    COLLATE "C" NOT NULL, -- '' for what nobody has said
    PRIMARY KEY (tenant_id, word_no),
    CONSTRAINT one_word_once UNIQUE (tenant_id, word)
);

-- What is known of each case now, since when.
CREATE TABLE measure_fact (
    tenant_id         uuid        NOT NULL,
    case_id           uuid        NOT NULL,
    known_from        timestamptz NOT NULL,
    period_at         timestamptz NOT NULL, -- by which it belongs to a period: the first signature, before that the order
    opened_at         timestamptz NOT NULL,
    complete_at       timestamptz,
    signed_at         timestamptz,          -- first
    acknowledged_at   timestamptz,          -- first
    counts_at         timestamptz,          -- when the grade that counts was given: of a study the latest counts
    study_key         bigint,               -- of signed ones: a hash of the study's name
    excluded          smallint    NOT NULL CHECK (excluded BETWEEN 0 AND 6), -- workflow.Exclusions; 0: it counts
    significance      smallint    CHECK (significance BETWEEN 0 AND 2),      -- none, unimportant, important
    management        smallint    CHECK (management BETWEEN 0 AND 4),        -- as the grade says: none, work-up, staging, referral, treatment
    clinician         smallint    CHECK (clinician BETWEEN 0 AND 4),         -- as the clinician says
    reader_level      smallint    CHECK (reader_level BETWEEN 0 AND 2),      -- as the reader graded
    adjudicator_level smallint    CHECK (adjudicator_level BETWEEN 0 AND 2), -- as the third reader did
    verified          smallint    CHECK (verified BETWEEN 0 AND 4),          -- who was right: workflow.Rights
    no_comparison     integer     NOT NULL, -- why there was none
    modality          integer     NOT NULL,
    body_region       integer     NOT NULL,
    subspecialty      integer     NOT NULL,
    site              integer     NOT NULL,
    original_reader   integer     NOT NULL,
    second_reader     integer     NOT NULL,
    reason            integer     NOT NULL,
    priority          integer     NOT NULL,
    oncologic         integer     NOT NULL,
    blinding          integer     NOT NULL,
    priors            integer     NOT NULL,
    asymmetry         integer     NOT NULL,
    setting           integer     NOT NULL,
    reading           integer     NOT NULL,
    PRIMARY KEY (tenant_id, case_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT counted_ones_are_signed_and_graded CHECK (excluded NOT IN (0, 5) OR signed_at IS NOT NULL AND significance IS NOT NULL)
) WITH (fillfactor = 85);
CREATE INDEX measure_fact_by_period ON measure_fact (tenant_id, period_at);
CREATE INDEX measure_fact_by_study ON measure_fact (tenant_id, study_key) WHERE study_key IS NOT NULL;

-- What was known before, and until when.
CREATE TABLE measure_fact_past (
    LIKE measure_fact,
    known_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, case_id, known_from),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT known_for_a_while CHECK (known_from < known_until)
);
CREATE INDEX measure_fact_past_by_time ON measure_fact_past (tenant_id, known_until);

-- How far the facts of a tenant's cases have been made from what happened before there
-- were facts: in the order of their ids. done_at says that there are all of them.
CREATE TABLE measure_build (
    tenant_id uuid        NOT NULL PRIMARY KEY,
    up_to     uuid,
    done_at   timestamptz
);

-- The policies ask for the tenant once a statement (a sub-select), not once a row,
-- and name no function that PostgreSQL takes for unsafe in a parallel scan.
-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['measure_word', 'measure_fact', 'measure_fact_past', 'measure_build'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = (SELECT nullif(current_setting(''overread.tenant'', true), '''')::uuid))', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT SELECT, INSERT ON measure_word TO overread_app;
GRANT SELECT, INSERT, UPDATE ON measure_fact, measure_build TO overread_app;
GRANT SELECT, INSERT, DELETE ON measure_fact_past TO overread_app; -- DELETE: a rebuild
CREATE POLICY every_tenant ON measure_build FOR SELECT TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (tenant_id, done_at) ON measure_build TO overread_system;

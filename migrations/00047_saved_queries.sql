-- +goose Up

-- Queries of measures that somebody has given a name and an address: parameters of
-- $evaluate-measure, none of which names a patient or a reader. Who may open one is
-- decided when it is opened.
CREATE TABLE saved_query (
    tenant_id    uuid        NOT NULL,
    query_id     uuid        NOT NULL,
    title        text        NOT NULL CHECK (title <> ''),
    query        text        NOT NULL, -- as in an address, in one form
    role         text        NOT NULL CHECK (role IN ('quality', 'auditor')), -- of who saved it, and so of its reports
    every        text        CHECK (every IN ('month', 'quarter', 'year')),   -- it is evaluated for each, when that has ended
    made_by      uuid        NOT NULL,
    made_at      timestamptz NOT NULL,
    withdrawn_at timestamptz,
    PRIMARY KEY (tenant_id, query_id)
);

-- What a scheduled query has given: one report for each of its periods.
CREATE TABLE kept_report (
    tenant_id uuid        NOT NULL,
    query_id  uuid        NOT NULL,
    starts_on date        NOT NULL, -- of the period
    made_at   timestamptz NOT NULL,
    report    jsonb       NOT NULL, -- the MeasureReport: counts, and readers by pseudonyms of this report
    opened_at timestamptz,          -- first
    PRIMARY KEY (tenant_id, query_id, starts_on),
    FOREIGN KEY (tenant_id, query_id) REFERENCES saved_query
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['saved_query', 'kept_report'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO overread_app', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT UPDATE (withdrawn_at) ON saved_query TO overread_app;
GRANT UPDATE (opened_at) ON kept_report TO overread_app;

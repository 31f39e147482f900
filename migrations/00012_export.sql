-- +goose Up

-- Bulk data exports (HL7 FHIR Bulk Data Access 2.0). A job is worked on batch by
-- batch (fhir/exportwork.go): each batch, with the place where the next one
-- begins, is one transaction that holds the job's row, so that any replica may do
-- the next and one that dies has done nothing.
CREATE TABLE export_job (
    tenant_id        uuid        NOT NULL REFERENCES tenant,
    job_id           uuid        NOT NULL,
    actor_id         uuid        NOT NULL, -- who started it
    actor_role       text        NOT NULL,
    state            text        NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'ended')),
    slot             smallint    CHECK (slot BETWEEN 1 AND 3), -- a tenant's running jobs have one each
    request          text        NOT NULL, -- the address that was asked for
    scope            text        NOT NULL CHECK (scope IN ('system', 'patient')),
    types            text[]      NOT NULL CHECK (cardinality(types) > 0),
    filters          text[]      NOT NULL DEFAULT '{}', -- of a type's resources those that meet one of its filters: Patient?active=true
    patients         text[],               -- of these patients only; NULL for all
    since            timestamptz,
    transaction_time timestamptz NOT NULL, -- what was so at this moment is exported
    started_at       timestamptz NOT NULL DEFAULT now(),
    started_xid      xid8        NOT NULL DEFAULT pg_current_xact_id(),
    waits_for        text[]      NOT NULL, -- the transactions that were running then (pg_locks)
    snapshot         pg_snapshot,          -- set by the first batch, when these have ended
    at_type          integer     NOT NULL DEFAULT 1, -- place in types
    at_id            text        COLLATE "C" NOT NULL DEFAULT '',
    exported         bigint      NOT NULL DEFAULT 0,
    failures         integer     NOT NULL DEFAULT 0, -- of one batch, one after the other
    worked_at        timestamptz NOT NULL DEFAULT now(),
    expires_at       timestamptz NOT NULL, -- then its files go
    PRIMARY KEY (tenant_id, job_id),
    CONSTRAINT few_run UNIQUE (tenant_id, slot),
    CONSTRAINT slot_while_running CHECK ((state = 'running') = (slot IS NOT NULL))
);
CREATE INDEX export_job_running ON export_job (worked_at) WHERE state = 'running';
CREATE INDEX export_job_expires ON export_job (expires_at);

CREATE TABLE export_file (
    tenant_id uuid    NOT NULL,
    job_id    uuid    NOT NULL,
    file_no   integer NOT NULL CHECK (file_no > 0),
    kind      text    NOT NULL CHECK (kind IN ('output', 'deleted')),
    type      text    NOT NULL, -- of the resources in it
    lines     integer NOT NULL DEFAULT 0,
    bytes     bigint  NOT NULL DEFAULT 0,
    chunks    integer NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, job_id, file_no),
    FOREIGN KEY (tenant_id, job_id) REFERENCES export_job
);

-- The files' content, in pieces that fit into memory.
CREATE TABLE export_chunk (
    tenant_id uuid    NOT NULL,
    job_id    uuid    NOT NULL,
    file_no   integer NOT NULL,
    chunk_no  integer NOT NULL CHECK (chunk_no > 0),
    body      bytea   NOT NULL,
    PRIMARY KEY (tenant_id, job_id, file_no, chunk_no),
    FOREIGN KEY (tenant_id, job_id, file_no) REFERENCES export_file
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['export_job', 'export_file', 'export_chunk'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO overread_app', t);
    END LOOP;
END $$;
-- +goose StatementEnd
-- The worker's claim sees which jobs there are, not what is in them.
CREATE POLICY every_tenant ON export_job TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (tenant_id, job_id, state, started_at, started_xid, waits_for, failures, worked_at, expires_at) ON export_job TO overread_system;
GRANT UPDATE (worked_at) ON export_job TO overread_system; -- for FOR UPDATE

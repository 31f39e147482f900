-- +goose Up

-- The FHIR resources. body is the exact text that is served: reading by id is
-- one primary-key look-up and no re-serialisation. keys are the search keys
-- (fhir/searchkey.go): 128-bit digests of tenant, type, parameter and value,
-- so that one GIN index answers every token and reference search and never
-- mixes tenants or types.
CREATE TABLE resource (
    tenant_id    uuid        NOT NULL REFERENCES tenant,
    type         text        COLLATE "C" NOT NULL,
    id           text        COLLATE "C" NOT NULL CHECK (id ~ '^[A-Za-z0-9.-]{1,64}$'),
    version      bigint      NOT NULL CHECK (version > 0),
    last_updated timestamptz NOT NULL,
    deleted      boolean     NOT NULL DEFAULT false,
    body         bytea       CHECK (deleted = (body IS NULL)),
    keys         uuid[]      NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, type, id)
);
CREATE INDEX resource_keys ON resource USING gin (keys) WITH (fastupdate = on);
CREATE INDEX resource_last_updated ON resource (tenant_id, type, last_updated);

-- Every superseded version, append-only.
CREATE TABLE resource_history (
    tenant_id    uuid        NOT NULL,
    type         text        COLLATE "C" NOT NULL,
    id           text        COLLATE "C" NOT NULL,
    version      bigint      NOT NULL,
    last_updated timestamptz NOT NULL,
    deleted      boolean     NOT NULL,
    body         bytea,
    PRIMARY KEY (tenant_id, type, id, version, last_updated)
) PARTITION BY RANGE (last_updated);
CREATE TABLE resource_history_default PARTITION OF resource_history DEFAULT;

-- Date parameters: one row a value, as the half-open interval that it means
-- (FHIR R4 search.html#date: 2024 is the whole year).
CREATE TABLE resource_date (
    tenant_id uuid        NOT NULL,
    type      text        COLLATE "C" NOT NULL,
    id        text        COLLATE "C" NOT NULL,
    param     text        COLLATE "C" NOT NULL,
    low       timestamptz NOT NULL,
    high      timestamptz NOT NULL CHECK (high >= low),
    FOREIGN KEY (tenant_id, type, id) REFERENCES resource ON DELETE CASCADE
);
CREATE INDEX resource_date_range ON resource_date (tenant_id, type, param, low, high);
CREATE INDEX resource_date_owner ON resource_date (tenant_id, type, id);

-- String parameters, folded (lower case, without accents): names, addresses.
CREATE TABLE resource_string (
    tenant_id uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    param     text COLLATE "C" NOT NULL,
    folded    text COLLATE "C" NOT NULL,
    exact     text COLLATE "C" NOT NULL,
    FOREIGN KEY (tenant_id, type, id) REFERENCES resource ON DELETE CASCADE
);
CREATE INDEX resource_string_prefix ON resource_string (tenant_id, type, param, folded);
CREATE INDEX resource_string_owner ON resource_string (tenant_id, type, id);

-- What a resource is called at the EHR that sent it: "Patient/example" below
-- tenant.ehr_base. References that go back use these names. The EHR may send
-- the same one again: then both copies have that name, and what comes in means
-- the latest.
CREATE TABLE resource_origin (
    tenant_id uuid NOT NULL,
    type      text COLLATE "C" NOT NULL,
    id        text COLLATE "C" NOT NULL,
    ehr_id    text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, type, id),
    FOREIGN KEY (tenant_id, type, id) REFERENCES resource
);
CREATE INDEX resource_origin_by_ehr_id ON resource_origin (tenant_id, type, ehr_id);

-- The lock of a conditional create: the insert of the same query waits for
-- the first one's commit, whoever comes first, on any replica.
CREATE TABLE conditional_claim (
    tenant_id  uuid        NOT NULL REFERENCES tenant,
    query_hash bytea       NOT NULL CHECK (octet_length(query_hash) = 32),
    claimed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, query_hash)
);

-- The answer to an order that came as a transaction: the same bytes again get
-- the same answer and change nothing.
CREATE TABLE receipt (
    tenant_id    uuid        NOT NULL REFERENCES tenant,
    body_sha256  bytea       NOT NULL CHECK (octet_length(body_sha256) = 32),
    answer       bytea,
    received_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, body_sha256)
);

-- One FHIR AuditEvent a change (IHE BALP), in the transaction of the change.
CREATE TABLE audit_event (
    tenant_id   uuid        NOT NULL,
    audit_id    uuid        NOT NULL,
    recorded_at timestamptz NOT NULL,
    body        bytea       NOT NULL,
    PRIMARY KEY (tenant_id, audit_id, recorded_at)
) PARTITION BY RANGE (recorded_at);
CREATE TABLE audit_event_default PARTITION OF audit_event DEFAULT;

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['resource', 'resource_history', 'resource_date', 'resource_string',
                             'resource_origin', 'conditional_claim', 'receipt', 'audit_event',
                             'resource_history_default', 'audit_event_default'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
    END LOOP;
END $$;
-- +goose StatementEnd

GRANT SELECT, INSERT, UPDATE ON resource, receipt, conditional_claim, resource_origin TO overread_app;
GRANT SELECT, INSERT, DELETE ON resource_date, resource_string TO overread_app;
GRANT SELECT, INSERT ON resource_history, audit_event TO overread_app; -- append-only

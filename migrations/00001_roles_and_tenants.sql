-- +goose Up

-- Two roles that own nothing and log in as nobody. Each transaction of the
-- server steps down into one of them with SET LOCAL, so the login may be the
-- owner or even a superuser and row-level security still holds.
--   overread_app     sees one tenant: the one named by overread.tenant
--   overread_system  sees every tenant, but only tables without patient data
--
-- Where the login may not create roles, a superuser makes them first (and
-- overread_search, of 00005) and grants them to it.
-- +goose StatementBegin
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['overread_app', 'overread_system'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = name);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this cluster was faster
        END;
    END LOOP;
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    EXECUTE format('GRANT overread_app, overread_system TO %I', current_user);
EXCEPTION
    WHEN unique_violation THEN NULL; -- another database of this cluster was just granted the same
    WHEN insufficient_privilege THEN NULL; -- they are not ours to grant: whoever made them has, or overread doctor says so
END $$;
-- +goose StatementEnd

-- The tenant of the transaction; NULL (which matches no row) when unset.
-- +goose StatementBegin
CREATE FUNCTION overread_tenant() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('overread.tenant', true), '')::uuid
$$;
-- +goose StatementEnd

CREATE TABLE tenant (
    tenant_id    uuid        PRIMARY KEY,
    name         text        NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    display      text        NOT NULL,
    ehr_base     text        CHECK (ehr_base ~ '^https?://[^/]+(/.*)?[^/]$'),
    policy       jsonb       NOT NULL DEFAULT '{}',
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- Who may call: the SHA-256 of an opaque bearer token. A reader's token names
-- the reader; a token without reader belongs to a system or to a desk.
CREATE TABLE token (
    tenant_id    uuid        NOT NULL REFERENCES tenant,
    token_sha256 bytea       NOT NULL CHECK (octet_length(token_sha256) = 32),
    actor_id     uuid        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('placer', 'reader', 'adjudicator', 'supervisor', 'coordinator', 'auditor', 'director')),
    display      text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    revoked_at   timestamptz,
    PRIMARY KEY (tenant_id, token_sha256)
);
CREATE UNIQUE INDEX token_by_hash ON token (token_sha256);

-- Where a tenant's reports go. While breaker_until is ahead, nothing is sent
-- there. failed_lanes are the different cases that failed there since the last
-- answer; enough of them close the destination (workflow/delivery_breaker.go). claimed_at
-- is when the couriers last took something for it, so that all get their turn.
CREATE TABLE destination (
    tenant_id      uuid        NOT NULL REFERENCES tenant,
    destination    text        NOT NULL CHECK (destination ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    base_url       text        NOT NULL CHECK (base_url ~ '^https?://[^/]+(/.*)?[^/]$'),
    packaging      text        NOT NULL DEFAULT 'transaction' CHECK (packaging IN ('transaction', 'report')),
    token_file     text,
    timeout_ms     integer     NOT NULL DEFAULT 10000 CHECK (timeout_ms BETWEEN 100 AND 120000),
    in_flight_max  integer     NOT NULL DEFAULT 2 CHECK (in_flight_max BETWEEN 1 AND 64),
    failures       integer     NOT NULL DEFAULT 0,
    failed_lanes   uuid[]      NOT NULL DEFAULT '{}',
    breaker_until  timestamptz,
    claimed_at     timestamptz,
    PRIMARY KEY (tenant_id, destination)
);

-- A radiologist as this tenant has credentialed them. reader_id is the same
-- person at every tenant. credential holds licences, privileges, conflicts and
-- capacity with their dates of validity (workflow.Reader).
CREATE TABLE reader (
    tenant_id       uuid        NOT NULL REFERENCES tenant,
    reader_id       uuid        NOT NULL,
    practitioner_id text        NOT NULL,
    display         text        NOT NULL,
    credential      jsonb       NOT NULL,
    active          boolean     NOT NULL DEFAULT true,
    last_offered_at timestamptz,
    PRIMARY KEY (tenant_id, reader_id)
);

ALTER TABLE tenant ENABLE ROW LEVEL SECURITY;      ALTER TABLE tenant FORCE ROW LEVEL SECURITY;
ALTER TABLE token ENABLE ROW LEVEL SECURITY;       ALTER TABLE token FORCE ROW LEVEL SECURITY;
ALTER TABLE destination ENABLE ROW LEVEL SECURITY; ALTER TABLE destination FORCE ROW LEVEL SECURITY;
ALTER TABLE reader ENABLE ROW LEVEL SECURITY;      ALTER TABLE reader FORCE ROW LEVEL SECURITY;

CREATE POLICY one_tenant ON tenant      TO overread_app USING (tenant_id = overread_tenant());
CREATE POLICY one_tenant ON token       TO overread_app USING (tenant_id = overread_tenant());
CREATE POLICY one_tenant ON destination TO overread_app USING (tenant_id = overread_tenant());
CREATE POLICY one_tenant ON reader      TO overread_app USING (tenant_id = overread_tenant());
-- A login inherits the rights of both roles at once: the rows of every tenant
-- from the one and the columns from the other. So this policy holds for who has
-- become overread_system (SET ROLE), not for who may.
CREATE POLICY every_tenant ON tenant      TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON token       TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON destination TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON reader      TO overread_system USING (current_user = 'overread_system');

GRANT SELECT ON tenant, destination, reader TO overread_app;
GRANT UPDATE (last_offered_at) ON reader TO overread_app;
GRANT SELECT, INSERT, UPDATE ON tenant, token, destination, reader TO overread_system;

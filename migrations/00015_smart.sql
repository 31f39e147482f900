-- +goose Up

-- SMART Backend Services: systems that prove who they are by a key, and get
-- tokens for five minutes (internal/oauth). What a client may do is what its role
-- may in the life of a case, bounded by the scopes that it was given.
CREATE TABLE client (
    tenant_id   uuid        NOT NULL REFERENCES tenant,
    client_id   uuid        NOT NULL, -- the actor's id too
    name        text        NOT NULL CHECK (name <> ''),
    role        text        NOT NULL CHECK (role IN ('placer', 'coordinator', 'auditor')),
    scopes      text        NOT NULL CHECK (scopes <> ''),
    jwks        jsonb,      -- the public keys, where they are not at an address
    jwks_url    text,
    -- What was last found at the address, for when it does not answer.
    jwks_found      text,
    jwks_found_at   timestamptz,
    jwks_fresh_till timestamptz, -- as long as its Cache-Control said
    created_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at  timestamptz,
    PRIMARY KEY (tenant_id, client_id),
    CONSTRAINT keys_here_or_there CHECK ((jwks IS NULL) <> (jwks_url IS NULL))
);
CREATE UNIQUE INDEX client_by_id ON client (client_id);

-- The assertions that were used, until they expire: none is taken twice, by
-- whichever replica.
CREATE TABLE client_assertion (
    tenant_id  uuid        NOT NULL,
    client_id  uuid        NOT NULL,
    jti_sha256 bytea       NOT NULL CHECK (octet_length(jti_sha256) = 32),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, client_id, jti_sha256),
    FOREIGN KEY (tenant_id, client_id) REFERENCES client
);
CREATE INDEX client_assertion_expires ON client_assertion (expires_at);

CREATE TABLE access_token (
    tenant_id    uuid        NOT NULL,
    token_sha256 bytea       NOT NULL CHECK (octet_length(token_sha256) = 32),
    client_id    uuid        NOT NULL,
    scopes       text        NOT NULL CHECK (scopes <> ''),
    issued_at    timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, token_sha256),
    FOREIGN KEY (tenant_id, client_id) REFERENCES client
);
CREATE UNIQUE INDEX access_token_by_hash ON access_token (token_sha256);
CREATE INDEX access_token_expires ON access_token (expires_at);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['client', 'client_assertion', 'access_token'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO overread_system USING (current_user = ''overread_system'')', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO overread_system', t);
    END LOOP;
END $$;
-- +goose StatementEnd
REVOKE DELETE ON client FROM overread_system;


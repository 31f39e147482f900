-- +goose Up

-- EHRs from which a clinician may open Overread (SMART App Launch 2.2,
-- integrations/smart). issuer is the base of the EHR's FHIR server, exactly as it
-- comes in the launch. Secrets are files on the server, never in here.
CREATE TABLE ehr_issuer (
    tenant_id      uuid        NOT NULL REFERENCES tenant,
    issuer         text        NOT NULL CHECK (issuer ~ '^https?://[^/]+(/.*)?[^/]$'),
    client_id      text        NOT NULL CHECK (client_id <> ''), -- what we are called there
    authentication text        NOT NULL CHECK (authentication IN ('public', 'secret', 'key')),
    secret_file    text,       -- the client secret, or our private key (JWK)
    scopes         text        NOT NULL CHECK (scopes <> ''),
    frame_origins  text[]      NOT NULL DEFAULT '{}', -- whose pages may show ours in a frame
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, issuer),
    CONSTRAINT secret_where_needed CHECK ((authentication = 'public') = (secret_file IS NULL))
);

-- A launch that has begun: its state, bound to the browser that began it, good
-- once. found is what the EHR said of its endpoints then: the code goes there and
-- nowhere else.
CREATE TABLE ehr_launch (
    tenant_id      uuid        NOT NULL,
    state_sha256   bytea       NOT NULL CHECK (octet_length(state_sha256) = 32),
    browser_sha256 bytea       NOT NULL CHECK (octet_length(browser_sha256) = 32),
    issuer         text        NOT NULL,
    nonce          text        NOT NULL,
    verifier       text        NOT NULL,
    found          jsonb       NOT NULL,
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, state_sha256),
    FOREIGN KEY (tenant_id, issuer) REFERENCES ehr_issuer ON DELETE CASCADE
);
CREATE UNIQUE INDEX ehr_launch_by_state ON ehr_launch (state_sha256);
CREATE INDEX ehr_launch_expires ON ehr_launch (expires_at);

-- What a launched session shows first, and to whom it belongs. Of the patient
-- only our own id is known here (session_actor.patient).
CREATE TABLE launched (
    tenant_id     uuid        NOT NULL REFERENCES tenant,
    session_id    uuid        NOT NULL REFERENCES session ON DELETE CASCADE,
    issuer        text        NOT NULL,
    task_id       text,       -- of the order in context, where there is one that is known here
    order_unknown boolean     NOT NULL DEFAULT false, -- the EHR named an order that is not known here
    banner        boolean     NOT NULL DEFAULT true,  -- whether the page says whom it is about
    frame_origins text[]      NOT NULL DEFAULT '{}',
    PRIMARY KEY (tenant_id, session_id)
);
CREATE INDEX launched_by_session ON launched (session_id);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['ehr_issuer', 'ehr_launch', 'launched'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO overread_system USING (current_user = ''overread_system'')', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO overread_system', t);
    END LOOP;
END $$;
-- +goose StatementEnd

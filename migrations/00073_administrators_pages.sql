-- +goose Up

-- Who may do at the pages what concerns the whole installation: add, suspend and resume
-- hospitals, and say who identifies people. Only the command line of the server writes
-- here (overread operator grant), and each grant ends (docs/decisions/0019). It has no
-- tenant.
CREATE TABLE installation_operator (
    person_id  uuid        PRIMARY KEY REFERENCES person,
    granted_at timestamptz NOT NULL DEFAULT now(),
    granted_by text        NOT NULL CHECK (granted_by <> ''),
    reason     text        NOT NULL CHECK (reason <> ''),
    ends_at    timestamptz NOT NULL
);

-- An endpoint as one administrator wants it, until another one agrees: reports go there,
-- and so nobody says alone where. follows is the address that it had when this was
-- proposed, NULL for a new one; with another one meanwhile it is void.
CREATE TABLE destination_proposal (
    tenant_id        uuid        NOT NULL REFERENCES tenant,
    destination      text        NOT NULL CHECK (destination ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    base_url         text        NOT NULL CHECK (base_url ~ '^https?://[^/]+(/.*)?[^/]$'),
    packaging        text        NOT NULL CHECK (packaging IN ('transaction', 'report')),
    timeout_ms       integer     NOT NULL CHECK (timeout_ms BETWEEN 100 AND 120000),
    in_flight_max    integer     NOT NULL CHECK (in_flight_max BETWEEN 1 AND 64),
    follows          text,
    reason           text        NOT NULL CHECK (reason <> ''),
    proposed_by      uuid        NOT NULL REFERENCES person,
    proposed_by_name text        NOT NULL,
    proposed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, destination)
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['installation_operator', 'destination_proposal'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO overread_system USING (current_user = ''overread_system'')', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO overread_system', t);
    END LOOP;
END $$;
-- +goose StatementEnd

-- +goose Up

-- Who belongs to a hospital: whoever has signed in with a role there, and whoever was
-- given one by name. person is the same at every tenant, member is of one.
CREATE TABLE member (
    tenant_id     uuid        NOT NULL REFERENCES tenant,
    person_id     uuid        NOT NULL REFERENCES person,
    since         timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    PRIMARY KEY (tenant_id, person_id)
);
CREATE INDEX member_by_person ON member (person_id);

-- Which roles a member has, and why.
--   claim    their provider said so at their last sign-in: the value that means it
--   granted  an administrator or the operator has given it to them by name
--   withheld they do not have it, whatever their provider says
CREATE TABLE member_role (
    tenant_id   uuid        NOT NULL,
    person_id   uuid        NOT NULL,
    role        text        NOT NULL CHECK (role IN ('reader', 'adjudicator', 'supervisor', 'coordinator', 'auditor', 'quality', 'director', 'admin')),
    way         text        NOT NULL CHECK (way IN ('claim', 'granted', 'withheld')),
    claim_value text        NOT NULL DEFAULT '',
    set_by      text        NOT NULL DEFAULT '', -- their name; "" of a claim
    set_at      timestamptz NOT NULL DEFAULT now(),
    reason      text        NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, person_id, role, way, claim_value),
    FOREIGN KEY (tenant_id, person_id) REFERENCES member
);

INSERT INTO member (tenant_id, person_id, last_login_at)
SELECT a.tenant_id, s.person_id, max(s.opened_at)
FROM session_actor a
JOIN session s ON s.session_id = a.session_id
WHERE s.came_from = 'oidc'
GROUP BY a.tenant_id, s.person_id;

-- Which person has said what a value of a provider's claim means; NULL: the operator.
-- For that person it means nothing: nobody gives themselves a role.
ALTER TABLE provider_role
    ADD COLUMN set_by uuid,
    ADD COLUMN set_by_name text NOT NULL DEFAULT '',
    ADD COLUMN set_at timestamptz NOT NULL DEFAULT now();

-- When a client last got a token, and when a bearer token was last used (to the hour:
-- it is no row of token, whose changes end what is remembered of it).
ALTER TABLE client ADD COLUMN last_token_at timestamptz;
CREATE TABLE token_use (
    tenant_id    uuid        NOT NULL,
    token_sha256 bytea       NOT NULL,
    used_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, token_sha256),
    FOREIGN KEY (tenant_id, token_sha256) REFERENCES token ON DELETE CASCADE
);

-- While an endpoint is paused nothing is sent to it, and what is signed waits.
ALTER TABLE destination
    ADD COLUMN paused_at    timestamptz,
    ADD COLUMN paused_by    text,
    ADD COLUMN pause_reason text CHECK (pause_reason <> ''),
    ADD CONSTRAINT paused_whole CHECK (num_nonnulls(paused_at, paused_by, pause_reason) IN (0, 3));

-- The servers that work on this database: each says so every few seconds. It has no
-- tenant, and nothing of patients.
CREATE TABLE replica (
    replica_id uuid        PRIMARY KEY,
    host       text        NOT NULL,
    version    text        NOT NULL,
    schema     bigint      NOT NULL, -- that its binary wants
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at    timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,          -- it has ended in order
    mails      boolean     NOT NULL, -- it has a mail server
    signs      boolean     NOT NULL, -- it has the key of the audit log
    disk_free  bigint,               -- bytes where the checkpoints are kept; NULL: not known
    disk_size  bigint
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['member', 'member_role', 'token_use', 'replica'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY every_tenant ON %I TO overread_system USING (current_user = ''overread_system'')', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO overread_system', t);
    END LOOP;
END $$;
-- +goose StatementEnd
REVOKE DELETE ON member FROM overread_system;

-- +goose Up

-- People. Who somebody is an identity provider says (OIDC); what they may do is
-- said by what it claims of them, and for readers by their credentials here.
-- provider, person, session and login have no tenant: a person is the same at
-- every tenant, and who is logging in belongs to none yet. They hold nothing of
-- patients, and only overread_system reaches them.

-- An identity provider. Its client secret is a file on the server or the variable
-- OVERREAD_PROVIDER_<NAME>_SECRET of its environment, never in here.
CREATE TABLE provider (
    name        text        PRIMARY KEY CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    issuer      text        NOT NULL UNIQUE CHECK (issuer ~ '^https?://[^/]+'),
    display     text        NOT NULL CHECK (display <> ''),
    client_id   text        NOT NULL CHECK (client_id <> ''),
    secret_file text,       -- NULL: by the environment, or a public client
    scopes      text        NOT NULL DEFAULT 'openid profile',
    roles_claim text        NOT NULL DEFAULT 'groups',
    created_at  timestamptz NOT NULL DEFAULT now()
);

-- What a value of the roles claim means here.
CREATE TABLE provider_role (
    tenant_id   uuid        NOT NULL REFERENCES tenant,
    provider    text        NOT NULL REFERENCES provider ON DELETE CASCADE,
    claim_value text        NOT NULL CHECK (claim_value <> ''),
    role        text        NOT NULL CHECK (role IN ('reader', 'adjudicator', 'supervisor', 'coordinator', 'auditor', 'quality', 'director', 'admin')),
    PRIMARY KEY (tenant_id, provider, claim_value, role)
);

-- A person as their provider knows them. reader_id is who they are among the
-- readers, at every tenant; a person who has two providers has two rows with it.
CREATE TABLE person (
    person_id   uuid        PRIMARY KEY,
    issuer      text        NOT NULL,
    subject     text        NOT NULL CHECK (subject <> ''),
    reader_id   uuid,
    display     text        NOT NULL CHECK (display <> ''),
    created_at  timestamptz NOT NULL DEFAULT now(),
    last_login_at timestamptz,
    ended_at    timestamptz,
    CONSTRAINT one_person_per_subject UNIQUE (issuer, subject)
);
CREATE INDEX person_by_reader ON person (reader_id) WHERE reader_id IS NOT NULL;

-- A session in a browser: the SHA-256 of its cookie. Times are the database's.
CREATE TABLE session (
    session_id    uuid        PRIMARY KEY,
    cookie_sha256 bytea       NOT NULL UNIQUE CHECK (octet_length(cookie_sha256) = 32),
    person_id     uuid        NOT NULL REFERENCES person,
    came_from     text        NOT NULL CHECK (came_from IN ('oidc', 'launch')),
    browser       text        NOT NULL DEFAULT '', -- what it says it is, for the list of one's sessions
    opened_at     timestamptz NOT NULL DEFAULT now(),
    seen_at       timestamptz NOT NULL DEFAULT now(),
    ends_at       timestamptz NOT NULL,
    ended_at      timestamptz,
    end_reason    text        CHECK (end_reason IN ('logout', 'idle', 'time', 'elsewhere', 'operator')),
    CONSTRAINT ended_for_a_reason CHECK ((ended_at IS NULL) = (end_reason IS NULL))
);
CREATE INDEX session_by_person ON session (person_id) WHERE ended_at IS NULL;
CREATE INDEX session_open ON session (seen_at) WHERE ended_at IS NULL;

-- What the person may be in this session: at each of these tenants, one of these
-- roles at a time.
CREATE TABLE session_actor (
    tenant_id   uuid        NOT NULL REFERENCES tenant,
    session_id  uuid        NOT NULL REFERENCES session ON DELETE CASCADE,
    actor_id    uuid        NOT NULL,
    role        text        NOT NULL CHECK (role IN ('placer', 'reader', 'adjudicator', 'supervisor', 'coordinator', 'auditor', 'quality', 'director', 'admin')),
    patient     text        CHECK (patient ~ '^Patient/'), -- of a launch: nothing beyond this patient
    scopes      text,       -- of a launch; NULL: all that the role may
    PRIMARY KEY (tenant_id, session_id, role)
);
CREATE INDEX session_actor_by_session ON session_actor (session_id);

-- A login that has begun: its state, bound to the browser that began it, good once.
CREATE TABLE login (
    state_sha256   bytea       PRIMARY KEY CHECK (octet_length(state_sha256) = 32),
    browser_sha256 bytea       NOT NULL CHECK (octet_length(browser_sha256) = 32),
    provider       text        NOT NULL REFERENCES provider ON DELETE CASCADE,
    nonce          text        NOT NULL,
    verifier       text        NOT NULL,
    return_to      text        NOT NULL CHECK (return_to ~ '^/'),
    expires_at     timestamptz NOT NULL
);
CREATE INDEX login_expires ON login (expires_at);

-- Who opened a patient's record in an emergency, why, and for how long. Never
-- changed and never removed.
CREATE TABLE break_glass (
    tenant_id   uuid        NOT NULL REFERENCES tenant,
    break_id    uuid        NOT NULL,
    person_id   uuid        NOT NULL,
    actor_id    uuid        NOT NULL,
    role        text        NOT NULL,
    display     text        NOT NULL,
    patient_id  text        NOT NULL,
    purpose     text        NOT NULL DEFAULT 'BTG' CHECK (purpose = 'BTG'), -- v3-ActReason
    reason      text        NOT NULL CHECK (length(reason) >= 10),
    opened_at   timestamptz NOT NULL DEFAULT now(),
    till        timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, break_id)
);
CREATE INDEX break_glass_by_actor ON break_glass (tenant_id, actor_id, till);

-- Who saw, before the reveal of a blinded case, what blinding withholds: the case
-- is not one to count in a statistic of independent readings.
CREATE TABLE case_unveiling (
    tenant_id   uuid        NOT NULL,
    case_id     uuid        NOT NULL,
    actor_id    uuid        NOT NULL,
    break_id    uuid        NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    before_lock boolean     NOT NULL, -- whether the case's opinion was still open
    PRIMARY KEY (tenant_id, case_id, actor_id, break_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    FOREIGN KEY (tenant_id, break_id) REFERENCES break_glass
);

-- A token of a person at several tenants is a row at each of them, with the same
-- hash; each request says which one it means.
DROP INDEX token_by_hash;
CREATE INDEX token_by_hash ON token (token_sha256);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['provider', 'provider_role', 'person', 'session', 'session_actor', 'login', 'break_glass', 'case_unveiling'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['provider', 'provider_role', 'person', 'session', 'session_actor', 'login'] LOOP
        EXECUTE format('CREATE POLICY every_tenant ON %I TO overread_system USING (current_user = ''overread_system'')', t);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO overread_system', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['break_glass', 'case_unveiling'] LOOP
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
        EXECUTE format('GRANT SELECT, INSERT ON %I TO overread_app', t); -- append-only
    END LOOP;
END $$;
-- +goose StatementEnd
REVOKE DELETE ON person FROM overread_system; -- ended, never removed: what they did names them
-- Whom a session's person has opened, and never why.
CREATE POLICY every_tenant ON break_glass TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (tenant_id, break_id, person_id, patient_id, till) ON break_glass TO overread_system;

-- +goose Up

-- What a tenant has said of how its cases run, version by version, append-only.
-- The newest is in force; a case keeps the one that it began with. text is what
-- was written, document what it says (workflow.Policy, without its defaults).
CREATE TABLE tenant_policy (
    tenant_id      uuid        NOT NULL REFERENCES tenant,
    version        integer     NOT NULL CHECK (version > 0),
    set_at         timestamptz NOT NULL DEFAULT now(),
    set_by         text        NOT NULL CHECK (set_by <> ''),
    note           text        NOT NULL DEFAULT '',
    text           text        NOT NULL,
    document       jsonb       NOT NULL,
    text_sha256    bytea       NOT NULL CHECK (text_sha256 = sha256(convert_to(text, 'UTF8'))),
    PRIMARY KEY (tenant_id, version)
);
ALTER TABLE tenant_policy ENABLE ROW LEVEL SECURITY; ALTER TABLE tenant_policy FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant   ON tenant_policy TO overread_app    USING (tenant_id = overread_tenant());
CREATE POLICY every_tenant ON tenant_policy TO overread_system USING (current_user = 'overread_system');
GRANT SELECT         ON tenant_policy TO overread_app;
GRANT SELECT, INSERT ON tenant_policy TO overread_system;

-- What the tenants have said until now is their first version. tenant.policy
-- stays for the previous release, which may still run: it is written with each
-- version, and what such a release adds without one is still read from there.
INSERT INTO tenant_policy (tenant_id, version, set_by, note, text, document, text_sha256)
SELECT tenant_id, 1, 'overread migrate', 'as it was before policies had versions',
       jsonb_pretty(policy), policy, sha256(convert_to(jsonb_pretty(policy), 'UTF8'))
FROM tenant;

-- 0: begun before policies had versions, or for a tenant without one.
ALTER TABLE case_file
    ADD COLUMN policy_version integer NOT NULL DEFAULT 0 CHECK (policy_version >= 0),
    ADD COLUMN policy_sha256  bytea   CHECK (octet_length(policy_sha256) = 32);

-- For whom a case waited while nobody could read it, and why: one row each
-- time. Where stops is true the final clock stood still meanwhile. The times of
-- a case (workflow/times.go) are counted from these rows.
CREATE TABLE case_wait (
    tenant_id uuid        NOT NULL,
    case_id   uuid        NOT NULL,
    wait_no   integer     NOT NULL CHECK (wait_no > 0),
    party     text        NOT NULL CHECK (party IN ('placer', 'filler', 'system')),
    reason    text        NOT NULL CHECK (reason <> ''), -- code of an intake finding, nobody-eligible, or held
    stops     boolean     NOT NULL,
    began_at  timestamptz NOT NULL,
    ended_at  timestamptz CHECK (ended_at >= began_at),
    PRIMARY KEY (tenant_id, case_id, wait_no),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);
CREATE UNIQUE INDEX one_wait_at_a_time ON case_wait (tenant_id, case_id) WHERE ended_at IS NULL;
CREATE INDEX case_wait_by_party ON case_wait (tenant_id, party, began_at);
ALTER TABLE case_wait ENABLE ROW LEVEL SECURITY; ALTER TABLE case_wait FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON case_wait TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON case_wait TO overread_app;
GRANT UPDATE (ended_at) ON case_wait TO overread_app;

-- Who was told that a clock of a case speaks: one row for each link of a chain of
-- the policy (escalations[rule].chain[link]), which the key allows once. The
-- reader is told as a person, the others by their role. Unless somebody takes
-- note in time, the next link is told at next_at.
CREATE TABLE escalation (
    tenant_id        uuid        NOT NULL,
    case_id          uuid        NOT NULL,
    clock            text        NOT NULL,
    clock_started_at timestamptz NOT NULL, -- a clock may start anew
    stage            integer     NOT NULL CHECK (stage IN (50, 75, 90, 100)),
    rule             integer     NOT NULL CHECK (rule >= 0),
    link             integer     NOT NULL CHECK (link >= 0),
    escalation_id    uuid        NOT NULL,
    tell             text        NOT NULL CHECK (tell IN ('reader', 'coordinator', 'director')),
    person_id        uuid,
    ways             text[]      NOT NULL CHECK (ways <@ ARRAY['page', 'notification', 'mail']),
    told_at          timestamptz NOT NULL,
    next_at          timestamptz,          -- NULL: this is the last link, or the next one was told
    heeded_at        timestamptz,
    heeded_by        uuid,
    ended_at         timestamptz,          -- the clock has ended, and with it the reason
    PRIMARY KEY (tenant_id, case_id, clock, clock_started_at, stage, rule, link),
    CONSTRAINT one_escalation_by_id UNIQUE (tenant_id, escalation_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT heeded_by_somebody CHECK ((heeded_at IS NULL) = (heeded_by IS NULL)),
    CONSTRAINT a_reader_is_a_person CHECK (tell <> 'reader' OR person_id IS NOT NULL)
);
CREATE INDEX escalation_open ON escalation (tenant_id, tell, person_id) WHERE heeded_at IS NULL AND ended_at IS NULL;
ALTER TABLE escalation ENABLE ROW LEVEL SECURITY; ALTER TABLE escalation FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON escalation TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON escalation TO overread_app;
GRANT UPDATE (next_at, heeded_at, heeded_by, ended_at) ON escalation TO overread_app;

-- Mail that waits to be sent. It has no text: what a mail says is made of these
-- columns, so that there is nothing of a patient in it (integrations/mail).
CREATE TABLE mail (
    tenant_id       uuid        NOT NULL,
    mail_id         uuid        NOT NULL,
    case_id         uuid        NOT NULL,
    escalation_id   uuid        NOT NULL,
    recipient       text        NOT NULL CHECK (recipient ~ '^[^[:space:]@]+@[^[:space:]@]+$'),
    state           text        NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'parked')),
    queued_at       timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    attempts        integer     NOT NULL DEFAULT 0,
    lease_until     timestamptz,
    epoch           bigint      NOT NULL DEFAULT 0, -- fences a sender whose lease ran out
    reason          text        NOT NULL DEFAULT '', -- why the last attempt failed: a code of ours
    done_at         timestamptz,
    PRIMARY KEY (tenant_id, mail_id),
    CONSTRAINT one_mail_each UNIQUE (tenant_id, escalation_id, recipient),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    FOREIGN KEY (tenant_id, escalation_id) REFERENCES escalation (tenant_id, escalation_id),
    CONSTRAINT mail_done_has_time CHECK ((state = 'done') = (done_at IS NOT NULL))
);
CREATE INDEX mail_due ON mail (next_attempt_at) WHERE state = 'queued';
ALTER TABLE mail ENABLE ROW LEVEL SECURITY; ALTER TABLE mail FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant   ON mail TO overread_app    USING (tenant_id = overread_tenant());
CREATE POLICY every_tenant ON mail TO overread_system USING (current_user = 'overread_system');
GRANT SELECT, INSERT, UPDATE ON mail TO overread_app;
GRANT SELECT (tenant_id, mail_id, state, queued_at, next_attempt_at, attempts, lease_until, epoch) ON mail TO overread_system;
GRANT UPDATE (lease_until, epoch, attempts, state, reason) ON mail TO overread_system;

-- Who let an offer of a case expire in this round of offers, and which round it is.
ALTER TABLE case_file
    ADD COLUMN lapsed      uuid[]  NOT NULL DEFAULT '{}',
    ADD COLUMN offer_round integer NOT NULL DEFAULT 1 CHECK (offer_round > 0);

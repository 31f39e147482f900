-- +goose Up

-- That somebody was shown images of a study of a case in this session is in the audit
-- log once, not once for each frame. session is Actor.Token: its name in the audit.
CREATE TABLE image_opening (
    tenant_id uuid        NOT NULL REFERENCES tenant,
    session   text        NOT NULL CHECK (session <> ''),
    task_id   text        NOT NULL,
    study_uid text        NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, session, task_id, study_uid)
);
CREATE INDEX image_opening_by_age ON image_opening (tenant_id, opened_at);
ALTER TABLE image_opening ENABLE ROW LEVEL SECURITY; ALTER TABLE image_opening FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON image_opening TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT, DELETE ON image_opening TO overread_app;

-- A way from a session into the viewer, which is at an origin of its own: a code that
-- is good once, for a minute, and then a cookie of the viewer's, for one case and to
-- read only. It is good no longer than the session.
CREATE TABLE viewer_ticket (
    tenant_id     uuid        NOT NULL REFERENCES tenant,
    ticket_id     uuid        NOT NULL,
    session_id    uuid        NOT NULL REFERENCES session ON DELETE CASCADE,
    role          text        NOT NULL,
    task_id       text        NOT NULL,
    code_sha256   bytea       CHECK (octet_length(code_sha256) = 32),   -- until it is used
    cookie_sha256 bytea       CHECK (octet_length(cookie_sha256) = 32), -- from then on
    made_at       timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, ticket_id),
    CONSTRAINT used_once CHECK (code_sha256 IS NULL OR cookie_sha256 IS NULL)
);
CREATE INDEX viewer_ticket_by_session ON viewer_ticket (session_id);
CREATE UNIQUE INDEX viewer_ticket_by_id ON viewer_ticket (ticket_id);
ALTER TABLE viewer_ticket ENABLE ROW LEVEL SECURITY; ALTER TABLE viewer_ticket FORCE ROW LEVEL SECURITY;
CREATE POLICY every_tenant ON viewer_ticket TO overread_system USING (current_user = 'overread_system');
GRANT SELECT, INSERT, UPDATE, DELETE ON viewer_ticket TO overread_system;

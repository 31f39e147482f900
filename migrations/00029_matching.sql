-- +goose Up

-- What was said of a reader's credentials, append-only: by the operator's command
-- (source 'operator'), or by a Practitioner or PractitionerRole that a coordinator
-- or an admin wrote (source 'PractitionerRole/1'). The last of each source is in
-- force; reader.credential is what they say together (workflow/credential.go).
CREATE TABLE reader_credential (
    tenant_id   uuid        NOT NULL,
    reader_id   uuid        NOT NULL,
    seq         integer     NOT NULL CHECK (seq > 0),
    source      text        NOT NULL CHECK (source ~ '^(operator|Practitioner/.+|PractitionerRole/.+)$'),
    said_at     timestamptz NOT NULL,
    said_by     text        NOT NULL CHECK (said_by <> ''),
    document    jsonb,      -- workflow.Reader, as far as the source speaks of it; NULL: the source is gone
    PRIMARY KEY (tenant_id, reader_id, seq),
    FOREIGN KEY (tenant_id, reader_id) REFERENCES reader
);
ALTER TABLE reader_credential ENABLE ROW LEVEL SECURITY; ALTER TABLE reader_credential FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant   ON reader_credential TO overread_app    USING (tenant_id = overread_tenant());
CREATE POLICY every_tenant ON reader_credential TO overread_system USING (current_user = 'overread_system');
GRANT SELECT, INSERT ON reader_credential TO overread_app, overread_system;

-- A coordinator's PractitionerRole makes a reader, or changes one.
GRANT INSERT (tenant_id, reader_id, practitioner_id, display, credential, active) ON reader TO overread_app;
GRANT UPDATE (display, credential, active) ON reader TO overread_app;

-- Who may have no part in a case, having declined it for a conflict.
ALTER TABLE case_file ADD COLUMN conflicted uuid[] NOT NULL DEFAULT '{}';

-- What each reader has done of late.
CREATE INDEX case_by_final ON case_file (tenant_id, final_at) WHERE final_at IS NOT NULL;

-- When the pool of a tenant is assigned next, where its policy says batch. Whoever
-- holds the row assigns.
CREATE TABLE batch_run (
    tenant_id   uuid        NOT NULL PRIMARY KEY REFERENCES tenant,
    due_at      timestamptz NOT NULL,
    ran_at      timestamptz
);
CREATE INDEX batch_run_due ON batch_run (due_at);
ALTER TABLE batch_run ENABLE ROW LEVEL SECURITY; ALTER TABLE batch_run FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant   ON batch_run TO overread_app    USING (tenant_id = overread_tenant());
CREATE POLICY every_tenant ON batch_run TO overread_system USING (current_user = 'overread_system');
GRANT SELECT, INSERT, UPDATE ON batch_run TO overread_app;
GRANT SELECT, UPDATE ON batch_run TO overread_system;

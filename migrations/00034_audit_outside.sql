-- +goose Up

-- The logs whose checkpoints are kept in a file outside the database too, once the
-- file was there. Where it is gone later, nothing more is signed until an operator
-- has said why (docs/audit.md).
CREATE TABLE audit_outside (
    tenant_id uuid        NOT NULL PRIMARY KEY,
    since     timestamptz NOT NULL DEFAULT now()
);

ALTER TABLE audit_outside ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_outside FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON audit_outside TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT, DELETE ON audit_outside TO overread_app;

-- The doctor sees whose files there should be.
CREATE POLICY every_tenant ON audit_outside FOR SELECT TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (tenant_id) ON audit_outside TO overread_system;

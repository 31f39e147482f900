-- +goose Up

-- A way of looking at a worklist that somebody has kept under a name: the page's own
-- filters, and nothing of patients. It may be changed and thrown away at will.
CREATE TABLE saved_view (
    tenant_id uuid        NOT NULL REFERENCES tenant,
    actor_id  uuid        NOT NULL,
    role      text        NOT NULL,
    name      text        NOT NULL CHECK (char_length(name) BETWEEN 1 AND 40),
    filters   text        NOT NULL CHECK (char_length(filters) <= 200),
    saved_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, actor_id, role, name)
);
ALTER TABLE saved_view ENABLE ROW LEVEL SECURITY; ALTER TABLE saved_view FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON saved_view TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON saved_view TO overread_app;

-- A reader's own statistics count what they have signed.
CREATE INDEX signed_by_whom ON signed_report (tenant_id, signed_by, signed_at) WHERE report_no = 1;

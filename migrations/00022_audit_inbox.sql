-- +goose Up

-- AuditEvents as they are written: durable with what they tell, and as little
-- more as can be. A job puts each into audit_event with what it is found by, and
-- it waits for its place in the log there, about a second later
-- (fhir/auditinbox.go). A row has the events that were written together.
CREATE TABLE audit_inbox (
    tenant_id   uuid          NOT NULL,
    batch_id    uuid          NOT NULL,
    recorded_at timestamptz   NOT NULL, -- the first of them
    ids         uuid[]        NOT NULL CHECK (cardinality(ids) > 0),
    times       timestamptz[] NOT NULL CHECK (cardinality(times) = cardinality(ids)),
    bodies      bytea[]       NOT NULL CHECK (cardinality(bodies) = cardinality(ids)),
    PRIMARY KEY (tenant_id, batch_id)
);
ALTER TABLE audit_inbox ALTER COLUMN bodies SET STORAGE EXTERNAL; -- it lives a second: compressing takes longer

ALTER TABLE audit_inbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_inbox FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON audit_inbox TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT, DELETE ON audit_inbox TO overread_app;

-- The job sees where there is something to do, and the doctor how much.
CREATE POLICY every_tenant ON audit_inbox FOR SELECT TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (tenant_id, batch_id, recorded_at) ON audit_inbox TO overread_system;

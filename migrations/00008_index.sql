-- +goose Up

-- AuditEvents of earlier releases are indexed in the background, as resources
-- are. What they say stays as it was written: only what finds them is added.
ALTER TABLE audit_event ADD COLUMN indexed smallint NOT NULL DEFAULT 0;
CREATE INDEX audit_event_not_indexed ON audit_event (tenant_id) WHERE indexed < 1;
GRANT UPDATE (keys, indexed) ON audit_event TO overread_app;

-- The job sees which tenants have something to index, and the doctor how much:
-- no more than that.
CREATE POLICY every_tenant ON resource    FOR SELECT TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON audit_event FOR SELECT TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (tenant_id, indexed, deleted) ON resource TO overread_system;
GRANT SELECT (tenant_id, indexed) ON audit_event TO overread_system;

-- date=ge2026-11 looks at where intervals end.
CREATE INDEX resource_date_until ON resource_date (tenant_id, type, param, high);

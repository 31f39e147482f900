-- +goose Up

-- Which AuditEvents are for auditors is part of what they are found by (decision 18):
-- those of earlier releases are indexed again in the background, and until then they
-- are for directors alone.
DROP INDEX audit_event_not_indexed;
CREATE INDEX audit_event_not_indexed ON audit_event (tenant_id) WHERE indexed < 2;

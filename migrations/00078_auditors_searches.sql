-- +goose Up

-- Which AuditEvents are for auditors follows another table now (fhir/auditortrail.go): those
-- that were indexed by the one before are indexed again.

DROP INDEX audit_event_not_indexed;
CREATE INDEX audit_event_not_indexed ON audit_event (tenant_id) WHERE indexed < 4;

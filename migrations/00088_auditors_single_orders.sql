-- +goose Up

-- Auditors are not told any more of operations on a single order, of its images, nor of launches for
-- one (decision 18): events are indexed again in the background.
DROP INDEX audit_event_not_indexed;
CREATE INDEX audit_event_not_indexed ON audit_event (tenant_id) WHERE indexed < 6;

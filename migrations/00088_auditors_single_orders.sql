-- +goose Up

-- Auditors are not told any more of accesses to single orders, operations and images of one among them, of
-- launches for one, nor of what is written with one (decision 18): events are indexed again in the background.
DROP INDEX audit_event_not_indexed;
CREATE INDEX audit_event_not_indexed ON audit_event (tenant_id) WHERE indexed < 6;

-- +goose Up

-- Pages of administrators looked at all that a hospital has: versions of a policy by open
-- cases (policies), deliveries that wait, and the last one that was done, by destination.
CREATE INDEX case_open ON case_file (tenant_id, case_id) INCLUDE (priority, policy_version)
    WHERE state NOT IN ('closed', 'rejected', 'cancelled', 'failed', 'entered-in-error');
CREATE INDEX delivery_done ON delivery (tenant_id, destination, done_at) WHERE state = 'done';
CREATE INDEX delivery_open ON delivery (tenant_id, destination, queued_at) INCLUDE (state) WHERE state IN ('queued', 'parked');

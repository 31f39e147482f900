-- +goose Up

-- A time from the order on is counted, and its cases are listed, by when they were ordered.
CREATE INDEX measure_fact_by_order ON measure_fact (tenant_id, opened_at);

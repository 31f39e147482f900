-- +goose Up
-- How far down a tenant's pool the last look at it has come (docs/matching.md).
ALTER TABLE batch_run ADD COLUMN behind integer NOT NULL DEFAULT 0 CHECK (behind >= 0);

-- +goose Up

-- Whether a tenant is at work. While it is not, nothing is done for it: no request,
-- no job, no delivery (internal/pg, internal/tenant).
--   active     at work
--   suspended  stands still, and goes on where it stopped
--   moved      was exported to go on elsewhere; here it stays as it is
--   copied     came from a file, and its like may still be at work elsewhere
ALTER TABLE tenant ADD COLUMN state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'suspended', 'moved', 'copied'));
ALTER TABLE tenant ADD COLUMN state_since timestamptz NOT NULL DEFAULT now();
ALTER TABLE tenant ADD COLUMN state_reason text NOT NULL DEFAULT '';
UPDATE tenant SET state_since = created_at;

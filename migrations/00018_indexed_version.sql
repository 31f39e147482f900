-- +goose Up

-- Which version of a resource was indexed: a replica of an earlier release, which
-- knows nothing of the index, may write a further one while releases change. What
-- is version 1 and indexed was indexed as that.
ALTER TABLE resource ADD COLUMN indexed_version bigint NOT NULL DEFAULT 1;
DROP INDEX resource_not_indexed;
CREATE INDEX resource_not_indexed ON resource (tenant_id) WHERE (indexed < 1 OR indexed_version <> version) AND NOT deleted;
GRANT SELECT (version, indexed_version) ON resource TO overread_system;

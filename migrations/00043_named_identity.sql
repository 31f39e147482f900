-- +goose Up

-- What a resource names by identifier alone is indexed too (index version 2), so that
-- blinding withholds what tells of an original by its identifier.
DROP INDEX resource_not_indexed;
CREATE INDEX resource_not_indexed ON resource (tenant_id) WHERE (indexed < 2 OR indexed_version <> version) AND NOT deleted;

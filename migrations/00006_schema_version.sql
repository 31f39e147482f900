-- +goose Up

-- The version of the schema for whoever may connect: a login that owns nothing
-- cannot read goose's own table.
-- +goose StatementBegin
CREATE FUNCTION overread_schema_version() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied
$$;
-- +goose StatementEnd

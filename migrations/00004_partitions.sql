-- +goose Up

-- History, audit and case events are kept by month, so that years later a
-- month can be moved or read on its own. Called at migration and every day
-- (cmd/overread, job "partitions"); idempotent; the DEFAULT partitions catch
-- what comes when no month was made in time. SECURITY DEFINER because only
-- the owner may create tables.
-- +goose StatementBegin
CREATE FUNCTION overread_make_partitions(months_ahead integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month  timestamptz;
    name   text;
BEGIN
    PERFORM pg_advisory_xact_lock(7238461);
    FOREACH parent IN ARRAY ARRAY['resource_history', 'audit_event', 'case_event'] LOOP
        FOR i IN 0..months_ahead LOOP
            month := date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(months => i);
            name := parent || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
            CONTINUE WHEN to_regclass(name) IS NOT NULL;
            BEGIN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                               name, parent, month, ((month AT TIME ZONE 'UTC') + interval '1 month') AT TIME ZONE 'UTC');
                EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
                EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
            EXCEPTION WHEN check_violation THEN
                NULL; -- the DEFAULT partition already holds rows of this month, and keeps it
            END;
        END LOOP;
    END LOOP;
END $$;
-- +goose StatementEnd
REVOKE ALL ON FUNCTION overread_make_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION overread_make_partitions(integer) TO overread_system;
SELECT overread_make_partitions(3);

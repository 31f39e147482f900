-- +goose Up

-- Searches read resource through this view. Row-level security lets an index
-- be used only with operators that are declared leakproof, and those of arrays
-- are not, so a search on the table itself would read all of a tenant's rows.
-- The view narrows to the tenant first, as the policy does, but lets the GIN
-- index on keys be used. It belongs to a role that can do nothing else.
-- +goose StatementBegin
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'overread_search') THEN
        CREATE ROLE overread_search NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- +goose StatementEnd

CREATE VIEW resource_search AS
    SELECT tenant_id, type, id, version, last_updated, deleted, body, keys
    FROM resource
    WHERE tenant_id = overread_tenant();
GRANT SELECT ON resource_search TO overread_app;

CREATE POLICY search_view ON resource FOR SELECT TO overread_search USING (true);
GRANT SELECT ON resource TO overread_search;

-- To give the view away, one who is no superuser must belong to its new owner,
-- which must be able to create; both at this moment only.
-- +goose StatementBegin
DO $$
DECLARE
    member boolean := NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
BEGIN
    IF member THEN
        BEGIN
            EXECUTE format('GRANT overread_search TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN
            member := false; -- whoever made the role has granted it, and it stays so
        END;
    END IF;
    GRANT CREATE ON SCHEMA public TO overread_search;
    ALTER VIEW resource_search OWNER TO overread_search;
    REVOKE CREATE ON SCHEMA public FROM overread_search;
    IF member THEN
        EXECUTE format('REVOKE overread_search FROM %I', current_user);
    END IF;
END $$;
-- +goose StatementEnd

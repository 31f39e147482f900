-- +goose Up

-- What a resource can be found by, besides resource.keys. These rows have no
-- foreign key to resource: they are written with it and replaced with it, and
-- those of AuditEvents belong to audit_event.
ALTER TABLE resource_date DROP CONSTRAINT resource_date_tenant_id_type_id_fkey;
ALTER TABLE resource_string DROP CONSTRAINT resource_string_tenant_id_type_id_fkey;

-- Where a resource's references lead, as far as that is a resource here: for
-- chaining, _has, _include, _revinclude, compartments and deletes.
CREATE TABLE resource_reference (
    tenant_id   uuid NOT NULL,
    type        text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    param       text COLLATE "C" NOT NULL,
    target_type text COLLATE "C" NOT NULL,
    target_id   text COLLATE "C" NOT NULL
);
CREATE INDEX resource_reference_owner ON resource_reference (tenant_id, type, id);
CREATE INDEX resource_reference_target ON resource_reference (tenant_id, target_type, target_id, type, param);

-- Quantities and numbers: one row a value, as the range that its precision
-- means (FHIR R4 search.html#number: 5.4 is from 5.35 to 5.45).
CREATE TABLE resource_quantity (
    tenant_id uuid    NOT NULL,
    type      text    COLLATE "C" NOT NULL,
    id        text    COLLATE "C" NOT NULL,
    param     text    COLLATE "C" NOT NULL,
    low       numeric NOT NULL,
    high      numeric NOT NULL CHECK (high >= low),
    system    text    COLLATE "C" NOT NULL DEFAULT '',
    code      text    COLLATE "C" NOT NULL DEFAULT '',
    unit      text    COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX resource_quantity_range ON resource_quantity (tenant_id, type, param, low, high);
CREATE INDEX resource_quantity_owner ON resource_quantity (tenant_id, type, id);

-- What a resource can be sorted by: of each parameter the lowest and the highest
-- value, in one row where they are the same, as a text whose order byte by byte
-- is the order meant (fhir/searchsort.go).
CREATE TABLE resource_sort (
    tenant_id uuid    NOT NULL,
    type      text    COLLATE "C" NOT NULL,
    id        text    COLLATE "C" NOT NULL,
    param     text    COLLATE "C" NOT NULL,
    value     text    COLLATE "C" NOT NULL,
    lowest    boolean NOT NULL,
    highest   boolean NOT NULL
);
CREATE INDEX resource_sort_value ON resource_sort (tenant_id, type, param, value, id);
CREATE INDEX resource_sort_owner ON resource_sort (tenant_id, type, id, param);

-- The transaction that wrote a version, so that the pages of one search all
-- look at the same moment (pg_visible_in_snapshot). What is here already counts
-- as written before every moment.
ALTER TABLE resource ADD COLUMN xid xid8 NOT NULL DEFAULT '3';
ALTER TABLE resource ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
ALTER TABLE resource_history ADD COLUMN xid xid8 NOT NULL DEFAULT '3';
ALTER TABLE resource_history ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
CREATE INDEX resource_by_xid ON resource (tenant_id, type, xid);
CREATE INDEX resource_history_last_updated ON resource_history (tenant_id, type, last_updated);

-- With which version of the search index a resource was indexed: a background
-- job (cmd/overread, "reindex") brings those of earlier releases up to date.
ALTER TABLE resource ADD COLUMN indexed smallint NOT NULL DEFAULT 0;
CREATE INDEX resource_not_indexed ON resource (tenant_id) WHERE indexed < 1 AND NOT deleted;

-- AuditEvents are searched like resources, and never change.
ALTER TABLE audit_event ADD COLUMN keys uuid[] NOT NULL DEFAULT '{}';
ALTER TABLE audit_event ADD COLUMN xid xid8 NOT NULL DEFAULT '3';
ALTER TABLE audit_event ALTER COLUMN xid SET DEFAULT pg_current_xact_id();
CREATE INDEX audit_event_keys ON audit_event USING gin (keys) WITH (fastupdate = on);
CREATE INDEX audit_event_id ON audit_event (tenant_id, (audit_id::text COLLATE "C"));

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['resource_reference', 'resource_quantity', 'resource_sort'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
    END LOOP;
    FOREACH t IN ARRAY ARRAY['resource_history', 'resource_date', 'resource_string',
                             'resource_reference', 'resource_quantity', 'resource_sort', 'audit_event'] LOOP
        EXECUTE format('CREATE POLICY search_view ON %I FOR SELECT TO overread_search USING (true)', t);
        EXECUTE format('GRANT SELECT ON %I TO overread_search', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT SELECT, INSERT, DELETE ON resource_reference, resource_quantity, resource_sort TO overread_app;

-- The views through which searches read, as in 00005: operators that are not
-- leakproof (of arrays, of the order of texts) can use an index here.
-- +goose StatementBegin
DO $$
BEGIN
    BEGIN
        EXECUTE format('GRANT overread_search TO %I', current_user);
    EXCEPTION WHEN insufficient_privilege THEN NULL; -- whoever made the role has granted it
    END;
    DROP VIEW resource_search;
END $$;
-- +goose StatementEnd
CREATE VIEW resource_search AS
    SELECT tenant_id, type, id, version, last_updated, deleted, body, keys, xid
    FROM resource WHERE tenant_id = overread_tenant();
CREATE VIEW history_search AS
    SELECT tenant_id, type, id, version, last_updated, deleted, body, xid
    FROM resource_history WHERE tenant_id = overread_tenant();
CREATE VIEW audit_search AS
    SELECT tenant_id, 'AuditEvent'::text COLLATE "C" AS type, audit_id::text COLLATE "C" AS id, 1::bigint AS version,
           recorded_at AS last_updated, false AS deleted, body, keys, xid
    FROM audit_event WHERE tenant_id = overread_tenant();
CREATE VIEW date_search AS
    SELECT tenant_id, type, id, param, low, high FROM resource_date WHERE tenant_id = overread_tenant();
CREATE VIEW string_search AS
    SELECT tenant_id, type, id, param, folded, exact FROM resource_string WHERE tenant_id = overread_tenant();
CREATE VIEW quantity_search AS
    SELECT tenant_id, type, id, param, low, high, system, code, unit FROM resource_quantity WHERE tenant_id = overread_tenant();
CREATE VIEW reference_search AS
    SELECT tenant_id, type, id, param, target_type, target_id FROM resource_reference WHERE tenant_id = overread_tenant();
CREATE VIEW sort_search AS
    SELECT tenant_id, type, id, param, value, lowest, highest FROM resource_sort WHERE tenant_id = overread_tenant();
GRANT SELECT ON resource_search, history_search, audit_search, date_search, string_search, quantity_search, reference_search, sort_search
    TO overread_app;

-- +goose StatementBegin
DO $$
DECLARE
    member boolean := NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user);
    v text;
BEGIN
    IF member THEN
        BEGIN
            EXECUTE format('GRANT overread_search TO %I', current_user);
        EXCEPTION WHEN insufficient_privilege THEN
            member := false; -- whoever made the role has granted it, and it stays so
        END;
    END IF;
    GRANT CREATE ON SCHEMA public TO overread_search;
    FOREACH v IN ARRAY ARRAY['resource_search', 'history_search', 'audit_search', 'date_search',
                             'string_search', 'quantity_search', 'reference_search', 'sort_search'] LOOP
        EXECUTE format('ALTER VIEW %I OWNER TO overread_search', v);
    END LOOP;
    REVOKE CREATE ON SCHEMA public FROM overread_search;
    IF member THEN
        EXECUTE format('REVOKE overread_search FROM %I', current_user);
    END IF;
END $$;
-- +goose StatementEnd

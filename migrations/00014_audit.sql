-- +goose Up

-- What patients' details of an AuditEvent are committed to under in the log
-- (docs/audit.md). It goes when the details are erased.
ALTER TABLE audit_event ADD COLUMN salt bytea
    DEFAULT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
    CHECK (octet_length(salt) = 32);

-- The AuditEvents that have no place in the log yet: written with the event,
-- taken away when it has its place.
CREATE TABLE audit_pending (
    tenant_id   uuid        NOT NULL,
    audit_id    uuid        NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, audit_id)
);
INSERT INTO audit_pending (tenant_id, audit_id, recorded_at)
SELECT tenant_id, audit_id, recorded_at FROM audit_event;

-- The log of a tenant: each event has its place for ever.
CREATE TABLE audit_leaf (
    tenant_id   uuid        NOT NULL,
    index       bigint      NOT NULL CHECK (index >= 0),
    audit_id    uuid        NOT NULL,
    recorded_at timestamptz NOT NULL,
    leaf        bytea       NOT NULL CHECK (octet_length(leaf) = 32),
    PRIMARY KEY (tenant_id, index),
    UNIQUE (tenant_id, audit_id)
);

-- The hashes of its tree, numbered as golang.org/x/mod/sumdb/tlog does
-- (StoredHashIndex).
CREATE TABLE audit_hash (
    tenant_id  uuid   NOT NULL,
    hash_index bigint NOT NULL CHECK (hash_index >= 0),
    hash       bytea  NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (tenant_id, hash_index)
);

-- What was signed; note is the signed note itself.
CREATE TABLE audit_checkpoint (
    tenant_id uuid        NOT NULL,
    size      bigint      NOT NULL CHECK (size > 0),
    root      bytea       NOT NULL CHECK (octet_length(root) = 32),
    signed_at timestamptz NOT NULL,
    note      text        NOT NULL,
    PRIMARY KEY (tenant_id, size)
);

-- +goose StatementBegin
DO $$
DECLARE t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['audit_pending', 'audit_leaf', 'audit_hash', 'audit_checkpoint'] LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
        EXECUTE format('CREATE POLICY one_tenant ON %I TO overread_app USING (tenant_id = overread_tenant())', t);
    END LOOP;
END $$;
-- +goose StatementEnd
GRANT SELECT, INSERT, DELETE ON audit_pending TO overread_app;
GRANT SELECT, INSERT ON audit_leaf, audit_hash, audit_checkpoint TO overread_app; -- append-only

-- The jobs see where there is something to do, and the doctor how much.
CREATE POLICY every_tenant ON audit_pending    FOR SELECT TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON audit_leaf       FOR SELECT TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON audit_checkpoint FOR SELECT TO overread_system USING (current_user = 'overread_system');
GRANT SELECT ON audit_pending TO overread_system;
GRANT SELECT (tenant_id, index, recorded_at) ON audit_leaf TO overread_system;
GRANT SELECT (tenant_id, size, signed_at) ON audit_checkpoint TO overread_system;

-- An operator erases details (overread audit erase): the one change that an
-- AuditEvent may see, and no tenant's transaction may make it.
CREATE POLICY erasure ON audit_event FOR UPDATE TO overread_system USING (current_user = 'overread_system');
GRANT SELECT (audit_id, recorded_at) ON audit_event TO overread_system;
GRANT UPDATE (body, salt, keys, indexed) ON audit_event TO overread_system;

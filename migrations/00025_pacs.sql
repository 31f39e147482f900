-- +goose Up

-- Where a tenant's images are (integrations/dicomweb). issuers says which FHIR
-- identifier system is meant by an issuer of patient ids or accession numbers as
-- this PACS writes it: {"MERCY": "https://mercy.example/mrn"}.
CREATE TABLE pacs (
    tenant_id       uuid        NOT NULL REFERENCES tenant,
    pacs            text        NOT NULL CHECK (pacs ~ '^[a-z0-9][a-z0-9-]{0,62}$'),
    base_url        text        NOT NULL CHECK (base_url ~ '^https?://[^/]+(/.*)?[^/]$'),
    credential_file text,
    issuers         jsonb       NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(issuers) = 'object'),
    timeout_ms      integer     NOT NULL DEFAULT 20000 CHECK (timeout_ms BETWEEN 100 AND 120000),
    failures        integer     NOT NULL DEFAULT 0, -- in a row
    breaker_until   timestamptz,                    -- it rests until then
    PRIMARY KEY (tenant_id, pacs)
);

-- What the PACS was last asked about a case's study, and what it said
-- (workflow/pacs_look.go). A row is claimed under a lease, asked outside any
-- transaction, and written again under the epoch of the lease.
CREATE TABLE pacs_look (
    tenant_id        uuid        NOT NULL,
    case_id          uuid        NOT NULL,
    study_uid        text        NOT NULL DEFAULT '', -- what is asked for: the UID, else the accession number
    accession        text        NOT NULL DEFAULT '',
    accession_system text        NOT NULL DEFAULT '',
    sides            boolean     NOT NULL DEFAULT false, -- its laterality matters
    asked_at         timestamptz NOT NULL DEFAULT now(), -- since when an answer is wanted
    due_at           timestamptz,                        -- NULL: nothing more to ask
    lease_until      timestamptz,
    epoch            bigint      NOT NULL DEFAULT 0,
    tries            integer     NOT NULL DEFAULT 0,     -- with the same answer, one after the other
    answer           text        CHECK (answer IN ('found', 'absent', 'ambiguous', 'unreachable', 'refused', 'unreadable')),
    instances        integer,
    counted_since    timestamptz,                        -- since when it has been so many instances
    looked_at        timestamptz,
    seen             jsonb,                              -- workflow.StudyInPACS
    PRIMARY KEY (tenant_id, case_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file,
    CONSTRAINT named CHECK (study_uid <> '' OR accession <> ''),
    CONSTRAINT answered_has_time CHECK ((answer IS NULL) = (looked_at IS NULL)),
    CONSTRAINT found_is_seen CHECK ((answer = 'found') = (seen IS NOT NULL) OR answer IS NULL)
);
CREATE INDEX pacs_look_due ON pacs_look (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX pacs_look_leased ON pacs_look (tenant_id) WHERE lease_until IS NOT NULL;

ALTER TABLE pacs ENABLE ROW LEVEL SECURITY;      ALTER TABLE pacs FORCE ROW LEVEL SECURITY;
ALTER TABLE pacs_look ENABLE ROW LEVEL SECURITY; ALTER TABLE pacs_look FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON pacs      TO overread_app USING (tenant_id = overread_tenant());
CREATE POLICY one_tenant ON pacs_look TO overread_app USING (tenant_id = overread_tenant());
CREATE POLICY every_tenant ON pacs      TO overread_system USING (current_user = 'overread_system');
CREATE POLICY every_tenant ON pacs_look TO overread_system USING (current_user = 'overread_system');

GRANT SELECT ON pacs TO overread_app;
GRANT UPDATE (failures, breaker_until) ON pacs TO overread_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON pacs TO overread_system;
GRANT SELECT, INSERT, UPDATE ON pacs_look TO overread_app;
-- The claim sees when something is to be asked, never of whom.
GRANT SELECT (tenant_id, case_id, due_at, lease_until, epoch) ON pacs_look TO overread_system;
GRANT UPDATE (lease_until, epoch) ON pacs_look TO overread_system;

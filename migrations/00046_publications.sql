-- +goose Up

-- What auditors may see of each closed quarter (docs/disclosure.md): made once, as of
-- one moment, and never again, since two versions of a quarter tell what each hides.
-- It has no count of 1 to 10 cases and no case; people stand in it by their ids, and
-- are shown by pseudonyms.
CREATE TABLE measure_publication (
    tenant_id uuid        NOT NULL,
    starts_on date        NOT NULL, -- of the quarter, in the tenant's zone of then
    from_at   timestamptz NOT NULL,
    to_at     timestamptz NOT NULL,
    as_of     timestamptz NOT NULL,
    made_at   timestamptz NOT NULL,
    scheme    text        NOT NULL, -- version of facts.Outcomes
    content   jsonb       NOT NULL, -- facts.Publication
    PRIMARY KEY (tenant_id, starts_on),
    CONSTRAINT closed_before_it_is_counted CHECK (from_at < to_at AND to_at <= as_of AND as_of <= made_at)
);
ALTER TABLE measure_publication ENABLE ROW LEVEL SECURITY;
ALTER TABLE measure_publication FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON measure_publication TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON measure_publication TO overread_app;

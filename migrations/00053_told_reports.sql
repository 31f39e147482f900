-- +goose Up

-- A saved query keeps the time zone in which its days are, as it was when it was saved:
-- what a tenant says later changes no report of it. Those of before get the zone of today.
-- The owner's view of every tenant, for this.
ALTER TABLE saved_query   NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_policy NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant        NO FORCE ROW LEVEL SECURITY;
UPDATE saved_query q
SET query = q.query || '&zone=' || replace(coalesce((
        SELECT p.document->'calendar'->>'zone'
        FROM tenant_policy p
        WHERE p.tenant_id = q.tenant_id
        ORDER BY p.version DESC
        LIMIT 1), (SELECT t.policy->'calendar'->>'zone' FROM tenant t WHERE t.tenant_id = q.tenant_id), 'UTC'), '/', '%2F')
WHERE q.query !~ '(^|&)zone=';
ALTER TABLE saved_query   FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_policy FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant        FORCE ROW LEVEL SECURITY;

-- Where it is mailed that a report was kept: who saved the query has said so.
ALTER TABLE saved_query ADD COLUMN mail text CHECK (mail ~ '^[^[:space:]@]+@[^[:space:]@]+$');

-- A mail is of an escalation, or of a report that was kept. It has no text, as before. (A
-- release of before that still runs leaves those of reports to this one, with an error in
-- its log.)
ALTER TABLE mail
    ALTER COLUMN case_id DROP NOT NULL,
    ALTER COLUMN escalation_id DROP NOT NULL,
    ADD COLUMN query_id uuid,
    ADD COLUMN starts_on date,
    ADD CONSTRAINT one_mail_of_a_report UNIQUE (tenant_id, query_id, starts_on, recipient),
    ADD CONSTRAINT mail_of_one_thing CHECK (num_nonnulls(case_id, escalation_id) = 2 AND num_nonnulls(query_id, starts_on) = 0
                                         OR num_nonnulls(case_id, escalation_id) = 0 AND num_nonnulls(query_id, starts_on) = 2),
    ADD FOREIGN KEY (tenant_id, query_id, starts_on) REFERENCES kept_report;

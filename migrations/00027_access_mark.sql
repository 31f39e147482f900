-- +goose Up

-- What is remembered of who may do what at a tenant (internal/access/token.go) holds
-- as long as this has not changed: each request reads it with the tenant's state,
-- on the way on which its transaction begins. Whatever changes what a token stands
-- for changes it in the same transaction. It is random and no number that grows: so
-- a tenant that was restored from a backup, or came from a file, has none that
-- somebody still remembers for something else.
ALTER TABLE tenant ADD COLUMN access_mark uuid NOT NULL DEFAULT gen_random_uuid();

-- +goose StatementBegin
CREATE FUNCTION overread_mark_tenant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.access_mark := gen_random_uuid();
    RETURN NEW;
END $$;
-- +goose StatementEnd
CREATE TRIGGER access_changed BEFORE UPDATE ON tenant FOR EACH ROW
    WHEN ((OLD.state, OLD.name) IS DISTINCT FROM (NEW.state, NEW.name))
    EXECUTE FUNCTION overread_mark_tenant();

GRANT UPDATE (access_mark) ON tenant TO overread_app; -- of its own: it makes readers too

-- One row has changed. A change that cannot be told is not made.
-- +goose StatementBegin
CREATE FUNCTION overread_mark_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenant SET access_mark = gen_random_uuid() WHERE tenant_id = OLD.tenant_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the tenant of a row of % cannot be marked', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Some rows have come or gone, perhaps a whole tenant's. A token may be good at
-- other tenants too, and then what it stands for has changed there as well.
-- +goose StatementBegin
CREATE FUNCTION overread_mark_rows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted uuid[];
    marked integer;
BEGIN
    IF TG_TABLE_NAME = 'token' THEN
        wanted := ARRAY(SELECT c.tenant_id FROM changed c UNION SELECT t.tenant_id FROM changed c JOIN token t USING (token_sha256));
    ELSE
        wanted := ARRAY(SELECT DISTINCT c.tenant_id FROM changed c);
    END IF;
    UPDATE tenant SET access_mark = gen_random_uuid() WHERE tenant_id = ANY (wanted);
    GET DIAGNOSTICS marked = ROW_COUNT;
    IF marked <> cardinality(wanted) THEN
        RAISE EXCEPTION 'the tenants of rows of % cannot be marked', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER access_added   AFTER INSERT ON token REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION overread_mark_rows();
CREATE TRIGGER access_changed AFTER UPDATE ON token REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION overread_mark_rows();
CREATE TRIGGER access_removed AFTER DELETE ON token REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION overread_mark_rows();

CREATE TRIGGER access_added   AFTER INSERT ON reader REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION overread_mark_rows();
CREATE TRIGGER access_removed AFTER DELETE ON reader REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION overread_mark_rows();
CREATE TRIGGER access_changed AFTER UPDATE ON reader FOR EACH ROW -- not by whom a case was offered to
    WHEN ((OLD.reader_id, OLD.active) IS DISTINCT FROM (NEW.reader_id, NEW.active))
    EXECUTE FUNCTION overread_mark_row();

CREATE TRIGGER access_changed AFTER UPDATE ON client FOR EACH ROW -- not by the keys that were found
    WHEN ((OLD.client_id, OLD.name, OLD.role, OLD.scopes, OLD.revoked_at) IS DISTINCT FROM (NEW.client_id, NEW.name, NEW.role, NEW.scopes, NEW.revoked_at))
    EXECUTE FUNCTION overread_mark_row();
CREATE TRIGGER access_removed AFTER DELETE ON client FOR EACH ROW EXECUTE FUNCTION overread_mark_row();

-- A new token of the token endpoint is nobody's yet who is remembered, and when one
-- ends by time is remembered with it.
CREATE TRIGGER access_changed AFTER UPDATE ON access_token FOR EACH ROW EXECUTE FUNCTION overread_mark_row();
CREATE TRIGGER access_removed AFTER DELETE ON access_token FOR EACH ROW
    WHEN (OLD.expires_at > now())
    EXECUTE FUNCTION overread_mark_row();

-- What is to be recorded is written as facts, a JSON object on a line for each
-- event; the job that settles makes the AuditEvent of them (fhir/auditfacts.go). So
-- whoever asks does not wait for that.
ALTER TABLE audit_inbox NO FORCE ROW LEVEL SECURITY; -- the owner's view of every tenant, for this
ALTER TABLE audit_inbox ADD COLUMN size integer, ADD COLUMN records bytea;
UPDATE audit_inbox
SET size = cardinality(ids),
    records = (SELECT convert_to(string_agg(format('{"id":"%s","at":"%s","event":%s}', e.id, to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), convert_from(e.body, 'UTF8')), E'\n' ORDER BY e.n), 'UTF8')
               FROM unnest(ids, times, bodies) WITH ORDINALITY AS e (id, at, body, n));
ALTER TABLE audit_inbox ALTER COLUMN size SET NOT NULL, ALTER COLUMN records SET NOT NULL, ADD CHECK (size > 0),
    DROP COLUMN ids, DROP COLUMN times, DROP COLUMN bodies;
ALTER TABLE audit_inbox ALTER COLUMN records SET STORAGE EXTERNAL; -- it lives a second: compressing takes longer
ALTER TABLE audit_inbox FORCE ROW LEVEL SECURITY;

-- +goose Up

-- How many read a case, and how they come to one opinion (workflow/protocol.go).
-- The words are those of the NHS data dictionary (breast screening reading protocol).
ALTER TABLE case_file
    ADD COLUMN reading         text    NOT NULL DEFAULT 'single'
                               CHECK (reading IN ('single', 'recall-if-one-suggests', 'consensus', 'arbitration', 'mixed')),
    ADD COLUMN protocol_why    text    NOT NULL DEFAULT '', -- who has decided both, and by what
    ADD COLUMN other_reader_id uuid,    -- of two who read independently: the one who does not have the case now
    ADD COLUMN opinion_no      integer, -- the opinion in force, once it is known
    ADD COLUMN settled         text    CHECK (settled IN ('agreed', 'consensus', 'more-pressing', 'arbitrated', 'forgone')), -- how two opinions became one
    ADD COLUMN returned_at     timestamptz, -- a supervisor has returned the report to its reader, who may revise it
    ADD COLUMN veiled          boolean NOT NULL DEFAULT false, -- a third reader is to read before they see what is known
    ADD CONSTRAINT two_readers_are_two CHECK (other_reader_id <> reader_id),
    ADD CONSTRAINT two_only_where_two_read CHECK (reading <> 'single' OR other_reader_id IS NULL);
ALTER TABLE case_file DROP CONSTRAINT case_file_state_check;
ALTER TABLE case_file ADD CONSTRAINT case_file_state_check CHECK (state IN (
    'received', 'intake-review', 'awaiting-information', 'awaiting-images', 'ready', 'unassignable',
    'offered', 'accepted', 'reading', 'conferring', 'arbitration', 'locked', 'comparing', 'adjudication', 'awaiting-cosign',
    'final', 'closed', 'amending', 'on-hold', 'rejected', 'cancelled', 'failed', 'entered-in-error')) NOT VALID;
ALTER TABLE case_file VALIDATE CONSTRAINT case_file_state_check;
ALTER TABLE case_file ADD CONSTRAINT two_have_read CHECK (state NOT IN ('conferring', 'arbitration')
    OR reader_id IS NOT NULL AND other_reader_id IS NOT NULL);
CREATE INDEX case_by_other_reader ON case_file (tenant_id, other_reader_id, state) WHERE other_reader_id IS NOT NULL;

-- Which part of the case an opinion is. Those of before did not say.
ALTER TABLE opinion
    ADD COLUMN part text NOT NULL DEFAULT 'first' CHECK (part IN
        ('first', 'second', 'proposal', 'arbitration', 'adjudication', 'revision', 'cosign', 'amendment'));

-- A draft as it was saved, version by version. It is nobody's but its author's.
CREATE TABLE opinion_draft (
    tenant_id      uuid        NOT NULL,
    case_id        uuid        NOT NULL,
    opinion_no     integer     NOT NULL,
    draft_no       integer     NOT NULL CHECK (draft_no > 0),
    saved_at       timestamptz NOT NULL,
    content        jsonb       NOT NULL, -- workflow.Opinion
    content_sha256 bytea       NOT NULL CHECK (octet_length(content_sha256) = 32),
    PRIMARY KEY (tenant_id, case_id, opinion_no, draft_no),
    FOREIGN KEY (tenant_id, case_id, opinion_no) REFERENCES opinion
);
ALTER TABLE opinion_draft ENABLE ROW LEVEL SECURITY; ALTER TABLE opinion_draft FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON opinion_draft TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON opinion_draft TO overread_app;

-- How a report on an exam is laid out, as a tenant has said it; append-only. The
-- newest version of a name is in force. What no tenant has said is in the program
-- (workflow/template).
CREATE TABLE report_template (
    tenant_id   uuid        NOT NULL REFERENCES tenant,
    name        text        NOT NULL CHECK (name ~ '^[a-z][a-z0-9-]{0,62}$'),
    version     integer     NOT NULL CHECK (version > 0),
    set_at      timestamptz NOT NULL DEFAULT now(),
    set_by      text        NOT NULL CHECK (set_by <> ''),
    note        text        NOT NULL DEFAULT '',
    text        text        NOT NULL,
    document    jsonb       NOT NULL, -- workflow.Template
    text_sha256 bytea       NOT NULL CHECK (text_sha256 = sha256(convert_to(text, 'UTF8'))),
    PRIMARY KEY (tenant_id, name, version)
);
ALTER TABLE report_template ENABLE ROW LEVEL SECURITY; ALTER TABLE report_template FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant   ON report_template TO overread_app    USING (tenant_id = overread_tenant());
CREATE POLICY every_tenant ON report_template TO overread_system USING (current_user = 'overread_system');
GRANT SELECT         ON report_template TO overread_app;
GRANT SELECT, INSERT ON report_template TO overread_system;

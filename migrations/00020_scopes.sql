-- +goose Up

-- Two roles more: quality (reads how readings were graded) and admin (keeps the
-- directory). Tokens of the operator's may have scopes, and a patient to whose
-- compartment they are bound.
ALTER TABLE token DROP CONSTRAINT token_role_check;
ALTER TABLE token ADD CONSTRAINT token_role_check
    CHECK (role IN ('placer', 'reader', 'adjudicator', 'supervisor', 'coordinator', 'auditor', 'director', 'quality', 'admin'));
ALTER TABLE token ADD COLUMN scopes text CHECK (scopes <> '');
ALTER TABLE token ADD COLUMN patient text CHECK (patient ~ '^Patient/[A-Za-z0-9.-]{1,64}$');

-- The scopes by which an export was started, where they are restricted: it gives
-- what they let see.
ALTER TABLE export_job ADD COLUMN scopes text NOT NULL DEFAULT '';

ALTER TABLE client DROP CONSTRAINT client_role_check;
ALTER TABLE client ADD CONSTRAINT client_role_check CHECK (role IN ('placer', 'coordinator', 'auditor', 'quality', 'admin'));

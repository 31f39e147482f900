-- +goose Up
-- A version of a report may be read by several clinicians, and by one of them anew
-- after another version has come. The previous release writes the first one only.
ALTER TABLE acknowledgement
    ADD COLUMN reading_no integer NOT NULL DEFAULT 1,
    DROP CONSTRAINT acknowledgement_pkey,
    ADD PRIMARY KEY (tenant_id, case_id, report_no, reading_no);

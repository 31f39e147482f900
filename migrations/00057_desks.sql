-- +goose Up

-- The desks of coordinators (workflow/boardfind.go, board.go, escalationdesk.go): a case by the
-- number of its order or of its images, whoever is waited for now, and the deadlines that have passed.
CREATE INDEX case_by_order ON case_file (tenant_id, lower(placer_value));
CREATE INDEX case_by_accession ON case_file (tenant_id, lower(accession)) WHERE accession IS NOT NULL;
CREATE INDEX case_waits_for ON case_wait (tenant_id, party, case_id) WHERE ended_at IS NULL;
CREATE INDEX escalation_of_case ON escalation (tenant_id, case_id, clock) WHERE heeded_at IS NULL AND ended_at IS NULL;

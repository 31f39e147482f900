-- +goose Up

-- The desk of escalations puts thousands of lines in order before it shows fifty, those of
-- ended cases too: of each it reads the priority and the state, and no more of the case.
CREATE INDEX case_place ON case_file (tenant_id, case_id) INCLUDE (priority, state);

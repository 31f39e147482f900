-- +goose Up

-- What tells of a study finds the cases that read it.
CREATE INDEX case_by_study_here ON case_file (tenant_id, study_id) WHERE study_id IS NOT NULL;

-- +goose Up
-- The lists of the peer-learning room and of a reader's own feedback have the newest
-- first; each is read by an index in its order (workflow/qualitylist.go).
CREATE INDEX review_by_time ON quality_review (tenant_id, opened_at DESC, case_id);
CREATE INDEX learning_point_by_time ON learning_point (tenant_id, added_at DESC, case_id) WHERE withdrawn_at IS NULL;
CREATE INDEX truth_by_time ON ground_truth (tenant_id, recorded_at DESC, case_id);
CREATE INDEX sample_by_time ON quality_sample (tenant_id, drawn_at DESC, case_id);
CREATE INDEX sample_drawn_by_time ON quality_sample (tenant_id, drawn_at DESC, case_id) WHERE drawn;
CREATE INDEX feedback_by_time ON feedback (tenant_id, made_at DESC, feedback_id) WHERE withdrawn_at IS NULL;
CREATE INDEX feedback_answered ON feedback (tenant_id, answered_at DESC, feedback_id) WHERE answered_at IS NOT NULL;
CREATE INDEX feedback_of_reader_by_time ON feedback (tenant_id, reader_id, made_at DESC, feedback_id) WHERE withdrawn_at IS NULL;
DROP INDEX feedback_of_reader;

-- +goose Up

-- A worklist finds what is offered to somebody, or theirs to decide, without a look at
-- every open case.
CREATE INDEX case_by_offer       ON case_file (tenant_id, offered_to)            WHERE offered_to IS NOT NULL;
CREATE INDEX case_by_adjudicator ON case_file (tenant_id, adjudicator_id, state) WHERE adjudicator_id IS NOT NULL;

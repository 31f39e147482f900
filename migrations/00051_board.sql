-- +goose Up

-- The board of all cases (workflow/board.go): the open ones, the most pressing first;
-- those of one state; all, the newest first; and by when their next deadline is.
CREATE INDEX case_board ON case_file (tenant_id, (CASE priority WHEN 'stat' THEN 0 WHEN 'asap' THEN 1 WHEN 'urgent' THEN 2 ELSE 3 END), opened_at, case_id)
    WHERE state NOT IN ('closed', 'rejected', 'cancelled', 'failed', 'entered-in-error');
CREATE INDEX case_by_state ON case_file (tenant_id, state, (CASE priority WHEN 'stat' THEN 0 WHEN 'asap' THEN 1 WHEN 'urgent' THEN 2 ELSE 3 END), opened_at, case_id);
CREATE INDEX case_by_opening ON case_file (tenant_id, opened_at, case_id);
CREATE INDEX agenda_by_deadline ON agenda (tenant_id, deadline_at, case_id) WHERE deadline_at IS NOT NULL AND remaining_s IS NULL;

-- The desk of deliveries: what nobody takes any more, and all, the last first.
CREATE INDEX delivery_parked ON delivery (tenant_id, queued_at) WHERE state = 'parked';
CREATE INDEX delivery_by_queueing ON delivery (tenant_id, queued_at, case_id, report_no);

-- What a person has decided of a delivery that nobody knows to have arrived, or that a
-- destination does not take: that it is there, or is not to be sent any more.
ALTER TABLE delivery
    ADD COLUMN settled_at     timestamptz,
    ADD COLUMN settled_by     uuid,
    ADD COLUMN settled_role   text,
    ADD COLUMN settled_how    text CHECK (settled_how IN ('arrived', 'given-up')),
    ADD COLUMN settled_reason text CHECK (settled_reason <> ''),
    ADD CONSTRAINT settled_whole CHECK (num_nonnulls(settled_at, settled_by, settled_role, settled_how, settled_reason) IN (0, 5));

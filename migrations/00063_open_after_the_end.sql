-- +goose Up

-- What is open on a case keeps it on the board though it has ended (workflow/board.go).
CREATE INDEX matter_open ON matter (tenant_id, case_id) WHERE settled_at IS NULL;

-- Reminders of emergent and urgent findings piled up: each was one more page. All but the
-- last of a chain end here. Two links in a row that tell the same person by the same ways
-- are a reminder, since no policy may have such links. Which chains a release of before has
-- lost, the server finds itself (workflow/reminder.go).
-- The owner's view of every tenant, for this.
ALTER TABLE escalation NO FORCE ROW LEVEL SECURITY;
UPDATE escalation e
SET ended_at = greatest(now(), e.told_at), next_at = NULL
FROM escalation later
WHERE later.tenant_id = e.tenant_id AND later.case_id = e.case_id AND later.clock = e.clock AND later.clock_started_at = e.clock_started_at
  AND later.stage = e.stage AND later.rule = e.rule AND later.link = e.link + 1
  AND later.tell = e.tell AND later.person_id IS NOT DISTINCT FROM e.person_id AND later.ways = e.ways
  AND e.ended_at IS NULL AND split_part(e.clock, '/', 1) IN ('finding-emergent', 'finding-urgent');
ALTER TABLE escalation FORCE ROW LEVEL SECURITY;

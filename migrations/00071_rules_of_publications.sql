-- +goose Up

-- By which version of the rules of disclosure (disclosure.Version) a family was protected. Those
-- of before it was written down, and of a release of before that still runs, are of an older one:
-- what today's rules might not show of them is not shown (facts.Publication).
ALTER TABLE measure_publication ADD COLUMN rules int NOT NULL DEFAULT 1 CHECK (rules >= 1);

-- +goose Up

-- Whether a PUT to an id that is not here yet makes it (FHIR R4
-- http.html#upsert). The Bundles of EHRs rely on it.
ALTER TABLE tenant ADD COLUMN update_create boolean NOT NULL DEFAULT true;

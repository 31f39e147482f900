-- +goose Up

-- What the Task of a case tells of a delivery that does not arrive (workflow/delivery_told.go).
ALTER TABLE delivery ADD COLUMN told text CHECK (told IN ('late', 'refused'));
CREATE INDEX delivery_told ON delivery (tenant_id, case_id) WHERE told IS NOT NULL;
GRANT SELECT (told) ON delivery TO overread_system;

-- +goose Up

-- The placer has corrected patient or study of an order while its case was read:
-- {"of": ["patient", "study"], "held": true where the placer holds it besides}. The
-- case is on hold until the coordinator decides (workflow/correction.go).
ALTER TABLE case_file
    ADD COLUMN correction jsonb,
    ADD CONSTRAINT corrected_is_held CHECK (correction IS NULL OR state = 'on-hold') NOT VALID;
ALTER TABLE case_file VALIDATE CONSTRAINT corrected_is_held;

-- What whoever reads a case is told on their worklist, because somebody else
-- changed it: hold, cancel, another priority. seq is the event. There is nothing
-- of the patient in it.
CREATE TABLE case_notice (
    tenant_id uuid        NOT NULL,
    case_id   uuid        NOT NULL,
    seq       bigint      NOT NULL CHECK (seq > 0),
    person_id uuid        NOT NULL,
    event     text        NOT NULL CHECK (event <> ''),
    priority  text        NOT NULL CHECK (priority IN ('stat', 'asap', 'urgent', 'routine')),
    told_at   timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, case_id, seq, person_id),
    FOREIGN KEY (tenant_id, case_id) REFERENCES case_file
);
CREATE INDEX case_notice_by_person ON case_notice (tenant_id, person_id, told_at);
ALTER TABLE case_notice ENABLE ROW LEVEL SECURITY; ALTER TABLE case_notice FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON case_notice TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT ON case_notice TO overread_app;

-- Which records of patients were merged into which: Patient.link replaced-by of
-- the one that is no longer used (FHIR R4 patient.html#merge).
CREATE TABLE patient_merge (
    tenant_id  uuid NOT NULL REFERENCES tenant,
    patient_id text COLLATE "C" NOT NULL,
    into_id    text COLLATE "C" NOT NULL CHECK (into_id <> patient_id),
    PRIMARY KEY (tenant_id, patient_id)
);
CREATE INDEX patient_merge_into ON patient_merge (tenant_id, into_id);
ALTER TABLE patient_merge ENABLE ROW LEVEL SECURITY; ALTER TABLE patient_merge FORCE ROW LEVEL SECURITY;
CREATE POLICY one_tenant ON patient_merge TO overread_app USING (tenant_id = overread_tenant());
GRANT SELECT, INSERT, UPDATE, DELETE ON patient_merge TO overread_app;

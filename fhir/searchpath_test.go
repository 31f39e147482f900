package fhir

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestExpressionsLeadToTheValues(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ typ, expression, body, want string }{
		{"Task", "Task.status", `{"status":"ready"}`, "CodeType ready"},
		{"Observation", "Observation.effective", `{"effectiveInstant":"2026-01-01T00:00:00Z"}`, "Instant 2026-01-01T00:00:00Z"},
		{"Observation", "(Observation.value as string) | (Observation.value as CodeableConcept).text", `{"valueCodeableConcept":{"text":"a"}}`, "String a"},
		{"Condition", "Condition.onset.as(dateTime) | Condition.onset.as(Period)", `{"onsetDateTime":"2026","onsetString":"then"}`, "DateTime 2026"},
		{"Patient", "Patient.telecom.where(system='phone')", `{"telecom":[{"system":"email","value":"a"},{"system":"phone","value":"b"}]}`, `ContactPoint {"system":"phone","value":"b"}`},
		{"Measure", "Measure.relatedArtifact.where(type='successor').resource | Measure.library", `{"relatedArtifact":[{"type":"successor","resource":"urn:x"},{"type":"predecessor","resource":"urn:y"}],"library":["urn:z"]}`, "Canonical urn:x; Canonical urn:z"},
		{"Patient", "Patient.deceased.exists() and Patient.deceased != false", `{"deceasedDateTime":"2026"}`, "Boolean true"},
		{"Patient", "Patient.deceased.exists() and Patient.deceased != false", `{"deceasedBoolean":false}`, "Boolean false"},
		{"Patient", "Patient.deceased.exists() and Patient.deceased != false", `{}`, "Boolean false"},
		{"Task", "Task.for.where(resolve() is Patient)", `{"for":{"reference":"Patient/1"}}`, `Reference {"reference":"Patient/1"}`},
	} {
		n, err := Parse([]byte(`{"resourceType":"`+row.typ+`",`+strings.TrimPrefix(strings.Replace(row.body, "{}", `{"id":"1"}`, 1), "{")), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		paths, err := compilePaths(row.typ, row.expression)
		if err != nil {
			t.Errorf("%s: %v", row.expression, err)
			continue
		}
		var got []string
		for _, path := range paths {
			for _, value := range path.values(n) {
				typ := path.typ
				if path.at != nil && path.at.codes != nil {
					typ = "CodeType"
				}
				got = append(got, typ+" "+strings.Trim(string(value.Bytes()), `"`))
			}
		}
		if diff := cmp.Diff(row.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s: %s", row.expression, diff)
		}
	}
}

func TestAnExpressionThatCannotBeTranslatedIsAnError(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"", "Patient", "Task.nothing", "Task.status.code", "Task.iif(a, b, c)", "Task.code.where(x > 1)", "Task.status | Patient.name"} {
		if paths, err := compilePaths("Task", expression); err == nil {
			t.Errorf("%q is translated: %+v", expression, paths)
		}
	}
}

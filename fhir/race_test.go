package fhir

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// passed are the statuses that somebody who was in the way of somebody else may
// get: done, or a conflict that says so.
func (a response) passed() bool {
	switch a.status {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent, http.StatusConflict, http.StatusPreconditionFailed,
		http.StatusNotFound, http.StatusGone, http.StatusUnprocessableEntity:
		return true
	case http.StatusServiceUnavailable:
		return a.header.Get("Retry-After") != ""
	}
	return false
}

// Two parameters, in any order, in a header or in a Bundle: one resource.
func TestTheSameConditionWrittenInAnyWayMakesOneResource(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	conditions := []string{
		"identifier=urn:mrn%7C1&birthdate=1970-05&gender:not=male&gender:not=other",
		"birthdate=1970-05&gender:not=other&identifier=urn:mrn|1&gender:not=male",
	}
	got := r.atOnce(32, func(i int) response {
		condition := conditions[i%2]
		switch i % 4 {
		case 0, 1:
			return r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", condition)
		case 2:
			return r.put("/fhir/Patient?"+condition, patientJSON("1"))
		}
		return r.post("/fhir", bundleJSON(
			entryJSON(urn+"1", "POST", "Patient", `,"ifNoneExist":`+quoted(condition), patientJSON("1")),
			entryJSON(urn+fmt.Sprint(2+i%7), "POST", "ServiceRequest", "", strings.Replace(orderJSON(urn+"1"), `"active"`, `"draft","priority":"`+[]string{"stat", "asap", "urgent", "routine"}[i/8]+`"`, 1))))
	})
	created := 0
	for _, each := range got {
		switch {
		case each.status == http.StatusCreated, len(each.statuses()) > 0 && each.statuses()[0] == "201":
			created++
		case each.status != http.StatusOK:
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if patients := r.count("resource WHERE type = 'Patient'"); created != 1 || patients != 1 {
		t.Errorf("%d created, %d Patients", created, patients)
	}
	if found := r.get("/fhir/ServiceRequest?_count=100&subject=Patient/" + r.get("/fhir/Patient").ids()[0]).ids(); len(found) == 0 || len(found) != r.count("resource WHERE type = 'ServiceRequest'") {
		t.Errorf("%d orders lead to the Patient", len(found))
	}
}

// Each client words it in its own way, and they meet by the identifier: whether
// they ask for it or write it.
func TestConditionsOnOneIdentifierMakeOneResourceHoweverTheyAreWorded(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	conditions := []string{
		"identifier=urn:mrn|1", "identifier=1", "identifier=urn:mrn|1&birthdate=1970-05", "identifier=urn:mrn|1,urn:mrn|0",
		"identifier=urn%3Amrn%7C1", "identifier=urn:mrn|2,1", "birthdate=1970-05&family=m%C3%BCller", // this one asks for none, and writes it
	}
	got := r.atOnce(42, func(i int) response {
		condition := conditions[i%len(conditions)]
		switch i % 3 {
		case 0:
			return r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", condition)
		case 1:
			return r.put("/fhir/Patient?"+condition, patientJSON("1"))
		}
		return r.post("/fhir", bundleJSON(
			entryJSON(urn+"1", "POST", "Patient", `,"ifNoneExist":`+quoted(condition), patientJSON("1")),
			entryJSON(urn+"2", "POST", "Patient", `,"ifNoneExist":`+quoted(conditions[(i+1)%len(conditions)]), patientJSON("1"))))
	})
	for _, each := range got {
		if each.status != http.StatusOK && each.status != http.StatusCreated {
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if patients := r.count("resource WHERE type = 'Patient'"); patients != 1 {
		t.Errorf("%d Patients", patients)
	}
}

func TestTwoWordingsOfOneConditionInABundleMeanOneResource(t *testing.T) {
	t.Parallel()
	entry := func(number int, method, url, more string) string {
		return entryJSON(urn+fmt.Sprint(number), method, url, more, patientJSON("1"))
	}
	for name, c := range map[string]struct {
		first, second string
		status, kept  int
	}{
		"two creates": {entry(1, "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|1"`), entry(2, "POST", "Patient", `,"ifNoneExist":"identifier=1"`), 200, 1},
		"two updates": {entry(1, "PUT", "Patient?identifier=urn:mrn|1", ""), entry(2, "PUT", "Patient?identifier=1", ""), 400, 0},
		"one of each": {entry(1, "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|1"`), entry(2, "PUT", "Patient?identifier=1", ""), 400, 0},
		"two others":  {entry(1, "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|1"`), entry(2, "POST", "Patient", `,"ifNoneExist":"identifier=urn:mrn|2"`), 200, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startREST(t)
			got := r.post("/fhir", bundleJSON(c.first, c.second))
			if got.status != c.status || r.count("resource") != c.kept {
				t.Errorf("%d, %d are kept: %s", got.status, r.count("resource"), got.body)
			}
		})
	}
}

// Deletes, creates and updates on one condition: at the end one is there, or none.
func TestConditionalDeletesAndCreatesAtOnceLeaveAtMostOne(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	got := r.atOnce(32, func(i int) response {
		switch i % 4 {
		case 0:
			return r.remove("/fhir/Patient?identifier=urn:mrn|1")
		case 1:
			return r.put("/fhir/Patient?identifier=urn:mrn|1", patientJSON("1"))
		case 2:
			return r.patch("/fhir/Patient?identifier=urn:mrn|1", `[{"op":"add","path":"/active","value":true}]`)
		}
		return r.post("/fhir/Patient", patientJSON("1"), "If-None-Exist", "identifier=urn:mrn|1")
	})
	for _, each := range got {
		if !each.passed() {
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if n := r.count("resource WHERE NOT deleted"); n > 1 {
		t.Errorf("%d are there", n)
	}
	if r.count("resource_history") != r.count("audit_event")-r.count("resource") {
		t.Errorf("%d changes, %d versions", r.count("audit_event"), r.count("resource_history")+r.count("resource"))
	}
}

// Transactions that cross (A then B, B then A), with patches, deletes, and
// references to what others delete. None fails inside, and what each says it did
// is what is there: versions without gaps, no reference to what is gone.
func TestTransactionsThatCrossEndConsistently(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	names := []string{"a", "b", "c"}
	for _, name := range names {
		r.put("/fhir/Organization/"+name, fmt.Sprintf(`{"resourceType":"Organization","id":%q,"name":"0"}`, name))
	}
	put := func(name, of string) string {
		body := fmt.Sprintf(`{"resourceType":"Organization","id":%q,"name":"put"}`, name)
		if of != "" {
			body = fmt.Sprintf(`{"resourceType":"Organization","id":%q,"name":"put","partOf":{"reference":"Organization/%s"}}`, name, of)
		}
		return entryJSON("", "PUT", "Organization/"+name, "", body)
	}
	patch := func(name string) string {
		return entryJSON("", "PATCH", "Organization/"+name, "", binaryPatch(`[{"op":"replace","path":"/name","value":"patched"}]`))
	}
	got := r.atOnce(32, func(i int) response {
		x, y, z := names[i%3], names[(i+1)%3], names[(i+2)%3]
		switch i % 8 {
		case 0:
			return r.post("/fhir", bundleJSON(put(x, ""), patch(y)))
		case 1:
			return r.post("/fhir", bundleJSON(patch(y), put(x, "")))
		case 2:
			return r.post("/fhir", bundleJSON(requestJSON("DELETE", "Organization/"+x), put(y, "")))
		case 3:
			return r.post("/fhir", bundleJSON(put(y, ""), requestJSON("DELETE", "Organization/"+z), requestJSON("GET", "Organization?name=put")))
		case 4:
			return r.post("/fhir", bundleJSON(put(x, z), patch(y)))
		case 5:
			return r.remove("/fhir/Organization/" + x)
		case 6:
			return r.post("/fhir/Endpoint", `{"resourceType":"Endpoint","status":"active","connectionType":{"code":"x"},"payloadType":[{"text":"x"}],"address":"https://x.example","managingOrganization":{"reference":"Organization/`+y+`"}}`)
		}
		return r.post("/fhir", bundleJSON(patch(x), patch(y), patch(z)))
	})
	done := 0
	for _, each := range got {
		if !each.passed() {
			t.Errorf("%d %s", each.status, each.body)
		}
		if each.status < 300 {
			done++
		}
	}
	if done == 0 {
		t.Error("nothing was done at all")
	}
	t.Logf("%d done, %d deadlocks", done, r.count(`pg_stat_database, generate_series(1, deadlocks::int) WHERE datname = current_database()`))
	lost := r.count(`resource_reference f WHERE type <> 'AuditEvent' AND NOT EXISTS (
		SELECT FROM resource r WHERE r.type = f.target_type AND r.id = f.target_id AND NOT r.deleted)`)
	gaps := r.count(`resource r WHERE r.version <> 1 + (SELECT count(*) FROM resource_history h WHERE h.type = r.type AND h.id = r.id)`)
	if lost != 0 || gaps != 0 {
		t.Errorf("%d references to what is gone, %d resources with gaps in their versions", lost, gaps)
	}
	const written = `audit_event WHERE convert_from(body, 'UTF8') ~ '"code":"(create|update|patch|delete)"'` // and not what was searched
	if changes, versions := r.count(written), r.count("resource")+r.count("resource_history"); changes != versions {
		t.Errorf("%d changes are audited, %d versions are there", changes, versions)
	}
}

// Many clients create under one id of theirs: one creates, the others update.
func TestManyPutsOfANewIDCreateItOnce(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	created, first := 0, 0
	for _, each := range r.atOnce(24, func(i int) response {
		header := []string{"Prefer", "return=minimal"}
		if i%2 == 0 {
			header = append(header, "If-None-Match", "*")
		}
		return r.put("/fhir/Organization/one", `{"resourceType":"Organization","id":"one","name":"A"}`, header...)
	}) {
		switch {
		case each.status == http.StatusCreated:
			created++
			if each.header.Get("ETag") == `W/"1"` {
				first++
			}
		case each.status != http.StatusOK && each.status != http.StatusPreconditionFailed:
			t.Errorf("%d %s", each.status, each.body)
		}
	}
	if created != 1 || first != 1 {
		t.Errorf("%d were told that they created it, %d with version 1", created, first)
	}
}

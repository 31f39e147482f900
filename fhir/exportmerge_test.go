package fhir

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/access"
)

// An export of the patient who stays has what refers to either record, with the
// record that is no longer used; parted again, each has its own.
func TestAnExportOfAPatientFollowsAMerge(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	old := c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Old"}]}`)
	stays := c.mustCreate("Patient", `{"resourceType":"Patient","name":[{"family":"Stays"}]}`)
	seen := c.mustCreate("Observation", `{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Patient/`+old+`"}}`)
	group := c.mustCreate("Group", `{"resourceType":"Group","type":"person","actual":true,"member":[{"entity":{"reference":"Patient/`+stays+`"}}]}`)
	of := func() map[string]bool {
		got := map[string]bool{}
		for ref := range c.exported(access.Placer, "/fhir/Group/"+group+"/$export?_type=Patient,Observation") {
			got[ref] = true
		}
		return got
	}
	if diff := cmp.Diff(map[string]bool{"Patient/" + stays: true}, of()); diff != "" {
		t.Errorf("before: %s", diff)
	}
	if got := c.mergeInto(old, stays); got.status != 200 {
		t.Fatal(got.body)
	}
	if got := of(); !got["Observation/"+seen] || !got["Patient/"+stays] {
		t.Errorf("merged: %v", got)
	}
	if got := c.mergeInto(old, ""); got.status != 200 {
		t.Fatal(got.body)
	}
	if diff := cmp.Diff(map[string]bool{"Patient/" + stays: true}, of()); diff != "" {
		t.Errorf("parted: %s", diff)
	}
}

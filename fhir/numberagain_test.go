package fhir

import (
	"net/http"
	"strings"
	"testing"
)

// numberedOrder is a transaction that brings an order under this number, for the patient and
// of the study of these names; conditional has every create look first.
func numberedOrder(number, patient, study string, conditional bool, change ...func(order *Node)) *Node {
	create := func(n *Node, search string) *Node {
		request := Object("method", "POST", "url", n.Type())
		if conditional {
			request.Set("ifNoneExist", "identifier="+search)
		}
		return Object("fullUrl", ehrBase+"/"+n.Type()+"/"+n.Text("id"), "resource", n, "request", request)
	}
	person := Object("resourceType", "Patient", "id", "p-"+patient, "identifier", []*Node{Object("system", "urn:mrn", "value", patient)})
	images := Object("resourceType", "ImagingStudy", "id", "s-"+study, "status", "available",
		"identifier", []*Node{Object("system", studyUIDSystem, "value", "urn:oid:1.2.3."+study)}, "subject", refer(ehrBase+"/Patient/p-"+patient, "", ""))
	order := Object("resourceType", "ServiceRequest", "id", "o-"+number+patient+study, "status", "active", "intent", "order",
		"identifier", []*Node{Object("type", concept(v2Identifier, "PLAC", ""), "system", "urn:placer", "value", number)},
		"code", concept(dicom, "111418", ""), "subject", refer(ehrBase+"/Patient/p-"+patient, "", ""),
		"supportingInfo", []*Node{refer(ehrBase+"/ImagingStudy/s-"+study, "", "")})
	for _, do := range change {
		do(order)
	}
	return Object("resourceType", "Bundle", "type", "transaction", "entry", []*Node{
		create(person, "urn:mrn%7C"+patient), create(images, "urn:dicom:uid%7Curn:oid:1.2.3."+study), create(order, "urn:placer%7C"+number)})
}

func (a response) createdOrder() string {
	entries := a.node.Each("entry")
	return parseReference(entries[len(entries)-1].Text("response", "location")).relative()
}

func TestANumberThatIsUsedAgainDoesNotSwallowAnOrder(t *testing.T) {
	t.Parallel()
	for _, conditional := range []bool{false, true} {
		name := map[bool]string{false: "created", true: "created if none exists"}[conditional]
		for _, test := range []struct{ what, patient, study, says string }{
			{"of another patient", "b", "2", "another patient"},
			{"of another study", "a", "2", "another study"},
		} {
			t.Run(name+" "+test.what, func(t *testing.T) {
				t.Parallel()
				c := startClinic(t)
				first := c.post("/fhir", numberedOrder("17", "a", "1", conditional).jsonText())
				if first.status != http.StatusOK {
					t.Fatal(first.status, first.body)
				}
				before := c.count("resource")
				got := c.post("/fhir", numberedOrder("17", test.patient, test.study, conditional).jsonText())
				got.want(t, http.StatusConflict, "conflict")
				for _, part := range []string{test.says, `\"17\"`, first.createdOrder()} {
					if !strings.Contains(got.body, part) {
						t.Errorf("the refusal lacks %s: %s", part, got.body)
					}
				}
				if at := got.node.Text("issue", "expression"); at != "Bundle.entry[2].resource.identifier" {
					t.Errorf("refused at %s", at)
				}
				if n := c.count("resource"); n != before {
					t.Errorf("%d resources, and %d after the refusal", before, n)
				}

				again := numberedOrder("17", "a", "1", conditional)
				again.Set("id", "other-bytes")
				repeated := c.post("/fhir", again.jsonText())
				if repeated.status != http.StatusOK || repeated.createdOrder() != first.createdOrder() || c.count("case_file") != 1 {
					t.Errorf("the same again: %d %s", repeated.status, repeated.body)
				}
				other := c.post("/fhir", numberedOrder("18", test.patient, test.study, conditional).jsonText())
				if other.status != http.StatusOK || c.count("case_file") != 2 {
					t.Errorf("under a number of its own: %d %s", other.status, other.body)
				}
			})
		}
	}
}

// Two entries of one Bundle are no different.
func TestTwoOrdersOfABundleDoNotShareANumber(t *testing.T) {
	t.Parallel()
	for _, conditional := range []bool{false, true} {
		c := startClinic(t)
		both := numberedOrder("17", "a", "1", conditional)
		for _, entry := range numberedOrder("17", "b", "2", conditional).Each("entry") {
			both.Append("entry", entry)
		}
		c.post("/fhir", both.jsonText()).want(t, http.StatusConflict, "conflict")
		if n := c.count("resource"); n != 0 {
			t.Errorf("conditional %v: %d resources are left", conditional, n)
		}
	}
}

// What the placer changes of an order is not lost as a repetition of it.
func TestAnOrderThatSaysSomethingElseIsAnUpdate(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(order *Node){
		"priority": func(o *Node) { o.Set("priority", "stat") },
		"note":     func(o *Node) { o.Set("note", []*Node{Object("text", "Allergic.")}) },
		"revoked":  func(o *Node) { o.Set("status", "revoked") },
		"held":     func(o *Node) { o.Set("status", "on-hold") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := startClinic(t)
			first := c.post("/fhir", numberedOrder("17", "a", "1", false).jsonText())
			place := first.createdOrder()
			sent := c.get("/fhir/" + place).node
			sent.Remove("id")
			original := sent.jsonText()

			change(sent)
			got := c.post("/fhir/ServiceRequest", sent.jsonText())
			got.want(t, http.StatusConflict, "conflict")
			if !strings.Contains(got.body, "PUT "+place) {
				t.Errorf("the refusal does not say what to do: %s", got.body)
			}
			c.post("/fhir", numberedOrder("17", "a", "1", false, change).jsonText()).want(t, http.StatusConflict, "conflict")

			sent.Set("id", strings.TrimPrefix(place, "ServiceRequest/"))
			if got := c.put("/fhir/"+place, sent.jsonText()); got.status != http.StatusOK {
				t.Fatal(got.status, got.body)
			}
			for _, body := range []string{original, sent.jsonText()} { // what was sent first, late; and what stands
				if !asksForSecondOpinion(sent, SecondOpinionCodes) && body != original {
					continue
				}
				if got := c.post("/fhir/ServiceRequest", body); got.status != http.StatusOK || got.node.Text("id") != sent.Text("id") {
					t.Errorf("a repetition: %d %s", got.status, got.body)
				}
			}
			if n := c.count("resource WHERE type = 'ServiceRequest'"); n != 1 {
				t.Errorf("%d orders", n)
			}
		})
	}
}

// Of a patient whose records were merged, both mean the same.
func TestAnOrderComesAgainUnderTheRecordThatStays(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	first := c.post("/fhir", numberedOrder("17", "a", "1", true).jsonText())
	stays := c.mustCreate("Patient", patientJSON("stays"))
	merged := c.get("/fhir/Patient?identifier=urn:mrn%7Ca").ids()[0]
	c.mustChange("Patient", merged, func(n *Node) {
		n.Set("active", false)
		n.Set("link", []*Node{Object("other", refer("Patient/"+stays, "", ""), "type", "replaced-by")})
	})
	again := numberedOrder("17", "stays", "1", true)
	if got := c.post("/fhir", again.jsonText()); got.status != http.StatusOK || got.createdOrder() != first.createdOrder() {
		t.Error(got.status, got.body)
	}
}

// The Task of a placer whose order stays at the EHR is one as well.
func TestATaskUnderAnothersNumberIsRefused(t *testing.T) {
	t.Parallel()
	c := startClinic(t)
	task := func(patient string) string {
		return coordinationTask(Object("type", "ServiceRequest", "identifier", Object("system", "urn:placer", "value", "17")),
			"for", refer("Patient/"+c.mustCreate("Patient", patientJSON(patient)), "", "")).jsonText()
	}
	first := task("a")
	posted := c.post("/fhir/Task", first)
	if posted.status != http.StatusCreated {
		t.Fatal(posted.status, posted.body)
	}
	got := c.post("/fhir/Task", task("b"))
	got.want(t, http.StatusConflict, "conflict")
	if at := got.node.Text("issue", "expression"); at != "Task.for" {
		t.Errorf("refused at %s", at)
	}
	if again := c.post("/fhir/Task", first); again.status != http.StatusOK || again.node.Text("id") != posted.node.Text("id") {
		t.Errorf("the same again: %d %s", again.status, again.body)
	}
}

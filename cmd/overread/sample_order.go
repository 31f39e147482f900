package main

import (
	"context"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/workflow"
)

// person is an invented patient.
type person struct {
	mrn, given, family, gender, born string
}

var people = map[string][]person{
	"": {
		{"100231", "Harriet", "Lindgren", "female", "1959-03-14"}, {"100477", "Tobias", "Achterberg", "male", "1957-11-02"},
		{"100502", "Miriam", "Castellanos", "female", "1984-06-21"}, {"100618", "Desmond", "Oyelaran", "male", "1966-01-30"},
		{"100733", "Ingrid", "Falk", "female", "1942-09-08"}, {"100845", "Rafael", "Montoya", "male", "1991-04-17"},
		{"100912", "Yuki", "Hayashida", "female", "1978-12-05"}, {"101077", "Gerald", "Whitcombe", "male", "1950-07-26"},
		{"101160", "Aurelia", "Popescu", "female", "1971-02-11"}, {"101288", "Samuel", "Adeyemi", "male", "1980-10-19"},
	},
	"child": {{"102014", "Mila", "Sorensen", "female", "2022-05-03"}, {"102077", "Noah", "Brandt", "male", "2020-08-29"}, {"102133", "Zoe", "Kaplan", "female", "2021-01-16"}},
	"woman": {{"103305", "Beatrice", "Nolan", "female", "1974-03-27"}, {"103412", "Fatima", "Rahman", "female", "1969-11-09"}, {"103588", "Louise", "Verhoeven", "female", "1963-05-31"}},
	"man":   {{"104120", "Walter", "Eriksson", "male", "1963-08-12"}, {"104291", "Anthony", "Delacroix", "male", "1958-02-24"}},
}

// order is one order for a second opinion, as an EHR sends it.
type order struct {
	ehr      string // base of the EHR's FHIR server
	number   string // the placer's order number
	hospital string
	priority string
	patient  person
	sample   sample
	quirk    string  // see sample_case.go
	ofStudy  *person // the patient of the study, where it is another one
	again    string  // the number of the order whose study and report these are
	at       time.Time
	since    time.Duration // so much longer ago than a day the examination was made
}

// sampleNumber is the placer's number of the order of a row of sampleCases.
func sampleNumber(i int) string { return fmt.Sprintf("2025-%04d", 100+i) }

// orderOf is the order of a row of sampleCases.
func (s *seeder) orderOf(i int, row sampleCase) order {
	smp := samples[row.sample]
	list := people[smp.Who]
	turn := s.next[smp.Who]
	o := order{ehr: s.ehr, number: sampleNumber(i), hospital: row.hospital, priority: row.priority,
		patient: list[turn%len(list)], sample: smp, quirk: row.quirk, at: s.now,
		since: time.Duration(max(5-turn/len(list), 0)) * 11 * 24 * time.Hour} // who comes again was examined before
	switch row.quirk {
	case otherPatient:
		o.ofStudy = &list[(turn+1)%len(list)]
	case orderedTwice:
		first := s.sent[slices.IndexFunc(sampleCases, func(c sampleCase) bool { return c.hospital == row.hospital && c.sample == row.sample })]
		o.again, o.patient, o.since = first.number, first.patient, first.since
	}
	if o.again == "" {
		s.next[smp.Who]++
	}
	s.sent = append(s.sent, o)
	return o
}

// taken is when the examination was made.
func (o order) taken() time.Time { return o.at.Add(-26*time.Hour - o.since) }

// Code systems and identifier systems of the orders.
const (
	sct          = "http://snomed.info/sct"
	v2Identifier = "http://terminology.hl7.org/CodeSystem/v2-0203"
	v2Referral   = "http://terminology.hl7.org/CodeSystem/v2-0336"
	dcm          = "http://dicom.nema.org/resources/ontology/DCM"
	npi          = "http://hl7.org/fhir/sid/us-npi"
	loinc        = "http://loinc.org"
	placerSystem = "https://hospital.example/placer-orders"
	mrnSystem    = "https://hospital.example/mrn"
	reportSystem = "https://hospital.example/reports"
	examSystem   = "https://hospital.example/exams"
	orgSystem    = "https://hospital.example/organizations"

	accessionSystem = "https://hospital.example/accession"
)

// bundle is the order as one transaction: everything that the second reader
// needs, created only where it is not here yet, so that it may be sent again.
func (o order) bundle() *fhir.Node {
	entries := []*fhir.Node{
		o.entry(o.patient.resource(), mrnSystem+"|"+o.patient.mrn),
		o.entry(o.organization(), orgSystem+"|"+o.hospital),
		o.entry(o.clinician(), npi+"|1000000491"),
		o.entry(o.firstReader(), npi+"|"+o.firstReader().Text("identifier", "value")),
	}
	if o.ofStudy != nil {
		entries = append(entries, o.entry(o.ofStudy.resource(), mrnSystem+"|"+o.ofStudy.mrn))
	}
	if o.quirk != noStudy {
		entries = append(entries, o.entry(o.study(), accessionSystem+"|"+o.accession()))
	}
	if o.quirk != noOriginal {
		entries = append(entries, o.entry(o.original(), reportSystem+"|"+o.made()))
	}
	entries = append(entries, o.entry(o.serviceRequest(), placerSystem+"|"+o.number))
	return fhir.Object("resourceType", "Bundle", "type", "transaction", "entry", entries)
}

// keepAtEHR puts what the order is made of into the EHR, where it comes from.
func (o order) keepAtEHR(ctx context.Context) error {
	for _, entry := range o.bundle().Each("entry") {
		resource := entry.Get("resource")
		path := resource.Type() + "/" + resource.Text("id")
		if _, err := (client{base: o.ehr}).send(ctx, http.MethodPut, path, resource); err != nil {
			return fmt.Errorf("stand-in EHR: %w", err)
		}
	}
	return nil
}

// entry creates the resource unless one with this identifier exists. fullUrl
// is where the EHR keeps it: what goes back refers to it there.
func (o order) entry(resource *fhir.Node, identifier string) *fhir.Node {
	typ := resource.Type()
	return fhir.Object(
		"fullUrl", o.ehr+"/"+typ+"/"+resource.Text("id"),
		"resource", resource,
		"request", fhir.Object("method", "POST", "url", typ, "ifNoneExist", "identifier="+identifier))
}

func (o order) reference(typ, id string) *fhir.Node {
	return fhir.Object("reference", o.ehr+"/"+typ+"/"+id)
}

func (p person) id() string { return "p" + p.mrn }

func (p person) resource() *fhir.Node {
	return fhir.Object("resourceType", "Patient", "id", p.id(),
		"identifier", []*fhir.Node{typed("MR", mrnSystem, p.mrn)},
		"name", []*fhir.Node{fhir.Object("family", p.family, "given", []string{p.given})},
		"gender", p.gender, "birthDate", p.born)
}

// made is the number under which the examination was made and reported.
func (o order) made() string {
	if o.again != "" {
		return o.again
	}
	return o.number
}

// imaged is whom the images are of.
func (o order) imaged() person {
	if o.ofStudy != nil {
		return *o.ofStudy
	}
	return o.patient
}

func (o order) organization() *fhir.Node {
	return fhir.Object("resourceType", "Organization", "id", "org-"+o.hospital,
		"identifier", []*fhir.Node{fhir.Object("system", orgSystem, "value", o.hospital)},
		"name", hospitals[o.hospital].display,
		"address", []*fhir.Node{fhir.Object("state", "NY", "country", "US")})
}

func (o order) clinician() *fhir.Node {
	return practitioner("ordering", "1000000491", "Thea", "Marchetti")
}

func (o order) firstReader() *fhir.Node {
	if o.quirk == readHere {
		return practitioner("first-reader-here", "1000000061", "Nikolai", "Petrov")
	}
	return practitioner("first-reader", "1000000509", "Leonard", "Boyd")
}

func practitioner(id, number, given, family string) *fhir.Node {
	return fhir.Object("resourceType", "Practitioner", "id", id,
		"identifier", []*fhir.Node{fhir.Object("system", npi, "value", number)},
		"name", []*fhir.Node{fhir.Object("family", family, "given", []string{given}, "prefix", []string{"Dr."})})
}

// nightRole is what a coordinator writes of a reader who works at night
// (docs/matching.md).
func nightRole(practitioner string) *fhir.Node {
	coded := func(system, code string) []*fhir.Node {
		return []*fhir.Node{fhir.Object("coding", []*fhir.Node{fhir.Object("system", system, "code", code)})}
	}
	return fhir.Object("resourceType", "PractitionerRole", "active", true,
		"practitioner", fhir.Object("reference", "Practitioner/"+practitioner),
		"code", coded(fhir.Canonical+"/CodeSystem/reader-role", "reader"),
		"specialty", coded(fhir.Canonical+"/CodeSystem/reading-subspecialty", "neuro"),
		"period", fhir.Object("start", "2026-01-01"),
		"extension", []*fhir.Node{
			fhir.Object("url", fhir.Canonical+"/StructureDefinition/reader-capacity", "valuePositiveInt", 6),
			fhir.Object("url", fhir.Canonical+"/StructureDefinition/reader-time-zone", "valueCode", "America/New_York"),
		},
		"availableTime", []*fhir.Node{fhir.Object("daysOfWeek", []string{"mon", "tue", "wed", "thu"}, "availableStartTime", "20:00:00", "availableEndTime", "06:00:00")})
}

// studyUID is a UID below 2.25 (DICOM PS3.5 B.2), always the same for a number.
func (o order) studyUID() string { return dicomUID("study " + o.made()) }

func dicomUID(name string) string {
	id := uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://overread.org/demo/"+name))
	return "2.25." + new(big.Int).SetBytes(id[:]).String()
}

func (o order) study() *fhir.Node {
	e := o.sample.Exam
	series := fhir.Object("uid", dicomUID("series "+o.made()), "number", 1,
		"modality", fhir.Object("system", dcm, "code", e.Modality),
		"numberOfInstances", o.there(),
		"bodySite", coding(e.Site))
	if side := o.side(); side != "" {
		series.Set("laterality", coding(sides[side]))
	}
	names := []*fhir.Node{typed("ACSN", accessionSystem, o.accession())}
	if o.quirk != noUID {
		names = append(names, fhir.Object("system", "urn:dicom:uid", "value", "urn:oid:"+o.studyUID()))
	}
	return fhir.Object("resourceType", "ImagingStudy", "id", "study-"+o.made(),
		"identifier", names,
		"status", "available",
		"modality", []*fhir.Node{fhir.Object("system", dcm, "code", e.Modality)},
		"subject", o.reference("Patient", o.imaged().id()),
		"started", o.taken().Format(time.RFC3339),
		"numberOfSeries", 1, "numberOfInstances", o.said(),
		"description", e.Display,
		"series", []*fhir.Node{series})
}

var sides = map[string]workflow.Coding{
	"left":  {System: sct, Code: "7771000", Display: "Left"},
	"right": {System: sct, Code: "24028007", Display: "Right"},
}

func (o order) original() *fhir.Node {
	return fhir.Object("resourceType", "DiagnosticReport", "id", "report-"+o.made(),
		"identifier", []*fhir.Node{fhir.Object("system", reportSystem, "value", o.made())},
		"status", "final",
		"category", []*fhir.Node{fhir.Object("coding", []*fhir.Node{fhir.Object("system", loinc, "code", "LP29684-5", "display", "Radiology")})},
		"code", o.examCode(),
		"subject", o.reference("Patient", o.patient.id()),
		"effectiveDateTime", o.taken().Format(time.RFC3339),
		"issued", o.taken().Add(4*time.Hour).Format(time.RFC3339),
		"performer", []*fhir.Node{o.reference("Organization", "org-"+o.hospital)},
		"resultsInterpreter", []*fhir.Node{o.reference("Practitioner", o.firstReader().Text("id"))},
		"imagingStudy", o.studyReferences(),
		"conclusion", o.sample.Findings+"\n\n"+o.sample.Impression)
}

func (o order) studyReferences() []*fhir.Node {
	return []*fhir.Node{o.reference("ImagingStudy", "study-"+o.made())}
}

func (o order) examCode() *fhir.Node {
	e := o.sample.Exam
	var codings []*fhir.Node
	if e.LOINC != "" {
		codings = append(codings, fhir.Object("system", loinc, "code", e.LOINC, "display", e.Display))
	}
	codings = append(codings, fhir.Object("system", examSystem, "code", dicomUID(e.Display)[5:11], "display", e.Display))
	return fhir.Object("coding", codings, "text", e.Display)
}

func (o order) serviceRequest() *fhir.Node {
	e := o.sample.Exam
	reason := fhir.Object("coding", []*fhir.Node{fhir.Object("system", v2Referral, "code", "S", "display", "Second Opinion")})
	if o.quirk != noQuestion {
		reason.Set("text", o.sample.Question)
	}
	var note []*fhir.Node
	if o.quirk != noQuestion {
		note = []*fhir.Node{fhir.Object("text", o.sample.History)}
	}
	bodySite := fhir.Object("coding", []*fhir.Node{coding(e.Site)})
	if e.Laterality != "" {
		bodySite.Set("text", e.Laterality+" "+e.Site.Display)
	}
	sr := fhir.Object("resourceType", "ServiceRequest", "id", "order-"+o.number,
		"identifier", []*fhir.Node{typed("PLAC", placerSystem, o.number)},
		"status", "active", "intent", "order",
		"category", []*fhir.Node{fhir.Object("coding", []*fhir.Node{fhir.Object("system", sct, "code", "363679005", "display", "Imaging")})},
		"priority", o.priority,
		"code", fhir.Object("coding", []*fhir.Node{fhir.Object("system", dcm, "code", "111418", "display", "Review of an outside study")}, "text", "Second opinion: "+e.Display),
		"orderDetail", []*fhir.Node{o.examCode()},
		"subject", o.reference("Patient", o.patient.id()),
		"authoredOn", o.at.Format(time.RFC3339),
		"requester", o.reference("Practitioner", "ordering"),
		"reasonCode", []*fhir.Node{reason},
		"supportingInfo", append(o.studyReferences(), o.reference("DiagnosticReport", "report-"+o.made())),
		"bodySite", []*fhir.Node{bodySite})
	if note != nil {
		sr.Set("note", note)
	}
	if o.quirk == twoRead {
		sr.Append("orderDetail", fhir.Object("coding", []*fhir.Node{
			fhir.Object("system", fhir.Canonical+"/CodeSystem/reading-protocol", "code", "arbitration")}))
	}
	return sr
}

func typed(code, system, value string) *fhir.Node {
	return fhir.Object("type", fhir.Object("coding", []*fhir.Node{fhir.Object("system", v2Identifier, "code", code)}),
		"system", system, "value", value)
}

func coding(c workflow.Coding) *fhir.Node {
	return fhir.Object("system", c.System, "code", c.Code, "display", c.Display)
}

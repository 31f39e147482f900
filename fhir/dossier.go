package fhir

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// dossier is a case's order and what it refers to, as far as that is here. The
// intake checks look at it (facts.go), and the report is rendered around it
// (publish.go).
type dossier struct {
	c   workflow.Case
	now time.Time

	order *Node // the ServiceRequest: ours, or contained in the Task; else the Task, which then says the same things
	task  *Node

	survivor   string // the id of the Patient into whose record that of the order was merged
	patient    *Node
	patientKey string // the id here, or system|value, or a URL: comparable with the next two

	studyNamed   bool
	studyRef     *Node // as the order names it
	study        found
	studyPatient string
	priors       []found // further studies that are here: only compared

	originalNamed   bool
	originalRef     *Node // as the order names it
	original        found
	originalPatient string
	originalUnclear bool     // of a signed case: nothing says whether it was made before the second opinion
	originalResults []found  // its Observations
	named           []string // ids of the reports that order and Task name
	first           workflow.FirstReaders
	unclear         workflow.FirstReaders // named by what may not be of before the opinion that is signed (laterreport.go)

	requesters []string // who asks: Practitioner/{id}, system|value
	consents   []*Node
	// the patient has denied something by a Consent that the order does not name, perhaps this
	consentDoubtful bool
	documents       []found // that are reports of imaging
	historyNamed    bool
	jurisdiction    string // where the images were made
	setting         string // inpatient, outpatient, emergency
}

// id is that of a resource which is kept here; "" for a contained one.
func (f found) id() string {
	if f.version == 0 {
		return ""
	}
	return f.Text("id")
}

func (s *Server) dossier(ctx context.Context, tx pgx.Tx, c workflow.Case) (*dossier, error) {
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return nil, err
	}
	d := &dossier{c: c, now: s.now()}
	for _, step := range []func(context.Context, resolver) error{
		d.findOrder, d.findPatient, d.followOrder, d.findConsents, d.findStudy, d.findOriginal, d.followOriginal, d.findFirstReaders, d.findRequester, d.findJurisdiction, d.findSetting,
	} {
		if err := step(ctx, r); err != nil {
			return nil, fmt.Errorf("dossier of case %s: %w", c.CaseID, err)
		}
	}
	return d, nil
}

// findOrder: our copy of the ServiceRequest, or the one within the placer's
// Task, or what the Task itself says.
func (d *dossier) findOrder(ctx context.Context, r resolver) error {
	task, err := r.get(ctx, "Task", d.c.TaskID)
	if err != nil {
		return err
	}
	d.task = task.Node
	if err := d.readOrder(ctx, r); err != nil {
		return err
	}
	return d.followSubject(ctx, r)
}

// followSubject notes into whose record that of the patient was merged.
func (d *dossier) followSubject(ctx context.Context, r resolver) error {
	id := localID(d.subject().Text("reference"), "Patient")
	if id == nil {
		return nil
	}
	named, err := r.get(ctx, "Patient", *id)
	if err != nil {
		return err
	}
	survivor, err := r.survivor(ctx, named)
	if survivor.id() != named.id() {
		d.survivor = survivor.id()
	}
	return err
}

func (d *dossier) readOrder(ctx context.Context, r resolver) error {
	if d.c.ServiceRequestID != nil {
		order, err := r.get(ctx, "ServiceRequest", *d.c.ServiceRequestID)
		d.order = order.Node
		return err
	}
	order, err := r.follow(ctx, focusOf(d.task), d.task)
	if d.order = order.Node; d.order == nil {
		d.order = d.task
	}
	return err
}

func (d *dossier) findPatient(ctx context.Context, r resolver) error {
	ref := d.subject()
	patient, err := r.follow(ctx, ref, d.order)
	if err != nil {
		return err
	}
	if patient, err = r.survivor(ctx, patient); err != nil {
		return err
	}
	d.patient = patient.Node
	d.patientKey, err = r.patientKey(ctx, ref, d.order)
	return err
}

// subject is the Reference to the patient of the order.
func (d *dossier) subject() *Node {
	for _, ref := range []*Node{d.order.Get("subject"), d.order.Get("for"), d.task.Get("for")} {
		if ref != nil {
			return ref
		}
	}
	return nil
}

// patientKey makes references to patients comparable: the id where the patient
// is here, else the identifier, else the address.
func (r resolver) patientKey(ctx context.Context, ref, parent *Node) (string, error) {
	if ref == nil {
		return "", nil
	}
	if typeOf(ref) == "" && ref.Get("identifier") != nil { // a logical reference to a patient need not say so
		ref = ref.Clone()
		ref.Set("type", "Patient")
	}
	f, err := r.follow(ctx, ref, parent)
	switch {
	case err != nil:
		return "", err
	case f.id() != "":
		f, err := r.survivor(ctx, f)
		return f.id(), err
	case f.Node != nil: // contained: find the patient whom it describes
		for _, id := range f.Each("identifier") {
			same, err := r.byIdentifier(ctx, "Patient", id.Text("system"), id.Text("value"))
			if err == nil && same.Node != nil {
				same, err = r.survivor(ctx, same)
			}
			if err != nil || same.Node != nil {
				return same.id(), err
			}
		}
		return identifierKey(f.Get("identifier")), nil
	}
	if key := identifierKey(ref.Get("identifier")); key != "" {
		return key, nil
	}
	return ref.Text("reference"), nil
}

// identifierKey is system|value of an Identifier, or of the first of a list.
func identifierKey(id *Node) string {
	for _, each := range id.Each() {
		if each.Text("value") != "" {
			return each.Text("system") + "|" + each.Text("value")
		}
	}
	return ""
}

// mention is a Reference in the order, and the resource in which it stands.
type mention struct{ ref, parent *Node }

// mentions are everything that order and Task refer to, in the order of
// weight: what the order gives as its reason first.
func (d *dossier) mentions() []mention {
	var all []mention
	add := func(parent *Node, refs []*Node) {
		for _, ref := range refs {
			all = append(all, mention{ref, parent})
		}
	}
	add(d.order, d.order.Each("reasonReference"))
	add(d.order, d.order.Each("supportingInfo"))
	add(d.task, d.task.Each("reasonReference"))
	add(d.task, d.task.Each("input", "valueReference"))
	return all
}

// followOrder sorts what the order refers to by its type.
func (d *dossier) followOrder(ctx context.Context, r resolver) error {
	for _, m := range d.mentions() {
		typ := targetType(m.ref, m.parent)
		f, err := r.follow(ctx, m.ref, m.parent)
		if err != nil {
			return err
		}
		if f.Node != nil {
			typ = f.Type()
		}
		switch typ {
		case "ImagingStudy":
			err = d.takeStudy(ctx, r, m, f)
		case "DiagnosticReport":
			d.takeOriginal(m, f)
			d.named = append(d.named, f.id())
		case "Consent":
			err = d.takeConsent(ctx, r, f)
		case "Condition", "Observation":
			d.historyNamed = true
		case "DocumentReference":
			if imagingDocuments.Has(f.Get("type")) || imagingDocuments.Has(f.Get("category")) {
				d.documents = append(d.documents, f)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// imagingDocuments are the types of documents that are reports of imaging.
var imagingDocuments = ValueSet{
	{System: loinc, Code: "18748-4"}, {System: loinc, Code: "18726-0"}, {System: loinc, Code: "11528-7"},
	{System: loinc, Code: "68604-8"}, {System: loinc, Code: "LP29684-5"}, {System: loinc, Code: "85430-7"},
}

// takeConsent: one of another patient, or one whose time is over, says nothing.
func (d *dossier) takeConsent(ctx context.Context, r resolver, f found) error {
	whose, err := r.patientKey(ctx, f.Get("patient"), f.Node)
	if err != nil || whose != "" && d.patientKey != "" && whose != d.patientKey {
		return err
	}
	if d.ended(f) {
		return nil
	}
	d.consents = append(d.consents, f.Node)
	return nil
}

// takeStudy: the first study is the one to read; further ones are priors.
func (d *dossier) takeStudy(ctx context.Context, r resolver, m mention, f found) (err error) {
	if d.studyNamed {
		if f.id() != "" && f.id() != d.study.id() {
			d.priors = append(d.priors, f)
		}
		return nil
	}
	d.studyNamed, d.studyRef, d.study = true, m.ref, f
	d.studyPatient, err = r.patientKey(ctx, f.Get("subject"), f.Node)
	return err
}

// findStudy: an order that names the original report only means its study.
func (d *dossier) findStudy(ctx context.Context, r resolver) error {
	studies := d.original.Each("imagingStudy")
	if len(studies) == 0 {
		return nil
	}
	f, err := r.follow(ctx, studies[0], d.original.Node)
	if err != nil {
		return err
	}
	return d.takeStudy(ctx, r, mention{studies[0], d.original.Node}, f)
}

// findJurisdiction: where the images were made is the address of the study's
// location, else of the organisation that first reported. ISO 3166: US-NY, FR.
func (d *dossier) findJurisdiction(ctx context.Context, r resolver) error {
	refs := []mention{{d.study.Get("location"), d.study.Node}}
	for _, ref := range d.original.Each("performer") {
		refs = append(refs, mention{ref, d.original.Node})
	}
	for _, m := range refs {
		f, err := r.follow(ctx, m.ref, m.parent)
		if err != nil {
			return err
		}
		if f.Type() != "Location" && f.Type() != "Organization" {
			continue
		}
		if d.jurisdiction = jurisdictionOfAddress(f.Node); d.jurisdiction != "" {
			return nil
		}
	}
	return nil
}

// settings are the codes of Encounter.class (v3-ActCode) that say where the patient is
// looked after; every other code of it is an outpatient's.
var settings = map[string]string{"IMP": "inpatient", "ACUTE": "inpatient", "NONAC": "inpatient", "OBSENC": "inpatient", "PRENC": "", "EMER": "emergency"}

// findSetting is where the patient is looked after, by the class of the Encounter of
// the order, or of the Task.
func (d *dossier) findSetting(ctx context.Context, r resolver) error {
	for _, n := range []*Node{d.order, d.task} {
		visit, err := r.follow(ctx, n.Get("encounter"), n)
		if err != nil {
			return err
		}
		code := visit.Text("class", "code")
		if visit.Node == nil || code == "" {
			continue
		}
		setting, listed := settings[code]
		if !listed {
			setting = "outpatient"
		}
		d.setting = setting
		return nil
	}
	return nil
}

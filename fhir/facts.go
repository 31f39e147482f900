package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// Facts gathers what the intake checks look at (workflow.Hooks): the order,
// and what it refers to as far as that is here by now. It also notes which
// resources a blinded reader may not see.
func (s *Server) Facts(ctx context.Context, tx pgx.Tx, c *workflow.Case) (workflow.Facts, error) {
	d, err := s.dossier(ctx, tx, *c)
	if err != nil {
		return workflow.Facts{}, err
	}
	if err := s.withhold(ctx, tx, d); err != nil {
		return workflow.Facts{}, err
	}
	return d.facts(s.secondOpinion), nil
}

// facts is pure: what the dossier says, in the words of the intake checks.
func (d *dossier) facts(codes ValueSet) workflow.Facts {
	f := workflow.Facts{
		Exam:               d.exam(codes),
		OrderPatient:       d.patientKey,
		Person:             d.person(),
		OrderModality:      orderModality(d.order),
		OrderBodySite:      conceptText(d.order.Get("bodySite")),
		OrderLaterality:    laterality(d.order.Get("bodySite")),
		Question:           asksSomething(d.order) || asksSomething(d.task),
		History:            d.historyNamed || tellsHistory(d.order) || tellsHistory(d.task),
		Requester:          d.order.Get("requester") != nil || d.task.Get("requester") != nil,
		Requesters:         d.requesters,
		Consent:            consentSays(d.consents),
		ConsentDoubtful:    d.consentDoubtful,
		StudyReferenced:    d.studyNamed,
		OriginalReferenced: d.originalNamed,
		Reported:           d.original.Node != nil || slices.ContainsFunc(d.documents, func(f found) bool { return f.Node != nil }),
		First:              d.first,
		Unclear:            d.unclear,
	}
	if d.study.Node != nil {
		f.Study = d.studyFacts()
	}
	if d.original.Node != nil {
		f.Original = d.originalFacts()
	}
	for _, prior := range d.priors {
		f.Priors = append(f.Priors, d.priorFacts(prior))
	}
	return f
}

func (d *dossier) priorFacts(prior found) workflow.PriorFacts {
	at, known := moment(d.study.Text("started"))
	before, knownToo := moment(prior.Text("started"))
	return workflow.PriorFacts{
		Later:    known && knownToo && before.After(at),
		Reported: d.original.Each("imagingStudy") != nil && isOfStudy(d.original, prior) && !isOfStudy(d.original, d.study),
	}
}

func (d *dossier) studyFacts() *workflow.StudyFacts {
	n := d.study.Node
	had, said := instances(n)
	return &workflow.StudyFacts{
		ID:            d.study.id(),
		UID:           studyUID(n),
		Accession:     accession(n).Text("value"),
		AccessionOf:   accession(n).Text("system"),
		Patient:       d.studyPatient,
		Modalities:    modalities(n),
		BodySite:      bodySite(n),
		Laterality:    seriesLaterality(n),
		Available:     n.Text("status") == "available",
		Void:          slices.Contains([]string{"entered-in-error", "cancelled"}, n.Text("status")),
		Instances:     had,
		InstancesSaid: said,
	}
}

// signedStatuses are those of a report that somebody answers for.
var signedStatuses = []string{"final", "amended", "corrected", "appended"}

func (d *dossier) originalFacts() *workflow.OriginalFacts {
	n := d.original.Node
	return &workflow.OriginalFacts{
		ID:      d.original.id(),
		Version: d.original.version,
		Patient: d.originalPatient,
		Final:   slices.Contains(signedStatuses, n.Text("status")),
		Status:  n.Text("status"),
		Said:    d.saidOfOriginal(),
		SaidOld: digestOfSaid(n),
		Unclear: d.originalUnclear,
	}
}

// longestUID: DICOM PS3.5 section 9.1.
const longestUID = 64

// studyUID is the Study Instance UID without "urn:oid:" (FHIR R4
// imagingstudy.html: identifier of system urn:dicom:uid).
func studyUID(study *Node) string {
	for _, id := range study.Each("identifier") {
		if id.Text("system") == studyUIDSystem {
			uid := bareUID(id.Text("value"))
			if len(uid) > longestUID {
				return ""
			}
			return uid
		}
	}
	return ""
}

// accession is the Identifier that is the accession number (FHIR R4
// imagingstudy.html#notes: of type ACSN).
func accession(study *Node) *Node {
	for _, id := range study.Each("identifier") {
		if hasCode(id.Get("type"), v2Identifier, "ACSN") {
			return id
		}
	}
	return nil
}

// person is who the patient is, to be compared with what the images say: the
// Patient, and what the order calls it by.
func (d *dossier) person() workflow.Person {
	p := personIn(d.patient)
	p.IDs = append(p.IDs, personIn(d.subject()).IDs...)
	return p
}

// personIn is who a Patient is, or as far as a Reference has identifiers.
func personIn(n *Node) workflow.Person {
	p := workflow.Person{BirthDate: n.Text("birthDate"), Sex: n.Text("gender")}
	for _, id := range n.Each("identifier") {
		if value := id.Text("value"); value != "" {
			p.IDs = append(p.IDs, workflow.PersonID{System: id.Text("system"), Value: value})
		}
	}
	for _, name := range n.Each("name") {
		var given []string
		for _, g := range name.Each("given") {
			given = append(given, g.Text())
		}
		one := workflow.PersonName{Family: name.Text("family"), Given: strings.Join(given, " ")}
		if one == (workflow.PersonName{}) { // FHIR R4 datatypes.html#HumanName: the parts may be in the text alone
			one.Family = name.Text("text")
		}
		if one != (workflow.PersonName{}) {
			p.Names = append(p.Names, one)
		}
	}
	return p
}

func modalities(study *Node) []string {
	var all []string
	for _, m := range append(study.Each("modality", "code"), study.Each("series", "modality", "code")...) {
		if !slices.Contains(all, m.Text()) {
			all = append(all, m.Text())
		}
	}
	return all
}

// instances counts what the series say that they hold, and what the study says
// that it holds. A study that lists no series is taken at its word.
func instances(study *Node) (had, said int) {
	said = number(study.Get("numberOfInstances"))
	series := study.Each("series")
	if len(series) == 0 {
		return said, said
	}
	for _, one := range series {
		if one.Get("numberOfInstances") != nil {
			had += number(one.Get("numberOfInstances"))
		} else {
			had += len(one.Each("instance"))
		}
	}
	return had, said
}

func bodySite(study *Node) string {
	for _, site := range study.Each("series", "bodySite") {
		if text := codingText(site); text != "" {
			return text
		}
	}
	return conceptText(study.Get("procedureCode"))
}

func seriesLaterality(study *Node) string {
	for _, side := range study.Each("series", "laterality") {
		if word := lateralityOf(side); word != "" {
			return word
		}
	}
	return ""
}

// sides are the SNOMED CT codes of FHIR R4 bodysite-laterality.
var sides = map[string]string{"7771000": "left", "24028007": "right", "51440002": "bilateral"}

func lateralityOf(coding *Node) string {
	if word, ok := sides[coding.Text("code")]; ok {
		return word
	}
	return sideInText(coding.Text("display"))
}

// laterality of a CodeableConcept, or of a list of them.
func laterality(concept *Node) string {
	for _, c := range concept.Each("coding") {
		if word := lateralityOf(c); word != "" {
			return word
		}
	}
	return sideInText(concept.Text("text"))
}

func sideInText(text string) string {
	for word := range strings.FieldsSeq(strings.ToLower(text)) {
		switch word = strings.Trim(word, ",.;()"); word {
		case "left", "right", "bilateral":
			return word
		}
	}
	return ""
}

// orderModality is a DICOM modality among the codes of what was ordered.
func orderModality(order *Node) string {
	for _, c := range append(order.Each("code", "coding"), order.Each("orderDetail", "coding")...) {
		if code := c.Text("code"); c.Text("system") == dicom && len(code) <= 4 && code == strings.ToUpper(code) && strings.Trim(code, "0123456789") != "" {
			return code
		}
	}
	return ""
}

// asksSomething: an order, or the Task around it, says what is asked, or why
// (workflow.Reasons), beyond that it is a second opinion.
func asksSomething(n *Node) bool {
	return n.Text("reasonCode", "text") != "" || len(clinicalReasons(n)) > 0 || hasSystem(n.Get("reasonCode"), workflow.ReasonSystem) ||
		n.Text("note", "text") != "" || n.Text("description") != ""
}

// tellsHistory: it gives the patient's history, as a coded clinical reason or a
// note; conditions and observations are counted where they are referred to.
func tellsHistory(n *Node) bool {
	return len(clinicalReasons(n)) > 0 || n.Text("note", "text") != ""
}

// clinicalReasons are the coded reasons that are about the patient.
func clinicalReasons(order *Node) []*Node {
	var out []*Node
	for _, c := range order.Each("reasonCode", "coding") {
		if c.Text("system") != v2Referral && c.Text("system") != workflow.ReasonSystem {
			out = append(out, c)
		}
	}
	return out
}

// consentSays: one denial outweighs every permission.
func consentSays(consents []*Node) string {
	says := ""
	for _, c := range consents {
		switch {
		case c.Text("status") != "active":
		case c.Text("provision", "type") == "deny":
			return "deny"
		default:
			says = "permit"
		}
	}
	return says
}

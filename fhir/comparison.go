package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// comparisonServices are the rows of the table of services that lay before a
// coordinator what a doubt of the intake checks is about.
func comparisonServices() []service {
	return []service{
		{name: "comparison", id: "task-comparison",
			does: "What each source says, side by side, for each doubt that a human must settle: order, Patient, ImagingStudy, original report, PACS, the other case. " +
				"It is patient data; who asked is recorded. For coordinators and directors; whoever reads here too is refused before the original is shown. Nothing where nothing is doubtful.",
			types: []string{"Task"}, instance: true, recorded: true, by: []access.Role{access.Coordinator, access.Director}, scope: reading,
			tells: []parameter{{Name: "doubt", Many: true, Doc: "One doubt, as $check tells it.", Parts: []parameter{
				{Name: "code", Type: "code", Min: 1, Doc: "The finding."},
				{Name: "text", Type: "string", Min: 1, Doc: "What the placer is told of it."},
				{Name: "element", Many: true, Doc: "One thing that is compared.", Parts: []parameter{
					{Name: "name", Type: "code", Min: 1, Doc: "Such as birthDate or laterality."},
					{Name: "agreement", Type: "code", Min: 1, Codes: []string{"equal", "differs", "unknown"}, Doc: "By the rules of the checks: names are compared without accents, CR is DX. Unknown: fewer than two sources say something comparable."},
					{Name: "said", Many: true, Doc: "What one source says.", Parts: []parameter{
						{Name: "source", Type: "code", Min: 1, Codes: comparisonSources, Doc: "Which."},
						{Name: "value", Type: "string", Min: 1, Doc: "As it is written there."},
					}},
				}},
			}}},
			handle: (*Server).comparison},
	}
}

var comparisonSources = []string{"order", "patient", "study", "original", "pacs", "prior", "consent", "other-case", "policy", "read"}

// comparedTypes are those whose content the comparison tells: a token needs to read
// all of them.
var comparedTypes = []string{"Task", "ServiceRequest", "Patient", "ImagingStudy", "DiagnosticReport", "Consent"}

// comparison is Task/{id}/$comparison. What is told and that it was told are of one
// transaction.
func (s *Server) comparison(c echo.Context, actor access.Actor, _ *Node) error {
	for _, typ := range comparedTypes {
		if !actor.May(typ, access.Read) {
			return fault.New(fault.Forbidden, "the scopes of this token do not let it read %s, of which a comparison tells", typ)
		}
	}
	id := c.Param("id")
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		found, err := s.caseSeen(ctx, tx, actor, id)
		if err != nil {
			return nil, err
		}
		if actor.HidesOriginals() && found.Concealed() { // whatever the protocol: a rule may yet make it blinded
			return nil, fault.New(fault.Forbidden, "whoever reads here learns from the comparison what the original says: let another coordinator ask")
		}
		e, err := s.evidence(ctx, tx, actor, found)
		if err != nil {
			return nil, err
		}
		entry := auditEntry{Interaction: "operation", Target: "Task/" + id, Patient: casePatient(found), Patients: e.alsoOf(casePatient(found)), Query: "$comparison", RequestID: requestID(ctx)}
		return e.parameters(), s.audit(ctx, tx, actor, entry)
	})
}

// evidence is what the sources say of a case, as far as the actor may see them.
type evidence struct {
	*dossier
	facts  workflow.Facts
	people []personSaid
	others []*dossier // the other cases on the same study
}

// personSaid is who the patient is, as one source has it.
type personSaid struct {
	source string
	record string // as references to it are compared; "" where the source has none
	workflow.Person
}

const mostOtherCases = 5

func (s *Server) evidence(ctx context.Context, tx pgx.Tx, actor access.Actor, c workflow.Case) (*evidence, error) {
	d, err := s.dossier(ctx, tx, c)
	if err != nil {
		return nil, err
	}
	e := &evidence{dossier: d, facts: d.facts(s.secondOpinion)}
	if err := workflow.EvidenceTx(ctx, tx, &c, &e.facts); err != nil {
		return nil, err
	}
	r, err := s.resolver(ctx, tx, c.TenantID)
	if err != nil {
		return nil, err
	}
	look := sight{s, tx, actor, r}
	for _, f := range []*found{&d.study, &d.original} {
		if *f, err = look.at(ctx, *f); err != nil {
			return nil, err
		}
	}
	if err := e.findPeople(ctx, look); err != nil {
		return nil, err
	}
	for _, task := range e.facts.Duplicates[:min(len(e.facts.Duplicates), mostOtherCases)] {
		other, err := s.caseSeen(ctx, tx, actor, task)
		if fault.Is(err, fault.NotFound) || err == nil && actor.HidesOriginals() && other.Concealed() {
			continue
		}
		if err != nil {
			return nil, err
		}
		its, err := s.dossier(ctx, tx, other)
		if err != nil {
			return nil, err
		}
		e.others = append(e.others, its)
	}
	return e, nil
}

// sight shows what an actor may see of what a dossier has found.
type sight struct {
	server *Server
	tx     pgx.Tx
	actor  access.Actor
	resolver
}

// at is the resource, nothing where it is hidden from the actor.
func (v sight) at(ctx context.Context, f found) (found, error) {
	if f.id() == "" {
		return f, nil
	}
	_, err := v.server.store.Visible(ctx, v.tx, v.actor, f.Type(), f.id())
	if fault.Is(err, fault.NotFound) {
		return found{}, nil
	}
	return f, err
}

// findPeople gathers whom each source names: the Patient that it refers to, not the
// one into whose record that was merged, else what stands in the reference itself.
func (e *evidence) findPeople(ctx context.Context, look sight) error {
	type named struct {
		source, record string
		ref, parent    *Node
	}
	rows := []named{
		{"patient", e.patientKey, e.subject(), e.order},
		{"study", e.studyPatient, e.study.Get("subject"), e.study.Node},
		{"original", e.originalPatient, e.original.Get("subject"), e.original.Node},
	}
	if was := e.c.PatientID; was != nil && e.c.Correction != nil {
		rows = append(rows, named{"read", *was, Object("reference", "Patient/"+*was), e.order})
	}
	e.people = []personSaid{{"order", e.patientKey, personInReference(e.subject())}}
	for _, row := range rows {
		if row.ref == nil {
			continue
		}
		f, err := look.follow(ctx, row.ref, row.parent)
		if err == nil {
			f, err = look.at(ctx, f)
		}
		if err != nil {
			return err
		}
		said := personSaid{row.source, row.record, personInReference(row.ref)}
		if f.Node != nil {
			said.Person = personIn(f.Node)
		}
		e.people = append(e.people, said)
	}
	if pacs := e.facts.PACS; pacs != nil && pacs.Answer == workflow.PACSFound {
		e.people = append(e.people, personSaid{"pacs", "", pacs.Study.Patient})
	}
	return nil
}

// personInReference is what a reference itself says of a patient.
func personInReference(ref *Node) workflow.Person {
	n := Object("identifier", ref.Each("identifier"))
	if display := ref.Text("display"); display != "" {
		n.Set("name", []*Node{Object("text", display)})
	}
	return personIn(n)
}

// alsoOf are the patients of whom it tells besides that of the case.
func (e *evidence) alsoOf(patient string) []string {
	var also []string
	for _, p := range e.people {
		if one := "Patient/" + p.record; idPattern.MatchString(p.record) && one != patient && !slices.Contains(also, one) {
			also = append(also, one)
		}
	}
	for _, other := range e.others {
		if one := casePatient(other.c); one != "" && one != patient && !slices.Contains(also, one) {
			also = append(also, one)
		}
	}
	return also
}

func (e *evidence) parameters() *Node {
	var doubts []*Node
	for _, f := range findingsNow(e.c) {
		if f.Kind != workflow.Doubtful {
			continue
		}
		parts := []*Node{Object("name", "code", "valueCode", f.Code), Object("name", "text", "valueString", f.Text)}
		for _, row := range e.about(f.Code) {
			parts = append(parts, row.part())
		}
		doubts = append(doubts, Object("name", "doubt", "part", parts))
	}
	return Object("resourceType", "Parameters", "parameter", doubts)
}

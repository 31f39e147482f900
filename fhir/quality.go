package fhir

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// The quality compartment: how a reading was graded, whether the first reader was
// to be expected to see it, why not, and who read and who graded. It is privileged
// work product and stands in no resource, so nothing that reads, searches,
// includes, exports or sends resources can give it. This operation is the one way
// to it, for one role, and each opening is an event of its own.

func qualityServices() []service {
	return []service{reviewsService(), samplesService(), {
		name: "quality", id: "task-quality",
		does: "How the readings of a case were graded: every grade with its discrepancies, expectedness, causes and comment, the scores that " +
			"are derived from it, who read and who graded. Quality work product: for the role quality alone, and each opening is recorded.",
		types: []string{"Task"}, instance: true, recorded: true, by: []access.Role{access.Quality}, scope: reading, tells: qualityTells,
		handle: (*Server).quality,
	}}
}

var qualityTells = []parameter{
	{Name: "original", Type: "Reference", Doc: "The report of the first reading, where it is known."},
	{Name: "independent", Type: "boolean", Doc: "Of a blinded case whose opinion is sealed: whether its reader had not opened the patient's record in an emergency before. What is false counts in no statistic of independent readings."},
	{Name: "reading", Many: true, Doc: "Who took part in the second opinion.", Parts: []parameter{
		{Name: "role", Type: "code", Min: 1, Codes: []string{"reader", "other-reader", "adjudicator", "supervisor"}, Doc: "As what; other-reader: of two who have read it the one who did not lead it on."},
		{Name: "who", Type: "Reference", Min: 1, Doc: "The Practitioner."},
	}},
	{Name: "grade", Many: true, Doc: "One grade, the first one first.", Parts: []parameter{
		{Name: "number", Type: "positiveInt", Min: 1, Doc: "From 1."},
		{Name: "inForce", Type: "boolean", Min: 1, Doc: "Whether it is the one that counts: the last of an adjudicator, else the last."},
		{Name: "gradedBy", Type: "Reference", Min: 1, Doc: "The Practitioner who graded."},
		{Name: "role", Type: "code", Min: 1, Codes: []string{"reader", "adjudicator"}, Doc: "As what."},
		{Name: "gradedAt", Type: "instant", Min: 1, Doc: "When."},
		{Name: "level", Type: "code", Min: 1, Codes: []string{"none", "minor", "major", "no-comparison"}, Doc: "The most significant discrepancy."},
		{Name: "radpeer", Type: "code", Codes: []string{"1", "2a", "2b", "3a", "3b"}, Doc: "RADPEER (ACR 2016), derived; left out where a discrepancy does not say what was to be expected, and where the policy wants no scores."},
		{Name: "fivePoint", Type: "integer", Doc: "The five-point scale (Zan 2010), derived; left out where there is no comparison, or nothing but communication and technique differs."},
		{Name: "noComparisonReason", Type: "code", Codes: workflow.Words("noComparisonReason"), Doc: "Why no comparison is possible."},
		{Name: "noComparison", Type: "string", Doc: "The same in words."},
		{Name: "goodCall", Type: "boolean", Doc: "The original saw what is easily missed."},
		{Name: "difference", Type: "string", Doc: "What the chart says of the difference."},
		{Name: "comment", Type: "string", Doc: "For quality work."},
		{Name: "discrepancy", Many: true, Doc: "One point in which the readings differ.", Parts: discrepancy},
	}},
	{Name: "acknowledged", Many: true, Doc: "Which version of the report was read, the oldest first.", Parts: []parameter{
		{Name: "report", Type: "positiveInt", Min: 1, Doc: "Which signed version."},
		{Name: "by", Type: "string", Doc: "Which clinician, as the EHR says it."},
		{Name: "role", Type: "string", Doc: "In which function."},
		{Name: "outdated", Type: "boolean", Min: 1, Doc: "A newer version was signed by then: that one waited to be read all the same."},
		{Name: "at", Type: "instant", Min: 1, Doc: "When."},
	}},
	{Name: "judgement", Many: true, Doc: "What the clinician said changed for the patient, the first word first; the last counts. What the reader said stands in the grade.", Parts: []parameter{
		{Name: "management", Type: "code", Min: 1, Codes: workflow.Words("management"), Doc: "What changed."},
		{Name: "note", Type: "string", Doc: "In words."},
		{Name: "judgedAt", Type: "instant", Min: 1, Doc: "When."},
	}},
	{Name: "outcome", Many: true, Doc: "What showed who was right, the first word first; the last counts.", Parts: []parameter{
		{Name: "right", Type: "code", Min: 1, Codes: workflow.Rights, Doc: "Who was right."},
		{Name: "source", Type: "code", Min: 1, Codes: workflow.TruthSources, Doc: "What showed it."},
		{Name: "date", Type: "date", Min: 1, Doc: "Day of the evidence."},
		{Name: "evidence", Type: "Reference", Many: true, Doc: "Where it stands."},
		{Name: "note", Type: "string", Doc: "In words."},
		{Name: "role", Type: "code", Min: 1, Doc: "Who recorded it: placer or quality."},
		{Name: "recordedAt", Type: "instant", Min: 1, Doc: "Since when it is known here."},
	}},
	{Name: "learningPoint", Many: true, Doc: "What is to be learnt.", Parts: []parameter{
		{Name: "number", Type: "positiveInt", Min: 1, Doc: "From 1."},
		{Name: "text", Type: "string", Min: 1, Doc: "In words."},
		{Name: "tag", Type: "code", Many: true, Doc: "To find it by."},
		{Name: "addedAt", Type: "instant", Min: 1, Doc: "When."},
	}},
	{Name: "feedback", Many: true, Doc: "What a reader of the original was told, and what they said.", Parts: []parameter{
		{Name: "who", Type: "Reference", Min: 1, Doc: "The Practitioner."},
		{Name: "kind", Type: "code", Min: 1, Codes: []string{"difference", "peer-learning", "finding"}, Doc: "How much: finding is what a second read for quality found."},
		{Name: "report", Type: "positiveInt", Min: 1, Doc: "Of which signed version."},
		{Name: "openedAt", Type: "instant", Doc: "When they opened it first."},
		{Name: "agrees", Type: "boolean", Doc: "Whether they agree."},
		{Name: "answer", Type: "string", Doc: "What they said."},
	}},
	{Name: "review", Many: true, Doc: "A review by the quality role.", Parts: []parameter{
		{Name: "number", Type: "positiveInt", Min: 1, Doc: "From 1."},
		{Name: "reason", Type: "string", Min: 1, Doc: "Why it was opened."},
		{Name: "openedAt", Type: "instant", Min: 1, Doc: "When."},
		{Name: "conclusion", Type: "code", Codes: workflow.Conclusions, Doc: "What came of it; it is open where this is left out."},
		{Name: "note", Type: "string", Doc: "In words."},
		{Name: "closedAt", Type: "instant", Doc: "When."},
	}},
}

// verySensitive labels what is given: http://terminology.hl7.org/CodeSystem/v3-Confidentiality
// V, and ORCON of v3-ActCode, not to be passed on except as its originator allows.
var verySensitive = []*Node{
	coding("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "V", "very restricted"),
	coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "ORCON", "originator control"),
}

// quality is Task/{id}/$quality. What is opened and that it was opened are of one
// transaction: neither is without the other.
func (s *Server) quality(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		file, shown, err := s.mayOpen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		if !shown {
			return nil, noCase()
		}
		unveiled, err := workflow.UnveiledTx(ctx, tx, file)
		if err != nil {
			return nil, err
		}
		grades, err := workflow.GradesTx(ctx, tx, file.CaseID)
		if err != nil {
			return nil, err
		}
		later, err := laterOf(ctx, tx, file.CaseID)
		if err != nil {
			return nil, err
		}
		people, err := readersNamed(ctx, tx, file)
		if err != nil {
			return nil, err
		}
		return s.qualityOf(file, unveiled, grades, later, people), s.qualityOpened(ctx, tx, actor, file)
	})
}

// practitioners are References to the readers of the tenant, by their ids.
func practitioners(ctx context.Context, tx pgx.Tx) (map[uuid.UUID]*Node, error) {
	rows, err := tx.Query(ctx, `
		SELECT reader_id, practitioner_id, display
		FROM reader`)
	if err != nil {
		return nil, fmt.Errorf("readers: %w", err)
	}
	people := map[uuid.UUID]*Node{}
	var reader uuid.UUID
	var practitioner, display string
	_, err = pgx.ForEachRow(rows, []any{&reader, &practitioner, &display}, func() error {
		people[reader] = Object("reference", "Practitioner/"+practitioner, "display", display)
		return nil
	})
	return people, err
}

func (s *Server) qualityOf(c workflow.Case, unveiled bool, grades []workflow.GivenGrade, later later, people *named) *Node {
	var rows []*Node
	if c.OriginalReportID != nil {
		rows = append(rows, Object("name", "original", "valueReference", Object("reference", "DiagnosticReport/"+*c.OriginalReportID)))
	}
	if c.Protocol == workflow.Blinded && c.LockedAt != nil {
		rows = append(rows, Object("name", "independent", "valueBoolean", !unveiled))
	}
	for _, who := range []struct {
		role string
		id   *uuid.UUID
	}{{"reader", c.ReaderID}, {"other-reader", c.OtherReaderID}, {"adjudicator", c.AdjudicatorID}, {"supervisor", c.SupervisorID}} {
		if who.id != nil {
			rows = append(rows, Object("name", "reading", "part", []*Node{
				Object("name", "role", "valueCode", who.role), Object("name", "who", "valueReference", people.of(*who.id))}))
		}
	}
	inForce, _ := workflow.InForce(grades, s.now())
	for _, g := range grades {
		rows = append(rows, Object("name", "grade", "part", gradeParts(g, g.GradeNo == inForce.GradeNo, c.Scored(), people)))
	}
	rows = append(rows, later.rows(people)...)
	return Object("resourceType", "Parameters", "meta", Object("security", verySensitive), "parameter", rows)
}

func gradeParts(given workflow.GivenGrade, inForce, scored bool, people *named) []*Node {
	g := given.Content
	parts := []*Node{
		Object("name", "number", "valuePositiveInt", given.GradeNo),
		Object("name", "inForce", "valueBoolean", inForce),
		Object("name", "gradedBy", "valueReference", people.of(given.GradedBy)),
		Object("name", "role", "valueCode", given.Role),
		Object("name", "gradedAt", "valueInstant", instant(given.GradedAt)),
		Object("name", "level", "valueCode", string(given.Level)),
	}
	add := func(name, element, text string) {
		if text != "" {
			parts = append(parts, Object("name", name, element, text))
		}
	}
	if scored {
		add("radpeer", "valueCode", g.RADPEER())
	}
	if score := g.FivePoint(); scored && score > 0 {
		parts = append(parts, Object("name", "fivePoint", "valueInteger", score))
	}
	add("noComparisonReason", "valueCode", g.NoComparisonReason)
	add("noComparison", "valueString", g.NoComparison)
	if g.GoodCall {
		parts = append(parts, Object("name", "goodCall", "valueBoolean", true))
	}
	add("difference", "valueString", g.Difference)
	add("comment", "valueString", g.Comment)
	for _, d := range g.Discrepancies {
		parts = append(parts, Object("name", "discrepancy", "part", discrepancyParts(d)))
	}
	return parts
}

func discrepancyParts(d workflow.Discrepancy) []*Node {
	parts := []*Node{Object("name", "description", "valueString", d.Finding)}
	for _, said := range [][2]string{{"significance", d.Significance}, {"nature", d.Nature}, {"direction", d.Direction},
		{"expectedness", d.Expectedness}, {"management", d.Management}, {"actionable", d.Actionable}} {
		if said[1] != "" {
			parts = append(parts, Object("name", said[0], "valueCode", said[1]))
		}
	}
	for _, lacked := range d.Asymmetry {
		parts = append(parts, Object("name", "asymmetry", "valueCode", lacked))
	}
	return parts
}

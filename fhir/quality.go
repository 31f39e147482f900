package fhir

import (
	"context"
	"fmt"
	"net/http"

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
	return []service{{
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
		{Name: "role", Type: "code", Min: 1, Codes: []string{"reader", "adjudicator", "supervisor"}, Doc: "As what."},
		{Name: "who", Type: "Reference", Min: 1, Doc: "The Practitioner."},
	}},
	{Name: "grade", Many: true, Doc: "One grade, the first one first.", Parts: []parameter{
		{Name: "number", Type: "positiveInt", Min: 1, Doc: "From 1."},
		{Name: "inForce", Type: "boolean", Min: 1, Doc: "Whether it is the one that counts: the last."},
		{Name: "gradedBy", Type: "Reference", Min: 1, Doc: "The Practitioner who graded."},
		{Name: "role", Type: "code", Min: 1, Codes: []string{"reader", "adjudicator"}, Doc: "As what."},
		{Name: "gradedAt", Type: "instant", Min: 1, Doc: "When."},
		{Name: "level", Type: "code", Min: 1, Codes: []string{"none", "minor", "major", "no-comparison"}, Doc: "The most significant discrepancy."},
		{Name: "radpeer", Type: "code", Codes: []string{"1", "2a", "2b", "3a", "3b"}, Doc: "RADPEER (ACR 2016), derived; left out where a discrepancy does not say what was to be expected."},
		{Name: "fivePoint", Type: "integer", Doc: "The five-point scale (Zan 2010), derived; left out where there is no comparison, or nothing but communication and technique differs."},
		{Name: "noComparisonReason", Type: "code", Codes: workflow.Words("noComparisonReason"), Doc: "Why no comparison is possible."},
		{Name: "noComparison", Type: "string", Doc: "The same in words."},
		{Name: "goodCall", Type: "boolean", Doc: "The original saw what is easily missed."},
		{Name: "difference", Type: "string", Doc: "What the chart says of the difference."},
		{Name: "comment", Type: "string", Doc: "For quality work."},
		{Name: "discrepancy", Many: true, Doc: "One point in which the readings differ.", Parts: discrepancy},
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
	ctx := c.Request().Context()
	id := c.Param("id")
	answer, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (*Node, error) {
		if !idPattern.MatchString(id) {
			return nil, noCase()
		}
		if _, err := s.store.Visible(ctx, tx, actor, "Task", id); err != nil {
			return nil, noCase()
		}
		file, err := workflow.CaseByTaskTx(ctx, tx, id)
		if err != nil {
			return nil, noCase()
		}
		if hidesOriginals(actor) && file.OriginalReportID != nil { // a grade of another case tells of the original of one's own
			if _, err := s.store.Visible(ctx, tx, actor, "DiagnosticReport", *file.OriginalReportID); err != nil {
				return nil, noCase()
			}
		}
		unveiled, err := workflow.UnveiledTx(ctx, tx, file)
		if err != nil {
			return nil, err
		}
		grades, err := workflow.GradesTx(ctx, tx, file.CaseID)
		if err != nil {
			return nil, err
		}
		people, err := practitioners(ctx, tx)
		if err != nil {
			return nil, err
		}
		event := access.Event{Kind: access.QualityOpened, Tenant: actor.Tenant, Actor: actor, Case: "Task/" + id, Patient: casePatient(file),
			Client: clientAddress(c), RequestID: requestID(ctx)}
		return qualityOf(file, unveiled, grades, people), s.RecordEvent(ctx, tx, event)
	})
	if err != nil {
		return err
	}
	return write(c, http.StatusOK, answer.Bytes())
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

func qualityOf(c workflow.Case, unveiled bool, grades []workflow.GivenGrade, people map[uuid.UUID]*Node) *Node {
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
	}{{"reader", c.ReaderID}, {"adjudicator", c.AdjudicatorID}, {"supervisor", c.SupervisorID}} {
		if who.id != nil {
			rows = append(rows, Object("name", "reading", "part", []*Node{
				Object("name", "role", "valueCode", who.role), Object("name", "who", "valueReference", personOf(people, *who.id))}))
		}
	}
	for i, g := range grades {
		rows = append(rows, Object("name", "grade", "part", gradeParts(g, i == len(grades)-1, people)))
	}
	return Object("resourceType", "Parameters", "meta", Object("security", verySensitive), "parameter", rows)
}

// personOf refers to a reader; by the id alone where they are none any more.
func personOf(people map[uuid.UUID]*Node, id uuid.UUID) *Node {
	if who := people[id]; who != nil {
		return who
	}
	return Object("identifier", Object("system", sidReader, "value", id.String()))
}

func gradeParts(given workflow.GivenGrade, inForce bool, people map[uuid.UUID]*Node) []*Node {
	g := given.Content
	parts := []*Node{
		Object("name", "number", "valuePositiveInt", given.GradeNo),
		Object("name", "inForce", "valueBoolean", inForce),
		Object("name", "gradedBy", "valueReference", personOf(people, given.GradedBy)),
		Object("name", "role", "valueCode", given.Role),
		Object("name", "gradedAt", "valueInstant", instant(given.GradedAt)),
		Object("name", "level", "valueCode", string(given.Level)),
	}
	add := func(name, element, text string) {
		if text != "" {
			parts = append(parts, Object("name", name, element, text))
		}
	}
	add("radpeer", "valueCode", g.RADPEER())
	if score := g.FivePoint(); score > 0 {
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

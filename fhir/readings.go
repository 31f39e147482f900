package fhir

import (
	"context"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Opinions before the report: drafts, which are their author's alone, and sealed
// opinions, which some may see of each other and when (workflow.ReadingsTx). They
// stand in no resource, so nothing that reads, searches, includes or exports
// resources can give them. These two operations are the only way.

func readingServices() []service {
	return []service{
		{name: "drafts", id: "task-drafts",
			does: "The versions of what the caller has written for a case, the latest first: nobody else's are ever shown. " +
				"With opinion and number, that version whole; else the latest is whole.",
			types: []string{"Task"}, instance: true, by: []access.Role{access.Reader, access.Adjudicator}, scope: reading,
			takes: []parameter{
				{Name: "opinion", Type: "integer", Doc: "Of which opinion; the latest where it is left out."},
				{Name: "number", Type: "integer", Doc: "Which version of it; the latest where it is left out."},
			},
			tells:  []parameter{{Name: "draft", Many: true, Doc: "One version.", Parts: append(draftRows, opinionTold...)}},
			handle: (*Server).drafts},
		{name: "readings", id: "task-readings",
			does: "The sealed opinions of a case that the caller may see: their own; where two read it, the other's once both have locked; as the third reader, those between which they decide " +
				"(where the policy says so, after their own is locked); as a supervisor, the one that waits for a signature. The role quality sees all, with who gave them, and that is recorded. " +
				"Who decides or signs sees besides what differs: between two readers word by word; from the original report as the reader graded it.",
			types: []string{"Task"}, instance: true, recorded: true,
			by: []access.Role{access.Reader, access.Adjudicator, access.Supervisor, access.Quality}, scope: reading,
			tells: []parameter{{Name: "reading", Many: true, Doc: "One opinion, the oldest first.", Parts: append([]parameter{
				{Name: "opinion", Type: "integer", Min: 1, Doc: "Its number among those that the caller may see."},
				{Name: "part", Type: "code", Min: 1, Doc: "first, second, proposal, arbitration, adjudication, revision, cosign or amendment."},
				{Name: "own", Type: "boolean", Min: 1, Doc: "Whether the caller gave it."},
				{Name: "inForce", Type: "boolean", Min: 1, Doc: "Whether it is the one that will be signed, as it stands."},
				{Name: "unfinished", Type: "boolean", Doc: "It was given back before it was locked."},
				{Name: "who", Type: "Reference", Doc: "For the role quality only."},
				{Name: "sealedAt", Type: "instant", Min: 1, Doc: "When."},
				{Name: "sha256", Type: "string", Min: 1, Doc: "Of the opinion, in hexadecimal digits; $concur takes it."},
				{Name: "changed", Type: "code", Many: true, Doc: "Of a supervisor's or reader's new text: the sections that are not as they were in the opinion before it."},
			}, opinionTold...)}, differenceTold, gradeTold, originalTold},
			handle: (*Server).readings},
	}
}

// draftRows are what is told of a draft besides its text.
var draftRows = []parameter{
	{Name: "opinion", Type: "integer", Min: 1, Doc: "The opinion of which it is a draft, by its number among the caller's own."},
	{Name: "number", Type: "integer", Min: 1, Doc: "The version of the draft, from 1: what $draft and $lock take as follows."},
	{Name: "savedAt", Type: "instant", Min: 1, Doc: "When it was saved."},
	{Name: "sha256", Type: "string", Min: 1, Doc: "Of the opinion, in hexadecimal digits."},
}

var opinionTold = []parameter{
	{Name: "technique", Type: "string"}, {Name: "comparison", Type: "string"}, {Name: "findings", Type: "string"}, {Name: "impression", Type: "string"},
	{Name: "recommendation", Type: "string"}, {Name: "actionable", Type: "code"}, {Name: "answers", Type: "QuestionnaireResponse"}, {Name: "conclusion", Type: "Coding", Many: true},
}

func draftHead(d workflow.Draft) []*Node {
	return []*Node{
		Object("name", "opinion", "valueInteger", d.OwnNo),
		Object("name", "number", "valueInteger", d.DraftNo),
		Object("name", "savedAt", "valueInstant", instant(d.SavedAt)),
		Object("name", "sha256", "valueString", d.SHA256),
	}
}

// opinionParts are the sections of an opinion that say something.
func opinionParts(o workflow.Opinion) []*Node {
	var parts []*Node
	for _, said := range []struct{ name, element, text string }{
		{"technique", "valueString", o.Technique}, {"comparison", "valueString", o.Comparison}, {"findings", "valueString", o.Findings},
		{"impression", "valueString", o.Impression}, {"recommendation", "valueString", o.Recommendation}, {"actionable", "valueCode", o.Actionable},
	} {
		if said.text != "" {
			parts = append(parts, Object("name", said.name, said.element, said.text))
		}
	}
	if o.Structured != nil {
		parts = append(parts, Object("name", "answers", "resource", answersOf(o.Structured)))
	}
	for _, c := range o.Conclusions {
		parts = append(parts, Object("name", "conclusion", "valueCoding", coding(c.System, c.Code, c.Display)))
	}
	return parts
}

// caseSeen is the case of the Task in the address, as far as the actor may know
// of it.
func (s *Server) caseSeen(ctx context.Context, tx pgx.Tx, actor access.Actor, id string) (workflow.Case, error) {
	if !idPattern.MatchString(id) {
		return workflow.Case{}, noCase()
	}
	_, err := s.store.Visible(ctx, tx, actor, "Task", id)
	var c workflow.Case
	if err == nil {
		c, err = workflow.CaseByTaskTx(ctx, tx, id)
	}
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
		err = noCase()
	}
	return c, err
}

// drafts is Task/{id}/$drafts.
func (s *Server) drafts(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		file, err := s.caseSeen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		all, err := workflow.DraftsTx(ctx, tx, file.CaseID, actor.ID)
		if err != nil {
			return nil, err
		}
		whole, err := draftMeant(all, in)
		if err != nil {
			return nil, err
		}
		var rows []*Node
		for _, d := range all {
			parts := draftHead(d)
			if d.OpinionNo == whole.OpinionNo && d.DraftNo == whole.DraftNo {
				if d, err = workflow.DraftTx(ctx, tx, file.CaseID, actor.ID, d.OpinionNo, d.DraftNo); err != nil {
					return nil, err
				}
				parts = append(parts, opinionParts(d.Content)...)
			}
			rows = append(rows, Object("name", "draft", "part", parts))
		}
		return Object("resourceType", "Parameters", "parameter", rows), nil
	})
}

// draftMeant is the version that is asked for whole: a fault of kind NotFound where
// one is named that is not there.
func draftMeant(all []workflow.Draft, in *Node) (workflow.Draft, error) {
	opinion, _ := strconv.Atoi(given(in, "opinion").Text())
	number, _ := strconv.Atoi(given(in, "number").Text())
	for _, d := range all {
		if (opinion == 0 || opinion == d.OwnNo) && (number == 0 || number == d.DraftNo) {
			return d, nil
		}
	}
	if opinion != 0 || number != 0 {
		return workflow.Draft{}, fault.New(fault.NotFound, "you have no such draft in this case")
	}
	return workflow.Draft{}, nil
}

// readings is Task/{id}/$readings. What is opened and that it was opened are of
// one transaction.
func (s *Server) readings(c echo.Context, actor access.Actor, _ *Node) error {
	id := c.Param("id")
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		file, err := s.caseSeen(ctx, tx, actor, id)
		if err != nil {
			return nil, err
		}
		all, err := workflow.ReadingsTx(ctx, tx, actor, file)
		if err != nil {
			return nil, err
		}
		var people *named
		if actor.Role == access.Quality {
			if actor.HidesOriginals() && file.FinalAt == nil { // whoever reads here may yet get the case
				all = nil
			}
			if people, err = readersNamed(ctx, tx, file); err != nil {
				return nil, err
			}
		}
		told := readingsOf(file, actor, all, people)
		if err := s.compared(ctx, tx, actor, file, all, told); err != nil {
			return nil, err
		}
		if actor.Role == access.Quality {
			return told, s.qualityOpened(ctx, tx, actor, file)
		}
		return told, s.audit(ctx, tx, actor, auditEntry{Interaction: "operation", Target: "Task/" + id, Patient: casePatient(file), Query: "$readings", RequestID: requestID(ctx)})
	})
}

func readingsOf(c workflow.Case, actor access.Actor, all []workflow.Sealed, people *named) *Node {
	var rows []*Node
	for i, o := range all {
		parts := []*Node{
			Object("name", "opinion", "valueInteger", i+1),
			Object("name", "part", "valueCode", string(o.Part)),
			Object("name", "own", "valueBoolean", o.ReaderID == actor.ID),
			Object("name", "inForce", "valueBoolean", c.OpinionNo != nil && *c.OpinionNo == o.OpinionNo),
		}
		if o.Status != "locked" {
			parts = append(parts, Object("name", "unfinished", "valueBoolean", true))
		}
		if people != nil {
			parts = append(parts, Object("name", "who", "valueReference", people.of(o.ReaderID)))
		}
		parts = append(parts, Object("name", "sealedAt", "valueInstant", instant(o.SealedAt)), Object("name", "sha256", "valueString", o.SHA256))
		if i > 0 && (o.Part == workflow.PartCosign || o.Part == workflow.PartRevision) {
			for _, section := range workflow.ChangedSections(all[i-1].Content, o.Content) {
				parts = append(parts, Object("name", "changed", "valueCode", section))
			}
		}
		rows = append(rows, Object("name", "reading", "part", append(parts, opinionParts(o.Content)...)))
	}
	n := Object("resourceType", "Parameters", "parameter", rows)
	if people != nil {
		n.Set("meta", Object("security", verySensitive))
	}
	return n
}

package fhir

import (
	"context"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// later is what came to a case after its signature, in the quality compartment.
type later struct {
	judgements []workflow.GivenJudgement
	truths     []workflow.GivenTruth
	points     []workflow.GivenPoint
	feedback   []workflow.Feedback
	reviews    []workflow.Review
	read       []workflow.Acknowledgement
	reports    []workflow.Report
}

func laterOf(ctx context.Context, tx pgx.Tx, caseID uuid.UUID) (l later, err error) {
	if l.judgements, err = workflow.JudgementsTx(ctx, tx, caseID); err != nil {
		return l, err
	}
	if l.truths, err = workflow.TruthsTx(ctx, tx, caseID); err != nil {
		return l, err
	}
	if l.points, err = workflow.PointsTx(ctx, tx, caseID); err != nil {
		return l, err
	}
	if l.feedback, err = workflow.FeedbackOfCaseTx(ctx, tx, caseID); err != nil {
		return l, err
	}
	if l.reviews, err = workflow.ReviewsTx(ctx, tx, caseID); err != nil {
		return l, err
	}
	if l.read, err = workflow.AcknowledgementsTx(ctx, tx, caseID); err != nil {
		return l, err
	}
	l.reports, err = workflow.ReportsTx(ctx, tx, caseID)
	return l, err
}

// partsOf are the parts of an out parameter; what is empty is left out.
func partsOf(triples ...any) []*Node {
	var parts []*Node
	for i := 0; i+2 < len(triples); i += 3 {
		if text, ok := triples[i+2].(string); ok && text == "" || triples[i+2] == nil {
			continue
		}
		parts = append(parts, Object("name", triples[i], triples[i+1], triples[i+2]))
	}
	return parts
}

// rows are the out parameters of $quality.
func (l later) rows(people *named) []*Node {
	var rows []*Node
	add := func(name string, parts []*Node) { rows = append(rows, Object("name", name, "part", parts)) }
	for _, a := range l.read {
		newer := a.ReportNo < len(l.reports) && !l.reports[a.ReportNo].SignedAt.After(a.AcknowledgedAt) // numbered from 1
		parts := append([]*Node{Object("name", "report", "valuePositiveInt", a.ReportNo)}, partsOf("by", "valueString", a.Content.Person, "role", "valueString", a.Content.Role)...)
		add("acknowledged", append(parts, Object("name", "outdated", "valueBoolean", newer), Object("name", "at", "valueInstant", instant(a.AcknowledgedAt))))
	}
	for _, j := range l.judgements {
		add("judgement", partsOf("management", "valueCode", j.Management, "note", "valueString", j.Note, "judgedAt", "valueInstant", instant(j.JudgedAt)))
	}
	for _, o := range l.truths {
		parts := partsOf("right", "valueCode", o.Right, "source", "valueCode", o.Source, "date", "valueDate", string(o.FoundOn))
		for _, ref := range o.Evidence {
			parts = append(parts, Object("name", "evidence", "valueReference", Object("reference", ref)))
		}
		add("outcome", append(parts, partsOf("note", "valueString", o.Note, "role", "valueCode", o.Role, "recordedAt", "valueInstant", instant(o.RecordedAt))...))
	}
	for _, p := range l.points {
		parts := partsOf("number", "valuePositiveInt", p.PointNo, "text", "valueString", p.Text)
		for _, tag := range p.Tags {
			parts = append(parts, Object("name", "tag", "valueCode", tag))
		}
		add("learningPoint", append(parts, partsOf("addedAt", "valueInstant", instant(p.AddedAt))...))
	}
	for _, f := range l.feedback {
		parts := partsOf("who", "valueReference", people.of(f.ReaderID), "kind", "valueCode", string(f.Kind), "report", "valuePositiveInt", f.ReportNo)
		if f.OpenedAt != nil {
			parts = append(parts, Object("name", "openedAt", "valueInstant", instant(*f.OpenedAt)))
		}
		if f.Agrees != nil {
			parts = append(parts, Object("name", "agrees", "valueBoolean", *f.Agrees))
		}
		add("feedback", append(parts, partsOf("answer", "valueString", f.Answer)...))
	}
	for _, r := range l.reviews {
		parts := partsOf("number", "valuePositiveInt", r.ReviewNo, "reason", "valueString", r.Reason, "openedAt", "valueInstant", instant(r.OpenedAt))
		if r.ClosedAt != nil {
			parts = append(parts, partsOf("conclusion", "valueCode", *r.Conclusion, "note", "valueString", r.Note, "closedAt", "valueInstant", instant(*r.ClosedAt))...)
		}
		add("review", parts)
	}
	return rows
}

// mostReviews is how many open reviews are told at once, the oldest first.
const mostReviews = 500

func reviewsService() service {
	return service{
		name: "reviews", id: "task-reviews", types: []string{"Task"}, atType: true, by: []access.Role{access.Quality}, scope: reading,
		does: "The reviews that wait for the quality role, the oldest first: of grades that an original reader disputes, of findings that were not made known, and its own.",
		tells: []parameter{{Name: "review", Many: true, Doc: "One that is open.", Parts: []parameter{
			{Name: "case", Type: "Reference", Min: 1, Doc: "The Task of the case; its $quality has the rest."},
			{Name: "reason", Type: "string", Min: 1, Doc: "Why it was opened."},
			{Name: "openedAt", Type: "instant", Min: 1, Doc: "When."},
		}}},
		handle: (*Server).reviews,
	}
}

// reviews is Task/$reviews. Of a case whose original is withheld from who reads
// here too, nothing is told.
func (s *Server) reviews(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		open, err := workflow.OpenReviewsTx(ctx, tx, mostReviews)
		if err != nil {
			return nil, err
		}
		originals := map[string]*string{}
		for _, r := range open {
			originals[r.TaskID] = r.OriginalReportID
		}
		shown, err := openTo(ctx, tx, actor, originals)
		if err != nil {
			return nil, err
		}
		var rows []*Node
		for _, r := range open {
			if shown[r.TaskID] {
				rows = append(rows, Object("name", "review", "part", partsOf("case", "valueReference", refer("Task/"+r.TaskID, "", ""),
					"reason", "valueString", r.Reason, "openedAt", "valueInstant", instant(r.OpenedAt))))
			}
		}
		return Object("resourceType", "Parameters", "meta", Object("security", verySensitive), "parameter", rows), nil
	})
}

// openTo tells of which Tasks, given with the original report of each, the actor may
// open the quality compartment: those that are there for them, and whose original is
// not withheld from them.
func openTo(ctx context.Context, tx pgx.Tx, actor access.Actor, originals map[string]*string) (map[string]bool, error) {
	var names []string
	for task, original := range originals {
		names = append(names, "Task/"+task)
		if original != nil {
			names = append(names, "DiagnosticReport/"+*original)
		}
	}
	there, err := inside(ctx, tx, actor, names, access.Read)
	shown := map[string]bool{}
	for task, original := range originals { // a grade of another case tells of the original of one's own
		shown[task] = there["Task/"+task] && (original == nil || !actor.HidesOriginals() || there["DiagnosticReport/"+*original])
	}
	return shown, err
}

// mayOpen finds the case of a Task whose quality compartment the actor may open.
func (s *Server) mayOpen(ctx context.Context, tx pgx.Tx, actor access.Actor, taskID string) (file workflow.Case, shown bool, err error) {
	file, err = s.caseSeen(ctx, tx, actor, taskID)
	if fault.Is(err, fault.NotFound) {
		return file, false, nil
	}
	if err != nil {
		return file, false, err
	}
	all, err := openTo(ctx, tx, actor, map[string]*string{taskID: file.OriginalReportID})
	return file, all[taskID], err
}

func samplesService() service {
	return service{
		name: "samples", id: "task-samples", types: []string{"Task"}, atType: true, by: []access.Role{access.Quality}, scope: reading, recorded: true,
		does:  "The finals for which the tenant's policy has a rate of second reads for quality: the stratum, whether one was drawn, and what it found. Not for who reads here: a reader does not know which case is a sample.",
		takes: pageParameters(),
		tells: []parameter{{Name: "next", Type: "string", Doc: "There are more: ask again with this as _after."}, {Name: "sample", Many: true, Doc: "One final, the newest first.", Parts: []parameter{
			{Name: "stratum", Type: "string", Min: 1, Doc: "The rule of the policy."},
			{Name: "perThousand", Type: "integer", Min: 1, Doc: "Its rate."},
			{Name: "drawn", Type: "boolean", Min: 1, Doc: "Whether it was drawn."},
			{Name: "drawnAt", Type: "instant", Min: 1, Doc: "When it was decided: at the signature."},
			{Name: "notRead", Type: "code", Doc: "Why there is no second read though it was drawn."},
			{Name: "secondRead", Type: "Reference", Doc: "The Task of the second read."},
			{Name: "level", Type: "code", Codes: []string{"none", "minor", "major", "no-comparison"}, Doc: "What it found against the final."},
			{Name: "findingAt", Type: "instant", Doc: "When the report was opened for an amendment."},
			{Name: "settledAt", Type: "instant", Doc: "When that was amended, or set aside."},
		}}},
		handle: (*Server).samples,
	}
}

func maySeeSamples(actor access.Actor) error {
	if actor.HidesOriginals() {
		return fault.New(fault.Forbidden, "who reads here is not told which cases are second reads for quality")
	}
	if actor.Restricted() {
		return fault.New(fault.Forbidden, "the scopes of this token let it see some Tasks only, and samples are told as a whole")
	}
	return nil
}

// samples is Task/$samples.
func (s *Server) samples(c echo.Context, actor access.Actor, in *Node) error {
	if err := maySeeSamples(actor); err != nil {
		return err
	}
	asked, err := pageOf(in)
	if err != nil {
		return err
	}
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		all, err := workflow.SamplesAfterTx(ctx, tx, asked.after, asked.count+1)
		if err != nil {
			return nil, err
		}
		var rows []*Node
		if len(all) > asked.count {
			all = all[:asked.count]
			last := all[asked.count-1]
			rows = append(rows, Object("name", "next", "valueString", nextPage(workflow.Place{At: last.DrawnAt, ID: last.CaseID})))
		}
		for _, q := range all {
			parts := partsOf("stratum", "valueString", q.Stratum, "perThousand", "valueInteger", q.PerThousand, "drawn", "valueBoolean", q.Drawn,
				"drawnAt", "valueInstant", instant(q.DrawnAt), "notRead", "valueCode", q.NotRead)
			if q.TaskID != nil {
				parts = append(parts, Object("name", "secondRead", "valueReference", refer("Task/"+*q.TaskID, "", "")))
			}
			if q.Level != nil {
				parts = append(parts, Object("name", "level", "valueCode", string(*q.Level)))
			}
			if q.FindingAt != nil {
				parts = append(parts, Object("name", "findingAt", "valueInstant", instant(*q.FindingAt)))
			}
			if q.SettledAt != nil {
				parts = append(parts, Object("name", "settledAt", "valueInstant", instant(*q.SettledAt)))
			}
			rows = append(rows, Object("name", "sample", "part", parts))
		}
		return Object("resourceType", "Parameters", "meta", Object("security", verySensitive), "parameter", slices.Clip(rows)),
			s.RecordEvent(ctx, tx, access.Event{Kind: access.QualityOpened, Tenant: actor.Tenant, Actor: actor})
	})
}

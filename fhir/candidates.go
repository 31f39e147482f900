package fhir

import (
	"context"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// candidateServices are the rows of the table of services that tell a coordinator
// about readers: who may read a case and why not, and whose credentials end.
func candidateServices() []service {
	desk := []access.Role{access.Coordinator, access.Director}
	return []service{
		{name: "candidates", id: "task-candidates",
			does: "Every reader as a candidate for a case: eligible, or each reason why not; and of those to whom the server would offer it the rank, " +
				"with the score and its parts (docs/matching.md). For coordinators and directors; who asked is recorded.",
			types: []string{"Task"}, instance: true, by: desk, scope: reading,
			takes: []parameter{{Name: "duty", Type: "code", Codes: []string{"read", "adjudicate", "supervise"}, Doc: "For what; what is wanted next where it is left out."}},
			tells: []parameter{
				{Name: "duty", Type: "code", Min: 1, Doc: "For what."},
				{Name: "candidate", Many: true, Doc: "One reader; those with a rank first.", Parts: []parameter{
					{Name: "reader", Type: "Reference", Min: 1, Doc: "The Practitioner."},
					{Name: "eligible", Type: "boolean", Min: 1, Doc: "Whether they may have the case at all."},
					{Name: "reason", Type: "string", Many: true, Doc: "Why not, such as \"licence for US-NY expired 2026-03-01\"."},
					{Name: "unavailable", Type: "string", Many: true, Doc: "Of who is eligible: why the server does not offer it to them now (shift, absence, capacity, declined). The coordinator may."},
					{Name: "rank", Type: "positiveInt", Doc: "Of those to whom the server would offer it: 1 is the next."},
					{Name: "score", Type: "decimal", Doc: "From 0 to 1: the weighted mean of the next four."},
					{Name: "fit", Type: "decimal", Doc: "How near the reader's main subspecialty the case is."},
					{Name: "load", Type: "decimal", Doc: "How little waits for the reader."},
					{Name: "fairness", Type: "decimal", Doc: "How little the reader has done of late, for the time at work."},
					{Name: "due", Type: "decimal", Doc: "Whether the reader is at work long enough before the case is due."},
					{Name: "openCases", Type: "unsignedInt", Min: 1, Doc: "That the reader has or is offered, at this hospital."},
				}},
			},
			handle: (*Server).candidates},
		{name: "expiring-credentials", id: "practitioner-expiring-credentials",
			does:  "Whose licence, privilege or credentialing ends within so many days, or has ended and was not renewed. For coordinators, directors and admins.",
			types: []string{"Practitioner"}, atType: true, by: append([]access.Role{access.Admin}, desk...), scope: reading,
			takes: []parameter{{Name: "days", Type: "unsignedInt", Doc: "60 where it is left out; 0 is today."}},
			tells: []parameter{{Name: "expiring", Many: true, Doc: "One of a reader's credentials; the soonest first.", Parts: []parameter{
				{Name: "reader", Type: "Reference", Min: 1, Doc: "The Practitioner."},
				{Name: "what", Type: "string", Min: 1, Doc: "Such as \"licence for US-NY\"."},
				{Name: "lastDay", Type: "date", Min: 1, Doc: "The last day on which it holds."},
				{Name: "case", Type: "Reference", Many: true, Doc: "The Tasks of the open cases that the reader has or is offered: give them to others in time ($reassign, $release). Coordinators and directors are told them, not who also reads here, and not where the scopes of the token let it see some Tasks only."},
			}}},
			handle: (*Server).expiring},
	}
}

// candidates is Task/{id}/$candidates. That somebody is the original reader tells of
// the original: whoever reads here too is not told before they may know of it.
func (s *Server) candidates(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		found, err := s.caseSeen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		if actor.HidesOriginals() && found.Protocol != workflow.Unblinded && found.RevealedAt == nil {
			return nil, fault.New(fault.Forbidden, "whoever reads here learns from the candidates who read first: ask again once the case is compared, or let another coordinator")
		}
		if found.Exam.Subspecialty == "" {
			return nil, fault.New(fault.Conflict, "nothing is decided yet: the intake checks have not gone over the order")
		}
		duty := workflow.DutyOf(found.State)
		if asked := given(in, "duty").Text(); asked != "" {
			duty = workflow.Duty(asked)
		}
		if duty != workflow.ToRead && duty != workflow.ToAdjudicate && duty != workflow.ToSupervise {
			return nil, fault.At(fault.Value, "Parameters.parameter.where(name = 'duty')", "must be one of read, adjudicate, supervise")
		}
		note(c, auditEntry{Interaction: "operation", Target: "Task/" + c.Param("id"), Patient: casePatient(found), Query: "$candidates?duty=" + string(duty)})
		judged, err := workflow.CandidatesTx(ctx, tx, &found, duty, s.now().UTC())
		if err != nil {
			return nil, err
		}
		return candidatesOf(duty, judged), nil
	})
}

func candidatesOf(duty workflow.Duty, judged []workflow.Judged) *Node {
	rows := []*Node{Object("name", "duty", "valueCode", string(duty))}
	for _, j := range judged {
		parts := []*Node{
			Object("name", "reader", "valueReference", readerReference(j.Reader)),
			Object("name", "eligible", "valueBoolean", len(j.Reasons) == 0),
		}
		for _, why := range j.Reasons {
			parts = append(parts, Object("name", "reason", "valueString", why))
		}
		for _, why := range j.Unavailable {
			parts = append(parts, Object("name", "unavailable", "valueString", why))
		}
		if j.Rank > 0 {
			parts = append(parts, Object("name", "rank", "valuePositiveInt", j.Rank))
			for _, part := range []struct {
				name  string
				value float64
			}{{"score", j.Score}, {"fit", j.Parts.Fit}, {"load", j.Parts.Load}, {"fairness", j.Parts.Fairness}, {"due", j.Parts.Due}} {
				parts = append(parts, Object("name", part.name, "valueDecimal", Number(strconv.FormatFloat(part.value, 'f', 3, 64))))
			}
		}
		parts = append(parts, Object("name", "openCases", "valueUnsignedInt", j.Reader.OpenCases))
		rows = append(rows, Object("name", "candidate", "part", parts))
	}
	return Object("resourceType", "Parameters", "parameter", rows)
}

func readerReference(r workflow.Reader) *Node {
	return refer("Practitioner/"+r.PractitionerID, "Practitioner", r.Display)
}

// expiring is Practitioner/$expiring-credentials.
func (s *Server) expiring(c echo.Context, actor access.Actor, in *Node) error {
	days := 60
	if asked := given(in, "days"); asked != nil {
		var err error
		if days, err = strconv.Atoi(asked.Text()); err != nil || days < 0 || days > 3660 {
			return fault.At(fault.Value, "Parameters.parameter.where(name = 'days')", "must be a number of days, from 0 to 3660")
		}
	}
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		readers, err := workflow.ReadersTx(ctx, tx, 1)
		if err != nil {
			return nil, err
		}
		var inHand map[uuid.UUID][]string
		if actor.Role != access.Admin && !actor.HidesOriginals() && !actor.Restricted() {
			if inHand, err = workflow.InHandTx(ctx, tx); err != nil {
				return nil, err
			}
		}
		var rows []*Node
		for _, e := range workflow.Expiring(readers, s.now(), days) {
			parts := []*Node{
				Object("name", "reader", "valueReference", readerReference(e.Reader)),
				Object("name", "what", "valueString", e.What),
				Object("name", "lastDay", "valueDate", string(e.Last)),
			}
			for _, task := range inHand[e.Reader.ID] {
				parts = append(parts, Object("name", "case", "valueReference", refer("Task/"+task, "Task", "")))
			}
			rows = append(rows, Object("name", "expiring", "part", parts))
		}
		return Object("resourceType", "Parameters", "parameter", rows), nil
	})
}

package fhir

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// triageServices are the rows of the table of services that explain where a
// case goes.
func triageServices() []service {
	return []service{
		{name: "triage", id: "task-triage",
			does:  "Who should read a case, and by which rule of the tenant's policy: for the coordinator.",
			types: []string{"Task"}, instance: true, by: []access.Role{access.Coordinator, access.Director}, scope: reading,
			tells: []parameter{
				{Name: "subspecialty", Type: "code", Min: 1, Doc: "Of the readers who may read it; general: all."},
				{Name: "needs", Type: "code", Many: true, Doc: "What a reader must have besides."},
				{Name: "why", Type: "string", Min: 1, Doc: "The rule and its conditions, such as \"rule 3: MR of head, age 0 to 17 -> neuro with paediatric\"."},
				{Name: "policy", Type: "integer", Min: 1, Doc: "The version of the policy that the case keeps; 0: from before there were versions."},
			},
			handle: (*Server).triage},
	}
}

// triage is Task/{id}/$triage.
func (s *Server) triage(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		found, err := s.caseSeen(ctx, tx, actor, c.Param("id"))
		if err != nil {
			return nil, err
		}
		return triageOf(found)
	})
}

// triageOf is what was decided of a case, in the words of the operation.
func triageOf(c workflow.Case) (*Node, error) {
	if c.Exam.Subspecialty == "" {
		return nil, fault.New(fault.Conflict, "nothing is decided yet: the intake checks have not gone over the order")
	}
	why := "the order says so itself"
	if c.Exam.Triage != nil {
		why = c.Exam.Triage.Why
	}
	told := []*Node{Object("name", "subspecialty", "valueCode", c.Exam.Subspecialty)}
	for _, need := range c.Exam.Needs {
		told = append(told, Object("name", "needs", "valueCode", need))
	}
	told = append(told, Object("name", "why", "valueString", why), Object("name", "policy", "valueInteger", c.PolicyVersion))
	return Object("resourceType", "Parameters", "parameter", told), nil
}

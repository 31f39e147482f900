package fhir

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/workflow"
)

// mostTold is how many cases one run of the job takes.
const mostTold = 200

// UndeliveredTick is the job that brings the Tasks in step with what does not arrive, and
// with what has arrived since. Each case is a transaction of its own; two replicas share them,
// and one that fails does not keep the others: the errors are joined.
func (s *Server) UndeliveredTick(ctx context.Context) (worked int, err error) {
	var cases []workflow.ToTell
	err = s.db.System(ctx, func(tx pgx.Tx) (err error) {
		cases, err = workflow.UntoldTx(ctx, tx, mostTold)
		return err
	})
	if err != nil {
		return 0, err
	}
	var failures []error
	for _, of := range cases {
		told := false
		err := s.db.Tenant(ctx, of.TenantID, func(tx pgx.Tx) (err error) {
			if told, err = workflow.TellTx(ctx, tx, of.CaseID); err != nil || !told {
				return err
			}
			c, err := workflow.CaseByIDTx(ctx, tx, of.CaseID)
			if err != nil {
				return err
			}
			return s.publishTask(ctx, tx, workflow.Change{Case: c, Before: c.State, Actor: access.SystemActor(of.TenantID), At: s.now()})
		})
		switch {
		case err != nil:
			failures = append(failures, fmt.Errorf("tell what has not arrived of case %s: %w", of.CaseID, err))
		case told:
			worked++
		}
	}
	return worked, errors.Join(failures...)
}

// undelivered are the outputs of a Task that say what has not reached an EHR. R4 has no
// element for it: statusReason is why the Task has its status, which is completed, and
// businessStatus is one concept and the state of the case; what a Task gives is its output
// (https://hl7.org/fhir/R4/task-definitions.html#Task.output), and what of it has not
// arrived is said beside it.
func undelivered(c workflow.Case, all []workflow.Undelivered) (out []*Node) {
	for _, u := range all {
		code, why := "delivery-late", "it does not take it at present, and is tried again until it does"
		if u.Refused() {
			code, why = "delivery-refused", "it has refused it, and the reading service looks into it"
		}
		where := ""
		if u.Lane == workflow.LaneReport && c.ReportID != nil {
			where = "; it can be read here: DiagnosticReport/" + *c.ReportID
		}
		out = append(out, Object("type", concept(csOutput, code, undeliveredTexts[code]),
			"valueString", fmt.Sprintf("%s has not reached %q, where it is due since %s: %s%s", whatIsSent(u), u.Destination,
				u.QueuedAt.In(zoneOf(c.Policy)).Format("2 January 2006 at 15:04 MST"), why, where)))
	}
	return out
}

var undeliveredTexts = map[string]string{
	"delivery-late":    "Something has not reached the EHR yet",
	"delivery-refused": "The EHR has refused something",
}

func whatIsSent(u workflow.Undelivered) string {
	switch {
	case u.Lane == workflow.LaneMessage:
		return "A message about a finding, a question or the report"
	case u.ReportNo < 0:
		return "A preliminary report"
	}
	return fmt.Sprintf("Version %d of the report", u.ReportNo)
}

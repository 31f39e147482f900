package fhir

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// keepLate keeps the text of a $draft or $lock that was refused because the case is no
// longer its author's to write, and says so with the refusal. What was refused for
// another reason its author has still before them, and so has who never had the case.
func (s *Server) keepLate(ctx context.Context, actor access.Actor, taskID string, op operation, r request, refused error) error {
	var why *fault.Error
	if op.Name != "draft" && op.Name != "lock" || r.Opinion == nil || !errors.As(refused, &why) ||
		!slices.Contains([]fault.Kind{fault.Conflict, fault.BusinessRule, fault.Forbidden, fault.NotFound}, why.Kind()) {
		return refused
	}
	held := false
	kept, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (workflow.Draft, error) {
		c, err := lockedCase(ctx, tx, taskID)
		if err != nil {
			return workflow.Draft{}, err
		}
		if held = c.State == workflow.OnHold && op.Name == "lock"; held {
			ch, err := s.engine.FireTx(ctx, tx, actor, c.CaseID, "draft", workflow.Input{Opinion: r.Opinion, DraftNo: r.DraftNo})
			if err == nil {
				return *ch.Draft, nil
			}
			held = false
		}
		return s.engine.KeepLateTx(ctx, tx, actor, c.CaseID, *r.Opinion)
	})
	switch {
	case fault.Is(err, fault.NotFound):
		return refused
	case err != nil:
		return err
	}
	if held {
		return fault.At(fault.Conflict, "Task", "the case is on hold, and nothing was locked. What you have sent is kept as version %d of your draft; lock it when the case goes on", kept.DraftNo)
	}
	return fault.At(fault.Conflict, "Task", "the case is no longer yours to write. What you have sent is kept, sealed, as version %d of your draft of opinion %d: it is yours alone (Task/{id}/$drafts gives it back to you), the next reader does not see it, and it is no part of any report",
		kept.DraftNo, kept.OpinionNo)
}

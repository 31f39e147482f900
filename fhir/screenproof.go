package fhir

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// mostCompared is how many events are looked at when somebody has the log compared.
const mostCompared = 10_000

// Proof is how the log of the tenant's audit trail stands, as its database has it. To
// auditors sizes are not told: what they are not told of could be counted from them.
func (s *Server) Proof(ctx context.Context, actor access.Actor, tenant string, asked Asked) (screen.Proof, error) {
	if err := audits(actor); err != nil {
		return screen.Proof{}, err
	}
	return readRecorded(ctx, s, actor, asked, func() (screen.Proof, auditEntry, error) {
		p, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (screen.Proof, error) { return s.proofTx(ctx, tx, actor, tenant) })
		return p, auditEntry{Interaction: "search-type", Query: "state of the audit log"}, err
	})
}

func (s *Server) proofTx(ctx context.Context, tx pgx.Tx, actor access.Actor, tenant string) (screen.Proof, error) {
	p := screen.Proof{Tenant: tenant, TenantID: actor.Tenant.String(), Whole: trailWhole(actor), Now: s.now()}
	status, err := auditlog.StatusTx(ctx, tx, actor.Tenant)
	if err != nil {
		return p, err
	}
	if p.Zone, err = workflow.ZoneTx(ctx, tx); err != nil {
		return p, err
	}
	p.Waiting, p.Outside, p.Moved, p.Size = status.Waiting, status.Outside, status.Moved, status.Size
	for _, c := range status.Signed {
		p.Signed = append(p.Signed, screen.SignedPart{At: c.At, Size: c.Size, Root: c.Root.String(), Key: fmt.Sprintf("%08x", c.Key)})
	}
	if _, err := auditlog.CompareTx(ctx, tx, actor.Tenant, status.Signed[:min(1, len(status.Signed))], 0); err == nil {
		p.Fits = true
	} else if p.Broken = brokenLog(err); p.Broken == "" {
		return p, err
	}
	if !p.Whole {
		p.Size = 0
		for i := range p.Signed {
			p.Signed[i].Size = 0
		}
	}
	compared, _, err := s.trailSearch(ctx, tx, actor, url.Values{"subtype": {auditlog.EraseSystem + "|" + string(access.LogCompared)}, "_count": {"1"}})
	if err != nil {
		return p, err
	}
	for _, n := range compared {
		e := trailEvent(n)
		p.Compared = &e
	}
	losses, _, err := s.trailSearch(ctx, tx, actor, url.Values{"subtype": {auditlog.EraseSystem + "|" + string(access.LogRestored) + "," + auditlog.EraseSystem + "|" + string(access.CheckpointsLost)}})
	if err != nil {
		return p, err
	}
	for _, n := range losses {
		p.Losses = append(p.Losses, trailEvent(n))
	}
	return p, nil
}

// CompareLog has the log compared with what was signed, and records that with what came
// of it. broken tells what does not fit, "" where all does.
func (s *Server) CompareLog(ctx context.Context, actor access.Actor, asked Asked) (broken string, err error) {
	if err := audits(actor); err != nil {
		return "", err
	}
	return inTenant(ctx, s, actor, func(tx pgx.Tx) (string, error) {
		status, err := auditlog.StatusTx(ctx, tx, actor.Tenant)
		if err != nil {
			return "", err
		}
		_, err = auditlog.CompareTx(ctx, tx, actor.Tenant, status.Signed, mostCompared)
		broken := brokenLog(err)
		if err != nil && broken == "" {
			return "", err
		}
		return broken, s.RecordEvent(ctx, tx, access.Event{Kind: access.LogCompared, Tenant: actor.Tenant, Actor: actor, Why: broken, Client: asked.Client, RequestID: asked.RequestID})
	})
}

// brokenLog is what a comparison has found, without an index, which auditors are not
// told; "" where it failed otherwise.
func brokenLog(err error) string {
	if _, ok := errors.AsType[*auditlog.ForkedError](err); ok {
		return "the log is not what was signed"
	}
	if _, ok := errors.AsType[*auditlog.ChangedError](err); ok {
		return "an event is not what stands in the log"
	}
	return ""
}

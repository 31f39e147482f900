package fhir

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// runHooks calls the hooks of what was written: first of creates, then of
// updates. Creates go in the order of their business identifiers, which is the
// order in which cases are locked.
func (s *Server) runHooks(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) (again bool, err error) {
	ordered := byName(changes)
	slices.SortStableFunc(ordered, func(a, b *change) int {
		return strings.Compare(a.hookOrder(), b.hookOrder())
	})
	for _, c := range ordered {
		replaced, err := s.runHook(ctx, tx, actor, c)
		if err != nil {
			return false, c.blame(err)
		}
		again = again || replaced
	}
	return again, nil
}

func (c *change) hookOrder() string {
	if c.isCreate() {
		return "1" + c.row.name + string(c.n.Get("identifier").Bytes())
	}
	return "2"
}

// runHook calls the hook of one change, and then withholds what was written from
// blinded readers where it tells of an original report.
func (s *Server) runHook(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change) (replaced bool, err error) {
	replaced, err = s.callHook(ctx, tx, actor, c)
	if err != nil || replaced || c.deletes() || c.n == nil {
		return replaced, err
	}
	return false, s.withholdTeller(ctx, tx, actor.Tenant, c.n)
}

func (s *Server) callHook(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change) (replaced bool, err error) {
	switch {
	case c.isCreate() && c.row.onCreate != nil:
		existing, err := c.row.onCreate(s, ctx, tx, actor, c.n)
		if err != nil || existing == nil {
			return false, err
		}
		seen, err := inside(ctx, tx, actor, []string{existing.Reference()}, access.Read, access.Search)
		switch {
		case err != nil:
			return false, err
		case !seen[existing.Reference()]: // one order is one case, whoever sends it
			return false, fault.New(fault.Conflict, "this %s is here already, and is not yours to see", c.row.name)
		}
		if err := s.comesAgain(ctx, tx, actor.Tenant, c, *existing); err != nil {
			return false, err
		}
		if c.method == http.MethodPut {
			return false, fault.New(fault.Conflict, "this is %s already: update that one", existing.Reference())
		}
		c.existing, c.stored, c.id = true, *existing, existing.ID
		return true, nil
	case c.current != nil && c.deletes() && c.row.onDelete != nil:
		before, err := Parse(c.current.Body, Limits{})
		if err == nil {
			err = c.row.onDelete(s, ctx, tx, actor, before)
		}
		return false, err
	case c.current != nil && !c.deletes() && c.row.onUpdate != nil:
		before, err := Parse(c.current.Body, Limits{})
		if err == nil {
			err = s.renew(ctx, tx, before)
		}
		if err != nil {
			return false, err
		}
		return false, c.row.onUpdate(s, ctx, tx, actor, before, c.n)
	}
	return false, nil
}

// settle looks again at what hooks may have changed, so that the answer tells
// the version that stands at the end.
func (s *Server) settle(ctx context.Context, tx pgx.Tx, changes []*change) (err error) {
	for _, c := range changes {
		if c.row.onCreate != nil && c.sameAs == nil && !c.deletes() {
			if c.stored, err = s.store.Get(ctx, tx, c.row.name, c.id); err != nil {
				return err
			}
		}
	}
	for _, c := range changes {
		if c.sameAs != nil {
			c.stored = c.sameAs.stored
		}
	}
	return nil
}

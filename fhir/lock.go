package fhir

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
)

// lock takes the cases that are concerned, then in the order of their names what
// is to be changed and what is to be referred to: who refers to a resource holds
// it against being deleted. Then it knows the versions, and checks them and
// whose it is.
func (s *Server) lock(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	if err := lockCases(ctx, tx, changes); err != nil {
		return err
	}
	there, err := s.store.lockAll(ctx, tx, s.locksOf(changes))
	if err != nil {
		return err
	}
	for _, c := range inOrder(changes) {
		var err error
		switch {
		case c.method != http.MethodPost && c.writes():
			err = s.locked(ctx, tx, actor, c, there[c.name()])
		case c.existing && there[c.name()].Deleted:
			err = pg.ErrAgain // it was deleted since it was found
		}
		if err != nil {
			return c.blame(err)
		}
	}
	return nil
}

// locksOf are the locks that changes need. Where a reference leads may become
// known only later (a conditional one, one of a patch): linker.local locks that.
func (s *Server) locksOf(changes []*change) map[string]strength {
	locks := map[string]strength{}
	add := func(name string, l strength) { locks[name] = max(locks[name], l) }
	for _, c := range changes {
		switch {
		case c.deletes() && c.id != "":
			add(c.name(), toDelete)
		case c.method == http.MethodPut, c.method == http.MethodPatch:
			add(c.name(), toChange)
		case c.existing && len(changes) > 1:
			add(c.name(), toRefer)
		}
		if c.sent == nil || !c.writes() || parseReference(c.fullURL).absolute() {
			continue
		}
		for _, k := range linksOf(c.sent, c.path) {
			if !k.isURI && (k.target.local() || k.target.absolute() && k.target.base == s.baseURL) {
				add(k.target.relative(), toRefer)
			}
		}
	}
	return locks
}

// locked is told what is there of a PUT, PATCH or DELETE; version 0 is nothing.
func (s *Server) locked(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change, there Stored) error {
	there, err := c.fenced(ctx, tx, actor, there)
	if err != nil {
		return err
	}
	c.was = there
	if there.Version > 0 && !there.Deleted {
		c.current = &c.was
	}
	switch {
	case !c.stillMatches():
		return pg.ErrAgain
	case !meets(c.ifMatch, there):
		return versionConflict(*c.ifMatch, there.Version)
	case c.current != nil:
	case c.deletes():
		c.absent, c.stored = true, there
		return nil
	case c.method == http.MethodPatch && there.Deleted:
		return gone()
	case c.method == http.MethodPatch:
		return notFound()
	case there.Version == 0:
		if err := s.mayCreateByPut(ctx, tx, actor, c); err != nil {
			return err
		}
	}
	if err := mayReplace(ctx, tx, actor, c); err != nil {
		return err
	}
	switch c.method {
	case http.MethodDelete:
		return mayDelete(ctx, tx, c)
	case http.MethodPatch:
		return c.applyPatch(ctx, s.turns)
	}
	return nil
}

// stillMatches tells whether what is there is what met the condition of the
// change, before it was locked. An update replaces it whatever it has become.
func (c *change) stillMatches() bool {
	switch {
	case c.matched == 0:
		return true
	case c.method == http.MethodPut:
		return c.current != nil
	}
	return c.current != nil && c.current.Version == c.matched
}

// mayCreateByPut: a tenant may want ids of ours only. FHIR R4 http.html#upsert.
// Under a fence, and for whoever reads here, there are no others: a client's own id could be one that it must
// not know to be taken.
func (s *Server) mayCreateByPut(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change) error {
	if c.condition != nil && c.sent.Text("id") == "" {
		return nil // the id is ours
	}
	var may bool
	err := tx.QueryRow(ctx, `SELECT update_create FROM tenant`).Scan(&may) // row-level security leaves the one tenant
	may = may && !limits(actor, c.row.name) && actor.Reader == uuid.Nil
	if err == nil && !may {
		err = fault.New(fault.MethodNotAllowed, "there is no such resource, and an update does not make one here: create it by POST %s", c.row.name)
	}
	return err
}

// lockCases takes the cases of the Tasks and orders that are to be changed. An
// operation locks its case before it writes the case's Task, so changes of a
// Task must begin there too.
func lockCases(ctx context.Context, tx pgx.Tx, changes []*change) error {
	changed := map[string][]string{"Task": {}, "ServiceRequest": {}}
	for _, c := range changes {
		if ids, ok := changed[c.row.name]; ok && c.method != http.MethodPost {
			changed[c.row.name] = append(ids, c.id)
		}
	}
	if len(changed["Task"])+len(changed["ServiceRequest"]) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		SELECT case_id
		FROM case_file
		WHERE task_id = ANY (@tasks) OR service_request_id = ANY (@orders)
		ORDER BY case_id
		FOR UPDATE`,
		pgx.NamedArgs{"tasks": changed["Task"], "orders": changed["ServiceRequest"]})
	return err
}

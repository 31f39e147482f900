package fhir

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A change is one resource that a request wants written: the body of a POST,
// PUT or PATCH, the address of a DELETE, or an entry of a transaction Bundle.
// The upper fields say what is wanted, the lower ones what became of it.
type change struct {
	method    string // POST, PUT, PATCH or DELETE
	row       *resourceType
	sent      *Node // as it came, never changed; of a PATCH, what it makes of current
	patch     patch // PATCH
	path      string
	fullURL   string
	id        string     // PUT, PATCH, DELETE
	condition url.Values // POST: If-None-Exist; others: of the address; nil for none
	ifMatch   *int64

	n        *Node   // what is written; of an order that is found, what tells of whom it is
	was      Stored  // what is there before, deleted or not; version 0 for nothing
	current  *Stored // was, where that is not deleted: nil for a create
	matched  int64   // the version that met the condition
	sameAs   *change // an earlier entry with the same condition
	existing bool    // there is one already: nothing is written
	absent   bool    // nothing is there to delete: nothing is written
	stored   Stored
}

// isCreate tells whether the change makes a new resource.
func (c *change) isCreate() bool { return c.writes() && c.current == nil }

// writes tells whether the change writes anything.
func (c *change) writes() bool { return !c.existing && c.sameAs == nil && !c.absent }

// deletes tells whether the change is a DELETE.
func (c *change) deletes() bool { return c.method == http.MethodDelete }

func (c *change) status() int {
	switch {
	case c.deletes():
		return http.StatusNoContent
	case c.isCreate():
		return http.StatusCreated
	}
	return http.StatusOK
}

// blame makes a fault name the entry and the element that it is about.
func (c *change) blame(err error) error {
	var f *fault.Error
	if err == nil || c.path == c.row.name || !errors.As(err, &f) {
		return err
	}
	named := &fault.Error{Cause: f.Cause}
	for _, issue := range f.Issues {
		switch rest, ok := strings.CutPrefix(issue.Expression, c.row.name); {
		case issue.Expression == "":
			issue.Expression = c.path
		case ok && (rest == "" || rest[0] == '.' || rest[0] == '['):
			issue.Expression = c.path + rest
		}
		named.Issues = append(named.Issues, issue)
	}
	return named
}

// apply writes changes, all in the caller's transaction, as if in the order that
// the specification wants of a transaction Bundle: DELETE, POST, then PUT and
// PATCH (FHIR R4 http.html#trules). Locks are taken in the order of their names,
// whatever the order of the entries, so that two requests wait for each other
// but not both ways.
func (s *Server) apply(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	for _, step := range []func(context.Context, pgx.Tx, access.Actor, []*change) error{
		s.lookFirst, s.claim, s.identify, s.lock,
	} {
		if err := step(ctx, tx, actor, changes); err != nil {
			return err
		}
	}
	base, err := s.ehrBase(ctx, tx)
	if err != nil {
		return err
	}
	// A hook may find that a new resource exists already under another id. Then
	// everything is written once more, with references to that one.
	for {
		again, err := s.attempt(ctx, tx, actor, changes, base)
		if err != nil {
			return err
		}
		if !again {
			return s.settle(ctx, tx, changes)
		}
	}
}

// attempt writes everything in a savepoint, which it undoes when it must be
// written again.
func (s *Server) attempt(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change, ehrBase string) (again bool, err error) {
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return false, err
	}
	for _, step := range []func() error{
		func() error { return s.deleteAll(ctx, savepoint, actor, changes) },
		func() error { return s.link(ctx, savepoint, actor, changes, ehrBase) },
		func() error { return s.writeAll(ctx, savepoint, actor, changes) },
		func() error { return s.recordOrigins(ctx, savepoint, actor, changes, ehrBase) },
		func() error { return unreferred(ctx, savepoint, actor, changes) },
		func() error { return s.findAnother(ctx, savepoint, actor, changes) },
	} {
		if err := step(); err != nil {
			return false, err // the transaction is undone as a whole
		}
	}
	if again, err = s.runHooks(ctx, savepoint, actor, changes); err != nil {
		return false, err
	}
	if again {
		return true, savepoint.Rollback(ctx)
	}
	return false, savepoint.Commit(ctx)
}

// identify finds out which resource each change is about: an existing one, or
// a new one with a new id. What is deleted in the same transaction no longer
// meets the conditions of the others.
func (s *Server) identify(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	byCondition := map[string]*change{}
	var done []*change
	for _, c := range inOrder(changes) {
		if err := s.identifyOne(ctx, tx, actor, c, done, byCondition); err != nil {
			return c.blame(err)
		}
		done = append(done, c)
	}
	return noOverlap(changes)
}

func (s *Server) identifyOne(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change, done []*change, byCondition map[string]*change) error {
	if c.condition != nil {
		if !c.deletes() {
			key := c.conditionKey()
			switch first := byCondition[key]; {
			case first == nil:
				byCondition[key] = c
			case first.method == http.MethodPost && c.method == http.MethodPost:
				c.sameAs = first
				return nil
			default:
				return fault.New(fault.Value, "another entry of this Bundle has the same condition")
			}
		}
		if !c.existing { // lookFirst may have found it
			if err := s.resolveCondition(ctx, tx, actor, c, done); err != nil {
				return err
			}
		}
	}
	if c.id == "" && c.writes() && !c.deletes() {
		id, err := uuid.NewV7()
		if err != nil {
			return err
		}
		c.id = id.String()
	}
	return nil
}

// processing is the order of FHIR R4 http.html#trules.
var processing = map[string]int{http.MethodDelete: 0, http.MethodPost: 1, http.MethodPut: 2, http.MethodPatch: 2}

func inOrder(changes []*change) []*change {
	return slices.SortedStableFunc(slices.Values(changes), func(a, b *change) int {
		return processing[a.method] - processing[b.method]
	})
}

// noOverlap refuses two entries that write the same resource, FHIR R4
// http.html#trules.
func noOverlap(changes []*change) error {
	seen := map[string]bool{}
	for _, c := range changes {
		name := c.name()
		switch {
		case !c.writes():
			continue
		case seen[name]:
			return c.blame(fault.New(fault.Value, "another entry of this Bundle writes the same resource"))
		}
		seen[name] = true
	}
	return nil
}

// name is what locks are ordered by.
func (c *change) name() string { return c.row.name + "/" + c.id }

// byName are the changes that write, sorted by type and id.
func byName(changes []*change) []*change {
	var sorted []*change
	for _, c := range changes {
		if c.writes() {
			sorted = append(sorted, c)
		}
	}
	slices.SortFunc(sorted, func(a, b *change) int { return strings.Compare(a.name(), b.name()) })
	return sorted
}

// link gives every resource its id, and makes the references lead there.
func (s *Server) link(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change, ehrBase string) error {
	l := &linker{server: s, tx: tx, actor: actor, ehrBase: ehrBase, entries: map[string]destination{}}
	var resources []linkable
	for _, c := range changes {
		l.bundle = l.bundle || c.path != c.row.name
		if c.deletes() {
			continue
		}
		to := c.destination()
		if c.fullURL != "" {
			l.entries[c.fullURL] = to
		}
		if c.writes() {
			if err := s.keepsItsClaims(c.sent); err != nil {
				return c.blame(err)
			}
			l.entries[to.reference] = to
			c.n = c.sent.Clone()
			c.n.Set("id", c.id)
			l.fresh = append(l.fresh, c.n)
			resources = append(resources, linkable{c.n, c.path, parseReference(c.fullURL).base})
		}
	}
	if err := l.link(ctx, resources); err != nil {
		return err
	}
	for _, c := range changes {
		if s.findsOrder(c) {
			if err := l.linkMeant(ctx, c); err != nil {
				return c.blame(err)
			}
		}
	}
	return nil
}

// destination is where references to the change's fullUrl lead.
func (c *change) destination() destination {
	switch {
	case c.sameAs != nil:
		return c.sameAs.destination()
	case c.existing:
		return destinationOf(c.stored, 0)
	}
	return destinationOf(Stored{Type: c.row.name, ID: c.id, Version: c.was.Version}, 1)
}

// deleteAll comes first: what is gone meets no conditional reference.
func (s *Server) deleteAll(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) (err error) {
	for _, c := range byName(changes) {
		if !c.deletes() {
			continue
		}
		if c.stored, err = s.store.remove(ctx, tx, actor, *c.current); err != nil {
			return c.blame(err)
		}
	}
	return nil
}

func (s *Server) writeAll(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) (err error) {
	for _, c := range byName(changes) {
		if !c.deletes() {
			if err := c.mayWrite(actor); err != nil {
				return c.blame(err)
			}
		}
		switch {
		case c.deletes():
		case c.method == http.MethodPatch:
			c.stored, err = s.store.replace(ctx, tx, actor, "patch", c.n, *c.current)
		case c.was.Version > 0: // a PUT brings back what was deleted
			c.stored, err = s.store.replace(ctx, tx, actor, "update", c.n, c.was)
		default:
			c.stored, err = s.store.Create(ctx, tx, actor, c.n)
		}
		if err != nil {
			return c.blame(err)
		}
	}
	return nil
}

// recordOrigins notes what the EHR calls what it has sent: by its fullUrl, or
// by the id in the body, which is not ours.
func (s *Server) recordOrigins(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change, ehrBase string) error {
	if actor.Role != access.Placer {
		return nil
	}
	for _, c := range changes {
		if !c.writes() || c.deletes() {
			continue
		}
		ehrID := ""
		at := parseReference(c.fullURL)
		switch {
		case ehrBase != "" && at.base == ehrBase && at.typ == c.row.name:
			ehrID = at.id
		case c.isCreate() && at.base == "":
			ehrID = c.sent.Text("id")
		}
		if ehrID == "" {
			continue
		}
		if err := recordOrigin(ctx, tx, c.row.name, c.id, ehrID); err != nil {
			return err
		}
	}
	return nil
}

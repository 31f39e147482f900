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

// A change is one resource that a request wants written: the body of a POST or
// PUT, or an entry of a transaction Bundle. The upper fields say what is
// wanted, the lower ones what became of it.
type change struct {
	method    string // POST or PUT
	row       *resourceType
	sent      *Node // as it came, never changed
	path      string
	fullURL   string
	id        string     // PUT
	condition url.Values // POST: If-None-Exist; PUT: of the address; nil for none
	ifMatch   *int64

	n        *Node   // what is written
	current  *Stored // what it replaces, nil for a create
	sameAs   *change // an earlier entry with the same condition
	existing bool    // there is one already: nothing is written
	stored   Stored
}

// isCreate tells whether the change makes a new resource.
func (c *change) isCreate() bool { return !c.existing && c.sameAs == nil && c.current == nil }

// writes tells whether the change writes anything.
func (c *change) writes() bool { return !c.existing && c.sameAs == nil }

func (c *change) status() int {
	if c.isCreate() {
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

// apply writes changes, all in the caller's transaction and in the order that
// the specification wants of a transaction Bundle, which is a good order for
// one resource too (FHIR R4 http.html#trules). Locks are taken in the order of
// their names, whatever the order of the entries, so that two requests wait for
// each other but not both ways.
func (s *Server) apply(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	if err := s.lookFirst(ctx, tx, actor, changes); err != nil {
		return err
	}
	if err := s.claim(ctx, tx, changes); err != nil {
		return err
	}
	if err := s.identify(ctx, tx, actor, changes); err != nil {
		return err
	}
	if err := s.lock(ctx, tx, actor, changes); err != nil {
		return err
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
		func() error { return s.link(ctx, savepoint, actor, changes, ehrBase) },
		func() error { return s.writeAll(ctx, savepoint, actor, changes) },
		func() error { return s.recordOrigins(ctx, savepoint, actor, changes, ehrBase) },
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
// a new one with a new id.
func (s *Server) identify(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	byCondition := map[string]*change{}
	for _, c := range changes {
		if c.condition != nil {
			key := string(c.claimKey())
			switch first := byCondition[key]; {
			case first == nil:
				byCondition[key] = c
			case first.method == http.MethodPost && c.method == http.MethodPost:
				c.sameAs = first
				continue
			default:
				return c.blame(fault.New(fault.Value, "another entry of this Bundle has the same condition"))
			}
			if c.existing {
				continue // lookFirst has found it
			}
			if err := s.resolveCondition(ctx, tx, actor, c); err != nil {
				return c.blame(err)
			}
		}
		if c.id == "" && !c.existing {
			id, err := uuid.NewV7()
			if err != nil {
				return err
			}
			c.id = id.String()
		}
	}
	return noOverlap(changes)
}

// noOverlap refuses two entries that write the same resource, FHIR R4
// http.html#trules.
func noOverlap(changes []*change) error {
	seen := map[string]bool{}
	for _, c := range changes {
		name := c.row.name + "/" + c.id
		switch {
		case !c.writes():
		case seen[name]:
			return c.blame(fault.New(fault.Value, "another entry of this Bundle writes the same resource"))
		}
		seen[name] = true
	}
	return nil
}

// lock takes what is to be updated, and checks the versions and whose it is.
func (s *Server) lock(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	if err := lockCases(ctx, tx, changes); err != nil {
		return err
	}
	for _, c := range byName(changes) {
		if c.method != http.MethodPut {
			continue
		}
		current, err := s.store.Lock(ctx, tx, c.row.name, c.id)
		switch {
		case err == nil:
			c.current = &current
		case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Gone):
			return err
		}
		if !meets(c.ifMatch, current.Version) {
			return c.blame(versionConflict(*c.ifMatch, current.Version))
		}
		if err := mayReplace(ctx, tx, actor, c); err != nil {
			return err
		}
	}
	return nil
}

// lockCases takes the cases of the Tasks and orders that are to be updated. An
// operation locks its case before it writes the case's Task, so updates of a
// Task must begin there too.
func lockCases(ctx context.Context, tx pgx.Tx, changes []*change) error {
	updated := map[string][]string{"Task": {}, "ServiceRequest": {}}
	for _, c := range changes {
		if ids, ok := updated[c.row.name]; ok && c.method == http.MethodPut {
			updated[c.row.name] = append(ids, c.id)
		}
	}
	if len(updated["Task"])+len(updated["ServiceRequest"]) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, `
		SELECT case_id
		FROM case_file
		WHERE task_id = ANY (@tasks) OR service_request_id = ANY (@orders)
		ORDER BY case_id
		FOR UPDATE`,
		pgx.NamedArgs{"tasks": updated["Task"], "orders": updated["ServiceRequest"]})
	return err
}

// byName are the changes that write, sorted by type and id.
func byName(changes []*change) []*change {
	var sorted []*change
	for _, c := range changes {
		if c.writes() {
			sorted = append(sorted, c)
		}
	}
	slices.SortFunc(sorted, func(a, b *change) int {
		return strings.Compare(a.row.name+"/"+a.id, b.row.name+"/"+b.id)
	})
	return sorted
}

// link gives every resource its id, and makes the references lead there.
func (s *Server) link(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change, ehrBase string) error {
	l := &linker{server: s, tx: tx, actor: actor, ehrBase: ehrBase, entries: map[string]destination{}}
	var resources []linkable
	for _, c := range changes {
		l.bundle = l.bundle || c.path != c.row.name
		to := c.destination()
		if c.fullURL != "" {
			l.entries[c.fullURL] = to
		}
		if c.writes() {
			l.entries[to.reference] = to
			c.n = c.sent.Clone()
			c.n.Set("id", c.id)
			l.fresh = append(l.fresh, c.n)
			resources = append(resources, linkable{c.n, c.path, parseReference(c.fullURL).base})
		}
	}
	return l.link(ctx, resources)
}

// destination is where references to the change's fullUrl lead.
func (c *change) destination() destination {
	switch {
	case c.sameAs != nil:
		return c.sameAs.destination()
	case c.existing:
		return destinationOf(c.stored, 0)
	case c.current != nil:
		return destinationOf(*c.current, 1)
	}
	return destinationOf(Stored{Type: c.row.name, ID: c.id}, 1)
}

func (s *Server) writeAll(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) (err error) {
	for _, c := range byName(changes) {
		switch {
		case c.current != nil:
			c.stored, err = s.store.replace(ctx, tx, actor, c.n, *c.current)
		case c.method == http.MethodPost:
			c.stored, err = s.store.Create(ctx, tx, actor, c.n)
		default:
			c.stored, err = s.store.Put(ctx, tx, actor, c.n, nil)
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
		if !c.writes() {
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

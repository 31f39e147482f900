package fhir

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A placer's order number means one order. The same order again is answered with the
// one that is here; another one under its number is refused, for whoever sent it would
// take the answer for an acknowledgement, and nobody would read it.

// comesAgain refuses what is created under the number of what is here already and is
// something else: of another patient or study, or with other words.
func (s *Server) comesAgain(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, c *change, existing Stored) error {
	f, err := existing.found()
	if err != nil || f.Node == nil {
		return err
	}
	switch c.row.name {
	case "ServiceRequest":
		told, err := s.toldBefore(ctx, tx, tenant, c.n, existing)
		if err != nil || told {
			return err
		}
		if err := s.sameMeant(ctx, tx, tenant, c.n, f.Node, existing.Reference()); err != nil {
			return err
		}
		return fault.At(fault.Conflict, "ServiceRequest", "%s is here already as %s, and says something else: change that one by an update (PUT %s); only the same order again is answered as a repetition",
			numberOf(c.n), existing.Reference(), existing.Reference())
	case "Task":
		if f.Get("for") == nil || c.n.Get("for") == nil {
			return nil
		}
		r, err := s.resolver(ctx, tx, tenant)
		if err != nil {
			return err
		}
		same, err := r.samePerson(ctx, mention{f.Get("for"), f.Node}, mention{c.n.Get("for"), c.n})
		if err == nil && !same {
			err = fault.At(fault.Conflict, "Task.for", "the order in focus has a case already, for another patient (%s): give this order a number of its own", existing.Reference())
		}
		return err
	}
	return nil
}

// sameMeant refuses an order that is of another patient or study than the one at place,
// which has its number.
func (s *Server) sameMeant(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n, here *Node, place string) error {
	r, err := s.resolver(ctx, tx, tenant)
	if err != nil {
		return err
	}
	same, err := r.samePerson(ctx, mention{here.Get("subject"), here}, mention{n.Get("subject"), n})
	other := "patient"
	if err == nil && same {
		other = "study"
		same, err = s.sameStudyMeant(ctx, r, here, n)
	}
	if err == nil && !same {
		err = fault.At(fault.Conflict, "ServiceRequest.identifier",
			"%s is in use here already, by an order for another %s (%s): nothing of this one was taken. Send it under a number of its own; if it is that order, and its %s is what is wrong there, correct it by an update (PUT %s)",
			numberOf(n), other, place, other, place)
	}
	return err
}

// numberOf is the placer's number as a refusal names it.
func numberOf(sr *Node) string {
	number, err := placerIdentifier(sr)
	if err != nil {
		return "the order number"
	}
	return fmt.Sprintf("the order number %q", number.value)
}

// samePerson: two References mean one patient, after merges; or two records that have
// an identifier in common, as when a transaction that is sent again brings its Patient
// again. Where one of them says nobody, there is nothing to compare.
func (r resolver) samePerson(ctx context.Context, a, b mention) (bool, error) {
	one, err := r.patientKey(ctx, a.ref, a.parent)
	if err != nil {
		return false, err
	}
	other, err := r.patientKey(ctx, b.ref, b.parent)
	if err != nil || one == "" || other == "" || one == other {
		return err == nil, err
	}
	return r.sameTarget(ctx, a, b)
}

// sameStudyMeant: by its UID, as corrections of an order compare them (workflow).
func (s *Server) sameStudyMeant(ctx context.Context, r resolver, a, b *Node) (bool, error) {
	var uids, ids [2]string
	for i, order := range []*Node{a, b} {
		d := &dossier{order: order, now: s.now()}
		for _, step := range []func(context.Context, resolver) error{d.followOrder, d.findStudy} {
			if err := step(ctx, r); err != nil {
				return false, err
			}
		}
		uids[i], ids[i] = studyUID(d.study.Node), d.study.id()
	}
	if uids[0] != "" && uids[1] != "" {
		return uids[0] == uids[1], nil
	}
	return ids[0] == "" || ids[1] == "" || ids[0] == ids[1], nil
}

// toldBefore: this is what some version of the order that is here says, word for word:
// the placer sends it again, perhaps because the answer was lost.
func (s *Server) toldBefore(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, n *Node, existing Stored) (bool, error) {
	r, err := s.resolver(ctx, tx, tenant)
	if err != nil {
		return false, err
	}
	rows, err := tx.Query(ctx, `
		SELECT body
		FROM (
			SELECT version, body
			FROM resource
			WHERE type = @type AND id = @id AND NOT deleted
			UNION ALL
			SELECT version, body
			FROM resource_history
			WHERE type = @type AND id = @id AND NOT deleted) v
		ORDER BY version`,
		pgx.NamedArgs{"type": existing.Type, "id": existing.ID})
	if err != nil {
		return false, fmt.Errorf("versions of an order: %w", err)
	}
	bodies, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		return false, fmt.Errorf("versions of an order: %w", err)
	}
	for _, body := range bodies {
		before, err := Parse(body, Limits{})
		if err == nil {
			err = s.renew(ctx, tx, before)
		}
		if err != nil {
			return false, err
		}
		same, err := r.sameContent(ctx, before, n)
		if err != nil || same {
			return same, err
		}
	}
	return false, nil
}

// sameContent compares two resources of a type without what the server gives them.
func (r resolver) sameContent(ctx context.Context, a, b *Node) (bool, error) {
	var refs [][2]mention
	a, b = a.Clone(), b.Clone()
	for _, n := range []*Node{a, b} {
		n.Remove("id")
		n.Remove("meta")
	}
	if !alike(a, b, a, b, &refs) {
		return false, nil
	}
	for _, pair := range refs {
		if same, err := r.sameTarget(ctx, pair[0], pair[1]); err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

// alike compares two values, parts of the resources inA and inB. The References in which
// they differ are left to be looked at.
func alike(a, b, inA, inB *Node, refs *[][2]mention) bool {
	if a == nil || b == nil || a.kind != b.kind || a.text != b.text || len(a.items) != len(b.items) || len(a.members) != len(b.members) {
		return a == b
	}
	if a.Get("reference").IsString() && a.Text("reference") != b.Text("reference") {
		*refs = append(*refs, [2]mention{{a, inA}, {b, inB}})
		return b.Get("reference").IsString()
	}
	for i := range a.items {
		if !alike(a.items[i], b.items[i], inA, inB, refs) {
			return false
		}
	}
	for _, m := range a.members {
		if !alike(m.value, b.member(m.name), inA, inB, refs) {
			return false
		}
	}
	return true
}

// sameTarget: two References lead to one resource, or to two that have an identifier in
// common or say the same, because one request has brought the second of them.
func (r resolver) sameTarget(ctx context.Context, a, b mention) (bool, error) {
	one, err := r.follow(ctx, a.ref, a.parent)
	if err != nil {
		return false, err
	}
	other, err := r.follow(ctx, b.ref, b.parent)
	if err != nil || one.Node == nil || other.Node == nil || one.Type() != other.Type() {
		return false, err
	}
	if one.id() != "" && one.id() == other.id() {
		return true, nil
	}
	names := map[string]bool{}
	for _, id := range one.Each("identifier") {
		if id.Text("system") != "" && id.Text("value") != "" {
			names[id.Text("system")+"|"+bareUID(id.Text("value"))] = true
		}
	}
	for _, id := range other.Each("identifier") {
		if names[id.Text("system")+"|"+bareUID(id.Text("value"))] {
			return true, nil
		}
	}
	if len(names) > 0 {
		return false, nil
	}
	return alike(bare(one.Node), bare(other.Node), one.Node, other.Node, new([][2]mention)), nil
}

func bare(n *Node) *Node {
	n = n.Clone()
	for _, name := range []string{"id", "meta", "text"} {
		n.Remove(name)
	}
	return n
}

// orderParts are what tells of whom and of what an order is, as far as each can be
// linked alone.
var orderParts = [][]string{{"subject", "contained"}, {"supportingInfo", "reasonReference", "contained"}}

// findsOrder: it is the conditional create of an order that is met by what is here, or by
// an earlier entry.
func (s *Server) findsOrder(c *change) bool {
	return c.row.name == "ServiceRequest" && c.method == http.MethodPost && c.condition != nil && !c.writes() && asksForSecondOpinion(c.sent, s.secondOpinion)
}

// linkMeant links what an order that is not written says of whom and of what it is. What
// leads nowhere here tells nothing.
func (l *linker) linkMeant(ctx context.Context, c *change) error {
	c.n = Object("resourceType", c.row.name, "identifier", c.sent.Get("identifier").Clone())
	for _, names := range orderParts {
		part := Object("resourceType", c.row.name)
		for _, name := range names {
			if value := c.sent.Get(name); value != nil {
				part.Set(name, value.Clone())
			}
		}
		var lost *fault.Error
		switch err := l.link(ctx, []linkable{{part, c.path, parseReference(c.fullURL).base}}); {
		case errors.As(err, &lost):
			continue
		case err != nil:
			return err
		}
		for _, m := range part.members {
			c.n.Set(m.name, m.value)
		}
	}
	return nil
}

// findAnother refuses conditional creates of orders whose condition is met by an order
// for another patient or study. FHIR R4 http.html#ccreate has what is found answered
// because it is the one that was to be created; this is not.
func (s *Server) findAnother(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	for _, c := range changes {
		if !s.findsOrder(c) {
			continue
		}
		first := c
		if c.sameAs != nil {
			first = c.sameAs
		}
		here, place := first.n, "another entry of this Bundle"
		if !first.writes() {
			f, err := first.stored.found()
			if err != nil {
				return err
			}
			here, place = f.Node, first.stored.Reference()
		}
		if here == nil {
			continue
		}
		if err := s.sameMeant(ctx, tx, actor.Tenant, c.n, here, place); err != nil {
			return c.blame(err)
		}
	}
	return nil
}

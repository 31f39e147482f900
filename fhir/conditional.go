package fhir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// parseCondition reads the search parameters of If-None-Exist, of a
// conditional update or of a conditional reference. They must choose: a
// condition that everything meets would be dangerous.
func parseCondition(text string) (url.Values, error) {
	asked, err := url.ParseQuery(strings.TrimPrefix(text, "?"))
	if err != nil {
		return nil, fault.New(fault.Value, "the condition is not escaped as a URL wants it: identifier=system%%7Cvalue")
	}
	for name := range resultParams {
		if asked.Has(name) {
			return nil, fault.New(fault.Value, "a condition has search parameters only, not %s", name)
		}
	}
	if len(asked) == 0 {
		return nil, fault.New(fault.Value, "the condition is empty: give one such as identifier=system%%7Cvalue")
	}
	return asked, nil
}

// conditionOf reads the condition in the address of a PUT, PATCH or DELETE.
// _format and _pretty are about the answer.
func conditionOf(c echo.Context) (url.Values, error) {
	var kept []string
	for pair := range strings.SplitSeq(c.Request().URL.RawQuery, "&") {
		if name, _, _ := strings.Cut(pair, "="); name != "_format" && name != "_pretty" {
			kept = append(kept, pair)
		}
	}
	return parseCondition(strings.Join(kept, "&"))
}

// conditionKey is the condition of a change, however its parameters are ordered.
func (c *change) conditionKey() string {
	sorted := url.Values{}
	for name, values := range c.condition {
		sorted[name] = slices.Sorted(slices.Values(values))
	}
	return c.row.name + "?" + sorted.Encode()
}

// claimKeys are the digests of what a change claims: its whole condition, and
// each value of an identifier that the condition asks for or that the change is
// about to write. One condition can be worded in many ways (identifier=v,
// identifier=system|v, with a birth date); by the value alone they meet.
func (c *change) claimKeys() [][]byte {
	digest := func(text string) []byte {
		sum := sha256.Sum256([]byte(text))
		return sum[:]
	}
	keys := [][]byte{digest(c.conditionKey())}
	for _, value := range append(identifiersAsked(c.condition), identifiersOf(c.sent)...) {
		keys = append(keys, digest(c.row.name+"\x00identifier\x00"+bareUID(value)))
	}
	return keys
}

// identifiersAsked are the values of the identifiers in a condition, without
// their systems.
func identifiersAsked(condition url.Values) []string {
	var asked []string
	for _, name := range slices.Sorted(maps.Keys(condition)) {
		if bare, _, _ := strings.Cut(name, ":"); bare != "identifier" {
			continue
		}
		for _, value := range condition[name] {
			for _, one := range alternatives(value) {
				for rest, more := one, true; more; { // what stands after the last |
					one = rest
					_, rest, more = cutAt(rest, '|')
				}
				asked = append(asked, unescape(one))
			}
		}
	}
	return asked
}

// identifiersOf are the values of the identifiers that a resource itself has.
func identifiersOf(n *Node) []string {
	var values []string
	if n == nil {
		return nil
	}
	for _, m := range n.members {
		e := resourceShape(n.Type()).elements[m.name]
		if e == nil || e.shape() == nil || e.shape().name != "Identifier" {
			continue
		}
		for _, identifier := range m.value.listed() {
			if value := identifier.Text("value"); value != "" {
				values = append(values, value)
			}
		}
	}
	return values
}

// lookFirst finds what conditional creates need not create. Those take no
// claim: orders of one hospital name the same organisation and the same
// clinicians, and need not wait for each other. Where something is deleted in
// the same transaction, that comes first.
func (s *Server) lookFirst(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	if slices.ContainsFunc(changes, (*change).deletes) {
		return nil
	}
	for _, c := range changes {
		if c.condition == nil || c.method != http.MethodPost {
			continue
		}
		if err := s.resolveCondition(ctx, tx, actor, c, nil); err != nil {
			return c.blame(err)
		}
	}
	return nil
}

// claim makes everybody with the same condition, or the same identifier, wait,
// on any replica, until this transaction has ended: without it, two that find
// nothing would both create. Claims are taken in the order of their digests.
func (s *Server) claim(ctx context.Context, tx pgx.Tx, _ access.Actor, changes []*change) error {
	var keys [][]byte
	for _, c := range changes {
		if c.condition != nil && !c.existing {
			keys = append(keys, c.claimKeys()...)
		}
	}
	if keys == nil {
		return nil
	}
	slices.SortFunc(keys, slices.Compare)
	keys = slices.CompactFunc(keys, slices.Equal)
	_, err := tx.Exec(ctx, `
		INSERT INTO conditional_claim (tenant_id, query_hash)
		SELECT overread_tenant(), hash
		FROM unnest(@keys::bytea[]) WITH ORDINALITY AS wanted (hash, place)
		ORDER BY place
		ON CONFLICT (tenant_id, query_hash) DO UPDATE
		SET claimed_at = now()`,
		pgx.NamedArgs{"keys": keys})
	if err != nil {
		return fmt.Errorf("claim condition: %w", err)
	}
	return nil
}

// resolveCondition finds the resource that the condition of a change means,
// after what is done before it in the same transaction: FHIR R4
// http.html#ccreate, #cond-update, #cdelete and #patch.
func (s *Server) resolveCondition(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change, done []*change) error {
	found, same, err := s.match(ctx, tx, actor, c, done)
	switch {
	case err != nil:
		return err
	case len(found) == 0 && same != nil:
		c.sameAs = same
		return nil
	case len(found) > 1:
		return fault.New(fault.MultipleMatches, "several resources meet the condition: make it so that one does, such as by identifier")
	case len(found) == 1 && c.method == http.MethodPost:
		c.existing, c.stored, c.id = true, found[0], found[0].ID
		return nil
	case len(found) == 1:
		c.id, c.matched = found[0].ID, found[0].Version
	case c.deletes():
		c.absent = true
	case c.row.name == "Patient" && limits(actor, "Patient"):
		// Two Patients with one number are a hazard, and to say that there is one
		// already would tell. Of other types the second is made.
		return fault.New(fault.Forbidden, "no Patient that this token may see meets the condition, and it sees some only: whether one is to be created, it cannot decide")
	case c.method == http.MethodPatch:
		return fault.New(fault.NotFound, "no resource meets the condition")
	}
	if c.method != http.MethodPut {
		return nil
	}
	switch sent := c.sent.Text("id"); {
	case len(found) == 0:
		c.id = sent // "" means a new one
	case sent != "" && sent != c.id:
		return fault.At(fault.Value, c.row.name+".id", "the one resource that meets the condition has another id: leave the id out, or send that one")
	}
	return nil
}

// match finds up to two resources that meet the condition of a change: among
// what is kept, less what the transaction has deleted. Of two creates in the
// same transaction, the second is the same as the first where that meets its
// condition, however it is worded. What a transaction creates itself cannot be
// updated in it.
func (s *Server) match(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change, done []*change) (found []Stored, same *change, err error) {
	q, err := s.parseQuery(ctx, tx, actor.Tenant, c.row, c.condition, false)
	if err == nil {
		err = s.mayAsk(actor, q)
	}
	if err != nil {
		return nil, nil, err
	}
	gone := map[string]bool{}
	for _, d := range done {
		switch {
		case d.deletes() && !c.deletes():
			gone[d.name()] = true
		case d.row != c.row || !d.creates() || len(q.hops) > 0 || !q.matches(d.sent):
		case c.method != http.MethodPost:
			return nil, nil, fault.New(fault.Value, "another entry of this Bundle creates a resource that meets the condition")
		case d.condition != nil && same == nil:
			same = d
		}
	}
	found, err = q.find(ctx, tx, actor, 2+len(gone))
	if err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(found, func(r Stored) bool { return gone[r.Reference()] }), same, nil
}

// creates tells, before anything is locked, whether the change will make a new
// resource: a POST that found none, and an update whose condition nothing met.
func (c *change) creates() bool {
	return c.writes() && (c.method == http.MethodPost || c.method == http.MethodPut && c.condition != nil && c.matched == 0)
}

// matchReference finds the one resource that a conditional reference means,
// among what is kept and what this Bundle is about to store.
func (s *Server) matchReference(ctx context.Context, tx pgx.Tx, actor access.Actor, t target, fresh []*Node) (string, error) {
	row, ok := s.resources[t.typ]
	if !ok {
		return "", fault.New(fault.NotSupported, "this type of resource is not served")
	}
	asked, err := parseCondition(t.query)
	if err != nil {
		return "", err
	}
	q, err := s.parseQuery(ctx, tx, actor.Tenant, row, asked, false)
	if err == nil {
		err = s.mayAsk(actor, q)
	}
	if err != nil {
		return "", err
	}
	if len(q.hops) > 0 { // of what this Bundle is about to store, chains cannot be followed
		return "", fault.New(fault.NotSupported, "a conditional reference can have no chains and no _has")
	}
	found, err := q.find(ctx, tx, actor, 2+len(fresh))
	if err != nil {
		return "", err
	}
	matches := map[string]bool{}
	for _, r := range found {
		matches[r.Reference()] = true
	}
	for _, n := range fresh {
		if n.Type() == row.name {
			if reference := n.Type() + "/" + n.Text("id"); q.matches(n) {
				matches[reference] = true
			} else {
				delete(matches, reference) // it will no longer match
			}
		}
	}
	if len(matches) != 1 {
		return "", fault.New(fault.BusinessRule, "a conditional reference must match exactly one resource; this one matches %s",
			map[bool]string{true: "none", false: "several"}[len(matches) == 0])
	}
	for reference := range matches {
		return reference, nil
	}
	panic("unreachable")
}

// destinationOf is where references to a resource lead; added is how many
// versions are about to be added.
func destinationOf(r Stored, added int64) destination {
	return destination{r.Reference(), fmt.Sprint(r.Version + added)}
}

package fhir

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

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

// claimKey is the digest of a condition, however its parameters are ordered.
func (c *change) claimKey() []byte {
	sum := sha256.Sum256([]byte(c.row.name + "?" + c.condition.Encode()))
	return sum[:]
}

// lookFirst finds what conditional creates need not create. Those take no
// claim: orders of one hospital name the same organisation and the same
// clinicians, and need not wait for each other.
func (s *Server) lookFirst(ctx context.Context, tx pgx.Tx, actor access.Actor, changes []*change) error {
	for _, c := range changes {
		if c.condition == nil || c.method != "POST" {
			continue
		}
		if err := s.resolveCondition(ctx, tx, actor, c); err != nil {
			return c.blame(err)
		}
	}
	return nil
}

// claim makes everybody with the same condition wait, on any replica, until
// this transaction has ended: without it, two that find nothing would both
// create. Claims are taken in the order of their digests.
func (s *Server) claim(ctx context.Context, tx pgx.Tx, changes []*change) error {
	var keys [][]byte
	for _, c := range changes {
		if c.condition != nil && !c.existing {
			keys = append(keys, c.claimKey())
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

// resolveCondition finds the resource that the condition of a change means:
// FHIR R4 http.html#ccreate and #cond-update.
func (s *Server) resolveCondition(ctx context.Context, tx pgx.Tx, actor access.Actor, c *change) error {
	q, err := s.parseQuery(ctx, tx, actor.Tenant, c.row, c.condition, false)
	if err != nil {
		return err
	}
	found, err := q.find(ctx, tx, actor, 2)
	switch {
	case err != nil:
		return err
	case len(found) > 1:
		return fault.New(fault.MultipleMatches, "several resources meet the condition: make it so that one does, such as by identifier")
	}
	sentID := c.sent.Text("id")
	switch {
	case c.method == "POST":
		if c.existing = len(found) == 1; c.existing {
			c.stored, c.id = found[0], found[0].ID
		}
	case len(found) == 0:
		c.id = sentID // "" means a new one
	case sentID != "" && sentID != found[0].ID:
		return fault.At(fault.Value, c.row.name+".id", "the one resource that meets the condition has another id: leave the id out, or send that one")
	default:
		c.id = found[0].ID
	}
	return nil
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
	if err != nil {
		return "", err
	}
	if len(q.hops) > 0 { // of what this Bundle is about to store, chains cannot be followed
		return "", fault.New(fault.NotSupported, "a conditional reference can have no chains and no _has")
	}
	found, err := q.find(ctx, tx, actor, 2)
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

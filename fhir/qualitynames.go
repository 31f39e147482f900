package fhir

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// named names those who read a case to the quality role, in one answer: by who they
// are, or where the policy wants it (qualityNames) as Reader A, Reader B in the order
// in which the answer comes to them, so that the same person in another case cannot be
// told.
type named struct {
	people map[uuid.UUID]*Node
	hidden bool
	order  []uuid.UUID
}

func readersNamed(ctx context.Context, tx pgx.Tx, c workflow.Case) (n *named, err error) {
	n = &named{hidden: !c.NamesOpen()}
	if !n.hidden {
		n.people, err = practitioners(ctx, tx)
	}
	return n, err
}

// of refers to a reader; by the id alone where they are none any more.
func (n *named) of(id uuid.UUID) *Node {
	if n.hidden {
		return Object("display", n.pseudonym(id))
	}
	if who := n.people[id]; who != nil {
		return who
	}
	return Object("identifier", Object("system", sidReader, "value", id.String()))
}

// name is the same for a page.
func (n *named) name(id uuid.UUID) string { return n.of(id).Text("display") }

func (n *named) pseudonym(id uuid.UUID) string {
	for i, known := range n.order {
		if known == id {
			return "Reader " + string(rune('A'+i%26))
		}
	}
	n.order = append(n.order, id)
	return "Reader " + string(rune('A'+(len(n.order)-1)%26))
}

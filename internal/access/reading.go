package access

import "github.com/google/uuid"

// HidesOriginals tells whether blinding concerns the actor: everybody who reads,
// and in any other role whoever is a reader of the tenant too.
func (a Actor) HidesOriginals() bool { return a.ReadsHere() || a.Reader != uuid.Nil }

// ReadsHere tells whether the actor comes as one who reads: from them all
// originals are withheld. Who adjudicates or supervises may have a token for each
// role, and has nothing to decide before the reveal.
func (a Actor) ReadsHere() bool {
	return a.Role == Reader || a.Role == Adjudicator || a.Role == Supervisor
}

// Viewer is the actor as cases name them.
func (a Actor) Viewer() uuid.UUID {
	if a.Reader != uuid.Nil {
		return a.Reader
	}
	return a.ID
}

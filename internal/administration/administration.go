// Package administration is what administrators look after at a tenant, and
// operators at all of them: the systems that may call and their keys, who may do
// what, the endpoints that reports go to, and how the installation is. The pages of
// the role admin (web/admin.go) and the commands of overread do it by the same
// functions, so that both refuse the same and are recorded the same.
//
// An administrator acts at their own tenant and sees no patient
// (docs/decisions/0019-the-administrator.md).
package administration

import (
	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
)

// Keeper does it.
type Keeper struct {
	DB     *pg.DB
	Record access.Recorder // writes what was done into the tenant's audit log, in its transaction
}

// By is who does something, for the record.
type By struct {
	Actor     access.Actor
	Person    uuid.UUID // who signed in; uuid.Nil: the operator
	Client    string    // IP address
	RequestID string
}

// event is one that they caused at their tenant.
func (b By) event(kind access.EventKind, object string) access.Event {
	return access.Event{Kind: kind, Tenant: b.Actor.Tenant, Actor: b.Actor, Object: object, Client: b.Client, RequestID: b.RequestID}
}

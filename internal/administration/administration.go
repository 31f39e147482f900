// Package administration is what administrators look after at a tenant, and
// operators at all of them: the systems that may call and their keys, who may do
// what, the endpoints that reports go to, and how the installation is. The pages of
// the role admin (web/admin.go) and the commands of overread do it by the same
// functions, so that both refuse the same and are recorded the same.
//
// An administrator acts at their own tenant and sees no patient
// (docs/decisions/0019-the-administrator.md). What is refused is a fault whose
// expression names the field of the form; commands name their flag instead.
package administration

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
)

// Keeper does it. What it is not given, the functions that need it cannot do.
type Keeper struct {
	DB     *pg.DB
	Record access.Recorder // writes what was done into the tenant's audit log, in its transaction
	// CheckGrant judges the scopes of a new client (fhir.CheckNewGrant).
	CheckGrant func(access.Grant) error
	// CheckLaunch judges an EHR that is to launch (integrations/smart).
	CheckLaunch func(Launch) error
	// Guard is the fence of what is called out to.
	Guard *outbound.Guard
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

// change does something of a tenant's and records it, in one transaction in which
// the tenant does not move.
func (k Keeper) change(ctx context.Context, by By, do func(tx pgx.Tx) (access.Event, error)) error {
	return k.DB.System(ctx, func(tx pgx.Tx) error {
		if err := MustOperateTx(ctx, tx, by); err != nil {
			return err
		}
		if err := HoldTx(ctx, tx, by.Actor.Tenant); err != nil {
			return err
		}
		done, err := do(tx)
		if err != nil {
			return err
		}
		return k.Record(ctx, tx, done)
	})
}

// HoldTx holds a tenant against moving until the transaction ends. It refuses one
// that was moved away: what is added here would be missing there, and the records of
// it would never get a place in the audit log.
func HoldTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	var name, state string
	err := tx.QueryRow(ctx, `SELECT name, state FROM tenant WHERE tenant_id = $1 FOR NO KEY UPDATE`, tenant).Scan(&name, &state)
	if err == nil && state == "moved" {
		err = fault.New(fault.Conflict, "tenant %s was moved away (overread tenant list), and nothing of it is changed here: do this on the server where it is now", name)
	}
	return err
}

// longestText bounds names and reasons that people write.
const longestText = 300

// reasonOf is a reason as it is kept; it refuses one that says nothing.
func reasonOf(text string) (string, error) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return "", fault.At(fault.Required, "reason", "Say why: it is kept in the audit log. Name no patient.")
	case len(text) > longestText:
		return "", fault.At(fault.Value, "reason", "Use at most 300 letters for the reason.")
	}
	return text, nil
}

// found turns no row into a fault with these words.
func found(err error, text string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return &fault.Error{Issues: []fault.Issue{{Kind: fault.NotFound, Text: text}}}
	}
	return err
}

// wrapped says at what something failed that is no refusal.
func wrapped(what string, err error) error {
	if _, refusal := errors.AsType[*fault.Error](err); err == nil || refusal {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}

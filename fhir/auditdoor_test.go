package fhir

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
)

func TestEveryKindOfEventAtTheDoorIsAValidAuditEventAndIsFoundByItsKind(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	actor := access.Actor{Tenant: r.tenant, ID: uuid.New(), Role: access.Reader, Display: "Dr. Reader", Token: access.SessionURN(uuid.New())}
	for kind := range doorKinds {
		err := r.server.RecordEvent(t.Context(), nil, access.Event{Kind: kind, Tenant: r.tenant, Actor: actor, Object: "thing", Scopes: "system/*.rs",
			Token: access.TokenURN("x"), Patient: "Patient/1", Case: "Task/1", Reason: "the patient was unconscious", Client: "192.0.2.1", RequestID: "req-1"})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	if got := len(r.events(r.tenant)); got != len(doorKinds) { // events decodes each of them
		t.Errorf("%d events of %d kinds", got, len(doorKinds))
	}
	for kind, how := range doorKinds {
		got := r.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|"+string(kind)+"&policy="+actor.Token+"&patient=1", "")
		if len(got.ids()) != 1 || got.node.Text("entry", "resource", "type", "code") != how.typ.Text("code") || got.node.Text("entry", "resource", "action") != how.action ||
			!strings.Contains(got.body, `"value":"req-1"`) || !strings.Contains(got.body, `"address":"192.0.2.1"`) {
			t.Errorf("%s: %d found", kind, len(got.ids()))
		}
	}
	glass := r.do(access.Director, "GET", "/fhir/AuditEvent?subtype=110127", "").node
	if got := glass.Text("entry", "resource", "purposeOfEvent", "coding", "code") + " " + glass.Text("entry", "resource", "purposeOfEvent", "text"); got != "BTG the patient was unconscious" {
		t.Errorf("break-glass: %s", got)
	}
	if err := r.server.RecordEvent(t.Context(), nil, access.Event{Kind: "guess", Tenant: r.tenant}); err == nil {
		t.Error("a kind that is not in the table is recorded")
	}
}

func TestAnEventIsInTheTransactionThatItIsGiven(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	e := access.Event{Kind: access.ClientAdded, Tenant: r.tenant, Actor: access.OperatorActor(r.tenant, "root at host"), Object: "1"}
	undone := errors.New("undone")
	for _, want := range []error{nil, undone} {
		err := r.db.System(t.Context(), func(tx pgx.Tx) error {
			if err := r.server.RecordEvent(t.Context(), tx, e); err != nil {
				return err
			}
			// The transaction is again what it was: it sees all tenants, and no patients.
			var n int
			if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM tenant`).Scan(&n); err != nil || n != 1 {
				t.Errorf("%d tenants: %v", n, err)
			}
			return want
		})
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	err := r.db.Tenant(t.Context(), r.tenant, func(tx pgx.Tx) error { return r.server.RecordEvent(t.Context(), tx, e) })
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"110137 0 ", "110137 0 "}, r.events(r.tenant)); diff != "" {
		t.Error(diff)
	}
}

func TestRefusalsAtTheDoorAreBoundedAndOthersAreNot(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	for range refusalBurst + 40 {
		for _, why := range []string{"used before", ""} {
			if err := r.server.RecordEvent(context.Background(), nil, access.Event{Kind: access.TokenRefused, Why: why}); err != nil {
				t.Fatal(err)
			}
		}
	}
	refused := 0
	all := r.events(auditlog.Installation)
	for _, told := range all {
		if strings.HasPrefix(told, "110122 4") {
			refused++
		}
	}
	if refused < refusalBurst || refused > refusalBurst+20 || len(all)-refused != refusalBurst+40 {
		t.Errorf("%d refused of %d", refused, len(all))
	}
}

package workflow

import (
	"context"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pgtest"
)

// house is one tenant with an engine on a real database, and facts that stand
// in for the FHIR resources.
type house struct {
	testing.TB
	db     *pgtest.Database
	engine *Engine
	tenant uuid.UUID
	facts  map[string]*Facts // by placer number
	heard  []Change          // what was published

	placer, coordinator, director, director2 access.Actor
	anna, ben, carl, trainee                 access.Actor // readers; carl adjudicates and supervises
}

func newHouse(t testing.TB, policy string) *house {
	t.Helper()
	db := pgtest.New(t)
	h := &house{TB: t, db: db, facts: map[string]*Facts{}, tenant: pgtest.AddTenant(t, db, "north")}
	h.exec(`UPDATE tenant SET policy = $1`, policy)
	h.engine = h.newEngine()
	actor := func(role access.Role) access.Actor {
		_, a := pgtest.AddToken(t, db, h.tenant, role)
		return a
	}
	h.placer, h.coordinator = actor(access.Placer), actor(access.Coordinator)
	h.director, h.director2 = actor(access.Director), actor(access.Director)
	reader := func(name, credential string) access.Actor {
		_, a := pgtest.AddReader(t, db, h.tenant, name, []byte(credential))
		return a
	}
	h.anna = reader("Anna", `{"subspecialties": ["neuro"]}`)
	h.ben = reader("Ben", `{"subspecialties": ["neuro", "chest"]}`)
	h.carl = reader("Carl", `{"subspecialties": ["neuro"], "mayAdjudicate": true, "maySupervise": true, "absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}`)
	h.trainee = reader("Tina", `{"subspecialties": ["neuro"], "trainee": true, "absences": [{"from": "2000-01-01", "to": "2999-12-31"}]}`)
	return h
}

// newEngine is another replica of the server.
func (h *house) newEngine() *Engine {
	e := NewEngine(h.db.DB, time.Now, slog.New(slog.DiscardHandler))
	e.Use(Hooks{
		Facts: func(_ context.Context, _ pgx.Tx, c *Case) (Facts, error) { return *h.facts[c.PlacerValue], nil },
		Publish: func(_ context.Context, _ pgx.Tx, ch Change) error {
			h.heard = append(h.heard, ch)
			return nil
		},
	})
	return e
}

// as is the same person in another role.
func as(a access.Actor, role access.Role) access.Actor {
	a.Role = role
	return a
}

func (h *house) exec(sql string, args ...any) {
	h.Helper()
	conn, err := pgx.Connect(context.Background(), h.db.URL)
	if err != nil {
		h.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		h.Fatal(err)
	}
}

func (h *house) in(fn func(ctx context.Context, tx pgx.Tx) error) {
	h.Helper()
	ctx := context.Background()
	if err := h.db.Tenant(ctx, h.tenant, func(tx pgx.Tx) error { return fn(ctx, tx) }); err != nil {
		h.Fatal(err)
	}
}

// open opens a case whose order lacks nothing, after spoil has had its way.
func (h *house) open(spoil ...func(*Facts)) Case {
	h.Helper()
	n := uuid.NewString()
	facts := wholeFacts()
	facts.Study.UID = newUID()
	for _, fn := range spoil {
		fn(&facts)
	}
	h.facts[n] = &facts
	var c Case
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		c, _, err = h.engine.OpenTx(ctx, tx, h.placer, Order{PlacerSystem: "urn:north", PlacerValue: n, ServiceRequestRef: "ServiceRequest/" + n, TaskID: n})
		return err
	})
	return c
}

// ready opens a case and lets the system work on it.
func (h *house) ready() Case {
	h.Helper()
	c := h.open()
	h.tick()
	return h.find(c)
}

// newUID: DICOM PS3.5 section B.2.
func newUID() string {
	id := uuid.New()
	return "2.25." + new(big.Int).SetBytes(id[:]).String()
}

func (h *house) tick() int {
	h.Helper()
	n, err := h.engine.Tick(context.Background())
	if err != nil {
		h.Fatal(err)
	}
	return n
}

func (h *house) find(c Case) Case {
	h.Helper()
	h.in(func(ctx context.Context, tx pgx.Tx) (err error) {
		c, err = CaseByIDTx(ctx, tx, c.CaseID)
		return err
	})
	return c
}

// fire must succeed.
func (h *house) fire(actor access.Actor, c Case, ev Event, in Input) Change {
	h.Helper()
	refused := h.offered(actor, c, ev, in)
	ch, err := h.engine.Fire(context.Background(), actor, c.CaseID, ev, in)
	if err != nil {
		h.Fatalf("%s by %s: %v", ev, actor.Role, err)
	}
	if refused != nil { // what a page does not offer, nobody does by a page
		h.Errorf("%s by %s was done, and not offered: %v", ev, actor.Role, refused)
	}
	return ch
}

// offered is why an event is not offered, nil where it is.
func (h *house) offered(actor access.Actor, c Case, ev Event, in Input) (why *fault.Error) {
	h.Helper()
	err := h.db.Tenant(context.Background(), actor.Tenant, func(tx pgx.Tx) error {
		found, err := CaseByIDTx(context.Background(), tx, c.CaseID)
		if err == nil {
			why, err = OffersTx(tx, actor, found, h.engine.moment()).May(context.Background(), ev, in.Matter)
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return why
}

// refused must fail with this kind.
func (h *house) refused(kind fault.Kind, actor access.Actor, c Case, ev Event, in Input) string {
	h.Helper()
	_, err := h.engine.Fire(context.Background(), actor, c.CaseID, ev, in)
	if !fault.Is(err, kind) {
		h.Fatalf("%s by %s: %v, want a fault of kind %s", ev, actor.Role, err, kind)
	}
	return err.Error()
}

// stands must be the state of the case.
func (h *house) stands(c Case, want State) Case {
	h.Helper()
	got := h.find(c)
	if got.State != want {
		h.Fatalf("the case is %s, want %s (%v)", got.State, want, got.Findings)
	}
	return got
}

// skip lets time pass: everything that has happened, and that is to come, is so
// much longer ago, or sooner.
func (h *house) skip(d time.Duration) {
	h.Helper()
	var sql strings.Builder
	for _, table := range []string{
		"agenda due_at deadline_at started_at", "case_event occurred_at", "case_wait began_at ended_at",
		"escalation clock_started_at told_at next_at heeded_at ended_at", "mail queued_at next_attempt_at lease_until",
		"matter opened_at due_at settled_at", "matter_call made_at recorded_at", "acknowledgement acknowledged_at",
		"measure_fact known_from period_at opened_at complete_at signed_at acknowledged_at", "measure_fact_past known_from known_until period_at opened_at complete_at signed_at acknowledged_at",
		"case_file opened_at complete_at accepted_at locked_at revealed_at final_at closed_at",
	} {
		names := strings.Fields(table)
		for i, column := range names[1:] {
			names[i+1] = fmt.Sprintf("%s = %s - interval '%f s'", column, column, d.Seconds())
		}
		fmt.Fprintf(&sql, "UPDATE %s SET %s;", names[0], strings.Join(names[1:], ", "))
	}
	h.exec(sql.String())
}

// pass is skip, and what is due then is done.
func (h *house) pass(d time.Duration) {
	h.Helper()
	h.skip(d)
	h.tick()
}

// comparing takes a case from the pool to Comparing.
func (h *house) comparing(reader access.Actor, c Case) {
	h.Helper()
	h.fire(reader, c, "claim", Input{Independent: true})
	h.fire(reader, c, "lock", Input{Opinion: &opinion})
	h.fire(reader, c, "reveal", Input{})
}

var (
	opinion   = Opinion{Findings: "A nodule in the left upper lobe.", Impression: "Nodule."}
	agreement = Grade{}
	minorMiss = Grade{Difference: "A small nodule is not mentioned.", Discrepancies: []Discrepancy{{Finding: "nodule", Significance: "unimportant", Nature: "detection"}}}
	majorMiss = Grade{Difference: "A suspicious nodule is not mentioned.", Discrepancies: []Discrepancy{{Finding: "nodule", Significance: "important", Nature: "detection", Management: "work-up", Actionable: "urgent"}}}
)

// signed takes a ready case to a report by Anna that agrees.
func (h *house) signed(c Case) *Report {
	h.Helper()
	h.comparing(h.anna, c)
	h.fire(h.anna, c, "grade", Input{Grade: &agreement})
	return h.fire(h.anna, c, "sign", Input{}).Report
}

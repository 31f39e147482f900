package fhir

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// clinic is a whole reading service: server, engine and database, with readers
// and a destination; a client in every role.
type clinic struct {
	*rest
	engine  *workflow.Engine
	readers map[access.Role]access.Actor
}

const ehrBase = "https://ehr.example/north"

// everything is the credential of one who may do it all.
var everything = workflow.Reader{
	Subspecialties: []string{"chest", "neuro", "abdominal", "musculoskeletal"}, MayAdjudicate: true, MaySupervise: true,
}

func startClinic(t testing.TB) *clinic {
	t.Helper()
	r := &rest{t: t, db: pgtest.New(t), tokens: map[access.Role]string{}}
	r.tenant = pgtest.AddTenant(t, r.db, "north")
	for _, role := range anybody {
		r.tokens[role], _ = pgtest.AddToken(t, r.db, r.tenant, role)
	}
	c := &clinic{rest: r, readers: map[access.Role]access.Actor{}}
	r.tokens[access.Reader], c.readers[access.Reader] = pgtest.AddReader(t, r.db, r.tenant, "Dr Second Reader", everything)
	c.addColleague(access.Adjudicator, "Dr Third Reader", everything)
	pgtest.AddDestination(t, r.db, r.tenant, "ehr", ehrBase)

	log := slog.New(slog.DiscardHandler)
	c.engine = workflow.NewEngine(r.db.DB, time.Now, log)
	e := echo.New()
	web := httptest.NewServer(e)
	t.Cleanup(web.Close)
	r.url = web.URL
	var err error
	r.server, err = New(Config{DB: r.db.DB, Engine: c.engine, BaseURL: web.URL + "/fhir", Log: log, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	r.server.keepTrail(t)
	c.engine.Use(workflow.Hooks{Facts: r.server.Facts, Publish: r.server.Publish, Sample: r.server.Sample})
	r.server.Register(e)
	return c
}

// addColleague credentials somebody who acts in another role than reader.
func (c *clinic) addColleague(role access.Role, name string, credential workflow.Reader) {
	_, actor := pgtest.AddReader(c.t, c.db, c.tenant, name, credential)
	owner := c.db.Owner(c.t)
	_, err := owner.Exec(context.Background(), `UPDATE token SET role = $1 WHERE actor_id = $2`, role, actor.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	token := access.NewToken()
	_, err = owner.Exec(context.Background(), `UPDATE token SET token_sha256 = sha256($1::text::bytea) WHERE actor_id = $2`, token, actor.ID)
	if err != nil {
		c.t.Fatal(err)
	}
	actor.Role = role
	c.tokens[role], c.readers[role] = token, actor
}

// tick lets the clock do what is due.
func (c *clinic) tick() {
	c.t.Helper()
	if _, err := c.engine.Tick(context.Background()); err != nil {
		c.t.Fatal(err)
	}
}

// order sends a transaction Bundle and returns the id of the case's Task.
func (c *clinic) order(entries ...*Node) string {
	c.t.Helper()
	got := c.post("/fhir", Object("resourceType", "Bundle", "type", "transaction", "entry", entries).jsonText())
	if got.status != http.StatusOK {
		c.t.Fatalf("order: %d %s", got.status, got.body)
	}
	for i, e := range entries {
		if e.Text("resource", "resourceType") == "ServiceRequest" {
			location := got.node.Each("entry")[i].Text("response", "location")
			return c.taskOf(parseReference(strings.TrimPrefix(location, c.url+"/fhir/")).relative())
		}
	}
	return ""
}

func (n *Node) jsonText() string { return string(n.Bytes()) }

func entryOf(n *Node, fullURL string) *Node {
	return Object("fullUrl", fullURL, "resource", n, "request", Object("method", "POST", "url", n.Type()))
}

// taskOf finds the Task of an order.
func (c *clinic) taskOf(order string) string {
	c.t.Helper()
	ids := c.get("/fhir/Task?focus=" + order).ids()
	if len(ids) != 1 {
		c.t.Fatalf("%d Tasks for %s", len(ids), order)
	}
	return ids[0]
}

// task reads a Task.
func (c *clinic) task(id string) *Node {
	c.t.Helper()
	return c.get("/fhir/Task/" + id).node
}

// state is where the case of a Task stands.
func (c *clinic) state(id string) string { return c.task(id).Text("businessStatus", "coding", "code") }

func (c *clinic) wantState(id, want string) {
	c.t.Helper()
	if got := c.state(id); got != want {
		c.t.Fatalf("the case is %s, want %s: %s", got, want, c.task(id).Bytes())
	}
}

// act calls an operation; params are name and value in turn (string, bool).
func (c *clinic) act(as access.Role, id, name string, params ...any) response {
	c.t.Helper()
	var rows []*Node
	for i := 0; i < len(params); i += 2 {
		switch v := params[i+1].(type) {
		case bool:
			rows = append(rows, Object("name", params[i], "valueBoolean", v))
		case string:
			rows = append(rows, Object("name", params[i], "valueString", v))
		case int:
			rows = append(rows, Object("name", params[i], "valuePositiveInt", v))
		case []*Node:
			rows = append(rows, Object("name", params[i], "part", v))
		case *Node: // value[x] as it is
			row := Object("name", params[i])
			for _, m := range v.members {
				row.Set(m.name, m.value)
			}
			rows = append(rows, row)
		}
	}
	body := ""
	if rows != nil {
		body = Object("resourceType", "Parameters", "parameter", rows).jsonText()
	}
	return c.do(as, "POST", "/fhir/Task/"+id+"/"+name, body)
}

func (c *clinic) mustAct(as access.Role, id, name string, params ...any) {
	c.t.Helper()
	if got := c.act(as, id, name, params...); got.status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", name, got.status, got.body)
	}
}

// read takes a case from the pool through the sealed opinion to the reveal.
func (c *clinic) read(id string) {
	c.t.Helper()
	c.mustAct(access.Reader, id, "$claim", "independent", true)
	c.mustAct(access.Reader, id, "$start")
	c.mustAct(access.Reader, id, "$lock",
		"findings", "Lungs: a 9 mm nodule in the left upper lobe.\nHeart: normal.",
		"impression", "Solitary pulmonary nodule, 9 mm.",
		"recommendation", "CT of the chest in 3 months.")
	c.mustAct(access.Reader, id, "$reveal")
}

func missed(significance string) []*Node {
	return []*Node{
		Object("name", "description", "valueString", "nodule, left upper lobe"),
		Object("name", "significance", "valueCode", significance),
		Object("name", "nature", "valueCode", "detection"),
		Object("name", "direction", "valueCode", "miss"),
		Object("name", "expectedness", "valueCode", "most-of-the-time"),
		Object("name", "management", "valueCode", "work-up"),
		Object("name", "actionable", "valueCode", "non-critical"),
	}
}

// report reads the report that the Task gives.
func (c *clinic) report(id string) *Node {
	c.t.Helper()
	for _, out := range c.task(id).Each("output") {
		if ref := out.Text("valueReference", "reference"); ref != "" {
			return c.get("/fhir/" + ref).node
		}
	}
	c.t.Fatalf("the Task has no report: %s", c.task(id).Bytes())
	return nil
}

// deliveries are the queued bodies, oldest report first.
func (c *clinic) deliveries() []delivered {
	c.t.Helper()
	rows, err := c.db.Owner(c.t).Query(context.Background(), `SELECT method, path, body FROM delivery ORDER BY case_id, report_no`)
	if err != nil {
		c.t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByName[delivered])
	if err != nil {
		c.t.Fatal(err)
	}
	return all
}

type delivered struct {
	Method, Path string
	Body         []byte
}

// resources of a delivered Bundle by type.
func (d delivered) resources(t testing.TB, typ string) []*Node {
	t.Helper()
	bundle, err := Decode(d.Body, "Bundle")
	if err != nil {
		t.Fatalf("the delivery is no valid Bundle: %+v", err)
	}
	var found []*Node
	for _, n := range bundle.Each("entry", "resource") {
		if n.Type() == typ {
			found = append(found, n)
		}
	}
	return found
}

// fixture is a resource of a public specification, see testdata/fixtures.
func fixture(t testing.TB, name string) *Node {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "fixtures", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	n, err := Parse(raw, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func newURN() string { return "urn:uuid:" + uuid.NewString() }

// addDirector makes the role of director another person's.
func (c *clinic) addDirector() {
	c.t.Helper()
	c.tokens[access.Director], _ = pgtest.AddToken(c.t, c.db, c.tenant, access.Director)
}

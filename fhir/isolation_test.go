package fhir

import (
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"golang.org/x/time/rate"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// The differential test of isolation. Two databases have a tenant north with the
// same rows, byte for byte, and a tenant south: in the one south is empty, in the
// other it has everything that north has, under the same ids, identifiers, order
// and accession numbers, with a canary in its texts, and more besides. The same
// requests are sent to both as north, at the same moments of a clock of the test's
// own. Status, header and body must be the same, and none may have the canary.
//
// What cannot be the same is made so, and only this (normal):
//   - an id that the server made after the two parted is replaced by its number in
//     the order in which such ids are seen;
//   - the snapshot of PostgreSQL in a next link, which counts the transactions of
//     the cluster, is taken out, and with it the Content-Length of what has one;
//   - the query of an AuditEvent is read out of its base64 for these two.
//
// An export waits for transactions that ran before it, other tests' too: here it
// does not. The request's id is sent by the test. There is no Date: no network is between.

const southCanary = "CANARY-SOUTH"

// isolation is the world of the test.
type isolation struct {
	t            *testing.T
	north, south uuid.UUID
	as, bs       map[access.Role]string // tokens of north and south
	parted       time.Time
	begin        time.Time
	sides        [2]*isolated // south empty, south full
	rand         *rand.Rand
	askable
}

// isolated is one of the two servers.
type isolated struct {
	db     *pgtest.Database
	server *Server
	web    *echo.Echo
	clock  atomic.Int64
	made   map[string]string // ids made since: to their placeholders
	ids    []string          // and back
	parted time.Time
}

const isolationBase = "https://overread.example/fhir"

// startIsolation makes the world. With full, south gets everything.
func startIsolation(t *testing.T, seed uint64, full bool) *isolation {
	t.Helper()
	c := startClinic(t)
	w := &isolation{t: t, north: c.tenant, as: c.tokens, bs: map[access.Role]string{}, rand: rand.New(rand.NewPCG(seed, 0))}
	w.fillNorth(c)
	w.south = pgtest.AddTenant(t, c.db, "south")
	for _, role := range anybody {
		w.bs[role], _ = pgtest.AddToken(t, c.db, w.south, role)
	}
	w.addSystem(c)
	if err := c.server.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.begin = time.Now().UTC().Truncate(time.Second)
	w.parted = time.Now()
	time.Sleep(2 * time.Millisecond) // ids have their millisecond in them
	first := c.db.Copy(t)
	for i, db := range []*pgtest.Database{first, c.db.Copy(t)} {
		w.sides[i] = w.start(db)
	}
	if full {
		w.fillSouth(w.sides[1])
	}
	w.askable = w.gather()
	return w
}

// start starts a server on one of the databases.
func (w *isolation) start(db *pgtest.Database) *isolated {
	w.t.Helper()
	s := &isolated{db: db, web: echo.New(), made: map[string]string{}, parted: w.parted}
	s.clock.Store(w.begin.UnixMilli())
	now := func() time.Time { return time.UnixMilli(s.clock.Load()).UTC() }
	log := slog.New(slog.DiscardHandler)
	engine := workflow.NewEngine(db.DB, now, log)
	var err error
	s.server, err = New(Config{DB: db.DB, Engine: engine, BaseURL: isolationBase, Log: log, Version: "test", Now: now, Built: w.begin})
	if err != nil {
		w.t.Fatal(err)
	}
	s.server.keepTrail(w.t)
	s.server.patience = 0             // a slow machine is no difference
	s.server.refusals.each = rate.Inf // its bound goes by the clock of the machine
	engine.Use(workflow.Hooks{Facts: s.server.Facts, Publish: s.server.Publish, Sample: s.server.Sample})
	s.server.Register(s.web)
	return s
}

// bounded is a system of north's whose token has scopes.
const bounded access.Role = "system/Patient.cruds system/Task.rs system/Observation.cruds"

func (w *isolation) addSystem(c *clinic) {
	w.as[bounded] = access.NewToken()
	_, err := c.db.Owner(w.t).Exec(w.t.Context(), `
		WITH system AS (
			INSERT INTO client (tenant_id, client_id, name, role, scopes, jwks)
			VALUES ($1, gen_random_uuid(), 'a system', 'placer', $2, '{"keys":[]}')
			RETURNING tenant_id, client_id, scopes
		)
		INSERT INTO access_token (tenant_id, token_sha256, client_id, scopes, expires_at)
		SELECT tenant_id, sha256($3::text::bytea), client_id, scopes, now() + interval '1 day' FROM system`,
		w.north, string(bounded), w.as[bounded])
	if err != nil {
		w.t.Fatal(err)
	}
}

// fillNorth gives north cases in several states, one of each type that can be
// sent, versions and a deletion.
func (w *isolation) fillNorth(c *clinic) {
	final := c.order(chestXray(w.t, "north-1")...)
	c.tick()
	c.read(final)
	c.mustAct(access.Reader, final, "$grade", "discrepancy", missed("unimportant"), "difference", "A nodule is not mentioned.")
	c.mustAct(access.Reader, final, "$sign")
	begun := c.order(chestXray(w.t, "north-2")...)
	c.tick()
	c.mustAct(access.Reader, begun, "$claim", "independent", true)
	c.order(chestXray(w.t, "north-3")...)
	for _, e := range examples {
		for n := range 3 {
			if e.body == "" {
				continue
			}
			body := strings.ReplaceAll(e.body, "-77", fmt.Sprintf("-%d", 77+n))
			for _, role := range []access.Role{access.Placer, access.Coordinator, access.Admin} {
				got := c.do(role, "POST", "/fhir/"+e.typ, body)
				if got.status != http.StatusCreated {
					continue
				}
				id := got.node.Text("id")
				switch n {
				case 1:
					c.do(role, "PUT", "/fhir/"+e.typ+"/"+id, strings.Replace(e.withID(id), "{", `{"language":"en",`, 1))
				case 2:
					c.do(role, "DELETE", "/fhir/"+e.typ+"/"+id, "")
				}
				break
			}
		}
	}
	c.get("/fhir/Patient")
}

// fillSouth gives south a copy of all that north has, and more.
func (w *isolation) fillSouth(s *isolated) {
	ctx := context.Background()
	owner := s.db.Owner(w.t)
	run := func(sql string) {
		w.t.Helper()
		if _, err := owner.Exec(ctx, sql); err != nil {
			w.t.Fatalf("%s: %v", sql, err)
		}
	}
	found, err := owner.Query(ctx, `
		SELECT c.relname, array_agg(quote_ident(a.attname) ORDER BY a.attnum)
		FROM pg_class c
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
		  AND c.relname NOT IN ('tenant', 'token', 'client', 'client_assertion', 'access_token')
		GROUP BY c.relname
		HAVING bool_or(a.attname = 'tenant_id')`)
	if err != nil {
		w.t.Fatal(err)
	}
	columns := map[string][]string{}
	var table string
	var names []string
	if _, err := pgx.ForEachRow(found, []any{&table, &names}, func() error {
		columns[table] = slices.Clone(names)
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	run(`SET session_replication_role = replica`) // no foreign keys meanwhile
	for table, names := range columns {
		var values []string
		for _, name := range names {
			switch {
			case name == "tenant_id":
				name = `'` + w.south.String() + `'::uuid`
			case name == "body" && slices.Contains([]string{"resource", "resource_history", "audit_event"}, table):
				name = `convert_to(regexp_replace(convert_from(body, 'UTF8'), '"(display|text|description|conclusion)":"', '"\1":"` + southCanary + ` ', 'g'), 'UTF8')`
			case name == "indexed":
				name = "0"
			}
			values = append(values, name)
		}
		run(`INSERT INTO ` + table + ` (` + strings.Join(names, ", ") + `) SELECT ` + strings.Join(values, ", ") +
			` FROM ` + table + ` WHERE tenant_id = '` + w.north.String() + `'`)
	}
	run(`SET session_replication_role = DEFAULT`)
	for n := 1; n > 0; {
		if n, err = s.server.Reindex(ctx); err != nil {
			w.t.Fatal(err)
		}
	}
	for n := range 5 {
		w.writeSouth(s.web, n)
	}
	run(`ANALYZE`)
}

// writeSouth writes as south, under ids that north has not and under new ones.
func (w *isolation) writeSouth(web *echo.Echo, n int) {
	s := &isolated{web: web, made: map[string]string{}, parted: w.parted} // what it sees is nobody's business
	for _, e := range examples {
		for _, role := range []access.Role{access.Placer, access.Coordinator, access.Admin} {
			if e.body != "" {
				body := strings.ReplaceAll(e.body, `"status"`, `"language":"en","status"`)
				s.ask(northAsks{as: role, method: "POST", path: "/" + e.typ, body: body}, w.bs[role], n)
				s.ask(northAsks{as: role, method: "PUT", path: fmt.Sprintf("/%s/south-%d", e.typ, n), body: e.withID(fmt.Sprintf("south-%d", n))}, w.bs[role], n)
			}
		}
	}
}

// northAsks is one request, with placeholders for ids that the server has made.
type northAsks struct {
	as           access.Role
	method, path string // below the base
	body         string
	header       []string
}

// reply is what came back, made comparable.
type reply struct {
	Status int
	Header []string
	Body   string
	next   string // the next link as it was, below the base
}

// ask sends a request.
func (s *isolated) ask(q northAsks, token string, n int) reply {
	r := httptest.NewRequest(q.method, "/fhir", strings.NewReader(s.real(q.body)))
	path := "/fhir" + s.real(q.path)
	if u, err := r.URL.Parse(path); err == nil {
		r.URL, r.RequestURI = u, path
	}
	if q.body == "" {
		r.Body = http.NoBody
	} else {
		r.Header.Set("Content-Type", "application/fhir+json")
	}
	r.RemoteAddr = "192.0.2.1:1000"
	r.Header.Set("X-Request-Id", "request-"+strconv.Itoa(n))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(q.header); i += 2 {
		r.Header.Set(q.header[i], s.real(q.header[i+1]))
	}
	answer := httptest.NewRecorder()
	s.web.ServeHTTP(answer, r)
	body := answer.Body.String()
	got := reply{Status: answer.Code, Body: s.normal(body)}
	if anyCursor.MatchString(body) {
		answer.Header().Set("Content-Length", "with a snapshot")
	}
	for _, name := range slices.Sorted(maps.Keys(answer.Header())) {
		got.Header = append(got.Header, name+": "+s.normal(strings.Join(answer.Header()[name], " | ")))
	}
	if n, err := Parse([]byte(body), Limits{}); err == nil {
		got.next = strings.TrimPrefix((response{node: n}).link("next"), isolationBase)
	}
	return got
}

var (
	anyID       = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
	placeholder = regexp.MustCompile(`new-(\d+)-id`)
	anyCursor   = regexp.MustCompile(`_after=([A-Za-z0-9_-]+)`)
	queryIn     = regexp.MustCompile(`"query":"([A-Za-z0-9+/]+=*)"`) // of an AuditEvent
	snapshotIn  = regexp.MustCompile(`"s":"[0-9:,]*"`)
)

// normal makes a text comparable, see above.
func (s *isolated) normal(text string) string {
	text = queryIn.ReplaceAllStringFunc(text, func(found string) string {
		raw, err := base64.StdEncoding.DecodeString(queryIn.FindStringSubmatch(found)[1])
		if err != nil {
			return found
		}
		return `"query":` + quoted(string(raw))
	})
	text = anyCursor.ReplaceAllStringFunc(text, func(found string) string {
		raw, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(found, "_after="))
		if err != nil {
			return found
		}
		return "_after=" + snapshotIn.ReplaceAllString(string(raw), `"s":"a snapshot"`)
	})
	return anyID.ReplaceAllStringFunc(text, func(id string) string {
		if made(id).Before(s.parted) {
			return id
		}
		if s.made[id] == "" {
			s.made[id] = fmt.Sprintf("new-%d-id", len(s.ids))
			s.ids = append(s.ids, id)
		}
		return s.made[id]
	})
}

// made is when a UUIDv7 was made.
func made(id string) time.Time {
	ms, _ := strconv.ParseInt(id[:8]+id[9:13], 16, 64)
	return time.UnixMilli(ms + 1)
}

// real puts this side's ids in for placeholders.
func (s *isolated) real(text string) string {
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		n, _ := strconv.Atoi(placeholder.FindStringSubmatch(found)[1])
		if n >= len(s.ids) {
			return found
		}
		return s.ids[n]
	})
}

// compare sends a request to both sides and compares what came back.
func (w *isolation) compare(n int, q northAsks) (replies [2]reply, same bool) {
	replies, diff := w.ask(n, q)
	if diff != "" {
		w.t.Errorf("request %d: %s %s as %q %v\n%s\nis answered otherwise when the other tenant has data (-empty +full):\n%.3000s", n, q.method, q.path, q.as, q.header, q.body, diff)
	}
	return replies, diff == ""
}

// ask sends a request to both sides. The difference is "" where there is none, and
// no canary either.
func (w *isolation) ask(n int, q northAsks) (replies [2]reply, diff string) {
	var both sync.WaitGroup
	for i, s := range w.sides {
		s.clock.Store(w.begin.Add(time.Duration(n) * time.Second).UnixMilli())
		both.Go(func() { replies[i] = s.ask(q, w.as[q.as], n) })
	}
	both.Wait()
	return replies, unlike(replies[0], replies[1])
}

// unlike is how two answers differ.
func unlike(a, b reply) string {
	if text := b.Body + strings.Join(b.Header, ""); strings.Contains(text, southCanary) {
		return "the canary is in it: " + text
	}
	if a.Status == b.Status && a.Body == b.Body && slices.Equal(a.Header, b.Header) {
		return ""
	}
	return cmp.Diff(a, b, cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".next" }, cmp.Ignore()), cmp.AllowUnexported(reply{}))
}

// settings are of the environment: make isolation sets them.
func isolationSettings(t *testing.T, queries int) (seed uint64, n int) {
	t.Helper()
	seed, n = 1, queries
	if text := os.Getenv("OVERREAD_ISOLATION_QUERIES"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
		seed = uint64(time.Now().UnixNano())
	}
	if text := os.Getenv("OVERREAD_ISOLATION_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d requests, OVERREAD_ISOLATION_SEED=%d", n, seed)
	return seed, n
}

// run asks n questions, follows pages to their end, and gives up after ten
// differences.
func (w *isolation) run(n int) {
	counted := map[int]int{}
	failures := 0
	for i := 0; i < n && failures < 10; i++ {
		q := w.question()
		replies, same := w.compare(i, q)
		counted[replies[0].Status]++
		w.learn(q, replies[0])
		for pages := 0; same && replies[0].next != "" && replies[1].next != "" && pages < 20; pages++ {
			i++
			for side, s := range w.sides {
				next := northAsks{as: q.as, method: "GET", path: replies[side].next}
				replies[side] = s.ask(next, w.as[q.as], i)
			}
			if diff := unlike(replies[0], replies[1]); diff != "" {
				w.t.Errorf("a page of %s as %s differs: %.3000s", q.path, q.as, diff)
				same = false
			}
		}
		if !same {
			failures++
		}
		if i%50 == 0 {
			w.tickBoth()
		}
	}
	w.t.Logf("answers by status: %v", counted)
	for _, status := range []int{200, 201, 202, 400, 401, 403, 404, 409, 410, 412} {
		if counted[status] == 0 && n >= 3000 {
			w.t.Errorf("nothing was answered %d: the questions are too few kinds", status)
		}
	}
}

// tickBoth lets the records of reads be written, exports be worked on, and the
// records become searchable, on both sides.
func (w *isolation) tickBoth() {
	ctx := context.Background()
	for _, s := range w.sides {
		if err := s.server.Flush(ctx); err != nil {
			w.t.Fatal(err)
		}
		err := s.db.Finish(ctx, w.north, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE export_job SET waits_for = '{}' WHERE state = 'running'`)
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
		for n := 1; n > 0; {
			if n, err = s.server.ExportTick(ctx); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

func TestAnswersAreTheSameWhateverAnotherTenantHas(t *testing.T) {
	t.Parallel()
	seed, n := isolationSettings(t, 3000)
	startIsolation(t, seed, true).run(n)
}

// TestTwoEmptyWorldsAnswerTheSame is the control: differences that it finds are
// the test's own.
func TestTwoEmptyWorldsAnswerTheSame(t *testing.T) {
	t.Parallel()
	seed, n := isolationSettings(t, 300)
	startIsolation(t, seed+1, false).run(n)
}

func TestAnswersAreTheSameWhileAnotherTenantWrites(t *testing.T) {
	t.Parallel()
	seed, n := isolationSettings(t, 400)
	w := startIsolation(t, seed+2, true)
	ctx, stop := context.WithCancel(t.Context())
	var writing sync.WaitGroup
	writing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			w.writeSouth(w.sides[1].web, i)
		}
	})
	w.run(n)
	stop()
	writing.Wait()
}

// TestTheIsolationTestFindsALeak: were row-level security taken away, it would see.
func TestTheIsolationTestFindsALeak(t *testing.T) {
	t.Parallel()
	w := startIsolation(t, 1, true)
	_, err := w.sides[1].db.Owner(t).Exec(t.Context(), `
		CREATE OR REPLACE VIEW resource_search AS
			SELECT tenant_id, type, id, version, last_updated, deleted, body, keys, xid FROM resource`)
	if err != nil {
		t.Fatal(err)
	}
	if _, diff := w.ask(0, northAsks{as: access.Placer, method: "GET", path: "/Patient"}); diff == "" {
		t.Error("a search that sees all tenants is not noticed")
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/session"
)

// crowd is a hospital with as many cases as one wants: the sample cases of the demo, each
// with all that belongs to it, and copies of them in SQL. Nothing works in the
// background, so that they stay as they are.
type crowd struct {
	*world
	t      testing.TB
	root   string
	routes []string // that answer a GET
	store  *session.Store
	log    *logReader
}

// newCrowd makes one. through is the URL of the database as the server is to use it,
// made of its own.
func newCrowd(t testing.TB, through func(database string) string) *crowd {
	t.Helper()
	c := noCrowd(t, through)
	for i, row := range sampleCases {
		if row.hospital != "mercy" {
			continue
		}
		if err := c.play(t.Context(), i, row); err != nil {
			t.Fatalf("case %d, a %s to be %s: %v", i, row.sample, row.until, err)
		}
	}
	if err := c.pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, j := range c.jobs {
		if j.name == "facts" || j.name == "audit-log" {
			if _, err := j.run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return c
}

// noCrowd is the hospital before its first case.
func noCrowd(t testing.TB, through func(database string) string) *crowd {
	t.Helper()
	w := newEHR(t)
	db, err := (databaseFlags{URL: through(w.database.URL)}).open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + listener.Addr().String() + "/fhir"
	c := &crowd{world: w, t: t, root: strings.TrimSuffix(base, "/fhir"), log: newLogReader()}
	o, err := assemble(&serveCmd{BaseURL: base, Outbound: thisMachine}, db, listener.Addr(), slog.New(slog.NewTextHandler(c.log, &slog.HandlerOptions{Level: slog.LevelError})))
	if err != nil {
		t.Fatal(err)
	}
	router := o.handler(func() {})
	c.routes = getsOf(t, router)
	server := &http.Server{Handler: router, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	c.settleIn(t, base)
	c.url, c.jobs = w.database.URL, o.jobs
	c.store = session.NewStore(session.Config{DB: w.database.DB, BaseURL: base})
	return c
}

// grow copies the cases until there are so many. Nine of ten copies are of ended cases,
// spread over three years; the others over some days.
func (c *crowd) grow(cases int) {
	c.t.Helper()
	ctx, owner := context.Background(), c.database.Owner(c.t)
	do := func(query string, args ...any) {
		c.t.Helper()
		if _, err := owner.Exec(ctx, query, args...); err != nil {
			c.t.Fatalf("%s: %v", query, err)
		}
	}
	do(`SET session_replication_role = replica`) // no foreign keys are looked up
	do(`CREATE TABLE copied AS
		WITH kinds AS (SELECT tenant_id, case_id, row_number() OVER (PARTITION BY state IN ('closed', 'final') ORDER BY case_id) - 1 AS nth, count(*) OVER (PARTITION BY state IN ('closed', 'final')) AS of, state IN ('closed', 'final') AS signed FROM case_file)
		SELECT k.tenant_id, k.case_id AS old, gen_random_uuid() AS new, n, k.signed,
		       CASE WHEN k.signed THEN n * interval '15 minutes' ELSE (n % 10000) * interval '40 seconds' END AS shift
		FROM generate_series(1, $1::int) n JOIN kinds k ON k.signed = (n % 10 <> 0) AND k.nth = (n / 10) % k.of`, cases)
	do(`CREATE UNIQUE INDEX ON copied (tenant_id, old, new)`)
	do(`ANALYZE copied`)
	columns, values := c.copyOf(owner, "reader")
	do(`INSERT INTO reader (` + columns + `) SELECT ` + values + ` FROM reader x, (SELECT n, interval '0' AS shift FROM generate_series(1, 19) n) c ON CONFLICT DO NOTHING`)
	for _, table := range c.tables(owner) {
		columns, values := c.copyOf(owner, table)
		do(fmt.Sprintf(`INSERT INTO %[1]s (%[2]s) SELECT %[3]s FROM %[1]s x JOIN copied c ON c.tenant_id = x.tenant_id AND c.old = x.case_id ON CONFLICT DO NOTHING`, table, columns, values))
	}
	// Of what is stored the Tasks and Patients, which lists and heads of pages look up.
	for typ, id := range map[string]string{"Task": "task_id", "Patient": "patient_id"} {
		do(`INSERT INTO resource (tenant_id, type, id, version, last_updated, body, keys)
			SELECT r.tenant_id, r.type, r.id || '-' || c.n, r.version, r.last_updated - c.shift, r.body, '{}'
			FROM copied c JOIN case_file f ON f.tenant_id = c.tenant_id AND f.case_id = c.old
			JOIN resource r ON r.tenant_id = f.tenant_id AND r.type = $1 AND r.id = f.`+id+`
			ON CONFLICT DO NOTHING`, typ)
	}
	do(`UPDATE case_file SET state = 'closed', closed_at = final_at WHERE state = 'final' AND final_at < now() - interval '20 days'`)
	// What was open on them was settled in time, but for one case of fifty.
	do(`UPDATE matter m SET settled_at = m.opened_at + interval '1 hour', settled_role = 'placer', settlement = CASE m.kind WHEN 'finding' THEN 'acknowledged' WHEN 'question' THEN 'withdrawn' ELSE 'valid' END
		FROM case_file c WHERE c.tenant_id = m.tenant_id AND c.case_id = m.case_id AND c.state = 'closed' AND m.settled_at IS NULL AND hashtext(m.case_id::text) % 50 <> 0`)
	do(`DELETE FROM agenda a USING case_file c WHERE c.tenant_id = a.tenant_id AND c.case_id = a.case_id AND c.state IN ('closed', 'rejected', 'cancelled', 'failed', 'entered-in-error')`)
	do(`UPDATE escalation e SET ended_at = now() FROM case_file c WHERE c.tenant_id = e.tenant_id AND c.case_id = e.case_id AND c.state IN ('closed', 'rejected', 'cancelled', 'failed', 'entered-in-error') AND e.ended_at IS NULL`)
	do(`DROP TABLE copied`)
	do(`SET session_replication_role = origin`)
	do(`VACUUM ANALYZE`)
}

// theirs are the columns that name who reads. Of twenty copies each is another's, so that
// nobody has more to do than a person can.
var theirs = []string{"reader_id", "other_reader_id", "adjudicator_id", "supervisor_id", "offered_to", "signed_by", "graded_by", "actor_id", "person_id"}

// tables are those that have a case, without their partitions.
func (c *crowd) tables(owner *pgx.Conn) []string {
	rows, err := owner.Query(context.Background(), `
		SELECT t.relname::text
		FROM pg_class t
		JOIN pg_attribute a ON a.attrelid = t.oid AND a.attname = 'case_id'
		JOIN pg_attribute b ON b.attrelid = t.oid AND b.attname = 'tenant_id'
		WHERE t.relkind IN ('r', 'p') AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace AND t.relname NOT IN ('aside', 'mail', 'measure_fact_past')
		ORDER BY 1`)
	if err == nil {
		var all []string
		if all, err = pgx.CollectRows(rows, pgx.RowTo[string]); err == nil {
			return all
		}
	}
	c.t.Fatal(err)
	return nil
}

// copyOf is how the columns of a table are copied: names that occur once get the number
// of the copy, moments move.
func (c *crowd) copyOf(owner *pgx.Conn, table string) (columns, values string) {
	rows, err := owner.Query(context.Background(), `
		SELECT attname::text, format_type(atttypid, atttypmod)
		FROM pg_attribute
		WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
		ORDER BY attnum`, table)
	if err != nil {
		c.t.Fatal(err)
	}
	var names, exprs []string
	var name, kind string
	_, err = pgx.ForEachRow(rows, []any{&name, &kind}, func() error {
		expr := "x." + name
		switch {
		case name == "case_id":
			expr = "c.new"
		case slices.Contains(theirs, name):
			expr = "CASE WHEN c.n % 20 = 0 THEN x." + name + " ELSE md5(x." + name + "::text || c.n % 20)::uuid END"
		case table == "case_original" && name == "id": // a resource is the original of a few cases, not of thousands
			expr += " || '-' || c.n"
		case name == "practitioner_id":
			expr += " || '-' || c.n"
		case name == "feedback_id" || name == "escalation_id":
			expr = "gen_random_uuid()"
		case table == "case_file" && name == "sample_of":
			expr = "NULL"
		case table == "case_file" && (name == "placer_value" || name == "task_id" || name == "patient_id" || name == "study_uid"):
			expr += " || '-' || c.n"
		case name == "study_key":
			expr += " # c.n::bigint"
		case kind == "timestamp with time zone" && name != "due_at":
			expr += " - c.shift"
		}
		names, exprs = append(names, name), append(exprs, expr)
		return nil
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Join(names, ", "), strings.Join(exprs, ", ")
}

// come is somebody in a session with one role: a reader by the name of their token.
func (c *crowd) come(who string, role access.Role) *http.Client {
	c.t.Helper()
	ctx := c.t.Context()
	var cookie string
	err := c.database.System(ctx, func(tx pgx.Tx) error {
		a := access.Actor{Role: role}
		query, arg := `SELECT tenant_id, actor_id, display FROM token WHERE role = $1 ORDER BY created_at LIMIT 1`, any(role)
		if who != "" {
			sum := sha256.Sum256([]byte(c.clients["mercy-"+who].token))
			query, arg = `SELECT tenant_id, actor_id, display FROM token WHERE token_sha256 = $1`, any(sum[:])
		}
		err := tx.QueryRow(ctx, query, arg).Scan(&a.Tenant, &a.ID, &a.Display)
		if err != nil && role == access.Admin {
			a.Tenant, a.ID, a.Display, err = c.tenants["mercy"], uuid.New(), "An administrator", nil
		}
		if err != nil {
			return err
		}
		person, _, err := c.store.Known(ctx, tx, session.Person{Issuer: "https://idp.example", Subject: string(role) + who, Display: a.Display})
		if err == nil {
			_, cookie, err = c.store.Open(ctx, tx, person, session.FromOIDC, "a browser", []access.Actor{a})
		}
		return err
	})
	if err != nil {
		c.t.Fatalf("%s %s: %v", role, who, err)
	}
	return c.browser(&http.Cookie{Name: c.store.CookieName(), Value: cookie, Path: "/"})
}

// browser has cookies, and follows no redirect.
func (c *crowd) browser(cookies ...*http.Cookie) *http.Client {
	jar, _ := cookiejar.New(nil) // never fails
	jar.SetCookies(must(url.Parse(c.root)), cookies)
	return &http.Client{Jar: jar, Timeout: 5 * time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// pageOf is a page that somebody has.
type pageOf struct {
	name string // "coordinator /board?state=intake"
	path string
	as   *http.Client
}

// pages are every page of every role, as the router has them, each about a case in a
// state in which the role has something to do; a board and lists with each of their filters.
func (c *crowd) pages() (all []pageOf) {
	owner := c.database.Owner(c.t)
	one := func(query string, args ...any) (text string) {
		if err := owner.QueryRow(c.t.Context(), query, args...).Scan(&text); err != nil {
			c.t.Fatalf("%s %v: %v", query, args, err)
		}
		return text
	}
	task := func(state, reader string) string { // of a case that is no copy
		return one(`SELECT task_id FROM case_file f WHERE state = $1 AND length(task_id) = 36 AND sample_of IS NULL
			AND ($2 = '' OR reader_id IN (SELECT reader_id FROM reader WHERE display LIKE '%' || $2)) ORDER BY (SELECT count(*) FROM case_file s WHERE s.patient_id = f.patient_id), case_id LIMIT 1`, state, reader)
	}
	values := map[string][]string{
		"reader": {"ready", "reading Tanaka", "final Tanaka"}, "adjudicator": {"adjudication"}, "supervisor": {"awaiting-cosign"},
		"coordinator": {"intake-review", "ready", "final"}, "director": {"final"}, "quality": {"closed Tanaka"},
	}
	people := map[access.Role]*http.Client{
		access.Reader: c.come("tanaka", access.Reader), access.Adjudicator: c.come("petrov-adjudicator", access.Adjudicator), access.Supervisor: c.come("petrov-supervisor", access.Supervisor),
		access.Coordinator: c.come("", access.Coordinator), access.Director: c.come("", access.Director), access.Quality: c.come("", access.Quality),
		access.Auditor: c.come("", access.Auditor), access.Admin: c.come("", access.Admin),
	}
	filters := map[string][]string{
		"/board": {"?state=intake", "?state=matching", "?state=work", "?state=signed", "?state=all&sort=newest", "?state=awaiting-information", "?state=closed&sort=newest", "?priority=stat", "?priority=routine", "?party=reader", "?party=coordinator",
			"?party=adjudicator", "?party=supervisor", "?party=clinician", "?party=placer", "?party=system", "?sort=due", "?sort=newest"},
		"/deliveries": {"?state=all", "?state=done", "?state=parked", "?state=stuck"}, "/worklist": {"?messages=1", "?whose=mine", "?whose=pool", "?due=late", "?priority=stat"},
		"/learning": {"?show=closed"}, "/learning/feedback": {"?show=disagreed", "?show=unopened", "?show=all"}, "/learning/points": {"?tag=search-pattern"}, "/learning/samples": {"?show=all"},
		"/figures":       {"?by=modality", "?measure=turnaround-net", "?by=month"},
		"/figures/cases": {"?of=counted&measure=discrepancy-important", "?of=all&measure=turnaround", "?of=excluded&from=" + time.Now().AddDate(-3, 0, 0).Format(time.DateOnly) + "&to=" + time.Now().Format(time.DateOnly)},
	}
	for _, role := range slices.Sorted(maps.Keys(people)) {
		for _, route := range c.routes {
			path, ok := strings.CutPrefix(route, "/at/:tenant/:role")
			if !ok {
				continue
			}
			path = strings.NewReplacer(":pack", one(`SELECT pack_id::text FROM meeting_pack LIMIT 1`), ":form", "html", ":file", "csv").Replace(path)
			about := []string{"closed"}
			if strings.Contains(path, ":task") {
				about = values[string(role)]
			}
			for _, a := range about {
				state, reader, _ := strings.Cut(a, " ")
				to := strings.Replace(path, ":task", task(state, reader), 1)
				if strings.Contains(to, ":") {
					continue // of another's
				}
				for _, query := range append([]string{""}, filters[path]...) {
					all = append(all, pageOf{string(role) + " " + strings.Replace(path, ":task", state, 1) + query, "/at/mercy/" + string(role) + to + query, people[role]})
				}
			}
		}
	}
	for _, path := range []string{"/home", "/sessions", "/preferences", "/break-glass"} {
		for _, role := range []access.Role{access.Reader, access.Coordinator, access.Quality} {
			if path == "/break-glass" && role == access.Quality {
				continue // not for them
			}
			all = append(all, pageOf{path + " of a " + string(role), path, people[role]})
		}
	}
	return append(all, c.launchedPages(one(`SELECT patient_id FROM case_file WHERE task_id = $1`, task("closed", "Tanaka")), one(`SELECT report_id FROM case_file WHERE task_id = $1`, task("closed", "Tanaka")))...)
}

// launchedPages are those of a clinician who comes from an EHR.
func (c *crowd) launchedPages(patient, report string) []pageOf {
	var all []pageOf
	ctx, answer := c.t.Context(), httptest.NewRecorder()
	id := uuid.Nil
	err := c.database.System(ctx, func(tx pgx.Tx) error {
		person, _, err := c.store.Known(ctx, tx, session.Person{Issuer: "https://ehr.example", Subject: "clinician", Display: "Dr. Clinician"})
		if err != nil {
			return err
		}
		tenant := c.tenants["mercy"]
		actor := access.Actor{Tenant: tenant, ID: person, Role: access.Placer, Display: "Dr. Clinician", Patient: "Patient/" + patient}
		opened, value, err := c.store.OpenLaunched(ctx, tx, person, "Dr. Clinician", actor, time.Hour)
		if err != nil {
			return err
		}
		id = opened
		c.store.SetLaunchCookie(answer, httptest.NewRequest(http.MethodGet, "/", nil), id, value, time.Hour)
		_, err = tx.Exec(ctx, `INSERT INTO launched (tenant_id, session_id, issuer, order_unknown) VALUES ($1, $2, 'https://ehr.example', true)`, tenant, id)
		return err
	})
	if err != nil {
		c.t.Fatal(err)
	}
	cookies := answer.Result().Cookies()
	as := &http.Client{Timeout: 5 * time.Minute, Transport: carrier(cookies), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, route := range c.routes {
		if strings.HasPrefix(route, "/launched/:session") {
			path := strings.NewReplacer(":session", id.String(), ":report", report, ":form", "html", ":language", "en").Replace(route)
			all = append(all, pageOf{"clinician " + route, path, as})
		}
	}
	return all
}

// carrier sends cookies whatever path and scheme they are for.
type carrier []*http.Cookie

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) {
	for _, cookie := range c {
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: cookie.Value})
	}
	return http.DefaultTransport.RoundTrip(r)
}

// get asks for a page as a browser does; there is none where the role has no such page.
func (c *crowd) get(p pageOf) (body []byte, there bool) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodGet, c.root+p.path, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	answer, err := p.as.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err = io.ReadAll(answer.Body); err != nil {
		c.t.Fatal(err)
	}
	switch answer.StatusCode {
	case http.StatusOK:
		return body, true
	case http.StatusNotFound:
		return nil, false
	}
	c.t.Errorf("%s: %d %.300s", p.name, answer.StatusCode, body)
	return nil, false
}

package fhir

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
)

// crowd are patients of whom many things are true, and who change.
type crowd struct {
	*rest
	random *rand.Rand
	ids    []string
	gone   map[string]bool // deleted while a walk went on
}

func startCrowd(t *testing.T, size int) *crowd {
	t.Helper()
	c := &crowd{rest: startREST(t), random: rand.New(rand.NewPCG(1, 2)), gone: map[string]bool{}}
	for range size {
		c.ids = append(c.ids, newID())
	}
	c.put(c.ids...)
	owner := c.db.Owner(t)
	c.add(owner, 200) // so that the statistics know what kind of tables these are
	if _, err := owner.Exec(context.Background(), `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	return c
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// patient is somebody who is found (active) in three of four cases, and without
// a birth date in one of five.
func (c *crowd) patient(id string) *Node {
	n := Object("resourceType", "Patient", "id", id, "active", c.random.IntN(4) > 0,
		"name", []*Node{Object("family", string(rune('a'+c.random.IntN(26)))+"x")})
	if c.random.IntN(5) > 0 {
		n.Set("birthDate", fmt.Sprintf("19%02d-%02d", c.random.IntN(100), 1+c.random.IntN(12)))
	}
	if c.random.IntN(3) > 0 {
		n.Set("gender", []string{"male", "female"}[c.random.IntN(2)])
	}
	return n
}

// put writes patients in one transaction.
func (c *crowd) put(ids ...string) {
	c.t.Helper()
	nodes := column(ids, c.patient)
	actor := access.Actor{Tenant: c.tenant, Role: access.Placer}
	err := c.db.Tenant(context.Background(), c.tenant, func(tx pgx.Tx) error {
		for _, n := range nodes {
			if _, err := c.server.store.Put(context.Background(), tx, actor, n.Clone(), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		c.t.Error(err)
	}
}

// add creates patients as a load from elsewhere does: many in one statement.
func (c *crowd) add(owner *pgx.Conn, count int) {
	c.t.Helper()
	_, err := owner.Exec(context.Background(), `
		WITH fresh AS (
			INSERT INTO resource (tenant_id, type, id, version, last_updated, body, keys, indexed)
			SELECT r.tenant_id, r.type, copy.id, 1, now(), convert_to(replace(convert_from(r.body, 'UTF8'), r.id, copy.id), 'UTF8'), r.keys, r.indexed
			FROM (SELECT * FROM resource WHERE tenant_id = $1 AND type = 'Patient' AND NOT deleted LIMIT 1) r,
			     (SELECT gen_random_uuid()::text AS id FROM generate_series(1, $2)) copy
			RETURNING tenant_id, type, id
		)
		INSERT INTO resource_sort (tenant_id, type, id, param, value, lowest, highest)
		SELECT tenant_id, type, id, param, value, true, true
		FROM fresh, (VALUES ('family', chr(97 + (random() * 25)::integer)), ('birthdate', '1950-01-01T00:00:00.000000Z'), ('gender', 'male')) v (param, value)`,
		c.tenant, count)
	if err != nil {
		c.t.Error(err)
	}
}

// remove deletes a patient.
func (c *crowd) remove(owner *pgx.Conn, id string) {
	c.t.Helper()
	c.gone[id] = true
	_, err := owner.Exec(context.Background(), `
		WITH before AS (
			INSERT INTO resource_history (tenant_id, type, id, version, last_updated, deleted, body, xid)
			SELECT tenant_id, type, id, version, last_updated, deleted, body, xid FROM resource WHERE tenant_id = $1 AND type = 'Patient' AND id = $2
		)
		UPDATE resource SET version = version + 1, deleted = true, body = NULL, keys = '{}', xid = pg_current_xact_id()
		WHERE tenant_id = $1 AND type = 'Patient' AND id = $2`, c.tenant, id)
	if err != nil {
		c.t.Error(err)
	}
}

// change writes at random until it has written so often, and tells of each step.
func (c *crowd) change(owner *pgx.Conn, writes int, step chan<- bool) {
	defer close(step)
	for writes > 0 {
		step <- true
		id := c.ids[c.random.IntN(len(c.ids))]
		switch c.random.IntN(12) {
		case 0:
			if len(c.gone) < len(c.ids)/4 && !c.gone[id] {
				c.remove(owner, id)
				writes--
			}
		case 1, 2, 3:
			if !c.gone[id] {
				got := c.rest.put("/fhir/Patient/"+id, c.patient(id).jsonText())
				if got.status != http.StatusOK {
					c.t.Errorf("PUT: %d %s", got.status, got.body)
				}
				writes--
			}
		case 4:
			ids := []string{newID()}
			for range 20 {
				if id := c.ids[c.random.IntN(len(c.ids))]; !c.gone[id] && !slices.Contains(ids, id) {
					ids = append(ids, id)
				}
			}
			c.put(ids...)
			writes -= len(ids)
		default:
			c.add(owner, 25)
			writes -= 25
		}
	}
}

// walk reads all pages, and calls turned after each.
func (c *crowd) walk(question string, turned func()) []string {
	c.t.Helper()
	var ids []string
	for next := question; next != ""; {
		page := c.get(next)
		if page.status != http.StatusOK {
			c.t.Fatalf("%s: %d %s", next, page.status, page.body)
		}
		ids = append(ids, page.ids()...)
		next = strings.TrimPrefix(page.link("next"), c.url)
		if turned != nil {
			turned()
		}
	}
	return ids
}

// Whoever walks the pages of a search while others write finds each resource
// once, and all that were there when they began, in their order then: only what
// was deleted meanwhile may be missing.
func TestPagesLookAtOneMomentWhateverIsWrittenMeanwhile(t *testing.T) {
	t.Parallel()
	searches := []string{
		"active=true",
		"active=true&_sort=_id",
		"active=true&_sort=birthdate",
		"active=true&_sort=-birthdate,family",
		"active=true&_sort=family,-_lastUpdated",
		"active=true&_sort=-gender,_id",
		"active=true&_sort=_lastUpdated",
		"active:not=true&_sort=-_lastUpdated,birthdate",
		"gender=female,male&_sort=family,gender,birthdate",
		"_sort=-family",
		"birthdate=lt1960&_sort=-birthdate",
		"family=x,a,b,c,d&birthdate:missing=false&_sort=family",
	}
	c := startCrowd(t, 200)
	owner := c.db.Owner(t)
	for _, search := range searches {
		c.gone = map[string]bool{}
		question := "/fhir/Patient?" + search
		want := c.walk(question+"&_count=500", nil)
		step := make(chan bool)
		begin := sync.OnceFunc(func() { go c.change(owner, 850, step) })
		got := c.walk(question+"&_count=7", func() {
			begin()
			for range 4 { // so that there is writing until the last page
				<-step
			}
		})
		for range step { // until all is written
		}
		seen := map[string]bool{}
		for _, id := range got {
			if seen[id] {
				t.Errorf("%s: %s comes twice", search, id)
			}
			seen[id] = true
		}
		still := slices.DeleteFunc(slices.Clone(want), func(id string) bool { return c.gone[id] && !seen[id] })
		if diff := cmp.Diff(still, got); diff != "" {
			t.Errorf("%s: %s", search, diff)
		}
		t.Logf("%s: %d of %d, %d deleted meanwhile", search, len(got), len(want), len(c.gone))
		if _, err := owner.Exec(context.Background(), `DELETE FROM resource WHERE type = 'Patient' AND id <> ALL ($1)`, c.ids); err != nil {
			t.Fatal(err)
		}
		c.ids = slices.DeleteFunc(c.ids, func(id string) bool { return c.gone[id] })
	}
}

// What changed between two pages is shown as it was, and what it was decides.
func TestAChangedResourceComesAsItWas(t *testing.T) {
	t.Parallel()
	r := startREST(t)
	patient := func(id, family, active string) string {
		return `{"resourceType":"Patient","id":"` + id + `","active":` + active + `,"name":[{"family":"` + family + `"}]}`
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		r.put("/fhir/Patient/"+id, patient(id, id, "true"))
	}
	first := r.get("/fhir/Patient?active=true&_sort=family&_count=1")
	r.put("/fhir/Patient/a", patient("a", "z", "true"))  // was on the first page
	r.put("/fhir/Patient/b", patient("b", "0", "true"))  // would be before it
	r.put("/fhir/Patient/c", patient("c", "c", "false")) // is found no longer
	r.put("/fhir/Patient/d", patient("d", "d1", "true"))
	r.put("/fhir/Patient/d", patient("d", "d2", "true"))
	r.put("/fhir/Patient/e", patient("e", "e", "true")) // is new
	var got []string
	for next := first.link("next"); next != ""; {
		page := r.get(strings.TrimPrefix(next, r.url))
		for _, n := range page.node.Each("entry", "resource") {
			got = append(got, n.Text("id")+n.Text("name", "family")+n.Text("meta", "versionId"))
		}
		next = page.link("next")
	}
	if diff := cmp.Diff([]string{"bb1", "cc1", "dd1"}, got); diff != "" {
		t.Error(diff)
	}
}

// Blinding is as of now on every page, also for what comes from the history.
func TestAChangedResourceThatWasHiddenMeanwhileDoesNotCome(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	first := w.do(access.Reader, "GET", "/fhir/Observation?_count=1&_sort=-_id", "")
	w.put("/fhir/Observation/"+w.ids["bone"], w.fill(`{"resourceType":"Observation","id":"{bone}","status":"final","code":{"text":"changed"}}`))
	next := strings.TrimPrefix(first.link("next"), w.url)
	if found := w.finds(w.do(access.Reader, "GET", next, "")); found != "bone" {
		t.Errorf("before it is hidden, the second page has %q", found)
	}
	w.hide("Observation", w.ids["bone"])
	if found := w.finds(w.do(access.Reader, "GET", next, "")); found != "" {
		t.Errorf("the second page has %q", found)
	}
}

// A restored database counts its transactions anew.
func TestPagesGoOnInARestoredDatabase(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	if _, err := w.db.Owner(t).Exec(context.Background(), `UPDATE resource SET xid = '99999999999'`); err != nil {
		t.Fatal(err)
	}
	var got []string
	for next := "/fhir/Patient?_sort=family&_count=1"; next != ""; {
		page := w.get(next)
		got = append(got, w.finds(page))
		next = strings.TrimPrefix(page.link("next"), w.url)
	}
	if diff := cmp.Diff([]string{"max", "zoe", "nobody"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestACursorExpiresWhenTooMuchHasChanged(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	next := strings.TrimPrefix(w.get("/fhir/Patient?_count=1").link("next"), w.url)
	owner, ctx := w.db.Owner(t), context.Background()
	if _, err := owner.Exec(ctx, `
		INSERT INTO resource (tenant_id, type, id, version, last_updated, body)
		SELECT $1, 'Patient', 'bulk' || i, 2, now(), '{"resourceType":"Patient"}' FROM generate_series(1, $2) i`, w.tenant, mostChanged+1); err != nil {
		t.Fatal(err)
	}
	if got := w.get(next); got.status != http.StatusOK {
		t.Errorf("what is new makes the cursor expire: %d %s", got.status, got.body)
	}
	if _, err := owner.Exec(ctx, `
		INSERT INTO resource_history (tenant_id, type, id, version, last_updated, deleted, body, xid)
		SELECT tenant_id, type, id, 1, now(), false, '{"resourceType":"Patient"}', '3' FROM resource WHERE id LIKE 'bulk%'`); err != nil {
		t.Fatal(err)
	}
	w.get(next).want(t, http.StatusGone, "deleted")
}

func TestACursorIsOfItsSearchAndUnchanged(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	page := w.get("/fhir/Patient?_count=1&_sort=birthdate,_lastUpdated")
	next := strings.TrimPrefix(page.link("next"), w.url)
	at, after, _ := strings.Cut(next, "_after=")
	after, rest, _ := strings.Cut(after, "&")
	text, err := base64.RawURLEncoding.DecodeString(after)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.get(at + "_after=" + after + "&" + rest); got.status != http.StatusOK {
		t.Fatal(got.body)
	}
	if got := w.get(at + "_after=" + after + "&" + strings.Replace(rest, "_count=1", "_count=2", 1)); got.status != http.StatusOK {
		t.Errorf("a page may be of another size: %s", got.body)
	}
	bad := map[string]string{"empty": "", "no base64": "!", "no JSON": base64.RawURLEncoding.EncodeToString([]byte("x")), "padded": after + "="}
	var c cursor
	decode := func() cursor {
		c, err := parseCursor(after, cursorInquiry(t, w))
		if err != nil {
			t.Fatal(err)
		}
		return *c
	}
	c = decode()
	for name, change := range map[string]func(*cursor){
		"another search":       func(c *cursor) { c.Search = "x" },
		"another type":         func(c *cursor) { c.Type = "Task" },
		"no snapshot":          func(c *cursor) { c.Snapshot = "" },
		"a snapshot of words":  func(c *cursor) { c.Snapshot = "a:b:c" },
		"a snapshot backwards": func(c *cursor) { c.Snapshot = "9:3:" },
		"a snapshot too large": func(c *cursor) { c.Snapshot = "9:99999999999999999999:" },
		"running before least": func(c *cursor) { c.Snapshot = "5:9:4" },
		"running twice":        func(c *cursor) { c.Snapshot = "5:9:6,6" },
		"running after most":   func(c *cursor) { c.Snapshot = "5:9:9" },
		"too few values":       func(c *cursor) { c.Place = c.Place[1:] },
		"no id":                func(c *cursor) { c.Place = []*string{nil, c.Place[1], nil} },
		"an id of others":      func(c *cursor) { c.Place = []*string{nil, c.Place[1], new("a b")} },
		"no time":              func(c *cursor) { c.Place = []*string{nil, nil, c.Place[2]} },
		"a time of words":      func(c *cursor) { c.Place = []*string{nil, new("now"), c.Place[2]} },
		"a NUL":                func(c *cursor) { c.Place = []*string{new("\x00"), c.Place[1], c.Place[2]} },
		"a total below zero":   func(c *cursor) { n := -1; c.Total = &n },
	} {
		changed := c
		change(&changed)
		bad[name] = changed.String()
	}
	bad["more than it"] = base64.RawURLEncoding.EncodeToString(append(slices.Clone(text), "{}"...))
	bad["an unknown member"] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(text), "{", `{"x":1,`, 1)))
	for name, value := range bad {
		w.get(at+"_after="+value+"&"+rest).want(t, http.StatusBadRequest, "value")
		if t.Failed() {
			t.Fatal(name)
		}
	}
	if got := w.get(at + "_after=" + after + "&gender=male&" + rest); got.status != http.StatusBadRequest {
		t.Errorf("the cursor of another search is answered %d", got.status)
	}
}

// cursorInquiry is the search of TestACursorIsOfItsSearchAndUnchanged.
func cursorInquiry(t testing.TB, w *ward) *inquiry {
	t.Helper()
	a := &inquiry{path: "Patient", queries: []*query{{row: w.server.resources["Patient"], tenant: w.tenant}}}
	err := w.db.Snapshot(context.Background(), w.tenant, func(tx pgx.Tx) error {
		return w.server.understand(context.Background(), tx, access.Actor{Tenant: w.tenant}, a, map[string][]string{"_sort": {"birthdate,_lastUpdated"}, "_count": {"1"}}, false)
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// However a cursor is made up, as long as it belongs to its search: the answer is
// a page or a refusal.
func FuzzCursorOfItsSearch(f *testing.F) {
	r := startREST(f)
	r.mustCreate("Patient", patientJSON("1"))
	w := &ward{rest: r}
	digest := cursorInquiry(f, w).digest()
	for _, seed := range []string{"1:1:", "5:9:6,8", "0:0:", "9223372036854775807:9223372036854775807:", "1:18446744073709551615:", "3:4:3", "+1:2:", "01:2:", "1:2:,"} {
		f.Add(seed, "Patient", "1990-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.000000Z", "a")
	}
	f.Add("1:1:", "Patient", "\xff", "9999-12-31T23:59:59.999999Z", "-")
	f.Add("1:1:", "Patient", "\x00", "0000-01-01T00:00:00.000000Z", strings.Repeat("a", 65))
	f.Fuzz(func(t *testing.T, snapshot, typ, birth, updated, id string) {
		r := *r
		r.t = t
		c := cursor{Search: digest, Snapshot: snapshot, Type: typ, Place: []*string{&birth, &updated, &id}}
		if birth == "" {
			c.Place[0] = nil
		}
		got := r.get("/fhir/Patient?_sort=birthdate,_lastUpdated&_after=" + c.String())
		if got.status != http.StatusOK && (got.status < 400 || got.status > 499) {
			t.Errorf("%+v: %d %s", c, got.status, got.body)
		}
	})
}

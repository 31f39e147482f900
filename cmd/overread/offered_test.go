package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// What the table of transitions lets a human do is offered to them on a page of their
// room, and a page offers nothing that would be refused whatever is given with it.
//
// Two cases, one not signed and one signed, are put into every state in which the
// table lets somebody fire something, by hand and with everything open on them that may
// be; and everybody opens their pages of them. What is between the states is not
// tested here.

// human are who may fire what on which pages.
type human struct {
	role access.Role
	who  string // of those who read
	open func(task string) []string
	*visitor
}

// notOnAPage are the events that the table lets a human fire and no page offers, with the reason.
var notOnAPage = []struct {
	role   access.Role // "": whoever
	state  workflow.State
	events []workflow.Event
	why    string
}{
	{access.Placer, "", []workflow.Event{"hold", "resume", "cancel", "reprioritise"}, "the order is the EHR's: it changes it over FHIR (docs/placer-changes.md)"},
	{access.Placer, "", []workflow.Event{"correct-question", "withdraw-question", "outcome"}, "the EHR's Communications and results say so; a clinician asks anew"},
	{access.Placer, workflow.Closed, []workflow.Event{"acknowledge"}, "the version in force was read; that an older one was too, an EHR says that was late with it"},
	{"", workflow.OnHold, []workflow.Event{"draft"}, "a window that was open when the case was put on hold saves what stood in it; nobody begins to write then"},
	{access.Reader, workflow.Accepted, []workflow.Event{"lock"}, "the page has the reading begun first, in which it is locked"},
}

func excused(role access.Role, state workflow.State, ev workflow.Event) bool {
	for _, row := range notOnAPage {
		if (row.role == "" || row.role == role) && (row.state == "" || row.state == state) && slices.Contains(row.events, ev) {
			return true
		}
	}
	return false
}

// hands are in whose hands a case may be, by its columns; $READER and so on are persons.
var hands = []struct {
	name string
	set  map[string]string
}{
	{"one reader", nil},
	{"one reader, nothing open besides", nil},
	{"returned by the supervisor", map[string]string{"returned_at": "now()", "supervisor_id": "$PETROV"}},
	{"two readers", map[string]string{"other_reader_id": "$RUIZ", "reading": "'mixed'"}},
	{"a third, who has decided", map[string]string{"other_reader_id": "$RUIZ", "reading": "'mixed'", "adjudicator_id": "$PETROV", "settled": "'arbitrated'", "returned_at": "now()"}},
	{"a third reader", map[string]string{"adjudicator_id": "$PETROV", "returned_at": "now()"}},
	{"a third reader, who reads first", map[string]string{"adjudicator_id": "$PETROV", "veiled": "true", "policy": "policy || '{\"blindAdjudication\": true}'"}},
	{"two readers and a third, who reads first", map[string]string{"other_reader_id": "$RUIZ", "reading": "'mixed'", "adjudicator_id": "$PETROV", "veiled": "true", "policy": "policy || '{\"blindAdjudication\": true}'"}},
	{"two readers and a third", map[string]string{"other_reader_id": "$RUIZ", "reading": "'mixed'", "adjudicator_id": "$PETROV"}},
	{"corrected by the placer", map[string]string{"correction": `CASE WHEN $STATE = 'on-hold' THEN '{"patient": true}'::jsonb END`}},
	{"declared an error by one", map[string]string{"error_proposed_by": "$RUIZ", "supervisor_id": "$PETROV"}},
	{"whoever signed is no reader here any more", nil},
	{"whoever signed is no reader here any more, nothing open besides", nil},
}

// ofOne are the columns of a case with one reader; those who are nobody yet read it last.
var ofOne = map[string]string{
	"reader_id":       "CASE WHEN $STATE NOT IN ('received', 'intake-review', 'awaiting-information', 'awaiting-images', 'ready', 'unassignable', 'offered') THEN $OKAFOR END",
	"other_reader_id": "NULL", "adjudicator_id": "NULL", "supervisor_id": "NULL", "reading": "'single'", "settled": "NULL", "returned_at": "NULL",
	"veiled": "false", "findings": "'[]'", "correction": "NULL", "error_proposed_by": "NULL", "policy": "policy - 'blindAdjudication'", "opinion_no": "1",
	"locked_at": "coalesce(locked_at, now())", "revealed_at": "coalesce(revealed_at, now())", "comparable": "true", "closed_at": "NULL", "state": "$STATE",
	"offered_to": "CASE WHEN $STATE = 'offered' THEN $SATO END", "resume_state": "CASE WHEN $STATE = 'on-hold' THEN 'reading' END",
}

const (
	quiet       = "nothing open besides"
	deserted    = "whoever signed is no reader here any more"
	mostMatters = 4
)

func TestWhatTheTableLetsAHumanDoIsOfferedOnAPage(t *testing.T) {
	t.Parallel()
	l := newOfferedWorld(t)
	missing := map[string]bool{}
	for _, info := range workflow.States {
		wanted := map[access.Role]map[workflow.Event]bool{}
		for _, row := range workflow.Transitions {
			for _, role := range row.By {
				if slices.Contains(row.From, info.State) && role != access.System && !excused(role, info.State, row.Event) {
					if wanted[role] == nil {
						wanted[role] = map[workflow.Event]bool{}
					}
					wanted[role][row.Event] = true
				}
			}
		}
		for _, h := range hands {
			if !l.put(info.State, h.name, h.set) {
				continue
			}
			for _, who := range l.humans {
				for _, offered := range l.offered(who, info.State, h.name) {
					delete(wanted[who.role], offered)
				}
			}
		}
		for role, events := range wanted {
			for ev := range events {
				missing[fmt.Sprintf("%s: %s by the %s is on no page", info.State, ev, role)] = true
			}
		}
	}
	for _, line := range slices.Sorted(maps.Keys(missing)) {
		t.Error(line)
	}
}

// offeredWorld has the two cases, and those who look at them.
type offeredWorld struct {
	*clinic
	t                *testing.T
	unsigned, signed order
	tasks            map[string]string // by the order's number
	people           map[string]string // ids of readers, by name
	humans           []human
	now              string // the task of the case in hand
	owner            *pgx.Conn
}

func newOfferedWorld(t *testing.T) *offeredWorld {
	l := &offeredWorld{clinic: newClinic(t), t: t, tasks: map[string]string{}, people: map[string]string{}}
	l.owner = l.database.Owner(t)
	place := func(number, sample string, quirk string, mrn string) order {
		o := order{ehr: l.chart.base, number: number, hospital: "mercy", priority: "urgent", patient: person{mrn, "Offered", "Person" + number, "female", birth(sample)}, sample: samples[sample], quirk: quirk, at: time.Now()}
		task, err := l.seeder.order(t.Context(), o, l.clients["mercy-placer"])
		if err != nil {
			t.Fatal(err)
		}
		l.tasks[number] = task
		l.live(t, o, task, chapter{then: workflow.Ready})
		return o
	}
	l.unsigned, l.signed = place("OFFERED-1", "brain", twoRead, "777011"), place("OFFERED-2", "brain", asItShouldBe, "777012")
	at := func(o order, who string, role access.Role) *readerAt {
		return (&readingRoom{world: l.world, t: t, o: o, task: l.tasks[o.number]}).comes(who, role)
	}
	for i, who := range []string{"okafor", "ruiz"} {
		v := at(l.unsigned, who, access.Reader)
		v.does("/claim", nil)
		v.does("/write/lock", opinionOf("A sclerosis, says "+who, "Sclerosis."))
		l.live(t, l.unsigned, l.tasks["OFFERED-1"], chapter{then: []workflow.State{workflow.Ready, workflow.Conferring}[i]})
	}
	v := at(l.signed, "okafor", access.Reader)
	v.does("/claim", nil)
	v.does("/write/lock", opinionOf("A sclerosis.", "Sclerosis."))
	v.does("/do/reveal", nil)
	v.does("/do/grade", url.Values{"agreement": {"true"}})
	v.does("/do/sign", nil)
	l.live(t, l.signed, l.tasks["OFFERED-2"], chapter{then: workflow.Final})

	rows, err := l.owner.Query(t.Context(), `SELECT lower(split_part(display, ' ', -1)), reader_id::text FROM reader WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name = 'mercy')`)
	if err != nil {
		t.Fatal(err)
	}
	var name, id string
	if _, err := pgx.ForEachRow(rows, []any{&name, &id}, func() error { l.people[name] = id; return nil }); err != nil {
		t.Fatal(err)
	}
	l.behindAll(`DELETE FROM agenda`) // nothing happens by itself
	for _, number := range []string{"OFFERED-1", "OFFERED-2"} {
		l.behindAll(`INSERT INTO learning_point (tenant_id, case_id, point_no, text, added_by, added_at) SELECT tenant_id, case_id, 1, 'Look at the edges', $OKAFOR, now() FROM case_file WHERE task_id = '` + l.tasks[number] + `'`)
	}
	for _, each := range []struct {
		role access.Role
		who  string
	}{{access.Reader, "okafor"}, {access.Reader, "ruiz"}, {access.Reader, "sato"}, {access.Adjudicator, "petrov"}, {access.Supervisor, "petrov"}} {
		a := at(l.unsigned, each.who, each.role)
		l.humans = append(l.humans, human{each.role, each.who, func(task string) []string {
			return []string{a.base + "/case/" + task, a.base + "/worklist"}
		}, a.visitor})
	}
	for _, role := range []access.Role{access.Coordinator, access.Director, access.Quality} {
		v, rooms := l.at(t, role)
		l.humans = append(l.humans, human{role, "", func(task string) []string {
			if role == access.Quality {
				return []string{rooms + "/learning/case/" + task}
			}
			return []string{rooms + "/board/" + task, rooms + "/board/" + task + "/candidates"}
		}, v})
	}
	l.humans = append(l.humans, human{role: access.Placer})
	return l
}

// named is SQL with the persons in the place of their names.
func (l *offeredWorld) named(sql string) string {
	for name, id := range l.people {
		sql = strings.ReplaceAll(sql, "$"+strings.ToUpper(name), "'"+id+"'::uuid")
	}
	return sql
}

func (l *offeredWorld) behindAll(sql string) {
	l.t.Helper()
	if _, err := l.owner.Exec(l.t.Context(), l.named(sql)); err != nil {
		l.t.Fatal(err, sql)
	}
}

// put has the case in hand stand so; false where the database knows that no case can.
func (l *offeredWorld) put(state workflow.State, name string, set map[string]string) bool {
	l.t.Helper()
	l.now = l.tasks["OFFERED-1"]
	if slices.Contains([]workflow.State{workflow.Final, workflow.Closed, workflow.Amending}, state) {
		l.now = l.tasks["OFFERED-2"]
	}
	columns := maps.Clone(ofOne)
	maps.Copy(columns, set)
	var assigned []string
	for column, value := range columns {
		assigned = append(assigned, column+" = "+strings.ReplaceAll(value, "$STATE", "'"+string(state)+"'"))
	}
	_, err := l.owner.Exec(l.t.Context(), l.named(`UPDATE case_file SET `+strings.Join(assigned, ", ")+` WHERE task_id = '`+l.now+`'`))
	if pg.Constraint(err) != "" { // no case can stand so
		return false
	}
	if err != nil {
		l.t.Fatal(name, err)
	}
	l.behindAll(`UPDATE reader SET active = ` + fmt.Sprint(!strings.HasPrefix(name, deserted)) + ` WHERE reader_id = $OKAFOR`)
	of := `(SELECT case_id FROM case_file WHERE task_id = '` + l.now + `')`
	l.behindAll(`DELETE FROM matter WHERE case_id = ` + of)
	l.behindAll(`DELETE FROM escalation WHERE case_id = ` + of)
	l.behindAll(`DELETE FROM quality_review WHERE case_id = ` + of)
	l.behindAll(`DELETE FROM grade WHERE case_id = ` + of)
	l.behindAll(`INSERT INTO grade (tenant_id, case_id, grade_no, graded_by, role, graded_at, level, content)
		SELECT tenant_id, case_id, 1, coalesce(adjudicator_id, $OKAFOR), CASE WHEN adjudicator_id IS NULL THEN 'reader' ELSE 'adjudicator' END, now(), 'none', '{}' FROM case_file WHERE task_id = '` + l.now + `'`)
	for i, who := range []string{"$OKAFOR", "$PETROV"} {
		l.behindAll(fmt.Sprintf(`INSERT INTO escalation (tenant_id, case_id, clock, clock_started_at, stage, rule, link, escalation_id, tell, person_id, ways, told_at)
			SELECT tenant_id, case_id, 'final', now(), 50, %d, 0, gen_random_uuid(), 'reader', %s, '{notification}', now() FROM case_file WHERE task_id = '%s'`, i, who, l.now))
	}
	if !strings.HasSuffix(name, quiet) {
		l.behindAll(`INSERT INTO quality_review (tenant_id, case_id, review_no, reason, opened_at) SELECT tenant_id, case_id, 1, 'a wish', now() FROM case_file WHERE task_id = '` + l.now + `'`)
		for i, m := range []struct{ kind, category, by, content string }{
			{"finding", "non-critical", "$OKAFOR", `{"text": "A finding"}`}, {"finding", "non-critical", "$PETROV", `{"text": "Another"}`},
			{"question", "", "NULL", `{"text": "A question"}`}, {"verification", "", "NULL", `{"images": 7, "imagesThen": 5}`},
		} {
			l.behindAll(fmt.Sprintf(`INSERT INTO matter (tenant_id, case_id, matter_no, kind, category, request_key, content, opened_at, opened_by, opened_role, due_at)
				SELECT tenant_id, case_id, %d, '%s', '%s', 'k%d', '%s', now(), %s, 'reader', now() + interval '1 day' FROM case_file WHERE task_id = '%s'`, i+1, m.kind, m.category, i, m.content, m.by, l.now))
		}
	}
	return true
}

var formAction = regexp.MustCompile(`(?:action|formaction|data-save)="[^"]*/([a-z-]+)"`)

// offered are the events for which somebody's pages have a form. What would be refused is an error.
func (l *offeredWorld) offered(who human, state workflow.State, hands string) (all []workflow.Event) {
	l.t.Helper()
	var texts []string
	if who.role == access.Placer {
		o := l.unsigned
		if l.now == l.tasks["OFFERED-2"] {
			o = l.signed
		}
		b := newBrowser(l.t)
		chart := l.launch(b, "mercy", o)
		texts = append(texts, chart.text)
		if link := opinionInPage.FindStringSubmatch(chart.text); link != nil {
			texts = append(texts, b.get(l.root+link[1]).text)
		}
	} else {
		for _, path := range who.open(l.now) {
			if page := who.get(path); page.status == http.StatusOK {
				texts = append(texts, page.text)
			} else if page.status != http.StatusNotFound && page.status != http.StatusForbidden {
				l.t.Errorf("%s, %s, %s at %s: %d %s", state, hands, who.role, path, page.status, page.text)
			}
		}
	}
	for _, text := range texts {
		for _, found := range formAction.FindAllStringSubmatch(text, -1) {
			all = append(all, workflow.Event(found[1]))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if who.role != access.Placer {
		l.notRefused(who, state, hands, all)
	}
	return all
}

// notRefused holds that what is offered is refused for what is given with it alone.
func (l *offeredWorld) notRefused(who human, state workflow.State, hands string, offered []workflow.Event) {
	l.t.Helper()
	may := workflow.EventsFor(state, who.role)
	actor := access.Actor{Role: who.role, ID: uuid.New()}
	if id := l.people[who.who]; id != "" {
		actor.ID = uuid.MustParse(id)
	}
	err := l.database.System(l.t.Context(), func(tx pgx.Tx) error {
		return tx.QueryRow(l.t.Context(), `SELECT tenant_id FROM tenant WHERE name = 'mercy'`).Scan(&actor.Tenant)
	})
	if err == nil {
		err = l.database.Tenant(l.t.Context(), actor.Tenant, func(tx pgx.Tx) error {
			c, err := workflow.CaseByTaskTx(l.t.Context(), tx, l.now)
			if err != nil {
				return err
			}
			offers := workflow.OffersTx(tx, actor, c, time.Now())
			for _, ev := range offered {
				if _, isEvent := may[string(ev)]; !isEvent {
					if isOfTable(ev) {
						l.t.Errorf("%s, %s: a page offers %s to the %s, who may not", state, hands, ev, who.role)
					}
					continue
				}
				refusals := []string{}
				for matter := range mostMatters + 1 {
					why, err := offers.May(l.t.Context(), ev, matter)
					if err != nil {
						return err
					}
					if why == nil {
						refusals = nil
						break
					}
					refusals = append(refusals, why.Error())
				}
				if refusals != nil {
					l.t.Errorf("%s, %s: a page offers %s to the %s, and it is refused: %s", state, hands, ev, who.role, refusals[0])
				}
			}
			return nil
		})
	}
	if err != nil {
		l.t.Fatal(err)
	}
}

func isOfTable(ev workflow.Event) bool {
	return slices.ContainsFunc(workflow.Transitions, func(row workflow.Transition) bool { return row.Event == ev })
}

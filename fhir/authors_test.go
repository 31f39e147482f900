package fhir

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/pgtest"
	"github.com/overread/overread/workflow"
)

// cast are the people of a case, by the tokens that they come with.
type cast struct {
	*clinic
	task string
}

const (
	anna, ben = access.Role("first reader"), access.Role("second reader")
	tina      = access.Role("trainee")
)

var (
	annas = []any{"findings", "Anna.", "impression", "Anna's."}
	bens  = []any{"findings", "Ben.", "impression", "Ben's.", "actionable", Object("valueCode", "non-critical")}
	carls = []any{"findings", "Carl.", "impression", "Carl's."}
	joint = []any{"findings", "Both.", "impression", "Both's."}
)

func (c cast) reads(who access.Role, text []any) {
	c.mustAct(who, c.task, "$claim", "independent", true)
	c.mustAct(who, c.task, "$lock", text...)
}

func (c cast) two() { c.reads(anna, annas); c.reads(ben, bens) }

func (c cast) consensus() {
	c.two()
	c.mustAct(ben, c.task, "$propose", joint...)
	c.concurs(anna)
}

// concurs with what the other has said last.
func (c cast) concurs(who access.Role) {
	got := c.do(who, "GET", "/fhir/Task/"+c.task+"/$readings", "")
	sums := valuesOfPart(got.node, "reading", "sha256")
	if who == ben {
		c.mustAct(who, c.task, "$concur", "sha256", sums[0])
		return
	}
	c.mustAct(who, c.task, "$concur", "sha256", sums[len(sums)-1])
}

func (c cast) arbitrates(params ...any) {
	c.two()
	c.mustAct(ben, c.task, "$refer", "reason", "we differ")
	c.mustAct(access.Adjudicator, c.task, "$claim", "independent", true)
	c.mustAct(access.Adjudicator, c.task, "$arbitrate", params...)
	c.signs(access.Adjudicator)
}

func (c cast) signs(who access.Role) {
	c.mustAct(who, c.task, "$reveal")
	c.mustAct(who, c.task, "$grade", "agreement", true)
	c.mustAct(who, c.task, "$sign")
}

// differs from the original in something important: a third reader is to decide.
func (c cast) differs(who access.Role) {
	c.mustAct(who, c.task, "$reveal")
	c.mustAct(who, c.task, "$grade", important...)
	c.wantState(c.task, "adjudication")
	c.mustAct(access.Adjudicator, c.task, "$claim", "independent", true)
}

func (c cast) adjudicates(params ...any) {
	c.mustAct(access.Adjudicator, c.task, "$adjudicate", slices.Concat(params, important)...)
	c.mustAct(access.Adjudicator, c.task, "$sign")
}

var important = []any{"discrepancy", missed("important"), "difference", "A nodule is not mentioned."}

func with(text []any, params ...any) []any { return slices.Concat(params, text) }

// Whoever is named under a report answers for it: whose text it is (Provenance.agent
// author), whoever decided that it stands, and whoever signed. Whoever was overruled is
// nobody's business, in whatever way the case came to its text.
func TestAReportNamesThoseWhoseTextItIsAndWhoDecidedAndSigned(t *testing.T) {
	t.Parallel()
	const first, second, third, super, trainee = "Dr Anna", "Dr Ben", "Dr Third Reader", "Dr Supervisor", "Dr Tina"
	type row struct {
		name, policy string
		live         func(c cast)
		text         string
		authors      []string
		besides      []string // who decided or signed another's text
		signed       string
	}
	var rows []row
	add := func(r row) { rows = append(rows, r) }

	add(row{"one reads", `{}`, func(c cast) { c.reads(anna, annas); c.signs(anna) }, "Anna's.", []string{first}, nil, first})
	add(row{"one reads, and a supervisor signs it as it is", `{}`, func(c cast) {
		c.reads(tina, annas)
		c.signs(tina)
		c.mustAct(access.Supervisor, c.task, "$sign")
	}, "Anna's.", []string{trainee}, []string{super}, super})
	add(row{"one reads, and a supervisor changes it", `{}`, func(c cast) {
		c.reads(tina, annas)
		c.signs(tina)
		c.mustAct(access.Supervisor, c.task, "$sign", "impression", "Changed.", "gradeStands", true)
	}, "Changed.", []string{trainee, super}, nil, super})
	for _, blind := range []string{"false", "true"} {
		policy := `{"blindAdjudication": ` + blind + `}`
		own := []any{"decision", "own"}
		if blind == "false" {
			own = with(carls, own...)
		}
		begin := func(c cast) {
			c.reads(anna, annas)
			c.differs(anna)
			if blind == "true" {
				c.mustAct(access.Adjudicator, c.task, "$lock", carls...)
			}
		}
		add(row{"a third leaves the reader's text, blind " + blind, policy, func(c cast) { begin(c); c.adjudicates("decision", "first") }, "Anna's.", []string{first}, []string{third}, third})
		add(row{"a third gives their own, blind " + blind, policy, func(c cast) { begin(c); c.adjudicates(own...) }, "Carl's.", []string{third}, nil, third})
		add(row{"a third decides for their own and thinks better of it, blind " + blind, policy, func(c cast) {
			begin(c)
			c.mustAct(access.Adjudicator, c.task, "$adjudicate", slices.Concat(own, important)...)
			c.adjudicates("decision", "first")
		}, "Anna's.", []string{first}, []string{third}, third})
	}
	for _, reading := range []string{"arbitration", "mixed", "consensus"} {
		policy := `{"reading": "` + reading + `", "adjudicateOn": "major"}`
		add(row{reading + ": one stands by the other's", policy, func(c cast) { c.two(); c.concurs(ben); c.signs(anna) }, "Anna's.", []string{first, second}, nil, first})
		if reading == "arbitration" {
			continue
		}
		add(row{reading + ": they find one text", policy, func(c cast) { c.consensus(); c.signs(ben) }, "Both's.", []string{first, second}, nil, second})
		add(row{reading + ": a third leaves the text of both", policy, func(c cast) { c.consensus(); c.differs(ben); c.adjudicates("decision", "first") }, "Both's.", []string{first, second}, []string{third}, third})
		add(row{reading + ": a third gives their own in place of the text of both", policy, func(c cast) {
			c.consensus()
			c.differs(ben)
			c.adjudicates(with(carls, "decision", "own")...)
		}, "Carl's.", []string{third}, nil, third})
	}
	for _, reading := range []string{"arbitration", "mixed"} {
		policy := `{"reading": "` + reading + `"}`
		add(row{reading + ": a third decides for the first", policy, func(c cast) { c.arbitrates("decision", "first") }, "Anna's.", []string{first}, []string{third}, third})
		add(row{reading + ": a third decides for the second", policy, func(c cast) { c.arbitrates("decision", "second") }, "Ben's.", []string{second}, []string{third}, third})
		add(row{reading + ": a third gives their own", policy, func(c cast) { c.arbitrates(with(carls, "decision", "own")...) }, "Carl's.", []string{third}, nil, third})
	}
	add(row{"recall if one suggests", `{"reading": "recall-if-one-suggests"}`, func(c cast) { c.two(); c.signs(ben) }, "Ben's.", []string{second}, nil, second})
	add(row{"without the second", `{"reading": "consensus"}`, func(c cast) {
		c.reads(anna, annas)
		c.mustAct(access.Coordinator, c.task, "$forgo-second", "reason", "nobody is there")
		c.signs(anna)
	}, "Anna's.", []string{first}, nil, first})
	add(row{"of both, and one of them amends what weighs", `{"reading": "consensus"}`, func(c cast) {
		c.consensus()
		c.signs(ben)
		c.mustAct(ben, c.task, "$amend", "reason", "the other lung")
		c.mustAct(ben, c.task, "$sign", "kind", "amendment", "reason", "the other lung", "text", "Another nodule.", "impression", "Two nodules.", "gradeStands", true)
	}, "Two nodules.", []string{second}, nil, second})
	add(row{"of both, and one of them amends what does not", `{"reading": "consensus"}`, func(c cast) {
		c.consensus()
		c.signs(ben)
		c.mustAct(ben, c.task, "$amend", "reason", "technique")
		c.mustAct(ben, c.task, "$sign", "kind", "correction", "reason", "technique", "text", "Two views.", "technique", "Two views.")
	}, "Both's.", []string{first, second}, nil, second})
	add(row{"an addendum of the third reader's to another's text", `{"reading": "arbitration"}`, func(c cast) {
		c.arbitrates("decision", "second")
		c.mustAct(access.Placer, c.task, "$ask", "question", "Which side?")
		c.mustAct(access.Adjudicator, c.task, "$answer", "answer", "The left.")
	}, "Ben's.", []string{second}, []string{third}, third})

	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			c := cast{clinic: startClinic(t)}
			c.sql(`UPDATE tenant SET policy = '` + r.policy + `'`)
			learner := everything
			learner.Trainee = true
			for who, r := range map[access.Role]struct {
				name       string
				credential workflow.Reader
			}{anna: {first, everything}, ben: {second, everything}, tina: {trainee, learner}} {
				c.tokens[who], c.readers[who] = pgtest.AddReader(t, c.db, c.tenant, r.name, r.credential)
			}
			c.addColleague(access.Supervisor, super, everything)
			c.task = c.order(chestXray(t, "authors")...)
			c.tick()
			r.live(c)
			c.wantState(c.task, "final")
			report := c.report(c.task)
			if !strings.HasPrefix(report.Text("conclusion"), r.text) {
				t.Errorf("the text is %q", report.Text("conclusion"))
			}
			names := func(list []*Node) (out []string) {
				for _, n := range list {
					out = append(out, n.Text("display"))
				}
				return out
			}
			sorted := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			all := slices.Concat(r.authors, r.besides)
			if diff := cmp.Diff(all, names(report.Each("resultsInterpreter")), sorted); diff != "" {
				t.Errorf("resultsInterpreter: %s", diff)
			}
			if diff := cmp.Diff(append([]string{report.Text("performer", "display")}, all...), names(report.Each("performer")), sorted); diff != "" || report.Each("performer")[0].Text("type") != "Organization" {
				t.Errorf("performer: %s", diff)
			}
			made := c.get("/fhir/Provenance?target=DiagnosticReport/"+report.Text("id")+"&_sort=-_lastUpdated&_count=1").node.Each("entry", "resource")[0]
			agents := func(role string) (out []string) {
				for _, a := range made.Each("agent") {
					if a.Text("type", "coding", "code") == role {
						out = append(out, a.Text("who", "display"))
					}
				}
				return out
			}
			if diff := cmp.Diff(r.authors, agents("author"), sorted); diff != "" {
				t.Errorf("authors: %s", diff)
			}
			if diff := cmp.Diff([]string{r.signed}, agents("attester")); diff != "" {
				t.Errorf("who signed: %s", diff)
			}
			if owner := c.clinic.task(c.task).Text("owner", "display"); owner != r.signed {
				t.Errorf("the Task is %s's", owner)
			}
			c.carries(all)
			c.readIndependently(r.authors)
		})
	}
}

// carries: what goes to the EHR brings everybody along whom the report names, and
// nobody else who reads here.
func (c cast) carries(names []string) {
	c.t.Helper()
	var sent delivered // the last report
	for _, d := range c.deliveries() {
		if len(d.resources(c.t, "DiagnosticReport")) > 0 {
			sent = d
		}
	}
	var brought []string
	for _, n := range sent.resources(c.t, "Practitioner") {
		if name := displayOf(n); strings.HasPrefix(name, "Dr ") && slices.Contains([]string{"Dr Anna", "Dr Ben", "Dr Tina", "Dr Third Reader", "Dr Supervisor"}, name) {
			brought = append(brought, name)
		}
	}
	if diff := cmp.Diff(names, brought, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		c.t.Errorf("the EHR gets: %s", diff)
	}
}

// readIndependently: each author is credentialed and not the original reader, and has
// sealed something here; but for the supervisor before the original was shown, as
// the first or second reader, or as the third by their own word of independence.
func (c cast) readIndependently(names []string) {
	c.t.Helper()
	for _, name := range names {
		var credential workflow.Reader
		var sealed bool
		if err := c.db.Owner(c.t).QueryRow(c.t.Context(), `
			SELECT r.credential, EXISTS (
				SELECT FROM opinion o
				JOIN case_file f USING (tenant_id, case_id)
				WHERE o.reader_id = r.reader_id AND o.status = 'locked'
				  AND (o.part IN ('first', 'second') AND o.sealed_at < f.revealed_at OR o.part = 'cosign'
				    OR o.part IN ('arbitration', 'adjudication') AND EXISTS (
					SELECT FROM case_event e
					WHERE e.case_id = o.case_id AND e.actor_id = o.reader_id AND e.event = 'claim' AND (e.detail->>'independent')::boolean AND e.occurred_at < o.sealed_at)))
			FROM reader r
			WHERE r.display = $1`, name).Scan(&credential, &sealed); err != nil {
			c.t.Fatal(err)
		}
		if !sealed {
			c.t.Errorf("%s has sealed no independent opinion", name)
		}
		if slices.Contains(credential.Subspecialties, "") || len(credential.Subspecialties) == 0 {
			c.t.Errorf("%s may not read this: %+v", name, credential)
		}
	}
}

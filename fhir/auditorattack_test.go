package fhir

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/linear"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
)

// An auditor who asks everything there is: every measure by every one and two dimensions,
// over HTTP, by every way out, and gives all of it to one solver. Its unknowns are the
// numbers of cases of each combination of dimensions, outcome, third reader's and later
// verdict, exclusion, and whether anybody has read it. It knows which combinations there
// cannot be (a staging that is not oncologic), and which of the readers is which.

// wholeAttack is the long form (make test-disclosure): all pairs of dimensions are asked for, and every
// small count is attacked. In the short form that make test runs these are the pairs of the
// dimensions that are attacked and of one other, and each third small count. Leaks that are
// planted are found in both.
var wholeAttack = os.Getenv("OVERREAD_ATTACK") != ""

// attackedKind is what a signed case is, but for its dimensions.
type attackedKind struct{ outcome, third, right, read string }

var attackedKinds = func() (all []attackedKind) {
	for _, read := range []string{"read", "unread"} {
		for _, outcome := range []string{"agreement", "unimportant", "important", "management"} {
			for _, third := range []string{"alone", "upheld", "overturned"} {
				rights := []string{"unknown", "wrong", "right"}
				if outcome == "agreement" {
					rights = rights[:1]
				}
				for _, right := range rights {
					all = append(all, attackedKind{outcome, third, right, read})
				}
			}
		}
		all = append(all, attackedKind{"no-comparison", "", "", read}, attackedKind{"same-study", "", "", read})
	}
	return all
}()

func (k attackedKind) compared() bool {
	return k.outcome != "no-comparison" && k.outcome != "same-study"
}

// populationOf says of which kinds a population of a measure is; false for what is attacked
// elsewhere (measure/disclosure/course_test.go).
func populationOf(measure, population string) (func(attackedKind) bool, bool) {
	isOne := func(outcomes ...string) func(attackedKind) bool {
		return func(k attackedKind) bool { return slices.Contains(outcomes, k.outcome) }
	}
	counted := population == "numerator"
	switch measure {
	case "discrepancy-any":
		if counted {
			return isOne("unimportant", "important", "management"), true
		}
	case "discrepancy-important":
		if counted {
			return isOne("important", "management"), true
		}
	case "discrepancy-management":
		if counted {
			return isOne("management"), true
		}
	case "agreement":
		if counted {
			return isOne("agreement"), true
		}
	case "no-comparison":
		if counted {
			return isOne("no-comparison"), true
		}
		return func(k attackedKind) bool { return k.outcome != "same-study" }, true
	case "adjudication-overturn":
		return func(k attackedKind) bool { return k.third == "overturned" || !counted && k.third == "upheld" }, true
	case "second-opinion-correct":
		return func(k attackedKind) bool { return k.right == "right" || !counted && k.right == "wrong" }, true
	default:
		return nil, false
	}
	return attackedKind.compared, true
}

// audited is all that is known of a tenant's quarter, and the truth.
type audited struct {
	*clinic
	dims   []string
	codes  map[string][]string
	cells  []auditedCell
	truth  []int
	known  []linear.Row
	told   map[string]bool // figures that a MeasureReport has told
	shapes map[string]int  // answers by way
}

type auditedCell struct {
	at   map[string]string
	kind attackedKind
}

// audit makes the unknowns: which cannot be are left out.
func (c *clinic) auditing(dims []string, never func(at map[string]string) bool) *audited {
	c.t.Helper()
	a := &audited{clinic: c, dims: dims, codes: map[string][]string{}, told: map[string]bool{}, shapes: map[string]int{}}
	columns := []string{}
	for _, name := range dims {
		column := "to_char(signed_at, 'YYYY-MM')"
		switch name {
		case facts.Month:
		case quarterDimension: // of no report: of its period
			column = `to_char(signed_at, 'YYYY-"Q"Q')`
		default:
			column = "(SELECT word FROM measure_word w WHERE w.tenant_id = f.tenant_id AND w.word_no = " + map[bool]string{true: "reading", false: strings.ReplaceAll(name, "-", "_")}[name == "protocol"] + ")"
		}
		columns = append(columns, column)
	}
	rows, err := c.db.Owner(c.t).Query(c.t.Context(), `
		SELECT ARRAY[`+strings.Join(columns, ", ")+`], CASE excluded WHEN 4 THEN 'no-comparison' WHEN 5 THEN 'same-study' ELSE
			CASE WHEN management > 0 THEN 'management' ELSE (ARRAY['agreement', 'unimportant', 'important'])[significance + 1] END END,
			CASE WHEN excluded > 0 THEN '' WHEN adjudicator_level IS NULL THEN 'alone' WHEN adjudicator_level = reader_level THEN 'upheld' ELSE 'overturned' END,
			CASE WHEN excluded > 0 THEN '' WHEN verified IS NULL OR significance = 0 THEN 'unknown' WHEN verified = 2 THEN 'right' ELSE 'wrong' END,
			CASE WHEN acknowledged_at IS NULL THEN 'unread' ELSE 'read' END
		FROM measure_fact f`)
	if err != nil {
		c.t.Fatal(err)
	}
	truth := map[string]int{}
	var words []string
	var k attackedKind
	if _, err := pgx.ForEachRow(rows, []any{&words, &k.outcome, &k.third, &k.right, &k.read}, func() error {
		truth[fmt.Sprint(words, k)]++
		for i, name := range dims {
			if !slices.Contains(a.codes[name], words[i]) {
				a.codes[name] = append(a.codes[name], words[i])
			}
		}
		return nil
	}); err != nil {
		c.t.Fatal(err)
	}
	combinations := []map[string]string{{}}
	for _, name := range dims {
		var next []map[string]string
		for _, at := range combinations {
			for _, code := range a.codes[name] {
				one := map[string]string{name: code}
				maps.Copy(one, at)
				next = append(next, one)
			}
		}
		combinations = next
	}
	placed := 0
	for _, at := range combinations {
		if never(at) {
			continue
		}
		for _, kind := range attackedKinds {
			words := []string{}
			for _, name := range dims {
				words = append(words, at[name])
			}
			n := truth[fmt.Sprint(words, kind)]
			a.cells, a.truth, placed = append(a.cells, auditedCell{at, kind}), append(a.truth, n), placed+n
		}
	}
	all := 0
	for _, n := range truth {
		all += n
	}
	if placed != all || all == 0 {
		c.t.Fatalf("%d of %d cases are among the unknowns", placed, all)
	}
	return a
}

// sum is the unknowns of some values and kinds, and how many cases these are.
func (a *audited) sum(values map[string][]string, in func(attackedKind) bool) (factors map[int]float64, cases int) {
	factors = map[int]float64{}
	for i, cell := range a.cells {
		ok := in(cell.kind)
		for name, codes := range values {
			ok = ok && slices.Contains(codes, cell.at[name])
		}
		if ok {
			factors[i] = 1
			cases += a.truth[i]
		}
	}
	return factors, cases
}

// hear adds what a MeasureReport tells.
func (a *audited) hear(measure string, report *Node) {
	a.t.Helper()
	type part struct {
		dimensions, values []string
		cells              map[string]any
	}
	var parts []part
	eachPart(report, func(_ string, dimensions, values []string, one *Node) {
		cells := map[string]any{}
		partRow(one, cells)
		parts = append(parts, part{dimensions, values, cells})
	})
	own := func(i int, name string) (codes []string) { // of a line of all others
		for _, code := range a.codes[name] {
			if !slices.ContainsFunc(parts, func(p part) bool { return len(p.values) > i && p.values[i] == code }) {
				codes = append(codes, code)
			}
		}
		return codes
	}
	for _, p := range parts {
		if len(p.dimensions) > 0 && (p.dimensions[0] == withinDimension || slices.ContainsFunc(p.dimensions, func(name string) bool {
			return !slices.Contains(a.dims, name) && p.values[slices.Index(p.dimensions, name)] != "not-said"
		})) {
			continue
		}
		values, reader := a.quartersOf(report), ""
		for i, name := range p.dimensions {
			switch {
			case !slices.Contains(a.dims, name): // all are not-said
			case p.values[i] == disclosure.Other:
				values[name] = own(i, name)
			case facts.IsReader(name):
				reader = name
			default:
				values[name] = []string{p.values[i]}
			}
		}
		if percent, ok := p.cells["score"].(float64); ok && measure == facts.Unread {
			for _, side := range []float64{1, -1} { // the share is rounded
				factors := map[int]float64{}
				for i, cell := range a.cells {
					if quarters, some := values[quarterDimension]; some && !slices.Contains(quarters, cell.at[quarterDimension]) {
						continue
					}
					if factors[i] = -side*percent/100 - 0.005; cell.kind.read == "unread" {
						factors[i] += side
					}
				}
				a.known = append(a.known, linear.Row{Factors: factors, AtMost: true})
			}
		}
		for _, population := range []string{"denominator", "numerator"} {
			n, told := p.cells[population].(int)
			in, attacked := populationOf(measure, population)
			if !told || !attacked {
				continue
			}
			a.told[fmt.Sprint(p.dimensions, n)] = true
			a.count(measure, population, values, reader, n, in)
		}
	}
}

// quarterDimension tells quarters apart where the attack is of a whole year.
const quarterDimension = "quarter"

// quartersOf is which quarters a report is of, where these are among the unknowns.
func (a *audited) quartersOf(report *Node) map[string][]string {
	values := map[string][]string{}
	if !slices.Contains(a.dims, quarterDimension) {
		return values
	}
	start, end := report.Text("period", "start"), report.Text("period", "end")
	for _, code := range a.codes[quarterDimension] {
		var year, quarter int
		if _, err := fmt.Sscanf(code, "%d-Q%d", &year, &quarter); err != nil {
			a.t.Fatal(err)
		}
		if day := time.Date(year, time.Month(3*quarter-1), 15, 0, 0, 0, 0, time.UTC).Format(time.DateOnly); start < day && day < end {
			values[quarterDimension] = append(values[quarterDimension], code)
		}
	}
	return values
}

// count adds one count. Of a reader, of whom there is a pseudonym, it finds out who it is.
func (a *audited) count(measure, population string, values map[string][]string, reader string, n int, in func(attackedKind) bool) {
	a.t.Helper()
	var fitting []map[int]float64
	candidates := a.codes[reader]
	if reader == "" {
		candidates = []string{""}
	}
	for _, code := range candidates {
		if reader != "" {
			values[reader] = []string{code}
		}
		if factors, cases := a.sum(values, in); cases == n {
			fitting = append(fitting, factors)
		}
	}
	switch {
	case fitting == nil:
		a.t.Errorf("%s %s of %v is %d, which is not so", measure, population, values, n)
	case len(fitting) == 1:
		a.known = append(a.known, linear.Row{Factors: fitting[0], Is: float64(n)})
	}
	if n > 0 && n <= disclosure.Standard.Limit {
		a.t.Errorf("%s %s of %v: %d is shown", measure, population, values, n)
	}
}

const firstQuarter = "periodStart=2025-01&periodEnd=2025-03"

// askEverything asks all measures by all dimensions, and what is answered by all ways.
func (a *audited) askEverything() { a.askAllOf(firstQuarter, true) }

// askAllOf is the same of a period, by all ways or as MeasureReport alone.
func (a *audited) askAllOf(period string, ways bool) {
	a.t.Helper()
	names := append([]string{""}, facts.Dimensions()...)
	if !wholeAttack {
		names = slices.DeleteFunc(names, func(name string) bool { return name != "" && name != "priority" && !slices.Contains(a.dims, name) })
	}
	for _, d := range facts.Definitions {
		for i, one := range names {
			for _, other := range names[:max(i, 1)] {
				query := url.Values{}
				for _, name := range []string{one, other} {
					if name != "" {
						query.Add("stratifier", name)
					}
				}
				got := a.do(access.Auditor, "GET", "/fhir/Measure/"+d.ID+"/$evaluate-measure?"+period+"&"+query.Encode(), "")
				if got.status == http.StatusForbidden {
					continue
				}
				if got.status != http.StatusOK {
					a.t.Fatalf("%s by %v: %d %s", d.ID, query, got.status, got.body)
				}
				a.shapes["MeasureReport"]++
				a.hear(d.ID, got.node)
				if ways {
					a.otherWays(d.ID, query, got.node)
				}
			}
		}
	}
}

// figuresAlike is what a report tells, without names of readers, to be compared with what
// another way tells of the same.
func figuresAlike(rows []map[string]any, column string) (texts []string) {
	for _, row := range rows {
		text := ""
		if x := row[column]; x != nil && fmt.Sprint(x) != "" {
			text = fmt.Sprint(x)
		}
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}

// otherWays asks the same as files, as a saved query, as a page and as statistics, and
// holds them to telling nothing that the report does not.
func (a *audited) otherWays(measure string, query url.Values, report *Node) {
	t := a.t
	t.Helper()
	of := func(report *Node) (rows []map[string]any) {
		eachPart(report, func(_ string, _, _ []string, one *Node) {
			cells := map[string]any{}
			partRow(one, cells)
			rows = append(rows, cells)
		})
		return rows
	}
	want := of(report)
	same := func(way string, got []map[string]any, columns ...string) {
		t.Helper()
		a.shapes[way]++
		for _, column := range columns {
			if one, other := figuresAlike(want, column), figuresAlike(got, column); !slices.Equal(one, other) {
				t.Errorf("%s %v as %s: %s is %v, in the report %v", measure, query, way, column, other, one)
			}
		}
	}
	ask := "measure=Measure/" + measure + "&" + firstQuarter + "&" + query.Encode()
	csv := func(path string) (rows []map[string]any) {
		got := a.do(access.Auditor, "GET", path, "")
		if got.status != http.StatusOK {
			return nil
		}
		for _, row := range csvRows(t, got.body) {
			cells := map[string]any{}
			for column, text := range row {
				cells[column] = text
			}
			rows = append(rows, cells)
		}
		return rows
	}
	same("csv", csv("/fhir/Measure/$measure-table?format=csv&"+ask), "initial_population", "denominator", "excluded", "numerator", "score", "low", "high", "at_least")
	if len(query) == 0 || len(query["stratifier"]) == 1 && slices.Contains(a.dims, query.Get("stratifier")) {
		var rows []map[string]any
		for line := range strings.Lines(a.do(access.Auditor, "GET", "/fhir/Measure/$measure-table?format=ndjson&"+ask, "").body) {
			var row map[string]any
			if err := json.Unmarshal([]byte(line), &row); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, row)
		}
		same("ndjson", rows, "initial_population", "denominator", "excluded", "numerator", "score", "low", "high", "at_least")
		file := a.do(access.Auditor, "GET", "/fhir/Measure/$measure-table?format=parquet&"+ask, "").body
		type line struct {
			Denominator *int64 `parquet:"denominator,optional"`
			Excluded    *int64 `parquet:"excluded,optional"`
			Numerator   *int64 `parquet:"numerator,optional"`
		}
		read, err := parquet.Read[line](bytes.NewReader([]byte(file)), int64(len(file)))
		if err != nil {
			t.Fatal(err)
		}
		rows = nil
		for _, one := range read {
			row := map[string]any{}
			for column, n := range map[string]*int64{"denominator": one.Denominator, "excluded": one.Excluded, "numerator": one.Numerator} {
				if n != nil {
					row[column] = *n
				}
			}
			rows = append(rows, row)
		}
		same("parquet", rows, "denominator", "excluded", "numerator")
		params := []any{"title", "q", "measure", "Measure/" + measure, "periodStart", "2025-01", "periodEnd", "2025-03"}
		for _, name := range query["stratifier"] {
			params = append(params, "stratifier", name)
		}
		_, link := a.save(access.Auditor, params...)
		same("saved query", of(a.do(access.Auditor, "GET", link, "").node), "initial_population", "denominator", "excluded", "numerator", "score", "low", "high", "at_least")
		page := url.Values{"measure": {"Measure/" + measure}, "periodStart": {"2025-01"}, "periodEnd": {"2025-03"}, "stratifier": query["stratifier"]}
		f, err := a.server.Figures(t.Context(), access.Actor{Tenant: a.tenant, ID: uuid.New(), Role: access.Auditor, Display: "somebody"}, page, Asked{})
		if err != nil {
			t.Fatal(err)
		}
		rows = nil
		for _, one := range slices.Concat(f.Whole, f.Rows) {
			row := map[string]any{}
			for column, n := range map[string]*int{"initial_population": one.Initial, "denominator": one.Counted, "excluded": one.Excluded, "numerator": one.Numerator} {
				if n != nil {
					row[column] = *n
				}
			}
			rows = append(rows, row)
		}
		same("page", rows, "initial_population", "denominator", "excluded", "numerator")
	}
	if len(query["stratifier"]) != 1 {
		return
	}
	for _, statistic := range []string{"funnel", "compare-strata", "control-chart", "standardise"} {
		for _, row := range csv("/fhir/Measure/$statistic-table?format=csv&statistic=" + statistic + "&" + ask) {
			a.shapes[statistic]++
			for _, column := range []string{"cases", "events"} {
				n, err := strconv.Atoi(fmt.Sprint(row[column]))
				if err != nil {
					continue
				}
				if n > 0 && n <= disclosure.Standard.Limit || !a.told[fmt.Sprint(query["stratifier"], n)] {
					t.Errorf("%s of %s by %v: %s are %d, which no report tells", statistic, measure, query, column, n)
				}
			}
			for _, column := range []string{"cases", "events", "rate", "low", "high", "expected", "ratio", "z", "cusum"} {
				if row["masked"] != "true" || row[column] == nil || row[column] == "" {
					continue
				}
				t.Errorf("%s of %s by %v: of what is hidden it tells %v", statistic, measure, query, row)
			}
		}
	}
}

// attack asks the solver for every small count, and says how many there were.
func (a *audited) attack() (attacked int) {
	a.t.Helper()
	attacked, found := a.solve(false)
	for _, one := range found {
		a.t.Error(one)
	}
	return attacked
}

// solve says how many small counts were attacked, and which of them were found; of a leak that
// is planted, until one is found.
func (a *audited) solve(untilFound bool) (attacked int, found []string) {
	a.t.Helper()
	small := 0
	solver := linear.New(len(a.cells), a.known)
	sets := map[string]func(attackedKind) bool{"compared": attackedKind.compared}
	for measure, names := range map[string][]string{"agreement": {"numerator"}, "discrepancy-any": {"numerator"}, "discrepancy-important": {"numerator"}, "discrepancy-management": {"numerator"}} {
		for _, name := range names {
			sets[measure], _ = populationOf(measure, name)
		}
	}
	sets["unimportant"] = func(k attackedKind) bool { return k.outcome == "unimportant" }
	whole := map[string]func(attackedKind) bool{
		"no comparison": func(k attackedKind) bool { return k.outcome == "no-comparison" }, "same study": func(k attackedKind) bool { return k.outcome == "same-study" },
		"upheld": func(k attackedKind) bool { return k.third == "upheld" }, "overturned": func(k attackedKind) bool { return k.third == "overturned" },
		"alone": func(k attackedKind) bool { return k.third == "alone" }, "right": func(k attackedKind) bool { return k.right == "right" },
		"wrong": func(k attackedKind) bool { return k.right == "wrong" }, "unread": func(k attackedKind) bool { return k.read == "unread" },
	}
	judge := func(name string, values map[string][]string, in func(attackedKind) bool) {
		factors, cases := a.sum(values, in)
		if cases == 0 || cases > disclosure.Standard.Limit {
			return
		}
		if small++; untilFound && len(found) > 0 || !untilFound && !wholeAttack && small%3 != 0 {
			return
		}
		attacked++
		least, most, err := solver.Bounds(factors)
		switch {
		case err != nil:
			a.t.Fatalf("%s of %v: %v", name, values, err)
		case least > float64(cases)+1e-4 || most < float64(cases)-1e-4:
			a.t.Fatalf("%s of %v: %d is not within %g to %g: the attack is wrong", name, values, cases, least, most)
		case most-least < float64(disclosure.Standard.Width)-1e-4:
			found = append(found, fmt.Sprintf("%s of %v is %g to %g (it is %d)", name, values, least, most, cases))
		}
	}
	bases, dims := []map[string][]string{{}}, a.dims
	if slices.Contains(dims, quarterDimension) { // of each quarter, and of the year
		dims = slices.DeleteFunc(slices.Clone(dims), func(name string) bool { return name == quarterDimension })
		for _, code := range a.codes[quarterDimension] {
			bases = append(bases, map[string][]string{quarterDimension: {code}})
		}
	}
	at := func(base map[string][]string, more ...string) map[string][]string {
		values := maps.Clone(base)
		for i := 0; i < len(more); i += 2 {
			values[more[i]] = []string{more[i+1]}
		}
		return values
	}
	for _, base := range bases {
		for name, in := range whole {
			judge(name, base, in)
		}
		for name, in := range sets {
			judge(name, base, in)
			for i, one := range dims {
				for _, code := range a.codes[one] {
					judge(name, at(base, one, code), in)
					for _, other := range dims[:i] {
						for _, second := range a.codes[other] {
							judge(name, at(base, one, code, other, second), in)
						}
					}
				}
			}
		}
	}
	return attacked, found
}

// words gives words numbers, and each fact some of them.
func (c *clinic) words(first int, words []string, update string) {
	c.t.Helper()
	owner := c.db.Owner(c.t)
	for i, word := range words {
		if _, err := owner.Exec(c.t.Context(), `INSERT INTO measure_word (tenant_id, word_no, word) VALUES ($1, $2, $3)`, c.tenant, first+i, word); err != nil {
			c.t.Fatal(err)
		}
	}
	if _, err := owner.Exec(c.t.Context(), `SELECT setseed(0.25)`); err != nil {
		c.t.Fatal(err)
	}
	if _, err := owner.Exec(c.t.Context(), update); err != nil {
		c.t.Fatal(err)
	}
}

// excluding adds cases without comparison, and some of a study of which another counts.
func (c *clinic) excluding() {
	c.t.Helper()
	_, err := c.db.Owner(c.t).Exec(c.t.Context(), `
		BEGIN;
		SET LOCAL session_replication_role = replica;
		INSERT INTO measure_fact (tenant_id, case_id, known_from, period_at, opened_at, signed_at, counts_at, excluded, significance, no_comparison,
			modality, body_region, subspecialty, site, original_reader, second_reader, reason, priority, oncologic, blinding, priors, asymmetry, setting, reading, acknowledged_at)
		SELECT tenant_id, gen_random_uuid(), known_from, period_at, opened_at, signed_at, counts_at, CASE WHEN n <= 14 THEN 4 ELSE 5 END, CASE WHEN n > 14 THEN significance END, no_comparison,
			modality, body_region, subspecialty, site, original_reader, second_reader, reason, priority, oncologic, blinding, priors, asymmetry, setting, reading, acknowledged_at
		FROM (SELECT *, row_number() OVER () AS n FROM measure_fact) f
		WHERE n <= 20;
		COMMIT`)
	if err != nil {
		c.t.Fatal(err)
	}
}

func TestAnAuditorWhoAsksEverythingFindsNoSmallCount(t *testing.T) {
	t.Parallel()
	possible := func(map[string]string) bool { return false }
	for _, scenario := range []struct {
		name  string
		dims  []string
		never func(map[string]string) bool
		times int // the cases of Croydon
		seed  func(c *clinic)
	}{
		{"by month, modality, site and reader", []string{"month", "modality", "site", "second-reader"}, possible, 1, func(*clinic) {}},
		{"four times as many in less detail, of which there are tables by two dimensions", []string{"month", "modality", "site", "second-reader"}, possible, 4, func(c *clinic) {
			c.words(9, nil, `
				UPDATE tenant SET policy = '{"publication": {"detail": "discrepancy"}}';
				UPDATE measure_fact SET known_from = at, period_at = at, signed_at = at, counts_at = at, opened_at = at - interval '20 hours'
				FROM (SELECT case_id AS id, timestamptz '2025-01-05 12:00Z' + floor(random() * 80) * interval '1 day' AS at FROM measure_fact) x
				WHERE id = case_id`)
		}},
		// What two read is blinded: of 100 that two read and 105 that were blinded 5 were blinded
		// and read by one. Tables by both were published once, and this test found the 5.
		{
			"by dimensions that are tied", []string{"modality", "reason", "oncologic", "blinding", "protocol"},
			func(at map[string]string) bool {
				return at["reason"] == "staging" && at["oncologic"] == "no" || at["protocol"] == "consensus" && at["blinding"] == "unblinded"
			},
			1, func(c *clinic) {
				c.words(9, []string{"staging", "transfer", "yes", "no", "blinded", "unblinded", "single", "consensus"}, `
					UPDATE measure_fact
					SET period_at = '2025-02-10 12:00Z', signed_at = '2025-02-10 12:00Z', counts_at = '2025-02-10 12:00Z', known_from = '2025-02-10 12:00Z', site = 1, second_reader = 1,
					    opened_at = '2025-02-09 12:00Z', reason = 9 + kind % 2, oncologic = CASE WHEN kind % 2 = 0 OR kind < 3 THEN 11 ELSE 12 END,
					    reading = CASE WHEN place <= 100 THEN 16 ELSE 15 END, blinding = CASE WHEN place <= 105 THEN 13 ELSE 14 END
					FROM (SELECT case_id AS id, floor(random() * 10)::int AS kind, row_number() OVER (ORDER BY significance, period_at, case_id) AS place FROM measure_fact) x
					WHERE id = case_id`)
			},
		},
	} {
		t.Run(scenario.name, func(t *testing.T) {
			t.Parallel()
			c := croydonOf(t, scenario.times)
			scenario.seed(c)
			c.excluding()
			c.publishDue(time.Date(2025, 5, 2, 0, 0, 0, 0, time.UTC))
			a := c.auditing(scenario.dims, scenario.never)
			a.askEverything()
			attacked := a.attack()
			t.Logf("%d unknowns, %d figures, %d small counts attacked; answers: %v", len(a.cells), len(a.known), attacked, a.shapes)
			if attacked < 7 || wholeAttack && attacked < 20 || len(a.known) < 50 {
				t.Error("the attack sees too little")
			}
			for _, way := range []string{"MeasureReport", "csv", "ndjson", "parquet", "saved query", "page", "funnel", "compare-strata", "standardise"} {
				if a.shapes[way] == 0 && (scenario.times > 1 || way != "standardise") {
					t.Errorf("nothing was answered as %s", way)
				}
			}
		})
	}
}

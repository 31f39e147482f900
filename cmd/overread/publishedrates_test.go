package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/published"
	"github.com/overread/overread/workflow"
)

// What six published studies counted, as cases in one hospital: some cases of each kind
// are ordered, read, graded, adjudicated and verified through the FHIR surface; their
// histories are then copied as often as the study counted such cases, into a month of
// the study's own. The facts are copied as the engine wrote them while the case lived; of
// two studies they are made from the copied histories, by the job that does so after an
// upgrade; with OVERREAD_REBUILD (make test-statistics) those of all, by `overread measure
// rebuild`. $evaluate-measure then has to say what the papers print.

// kind is one kind of cases: what the second reader and, where there is one, the third
// find, and what is known later.
type kind struct {
	sample, reader string
	significance   string // unimportant, important, or "" for agreement
	third          string // the third reader's, where there is one
	noComparison   bool
	neoplasm       bool
	right          string // who was right, where that became known
}

// studied is a study with how many cases of each kind it has, and the month that they
// are put into.
type studied struct {
	id    string
	month time.Time
	built bool // its facts are made from the copied histories; else they are copied with them
	cases []copies
}

type copies struct {
	kind  kind
	times int
}

func kinds(sample, reader string) func(significance string) kind {
	return func(significance string) kind {
		return kind{sample: sample, reader: reader, significance: significance}
	}
}

// studies are the counts of published-rates.json by kind. What a paper does not tell
// apart, as what Zan's other cases were, is agreement.
func studiesAsCases(t *testing.T) []studied {
	t.Helper()
	n := countsOfStudies(t)
	head, abdomen, knee := kinds("head-ct", "okafor"), kinds("abdomen", "haddad"), kinds("knee", "tanaka")
	with := func(k kind, change func(*kind)) kind { change(&k); return k }
	none := func(k kind) kind { k.noComparison = true; return k }
	tumour := func(k kind) kind { k.neoplasm = true; return k }
	right := func(k kind, who string) kind { k.right = who; return k }
	third := func(first, third string) kind { return with(head(first), func(k *kind) { k.third = third }) }
	month := func(year int, m time.Month) time.Time { return time.Date(year, m, 15, 12, 0, 0, 0, time.UTC) }
	return []studied{
		{"guerin-2015", month(2015, 1), true, []copies{
			{head(""), n("guerin-2015", "concordant")}, {head("unimportant"), n("guerin-2015", "n", "-concordant")},
		}},
		// Negative is unimportant here, and positive important: what agrees on nothing needs
		// no third reader.
		{"wibmer-2015", month(2015, 8), true, []copies{
			{third("important", "important"), n("wibmer-2015", "table_2x2.initial_pos_second_pos")},
			{third("important", "unimportant"), n("wibmer-2015", "table_2x2.initial_pos_second_neg")},
			{third("unimportant", "important"), n("wibmer-2015", "table_2x2.initial_neg_second_pos")},
			{third("unimportant", "unimportant"), n("wibmer-2015", "table_2x2.initial_neg_second_neg")},
		}},
		{"zan-2010", month(2010, 5), false, []copies{
			{head(""), n("zan-2010", "comparable", "-important")},
			{head("important"), n("zan-2010", "important", "-verified")},
			{right(head("important"), "second"), n("zan-2010", "second_correct")},
			{right(head("important"), "first"), n("zan-2010", "verified", "-second_correct")},
			{none(head("")), n("zan-2010", "submitted", "-comparable")},
		}},
		{"chalian-2016", month(2016, 3), false, []copies{
			{tumour(knee("important")), n("chalian-2016", "oncologic.important")},
			{tumour(knee("")), n("chalian-2016", "oncologic.n", "-oncologic.important")},
			{knee("important"), n("chalian-2016", "important", "-oncologic.important")},
			{knee(""), n("chalian-2016", "comparable", "-oncologic.n", "-important", "oncologic.important")},
			{none(knee("")), n("chalian-2016", "submitted", "-comparable")},
		}},
		{"eakins-2012", month(2012, 10), false, []copies{
			{head("important"), n("eakins-2012", "neuro.major")},
			{head("unimportant"), n("eakins-2012", "neuro.minor")},
			{head(""), n("eakins-2012", "neuro.n", "-neuro.major", "-neuro.minor")},
			{abdomen("important"), n("eakins-2012", "body.major")},
			{abdomen("unimportant"), n("eakins-2012", "body.minor")},
			{abdomen(""), n("eakins-2012", "body.n", "-body.major", "-body.minor")},
			{knee("important"), n("eakins-2012", "major", "-neuro.major", "-body.major")},
			{knee("unimportant"), n("eakins-2012", "minor", "-neuro.minor", "-body.minor")},
			{knee(""), n("eakins-2012", "n", "-major", "-minor", "-neuro.n", "neuro.major", "neuro.minor", "-body.n", "body.major", "body.minor")},
		}},
		{"croydon-2020", month(2020, 6), false, []copies{
			{head(""), n("croydon-2020", "radpeer.1")},
			{head("unimportant"), n("croydon-2020", "radpeer.2a", "radpeer.3a")},
			{head("important"), n("croydon-2020", "radpeer.2b", "radpeer.3b")},
		}},
	}
}

// countsOfStudies adds up the counts of a study at paths; one with a minus is taken away.
func countsOfStudies(t *testing.T) func(study string, paths ...string) int {
	t.Helper()
	studies := studiesByID(t)
	return func(id string, paths ...string) (sum int) {
		for _, path := range paths {
			n, err := studies[id].Count(strings.TrimPrefix(path, "-"))
			if err != nil {
				t.Fatal(err)
			}
			if path[0] == '-' {
				n = -n
			}
			sum += n
		}
		return sum
	}
}

func studiesByID(t *testing.T) map[string]published.Study {
	t.Helper()
	all, err := published.Studies()
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]published.Study{}
	for _, s := range all {
		byID[s.ID] = s
	}
	return byID
}

// live orders a case of a kind and lets it be read, graded and verified.
func (k kind) live(t *testing.T, w *world, number int) (task string) {
	t.Helper()
	o := w.orderFor(tale{sample: k.sample}, number)
	bundle := o.bundle()
	if k.neoplasm {
		for _, entry := range bundle.Each("entry") {
			if sr := entry.Get("resource"); sr.Type() == "ServiceRequest" {
				sr.Append("reasonCode", fhir.Object("coding", []*fhir.Node{fhir.Object("system", "http://hl7.org/fhir/sid/icd-10", "code", "C40.2")}))
			}
		}
	}
	if err := o.keepAtEHR(t.Context()); err != nil {
		t.Fatal(err)
	}
	placer := w.clients["mercy-placer"]
	if _, err := placer.send(t.Context(), "POST", "", bundle); err != nil {
		t.Fatal(err)
	}
	task, err := taskOf(t.Context(), placer, o.number)
	if err != nil {
		t.Fatal(err)
	}
	grade := func(significance string) []*fhir.Node {
		return gradeParameters(difference{Text: "It differs.", Significance: significance, Nature: "detection", Direction: "miss", Management: "none", Actionable: "none"})
	}
	given := grade(k.significance)
	if k.noComparison {
		given = []*fhir.Node{param("noComparisonReason", "valueCode", "original-unusable")}
	}
	chapters := append([]chapter{{"", "", nil, workflow.Ready}}, reads(k.reader, k.sample)...)
	if k.third == "" {
		chapters = append(chapters, chapter{k.reader, "grade", given, workflow.Comparing}, chapter{k.reader, "sign", nil, workflow.Final})
	} else {
		chapters = append(chapters, chapter{k.reader, "grade", given, workflow.Adjudication},
			chapter{"petrov-adjudicator", "claim", independent(), workflow.Adjudication}, chapter{"petrov-adjudicator", "adjudicate", grade(k.third), workflow.Adjudication}, chapter{"petrov-adjudicator", "sign", nil, workflow.Final})
	}
	if k.right != "" {
		chapters = append(chapters, chapter{"placer", "outcome", []*fhir.Node{param("right", "valueCode", k.right),
			param("source", "valueCode", "pathology"), param("date", "valueDate", "2026-03-02")}, workflow.Final})
	}
	for _, c := range chapters {
		w.live(t, o, task, c)
	}
	return task
}

// adjudicating sets from which discrepancy on a third reader decides.
func (w *world) adjudicating(t *testing.T, from string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.yaml")
	if err := os.WriteFile(file, []byte("assignment: pool\nadjudicateOn: "+from+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.verb(t, "policy", "set", "mercy", file, "--note", "of the study")
}

func (w *world) verb(t *testing.T, args ...string) {
	t.Helper()
	if err := run(t.Context(), append(args, "--database-url", w.database.URL), io.Discard, io.Discard); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

// copyCases copies the history of a case, so often, to a time at which the copies were
// signed; each has a study of its own. With facts, it copies what the engine wrote of the
// case as it lived, too; otherwise that has to be made from the history, and the ids of
// the copies are the last.
func copyCases(ctx context.Context, conn *pgx.Conn, task string, c copies, signed time.Time, facts bool) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var tenant, of string
		err := tx.QueryRow(ctx, `SELECT tenant_id::text, case_id::text FROM case_file WHERE task_id = $1`, task).Scan(&tenant, &of)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			CREATE TEMPORARY TABLE copied ON COMMIT DROP AS
			SELECT CASE WHEN @facts THEN gen_random_uuid() ELSE overlay(gen_random_uuid()::text PLACING 'ffffffff' FROM 1)::uuid END AS id,
			       c.final_at - @signed::timestamptz AS shift
			FROM case_file c, generate_series(1, @times::integer)
			WHERE c.task_id = @task`, pgx.NamedArgs{"task": task, "times": c.times, "signed": signed, "facts": facts})
		if err != nil {
			return err
		}
		tables := copiedTables
		if facts {
			tables = append(slices.Clip(tables), copiedFacts...)
		}
		for _, table := range tables {
			changes := "'case_id', n.id"
			for _, moment := range table.moments {
				changes += fmt.Sprintf(", '%[1]s', x.%[1]s - n.shift", moment)
			}
			_, err := tx.Exec(ctx, `
				INSERT INTO `+table.name+`
				SELECT (jsonb_populate_record(x, jsonb_build_object(`+changes+table.more+`))).*
				FROM `+table.name+` x, copied n
				WHERE x.tenant_id = '`+tenant+`' AND x.case_id = '`+of+`'`)
			if err != nil {
				return fmt.Errorf("%s: %w", table.name, err)
			}
		}
		return nil
	})
}

// copiedTable is a table of the life of a case, with its times, and what else differs
// between two cases.
type copiedTable struct {
	name    string
	moments []string
	more    string
}

var copiedTables = []copiedTable{
	{"case_file", []string{"opened_at", "complete_at", "accepted_at", "locked_at", "revealed_at", "final_at"},
		", 'task_id', n.id, 'placer_value', n.id, 'study_uid', n.id, 'study_id', NULL, 'accession', NULL"},
	{"case_event", []string{"occurred_at"}, ""},
	{"grade", []string{"graded_at"}, ""},
	{"ground_truth", []string{"recorded_at"}, ""},
}

var copiedFacts = []copiedTable{
	{"measure_fact", factMoments, ", 'study_key', hashtextextended(n.id::text, 0)"},
}

var factMoments = []string{"known_from", "period_at", "opened_at", "complete_at", "signed_at", "acknowledged_at", "counts_at"}

// seedStudies makes the cases of all studies.
func (w *world) seedStudies(t *testing.T, all []studied) (cases int) {
	t.Helper()
	rebuild := os.Getenv("OVERREAD_REBUILD") != ""
	conn, err := pgx.Connect(t.Context(), w.database.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	tasks := map[kind]string{}
	for _, adjudicated := range []bool{false, true} { // a case keeps the policy that it began with
		w.adjudicating(t, map[bool]string{false: "never", true: "minor"}[adjudicated])
		for _, s := range all {
			for _, c := range s.cases {
				if tasks[c.kind] == "" && (c.kind.third != "") == adjudicated {
					tasks[c.kind] = c.kind.live(t, w, 500+len(tasks))
				}
			}
		}
	}
	for _, s := range all {
		for _, c := range s.cases {
			if err := copyCases(t.Context(), conn, tasks[c.kind], c, s.month, !s.built && !rebuild); err != nil {
				t.Fatalf("%s: %+v: %v", s.id, c, err)
			}
			cases += c.times
		}
	}
	if rebuild {
		w.verb(t, "measure", "rebuild", "mercy")
		return cases
	}
	// From here on it is as after an upgrade: the facts of the last ids are to be made.
	_, err = conn.Exec(t.Context(), `
		INSERT INTO measure_build (tenant_id, up_to)
		VALUES ($1, 'ffffffff-0000-0000-0000-000000000000')
		ON CONFLICT (tenant_id) DO UPDATE SET up_to = excluded.up_to, done_at = NULL`, w.tenants["mercy"])
	if err != nil {
		t.Fatal(err)
	}
	engine := workflow.NewEngine(w.database.DB, time.Now, slog.New(slog.DiscardHandler))
	eventually(t, "the facts are to be made", func() error { // the server's own job works on it too
		if _, err := engine.BuildFacts(t.Context()); err != nil {
			return err
		}
		return workflow.FactsReady(t.Context(), engine, w.tenants["mercy"])
	})
	return cases
}

// evaluated is what $evaluate-measure says of a month.
type evaluated struct {
	initial, denominator, numerator int
	score                           float64
	interval                        []float64
	kappa                           float64
	kappaInterval                   []float64
}

// evaluate asks as the role quality. It is an error where a figure is no number.
func (w *world) evaluate(t *testing.T, month time.Time, measureID string, params ...string) (e evaluated) {
	t.Helper()
	query := url.Values{"periodStart": {month.Format("2006-01")}, "periodEnd": {month.Format("2006-01")}}
	for i := 0; i < len(params); i += 2 {
		query.Add(params[i], params[i+1])
	}
	report, err := w.clients["mercy-quality"].get(t.Context(), "Measure/"+measureID+"/$evaluate-measure?"+query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	number := func(n *fhir.Node, path ...string) float64 {
		x, err := strconv.ParseFloat(n.Text(path...), 64)
		if err != nil {
			t.Fatalf("%s: no number at %v: %s", measureID, path, report.Bytes())
		}
		return x
	}
	ends := func(n *fhir.Node) []float64 {
		return []float64{number(n, "extension", "valueRange", "low", "value"), number(n, "extension", "valueRange", "high", "value")}
	}
	group := report.Each("group")[0]
	for _, p := range group.Each("population") {
		count := int(number(p, "count"))
		switch p.Text("code", "coding", "code") {
		case "initial-population":
			e.initial = count
		case "denominator":
			e.denominator = count
		case "numerator":
			e.numerator = count
		}
	}
	score := group.Get("measureScore")
	e.score, e.interval = number(score, "value"), ends(score)
	for _, x := range group.Each("extension") {
		if strings.HasSuffix(x.Text("url"), "/measure-kappa") {
			e.kappa, e.kappaInterval = number(x, "valueQuantity", "value"), ends(x.Get("valueQuantity"))
		}
	}
	return e
}

func TestTheWholeSystemSaysWhatSixStudiesPrint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := studiesAsCases(t)
	if cases := w.seedStudies(t, all); cases != 119+71+7465+3165+773+448 {
		t.Fatalf("%d cases", cases)
	}
	studies := studiesByID(t)
	ask := func(study, measureID string, params ...string) evaluated {
		for _, s := range all {
			if s.id == study {
				return w.evaluate(t, s.month, measureID, params...)
			}
		}
		t.Fatal(study)
		return evaluated{}
	}
	compared := 0
	// printed compares figures with what stands at a path, to as many decimals.
	printed := func(study, path string, figures ...float64) {
		said := studies[study].Printed(path)
		if len(said) != len(figures) {
			t.Errorf("%s: %s has %v, the system %v", study, path, said, figures)
			return
		}
		for i, x := range figures {
			_, decimals, _ := strings.Cut(said[i], ".")
			if got := strconv.FormatFloat(x, 'f', len(decimals), 64); got != said[i] {
				t.Errorf("%s: %s is %s, the system says %s (%v)", study, path, said[i], got, x)
			}
			compared++
		}
	}
	slip := func(study, path string, figure float64, exact string) {
		said := studies[study].Printed(path)
		if got := strconv.FormatFloat(figure, 'f', 1, 64); got != exact || said[0] == exact {
			t.Errorf("%s: %s is printed as %v; the system says %s, and the slip that we know is for %s", study, path, said, got, exact)
		}
		compared++
	}

	guerin := ask("guerin-2015", "agreement")
	printed("guerin-2015", "published.concordance_pct", guerin.score)
	printed("guerin-2015", "published.ci95_pct", guerin.interval...)
	printed("guerin-2015", "expect.ci95_pct", guerin.interval...)

	wibmer := ask("wibmer-2015", "adjudication-overturn")
	printed("wibmer-2015", "published.disagree", float64(wibmer.numerator), float64(wibmer.denominator))
	printed("wibmer-2015", "published.kappa", wibmer.kappa)
	printed("wibmer-2015", "expect.kappa", wibmer.kappa)
	printed("wibmer-2015", "expect.ci95", wibmer.kappaInterval...)

	zan := ask("zan-2010", "discrepancy-important")
	printed("zan-2010", "submitted", float64(zan.initial))
	printed("zan-2010", "comparable", float64(zan.denominator))
	printed("zan-2010", "important", float64(zan.numerator))
	printed("zan-2010", "published.important_pct", zan.score)
	printed("zan-2010", "expect.important_pct", zan.score)
	printed("zan-2010", "expect.wilson_pct", zan.interval...)
	printed("zan-2010", "expect.wilson_cc_pct", ask("zan-2010", "discrepancy-important", "interval", "wilson-cc").interval...)
	printed("zan-2010", "published.second_correct_pct", ask("zan-2010", "second-opinion-correct").score)

	chalian := ask("chalian-2016", "discrepancy-important")
	oncologic := ask("chalian-2016", "discrepancy-important", "filter", "oncologic|yes")
	printed("chalian-2016", "published.with_report_pct", 100*float64(chalian.denominator)/float64(chalian.initial))
	printed("chalian-2016", "published.with_report_pct", 100-ask("chalian-2016", "no-comparison").score)
	printed("chalian-2016", "published.important_pct", chalian.score)
	printed("chalian-2016", "expect.wilson_pct", chalian.interval...)
	printed("chalian-2016", "published.oncologic_pct", oncologic.score)
	printed("chalian-2016", "expect.oncologic_wilson_pct", oncologic.interval...)
	printed("chalian-2016", "expect.chi2_oncologic_vs_other", chiSquareOf(t, oncologic,
		evaluated{denominator: chalian.denominator - oncologic.denominator, numerator: chalian.numerator - oncologic.numerator}))

	eakins, anything := ask("eakins-2012", "discrepancy-important"), ask("eakins-2012", "discrepancy-any")
	neuro, body := ask("eakins-2012", "discrepancy-important", "filter", "subspecialty|neuro"), ask("eakins-2012", "discrepancy-important", "filter", "subspecialty|abdominal")
	minor := 100 * float64(anything.numerator-eakins.numerator) / float64(eakins.denominator)
	printed("eakins-2012", "published.major_pct", eakins.score)
	printed("eakins-2012", "expect.major_wilson_pct", eakins.interval...)
	slip("eakins-2012", "published.minor_pct", minor, "20.1")
	printed("eakins-2012", "expect.minor_pct", minor)
	slip("eakins-2012", "published.body_major_pct", body.score, "32.5")
	printed("eakins-2012", "expect.body_major_pct", body.score)
	printed("eakins-2012", "expect.chi2_neuro_vs_body_major", chiSquareOf(t, neuro, body))

	croydon, significant := ask("croydon-2020", "discrepancy-any"), ask("croydon-2020", "discrepancy-important")
	printed("croydon-2020", "published.discrepant", float64(croydon.numerator), croydon.score)
	printed("croydon-2020", "expect.discrepant_wilson_pct", croydon.interval...)
	printed("croydon-2020", "published.significant", float64(significant.numerator))
	printed("croydon-2020", "expect.significant_wilson_pct", significant.interval...)
	t.Logf("%d figures compared", compared)
}

func chiSquareOf(t *testing.T, a, b evaluated) float64 {
	t.Helper()
	test, err := measure.ChiSquare([][]int{{a.numerator, a.denominator - a.numerator}, {b.numerator, b.denominator - b.numerator}}, false)
	if err != nil || test == nil {
		t.Fatalf("%+v and %+v: %v", a, b, err)
	}
	return test.Statistic
}

package fhir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// Flat views for a warehouse, in the manner of SQL on FHIR v2 (ViewDefinition): a row
// for each case and each grade, with columns of plain types. They are pseudonymised: a
// case and a person have the same key in the files that one request makes, and other keys
// in those of the next. They are for the role quality, and each opening is recorded.

// flatSource is a flat view.
type flatSource struct {
	name    string
	does    string
	from    string // resource type that it is about
	columns []flat.Column
	rows    func(context.Context, pgx.Tx, *viewAsked) ([][]any, error)
}

// viewAsked is what a view is asked for.
type viewAsked struct {
	from, to, asOf time.Time
	zone           *time.Location
	start, end     string // the days
	pseudonyms     *disclosure.Pseudonyms
}

func views() []flatSource {
	key := flat.Column{Name: "case_key", Kind: flat.Text, Doc: "The case, by a pseudonym of this export."}
	signed := flat.Column{Name: "signed_on", Kind: flat.Text, Doc: "The day of the first signature, in the tenant's time zone."}
	cases := []flat.Column{key, signed,
		{Name: "excluded", Kind: flat.Text, Doc: "Why it is in no rate; empty: it counts."},
		{Name: "significance", Kind: flat.Text, Doc: "Of the discrepancy that counts: none, minor, major."},
		{Name: "management", Kind: flat.Text, Doc: "What changes for the patient, as who graded it says."},
		{Name: "clinician", Kind: flat.Text, Doc: "The same, as the clinician says."},
		{Name: "reader_level", Kind: flat.Text, Doc: "As the reader graded it."},
		{Name: "adjudicator_level", Kind: flat.Text, Doc: "As a third reader did."},
		{Name: "who_right", Kind: flat.Text, Doc: "Who was right, where that is known."},
		{Name: "hours_to_signed", Kind: flat.Decimal, Doc: "From the order to the first signature, in whole minutes."},
		{Name: "hours_to_acknowledged", Kind: flat.Decimal, Doc: "From the first signature to the first acknowledgement, in whole minutes."},
		{Name: "no_comparison", Kind: flat.Text, Doc: "Why there was no comparison."},
	}
	for _, d := range workflow.FactDimensions {
		cases = append(cases, flat.Column{Name: strings.ReplaceAll(d.Name, "-", "_"), Kind: flat.Text, Doc: d.Title + ": " + d.Doc + "."})
	}
	made := []flat.Column{
		{Name: "as_of", Kind: flat.Instant, Doc: "By what was known at this moment."},
		{Name: "view_version", Kind: flat.Text, Doc: "Of the view."},
		{Name: "query", Kind: flat.Text, Doc: "What was asked, in one form, and its digest."},
	}
	return []flatSource{
		{"cases", "A row for each case that was signed in the period, as it was known at the as-of time.", "Task", append(cases, made...), caseRows},
		{"grades", "A row for each grade of these cases that was given by the as-of time.", "Task", append([]flat.Column{key, signed,
			{Name: "grade_no", Kind: flat.Integer, Doc: "Which of the case's."},
			{Name: "grader_key", Kind: flat.Text, Doc: "Who graded, by a pseudonym of this export: the same as in original_reader and second_reader of cases."},
			{Name: "role", Kind: flat.Text, Doc: "As what."},
			{Name: "graded_on", Kind: flat.Text, Doc: "The day, in the tenant's time zone."},
			{Name: "level", Kind: flat.Text, Doc: "none, minor, major or no-comparison."},
		}, made...), gradeRows},
	}
}

// description is the view as SQL on FHIR v2 writes a ViewDefinition, with columns that are
// made of facts and so have no path into a resource.
func (v flatSource) description() *Node {
	var columns []*Node
	for _, c := range v.columns {
		columns = append(columns, Object("name", c.Name, "type", string(c.Kind), "description", c.Doc))
	}
	return Object("resourceType", "http://hl7.org/fhir/uv/sql-on-fhir/StructureDefinition/ViewDefinition", "name", v.name, "version", viewVersion, "status", "active", "description", v.does, "resource", v.from,
		"select", []*Node{Object("column", columns)})
}

func viewServices() []service {
	var names []string
	for _, v := range views() {
		names = append(names, v.name)
	}
	return []service{{
		name: "flat-view", id: "measure-flat-view", types: []string{"Measure"}, atType: true, by: []access.Role{access.Quality}, scope: reading,
		does: "Gives a flat view of the quality work of a period to a warehouse: cases or grades, a row each, with pseudonyms of this export alone (docs/measures.md has the columns). It is recorded as an opening of the quality compartment.",
		takes: []parameter{
			{Name: "view", Type: "code", Min: 1, Many: true, Codes: names, Doc: "Which. Of several there is a ZIP archive, in which a case and a person have the same key in all files."},
			{Name: "format", Type: "code", Min: 1, Codes: flat.Formats(), Doc: "Of the file."},
			{Name: "periodStart", Type: "date", Min: 1, Doc: "The first day, in the tenant's time zone; of a month or year its first."},
			{Name: "periodEnd", Type: "date", Min: 1, Doc: "The last day, which is in it."},
			{Name: "asOf", Type: "dateTime", Doc: "By what was known at this moment; now where it is left out."},
		},
		handle: (*Server).flatView,
	}}
}

// flatView is Measure/$flat-view.
func (s *Server) flatView(c echo.Context, actor access.Actor, in *Node) error {
	format := given(in, "format").Text()
	var asked []flatSource
	for _, name := range allGiven(in, "view") {
		i := slices.IndexFunc(views(), func(v flatSource) bool { return v.name == name.Text() })
		if i < 0 || slices.ContainsFunc(asked, func(v flatSource) bool { return v.name == name.Text() }) {
			return fault.At(fault.Value, paramAt("view"), "view is cases or grades, each once")
		}
		asked = append(asked, views()[i])
	}
	if !slices.Contains(flat.Formats(), format) {
		return fault.At(fault.Value, paramAt("format"), "format is one of: %s", strings.Join(flat.Formats(), ", "))
	}
	tables := make([]flat.Table, len(asked))
	_, err := inTenant(c.Request().Context(), s, actor, func(tx pgx.Tx) (_ *Node, err error) {
		ctx := c.Request().Context()
		a, err := s.askView(ctx, tx, actor, in)
		if err != nil {
			return nil, err
		}
		for i, v := range asked {
			if err := s.measureOpened(ctx, tx, actor, askedBy(c), "view-"+v.name, ""); err != nil {
				return nil, err
			}
			tables[i] = flat.Table{Name: v.name, Columns: v.columns}
			if tables[i].Rows, err = v.rows(ctx, tx, a); err != nil {
				return nil, err
			}
			for r := range tables[i].Rows {
				tables[i].Rows[r] = append(tables[i].Rows[r], a.asOf, viewVersion, a.query(v.name))
			}
		}
		return nil, nil
	})
	if err != nil {
		return err
	}
	return replyFile(c, format, tables...)
}

// askView reads the parameters. Who reads here too gets no view: its rows tell of cases
// that are withheld from them.
func (s *Server) askView(ctx context.Context, tx pgx.Tx, actor access.Actor, in *Node) (*viewAsked, error) {
	if actor.HidesOriginals() {
		return nil, fault.New(fault.Forbidden, "you read here too, and these rows tell of cases that are withheld from you: let somebody else ask")
	}
	if err := workflow.FactsReadyTx(ctx, tx); err != nil {
		return nil, err
	}
	zone, err := workflow.ZoneTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	ask := askedMeasure{}
	ask.Zone = zone
	if err := errorsIn(ask.readPeriod(in), ask.readMoment(in, s.now())); err != nil {
		return nil, err
	}
	return &viewAsked{ask.From, ask.To, ask.AsOf, zone, ask.start, ask.end, disclosure.NewPseudonyms()}, nil
}

// viewVersion is that of the columns and of what they mean.
const viewVersion = "1.1.0"

// query is what was asked of a view, in one form, and its SHA-256.
func (a *viewAsked) query(view string) string {
	text := "view=" + view + "|" + viewVersion + "&periodStart=" + a.start + "&periodEnd=" + a.end + "&zone=" + a.zone.String() + "&asOf=" + instant(a.asOf)
	sum := sha256.Sum256([]byte(text))
	return text + " sha256:" + hex.EncodeToString(sum[:])
}

func errorsIn(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

// mostViewed bounds the rows of one file.
const mostViewed = 1_000_000

// viewed is the cases of a period as they were known: a sub-select of signed facts.
func viewed() string {
	names := []string{"case_id, signed_at, opened_at, acknowledged_at, excluded, significance, management, clinician, reader_level, adjudicator_level, verified, no_comparison"}
	for _, d := range workflow.FactDimensions {
		names = append(names, d.Column)
	}
	columns := strings.Join(names, ", ")
	const which = " WHERE period_at >= @from AND period_at < @to AND signed_at IS NOT NULL AND known_from <= @as_of"
	return "(SELECT " + columns + " FROM measure_fact" + which + " UNION ALL SELECT " + columns + " FROM measure_fact_past" + which + " AND known_until > @as_of)"
}

func (a *viewAsked) args() pgx.NamedArgs {
	return pgx.NamedArgs{"from": a.from, "to": a.to, "as_of": a.asOf, "most": mostViewed + 1}
}

func (a *viewAsked) day(at time.Time) string { return at.In(a.zone).Format(time.DateOnly) }

func caseRows(ctx context.Context, tx pgx.Tx, a *viewAsked) ([][]any, error) {
	columns := []string{`case_id, signed_at, opened_at, acknowledged_at, excluded, significance, management, clinician, reader_level, adjudicator_level, verified, (SELECT word FROM measure_word WHERE word_no = no_comparison)`}
	for _, d := range workflow.FactDimensions {
		columns = append(columns, `(SELECT word FROM measure_word WHERE word_no = f.`+d.Column+`)`)
	}
	found, err := tx.Query(ctx, `SELECT `+strings.Join(columns, ", ")+` FROM `+viewed()+` f ORDER BY case_id LIMIT @most`, a.args())
	if err != nil {
		return nil, fmt.Errorf("view of cases: %w", err)
	}
	rows, err := pgx.CollectRows(found, func(r pgx.CollectableRow) ([]any, error) {
		var id uuid.UUID
		var signed, opened time.Time
		var acknowledged *time.Time
		var excluded int
		var level, management, clinician, reader, adjudicator, right *int
		words := make([]string, 1+len(workflow.FactDimensions))
		into := []any{&id, &signed, &opened, &acknowledged, &excluded, &level, &management, &clinician, &reader, &adjudicator, &right}
		for i := range words {
			into = append(into, &words[i])
		}
		if err := r.Scan(into...); err != nil {
			return nil, err
		}
		var waited any
		if acknowledged != nil {
			waited = wholeHours(acknowledged.Sub(signed))
		}
		row := []any{a.pseudonyms.Of("case", id.String()), a.day(signed), workflow.Exclusions[excluded],
			nameOf(workflow.FactLevels, level), nameOf(workflow.FactManagements, management), nameOf(workflow.FactManagements, clinician),
			nameOf(workflow.FactLevels, reader), nameOf(workflow.FactLevels, adjudicator), nameOf(workflow.FactRights, right),
			wholeHours(signed.Sub(opened)), waited, words[0]}
		for i, d := range workflow.FactDimensions {
			row = append(row, a.person(d.Name, words[1+i]))
		}
		return row, nil
	})
	return a.sorted(rows, err)
}

// wholeHours are hours to two digits, of whole minutes, begun ones counted as whole, as reports count
// them: times to the second would join the rows of two exports.
func wholeHours(d time.Duration) float64 {
	return math.Round(math.Ceil(d.Minutes())/60*100) / 100
}

// person is a word, or the pseudonym of whom it names.
func (a *viewAsked) person(dimension, word string) any {
	if !facts.IsReader(dimension) || word == workflow.NotSaid || word == "" {
		return word
	}
	return a.pseudonyms.Of("reader", word)
}

// nameOf is the word of a number of a fact, nil where there is none.
func nameOf[T ~string](words []T, no *int) any {
	if no == nil || *no >= len(words) {
		return nil
	}
	return string(words[*no])
}

// sorted puts rows in the order of their pseudonyms: the order of ids tells when cases
// were opened.
func (a *viewAsked) sorted(rows [][]any, err error) ([][]any, error) {
	if err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	if len(rows) > mostViewed {
		return nil, fault.At(fault.TooLarge, paramAt("periodEnd"), "a view has at most %d rows, and this period has more: ask for its quarters or months one by one. A case is in the period of its first signature; keys of cases and persons are of one request alone", mostViewed)
	}
	slices.SortStableFunc(rows, func(x, y []any) int { return strings.Compare(x[0].(string), y[0].(string)) })
	return rows, nil
}

func gradeRows(ctx context.Context, tx pgx.Tx, a *viewAsked) ([][]any, error) {
	found, err := tx.Query(ctx, `
		SELECT f.case_id, f.signed_at, g.grade_no, g.graded_by, g.role, g.graded_at, g.level
		FROM `+viewed()+` f
		JOIN grade g ON g.case_id = f.case_id AND g.graded_at <= @as_of
		ORDER BY f.case_id, g.grade_no
		LIMIT @most`, a.args())
	if err != nil {
		return nil, fmt.Errorf("view of grades: %w", err)
	}
	rows, err := pgx.CollectRows(found, func(r pgx.CollectableRow) ([]any, error) {
		var id, grader uuid.UUID
		var signed, graded time.Time
		var no int
		var role, level string
		if err := r.Scan(&id, &signed, &no, &grader, &role, &graded, &level); err != nil {
			return nil, err
		}
		return []any{a.pseudonyms.Of("case", id.String()), a.day(signed), no, a.pseudonyms.Of("reader", grader.String()), role, a.day(graded), level}, nil
	})
	return a.sorted(rows, err)
}

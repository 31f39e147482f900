package fhir

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// measureServices is $evaluate-measure: FHIR R4 measure-operation-evaluate-measure.html.
func measureServices() []service {
	methods := []string{}
	for _, m := range measure.Methods() {
		methods = append(methods, string(m))
	}
	common := []parameter{
		{Name: "periodStart", Type: "date", Min: 1, Doc: "The first day of the period, in the tenant's time zone; of a month or year its first."},
		{Name: "periodEnd", Type: "date", Min: 1, Doc: "The last day, which is in it; of a month or year its last."},
		{Name: "reportType", Type: "code", Codes: []string{"population", "subject-list", "subject"}, Doc: "population where it is left out: counts. subject-list: with the Tasks of the cases of each population. subject: of the cases of one patient."},
		{Name: "subject", Type: "string", Doc: "Patient/{id}; then the reportType is subject."},
		{Name: "practitioner", Type: "string", Doc: "Practitioner/{id} of a reader: the cases that they have read second."},
		{Name: "stratifier", Type: "code", Many: true, Codes: facts.Dimensions(), Doc: "By what cases are told apart: one or two of the measure's stratifiers."},
		{Name: "filter", Type: "string", Many: true, Doc: "Only cases with this word of a dimension: modality|CT. One of each dimension."},
		{Name: "asOf", Type: "dateTime", Doc: "By what was known at this moment; now where it is left out. It has a time and a zone."},
		{Name: "zone", Type: "string", Doc: "The time zone of its days and months, by its IANA name; the tenant's where it is left out. A report says in which it was counted: given again, it gives the same figures when the tenant has another."},
		{Name: "page", Type: "integer", Doc: "Which part of the strata, where they are more than one answer lists: 1, which has the largest, where it is left out. Ask for the others as of the moment that the first one says (measure-as-of). Then readers have the same pseudonyms on each page."},
		{Name: "interval", Type: "code", Codes: methods, Doc: "The confidence interval of proportions; wilson where it is left out."},
		{Name: "readers", Type: "code", Codes: []string{"pseudonym", "open"}, Doc: "How readers are named: by a pseudonym of this question, moment and person alone, or (open) by who they are."},
	}
	row := service{
		name: "evaluate-measure", base: "http://hl7.org/fhir/OperationDefinition/Measure-evaluate-measure",
		does: "Counts a measure over a period, as of a moment, and answers with a MeasureReport: populations, exclusions by reason, the score with its confidence interval, strata. " +
			"The report has the query and its digest; the same query as of the same moment gives the same figures again. For the role quality, exact: what tells single cases or readers (subject-list, subject, practitioner, readers=open), and every answer with a count of 1 to 10, is recorded as an opening of the quality compartment.",
		types: []string{"Measure"}, by: []access.Role{access.Quality, access.Auditor}, scope: reading, gives: "MeasureReport", handle: (*Server).evaluate,
	}
	one, every := row, row
	one.id, one.instance, one.takes = "measure-evaluate-measure", true, common
	every.id, every.atType = "measure-evaluate", true
	every.takes = append([]parameter{{Name: "measure", Type: "canonical", Min: 1, Doc: "The measure, by its canonical URL, with |version where one is meant, or Measure/{id}."}}, common...)
	return append([]service{one, every}, slices.Concat(tableServices(common), statisticServices(common), viewServices(), savedServices(common))...)
}

// asked is what an evaluation is asked for.
type askedMeasure struct {
	facts.Query
	kind    string // summary, subject-list, individual
	subject string // Patient/{id}
	method  measure.Method
	open    bool   // readers by who they are
	reader  string // Practitioner/{id}, or the pseudonym that was given
	start   string // the days, as the report says them
	end     string
	called  map[string]string // by dimension: what the text of the query calls the reader that it names
}

// evaluate is Measure/{id}/$evaluate-measure and Measure/$evaluate-measure.
func (s *Server) evaluate(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) { return s.evaluated(ctx, tx, c, actor, in) })
}

// evaluated is the report that a request asks for.
func (s *Server) evaluated(ctx context.Context, tx pgx.Tx, c echo.Context, actor access.Actor, in *Node) (*Node, error) {
	d, err := measureAsked(c.Param("id"), given(in, "measure").Text())
	if err != nil {
		return nil, err
	}
	report, _, err := s.evaluation(ctx, tx, actor, askedBy(c), d, in)
	if err != nil {
		return nil, err
	}
	return report, s.listedOpened(ctx, tx, actor, report)
}

// listedOpened records each case that a report lists as opened, as the pages of cases behind a figure
// do: in which population it stands tells its grade, and who asks by its patient has to find that.
func (s *Server) listedOpened(ctx context.Context, tx pgx.Tx, actor access.Actor, report *Node) error {
	var tasks []string
	for _, list := range report.Each("contained") {
		if list.Text("id") != "initial-population" { // all are in it
			continue
		}
		for _, entry := range list.Each("entry") {
			tasks = append(tasks, strings.TrimPrefix(entry.Text("item", "reference"), "Task/"))
		}
	}
	if len(tasks) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, `SELECT task_id, patient_id FROM case_file WHERE task_id = ANY($1) ORDER BY case_id`, tasks)
	if err != nil {
		return fmt.Errorf("cases that are listed: %w", err)
	}
	files, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (file workflow.Case, err error) {
		err = row.Scan(&file.TaskID, &file.PatientID)
		return file, err
	})
	if err != nil {
		return fmt.Errorf("cases that are listed: %w", err)
	}
	return s.qualityOpened(ctx, tx, actor, files...)
}

// evaluation is the report that an actor may have, and of a time what it is made of:
// auditors of what was published, the role quality of what is counted now. What tells
// single cases or readers is recorded as opened, and so is what tells a count so small
// that an auditor is not shown it, whatever made it small.
func (s *Server) evaluation(ctx context.Context, tx pgx.Tx, actor access.Actor, asked Asked, d facts.Definition, in *Node) (report *Node, times []facts.Duration, err error) {
	report, times, ask, err := s.evaluationUnseen(ctx, tx, actor, d, in)
	if err != nil || actor.Role != access.Quality {
		return report, times, err
	}
	if isPart(report) || ask.kind != "summary" || ask.open || ask.reader != "" || tellsFew(report) {
		err = s.measureOpened(ctx, tx, actor, asked, d.ID, ask.subject)
	}
	return report, times, err
}

// evaluationUnseen is the same, as the clock makes it: nobody has seen it yet.
func (s *Server) evaluationUnseen(ctx context.Context, tx pgx.Tx, actor access.Actor, d facts.Definition, in *Node) (report *Node, times []facts.Duration, ask askedMeasure, err error) {
	if actor.Role != access.Quality {
		report, err = s.evaluatePublished(ctx, tx, actor, d, in)
		return report, nil, ask, err
	}
	if err := workflow.FactsReadyTx(ctx, tx); err != nil {
		return nil, nil, ask, err
	}
	if ask, err = s.askMeasure(ctx, tx, d, in); err != nil {
		return nil, nil, ask, err
	}
	report, times, err = s.measureReport(ctx, tx, actor, ask)
	return report, times, ask, err
}

// tellsFew says that a count of the report is one that auditors are not shown
// (disclosure.Standard), or leaves one: the rest of a denominator.
func tellsFew(report *Node) bool {
	small := func(n int) bool { return n > 0 && n <= disclosure.Standard.Limit }
	few := func(part *Node) bool {
		cells := map[string]any{}
		partRow(part, cells)
		count := func(name string) int { n, _ := cells[name].(int); return n }
		of, counted := count("denominator"), count("numerator")
		return small(count("initial_population")) || small(of) || small(count("excluded")) || small(counted) || small(of-counted)
	}
	return slices.ContainsFunc(report.Each("group"), few) || slices.ContainsFunc(report.Each("group", "stratifier", "stratum"), few)
}

// isPart says that a report has a part of its strata: those that it has not tell small counts
// by subtraction, and the smallest are on the last page.
func isPart(report *Node) bool {
	return slices.ContainsFunc(report.Each("extension"), func(e *Node) bool { return e.Text("url") == Canonical+"/StructureDefinition/measure-strata" })
}

// askedBy is who asks over HTTP.
func askedBy(c echo.Context) Asked {
	return Asked{RequestID: requestID(c.Request().Context()), Client: clientAddress(c)}
}

// measureOpened records that what tells single or few cases was opened.
func (s *Server) measureOpened(ctx context.Context, tx pgx.Tx, actor access.Actor, asked Asked, what, subject string) error {
	return s.RecordEvent(ctx, tx, access.Event{Kind: access.MeasureOpened, Tenant: actor.Tenant, Actor: actor, Object: what, Patient: subject, Client: asked.Client, RequestID: asked.RequestID})
}

// measureAsked finds the measure by its id, or by its canonical URL.
func measureAsked(id, canonical string) (facts.Definition, error) {
	version := ""
	if id == "" {
		canonical, version, _ = strings.Cut(canonical, "|")
		for _, base := range []string{Canonical + "/Measure/", "Measure/"} {
			if rest, ok := strings.CutPrefix(canonical, base); ok {
				id = rest
			}
		}
	}
	d, ok := facts.DefinitionOf(id)
	if !ok {
		return d, fault.New(fault.NotFound, "there is no such measure; GET Measure lists them")
	}
	if version != "" && version != d.Version {
		return d, fault.New(fault.NotFound, "of %s there is version %s alone", d.ID, d.Version)
	}
	return d, nil
}

func paramAt(name string) string { return "Parameters.parameter.where(name = '" + name + "')" }

// askMeasure reads the parameters.
func (s *Server) askMeasure(ctx context.Context, tx pgx.Tx, d facts.Definition, in *Node) (a askedMeasure, err error) {
	a = askedMeasure{Query: facts.Query{Measure: d, Where: map[string]string{}}, kind: "summary", method: measure.MethodWilson}
	if a.Zone, err = zoneAsked(ctx, tx, in); err != nil {
		return a, err
	}
	if err := a.readPeriod(in); err != nil {
		return a, err
	}
	if err := a.readMoment(in, s.now()); err != nil {
		return a, err
	}
	for _, v := range allGiven(in, "stratifier") {
		a.By = append(a.By, v.Text())
	}
	if len(a.By) > facts.MostBy {
		return a, fault.At(fault.Value, paramAt("stratifier"), "cases are told apart by two stratifiers at the most")
	}
	if len(a.By) == 2 && a.By[0] == a.By[1] {
		return a, fault.At(fault.Value, paramAt("stratifier"), "two stratifiers are two different ones")
	}
	for _, v := range allGiven(in, "filter") {
		name, word, ok := strings.Cut(v.Text(), "|")
		if strings.ContainsFunc(word, unicode.IsControl) {
			return a, fault.At(fault.Value, paramAt("filter"), "a word of a filter has no control characters")
		}
		if _, twice := a.Where[name]; !ok || twice || !slices.Contains(facts.Dimensions()[1:], name) {
			return a, fault.At(fault.Value, paramAt("filter"), "a filter is dimension|word, one of each dimension; dimensions are: %s", strings.Join(facts.Dimensions()[1:], ", "))
		}
		a.Where[name] = word
	}
	a.Page = 1
	if text := given(in, "page").Text(); text != "" {
		if a.Page, err = strconv.Atoi(text); err != nil || a.Page < 1 {
			return a, fault.At(fault.Value, paramAt("page"), "page is a number from 1")
		}
	}
	if text := given(in, "interval").Text(); text != "" {
		a.method = measure.Method(text)
		if !slices.Contains(measure.Methods(), a.method) {
			return a, fault.At(fault.Value, paramAt("interval"), "interval is one of: %v", measure.Methods())
		}
	}
	switch given(in, "readers").Text() {
	case "", "pseudonym":
	case "open":
		a.open = true
	default:
		return a, fault.At(fault.Value, paramAt("readers"), "readers is pseudonym or open")
	}
	for name, word := range a.Where {
		if facts.IsReader(name) && word != "" && !a.open && !readerPseudonym.MatchString(word) {
			return a, fault.At(fault.Value, paramAt("filter"), "who asks for one reader opens who they are: ask with readers=open, which is recorded")
		}
	}
	if err := a.readPeople(ctx, tx, in); err != nil {
		return a, err
	}
	return a, a.callReaders(ctx, tx)
}

// zoneAsked is the zone that is asked for, else the tenant's.
func zoneAsked(ctx context.Context, tx pgx.Tx, in *Node) (*time.Location, error) {
	name := given(in, "zone").Text()
	if name == "" {
		return workflow.ZoneTx(ctx, tx)
	}
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, fault.At(fault.Value, paramAt("zone"), "zone is the IANA name of a time zone, such as America/New_York")
	}
	return zone, nil
}

// readPeriod: FHIR R4 datatypes.html#date may be a year or a month.
func (a *askedMeasure) readPeriod(in *Node) error {
	days := func(name string) (from, to time.Time, err error) {
		text := given(in, name).Text()
		for _, form := range []struct {
			layout string
			years  int
			months int
			days   int
		}{{time.DateOnly, 0, 0, 1}, {"2006-01", 0, 1, 0}, {"2006", 1, 0, 0}} {
			if from, err = time.ParseInLocation(form.layout, text, a.Zone); err == nil {
				return from, from.AddDate(form.years, form.months, form.days), nil
			}
		}
		return from, to, fault.At(fault.Value, paramAt(name), "%s is a date, such as 2026-11-25, 2026-11 or 2026", name)
	}
	from, _, err := days("periodStart")
	if err != nil {
		return err
	}
	_, to, err := days("periodEnd")
	if err != nil {
		return err
	}
	a.From, a.To = from, to
	a.start, a.end = from.Format(time.DateOnly), to.AddDate(0, 0, -1).Format(time.DateOnly)
	if !from.Before(to) || to.After(from.AddDate(facts.LongestPeriod, 0, 0)) {
		return fault.At(fault.Value, paramAt("periodEnd"), "the period ends after it begins, and within %d years", facts.LongestPeriod)
	}
	return nil
}

// readMoment: a report says its moment to the millisecond, and so it is asked.
func (a *askedMeasure) readMoment(in *Node, now time.Time) error {
	a.AsOf = now.UTC().Truncate(time.Millisecond)
	text := given(in, "asOf").Text()
	if text == "" {
		return nil
	}
	asOf, ok := moment(text)
	if !ok || asOf.After(now) {
		return fault.At(fault.Value, paramAt("asOf"), "asOf is a moment that is not to come, with its time and zone, such as 2026-11-25T12:00:00Z")
	}
	a.AsOf = asOf.UTC().Truncate(time.Millisecond)
	return nil
}

// readPeople finds the cases of a patient, and who a reader is.
func (a *askedMeasure) readPeople(ctx context.Context, tx pgx.Tx, in *Node) error {
	subject, practitioner := given(in, "subject").Text(), given(in, "practitioner").Text()
	switch kind := given(in, "reportType").Text(); {
	case subject != "" && (kind == "" || kind == "subject"):
		a.kind = "individual"
	case subject != "" || kind == "subject":
		return fault.At(fault.Value, paramAt("subject"), "a report of a subject names one, as Patient/{id}, and no other does")
	case kind == "subject-list":
		a.kind = kind
	case kind != "" && kind != "population":
		return fault.At(fault.Value, paramAt("reportType"), "reportType is population, subject-list or subject")
	}
	if practitioner != "" {
		id, err := readerOf(ctx, tx, practitioner, "practitioner", true)
		if err != nil {
			return err
		}
		a.reader, a.Where["second-reader"] = practitioner, id.String()
	}
	if a.kind != "individual" {
		return nil
	}
	id := localID(subject, "Patient")
	if id == nil {
		return fault.At(fault.Value, paramAt("subject"), "refer to the patient as Patient/{id}")
	}
	a.subject = "Patient/" + *id
	rows, err := tx.Query(ctx, `SELECT case_id FROM case_file WHERE patient_id = $1`, *id)
	if err != nil {
		return fmt.Errorf("cases of a patient: %w", err)
	}
	if a.Cases, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID]); err != nil {
		return fmt.Errorf("cases of a patient: %w", err)
	}
	if given(in, "asOf") != nil {
		if moved, err := movedSince(ctx, tx, *id, a.AsOf); err != nil {
			return err
		} else if moved {
			return fault.At(fault.BusinessRule, paramAt("asOf"), "since this moment a case has come to this patient or gone from them, by a merge of records or a correction of the order: a report of the patient can be had as of later moments alone")
		}
	}
	if len(a.Cases) == 0 {
		return fault.At(fault.NotFound, paramAt("subject"), "there are no cases of this patient")
	}
	return nil
}

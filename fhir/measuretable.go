package fhir

import (
	"archive/zip"
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/flat"
)

// A MeasureReport as a file for other programs. It is made of the report, so what the
// report does not tell, the file does not either.

// tableColumns are those of the file, by which a row is made of a part of the report.
var tableColumns = []flat.Column{
	{Name: "measure", Kind: flat.Text, Doc: "Its canonical URL with its version."},
	{Name: "period_start", Kind: flat.Text, Doc: "The first day."},
	{Name: "period_end", Kind: flat.Text, Doc: "The last day."},
	{Name: "as_of", Kind: flat.Instant, Doc: "By what was known at this moment."},
	{Name: "percentile", Kind: flat.Text, Doc: "Of a time: which."},
	{Name: "dimension_1", Kind: flat.Text, Doc: "By what cases are told apart; empty: the whole."},
	{Name: "value_1", Kind: flat.Text, Doc: "The value of it."},
	{Name: "dimension_2", Kind: flat.Text, Doc: "And by what else."},
	{Name: "value_2", Kind: flat.Text, Doc: "The value of it."},
	{Name: "initial_population", Kind: flat.Integer, Doc: "Cases of the period."},
	{Name: "denominator", Kind: flat.Integer, Doc: "Those that are counted; of a time, whose time is."},
	{Name: "excluded", Kind: flat.Integer, Doc: "Those that are not."},
	{Name: "numerator", Kind: flat.Integer, Doc: "Those that have what is counted."},
	{Name: "score", Kind: flat.Decimal, Doc: "Per cent, or hours."},
	{Name: "low", Kind: flat.Decimal, Doc: "Of the 95 % confidence interval."},
	{Name: "high", Kind: flat.Decimal, Doc: "Of the 95 % confidence interval."},
	{Name: "interval_method", Kind: flat.Text, Doc: "How low and high were found: wilson, wilson-cc, clopper-pearson; of a time brookmeyer-crowley."},
	{Name: "unit", Kind: flat.Text, Doc: "UCUM: % or h."},
	{Name: "comparator", Kind: flat.Text, Doc: "<=: so many hours at the most, as a table of hours tells it."},
	{Name: "at_least", Kind: flat.Integer, Doc: "Of a share without counts: of so many cases at the least."},
	{Name: "masked", Kind: flat.Boolean, Doc: "Something is not shown because it is of few cases."},
	{Name: "standing", Kind: flat.Text, Doc: "Of a reader's figures: shown, or judged."},
	{Name: "kappa", Kind: flat.Decimal, Doc: "Of two grades of each case: Cohen's kappa, unweighted."},
	{Name: "kappa_low", Kind: flat.Decimal, Doc: "Its 95 % interval: 1.96 standard errors (Fleiss, Cohen, Everitt 1969)."},
	{Name: "kappa_high", Kind: flat.Decimal, Doc: "Its 95 % interval."},
	{Name: "kappa_linear", Kind: flat.Decimal, Doc: "With linear weights."},
	{Name: "kappa_linear_low", Kind: flat.Decimal, Doc: "Its 95 % interval."},
	{Name: "kappa_linear_high", Kind: flat.Decimal, Doc: "Its 95 % interval."},
	{Name: "kappa_quadratic", Kind: flat.Decimal, Doc: "With quadratic weights."},
	{Name: "kappa_quadratic_low", Kind: flat.Decimal, Doc: "Its 95 % interval."},
	{Name: "kappa_quadratic_high", Kind: flat.Decimal, Doc: "Its 95 % interval."},
	{Name: "kappa_margins", Kind: flat.Decimal, Doc: "p of the test whether both grade as many cases into each category (Stuart 1955, Maxwell 1970)."},
	{Name: "not_finished", Kind: flat.Text, Doc: "Why the month is not judged: month-runs, part-of-month, to-follow."},
	{Name: "strata", Kind: flat.Integer, Doc: "How many there are, where the file has a part of them."},
	{Name: "note", Kind: flat.Text, Doc: "What has to be known to read the figures right."},
	{Name: "query", Kind: flat.Text, Doc: "The query in one form, and its digest."},
}

// tableServices are the ways out of $evaluate-measure as a file.
func tableServices(takes []parameter) []service {
	return []service{{
		name: "measure-table", id: "measure-table", types: []string{"Measure"}, atType: true, by: []access.Role{access.Quality, access.Auditor}, scope: reading,
		does: "Evaluates a measure as $evaluate-measure does, for the same roles, with the same figures hidden and the same record, and answers with a file instead of a MeasureReport: " +
			"a row for the whole and one for each stratum. In CSV a text that a spreadsheet would take for a formula begins with an apostrophe.",
		takes: append([]parameter{
			{Name: "measure", Type: "canonical", Min: 1, Doc: "The measure, by its canonical URL, or Measure/{id}."},
			{Name: "format", Type: "code", Min: 1, Codes: flat.Formats(), Doc: "Of the file."},
		}, takes...),
		handle: (*Server).measureTable,
	}}
}

// fileRoutes are those of services that answer with files.
var fileRoutes = []string{"/fhir/Measure/$measure-table", "/fhir/Measure/$flat-view", "/fhir/Measure/$statistic-table"}

// measureTable is Measure/$measure-table.
func (s *Server) measureTable(c echo.Context, actor access.Actor, in *Node) error {
	format := given(in, "format").Text()
	ctx := c.Request().Context()
	report, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (*Node, error) { return s.evaluated(ctx, tx, c, actor, in) })
	if err != nil {
		return err
	}
	t, err := reportTable(report)
	if err != nil {
		return err
	}
	return replyFile(c, format, t)
}

// replyFile answers with a table as a file, with several as a ZIP archive of files. No
// browser shows it in our name.
func replyFile(c echo.Context, format string, tables ...flat.Table) error {
	name, mediaType, content := "", "", []byte(nil)
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	for _, t := range tables {
		var err error
		name = t.Name + "." + format
		if mediaType, content, err = flat.Write(format, t); err != nil {
			return err
		}
		file, err := archive.Create(name)
		if err != nil {
			return err
		}
		if _, err := file.Write(content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if len(tables) > 1 {
		name, mediaType, content = "views.zip", "application/zip", b.Bytes()
	}
	header := c.Response().Header()
	header.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	header.Set("Content-Length", strconv.Itoa(len(content)))
	header.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	return c.Blob(http.StatusOK, mediaType, content)
}

// reportTable is a MeasureReport as rows.
func reportTable(report *Node) (flat.Table, error) {
	t := flat.Table{Name: "measure", Columns: tableColumns}
	asOf, query, err := reportAsked(report)
	if err != nil {
		return t, err
	}
	head := map[string]any{"measure": report.Text("measure"), "period_start": report.Text("period", "start"), "period_end": report.Text("period", "end"), "as_of": asOf, "query": query}
	method, notes := reportRead(report)
	for _, e := range report.Each("extension") {
		if e.Text("url") == Canonical+"/StructureDefinition/measure-strata" {
			if head["strata"], err = strconv.Atoi(e.Text("valueInteger")); err != nil {
				return t, err
			}
		}
	}
	if notes != nil {
		head["note"] = strings.Join(notes, " ")
	}
	eachPart(report, func(percentile string, dimensions, values []string, part *Node) {
		row := map[string]any{"masked": false}
		maps.Copy(row, head)
		if percentile != "" {
			row["percentile"] = percentile
		}
		for i := range dimensions {
			row["dimension_"+strconv.Itoa(i+1)], row["value_"+strconv.Itoa(i+1)] = dimensions[i], values[i]
		}
		partRow(part, row)
		if row["low"] != nil || row["high"] != nil {
			row["interval_method"] = method
		}
		line := make([]any, len(tableColumns))
		for i, col := range tableColumns {
			line[i] = row[col.Name]
		}
		t.Rows = append(t.Rows, line)
	})
	return t, nil
}

// reportAsked is the moment by which a report knows, and its query in one form.
func reportAsked(report *Node) (asOf time.Time, query string, err error) {
	for _, e := range report.Each("extension") {
		switch e.Text("url") {
		case Canonical + "/StructureDefinition/measure-as-of":
			if asOf, err = time.Parse(time.RFC3339, e.Text("valueInstant")); err != nil {
				return asOf, "", err
			}
		case Canonical + "/StructureDefinition/measure-query":
			query = e.Text("valueString")
		}
	}
	return asOf, query, nil
}

// reportRead is how the intervals of a report were found, and what has to be known to read it.
func reportRead(report *Node) (method string, notes []string) {
	for _, e := range report.Each("extension") {
		switch e.Text("url") {
		case Canonical + "/StructureDefinition/measure-interval-method":
			method = e.Text("valueCode")
		case Canonical + "/StructureDefinition/measure-note":
			notes = append(notes, e.Text("valueString"))
		}
	}
	return method, notes
}

// eachPart goes through the groups of a report, and after each one (without dimensions)
// through its strata.
func eachPart(report *Node, do func(percentile string, dimensions, values []string, part *Node)) {
	for _, group := range report.Each("group") {
		percentile := group.Text("code", "text")
		if percentile != sharesGroup {
			do(percentile, nil, nil, group)
		}
		for _, stratifier := range group.Each("stratifier") {
			dimensions := textsOf(stratifier.Each("code", "coding", "code"))
			for _, stratum := range stratifier.Each("stratum") {
				do(percentile, dimensions, stratumValues(stratum), stratum)
			}
		}
	}
}

func textsOf(nodes []*Node) (list []string) {
	for _, n := range nodes {
		list = append(list, n.Text())
	}
	return list
}

// stratumValues are the values of a stratum, in the order of its dimensions.
func stratumValues(stratum *Node) (values []string) {
	of := func(value *Node) string {
		if text := value.Text("text"); text != "" {
			return text
		}
		return value.Text("coding", "code")
	}
	if value := stratum.Get("value"); value != nil {
		return []string{of(value)}
	}
	for _, part := range stratum.Each("component") {
		values = append(values, of(part.Get("value")))
	}
	return values
}

// populationColumns are the columns of populations.
var populationColumns = map[string]string{
	"initial-population": "initial_population", "denominator": "denominator", "measure-population": "denominator",
	"denominator-exclusion": "excluded", "measure-population-exclusion": "excluded", "numerator": "numerator", "measure-observation": "numerator",
}

// partRow is what a group or stratum tells.
func partRow(part *Node, row map[string]any) {
	for _, p := range part.Each("population") {
		if n, err := strconv.Atoi(p.Text("count")); err == nil {
			row[populationColumns[p.Text("code", "coding", "code")]] = n
		}
	}
	number := func(column string, path ...string) {
		if x, err := strconv.ParseFloat(part.Text(append([]string{"measureScore"}, path...)...), 64); err == nil {
			row[column] = x
		}
	}
	if score := part.Get("measureScore"); score != nil {
		number("score", "value")
		if score.Text("comparator") == "" {
			number("low", "extension", "valueRange", "low", "value")
			number("high", "extension", "valueRange", "high", "value")
		}
		row["unit"] = score.Text("unit")
		if comparator := score.Text("comparator"); comparator != "" {
			row["comparator"] = comparator
		}
	}
	for _, e := range part.Each("extension") {
		switch e.Text("url") {
		case extAbsent:
			row["masked"] = true
		case Canonical + "/StructureDefinition/measure-at-least":
			if n, err := strconv.Atoi(e.Text("valueInteger")); err == nil {
				row["at_least"] = n
			}
		case Canonical + "/StructureDefinition/measure-standing":
			row["standing"] = e.Text("valueCode")
		case Canonical + "/StructureDefinition/measure-not-finished":
			row["not_finished"] = e.Text("valueCode")
		default:
			kappaRow(e, row)
		}
	}
}

// kappaRow is what an extension tells of a kappa.
func kappaRow(e *Node, row map[string]any) {
	id, ours := strings.CutPrefix(e.Text("url"), Canonical+"/StructureDefinition/measure-kappa")
	if !ours {
		return
	}
	column := "kappa" + strings.ReplaceAll(id, "-", "_")
	for name, path := range map[string][]string{column: {"value"}, column + "_low": {"extension", "valueRange", "low", "value"}, column + "_high": {"extension", "valueRange", "high", "value"}} {
		if x, err := strconv.ParseFloat(e.Text(append([]string{"valueQuantity"}, path...)...), 64); err == nil {
			row[name] = x
		}
	}
}

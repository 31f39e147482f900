package fhir

import (
	"context"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// confidence is the level of all intervals.
const confidence = 0.95

// mostListed is how many cases a subject-list has at most.
const mostListed = 10000

// measureReport evaluates: FHIR R4 measurereport.html. Of a time it returns those of the
// cases, too.
func (s *Server) measureReport(ctx context.Context, tx pgx.Tx, actor access.Actor, a askedMeasure) (report *Node, times []facts.Duration, err error) {
	table, err := facts.Count(ctx, tx, a.Query)
	if err != nil {
		return nil, nil, err
	}
	groups, contained, err := s.reportGroups(ctx, tx, actor, a, table)
	if err != nil {
		return nil, nil, err
	}
	if table.Part == nil {
		a.Page = 0 // of a report that has them all nothing is said of pages
	}
	report, err = s.reportHead(ctx, tx, actor, a, groups, contained, facts.NotesOf(a.Query, table)...)
	if err == nil && table.Part != nil {
		report.Append("extension", ownValue("measure-strata", "valueInteger", table.Part.Strata))
		report.Append("extension", ownValue("measure-listed", "valueRange", Object("low", Object("value", table.Part.From), "high", Object("value", table.Part.To))))
	}
	return report, table.Durations, err
}

// reportHead is the report of these groups: what was asked, of when, by what was known, and what has to be known to
// read it.
func (s *Server) reportHead(ctx context.Context, tx pgx.Tx, actor access.Actor, a askedMeasure, groups, contained []*Node, notes ...string) (*Node, error) {
	service, err := s.service(ctx, tx, actor.Tenant)
	if err != nil {
		return nil, err
	}
	if err := a.markUnfinished(groups); err != nil {
		return nil, err
	}
	better := "decrease"
	if a.Measure.Higher {
		better = "increase"
	}
	n := Object("resourceType", "MeasureReport", "meta", Object("security", verySensitive))
	n.Set("contained", contained)
	n.Set("extension", []*Node{
		ownValue("measure-as-of", "valueInstant", instant(a.AsOf)),
		ownValue("measure-settled", "valueBoolean", !a.AsOf.After(s.now().Add(-facts.SettledAfter))),
		ownValue("measure-query", "valueString", a.query()),
	})
	if method := a.intervalMethod(actor); method != "" {
		n.Append("extension", ownValue("measure-interval-method", "valueCode", method))
	}
	for _, note := range notes {
		n.Append("extension", ownValue("measure-note", "valueString", note))
	}
	n.Set("status", "complete")
	n.Set("type", a.kind)
	n.Set("measure", measureURL(a.Measure)+"|"+a.Measure.Version)
	if a.subject != "" {
		n.Set("subject", Object("reference", a.subject))
	}
	n.Set("date", instant(s.now()))
	n.Set("reporter", Object("reference", "Organization/"+service.Text("id")))
	n.Set("period", Object("start", a.start, "end", a.end))
	n.Set("improvementNotation", improvementOf(better))
	n.Set("group", groups)
	return n, nil
}

// intervalMethod is how the intervals of the report were found; "" where it has none: the times
// that auditors are shown are within hours of a table.
func (a askedMeasure) intervalMethod(actor access.Actor) string {
	switch {
	case !a.Measure.Timed():
		return string(a.method)
	case actor.Role == access.Quality:
		return "brookmeyer-crowley"
	}
	return ""
}

// ownValue is an extension of ours.
func ownValue(id, element string, value any) *Node {
	return Object("url", Canonical+"/StructureDefinition/"+id, element, value)
}

// reportGroups are the groups of the measure with their figures.
func (s *Server) reportGroups(ctx context.Context, tx pgx.Tx, actor access.Actor, a askedMeasure, t facts.Table) (groups, contained []*Node, err error) {
	lists := map[string]*Node{}
	if a.kind != "summary" {
		if lists, contained, err = s.listed(ctx, tx, actor, a); err != nil {
			return nil, nil, err
		}
	}
	names, err := s.stratumNames(ctx, tx, actor, a)
	if err != nil {
		return nil, nil, err
	}
	if a.Measure.Timed() {
		groups, err = a.timedGroups(t, lists, names)
		return groups, contained, err
	}
	group := Object("population", populations(a.Measure, t.Counts, lists))
	if group.Set("measureScore", nil); t.Denominator > 0 {
		score, err := a.share(t.Counts)
		if err != nil {
			return nil, nil, err
		}
		group.Set("measureScore", score)
	}
	if t.Pairs != nil && t.BothGraded() {
		kappas, err := kappasOf(t.Pairs)
		if err != nil {
			return nil, nil, err
		}
		group.Set("extension", kappas)
	}
	made, list := a.strata(names), make([]*Node, len(t.Strata))
	for i, one := range t.Strata {
		score, err := made.share(one.Counts)
		if err != nil {
			return nil, nil, err
		}
		list[i] = made.one(one.Key, populations(a.Measure, one.Counts, nil), score)
	}
	sortStrata(list)
	group.Set("stratifier", a.stratifiers(list, t))
	return []*Node{group}, contained, nil
}

// stratifiers are what was asked for, and why cases are excluded.
func (a askedMeasure) stratifiers(strata []*Node, t facts.Table) []*Node {
	var rows []*Node
	if len(a.By) > 0 {
		var codes []*Node
		for _, name := range a.By {
			codes = append(codes, dimensionCode(name))
		}
		rows = append(rows, Object("code", codes, "stratum", strata))
	}
	_, excluded, _ := populationCodes(a.Measure)
	byReason, byWhy := map[string]int{}, map[string]int{}
	for _, r := range t.Reasons {
		byReason[r.Code] += r.Cases
		if r.Why != "" {
			byWhy[r.Why] += r.Cases
		}
	}
	var reasons, whys []*Node
	for _, code := range a.Measure.Exclusions() {
		if byReason[code] > 0 {
			reasons = append(reasons, Object("value", Object("coding", []*Node{coding(csExclusion, code, "")}), "population", []*Node{population(excluded, byReason[code], nil)}))
		}
	}
	for _, why := range slices.Sorted(maps.Keys(byWhy)) {
		whys = append(whys, Object("value", Object("coding", []*Node{coding(Canonical+"/CodeSystem/no-comparison-reason", why, "")}), "population", []*Node{population(excluded, byWhy[why], nil)}))
	}
	if reasons != nil {
		rows = append(rows, Object("code", []*Node{dimensionCode("exclusion-reason")}, "stratum", reasons))
	}
	if whys != nil {
		rows = append(rows, Object("code", []*Node{dimensionCode("no-comparison-reason")}, "stratum", whys))
	}
	return rows
}

// populations are the counts of a group or stratum, with the cases where they are listed.
func populations(d facts.Definition, c facts.Counts, lists map[string]*Node) []*Node {
	of, excluded, counted := populationCodes(d)
	return []*Node{
		population("initial-population", c.Initial, lists["initial-population"]), population(of, c.Denominator, lists[of]),
		population(excluded, c.Excluded(), lists[excluded]), population(counted, c.Numerator, lists[counted]),
	}
}

// populationNodes are the codes of populations as they stand in reports.
var populationNodes = func() map[string]*Node {
	nodes := map[string]*Node{}
	for _, d := range facts.Definitions {
		of, excluded, counted := populationCodes(d)
		for _, code := range []string{"initial-population", of, excluded, counted} {
			nodes[code] = Object("coding", []*Node{coding(measurePopulation, code, "")}).fixed()
		}
	}
	return nodes
}()

func population(code string, cases int, list *Node) *Node {
	n := Object("code", populationNodes[code], "count", cases)
	if list != nil {
		n.Set("subjectResults", Object("reference", "#"+list.Text("id")))
	}
	return n
}

// share is the score of counts in per cent, with its interval; nil where there is none.
func (a askedMeasure) share(c facts.Counts) (*Node, error) {
	p := measure.Proportion(c.Numerator, c.Denominator)
	if p == nil {
		return nil, nil
	}
	interval, err := a.method.Interval(c.Numerator, c.Denominator, confidence)
	if err != nil {
		return nil, err
	}
	percent := func(x float64) *Node { return figure(100*x, "%") }
	q := percent(*p)
	q.Set("extension", []*Node{ownValue("measure-interval", "valueRange", Object("low", percent(interval.Low), "high", percent(interval.High)))})
	return q, nil
}

// figure has six digits after the point at the most.
func figure(x float64, unit string) *Node {
	word := String(unit)
	return Object("value", sixDigits(x), "unit", word, "system", ucum, "code", word)
}

func sixDigits(x float64) *Node {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		panic("fhir: a figure is a number") // JSON has no other
	}
	return &Node{kind: numberNode, text: strconv.FormatFloat(roundTo(x), 'f', -1, 64)}
}

func roundTo(x float64) float64 {
	y, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 6, 64), 64) // of a number of its own
	return y + 0                                                       // no negative zero
}

// kappasOf are the kappas of a square of two grades, and beside them whether both use the grades
// as often. Of three grades there is no index of prevalence and none of bias (facts.NoteMargins).
func kappasOf(pairs [][]int) ([]*Node, error) {
	var rows []*Node
	for _, w := range []struct {
		id      string
		weights measure.Weights
	}{{"measure-kappa", measure.Unweighted}, {"measure-kappa-linear", measure.Linear}, {"measure-kappa-quadratic", measure.Quadratic}} {
		k, err := measure.CohenKappa(pairs, w.weights, confidence)
		if err != nil {
			return nil, err
		}
		if k == nil || k.Kappa == nil {
			continue
		}
		q := Object("value", sixDigits(*k.Kappa), "system", ucum, "code", "1")
		if k.Interval != nil {
			q.Set("extension", []*Node{ownValue("measure-interval", "valueRange", Object("low", Object("value", sixDigits(k.Interval.Low)), "high", Object("value", sixDigits(k.Interval.High))))})
		}
		rows = append(rows, ownValue(w.id, "valueQuantity", q))
	}
	same, err := measure.MarginalHomogeneity(pairs)
	if err != nil {
		return nil, err
	}
	if same != nil {
		rows = append(rows, ownValue("measure-kappa-margins", "valueQuantity", Object("value", sixDigits(same.P), "system", ucum, "code", "1")))
	}
	return rows, nil
}

// listed are the cases of each population as Lists of their Tasks. What the actor may
// not open, because they read there too, makes the whole list one that they may not have.
func (s *Server) listed(ctx context.Context, tx pgx.Tx, actor access.Actor, a askedMeasure) (lists map[string]*Node, contained []*Node, err error) {
	cases, err := facts.List(ctx, tx, a.Query, mostListed+1)
	if err != nil {
		return nil, nil, err
	}
	if len(cases) > mostListed {
		return nil, nil, fault.New(fault.TooLarge, "more than %d cases would be listed; choose a shorter period, or a filter", mostListed)
	}
	of, excluded, counted := populationCodes(a.Measure)
	entries := map[string][]*Node{}
	for _, one := range cases {
		if actor.HidesOriginals() {
			if _, shown, err := s.mayOpen(ctx, tx, actor, one.TaskID); err != nil {
				return nil, nil, err
			} else if !shown {
				return nil, nil, fault.New(fault.Forbidden, "among these cases is one that is withheld from you, because you read here too: ask for counts, or let somebody else ask")
			}
		}
		in := []string{"initial-population", of}
		if one.Excluded != "" {
			in[1] = excluded
		} else if one.InNumerator {
			in = append(in, counted)
		}
		for _, code := range in {
			entries[code] = append(entries[code], Object("item", Object("reference", "Task/"+one.TaskID)))
		}
	}
	lists = map[string]*Node{}
	for _, code := range []string{"initial-population", of, excluded, counted} {
		if entries[code] == nil {
			continue
		}
		lists[code] = Object("resourceType", "List", "id", code, "status", "current", "mode", "snapshot", "entry", entries[code])
		contained = append(contained, lists[code])
	}
	return lists, contained, nil
}

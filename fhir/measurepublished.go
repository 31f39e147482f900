package fhir

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// What auditors are shown: figures of closed quarters and years that were published
// once, with small counts hidden and whatever would give them away (docs/disclosure.md).
// Nothing is counted when they ask.

// extAbsent is why a figure is not there: FHIR R4 extension-data-absent-reason.html.
const extAbsent = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"

// mostPublished is how many quarters of a tenant are published at once: the next tick
// goes on.
const mostPublished = 4

// PublishTick publishes the quarters of all tenants that are due, each in a transaction of
// its own.
func (s *Server) PublishTick(ctx context.Context) (worked int, err error) {
	for range mostPublished {
		n, err := s.eachTenant(ctx, func(tx pgx.Tx, _ uuid.UUID) (int, error) { return facts.PublishTx(ctx, tx, s.now()) })
		if worked += n; err != nil || n == 0 {
			return worked, err
		}
	}
	return worked, nil
}

// publishedOnly are the parameters of $evaluate-measure that auditors may give;
// asOf, zone and page as the report of the publication says them, so that its query can be asked again.
var publishedOnly = []string{"measure", "format", "periodStart", "periodEnd", "reportType", "stratifier", "interval", "asOf", "zone", "page"}

// evaluatePublished is $evaluate-measure for auditors.
func (s *Server) evaluatePublished(ctx context.Context, tx pgx.Tx, actor access.Actor, d facts.Definition, in *Node) (*Node, error) {
	ask, p, err := s.askPublished(ctx, tx, d, in)
	if err != nil {
		return nil, err
	}
	groups, err := ask.publishedGroups(p)
	if err != nil {
		return nil, err
	}
	notes := facts.NotesOf(ask.Query, facts.Table{})
	if d.Pairs || d.ID == "agreement" && len(ask.By) == 0 { // where one looks for it
		notes = append(notes, facts.NoteKappa)
	}
	return s.reportHead(ctx, tx, actor, ask, groups, nil, notes...)
}

// askPublished reads the parameters, and finds what was published of the period.
func (s *Server) askPublished(ctx context.Context, tx pgx.Tx, d facts.Definition, in *Node) (ask askedMeasure, p *facts.Publication, err error) {
	for _, given := range in.Each("parameter") {
		if name := given.Text("name"); !slices.Contains(publishedOnly, name) {
			return ask, nil, fault.At(fault.Forbidden, paramAt(name), "auditors are shown published figures, which are of a whole quarter or year, as of one moment, by at most two stratifiers and without filters: differences between others would tell single cases")
		}
	}
	if ask, err = s.askMeasure(ctx, tx, d, in); err != nil {
		return ask, nil, err
	}
	if ask.kind != "summary" {
		return ask, nil, fault.At(fault.Forbidden, paramAt("reportType"), "auditors are shown counts, and no case")
	}
	if zone, err := workflow.ZoneTx(ctx, tx); err != nil {
		return ask, nil, err
	} else if ask.Zone.String() != zone.String() {
		return ask, nil, fault.At(fault.Forbidden, paramAt("zone"), "auditors are shown published figures, whose days are of the time zone %s", zone)
	}
	if ask.Page != 1 {
		return ask, nil, fault.At(fault.Forbidden, paramAt("page"), "published figures have one page")
	}
	days, err := ask.quarters()
	if err != nil {
		return ask, nil, err
	}
	p, err = facts.PublishedTx(ctx, tx, days)
	if errors.Is(err, pgx.ErrNoRows) {
		return ask, nil, notPublished(ctx, tx)
	}
	if err != nil {
		return ask, nil, err
	}
	asked := ask.AsOf
	ask.AsOf = p.AsOf
	if given(in, "asOf") != nil && instant(asked) != instant(p.AsOf) {
		return ask, nil, fault.At(fault.Forbidden, paramAt("asOf"), "of this period figures were published as of %s, and auditors are shown no others", instant(p.AsOf))
	}
	return ask, p, nil
}

// notPublished says what is published when.
func notPublished(ctx context.Context, tx pgx.Tx) error {
	policy, _, err := workflow.PublicationTx(ctx, tx)
	if err != nil {
		return err
	}
	if policy.Every == workflow.EveryYear {
		return fault.New(fault.NotFound, "of this period figures have not been published: since its quarters have few cases, figures of this service are published by the year (policy: publication.every), some days after its end, and not by the quarter. Ask for a year")
	}
	return fault.New(fault.NotFound, "of this period figures have not been published: a quarter is published some days after its end, a year with its last quarter")
}

// notShown says why a published table is not shown, and what is shown instead.
func (a askedMeasure) notShown(p *facts.Publication, why string) error {
	text := "this table is not shown: " + why
	if len(a.By) == 2 {
		var shown []string
		for _, name := range a.By {
			if _, refused, published := p.By([]string{name}); published && refused == "" {
				shown = append(shown, name)
			}
		}
		if shown != nil {
			text += ". By one dimension there is a table: " + strings.Join(shown, ", ")
		}
	}
	return fault.At(fault.Forbidden, paramAt("stratifier"), "%s. More cells are shown of more cases or in less detail: by the policy figures can be published of a year at once instead of its quarters (publication.every), and without the significance of discrepancies (publication.detail); docs/disclosure.md", text)
}

// quarters are the first days of the quarters of the period, which is one or four.
func (a askedMeasure) quarters() (days []string, err error) {
	months := 0
	for at := a.From; at.Before(a.To); at = at.AddDate(0, 1, 0) {
		months++
	}
	first := a.From.Day() == 1 && a.From.AddDate(0, months, 0).Equal(a.To)
	switch {
	case first && months == 3 && (a.From.Month()-1)%3 == 0:
	case first && months == 12 && a.From.Month() == time.January:
	default:
		return nil, fault.At(fault.Forbidden, paramAt("periodStart"), "auditors are shown published figures, which are of whole quarters and years, such as 2026-01-01 to 2026-03-31, or 2026 to 2026")
	}
	for at := a.From; at.Before(a.To); at = at.AddDate(0, 3, 0) {
		days = append(days, at.Format(time.DateOnly))
	}
	return days, nil
}

// publishedGroups are the groups of the report.
func (a askedMeasure) publishedGroups(p *facts.Publication) ([]*Node, error) {
	if _, byOutcome := facts.Numerator(a.Measure.ID); !byOutcome && a.Measure.ID != facts.NoComparison {
		return a.publishedWhole(p)
	}
	group, err := a.publishedGroup(p)
	return []*Node{group}, err
}

// publishedGroup is the group of the report: what is shown of the whole and its strata.
func (a askedMeasure) publishedGroup(p *facts.Publication) (*Node, error) {
	group, err := a.shownPopulations(p, p.Tables.Total)
	if err != nil {
		return nil, err
	}
	if len(a.By) == 0 {
		return group, nil
	}
	rows, refused, published := p.By(a.By)
	switch {
	case a.Measure.ID == facts.NoComparison || !published:
		return nil, fault.At(fault.Forbidden, paramAt("stratifier"), "no table by these is published: dimensions are those of the tenant's policy (publication.dimensions), and of two that are tied, as reason and oncologic, one alone; tables of two dimensions are those of publication.pairs; no-comparison is published of the whole alone (docs/disclosure.md)")
	case refused != "":
		return nil, a.notShown(p, refused)
	}
	made := a.strata(publishedNames())
	var strata []*Node
	for _, row := range rows {
		shown, err := a.shownPopulations(p, row.Figures)
		if err != nil {
			return nil, err
		}
		stratum := made.one(row.Key, shown.Each("population"), shown.Get("measureScore"))
		extensions := shown.Each("extension")
		if n, told := row.Figures.Of(facts.Every()); told && slices.ContainsFunc(a.By, facts.IsReader) {
			extensions = append(extensions, ownValue("measure-standing", "valueCode", string(disclosure.StandingOf(n))))
		}
		if extensions != nil {
			stratum.Set("extension", extensions)
		}
		strata = append(strata, stratum)
	}
	sortStrata(strata)
	var codes []*Node
	for _, name := range a.By {
		codes = append(codes, dimensionCode(name))
	}
	group.Set("stratifier", []*Node{Object("code", codes, "stratum", strata)})
	return group, nil
}

// shownPopulations are the populations and the score as far as figures tell them, else
// why they do not: masked, FHIR R4 valueset-data-absent-reason.html.
func (a askedMeasure) shownPopulations(p *facts.Publication, f disclosure.Figures) (*Node, error) {
	n := &Node{kind: objectNode}
	of, told := f.Of(facts.Every())
	leaves, byOutcome := facts.Numerator(a.Measure.ID)
	counted, countedTold := f.Of(leaves)
	if !byOutcome { // those with and without comparison are never added up unless both are told
		countedTold = p.NoComparison != nil
		if told = told && countedTold; told {
			counted = *p.NoComparison
			of += counted
		}
	}
	ofCode, _, countedCode := populationCodes(a.Measure)
	var rows []*Node
	if told {
		rows = append(rows, population(ofCode, of, nil))
	}
	if countedTold {
		rows = append(rows, population(countedCode, counted, nil))
	}
	if !told || !countedTold {
		n.Set("extension", []*Node{Object("url", extAbsent, "valueCode", "masked")})
	}
	if rows != nil {
		n.Set("population", rows)
	}
	if !told || !countedTold {
		return n, nil
	}
	score, err := a.share(facts.Counts{Initial: of, Denominator: of, Numerator: counted})
	if err != nil {
		return nil, err
	}
	n.Set("measureScore", score)
	return n, nil
}

// publishedNames names readers by a pseudonym of this answer.
func publishedNames() func(dimension, word string) string {
	pseudonyms := disclosure.NewPseudonyms()
	return func(dimension, word string) string {
		if !facts.IsReader(dimension) || word == workflow.NotSaid || word == disclosure.Other {
			return word
		}
		return pseudonyms.Of("reader", word)
	}
}

// eachTenant does something for each active tenant, in a transaction of its own.
func (s *Server) eachTenant(ctx context.Context, fn func(pgx.Tx, uuid.UUID) (int, error)) (worked int, err error) {
	var tenants []uuid.UUID
	err = s.db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tenant_id FROM tenant WHERE state = 'active' ORDER BY tenant_id`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("tenants: %w", err)
	}
	for _, tenant := range tenants {
		n := 0
		err := s.db.Tenant(ctx, tenant, func(tx pgx.Tx) (err error) {
			n, err = fn(tx, tenant)
			return err
		})
		if err != nil {
			return worked, err
		}
		worked += n
	}
	return worked, nil
}

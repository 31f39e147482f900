package fhir

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

// Saved queries: parameters of $evaluate-measure under an id, whose address can be
// passed on. It names no patient and no reader, and what it gives is decided by who
// opens it: it is evaluated for them. A query with `every` is besides evaluated for each
// month, quarter or year that has ended, for the role of who saved it, and kept
// (keptreport.go).

// queryParameters are what a saved query may have.
var queryParameters = []string{"measure", "stratifier", "filter", "interval", "periodStart", "periodEnd"}

// queryZone is besides kept with a query: the tenant's time zone when it was saved.
const queryZone = "zone"

// savedQuery is a row of saved_query.
type savedQuery struct {
	QueryID uuid.UUID
	Title   string
	Query   string
	Role    string
	Every   *string
	Mail    *string
	MadeBy  uuid.UUID
	MadeAt  time.Time
}

func savedServices(common []parameter) []service {
	var takes []parameter
	for _, p := range append([]parameter{{Name: "measure", Type: "canonical", Min: 1, Doc: "The measure, by its canonical URL, or Measure/{id}."}}, common...) {
		if slices.Contains(queryParameters, p.Name) {
			if strings.HasPrefix(p.Name, "period") {
				p.Min = 0
				p.Doc += " Left out where every is given."
			}
			takes = append(takes, p)
		}
	}
	who := []access.Role{access.Quality, access.Auditor}
	saved := []parameter{
		{Name: "id", Type: "id", Min: 1, Doc: "Of the query."},
		{Name: "title", Type: "string", Min: 1, Doc: "What it was called."},
		{Name: "link", Type: "url", Min: 1, Doc: "Its address."},
		{Name: "query", Type: "string", Min: 1, Doc: "Its parameters."},
		{Name: "every", Type: "code", Doc: "For which periods it is evaluated and kept."},
		{Name: "mail", Type: "string", Doc: "Where it is mailed that a report was kept."},
		{Name: "report", Many: true, Doc: "One that was kept.", Parts: []parameter{
			{Name: "startsOn", Type: "date", Min: 1, Doc: "The first day of its period."},
			{Name: "madeAt", Type: "instant", Min: 1, Doc: "When it was made."},
			{Name: "opened", Type: "boolean", Min: 1, Doc: "Whether somebody has opened it."},
		}},
	}
	id := parameter{Name: "id", Type: "id", Min: 1, Doc: "Of the query."}
	return []service{
		{name: "save-query", id: "measure-save-query", types: []string{"Measure"}, atType: true, affects: true, by: who, scope: reading,
			does: "Saves a query of $evaluate-measure under an address that can be passed on: it names no patient and no reader, and is evaluated for whoever opens it. " +
				"With every, it is evaluated for each month, quarter or year when that has ended (for an auditor, been published), for the role of who saves it, and the report is kept. " +
				"Its days are those of the tenant's time zone of now, whatever becomes of that.",
			takes: append([]parameter{
				{Name: "title", Type: "string", Min: 1, Doc: "What it is called."},
				{Name: "every", Type: "code", Codes: []string{"month", "quarter", "year"}, Doc: "For which periods it is evaluated and kept; it has then no period of its own."},
				{Name: "mail", Type: "string", Doc: "With every: where it is mailed that a report was kept, with its address and no figure. Where it is left out, to the address in the credential of who saves it, if there is one."},
			}, takes...),
			tells: saved, handle: (*Server).saveQuery},
		{name: "saved-query", id: "measure-saved-query", types: []string{"Measure"}, atType: true, by: who, scope: reading,
			does:  "Evaluates a saved query for whoever opens it; or, with startsOn, gives the report that was kept of that period.",
			takes: []parameter{id, {Name: "startsOn", Type: "date", Doc: "The first day of a period of which a report was kept."}},
			gives: "MeasureReport", handle: (*Server).openQuery},
		{name: "saved-queries", id: "measure-saved-queries", types: []string{"Measure"}, atType: true, by: who, scope: reading,
			does:  "Lists the saved queries of one's role, with the reports that were kept of them.",
			tells: []parameter{{Name: "query", Many: true, Doc: "One of them.", Parts: saved}}, handle: (*Server).listQueries},
		{name: "withdraw-query", id: "measure-withdraw-query", types: []string{"Measure"}, atType: true, affects: true, by: who, scope: reading,
			does: "Withdraws a saved query of one's role: its address gives nothing any more, and it is not evaluated again.", takes: []parameter{id},
			tells: saved[:1], handle: (*Server).withdrawQuery},
	}
}

// saveQuery is Measure/$save-query.
func (s *Server) saveQuery(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		id, err := uuid.NewV7()
		if err != nil {
			return nil, err
		}
		q := savedQuery{QueryID: id, Title: given(in, "title").Text(), Role: string(actor.Role), MadeBy: actor.ID, MadeAt: s.now()}
		values := url.Values{}
		for _, p := range in.Each("parameter") {
			if name := p.Text("name"); slices.Contains(queryParameters, name) {
				values.Add(name, parameterValue(p).Text())
			}
		}
		zone, err := workflow.ZoneTx(ctx, tx)
		if err != nil {
			return nil, err
		}
		values.Set(queryZone, zone.String())
		q.Query = values.Encode()
		if every := given(in, "every").Text(); every != "" {
			q.Every = &every
		}
		if (q.Every == nil) != (values.Has("periodStart") && values.Has("periodEnd")) {
			return nil, fault.At(fault.Value, paramAt("every"), "a query has either a period, or every")
		}
		if address := workflow.Address(given(in, "mail").Text()); address != "" {
			if q.Every == nil || !address.Valid() {
				return nil, fault.At(fault.Value, paramAt("mail"), "mail is an address, of a query with every: of others no report is kept")
			}
			q.Mail = (*string)(&address)
		}
		if err := s.judgeQuery(ctx, tx, actor, q); err != nil {
			return nil, err
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO saved_query (tenant_id, query_id, title, query, role, every, mail, made_by, made_at)
			VALUES (@tenant, @id, @title, @query, @role, @every, @mail, @by, @at)`,
			pgx.NamedArgs{"tenant": actor.Tenant, "id": q.QueryID, "title": q.Title, "query": q.Query, "role": q.Role, "every": q.Every, "mail": q.Mail, "by": q.MadeBy, "at": q.MadeAt})
		if err != nil {
			return nil, fmt.Errorf("save a query: %w", err)
		}
		return Object("resourceType", "Parameters", "parameter", s.queryParts(q, nil)), nil
	})
}

// judgeQuery refuses what would be refused when it is opened, save that there is nothing
// yet.
func (s *Server) judgeQuery(ctx context.Context, tx pgx.Tx, actor access.Actor, q savedQuery) error {
	in, err := q.lastAsked(actor.Role, s.now())
	if err != nil {
		return err
	}
	d, err := measureAsked("", given(in, "measure").Text())
	if err != nil {
		return err
	}
	if actor.Role == access.Auditor {
		_, err = s.evaluatePublished(ctx, tx, actor, d, in)
		if fault.Is(err, fault.NotFound) {
			return nil
		}
		return err
	}
	_, err = s.askMeasure(ctx, tx, d, in)
	return err
}

// parameters are those of $evaluate-measure, of a period where the query has none of its
// own. What auditors are shown was published in the zone of then.
func (q savedQuery) parameters(role access.Role, p period) (*Node, error) {
	values, err := url.ParseQuery(q.Query)
	if err != nil {
		return nil, fmt.Errorf("saved query: %w", err)
	}
	if q.Every != nil {
		values.Set("periodStart", p.first())
		values.Set("periodEnd", p.last())
	}
	names := queryParameters
	if role == access.Quality {
		names = append(slices.Clip(names), queryZone)
	}
	in := Object("resourceType", "Parameters")
	for _, name := range names {
		for _, v := range values[name] {
			in.Append("parameter", Object("name", name, "valueString", v))
		}
	}
	return in, nil
}

// lastAsked is what it asks of a scheduled query's last period.
func (q savedQuery) lastAsked(role access.Role, now time.Time) (*Node, error) {
	if q.Every == nil {
		return q.parameters(role, period{})
	}
	p, err := q.lastPeriod(now)
	if err != nil {
		return nil, err
	}
	return q.parameters(role, p)
}

// period is a month, quarter or year in the zone of a query.
type period struct {
	start  time.Time
	months int
}

func (p period) first() string { return p.start.Format(time.DateOnly) }

func (p period) last() string {
	return p.start.AddDate(0, p.months, -1).Format(time.DateOnly)
}

func (p period) next() period { return period{p.start.AddDate(0, p.months, 0), p.months} }

// lastPeriod is the last one that has ended.
func (q savedQuery) lastPeriod(now time.Time) (p period, err error) {
	months, zone, err := q.rhythm()
	if err != nil {
		return p, err
	}
	now = now.In(zone)
	end := time.Date(now.Year(), (now.Month()-1)/time.Month(months)*time.Month(months)+1, 1, 0, 0, 0, 0, zone)
	return period{end.AddDate(0, -months, 0), months}, nil
}

// rhythm is how many months its periods have, and the zone in which these begin.
func (q savedQuery) rhythm() (months int, zone *time.Location, err error) {
	if months = map[string]int{"month": 1, "quarter": 3, "year": 12}[*q.Every]; months == 0 {
		return 0, nil, fault.At(fault.Value, paramAt("every"), "every is month, quarter or year")
	}
	values, err := url.ParseQuery(q.Query)
	if err != nil {
		return 0, nil, fmt.Errorf("saved query: %w", err)
	}
	if zone, err = time.LoadLocation(values.Get(queryZone)); err != nil {
		return 0, nil, fmt.Errorf("zone of a saved query: %w", err)
	}
	return months, zone, nil
}

// periodOf is the period that begins on a day, of a query with every.
func (q savedQuery) periodOf(day string) (p period, err error) {
	months, zone, err := q.rhythm()
	if err != nil {
		return p, err
	}
	start, err := time.ParseInLocation(time.DateOnly, day, zone)
	return period{start, months}, err
}

// queryParts are a query as parameters.
func (s *Server) queryParts(q savedQuery, kept []*Node) []*Node {
	parts := []*Node{
		Object("name", "id", "valueId", q.QueryID.String()),
		Object("name", "title", "valueString", q.Title),
		Object("name", "link", "valueUrl", s.baseURL+"/Measure/$saved-query?id="+q.QueryID.String()),
		Object("name", "query", "valueString", q.Query),
	}
	if q.Every != nil {
		parts = append(parts, Object("name", "every", "valueCode", *q.Every))
	}
	if q.Mail != nil {
		parts = append(parts, Object("name", "mail", "valueString", *q.Mail))
	}
	return append(parts, kept...)
}

// savedQueryTx finds one that has not been withdrawn.
func savedQueryTx(ctx context.Context, tx pgx.Tx, in *Node) (savedQuery, error) {
	id, err := uuid.Parse(given(in, "id").Text())
	if err != nil {
		return savedQuery{}, notFound()
	}
	rows, err := tx.Query(ctx, `
		SELECT query_id, title, query, role, every, mail, made_by, made_at
		FROM saved_query
		WHERE query_id = @id AND withdrawn_at IS NULL`, pgx.NamedArgs{"id": id})
	if err != nil {
		return savedQuery{}, fmt.Errorf("saved query: %w", err)
	}
	q, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[savedQuery])
	if errors.Is(err, pgx.ErrNoRows) {
		return q, notFound()
	}
	return q, err
}

// openQuery is Measure/$saved-query.
func (s *Server) openQuery(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		q, err := savedQueryTx(ctx, tx, in)
		if err != nil {
			return nil, err
		}
		if day := given(in, "startsOn").Text(); day != "" {
			return s.openKept(ctx, tx, actor, askedBy(c), q, day)
		}
		ask, err := q.lastAsked(actor.Role, s.now())
		if err != nil {
			return nil, err
		}
		return s.evaluated(ctx, tx, c, actor, ask)
	})
}

// listQueries is Measure/$saved-queries.
func (s *Server) listQueries(c echo.Context, actor access.Actor, _ *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		queries, err := queriesTx(ctx, tx, string(actor.Role))
		if err != nil {
			return nil, err
		}
		kept, err := keptParts(ctx, tx, queries)
		if err != nil {
			return nil, err
		}
		out := Object("resourceType", "Parameters")
		for _, q := range queries {
			out.Append("parameter", Object("name", "query", "part", s.queryParts(q, kept[q.QueryID])))
		}
		return out, nil
	})
}

func queriesTx(ctx context.Context, tx pgx.Tx, role string) ([]savedQuery, error) {
	rows, err := tx.Query(ctx, `
		SELECT query_id, title, query, role, every, mail, made_by, made_at
		FROM saved_query
		WHERE (role = @role OR @role = '') AND withdrawn_at IS NULL
		ORDER BY query_id`, pgx.NamedArgs{"role": role})
	if err != nil {
		return nil, fmt.Errorf("saved queries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[savedQuery])
}

// withdrawQuery is Measure/$withdraw-query.
func (s *Server) withdrawQuery(c echo.Context, actor access.Actor, in *Node) error {
	return s.replyWith(c, actor, func(ctx context.Context, tx pgx.Tx) (*Node, error) {
		q, err := savedQueryTx(ctx, tx, in)
		if err != nil {
			return nil, err
		}
		if q.Role != string(actor.Role) {
			return nil, fault.New(fault.Forbidden, "this query was saved by another role")
		}
		_, err = tx.Exec(ctx, `UPDATE saved_query SET withdrawn_at = @now WHERE query_id = @id AND withdrawn_at IS NULL`, pgx.NamedArgs{"id": q.QueryID, "now": s.now()})
		if err != nil {
			return nil, fmt.Errorf("withdraw a query: %w", err)
		}
		return Object("resourceType", "Parameters", "parameter", []*Node{Object("name", "id", "valueId", q.QueryID.String())}), nil
	})
}

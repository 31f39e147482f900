package fhir

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
)

// The cases behind a figure are those that a subject-list has, as of the moment of the figure;
// opening them is recorded of the measure and of each case, and nobody else has them.
func TestTheCasesBehindAFigureAreListedForQualityAloneAndRecorded(t *testing.T) {
	t.Parallel()
	c, id, other := counting(t)
	query := url.Values{"measure": {"Measure/discrepancy-important"}, "periodStart": {"2026"}, "periodEnd": {"2070"}}
	quality := access.Actor{Tenant: c.tenant, ID: uuid.New(), Role: access.Quality, Display: "somebody"}
	list := func(as access.Actor, query url.Values, of, after string) (screen.FigureCases, []string, error) {
		page, err := c.server.FigureCases(t.Context(), as, maps.Clone(query), of, after, Asked{RequestID: "cases"})
		var tasks []string
		for _, line := range page.Lines {
			tasks = append(tasks, line.Task)
		}
		slices.Sort(tasks)
		return page, tasks, err
	}
	page, tasks, err := list(quality, query, "counted", "")
	if err != nil || !slices.Equal(tasks, []string{id}) || !page.Lines[0].Counted || page.Lines[0].Hours != nil {
		t.Errorf("in the numerator: %v %v %+v", err, tasks, page)
	}
	if _, tasks, err = list(quality, query, "no-comparison", ""); err != nil || !slices.Equal(tasks, []string{other}) {
		t.Errorf("without comparison: %v %v", err, tasks)
	}
	page, tasks, err = list(quality, query, "all", "")
	if err != nil || len(tasks) != 3 || page.Groups[0].Cases != 3 || page.Withheld || page.Next != "" {
		t.Errorf("all: %v %v %+v", err, tasks, page.Groups)
	}
	// As of a moment at which the grade was another.
	before := maps.Clone(query)
	var amended string
	if err := c.db.Owner(t).QueryRow(t.Context(), `SELECT to_char((max(known_from) - interval '1 ms') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') FROM measure_fact WHERE significance = 2`).Scan(&amended); err != nil {
		t.Fatal(err)
	}
	before.Set("asOf", amended)
	if page, tasks, err = list(quality, before, "counted", ""); err != nil || len(tasks) != 0 || page.Groups[2].Cases != 0 {
		t.Errorf("before the amendment: %v %v %+v", err, tasks, page)
	}
	if _, tasks, err = list(quality, before, "others", ""); err != nil || !slices.Equal(tasks, []string{id}) {
		t.Errorf("before the amendment, not counted: %v %v", err, tasks)
	}
	timed := maps.Clone(query)
	timed.Set("measure", "Measure/turnaround")
	if page, tasks, err = list(quality, timed, "others", ""); err != nil || len(tasks) != 1 || page.Lines[0].Hours == nil {
		t.Errorf("still open: %v %+v", err, page)
	}
	if n := c.openings("discrepancy-important"); n != 5 {
		t.Errorf("%d of 5 openings are recorded", n)
	}
	of := c.do(access.Director, "GET", "/fhir/AuditEvent?subtype="+auditlog.EraseSystem+"|quality-opened&entity=Task/"+id, "")
	if n := len(of.node.Each("entry")); n != 3 {
		t.Errorf("%d openings of the case are recorded: %s", n, of.body)
	}
	if !slices.ContainsFunc(c.events(c.tenant), func(e string) bool { return strings.Contains(e, "reportType=subject-list") }) {
		t.Error("what was asked is not recorded")
	}
	// Who reads here too is not shown what is withheld from them: a case that they have and have not read.
	_, open, _ := list(quality, timed, "others", "")
	reads := quality
	reads.Reader = c.readers[access.Reader].ID
	c.mustAct(access.Reader, open[0], "$claim", "independent", true)
	if page, tasks, err = list(reads, query, "all", ""); err != nil || !page.Withheld || len(tasks) != 2 || slices.Contains(tasks, open[0]) {
		t.Errorf("to who reads here: %v %v", err, tasks)
	}
	for _, role := range []access.Role{access.Auditor, access.Director, access.Coordinator, access.Reader, access.Placer} {
		as := quality
		as.Role = role
		if page, _, err := list(as, query, "all", ""); !fault.Is(err, fault.Forbidden) || page.Groups != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
	for name, value := range map[string]string{"stratifier": "modality", "readers": "open", "practitioner": "Practitioner/1", "filter": "second-reader|x"} {
		asked := maps.Clone(query)
		asked.Set(name, value)
		if _, _, err := list(quality, asked, "all", ""); err == nil {
			t.Errorf("%s=%s is answered", name, value)
		}
	}
	for _, of := range []string{"nothing", "not-adjudicated", "' OR true"} {
		if _, _, err := list(quality, query, of, ""); !fault.Is(err, fault.Value) {
			t.Errorf("%s: %v", of, err)
		}
	}
	if _, _, err := list(quality, query, "all", "x"); !fault.Is(err, fault.Value) {
		t.Errorf("a place that is none: %v", err)
	}
}

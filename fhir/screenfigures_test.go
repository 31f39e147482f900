package fhir

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
)

func TestAPageOfFiguresHasThoseOfTheOperationAndIsRecorded(t *testing.T) {
	t.Parallel()
	c, _, _ := counting(t)
	query := url.Values{"measure": {"Measure/discrepancy-important"}, "periodStart": {"2026"}, "periodEnd": {"2070"}, "stratifier": {"modality"}}
	as := func(role access.Role) access.Actor {
		return access.Actor{Tenant: c.tenant, ID: uuid.New(), Role: role, Display: "somebody"}
	}
	quality := as(access.Quality)
	f, err := c.server.Figures(t.Context(), quality, query, Asked{RequestID: "page-1"})
	if err != nil {
		t.Fatal(err)
	}
	whole := f.Whole[0]
	if *whole.Initial != 3 || *whole.Counted != 1 || *whole.Numerator != 1 || *whole.Score != 100 || len(whole.Reasons) != 2 || whole.Reasons[0].Code != "not-final" {
		t.Errorf("the whole: %+v", whole)
	}
	if len(f.Rows) == 0 || f.Rows[0].Values[0] != "DX" || !strings.Contains(f.Query, "sha256:") || len(f.Choices.Measures) != 10 {
		t.Errorf("%+v", f)
	}
	file, err := c.server.FiguresFile(t.Context(), quality, query, "csv", Asked{})
	if err != nil || !strings.Contains(string(file.Content), "modality,DX") {
		t.Errorf("%v: %s", err, file.Content)
	}
	timed := maps.Clone(query)
	timed.Set("measure", "Measure/turnaround")
	if f, err := c.server.Figures(t.Context(), quality, timed, Asked{}); err != nil || len(f.Curve) == 0 || len(f.Whole) != 3 || f.By[0] != "modality" || len(f.Rows) == 0 {
		t.Errorf("a time: %v: %+v", err, f)
	}
	for _, more := range []string{"readers", "subject", "practitioner", "reportType"} {
		asked := url.Values{more: {"open"}}
		maps.Copy(asked, query)
		if _, err := c.server.Figures(t.Context(), quality, asked, Asked{}); !fault.Is(err, fault.Forbidden) {
			t.Errorf("%s: %v", more, err)
		}
	}
	if _, err := c.server.Figures(t.Context(), as(access.Coordinator), query, Asked{}); !fault.Is(err, fault.Forbidden) {
		t.Errorf("to a coordinator: %v", err)
	}
	if got, err := c.server.Figures(t.Context(), as(access.Auditor), query, Asked{}); !fault.Is(err, fault.Forbidden) || len(got.Choices.Measures) != 10 || slices.Contains(got.Choices.Dimensions, "protocol") || !slices.Contains(got.Choices.Dimensions, "blinding") {
		t.Errorf("to an auditor, of a period that is none, by what is published: %v, %v", err, got.Choices.Dimensions)
	}
	if !slices.Contains(f.Choices.Dimensions, "protocol") {
		t.Errorf("to the role quality: %v", f.Choices.Dimensions)
	}
	evaluated := 0
	for _, e := range c.events(c.tenant) {
		if strings.Contains(e, "Measure/discrepancy-important") {
			evaluated++
		}
	}
	if evaluated != 2 { // the page and the file
		t.Errorf("%d of 2 evaluations are recorded", evaluated)
	}
}

// What a page shows of a comparison is what its operation gives, and an auditor's page is
// made of published figures.
func TestAPageOfFiguresHasTheStatisticsThatTheyAllow(t *testing.T) {
	t.Parallel()
	c := croydon(t)
	page := func(role access.Role, measure, by string, more ...string) (names []string, f screen.Figures) {
		t.Helper()
		query := url.Values{"measure": {"Measure/" + measure}, "periodStart": {"2025-01"}, "periodEnd": {"2025-03"}}
		if by != "" {
			query.Set("stratifier", by)
		}
		for i := 0; i < len(more); i += 2 {
			query.Set(more[i], more[i+1])
		}
		f, err := c.server.Figures(t.Context(), access.Actor{Tenant: c.tenant, ID: uuid.New(), Role: role, Display: "somebody"}, query, Asked{})
		if err != nil {
			t.Fatalf("%s by %s: %v", measure, by, err)
		}
		for _, s := range f.Statistics {
			names = append(names, s.Name)
		}
		return names, f
	}
	for _, tt := range []struct {
		role        access.Role
		measure, by string
		want        string
	}{
		{access.Quality, "discrepancy-any", "site", "funnel compare-strata standardise"},
		{access.Quality, "discrepancy-any", "modality", "funnel compare-strata"},
		{access.Quality, "discrepancy-any", "month", "control-chart"},
		{access.Quality, "turnaround", "month", "control-chart"},
		{access.Quality, "adjudication-overturn", "", "agreement-of-readers"},
		{access.Quality, "turnaround", "site", ""},
		{access.Auditor, "discrepancy-any", "site", "funnel compare-strata"}, // the table by site and modality is not shown
		{access.Auditor, "discrepancy-important", "site", ""},
		{access.Auditor, "adjudication-overturn", "", ""},
		{access.Auditor, "turnaround", "", ""},
	} {
		if names, _ := page(tt.role, tt.measure, tt.by); strings.Join(names, " ") != tt.want {
			t.Errorf("%s by %s for %s: %v", tt.measure, tt.by, tt.role, names)
		}
	}
	_, f := page(access.Quality, "discrepancy-any", "modality", "first", "MR", "second", "CT")
	for _, figure := range f.Statistics[1].Whole {
		if figure.Name == "first" && figure.Text != "MR" || figure.Name == "second" && figure.Text != "CT" {
			t.Errorf("%+v", figure)
		}
	}
	if strings.Join(f.Groups, " ") != "CT MR US" {
		t.Errorf("%v", f.Groups)
	}
}

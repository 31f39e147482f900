package fhir

import (
	"maps"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

func TestAPageOfFiguresHasThoseOfTheOperationAndIsRecorded(t *testing.T) {
	t.Parallel()
	c, _, _ := counting(t)
	query := url.Values{"measure": {"Measure/discrepancy-important"}, "periodStart": {"2026"}, "periodEnd": {"2027"}, "stratifier": {"modality"}}
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
	if got, err := c.server.Figures(t.Context(), as(access.Auditor), query, Asked{}); !fault.Is(err, fault.Forbidden) || len(got.Choices.Measures) != 10 {
		t.Errorf("to an auditor, of a period that is none: %v", err)
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

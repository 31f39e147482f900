package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/screen"
)

// row is a group of so many cases, of which so many are counted.
func row(name string, counted, of int) screen.FigureRow {
	return screen.FigureRow{Values: []string{name}, Counted: &of, Numerator: &counted, Unit: "%"}
}

func figuresBy(dimension string, whole screen.FigureRow, rows ...screen.FigureRow) *figuresPage {
	p := &figuresPage{Figures: screen.Figures{By: []string{dimension}, Whole: []screen.FigureRow{whole}, Rows: rows}}
	p.charts()
	return p
}

func TestAFunnelFlagsWhoIsOutsideAndNoReaderWithFewCases(t *testing.T) {
	t.Parallel()
	whole := row("", 200, 2000)
	for by, want := range map[string][]string{"modality": {"a", "b"}, "second-reader": {"b"}} {
		p := figuresBy(by, whole, row("a", 40, 100), row("b", 90, 300), row("c", 70, 1600), row("nobody", 0, 0))
		if p.Funnel == nil || p.Control != nil {
			t.Fatalf("by %s: %+v", by, p)
		}
		var flagged []string
		for _, m := range p.Funnel.Points {
			if strings.Contains(m.Class, "outside") && !strings.HasPrefix(m.Name, "c:") {
				flagged = append(flagged, m.Name[:1])
			}
		}
		if diff := cmp.Diff(want, flagged); diff != "" || len(p.Funnel.Points) != 3 {
			t.Errorf("by %s: %s", by, diff)
		}
	}
}

func TestAControlChartGoesThroughTheMonthsAndFlagsWhatChanceDoesNotExplain(t *testing.T) {
	t.Parallel()
	var rows []screen.FigureRow
	for i := range 12 {
		rows = append(rows, row(fmt.Sprintf("2026-%02d", i+1), map[bool]int{true: 60, false: 10 + i%3}[i == 7], 200))
	}
	p := figuresBy("month", row("", 185, 2400), rows...)
	if p.Control == nil || p.Funnel != nil || p.Control.Flagged != 1 || !strings.Contains(p.Control.Points[7].Class, "outside") {
		t.Fatalf("%+v", p.Control)
	}
	for i := 1; i < len(p.Control.Points); i++ {
		if p.Control.Points[i].X <= p.Control.Points[i-1].X {
			t.Error("the months are not in their order")
		}
	}
}

func TestOfHiddenOrFewFiguresThereIsNoPicture(t *testing.T) {
	t.Parallel()
	hidden := screen.FigureRow{Values: []string{"a"}, Masked: true, Unit: "%"}
	if p := figuresBy("modality", row("", 3, 40), hidden, row("b", 3, 30)); p.Funnel != nil {
		t.Error("a funnel of one group")
	}
	if p := figuresBy("modality", hidden, row("a", 3, 30), row("b", 3, 30)); p.Funnel != nil {
		t.Error("a funnel around what is not shown")
	}
}

func TestACurveFallsFromAllAndStaysInItsBox(t *testing.T) {
	t.Parallel()
	p := &figuresPage{Figures: screen.Figures{Curve: []screen.CurvePoint{{Hours: 1, Open: 0.5}, {Hours: 4, Open: 0.1}, {Hours: 900, Open: 0}}}}
	p.charts()
	if want := "M56.0 12.0L211.2 12.0L211.2 146.0"; p.Curve == nil || !strings.HasPrefix(p.Curve.Lines[0].Path, want) || strings.Count(p.Curve.Lines[0].Path, "708.0") != 2 {
		t.Errorf("%+v", p.Curve)
	}
}

func TestPeriodsEndBeforeNowForWhoSeesWhatWasPublished(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC)
	if got := periodsBefore(now, false); got[0] != (period{"2025 Q4", "2025-10-01", "2025-12-31"}) || got[8].Name != "2025" {
		t.Errorf("%v", got)
	}
	if got := periodsBefore(now, true); got[0] != (period{"2026 Q1", "2026-01-01", "2026-03-31"}) || got[8].Name != "2026" {
		t.Errorf("%v", got)
	}
	query, chosen := figuresQuery(url.Values{"period": {"2025"}, "by": {"month"}, "by2": {"month"}, "dimension": {"modality"}, "word": {"CT"}}, periodsBefore(now, true))
	want := url.Values{"measure": {"Measure/discrepancy-important"}, "periodStart": {"2025-01-01"}, "periodEnd": {"2025-12-31"}, "stratifier": {"month"}, "filter": {"modality|CT"}}
	if diff := cmp.Diff(want, query); diff != "" || chosen != "2025" {
		t.Errorf("%s %s", chosen, diff)
	}
}

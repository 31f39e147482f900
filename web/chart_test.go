package web

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure"
)

// row is a group of so many cases, of which so many are counted.
func row(name string, counted, of int) screen.FigureRow {
	return screen.FigureRow{Values: []string{name}, Counted: &of, Numerator: &counted, Unit: "%"}
}

func figuresBy(dimension string, whole screen.FigureRow, rows ...screen.FigureRow) *figuresPage {
	p := &figuresPage{Figures: screen.Figures{By: []string{dimension}, Whole: []screen.FigureRow{whole}, Rows: rows}}
	p.charts(languages[english])
	return p
}

// funnelOf is the page of rows with the table that says where each stands.
func funnelOf(target, tau2 float64, standing map[string][2]string, rows ...screen.FigureRow) *figuresPage {
	percent := 100 * target
	table := screen.Statistic{Name: "funnel", Whole: []screen.StatisticFigure{{Name: "target", Number: &percent}, {Name: "tau2", Number: &tau2}, {Name: "overdispersed", Text: map[bool]string{true: "yes", false: "no"}[tau2 > 0]}}}
	for _, r := range rows {
		table.Rows = append(table.Rows, []screen.StatisticFigure{{Name: "value", Text: r.Values[0]}, {Name: "standing", Text: standing[r.Values[0]][0]}, {Name: "wideStanding", Text: standing[r.Values[0]][1]}})
	}
	p := &figuresPage{Figures: screen.Figures{By: []string{"site"}, Whole: []screen.FigureRow{row("", 1, 10)}, Rows: rows, Statistics: []screen.Statistic{table}}}
	p.charts(languages[english])
	return p
}

// The picture flags whom the table below it names, by the limits that count, and draws these.
func TestAFunnelFlagsWhoTheTableSaysIsOutsideInTheLimitsThatItHas(t *testing.T) {
	t.Parallel()
	rows := []screen.FigureRow{row("a", 40, 100), row("b", 90, 300), row("c", 70, 1600), row("few", 9, 20), row("nobody", 0, 0)}
	standing := map[string][2]string{"a": {"high-alarm", "inside"}, "b": {"high-alarm", "high-alarm"}, "c": {"low-alarm", "low-warning"}, "few": {"not-judged", "not-judged"}}
	for _, tt := range []struct {
		tau2                    float64
		flagged                 string
		unadjusted, lines, pale int
	}{{0, "a b c", 3, 5, 0}, {0.02, "b", 3, 9, 4}} {
		p := funnelOf(0.1, tt.tau2, standing, rows...)
		if p.Funnel == nil || p.Control != nil || len(p.Funnel.Points) != 4 {
			t.Fatalf("%v: %+v", tt.tau2, p.Funnel)
		}
		var flagged []string
		for _, m := range p.Funnel.Points {
			if strings.Contains(m.Class, "outside") {
				flagged = append(flagged, m.Name)
			}
		}
		pale := 0
		for _, l := range p.Funnel.Lines {
			if strings.Contains(l.Class, "unadjusted") {
				pale++
			}
		}
		if got := strings.Join(flagged, " "); got != tt.flagged || p.Funnel.Flagged != len(flagged) || p.Funnel.Unadjusted != tt.unadjusted || len(p.Funnel.Lines) != tt.lines || pale != tt.pale {
			t.Errorf("τ² %v: flagged %q, %+v", tt.tau2, got, p.Funnel)
		}
	}
	few := figuresPage{Figures: screen.Figures{By: []string{"site"}, Whole: []screen.FigureRow{row("", 1, 10)}, Rows: rows, Statistics: []screen.Statistic{{Name: "funnel", Whole: []screen.StatisticFigure{
		{Name: "target", Number: new(float64(10))}, {Name: "tau2", Number: new(0.02)}, {Name: "judgedWhy", Text: "few-groups"},
	}}}}}
	few.charts(languages[english])
	if few.Funnel == nil || few.Funnel.Adjusted || few.Funnel.Why != "few-groups" || len(few.Funnel.Lines) != 5 {
		t.Errorf("of few groups: %+v", few.Funnel)
	}
	// What is drawn are the limits of the table: at 100 cases the adjusted upper one of 99.8 %.
	p := funnelOf(0.1, 0.02, standing, rows...)
	l, err := measure.Dispersion{Target: 0.1, Tau2: 0.02}.Limits(1680) // the right end: 1.05 times 1600
	if err != nil {
		t.Fatal(err)
	}
	most := 0.45 * 1.15
	end := fmt.Sprintf("L708.0 %.1f", p.Funnel.y(l.Alarm.High, most))
	if path := p.Funnel.Lines[6].Path; p.Funnel.Lines[6].Class != "alarm" || !strings.HasSuffix(path, end) {
		t.Errorf("%s does not end in %s: %s", p.Funnel.Lines[6].Class, end, path)
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

// The month that runs is a ring beside the chart of the others, and no more.
func TestAMonthThatIsNotFinishedIsDrawnAndIsInNoLimit(t *testing.T) {
	t.Parallel()
	var rows []screen.FigureRow
	for i := range 8 {
		rows = append(rows, row(fmt.Sprintf("2026-%02d", i+1), 10+i%3, 200))
	}
	whole := figuresBy("month", row("", 87, 1600), rows...)
	last := row("2026-09", 9, 10)
	last.NotFinished = "month-runs"
	p := figuresBy("month", row("", 96, 1610), append(rows, last)...)
	if p.Control == nil || p.Control.Flagged != 0 || p.Control.Unfinished != 1 || whole.Control.Unfinished != 0 || len(p.Control.Points) != 9 {
		t.Fatalf("%+v", p.Control)
	}
	ring := p.Control.Points[8]
	if ring.Class != "unit unfinished" || !ring.Unfinished {
		t.Errorf("%+v", ring)
	}
	for i, l := range p.Control.Lines {
		if l.Class != "centre" && strings.Count(l.Path, "L") != 7 {
			t.Errorf("a line through %d months: %s", strings.Count(l.Path, "L")+1, l.Path)
		}
		if l.Class != whole.Control.Lines[i].Class {
			t.Errorf("%+v", l)
		}
	}
	// The limits are those of the eight: the scale alone is another.
	centre := 87.0 / 1600
	if want := fmt.Sprintf("M56.0 %.1fL", p.Control.y(centre, 0.9*1.1)); !strings.HasPrefix(p.Control.Lines[2].Path, want) {
		t.Errorf("the centre is %s, not %s", p.Control.Lines[2].Path, want)
	}
	if one := figuresBy("month", row("", 19, 210), rows[0], last); one.Control != nil {
		t.Error("a chart of one finished month")
	}
}

// Of a time the median hours of the months are charted, of all that are finished, and of no
// other percentile.
func TestTheMonthsOfATimeHaveAControlChart(t *testing.T) {
	t.Parallel()
	var rows []screen.FigureRow
	month := func(name, percentile string, hours float64, notFinished string) {
		r := row(name, 100, 100)
		r.Percentile, r.Unit, r.Score, r.NotFinished = percentile, "h", &hours, notFinished
		rows = append(rows, r)
	}
	for _, percentile := range []string{"50", "90"} {
		for i, hours := range []float64{20, 22, 19, 21, 20, 60, 21, 20} {
			month(fmt.Sprintf("2026-%02d", i+1), percentile, hours*map[string]float64{"50": 1, "90": 3}[percentile], "")
		}
		month("2026-09", percentile, 5, "month-runs")
	}
	whole := row("", 800, 900)
	whole.Unit = "h"
	p := figuresBy("month", whole, rows...)
	if p.Control == nil || p.Control.Unit != "h" || len(p.Control.Points) != 9 || p.Control.Unfinished != 1 || p.Control.Points[8].Class != "unit unfinished" {
		t.Fatalf("%+v", p.Control)
	}
	x, err := measure.NewXmR([]float64{20, 22, 19, 21, 20, 60, 21, 20}, 0)
	if err != nil {
		t.Fatal(err)
	}
	flagged := 0
	for i, pt := range x.Points {
		if outside := len(pt.Signals) > 0; outside {
			flagged++
		}
		if strings.Contains(p.Control.Points[i].Class, "outside") != (len(pt.Signals) > 0) {
			t.Errorf("month %d: %+v, and the chart has %v", i+1, p.Control.Points[i], pt.Signals)
		}
	}
	if p.Control.Flagged != flagged || flagged == 0 {
		t.Errorf("%d flagged, and the chart has %d", p.Control.Flagged, flagged)
	}
	most := 1.1 * max(60, x.Points[0].Limits.High)
	if want := fmt.Sprintf("M56.0 %.1fL", p.Control.y(x.Centre, most)); !strings.HasPrefix(p.Control.Lines[2].Path, want) {
		t.Errorf("the centre is %s, not %s", p.Control.Lines[2].Path, want)
	}
	if one := figuresBy("month", whole, rows[0], rows[8]); one.Control != nil {
		t.Error("a chart of one finished month")
	}
}

// A month is a period: as a filter it would be refused, so it is not among what may be chosen.
func TestNoMonthIsOfferedAsAFilter(t *testing.T) {
	t.Parallel()
	p := figuresBy("month", row("", 87, 1600), row("2026-01", 10, 200), row("2026-02", 10, 200))
	p.Choices.Dimensions = []string{"month", "modality"}
	p.Choices.Words = map[string][]string{"modality": {"CT"}}
	p.only(nil)
	if len(p.Only) != 1 || p.Only[0].Dimension != "modality" {
		t.Errorf("%+v", p.Only)
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
	p.charts(languages[english])
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
	query, chosen := figuresQuery(url.Values{"period": {"2025"}, "by": {"month"}, "by2": {"month"}, "only": {"modality|CT"}, "asOf": {"2026-02-01T08:30"}}, periodsBefore(now, true))
	want := url.Values{"measure": {"Measure/discrepancy-important"}, "periodStart": {"2025-01-01"}, "periodEnd": {"2025-12-31"}, "stratifier": {"month"}, "filter": {"modality|CT"}, "asOf": {"2026-02-01T08:30:00Z"}}
	if diff := cmp.Diff(want, query); diff != "" || chosen != "2025" {
		t.Errorf("%s %s", chosen, diff)
	}
}

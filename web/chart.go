package web

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"golang.org/x/text/number"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

// chart is a picture of figures as SVG. What it shows stands in a table below it.
type chart struct {
	Points     []mark
	Dots       []line // of many points, those that are not named
	Lines      []line
	Ticks      []tick // along the left
	Marks      []tick // along the bottom
	Flagged    int    // points that are outside of what chance explains
	Why        string // of a funnel: why the limits that count do
	Adjusted   bool   // of a funnel: the limits are adjusted for over-dispersion, and the exact ones drawn beside them
	Unadjusted int    // of a funnel: points outside of the exact limits
	Unit       string // of the left
	Horizontal string // what the bottom is
	Steps      []step // of a curve, as a table
	Unfinished int    // of months: those that are shown and not judged

	in *catalogue // of its numbers
}

// crowded makes of very many points those that are outside stand out by their names, and the
// others dots: of points in one place one is drawn.
func (c *chart) crowded() {
	if len(c.Points) <= mostGroups {
		return
	}
	paths, drawn := map[string]*strings.Builder{}, map[string]bool{}
	var named []mark
	for _, m := range c.Points {
		outside := strings.HasSuffix(m.Class, "outside")
		if (outside || m.Unfinished) && len(named) < mostGroups {
			named = append(named, m)
			continue
		}
		class := "dots"
		if outside {
			class += " outside"
		}
		if paths[class] == nil {
			paths[class] = &strings.Builder{}
		}
		if at := fmt.Sprintf("M%.0f %.0fh0", m.X, m.Y); !drawn[class+at] {
			drawn[class+at] = true
			_, _ = paths[class].WriteString(at) // never fails
		}
	}
	c.Points = named
	for _, class := range []string{"dots", "dots outside"} {
		if paths[class] != nil {
			c.Dots = append(c.Dots, line{paths[class].String(), class})
		}
	}
}

// mark is a point, and the group that it is, which a pointer or a screen reader is told.
type mark struct {
	X, Y           float64
	Name           string
	Events, Trials int
	Rate           string
	Class          string
	Unfinished     bool // a month that is not judged
}

type line struct {
	Path  string
	Class string
}

// step is the share that is still open from an hour on.
type step struct{ Hours, Open string }

type tick struct {
	At   float64
	Text string
}

// The box of a chart within its viewBox of 720 by 320.
const (
	left, right, top, bottom = 56.0, 708.0, 12.0, 280.0
)

// scale puts a value between two ends.
func scale(v, from, to, low, high float64) float64 {
	if to == from {
		return low
	}
	return low + (v-from)/(to-from)*(high-low)
}

func (c *chart) y(share, most float64) float64 { return scale(share, 0, most, bottom, top) }

// ticks are about five round steps up to most.
func ticks(most float64, at func(float64) float64, text func(float64) string) (all []tick) {
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for most/step > 6 {
		switch step / math.Pow(10, math.Floor(math.Log10(step))) {
		case 1, 5:
			step *= 2
		default:
			step *= 2.5
		}
	}
	for v := 0.0; v <= most*1.0001; v += step {
		all = append(all, tick{at(v), text(v)})
	}
	return all
}

func (c *chart) plain(v float64) string {
	return c.in.printer.Sprint(number.Decimal(v, number.Precision(4)))
}

func (c *chart) percent(v float64) string {
	return c.in.printer.Sprint(number.Decimal(100*v, number.MaxFractionDigits(1))) + " %"
}

// charts makes those that the figures allow: a funnel over units, a control chart over
// months, and the curve of a time.
func (p *figuresPage) charts(in *catalogue) {
	if len(p.Figures.Curve) > 0 {
		p.Curve = curveChart(in, p.Figures.Curve)
	}
	if len(p.By) == 1 && p.By[0] == facts.Month && len(p.Whole) > 0 && p.Whole[0].Unit == "h" {
		if p.Control = timeControlChart(in, p.Rows); p.Control != nil {
			p.Control.crowded()
		}
		return
	}
	if len(p.By) != 1 || len(p.Whole) != 1 || p.Whole[0].Unit != "%" {
		return
	}
	var rows []screen.FigureRow
	for _, r := range p.Rows {
		if r.Counted != nil && r.Numerator != nil && *r.Counted > 0 {
			rows = append(rows, r)
		}
	}
	if len(rows) < 2 {
		return
	}
	if p.By[0] == facts.Month {
		if p.Control = controlChart(in, rows); p.Control != nil {
			p.Control.crowded()
		}
		return
	}
	if i := slices.IndexFunc(p.Statistics, func(s screen.Statistic) bool { return s.Name == "funnel" }); i >= 0 {
		if p.Funnel = funnelChart(in, rows, p.Statistics[i]); p.Funnel != nil {
			for n := range p.Funnel.Points {
				p.Funnel.Points[n].Name = in.stratum(p.By[0], p.Called(p.Funnel.Points[n].Name))
			}
			p.Funnel.crowded()
		}
	}
}

// funnelChart shows units by their number of cases within the limits of the table below it,
// and flags those that the table says are outside: of the limits that are adjusted for
// over-dispersion where there is some, which are drawn beside the exact ones then.
func funnelChart(in *catalogue, rows []screen.FigureRow, table screen.Statistic) *chart {
	whole := func(name string) screen.StatisticFigure { return figureNamed(table.Whole, name) }
	if whole("target").Number == nil {
		return nil
	}
	target := *whole("target").Number / 100
	c := &chart{in: in, Unit: "%", Horizontal: "cases", Adjusted: whole("overdispersed").Text == "yes", Why: whole("judgedWhy").Text}
	cases, most := 0, target
	for _, r := range rows {
		cases = max(cases, *r.Counted)
		most = max(most, float64(*r.Numerator)/float64(*r.Counted))
	}
	exact := func(n int) (*measure.FunnelLimits, error) { return measure.Funnel(target, n) }
	if l, err := exact(max(1, cases)); err == nil && l != nil {
		most = max(most, l.Alarm.High)
	}
	most = min(1, most*1.15)
	x := func(n float64) float64 { return scale(n, 0, float64(cases)*1.05, left, right) }
	drawn := c.limits(exact, "", x, cases, most)
	if c.Adjusted && whole("tau2").Number != nil {
		c.Lines = nil
		c.limits(exact, " unadjusted", x, cases, most)
		drawn = c.limits(measure.Dispersion{Target: target, Tau2: *whole("tau2").Number}.Limits, "", x, cases, most)
	}
	if !drawn {
		return nil
	}
	c.Lines = append(c.Lines, line{fmt.Sprintf("M%.1f %.1fL%.1f %.1f", left, c.y(target, most), right, c.y(target, most)), "centre"})
	for _, r := range rows {
		rate := float64(*r.Numerator) / float64(*r.Counted)
		name := strings.Join(r.Values, ", ")
		m := mark{X: x(float64(*r.Counted)), Y: c.y(rate, most), Name: name, Events: *r.Numerator, Trials: *r.Counted, Rate: c.percent(rate), Class: "unit"}
		standing := standingIn(table, name, "standing")
		if beyond(standing) {
			c.Unadjusted++
		}
		if c.Adjusted {
			standing = standingIn(table, name, "wideStanding")
		}
		if beyond(standing) {
			m.Class = "unit outside"
			c.Flagged++
		}
		c.Points = append(c.Points, m)
	}
	c.Ticks = ticks(most, func(v float64) float64 { return c.y(v, most) }, c.percent)
	c.Marks = ticks(float64(cases), x, c.plain)
	return c
}

// limits draws those of a funnel over the number of cases. An upper limit comes in where it
// is low enough for the picture.
func (c *chart) limits(of func(trials int) (*measure.FunnelLimits, error), class string, x func(float64) float64, cases int, most float64) bool {
	var paths [4]strings.Builder
	for i := 1; i <= 80; i++ {
		n := max(1, int(math.Round(float64(cases)*1.05*float64(i*i)/6400)))
		l, err := of(n)
		if err != nil || l == nil {
			return false
		}
		for at, v := range []float64{l.Warning.High, l.Warning.Low, l.Alarm.High, l.Alarm.Low} {
			if v > most && paths[at].Len() == 0 {
				continue
			}
			lineTo(&paths[at], x(float64(n)), c.y(min(v, most), most))
		}
	}
	for at, name := range []string{"warning", "warning", "alarm", "alarm"} {
		if paths[at].Len() > 0 {
			c.Lines = append(c.Lines, line{paths[at].String(), name + class})
		}
	}
	return true
}

func beyond(standing string) bool {
	return standing == string(measure.HighAlarm) || standing == string(measure.LowAlarm)
}

// standingIn is where the table says that a group stands.
func standingIn(table screen.Statistic, group, column string) string {
	for _, row := range table.Rows {
		if figureNamed(row, "value").Text == group {
			return figureNamed(row, column).Text
		}
	}
	return ""
}

func figureNamed(row []screen.StatisticFigure, name string) screen.StatisticFigure {
	if i := slices.IndexFunc(row, func(f screen.StatisticFigure) bool { return f.Name == name }); i >= 0 {
		return row[i]
	}
	return screen.StatisticFigure{}
}

// charted is a month as a control chart shows it: as a share, or in hours.
type charted struct {
	row   screen.FigureRow
	value float64
	text  string
}

// controlChart is a p-chart of the months in their order. Those that are not finished
// are drawn as rings: they are in no centre and no limit, have none, and are not flagged.
func controlChart(in *catalogue, rows []screen.FigureRow) *chart {
	c := &chart{in: in, Unit: "%", Horizontal: "months"}
	var units []measure.Unit
	var months []charted
	for _, r := range rows {
		if r.NotFinished == "" {
			units = append(units, measure.Unit{Events: *r.Numerator, Trials: *r.Counted})
		}
		rate := float64(*r.Numerator) / float64(*r.Counted)
		months = append(months, charted{r, rate, c.percent(rate)})
	}
	if len(units) < 2 {
		return nil
	}
	p, err := measure.NewPChart(units, 0)
	if err != nil || p.Centre == nil {
		return nil
	}
	most := c.months(months, p.Points, *p.Centre, 1)
	c.Ticks = ticks(most, func(v float64) float64 { return c.y(v, most) }, c.percent)
	return c
}

// timeControlChart is an XmR chart of the months' median hours, drawn likewise. Of a month of which
// half have not ended there is none.
func timeControlChart(in *catalogue, rows []screen.FigureRow) *chart {
	c := &chart{in: in, Unit: "h", Horizontal: "months"}
	var values []float64
	var months []charted
	for _, r := range rows {
		if r.Percentile != medianPercentile || r.Score == nil || r.Numerator == nil || r.Counted == nil {
			continue
		}
		if r.NotFinished == "" {
			values = append(values, *r.Score)
		}
		months = append(months, charted{r, *r.Score, c.plain(*r.Score) + " h"})
	}
	x, err := measure.NewXmR(values, 0)
	if err != nil || x == nil {
		return nil
	}
	x.Within(0, math.Inf(1))
	most := c.months(months, x.Points, x.Centre, math.Inf(1))
	c.Ticks = ticks(most, func(v float64) float64 { return c.y(v, most) }, func(v float64) string { return c.plain(v) + " h" })
	return c
}

// medianPercentile is which percentile of a time is charted, as $control-chart does.
const medianPercentile = "50"

// months draws them with the points of those that are finished, and returns the top of the box,
// which is not above the limit.
func (c *chart) months(months []charted, points []measure.ChartPoint, centre, limit float64) float64 {
	most := centre
	for _, pt := range points {
		most = max(most, pt.Limits.High)
	}
	for _, m := range months {
		most = max(most, m.value)
	}
	most = min(limit, most*1.1)
	if most == 0 {
		most = 1
	}
	x := func(i int) float64 { return scale(float64(i), -0.5, float64(len(months))-0.5, left, right) }
	var path, high, low strings.Builder
	for i, of := range months {
		r := of.row
		m := mark{X: x(i), Y: c.y(of.value, most), Name: r.Values[0], Events: *r.Numerator, Trials: *r.Counted, Rate: of.text, Class: "unit"}
		if r.NotFinished != "" {
			m.Class, m.Unfinished = "unit unfinished", true
			c.Unfinished++
		} else {
			pt := points[0]
			points = points[1:]
			lineTo(&path, x(i), m.Y)
			lineTo(&high, x(i), c.y(pt.Limits.High, most))
			lineTo(&low, x(i), c.y(pt.Limits.Low, most))
			if len(pt.Signals) > 0 {
				m.Class = "unit outside"
				c.Flagged++
			}
		}
		c.Points = append(c.Points, m)
		if len(months) <= 12 || i%(len(months)/12+1) == 0 {
			c.Marks = append(c.Marks, tick{x(i), c.in.date(r.Values[0])})
		}
	}
	c.Lines = []line{{high.String(), "alarm"}, {low.String(), "alarm"}, {fmt.Sprintf("M%.1f %.1fL%.1f %.1f", left, c.y(centre, most), right, c.y(centre, most)), "centre"}, {path.String(), "course"}}
	return most
}

// mostSteps is about how many rows the table of a curve has.
const mostSteps = 20

// curveChart is the share that is still open after so many hours.
func curveChart(in *catalogue, points []screen.CurvePoint) *chart {
	c := &chart{in: in, Unit: "%", Horizontal: "hours"}
	last := points[len(points)-1].Hours
	for _, p := range points { // the last few cases may take very long
		if p.Open > 0.01 {
			last = p.Hours
		}
	}
	last = max(last*1.05, 1)
	x := func(h float64) float64 { return scale(min(h, last), 0, last, left, right) }
	var path strings.Builder
	open := 1.0
	lineTo(&path, x(0), c.y(1, 1))
	for i, p := range points {
		if len(points) > 400 && i%(len(points)/400) != 0 && i != len(points)-1 {
			continue // 400 steps are more than the eye sees
		}
		lineTo(&path, x(p.Hours), c.y(open, 1))
		lineTo(&path, x(p.Hours), c.y(p.Open, 1))
		open = p.Open
	}
	for i, p := range points {
		if every := len(points)/mostSteps + 1; i%every == 0 || i == len(points)-1 {
			c.Steps = append(c.Steps, step{in.printer.Sprintf("%.2f", p.Hours), in.printer.Sprintf("%.1f", 100*p.Open) + " %"})
		}
	}
	c.Lines = []line{{path.String(), "course"}}
	c.Ticks = ticks(1, func(v float64) float64 { return c.y(v, 1) }, c.percent)
	c.Marks = ticks(last, x, c.plain)
	return c
}

func lineTo(b *strings.Builder, x, y float64) {
	verb := "L"
	if b.Len() == 0 {
		verb = "M"
	}
	fmt.Fprintf(b, "%s%.1f %.1f", verb, x, y)
}

package simulation

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/overread/overread/workflow"
)

// colours of the strategies, which also differ in lightness.
var colours = map[Strategy]string{Pool: "#9a9a9a", Greedy: "#e08a1e", Batch: "#1f5fa8"}

const (
	plotWidth, plotHeight = 760.0, 760.0
	left, right           = 70.0, 730.0
)

// WritePlot draws results as SVG: the share of breaches of the final clock by
// priority, the cases that wait for a reader hour by hour, and the work of each
// reader.
func WritePlot(w io.Writer, results ...Result) error {
	p := &plot{}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`, plotWidth, plotHeight)
	p.add(`<rect width="100%%" height="100%%" fill="white"/>`)
	p.legend(results)
	p.breaches(results, 70, 230)
	p.waiting(results, 310, 470)
	p.work(results, 550, 710)
	p.add(`</svg>`)
	_, err := io.WriteString(w, p.String())
	return err
}

type plot struct{ strings.Builder }

func (p *plot) add(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
}

func (p *plot) text(x, y float64, anchor, text string) {
	p.add(`<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, text)
}

func (p *plot) legend(results []Result) {
	for i, r := range results {
		x := left + 110*float64(i)
		p.add(`<rect x="%.1f" y="14" width="14" height="14" fill="%s"/>`, x, colours[r.Config.Strategy])
		p.text(x+20, 26, "start", string(r.Config.Strategy))
	}
}

// axes draws a panel and returns how a value of it is placed.
func (p *plot) axes(title, unit string, top, bottom, most float64) func(v float64) float64 {
	most = nice(most)
	at := func(v float64) float64 { return bottom - (bottom-top)*v/most }
	p.add(`<text x="%g" y="%g" font-weight="bold">%s</text>`, left, top-14, title)
	for i := range 5 {
		v := most * float64(i) / 4
		p.add(`<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" stroke="#ddd"/>`, left, right, at(v), at(v))
		p.text(left-6, at(v)+4, "end", fmt.Sprintf("%.3g%s", v, unit))
	}
	return at
}

// nice is a round number at or above.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, step := range []float64{1, 2, 4, 8, 10} {
		if v <= step*unit {
			return step * unit
		}
	}
	return 10 * unit
}

func (p *plot) breaches(results []Result, top, bottom float64) {
	clocks := []workflow.ClockName{workflow.ClockAssign, workflow.ClockFinal}
	most := 0.0
	for _, r := range results {
		for _, clock := range clocks {
			for _, priority := range workflow.Priorities {
				c, _ := r.Clock(clock, priority)
				most = max(most, 100*c.Share)
			}
		}
	}
	at := p.axes("Breaches: share of the cases of each priority", " %", top, bottom, most)
	wide := (right - left) / float64(len(clocks)*len(workflow.Priorities))
	for i, clock := range clocks {
		for j, priority := range workflow.Priorities {
			x := left + wide*float64(i*len(workflow.Priorities)+j)
			for k, r := range results {
				c, _ := r.Clock(clock, priority)
				bar := wide * .7 / float64(len(results))
				p.add(`<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"><title>%s %s %s: %.2f %%</title></rect>`,
					x+wide*.15+bar*float64(k), at(100*c.Share), bar, bottom-at(100*c.Share), colours[r.Config.Strategy], r.Config.Strategy, clock, priority, 100*c.Share)
			}
			p.text(x+wide/2, bottom+15, "middle", priority)
		}
		p.text(left+wide*(float64(i)+.5)*float64(len(workflow.Priorities)), bottom+30, "middle", map[workflow.ClockName]string{workflow.ClockAssign: "until a reader accepts", workflow.ClockFinal: "until the signature"}[clock])
	}
}

func (p *plot) waiting(results []Result, top, bottom float64) {
	most, hours := 1, 1
	for _, r := range results {
		hours = max(hours, len(r.Waiting))
		for _, n := range r.Waiting {
			most = max(most, n)
		}
	}
	at := p.axes("Cases that wait for a reader, hour by hour", "", top, bottom, float64(most))
	for _, r := range results {
		p.line(r, len(r.Waiting), hours, func(i int) float64 { return at(float64(r.Waiting[i])) })
	}
	for day := 0; day*24 <= hours; day += max(1, hours/24/10) {
		p.text(left+(right-left)*float64(day*24)/float64(hours), bottom+15, "middle", fmt.Sprint("day ", day))
	}
}

func (p *plot) work(results []Result, top, bottom float64) {
	most := 0.0
	for _, r := range results {
		for _, v := range r.Work {
			most = max(most, 100*v)
		}
	}
	at := p.axes("Load: share of the shift spent reading, each reader, from the least to the most", " %", top, bottom, most)
	for _, r := range results {
		p.line(r, len(r.Work), len(r.Work), func(i int) float64 { return at(100 * r.Work[i]) })
	}
	p.text(right, bottom+15, "end", "readers")
}

func (p *plot) line(r Result, n, of int, y func(i int) float64) {
	var points strings.Builder
	for i := range n {
		fmt.Fprintf(&points, "%.1f,%.1f ", left+(right-left)*float64(i)/float64(max(1, of-1)), y(i))
	}
	p.add(`<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, strings.TrimSpace(points.String()), colours[r.Config.Strategy])
}

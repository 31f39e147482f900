package simulation

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/overread/overread/workflow"
)

// WriteText writes results side by side, for people.
func WriteText(w io.Writer, results ...Result) error {
	if len(results) == 0 {
		return nil
	}
	c := results[0].Config
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%d cases in %d days, %d readers, %d hospitals, seed %d\n\n", c.Cases, c.Days, c.Readers, c.Hospitals, c.Seed)
	row := func(name string, of func(r Result) string) {
		fmt.Fprintf(t, "%s\t", name)
		for _, r := range results {
			fmt.Fprintf(t, "%s\t", of(r))
		}
		_, _ = fmt.Fprintln(t)
	}
	row("", func(r Result) string { return string(r.Config.Strategy) })
	for _, clock := range shownClocks {
		for _, p := range workflow.Priorities {
			if _, ok := results[0].Clock(clock, p); ok {
				row(fmt.Sprintf("%s breached, %s", clock, p), func(r Result) string {
					c, _ := r.Clock(clock, p)
					return fmt.Sprintf("%d of %d (%.1f %%)", c.Breached, c.Ran, 100*c.Share)
				})
			}
		}
	}
	for i, turnaround := range results[0].Turnaround {
		row("net, "+turnaround.Priority+" (median, p90, p99)", func(r Result) string { return times(r, i, func(t Turnaround) Spread { return t.Net }) })
		row("gross, "+turnaround.Priority+" (median, p90, p99)", func(r Result) string { return times(r, i, func(t Turnaround) Spread { return t.Gross }) })
	}
	row("utilisation (mean, p10 to p90)", func(r Result) string {
		return fmt.Sprintf("%.0f %%, %.0f to %.0f", 100*r.Utilisation.Mean, 100*r.Utilisation.P10, 100*r.Utilisation.P90)
	})
	row("Gini of work per hour on shift", func(r Result) string { return fmt.Sprintf("%.3f", r.Gini) })
	row("offers per signed case", func(r Result) string { return fmt.Sprintf("%.2f", r.Offers) })
	row("declined, lapsed", func(r Result) string { return fmt.Sprintf("%d, %d", r.Declined, r.Lapsed) })
	row("read by two: agreed, one text, pressing, third", func(r Result) string {
		return fmt.Sprintf("%d, %d, %d, %d", r.Two["agreed"], r.Two["consensus"], r.Two["more-pressing"], r.Two["arbitrated"])
	})
	row("cases for which there was once nobody", func(r Result) string { return fmt.Sprint(r.Unassigned) })
	row("events", func(r Result) string { return fmt.Sprint(r.Events) })
	row("most cases at once", func(r Result) string { return fmt.Sprint(r.MostOpen) })
	row("violations", func(r Result) string { return fmt.Sprint(r.violated()) })
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		fmt.Fprintf(w, "\n%s: ", r.Config.Strategy)
		var parts []string
		for _, state := range slices.Sorted(maps.Keys(r.Outcomes)) {
			parts = append(parts, fmt.Sprintf("%s %d", state, r.Outcomes[state]))
		}
		_, _ = fmt.Fprintln(w, strings.Join(parts, ", "))
		for i, why := range r.Nobody {
			if i == 5 {
				break
			}
			fmt.Fprintf(w, "  nobody, because: %s (%d)\n", why.Why, why.Readers)
		}
		for _, v := range r.Examples {
			fmt.Fprintf(w, "  VIOLATION %s\n", v)
		}
	}
	return nil
}

// Clock is how a clock fared for a priority.
func (r Result) Clock(clock workflow.ClockName, priority string) (ClockResult, bool) {
	for _, c := range r.Clocks {
		if c.Clock == string(clock) && c.Priority == priority {
			return c, true
		}
	}
	return ClockResult{}, false
}

func (r Result) violated() (n int) {
	for _, v := range r.Violations {
		n += v
	}
	return n
}

func times(r Result, i int, of func(Turnaround) Spread) string {
	if i >= len(r.Turnaround) {
		return "-"
	}
	s := of(r.Turnaround[i])
	return fmt.Sprintf("%s, %s, %s", length(s.Median), length(s.P90), length(s.P99))
}

// length is minutes in words.
func length(minutes float64) string {
	d := time.Duration(minutes * float64(time.Minute))
	switch {
	case d < 100*time.Minute:
		return fmt.Sprintf("%.0fm", d.Minutes())
	case d < 72*time.Hour:
		return fmt.Sprintf("%.1fh", d.Hours())
	}
	return fmt.Sprintf("%.1fd", d.Hours()/24)
}

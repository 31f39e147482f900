package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/overread/overread/measure/published"
)

// verifyStatisticsCmd is for whoever has to defend a figure: it needs no database, and
// shows our statistics beside those that papers print.
type verifyStatisticsCmd struct{}

// Run prints the table, and fails where a figure is not the printed one.
func (verifyStatisticsCmd) Run(t terminal) error {
	rows, err := published.Rows()
	if err != nil {
		return err
	}
	studies, err := published.Studies()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "study\tfigure\tprinted\texact\tours\tmethod\tverdict\n")
	count := map[string]int{}
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Study, r.Figure, r.Printed, r.Exact, r.Ours, r.Method, r.Verdict())
		switch {
		case !r.Agrees:
			count["wrong"]++
		case r.Slip != "":
			count["slip"]++
		case r.Printed != "":
			count["printed"]++
		default:
			count["exact"]++
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	t.printf("\n")
	for _, s := range studies {
		t.printf("%s: %s\n", s.ID, s.Cite)
	}
	t.printf("\n%d figures: %d as printed, %d as exact arithmetic of the printed counts, %d slips in print, %d wrong\n",
		len(rows), count["printed"], count["exact"], count["slip"], count["wrong"])
	if count["wrong"] > 0 {
		return fmt.Errorf("%d of %d figures are not what is printed: do not trust the statistics of this binary", count["wrong"], len(rows))
	}
	return nil
}

package fhir

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure"
)

// groupColumns are those of each group.
var groupColumns = []flat.Column{
	{Name: "value", Kind: flat.Text, Doc: "Of the stratifier; readers by a pseudonym of this answer."},
	{Name: "masked", Kind: flat.Boolean, Doc: "Its counts are not told, and so nothing of it is."},
	{Name: "cases", Kind: flat.Integer, Doc: "The denominator."},
	{Name: "events", Kind: flat.Integer, Doc: "The numerator."},
	{Name: "rate", Kind: flat.Decimal, Doc: "Per cent."},
}

func funnelKind() statKind {
	return statKind{
		name: "funnel", title: "Limits of the funnel", row: "unit",
		does:  "Puts groups beside each other in a funnel: exact binomial limits of 95 and 99.8 % around a target (Spiegelhalter 2005), from 10 groups on whether they differ more than chance makes them (Q; phi, tau squared of additive random effects), the limits with that in them where they do, and who is outside. A reader under 200 cases is not judged.",
		takes: []parameter{{Name: "target", Type: "decimal", Doc: "The rate, in per cent, that groups are compared with; that of the whole where it is left out."}},
		heads: append(decimals("target", "The rate in per cent that groups are compared with.", "phi", "The mean of the squared z, winsorised at 10 %: about 1 where there is chance only.", "tau2", "The variance between groups, on the arcsine scale: an estimate, which is above 0 by chance alone in many funnels.", "q", "Cochran's Q of the winsorised z, around the mean of the groups.", "qP", "Its P, of chi-square with one degree of freedom fewer than groups."),
			flat.Column{Name: "limitsMethod", Kind: flat.Text, Doc: "How the limits were found: binomial-exact (interpolated, Spiegelhalter 2005), the wide ones with additive-random-effects."},
			flat.Column{Name: "overdispersed", Kind: flat.Boolean, Doc: "Whether groups differ more than chance makes them (Q is significant at 5 %): then the wide limits are those to look at. Left out of fewer than 10 groups, which cannot tell."},
			flat.Column{Name: "judgedBy", Kind: flat.Text, Doc: "The limits that count: exact-limits, or adjusted-limits (the wide ones)."},
			flat.Column{Name: "judgedWhy", Kind: flat.Text, Doc: "Why these: few-groups (fewer than 10: one that stands out would widen the limits around itself), no-heterogeneity (Q is not significant at 5 %), heterogeneity (it is)."},
			flat.Column{Name: "notFinished", Kind: flat.Boolean, Doc: "The period had not ended at the as-of moment: the funnel is of the cases so far. Groups are compared with each other over the same days, so they are judged."},
			flat.Column{Name: "units", Kind: flat.Integer, Doc: "Groups that are told and have cases."},
			flat.Column{Name: "notTold", Kind: flat.Integer, Doc: "Groups whose counts are not told: in no figure here."},
			flat.Column{Name: "outside", Kind: flat.Integer, Doc: "Groups outside of the limits of 99.8 % that count: the wide ones (adjusted for over-dispersion) where there is over-dispersion, else the exact ones (unadjusted)."},
			flat.Column{Name: "outsideUnadjusted", Kind: flat.Integer, Doc: "Groups outside of the exact limits of 99.8 %, not adjusted for over-dispersion."}),
		rows: slices.Concat(groupColumns,
			decimals("low95", "Exact limit.", "high95", "Exact limit.", "low998", "Exact limit of 99.8 %.", "high998", "Exact limit of 99.8 %.",
				"wideLow95", "With the variance between groups in it.", "wideHigh95", "With the variance between groups in it.", "wideLow998", "The same of 99.8 %.", "wideHigh998", "The same of 99.8 %.", "z", "Standard deviations from the target, of chance, and of the variance between groups where the wide limits count."),
			[]flat.Column{
				{Name: "standing", Kind: flat.Text, Doc: "In the exact limits: inside, low-warning, high-warning (95 %), low-alarm, high-alarm (99.8 %); not-judged of a reader under 200 cases."},
				{Name: "wideStanding", Kind: flat.Text, Doc: "The same in the wide limits, where there is over-dispersion."},
			}),
		make: (*Server).funnel,
	}
}

// notTold is of how many groups the counts are not told.
func notTold(groups []statUnit) (n int) {
	for _, u := range groups {
		if !u.told {
			n++
		}
	}
	return n
}

// notJudged is the standing of a reader with too few cases (docs/disclosure.md).
const notJudged = "not-judged"

// funnel is $funnel.
func (s *Server) funnel(ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	report, err := s.shareReport(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	asked, err := decimalGiven(q.in, "target", -1, func(x float64) bool { return x > 0 && x < 100 }, "a rate in per cent, above 0 and below 100")
	if err != nil {
		return nil, err
	}
	return funnelOf(report, asked/100)
}

// funnelOf is the funnel of a report around a target; below 0: the rate of the whole.
func funnelOf(report *Node, target float64) (*statistic, error) {
	whole, by, groups := units(report)
	if target < 0 {
		p := measure.Proportion(whole.Events, whole.Trials)
		if !whole.told || p == nil {
			return nil, fault.New(fault.BusinessRule, "the rate of the whole is not told, or there is none: a funnel needs a target")
		}
		target = *p
	}
	var told []measure.Unit
	for _, u := range groups {
		if u.told && u.Trials > 0 {
			told = append(told, u.Unit)
		}
	}
	spread, err := measure.Overdispersion(told, target)
	if err != nil {
		return nil, err
	}
	st := &statistic{report: report, heads: map[string]any{"target": 100 * target, "units": len(told), "notTold": notTold(groups)}}
	if spread != nil {
		st.heads["phi"], st.heads["tau2"], st.heads["q"], st.heads["qP"] = spread.Phi, spread.Tau2, spread.Q, spread.P
	}
	if runsOn(report) {
		st.heads["notFinished"] = true
	}
	st.heads["limitsMethod"], st.heads["judgedBy"] = "binomial-exact", "exact-limits"
	switch {
	case len(told) < measure.DispersionUnits:
		st.heads["judgedWhy"] = "few-groups"
	case spread != nil && spread.Overdispersed:
		st.heads["limitsMethod"], st.heads["judgedBy"] = "binomial-exact additive-random-effects", "adjusted-limits"
		st.heads["judgedWhy"], st.heads["overdispersed"] = "heterogeneity", true
	case spread != nil:
		st.heads["judgedWhy"], st.heads["overdispersed"] = "no-heterogeneity", false
	}
	outside, unadjusted := 0, 0
	for _, u := range groups {
		row := u.row()
		st.rows = append(st.rows, row)
		if !u.told || u.Trials == 0 {
			continue
		}
		counts, err := putStanding(row, u, target, spread, judged(by, u.Trials))
		if err != nil {
			return nil, err
		}
		if alarming(counts) {
			outside++
		}
		if exact, _ := row["standing"].(string); alarming(exact) {
			unadjusted++
		}
	}
	st.heads["outside"], st.heads["outsideUnadjusted"] = outside, unadjusted
	return st, nil
}

// alarming tells a standing outside of 99.8 %.
func alarming(standing string) bool {
	return standing == string(measure.HighAlarm) || standing == string(measure.LowAlarm)
}

// putStanding puts the limits of a group into its row, and where it stands: in the wide ones
// where there is over-dispersion.
func putStanding(row map[string]any, u statUnit, target float64, spread *measure.Dispersion, may bool) (standing string, err error) {
	of := func(l *measure.FunnelLimits) string {
		if !may {
			return notJudged
		}
		return string(l.Standing(float64(u.Events) / float64(u.Trials)))
	}
	exact, err := measure.Funnel(target, u.Trials)
	if err != nil || exact == nil {
		return "", err
	}
	putInterval(row, "low95", "high95", &exact.Warning)
	putInterval(row, "low998", "high998", &exact.Alarm)
	standing = of(exact)
	row["standing"] = standing
	if spread == nil {
		return standing, nil
	}
	z, err := spread.Z(u.Unit)
	if err != nil {
		return "", err
	}
	if may && z != nil {
		row["z"] = *z
	}
	if !spread.Overdispersed {
		return standing, nil
	}
	wide, err := spread.Limits(u.Trials)
	if err != nil || wide == nil {
		return standing, err
	}
	putInterval(row, "wideLow95", "wideHigh95", &wide.Warning)
	putInterval(row, "wideLow998", "wideHigh998", &wide.Alarm)
	standing = of(wide)
	row["wideStanding"] = standing
	return standing, nil
}

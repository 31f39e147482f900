package fhir

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
)

func compareKind() statKind {
	return statKind{
		name: "compare-strata", title: "Comparison", row: "group",
		does: "Compares the rates of two groups: their difference with the interval of Newcombe from the two of Wilson, the pooled z test, chi-square with and without Yates' correction, Fisher's exact test; and tests by chi-square whether all groups have one rate. Nothing corrects for many comparisons. Readers are compared from 200 cases on.",
		takes: []parameter{
			{Name: "first", Type: "string", Doc: "The value of the stratifier of the one group; of a reader, with readers=open, the name. Where both are left out and there are two groups, these are compared; where there are more, all together."},
			{Name: "second", Type: "string", Doc: "That of the other."},
		},
		heads: slices.Concat([]flat.Column{
			{Name: "limitsMethod", Kind: flat.Text, Doc: "How the intervals of rates were found: wilson, wilson-cc or clopper-pearson. That of the difference is Newcombe's, of two of Wilson."},
			{Name: "first", Kind: flat.Text, Doc: "The one group."}, {Name: "second", Kind: flat.Text, Doc: "The other."}},
			decimals("difference", "The first rate less the second, in percentage points.", "low", "Its 95 % interval (Newcombe 1998, method 10).", "high", "Its 95 % interval.",
				"z", "Of the two-proportion test, pooled.", "p", "Two-sided.", "chiSquare", "Of the two by two, without correction.", "chiSquareP", "Two-sided.",
				"yates", "Chi-square with Yates' correction.", "yatesP", "Two-sided.", "smallestExpected", "The smallest count that is expected in a cell of the two by two; below 5 z, chi-square and Yates are left out.", "fisherP", "Fisher's exact test, two-sided; left out where the smallest margin is so large that chi-square is as good.",
				"allChiSquare", "Of all groups that are told.", "allP", "Whether they have one rate.", "allSmallestExpected", "The smallest count that is expected in a cell of all groups; below 5 their chi-square is left out."),
			[]flat.Column{{Name: "leftOut", Kind: flat.Text, Doc: "Why z, chi-square and Yates are left out: expected-below-5. Fisher's test is exact then too."}, {Name: "allLeftOut", Kind: flat.Text, Doc: "Why chi-square of all groups is left out: expected-below-5."},
				{Name: "allFreedom", Kind: flat.Integer, Doc: "Degrees of freedom of it."}, {Name: "notTold", Kind: flat.Integer, Doc: "Groups whose counts are not told: in no figure here."}}),
		rows: append(slices.Clone(groupColumns), decimals("low", "The 95 % interval of the rate.", "high", "The 95 % interval of the rate.")...),
		make: (*Server).compare,
	}
}

// compare is $compare-strata.
func (s *Server) compare(ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	first, second := given(q.in, "first"), given(q.in, "second")
	if err := refusePseudonyms(q, first); err != nil {
		return nil, err
	}
	report, err := s.shareReport(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	if (first == nil) != (second == nil) {
		return nil, fault.At(fault.Value, paramAt("second"), "two groups are compared: give both, or neither")
	}
	method := measure.MethodWilson
	if text := given(q.plain, "interval").Text(); text != "" {
		method = measure.Method(text) // evaluation has judged it
	}
	if first == nil {
		return compareOf(report, method, nil)
	}
	return compareOf(report, method, []string{first.Text(), second.Text()})
}

// refusePseudonyms says that a reader cannot be asked for by a pseudonym: it is drawn for one
// answer, and no key of it is kept, so the next answer knows none of its names.
func refusePseudonyms(q statQuery, first *Node) error {
	by := given(q.plain, "stratifier").Text()
	if first == nil || !facts.IsReader(by) || given(q.plain, "readers").Text() == "open" && q.actor.Role == access.Quality {
		return nil
	}
	if q.actor.Role != access.Quality {
		return fault.At(fault.Forbidden, paramAt("first"), "two readers cannot be chosen: their pseudonyms are of one answer alone, and auditors are told no names. Without first and second all readers who may be judged are tested together; $funnel shows each beside the others")
	}
	return fault.At(fault.Value, paramAt("first"), "two readers cannot be chosen by pseudonyms, which are of one answer alone: ask with readers=open and give their names as such an answer has them (it is recorded who they are was opened). Without first and second all readers who may be judged are tested together; $funnel shows each beside the others")
}

// compareOf compares two groups of a report by their names; nil: where there are two.
func compareOf(report *Node, method measure.Method, names []string) (*statistic, error) {
	_, by, groups := units(report)
	st := &statistic{report: report, heads: map[string]any{"limitsMethod": string(method)}}
	var table [][]int
	var told []statUnit
	for _, u := range groups {
		row := u.row()
		st.rows = append(st.rows, row)
		if !u.told || u.Trials == 0 {
			continue
		}
		i, err := method.Interval(u.Events, u.Trials, confidence)
		if err != nil {
			return nil, err
		}
		putInterval(row, "low", "high", i)
		if !judged(by, u.Trials) {
			continue // no reader with few cases is compared
		}
		told = append(told, u)
		table = append(table, []int{u.Events, u.Trials - u.Events})
	}
	st.heads["notTold"] = notTold(groups)
	if len(table) > 1 {
		enough, err := st.enough(table, "allSmallestExpected", "allLeftOut")
		if err != nil {
			return nil, err
		}
		test, err := measure.ChiSquare(table, false)
		if err != nil {
			return nil, err
		}
		if test != nil && enough {
			st.heads["allChiSquare"], st.heads["allFreedom"], st.heads["allP"] = test.Statistic, test.Freedom, test.P
		}
	}
	var pair []statUnit
	for _, name := range names {
		i := slices.IndexFunc(told, func(u statUnit) bool { return u.name() == name })
		if i < 0 {
			return nil, fault.At(fault.Value, paramAt("first"), "there is no group %q with cases of which the counts are told (readers: from %d cases on)", name, disclosure.ReaderJudged)
		}
		pair = append(pair, told[i])
	}
	if names == nil && len(told) == 2 {
		pair = told
	}
	if pair == nil {
		return st, nil
	}
	if pair[0].name() == pair[1].name() {
		return nil, fault.At(fault.Value, paramAt("second"), "two groups are compared, and these are one")
	}
	return st, st.difference(pair[0], pair[1])
}

// enough tells whether chi-square may be used of a table, and puts the smallest count that it
// expects into the head, and that the test is left out where that is too few.
func (st *statistic) enough(table [][]int, smallest, leftOut string) (bool, error) {
	expected, err := measure.SmallestExpected(table)
	if err != nil || expected == nil {
		return false, err
	}
	st.heads[smallest] = *expected
	if *expected < measure.EnoughExpected {
		st.heads[leftOut] = "expected-below-5"
		return false, nil
	}
	return true, nil
}

// difference compares two groups.
func (st *statistic) difference(one, other statUnit) error {
	d, err := measure.TwoProportions(one.Events, one.Trials, other.Events, other.Trials, confidence)
	if err != nil {
		return err
	}
	st.heads["first"], st.heads["second"], st.heads["difference"] = one.name(), other.name(), 100*d.Difference
	putInterval(st.heads, "low", "high", &d.Interval)
	table := [][]int{{one.Events, one.Trials - one.Events}, {other.Events, other.Trials - other.Events}}
	enough, err := st.enough(table, "smallestExpected", "leftOut")
	if err != nil {
		return err
	}
	if d.Test != nil && enough { // its square is chi-square
		st.heads["z"], st.heads["p"] = d.Test.Statistic, d.Test.P
	}
	for yates, names := range map[bool][2]string{false: {"chiSquare", "chiSquareP"}, true: {"yates", "yatesP"}} {
		test, err := measure.ChiSquare(table, yates)
		if err != nil {
			return err
		}
		if test != nil && enough {
			st.heads[names[0]], st.heads[names[1]] = test.Statistic, test.P
		}
	}
	p, err := measure.FisherExact(table[0][0], table[0][1], table[1][0], table[1][1])
	if _, large := errors.AsType[*measure.InputError](err); large {
		return nil
	}
	if err != nil {
		return err
	}
	if p != nil {
		st.heads["fisherP"] = *p
	}
	return nil
}

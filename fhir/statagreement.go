package fhir

import (
	"context"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/flat"
	"github.com/overread/overread/measure"
	"github.com/overread/overread/measure/facts"
)

func agreementKind() statKind {
	return statKind{
		name: "agreement-of-readers", title: "Agreement of readers", row: "rating",
		does:  "Tells how far readers of the same cases agree beyond chance: Fleiss' kappa and Gwet's AC1, of how soon somebody must act by the sealed opinions of the two who read a case without knowing of each other, and of the significance by the grades where every case has two. A third reading is of cases that were chosen because opinions differ, so it is in neither. Of the cases that count in the measure agreement. For the role quality; recorded as an opening of the quality compartment. Of readers' agreement nothing is published but adjudication-overturn.",
		heads: []flat.Column{{Name: "limitsMethod", Kind: flat.Text, Doc: "How the intervals were found: gwet-t (t of the standard error over cases, Gwet 2014)."}, {Name: "note", Kind: flat.Text, Doc: "Why something is not told."}},
		rows: append([]flat.Column{
			{Name: "of", Kind: flat.Text, Doc: "actionable: of the sealed opinions of first and second readers; anybody: of the same, whether anybody must act at all; significance: of the grades."},
			{Name: "categories", Kind: flat.Text, Doc: "What a reader may say."},
			{Name: "cases", Kind: flat.Integer, Doc: "With a rating; of actionable, read by two."},
			{Name: "compared", Kind: flat.Integer, Doc: "With two or more."},
		}, decimals("observed", "The mean share of pairs that agree: per cent.", "fleiss", "Fleiss' kappa.", "fleissLow", "Its 95 % interval, over cases (Gwet 2014: t of the standard error).", "fleissHigh", "Its 95 % interval.",
			"fleissChance", "What chance agrees with: per cent.", "ac1", "Gwet's AC1, which does not fall where one category is rare.", "ac1Low", "Its 95 % interval.", "ac1High", "Its 95 % interval.", "ac1Chance", "What chance agrees with: per cent.",
			"cohen", "Cohen's kappa of who read first and who read second, of two categories.", "cohenLow", "Its 95 % interval (Fleiss, Cohen, Everitt 1969).", "cohenHigh", "Its 95 % interval.",
			"prevalence", "The index of prevalence: 0 where both categories are as frequent (Byrt, Bishop, Carlin 1993).", "bias", "The index of bias: 0 where both readers use them as often.", "pabak", "Kappa if both were 0.")...),
		make: (*Server).agreementOfReaders,
	}
}

// agreementOfReaders is $agreement-of-readers.
func (s *Server) agreementOfReaders(ctx context.Context, tx pgx.Tx, q statQuery) (*statistic, error) {
	if q.actor.Role != access.Quality {
		return nil, fault.New(fault.Forbidden, "of readers' agreement nothing is published but adjudication-overturn; ask the role quality")
	}
	if len(allGiven(q.plain, "stratifier")) > 0 {
		return nil, fault.At(fault.Value, paramAt("stratifier"), "readers are compared over all cases of the question, without stratifier; choose cases by filter")
	}
	report, _, ask, err := s.evaluationUnseen(ctx, tx, q.actor, q.d, q.plain)
	if err != nil {
		return nil, err
	}
	rated, err := facts.RatingsTx(ctx, tx, ask.Query)
	if err != nil {
		return nil, err
	}
	if err := s.measureOpened(ctx, tx, q.actor, q.asked, "agreement-of-readers", ""); err != nil {
		return nil, err
	}
	return agreementOf(report, rated)
}

func agreementOf(report *Node, rated []facts.Rated) (*statistic, error) {
	st := &statistic{report: report, heads: map[string]any{"limitsMethod": "gwet-t"}}
	for _, one := range rated {
		row := map[string]any{"of": one.Of, "categories": strings.Join(one.Categories, " ")}
		st.rows = append(st.rows, row)
		fleiss, err := measure.FleissKappa(one.Ratings, confidence)
		if err != nil {
			return nil, err
		}
		ac1, err := measure.GwetAC1(one.Ratings, confidence)
		if err != nil {
			return nil, err
		}
		row["cases"], row["compared"] = fleiss.Cases, fleiss.Compared
		if one.Selected {
			st.heads["note"] = facts.NoteRatings
			continue
		}
		if fleiss.Observed != nil {
			row["observed"] = 100 * *fleiss.Observed
		}
		for name, a := range map[string]*measure.Agreement{"fleiss": fleiss, "ac1": ac1} {
			if fleiss.Compared == 0 || a.Value == nil {
				continue
			}
			row[name] = *a.Value
			if a.Expected != nil {
				row[name+"Chance"] = 100 * *a.Expected
			}
			if a.Interval != nil {
				row[name+"Low"], row[name+"High"] = a.Interval.Low, a.Interval.High
			}
		}
		if err := cohenOf(row, one.Two); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// cohenOf adds Cohen's kappa of two categories, and what has to be known to read it.
func cohenOf(row map[string]any, two [][]int) error {
	if two == nil {
		return nil
	}
	kappa, err := measure.CohenKappa(two, measure.Unweighted, confidence)
	if err != nil {
		return err
	}
	if kappa.Kappa != nil {
		row["cohen"] = *kappa.Kappa
	}
	if kappa.Interval != nil {
		row["cohenLow"], row["cohenHigh"] = kappa.Interval.Low, kappa.Interval.High
	}
	b, err := measure.PrevalenceAndBias(two[0][0], two[0][1], two[1][0], two[1][1], confidence)
	if err == nil && b != nil {
		row["prevalence"], row["bias"], row["pabak"] = b.Prevalence, b.Bias, b.PABAK
	}
	return err
}

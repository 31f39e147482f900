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
		does: "Tells how far readers of the same cases agree beyond chance, where there are two opinions or more (two independent ones, and a third reader's): Fleiss' kappa and Gwet's AC1, of how soon somebody must act by the sealed opinions, and of the significance by the grades. Of the cases that count in the measure agreement. For the role quality; recorded as an opening of the quality compartment. Of readers' agreement nothing is published but adjudication-overturn.",
		rows: append([]flat.Column{
			{Name: "of", Kind: flat.Text, Doc: "actionable: of the sealed opinions; significance: of the grades."},
			{Name: "categories", Kind: flat.Text, Doc: "What a reader may say."},
			{Name: "cases", Kind: flat.Integer, Doc: "With a rating."},
			{Name: "compared", Kind: flat.Integer, Doc: "With two or more."},
		}, decimals("observed", "The mean share of pairs that agree: per cent.", "fleiss", "Fleiss' kappa.", "fleissLow", "Its 95 % interval, over cases.", "fleissHigh", "Its 95 % interval.",
			"fleissChance", "What chance agrees with: per cent.", "ac1", "Gwet's AC1, which does not fall where one category is rare.", "ac1Low", "Its 95 % interval.", "ac1High", "Its 95 % interval.", "ac1Chance", "What chance agrees with: per cent.")...),
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
	st := &statistic{report: report, heads: map[string]any{}}
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
	}
	return st, nil
}

package workflow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Publication says what auditors are shown of a quarter or year, and when
// (docs/disclosure.md).
type Publication struct {
	AfterDays int      `json:"afterDays,omitzero"` // 0: 30
	Pairs     []string `json:"pairs,omitempty"`    // "modality+site"; none: publishedPairs
	Every     string   `json:"every,omitzero"`     // EveryQuarter where it is left out
	Detail    string   `json:"detail,omitzero"`    // one of PublicationDetails; the last where it is left out
}

// PublicationDetails are in how much detail outcomes are published, the coarsest first.
var PublicationDetails = []string{"discrepancy", "significance", "management"}

// Of what figures are published at once. A service with few cases shows more of a year
// than of its quarters, and only one of the two can be published.
const (
	EveryQuarter = "quarter"
	EveryYear    = "year"
)

// DimensionMonth is the dimension of the month of signing, which is no column of a
// fact.
const DimensionMonth = "month"

// publishedPairs are the pairs of dimensions that are published where the policy names
// none. They close no circle.
var publishedPairs = []string{
	"modality+month", "modality+body-region", "modality+subspecialty", "modality+site", "modality+second-reader", "modality+reason", "modality+priority",
	"modality+oncologic", "modality+blinding", "modality+priors", "modality+asymmetry", "modality+setting", "modality+protocol", "site+original-reader",
}

// PublicationTx is what the policy in force says of it, with what is left out filled
// in, and the pairs of dimensions.
func PublicationTx(ctx context.Context, tx pgx.Tx) (p Publication, pairs [][2]string, err error) {
	now, err := policyTx(ctx, tx)
	if err != nil {
		return p, nil, err
	}
	p = Publication{AfterDays: 30, Pairs: publishedPairs, Every: EveryQuarter}
	if said := now.policy.Publication; said != nil {
		if said.AfterDays > 0 {
			p.AfterDays = said.AfterDays
		}
		if said.Pairs != nil {
			p.Pairs = said.Pairs
		}
		p.Detail = said.Detail
		p.Every = cmp.Or(said.Every, EveryQuarter)
	}
	for _, text := range p.Pairs {
		one, other, _ := strings.Cut(text, "+")
		pairs = append(pairs, [2]string{one, other})
	}
	return p, pairs, nil
}

// publicationFaults holds the pairs to dimensions that there are, and to a forest.
func (p Policy) publicationFaults() (wrong PolicyErrors) {
	if p.Publication == nil {
		return nil
	}
	known := []string{DimensionMonth}
	for _, d := range FactDimensions {
		known = append(known, d.Name)
	}
	group := map[string]string{}
	find := func(name string) string {
		for group[name] != "" {
			name = group[name]
		}
		return name
	}
	for i, text := range p.Publication.Pairs {
		path := element("publication.pairs", i)
		one, other, _ := strings.Cut(text, "+")
		if !slices.Contains(known, one) || !slices.Contains(known, other) {
			wrong = append(wrong, PolicyFault{Path: path, Text: "is two dimensions, such as modality+site, of: " + strings.Join(known, ", ")})
			continue
		}
		a, b := find(one), find(other)
		if a == b {
			wrong = append(wrong, PolicyFault{Path: path, Text: fmt.Sprintf("closes a circle from %s to %s: from all tables of a circle together hidden counts can be computed (docs/disclosure.md)", one, other)})
			continue
		}
		group[a] = b
	}
	return wrong
}

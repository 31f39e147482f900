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

	Dimensions []string `json:"dimensions,omitempty"` // by which figures are published, none tied with another; none: those of Untied
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
// none, as far as both are published. They close no circle.
var publishedPairs = []string{
	"modality+month", "modality+body-region", "modality+site", "modality+second-reader", "modality+reason", "modality+priority",
	"modality+oncologic", "modality+blinding", "modality+priors", "modality+setting", "modality+protocol", "site+original-reader",
}

// factNames are the dimensions, that of the month first.
func factNames() []string {
	names := []string{DimensionMonth}
	for _, d := range FactDimensions {
		names = append(names, d.Name)
	}
	return names
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
		p.Dimensions = said.Dimensions
	}
	// A case keeps the policy that it began with: any rule that there ever was counts.
	byRules := false
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT FROM tenant_policy p, jsonb_array_elements(p.document -> 'triage') r
			WHERE p.tenant_id = overread_tenant() AND jsonb_typeof(p.document -> 'triage') = 'array' AND r -> 'then' ?| ARRAY['protocol', 'reading'])`).Scan(&byRules)
	if err != nil {
		return p, nil, fmt.Errorf("rules of triage of all policies: %w", err)
	}
	if p.Dimensions == nil {
		p.Dimensions = factNames()
	}
	p.Dimensions = Untied(p.Dimensions, byRules || saysHow(now.policy.Triage))
	for _, text := range p.Pairs {
		one, other, _ := strings.Cut(text, "+")
		if slices.Contains(p.Dimensions, one) && slices.Contains(p.Dimensions, other) {
			pairs = append(pairs, [2]string{one, other})
		}
	}
	return p, pairs, nil
}

// publicationFaults holds dimensions to those that there are and are not tied, and the
// pairs to them, and to a forest.
func (p Policy) publicationFaults() (wrong PolicyErrors) {
	if p.Publication == nil {
		return nil
	}
	known, byRules := factNames(), saysHow(p.Triage)
	published := p.Publication.Dimensions
	for i, name := range published {
		path := element("publication.dimensions", i)
		if !slices.Contains(known, name) {
			wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("is one of: %v", strings.Join(known, ", "))})
		}
		for _, before := range published[:i] {
			if tie, tied := tieOf(before, name, byRules); tied {
				wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("is tied with %v (%s): from tables by both hidden counts can be computed, so one of them is published (docs/disclosure.md)", before, tie.Why)})
			} else if before == name {
				wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("is there twice")})
			}
		}
	}
	if published == nil {
		published = Untied(known, byRules)
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
			wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("is two dimensions, such as modality+site, of: %v", strings.Join(known, ", "))})
			continue
		}
		if !slices.Contains(published, one) || !slices.Contains(published, other) {
			wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("is of a dimension that is not published: of dimensions that are tied, such as reason and oncologic, one is; publication.dimensions says which (docs/disclosure.md)")})
			continue
		}
		a, b := find(one), find(other)
		if a == b {
			wrong = append(wrong, PolicyFault{Path: path, Text: Phrase("closes a circle from %v to %v: from all tables of a circle together hidden counts can be computed (docs/disclosure.md)", one, other)})
			continue
		}
		group[a] = b
	}
	return wrong
}

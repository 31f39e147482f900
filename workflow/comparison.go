package workflow

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Agreement is how what several sources say of one thing stands to each other.
type Agreement string

// The agreements.
const (
	Equal   Agreement = "equal"
	Differs Agreement = "differs"
	Unknown Agreement = "unknown" // fewer than two say something that can be compared
)

// Agree compares what each source says of one thing: two that have nothing the same
// differ. It is Unknown where fewer than two say anything.
func Agree(same func(a, b string) bool, said ...[]string) Agreement {
	found := Unknown
	for i, a := range said {
		for _, b := range said[:i] {
			switch {
			case len(a) == 0 || len(b) == 0:
			case noneMatches(a, b, same):
				return Differs
			default:
				found = Equal
			}
		}
	}
	return found
}

// SameModality tells whether two are one: CR and DX are the same to whoever orders.
func SameModality(a, b string) bool { return sameModality(a, b) }

// SameSite tells whether they name a region of the body that is the same.
func SameSite(a, b string) bool {
	return strings.EqualFold(a, b) || slices.ContainsFunc(bodyRegions(a), func(r string) bool { return slices.Contains(bodyRegions(b), r) })
}

// SameSide tells whether they are of one side: both sides are either.
func SameSide(a, b string) bool { return a == b || a == "bilateral" || b == "bilateral" }

// PersonAgreement is how several statements about a patient stand to each other.
type PersonAgreement struct{ Identifier, Name, BirthDate, Sex Agreement }

// AgreePeople compares each with each, as the checks do.
func AgreePeople(people ...Person) PersonAgreement {
	all := PersonAgreement{Unknown, Unknown, Unknown, Unknown}
	note := func(a *Agreement, like likeness) {
		switch {
		case like == unlike:
			*a = Differs
		case like == alike && *a == Unknown:
			*a = Equal
		}
	}
	for i, p := range people {
		for _, q := range people[:i] {
			note(&all.Identifier, idsAlike(p.IDs, q.IDs))
			note(&all.Name, namesAlike(p.Names, q.Names))
			note(&all.BirthDate, datesAlike(p.BirthDate, q.BirthDate))
			note(&all.Sex, sexesAlike(p.Sex, q.Sex))
		}
	}
	return all
}

// EvidenceTx completes facts that were gathered anew by what the PACS said when it
// was last asked, and by the other cases on the study. Unlike the checks it wants no
// new look.
func EvidenceTx(ctx context.Context, tx pgx.Tx, c *Case, f *Facts) (err error) {
	if f.Study == nil {
		return nil
	}
	if f.Duplicates, err = duplicatesTx(ctx, tx, c, *f); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		SELECT seen
		FROM pacs_look
		WHERE case_id = @case_id AND study_uid = @uid AND accession = @accession AND accession_system = @accession_system
		  AND answer = 'found' AND seen IS NOT NULL`, lookArgs(c, *f, pgx.NamedArgs{}))
	if err != nil {
		return fmt.Errorf("what the PACS said: %w", err)
	}
	seen, err := pgx.CollectRows(rows, pgx.RowTo[StudyInPACS])
	if err != nil {
		return fmt.Errorf("what the PACS said: %w", err)
	}
	if len(seen) > 0 {
		f.PACS = &PACSFacts{Answer: PACSFound, Study: seen[0]}
	}
	return nil
}

package facts

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/workflow"
)

// WordsTx are the words by which cases may be chosen, by dimension, as far as it is known
// without looking at every case which there are: those of a closed list, and of the open
// ones what the tenant's cases have said and a list of ours or the shape of a DICOM modality
// tells from other words. Sites and readers are told by the cases alone.
func WordsTx(ctx context.Context, tx pgx.Tx) (map[string][]string, error) {
	all := map[string][]string{}
	for _, d := range workflow.FactDimensions {
		if d.Words != nil {
			all[d.Name] = slices.Clone(d.Words)
		}
	}
	said := func(name, condition string, of []string) error {
		rows, err := tx.Query(ctx, `SELECT word FROM measure_word WHERE `+condition+` ORDER BY word`, pgx.NamedArgs{"of": of})
		if err != nil {
			return fmt.Errorf("words of %s: %w", name, err)
		}
		if all[name], err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return fmt.Errorf("words of %s: %w", name, err)
		}
		return nil
	}
	if err := said("body-region", `word = ANY (@of)`, workflow.BodyRegions()); err != nil {
		return nil, err
	}
	if err := said("subspecialty", `word = ANY (@of)`, workflow.KnownFields()); err != nil {
		return nil, err
	}
	return all, said("modality", `word ~ '^[A-Z]{2,6}$'`, nil) // PS3.3 C.7.3.1.1.1: codes of letters
}

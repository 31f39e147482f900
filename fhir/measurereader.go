package fhir

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/measure/disclosure"
	"github.com/overread/overread/measure/facts"
	"github.com/overread/overread/workflow"
)

// A query that is narrowed to a reader says whom by a pseudonym: it stands in reports, files and
// addresses. A hash of the id would not do, since who knows the few ids of a service tries them
// all. The pseudonym is made by a secret of the tenant of the reader and of all else that is asked,
// the moment included: nobody without the secret can try, and two queries have no name in common.
// Given as the filter of the same query it is resolved here, for who may ask.

// readerPseudonym is the form of a pseudonym of a reader (disclosure.Pseudonyms).
var readerPseudonym = regexp.MustCompile(`^reader-[a-z2-7]{16}$`)

// named says whether the query is narrowed to a reader.
func (a askedMeasure) named() bool {
	for name, word := range a.Where {
		if facts.IsReader(name) && word != "" {
			return true
		}
	}
	return false
}

// pseudonyms are those of the readers that this query names.
func (a askedMeasure) pseudonyms(ctx context.Context, tx pgx.Tx) (*disclosure.Pseudonyms, error) {
	a.Page, a.called, a.Where = 0, nil, maps.Clone(a.Where)
	for name := range a.Where {
		if facts.IsReader(name) && a.Where[name] != "" {
			a.Where[name] = "?"
		}
	}
	key, err := workflow.PseudonymKeyTx(ctx, tx, "readers of a query "+a.text())
	if err != nil {
		return nil, err
	}
	return disclosure.PseudonymsBy(key), nil
}

// callReaders gives the readers that the query names the words by which its text calls them, and
// finds those that were given by such a word.
func (a *askedMeasure) callReaders(ctx context.Context, tx pgx.Tx) error {
	if !a.named() {
		return nil
	}
	pseudonyms, err := a.pseudonyms(ctx, tx)
	if err != nil {
		return err
	}
	a.called = map[string]string{}
	var known []string
	for _, name := range slices.Sorted(maps.Keys(a.Where)) {
		word := a.Where[name]
		if !facts.IsReader(name) || word == "" {
			continue
		}
		if readerPseudonym.MatchString(word) {
			if known == nil {
				if known, err = readersKnown(ctx, tx); err != nil {
					return err
				}
			}
			i := slices.IndexFunc(known, func(id string) bool { return pseudonyms.Of("reader", id) == word })
			if i < 0 {
				return fault.At(fault.Value, paramAt("filter"), "there is no reader of this pseudonym in this query: a pseudonym is of one query alone, with its period, moment (asOf) and all else that is asked. Give the whole query as the report says it, or the reader by readers=open")
			}
			word, a.reader = known[i], word // recorded as what tells of one reader
			a.Where[name] = word
		}
		a.called[name] = pseudonyms.Of("reader", word)
	}
	return nil
}

// readersKnown are the words by which cases can say who read them.
func readersKnown(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `SELECT word FROM measure_word UNION SELECT reader_id::text FROM reader`)
	if err != nil {
		return nil, fmt.Errorf("readers that are known: %w", err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("readers that are known: %w", err)
	}
	return known, nil
}

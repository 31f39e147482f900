package workflow

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// describe writes down with the event how the case is to be told apart, where the
// event has changed it, and whose it was before, where it is another patient's.
func (t *turn) describe(first bool) {
	if t.tx == nil {
		return // a simulation counts by itself
	}
	if is := t.c.description(); first || is != t.was {
		t.detail["counts"] = is
	}
	if was, is := orNothing(t.wasOf), orNothing(t.c.PatientID); !first && was != is {
		t.detail["patientWas"] = was
	}
}

// changesFact tells whether an event can change what statistics count of its case.
func (t *turn) changesFact(before State) bool {
	for _, said := range []string{"counts", "gradeNo", "truthNo", "judgementNo"} {
		if _, ok := t.detail[said]; ok {
			return true
		}
	}
	return before != t.c.State || t.wasComplete != t.c.CompleteAt || t.event == "acknowledge"
}

// keepFactTx writes what statistics count of a case from now on, and of the others of
// its study, where it is another than before.
func keepFactTx(ctx context.Context, tx pgx.Tx, c *Case, now time.Time) (err error) {
	k := c.known()
	if c.FinalAt != nil {
		line, err := timelineTx(ctx, tx, c)
		if err != nil {
			return err
		}
		k = line[len(line)-1].known
	} else if k.unveiled, err = lockedUnveiledTx(ctx, tx, c); err != nil {
		return err
	}
	f := k.fact(now)
	var changed []*Fact
	if f.Study != "" {
		rivals, err := rivalsTx(ctx, tx, f)
		if err != nil {
			return err
		}
		changed = settleStudy(append(rivals, &f))
	}
	if err := writeFactTx(ctx, tx, f); err != nil {
		return err
	}
	for _, rival := range changed {
		if rival.CaseID == f.CaseID {
			continue
		}
		if err := writeExclusionTx(ctx, tx, rival.CaseID, rival.Excluded, now); err != nil {
			return err
		}
	}
	return nil
}

// lockedUnveiledTx tells whether who locked a blinded case last had opened the record
// before, as the history tells it (learn).
func lockedUnveiledTx(ctx context.Context, tx pgx.Tx, c *Case) (unveiled bool, err error) {
	if c.Protocol != Blinded {
		return false, nil
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce((
			SELECT (detail->>'unveiled')::boolean
			FROM case_event
			WHERE case_id = $1 AND event = 'lock' AND to_state <> ALL ($2)
			ORDER BY seq DESC
			LIMIT 1), false)`, c.CaseID, third).Scan(&unveiled)
	if err != nil {
		return false, fmt.Errorf("whether who locked had opened the record: %w", err)
	}
	return unveiled, nil
}

// lockStudy keeps two transactions from deciding of one study at once which case counts.
func lockStudy(ctx context.Context, tx pgx.Tx, study string) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('measure ' || overread_tenant() || ' ' || $1, 0))`, study)
	if err != nil {
		return fmt.Errorf("lock a study: %w", err)
	}
	return nil
}

// rivalsTx are the facts of the other cases of the study that count, or would. The
// study is locked until the transaction ends.
func rivalsTx(ctx context.Context, tx pgx.Tx, f Fact) ([]*Fact, error) {
	if err := lockStudy(ctx, tx, f.Study); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, `
		SELECT f.case_id, f.excluded, f.adjudicator_level, f.counts_at
		FROM measure_fact f
		JOIN case_file c ON c.tenant_id = f.tenant_id AND c.case_id = f.case_id
		WHERE f.study_key = @key AND f.case_id <> @case AND f.excluded IN (@counts, @same) AND coalesce(c.study_uid, c.study_id, c.accession) = @study`,
		pgx.NamedArgs{"key": studyKey(f.Study), "case": f.CaseID, "study": f.Study, "counts": 0, "same": slices.Index(Exclusions, ExcludedSameStudy)})
	if err != nil {
		return nil, fmt.Errorf("facts of a study: %w", err)
	}
	rivals, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Fact, error) {
		r := &Fact{Study: f.Study}
		var excluded int
		var level *int
		err := row.Scan(&r.CaseID, &excluded, &level, &r.CountsAt)
		r.Excluded = Exclusions[excluded]
		if level != nil {
			r.Adjudicator = FactLevels[*level]
		}
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("facts of a study: %w", err)
	}
	return rivals, nil
}

// factColumns are those of measure_fact after its key and known_from.
var factColumns = slices.Concat([]string{"period_at", "opened_at", "complete_at", "signed_at", "acknowledged_at", "counts_at", "study_key",
	"excluded", "significance", "management", "clinician", "reader_level", "adjudicator_level", "verified", "no_comparison"}, dimensionColumns())

func dimensionColumns() (columns []string) {
	for _, d := range FactDimensions {
		columns = append(columns, d.Column)
	}
	return columns
}

// each makes a list of columns of a pattern with one %s for the column.
func each(pattern string) string {
	list := make([]string, len(factColumns))
	for i, column := range factColumns {
		list[i] = fmt.Sprintf(pattern, column)
	}
	return strings.Join(list, ", ")
}

var (
	// supersede keeps the row in force for later, unless it was so for no time at all.
	supersede = `
		INSERT INTO measure_fact_past (tenant_id, case_id, known_from, ` + each("%s") + `, known_until)
		SELECT tenant_id, case_id, known_from, ` + each("%s") + `, @known_from
		FROM measure_fact
		WHERE case_id = @case_id AND known_from < @known_from AND `
	writeFact = `
		INSERT INTO measure_fact AS f (tenant_id, case_id, known_from, ` + each("%s") + `)
		VALUES (overread_tenant(), @case_id, @known_from, ` + each("@%s") + `)
		ON CONFLICT (tenant_id, case_id) DO UPDATE
		SET known_from = greatest(f.known_from, excluded.known_from), ` + each("%[1]s = excluded.%[1]s") + `
		WHERE (` + each("f.%s") + `) IS DISTINCT FROM (` + each("excluded.%s") + `)`
	// differs: NULLs of parameters have no type of their own.
	differs = `(` + each("%s") + `) IS DISTINCT FROM (
			@period_at::timestamptz, @opened_at::timestamptz, @complete_at::timestamptz, @signed_at::timestamptz, @acknowledged_at::timestamptz, @counts_at::timestamptz, @study_key::bigint,
			@excluded::smallint, @significance::smallint, @management::smallint, @clinician::smallint, @reader_level::smallint, @adjudicator_level::smallint, @verified::smallint, @no_comparison::integer,
			` + typedDimensions() + `)`
)

func typedDimensions() string {
	columns := dimensionColumns()
	for i, column := range columns {
		columns[i] = "@" + column + "::integer"
	}
	return strings.Join(columns, ", ")
}

// writeFactTx puts a fact in force, and the one before among those of the past. What is
// the same as before makes no row.
func writeFactTx(ctx context.Context, tx pgx.Tx, f Fact) error {
	args, err := factArgs(ctx, tx, wordbook{}, f)
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	queueFact(batch, args)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write a fact: %w", err)
	}
	return nil
}

func queueFact(batch *pgx.Batch, args pgx.NamedArgs) {
	batch.Queue(supersede+differs, args)
	batch.Queue(writeFact, args)
}

// writeExclusionTx changes nothing but whether a case counts.
func writeExclusionTx(ctx context.Context, tx pgx.Tx, caseID uuid.UUID, excluded string, now time.Time) error {
	args := pgx.NamedArgs{"case_id": caseID, "known_from": now, "excluded": slices.Index(Exclusions, excluded)}
	batch := &pgx.Batch{}
	batch.Queue(supersede+`excluded <> @excluded`, args)
	batch.Queue(`
		UPDATE measure_fact
		SET excluded = @excluded, known_from = greatest(known_from, @known_from)
		WHERE case_id = @case_id AND excluded <> @excluded`, args)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write that a case counts: %w", err)
	}
	return nil
}

func factArgs(ctx context.Context, tx pgx.Tx, known wordbook, f Fact) (pgx.NamedArgs, error) {
	args := pgx.NamedArgs{
		"case_id": f.CaseID, "known_from": f.KnownFrom, "period_at": f.periodAt(), "opened_at": f.OpenedAt, "complete_at": f.CompleteAt,
		"signed_at": f.SignedAt, "acknowledged_at": f.AcknowledgedAt, "counts_at": f.CountsAt, "study_key": studyKey(f.Study),
		"excluded": slices.Index(Exclusions, f.Excluded), "significance": numberOf(FactLevels, f.Significance),
		"management": numberOf(FactManagements, f.Management), "clinician": numberOf(FactManagements, f.Clinician),
		"reader_level": numberOf(FactLevels, f.Reader), "adjudicator_level": numberOf(FactLevels, f.Adjudicator), "verified": numberOf(FactRights, f.Right),
	}
	words := []string{cmp.Or(f.NoComparison, NotSaid)}
	for _, d := range FactDimensions {
		words = append(words, cmp.Or(*d.word(&f), NotSaid))
	}
	if err := known.find(ctx, tx, words); err != nil {
		return nil, err
	}
	args["no_comparison"] = known[words[0]]
	for i, d := range FactDimensions {
		args[d.Column] = known[words[i+1]]
	}
	return args, nil
}

// numberOf is the place of a word in its list, nil where nothing was said.
func numberOf[T ~string](list []T, word T) *int {
	if i := slices.Index(list, word); i >= 0 {
		return &i
	}
	return nil
}

// wordbook is the numbers of words at the tenant of a transaction, as far as it has
// looked them up. It is good for that transaction alone.
type wordbook map[string]int

// find looks words up. One that is new gets the next number; of two who give it one the
// second waits, and takes the one above.
func (b wordbook) find(ctx context.Context, tx pgx.Tx, words []string) error {
	for asked := false; ; asked = true {
		missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return b[w] > 0 })
		if len(missing) == 0 {
			return nil
		}
		if asked {
			for _, w := range missing {
				_, err := tx.Exec(ctx, `
					INSERT INTO measure_word (tenant_id, word_no, word)
					SELECT overread_tenant(), coalesce(max(word_no), 0) + 1, $1
					FROM measure_word
					ON CONFLICT DO NOTHING`, w)
				if err != nil {
					return fmt.Errorf("a new word of facts: %w", err)
				}
			}
		}
		rows, err := tx.Query(ctx, `SELECT word, word_no FROM measure_word WHERE word = ANY ($1)`, missing)
		if err != nil {
			return fmt.Errorf("words of facts: %w", err)
		}
		var word string
		var no int
		if _, err := pgx.ForEachRow(rows, []any{&word, &no}, func() error { b[word] = no; return nil }); err != nil {
			return fmt.Errorf("words of facts: %w", err)
		}
	}
}

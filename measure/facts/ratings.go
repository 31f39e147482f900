package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/measure"
	"github.com/overread/overread/workflow"
)

// Rated is what several readers said of the same cases, by categories.
type Rated struct {
	Of         string // actionable, or significance
	Categories []string
	Ratings    []measure.Ratings
	Selected   bool    // whether a case has two ratings hangs on what they say: no agreement can be told
	Two        [][]int // of two categories: by what who read first said, and who read second
}

// ratedBy are what readers of one case may be compared by: how soon somebody must act, of
// the two who have read it without knowing of each other (a third reading is of cases
// on which they differ, and would choose cases by their outcome); and the significance of
// what differs from the original, of the last grade of each who graded it. Of each reader
// what they sealed last as first or second of two before the as-of time counts; who said
// nothing of it is no reader of it.
var ratedBy = []struct {
	of         string
	categories []string
	chosen     bool // who is rated twice is chosen by what was found: all have to be
	rows       string
}{
	{"actionable", []string{"none", "non-critical", "urgent", "emergent"}, false, `
		SELECT DISTINCT ON (case_id, reader_id) case_id, content->>'actionable' AS word
		FROM opinion o
		WHERE status = 'locked' AND sealed_at <= @as_of AND part IN ('first', 'second')
		      AND EXISTS (SELECT FROM opinion two WHERE two.case_id = o.case_id AND two.status = 'locked' AND two.sealed_at <= @as_of AND two.part = 'second')
		ORDER BY case_id, reader_id, opinion_no DESC`},
	{"significance", []string{string(workflow.LevelNone), string(workflow.LevelMinor), string(workflow.LevelMajor)}, true, `
		SELECT DISTINCT ON (case_id, graded_by) case_id, level AS word
		FROM grade
		WHERE graded_at <= @as_of AND level <> 'no-comparison'
		ORDER BY case_id, graded_by, grade_no DESC`},
}

// RatingsTx are the ratings of the cases that were signed in the period and count. It is
// for the role of quality alone.
func RatingsTx(ctx context.Context, tx pgx.Tx, q Query) (all []Rated, err error) {
	q.Measure, _ = DefinitionOf("agreement")
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	for _, by := range ratedBy {
		counted := make([]string, len(by.categories))
		for i := range counted {
			counted[i] = fmt.Sprintf("count(*) FILTER (WHERE word = (@categories::text[])[%d])", i+1)
		}
		s.args["categories"] = by.categories
		rows, err := tx.Query(ctx, `
			SELECT `+strings.Join(counted, ", ")+`
			FROM (`+by.rows+`) r
			JOIN (SELECT case_id FROM (`+s.union("case_id, excluded")+`) f WHERE `+q.Measure.counted()+`) c USING (case_id)
			GROUP BY case_id`, s.args)
		if err != nil {
			return nil, fmt.Errorf("ratings: %w", err)
		}
		rated := Rated{Of: by.of, Categories: by.categories}
		found, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]int, error) {
			counts := make([]int, len(by.categories))
			at := make([]any, len(counts))
			for i := range counts {
				at[i] = &counts[i]
			}
			return counts, r.Scan(at...)
		})
		if err != nil {
			return nil, fmt.Errorf("ratings: %w", err)
		}
		for _, counts := range found {
			if i := slices.IndexFunc(rated.Ratings, func(r measure.Ratings) bool { return slices.Equal(r.Counts, counts) }); i >= 0 {
				rated.Ratings[i].Times++
				continue
			}
			rated.Ratings = append(rated.Ratings, measure.Ratings{Counts: counts, Times: 1})
		}
		rated.Selected = by.chosen && slices.ContainsFunc(rated.Ratings, func(r measure.Ratings) bool { return sum(r.Counts) < 2 })
		all = append(all, rated)
	}
	two, err := s.twoReaders(ctx, tx)
	if err != nil {
		return nil, err
	}
	return append(all, two), nil
}

// twoReaders are the cases of the statement that two have read without knowing of each other, by
// whether the first and whether the second says that anybody must act. Of two categories kappa
// has indices of prevalence and bias (measure.PrevalenceAndBias).
func (s *statement) twoReaders(ctx context.Context, tx pgx.Tx) (Rated, error) {
	const sealed = `
		SELECT DISTINCT ON (case_id) case_id, (content->>'actionable' = 'none')::int AS nobody
		FROM opinion
		WHERE status = 'locked' AND sealed_at <= @as_of AND content->>'actionable' <> '' AND part = `
	const last = ` ORDER BY case_id, opinion_no DESC`
	rated := Rated{Of: "anybody", Categories: []string{"anybody", "nobody"}, Two: [][]int{{0, 0}, {0, 0}}}
	rows, err := tx.Query(ctx, `
		SELECT one.nobody, two.nobody, count(*)
		FROM (`+sealed+`'first'`+last+`) one
		JOIN (`+sealed+`'second'`+last+`) two USING (case_id)
		JOIN (SELECT case_id FROM (`+s.union("case_id, excluded")+`) f WHERE `+s.q.Measure.counted()+`) c USING (case_id)
		GROUP BY 1, 2`, s.args)
	if err != nil {
		return rated, fmt.Errorf("two readers: %w", err)
	}
	var one, two, cases int
	_, err = pgx.ForEachRow(rows, []any{&one, &two, &cases}, func() error {
		rated.Two[one][two] = cases
		rated.Ratings = append(rated.Ratings, measure.Ratings{Counts: []int{2 - one - two, one + two}, Times: cases})
		return nil
	})
	if err != nil {
		return rated, fmt.Errorf("two readers: %w", err)
	}
	return rated, nil
}

func sum(counts []int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// Duration is how many cases took so many minutes, begun ones counted as whole, and
// how many were still open after so many.
type Duration struct {
	Minutes     int
	Ended, Open int
}

// TimedStratum is the durations of the cases of a stratum, the shortest first.
type TimedStratum struct {
	Stratum
	Durations []Duration
}

// mostDurations bounds what one answer is made of.
const mostDurations = 2_000_000

// Durations are the times of the cases of a query whose measure is a time, as a whole
// (without a key) or by its dimensions. A case that had not ended by the as-of time
// was open until then.
func Durations(ctx context.Context, tx pgx.Tx, q Query) ([]TimedStratum, error) {
	s, err := newStatement(ctx, tx, q)
	if err != nil {
		return nil, err
	}
	words, err := wordsTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	d := q.Measure
	rows, err := tx.Query(ctx, `
		SELECT `+strings.Join(s.keys(), " AS key1, ")+` AS key2,
		       greatest(0, ceil(date_part('epoch', coalesce(`+d.to+`, @as_of) - `+d.from+`) / 60))::int AS minutes,
		       count(`+d.to+`), count(*) - count(`+d.to+`)
		FROM `+s.rows()+`
		WHERE `+d.counted()+`
		GROUP BY 1, 2, 3
		LIMIT `+fmt.Sprint(mostDurations+1), s.args)
	if err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	strata := map[[2]int]*TimedStratum{}
	var key [2]int
	var one Duration
	n := 0
	_, err = pgx.ForEachRow(rows, []any{&key[0], &key[1], &one.Minutes, &one.Ended, &one.Open}, func() error {
		n++
		t := strata[key]
		if t == nil {
			t = &TimedStratum{Stratum: Stratum{Key: s.words(key[:len(q.By)], words)}}
			strata[key] = t
		}
		t.Durations = append(t.Durations, one)
		t.Denominator += one.Ended + one.Open
		t.Numerator += one.Ended
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("durations: %w", err)
	}
	if n > mostDurations || len(strata) > mostStrata {
		return nil, tooMany()
	}
	list := make([]TimedStratum, 0, len(strata))
	for _, t := range strata { // sorted here, where it costs a fifth
		slices.SortFunc(t.Durations, func(a, b Duration) int { return a.Minutes - b.Minutes })
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b TimedStratum) int { return slices.Compare(a.Key, b.Key) })
	return list, nil
}

func tooMany() error {
	return fault.New(fault.TooLarge, "there are too many strata to list them; choose other stratifiers or a shorter period")
}

// Together is the durations of all strata as one.
func Together(strata []TimedStratum) TimedStratum {
	var t TimedStratum
	at := map[int]int{} // minutes to the place in the list
	for _, s := range strata {
		t.Denominator += s.Denominator
		t.Numerator += s.Numerator
		for _, d := range s.Durations {
			i, there := at[d.Minutes]
			if !there {
				i = len(t.Durations)
				at[d.Minutes] = i
				t.Durations = append(t.Durations, Duration{Minutes: d.Minutes})
			}
			t.Durations[i].Ended += d.Ended
			t.Durations[i].Open += d.Open
		}
	}
	slices.SortFunc(t.Durations, func(a, b Duration) int { return a.Minutes - b.Minutes })
	return t
}

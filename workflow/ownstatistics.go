package workflow

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// OwnCount is how many reports somebody has signed of one kind (a month, a modality),
// by the level that the chart says.
type OwnCount struct {
	Name                                          string // "2026-11", "CT"
	Signed, Agreement, Minor, Major, NoComparison int
}

// OwnStatistics are what somebody has signed at the transaction's tenant since a
// moment. They rest on what the charts say, the levels of the versions in force, and on
// no grade: those are quality work product.
type OwnStatistics struct {
	All        OwnCount
	Months     []OwnCount // the earliest first, those without a report too
	Modalities []OwnCount
	Open       int            // cases in their hands now
	Median     *time.Duration // from the claim to the first signature; nil where nothing is signed
	NineOfTen  *time.Duration // the 90th percentile of the same
}

const ownCounts = `count(*) AS signed, count(*) FILTER (WHERE level = 'none') AS agreement, count(*) FILTER (WHERE level = 'minor') AS minor,
		       count(*) FILTER (WHERE level = 'major') AS major, count(*) FILTER (WHERE level = 'no-comparison') AS no_comparison`

// ownSigned are the first signatures of somebody, each with the level in force.
const ownSigned = `
		SELECT s.signed_at, c.accepted_at, coalesce(c.exam->>'modality', '') AS modality, now_in_force.level
		FROM signed_report s
		JOIN case_file c ON c.tenant_id = s.tenant_id AND c.case_id = s.case_id
		CROSS JOIN LATERAL (
			SELECT l.content->>'level' AS level
			FROM signed_report l
			WHERE l.tenant_id = s.tenant_id AND l.case_id = s.case_id
			ORDER BY l.report_no DESC
			LIMIT 1) AS now_in_force
		WHERE s.report_no = 1 AND s.signed_by = @who AND s.signed_at >= @since AND c.state <> 'entered-in-error'`

// OwnStatisticsTx are those of one person, by months of a time zone.
func OwnStatisticsTx(ctx context.Context, tx pgx.Tx, who uuid.UUID, since time.Time, zone *time.Location) (o OwnStatistics, err error) {
	args := pgx.NamedArgs{"who": who, "since": since, "zone": zone.String()}
	for _, part := range []struct {
		sql string
		to  *[]OwnCount
	}{
		{`WITH own AS (` + ownSigned + `), month AS (
			SELECT to_char(m, 'YYYY-MM') AS name
			FROM generate_series(date_trunc('month', @since AT TIME ZONE @zone), now() AT TIME ZONE @zone, interval '1 month') AS m)
		SELECT month.name, count(own.signed_at) AS signed, count(*) FILTER (WHERE level = 'none') AS agreement, count(*) FILTER (WHERE level = 'minor') AS minor,
		       count(*) FILTER (WHERE level = 'major') AS major, count(*) FILTER (WHERE level = 'no-comparison') AS no_comparison
		FROM month
		LEFT JOIN own ON to_char(own.signed_at AT TIME ZONE @zone, 'YYYY-MM') = month.name
		GROUP BY month.name
		ORDER BY month.name`, &o.Months},
		{`WITH own AS (` + ownSigned + `)
		SELECT modality AS name, ` + ownCounts + `
		FROM own
		GROUP BY modality
		ORDER BY count(*) DESC, modality`, &o.Modalities},
	} {
		rows, err := tx.Query(ctx, part.sql, args)
		if err != nil {
			return o, fmt.Errorf("own statistics: %w", err)
		}
		if *part.to, err = pgx.CollectRows(rows, pgx.RowToStructByName[OwnCount]); err != nil {
			return o, fmt.Errorf("own statistics: %w", err)
		}
	}
	for _, m := range o.Modalities {
		o.All.Signed, o.All.Agreement, o.All.Minor = o.All.Signed+m.Signed, o.All.Agreement+m.Agreement, o.All.Minor+m.Minor
		o.All.Major, o.All.NoComparison = o.All.Major+m.Major, o.All.NoComparison+m.NoComparison
	}
	var median, ninth *float64
	err = tx.QueryRow(ctx, `
		WITH own AS (`+ownSigned+`)
		SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM signed_at - accepted_at)),
		       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM signed_at - accepted_at)),
		       (SELECT count(*) FROM case_file WHERE (reader_id = @who OR adjudicator_id = @who) AND state = ANY (@working))
		FROM own
		WHERE accepted_at <= signed_at`,
		pgx.NamedArgs{"who": who, "since": since, "working": join(atWork, in(Amending))}).Scan(&median, &ninth, &o.Open)
	if err != nil {
		return o, fmt.Errorf("own statistics: %w", err)
	}
	o.Median, o.NineOfTen = seconds(median), seconds(ninth)
	return o, nil
}

func seconds(s *float64) *time.Duration {
	if s == nil {
		return nil
	}
	d := time.Duration(*s * float64(time.Second))
	return &d
}

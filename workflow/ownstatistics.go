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
	rows, err := tx.Query(ctx, `
		WITH own AS MATERIALIZED (`+ownSigned+`)
		SELECT to_char(signed_at AT TIME ZONE @zone, 'YYYY-MM') AS month, modality, `+ownCounts+`,
		       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM signed_at - accepted_at)) FILTER (WHERE accepted_at <= signed_at),
		       percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM signed_at - accepted_at)) FILTER (WHERE accepted_at <= signed_at)
		FROM own
		GROUP BY GROUPING SETS ((1), (modality), ())
		ORDER BY count(*) DESC, modality`, pgx.NamedArgs{"who": who, "since": since, "zone": zone.String()})
	if err != nil {
		return o, fmt.Errorf("own statistics: %w", err)
	}
	months := map[string]OwnCount{}
	var month, modality *string
	var n OwnCount
	var half, nine, median, ninth *float64
	_, err = pgx.ForEachRow(rows, []any{&month, &modality, &n.Signed, &n.Agreement, &n.Minor, &n.Major, &n.NoComparison, &half, &nine}, func() error {
		switch {
		case month != nil:
			n.Name = *month
			months[n.Name] = n
		case modality != nil:
			n.Name = *modality
			o.Modalities = append(o.Modalities, n)
		default:
			n.Name, o.All, median, ninth = "", n, half, nine
		}
		return nil
	})
	if err != nil {
		return o, fmt.Errorf("own statistics: %w", err)
	}
	now, err := nowTx(ctx, tx)
	if err != nil {
		return o, err
	}
	for at, last := since.In(zone), now.In(zone).Format("2006-01"); ; at = time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, zone) {
		name := at.Format("2006-01")
		if name > last {
			break
		}
		count := months[name]
		count.Name = name
		o.Months = append(o.Months, count)
	}
	err = tx.QueryRow(ctx, `SELECT count(*) FROM case_file WHERE (reader_id = @who OR adjudicator_id = @who) AND state = ANY (@working)`,
		pgx.NamedArgs{"who": who, "working": join(atWork, in(Amending))}).Scan(&o.Open)
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

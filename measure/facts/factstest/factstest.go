// Package factstest makes up the facts of a national service for tests and benchmarks.
package factstest

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/pgtest"
)

// The words of the made-up cases: as many as a national service has.
const (
	modalities = 8
	regions    = 10
	sites      = 150
	firsts     = 1500
	seconds    = 300
)

// January is the beginning of the year of the cases.
var January = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// Fill makes so many facts of a tenant that has none, a year of them; of one in fifty
// something else was known before. There are no cases behind them.
func Fill(t testing.TB, db *pgtest.Database, tenant uuid.UUID, cases int) {
	t.Helper()
	owner := db.Owner(t)
	run := func(sql string, args ...any) {
		t.Helper()
		if _, err := owner.Exec(context.Background(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	run(`SET session_replication_role = replica`) // no case behind a fact: nothing here asks for one
	run(`SELECT setseed(0.5)`)
	run(`INSERT INTO measure_word (tenant_id, word_no, word)
		SELECT $1, i, CASE WHEN i = 1 THEN 'not-said' ELSE 'w' || lpad(i::text, 4, '0') END FROM generate_series(1, $2) i`, tenant, firsts+1)
	run(`INSERT INTO measure_fact (tenant_id, case_id, known_from, period_at, opened_at, complete_at, signed_at, acknowledged_at, counts_at,
		excluded, significance, management, reader_level, adjudicator_level, verified, no_comparison,
		modality, body_region, subspecialty, site, original_reader, second_reader, reason, priority, oncologic, blinding, priors, asymmetry, setting, reading)
		SELECT $1, gen_random_uuid(), at, at, at - took, at - took, CASE WHEN excluded NOT IN (1, 2) THEN at END, CASE WHEN acknowledged THEN at + took END, at,
		       excluded, CASE WHEN excluded IN (0, 5) THEN significance END, CASE WHEN excluded IN (0, 5) AND significance > 0 THEN management END,
		       CASE WHEN adjudicated THEN significance END, CASE WHEN adjudicated THEN 2 - (site % 3) END, CASE WHEN site % 40 = 0 THEN site % 5 END, 1,
		       1 + m, 1 + r, 1 + r % 6, 1 + site, 1 + (site * 10 + f % 10) % $3::int, 1 + s, 1 + m % 9, 1 + r % 4, 1 + r % 3, 1 + m % 2, 1 + r % 2, 1 + s % 2, 1 + site % 3, 1 + f % 5
		FROM (
			SELECT i, timestamptz '2025-01-01Z' + random() * interval '365 days' AS at, random() * interval '5 days' AS took, random() < 0.9 AS acknowledged, random() < 0.05 AS adjudicated,
			       (ARRAY[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1,2,3,4,4,4,5,6])[1 + floor(random() * 24)::int] AS excluded,
			       (ARRAY[0,0,0,0,0,0,0,0,1,1,1,2])[1 + floor(random() * 12)::int] AS significance, floor(random() * 5)::int AS management,
			       floor(random() * random() * $4)::int AS m, floor(random() * $5)::int AS r, floor(random() * $6)::int AS site, floor(random() * $3)::int AS f, floor(random() * $7)::int AS s
			FROM generate_series(1, $2) i
		) made`, tenant, cases, firsts, modalities, regions, sites, seconds)
	//nolint:unqueryvet // the same columns in the same order: LIKE measure_fact
	run(`INSERT INTO measure_fact_past
		SELECT f.*, f.known_from + interval '10 days' FROM measure_fact f WHERE tenant_id = $1 AND hashtext(case_id::text) % 50 = 0`, tenant)
	run(`UPDATE measure_fact SET known_from = known_from + interval '10 days', significance = least(significance + 1, 2), reader_level = NULL
		WHERE tenant_id = $1 AND hashtext(case_id::text) % 50 = 0`, tenant)
	run(`RESET session_replication_role`)
	run(`VACUUM (ANALYZE) measure_fact, measure_fact_past`)
}

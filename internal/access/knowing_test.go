package access

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// What is remembered of a token holds no longer than the first of its places.
func TestATokenIsRememberedUpToItsEnd(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	ends := func(at time.Time) pgtype.Timestamptz { return pgtype.Timestamptz{Time: at, Valid: true} }
	never := pgtype.Timestamptz{InfinityModifier: pgtype.Infinity, Valid: true}
	for name, c := range map[string]struct {
		ends []pgtype.Timestamptz
		want time.Time
	}{
		"of the operator":     {[]pgtype.Timestamptz{never}, time.Time{}},
		"of a client":         {[]pgtype.Timestamptz{ends(noon)}, noon},
		"at several tenants":  {[]pgtype.Timestamptz{ends(noon.Add(time.Hour)), ends(noon), never}, noon},
		"the other way round": {[]pgtype.Timestamptz{never, ends(noon), ends(noon.Add(time.Hour))}, noon},
	} {
		var rows []placeRow
		for _, e := range c.ends {
			rows = append(rows, placeRow{TenantID: uuid.New(), AccessMark: uuid.New(), EndsAt: e})
		}
		known := knowing(rows, nil, noon)
		if !known.till.Equal(c.want) {
			t.Errorf("%s: %v", name, known.till)
		}
		for _, r := range rows {
			if known.marks[r.TenantID] != r.AccessMark {
				t.Errorf("%s: the mark of a tenant is not known", name)
			}
		}
	}
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/outbound"
)

// checkDestinations asks whatever a tenant that is here has registered for what
// everybody may read there; any answer at all shows that it can be reached, as the
// server reaches it.
func checkDestinations(ctx context.Context, conn *pgx.Conn, guard *outbound.Guard) []finding {
	type target struct{ Name, URL, Verb string }
	var targets []target
	err := inSystem(ctx, conn, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			WITH here AS (SELECT tenant_id, name FROM tenant WHERE state <> 'moved')
			SELECT 'destination ' || t.name || '/' || d.destination AS name, d.base_url || '/metadata' AS url, 'destination add' AS verb
			FROM destination d JOIN here t USING (tenant_id)
			UNION ALL
			SELECT 'key set of client ' || t.name || '/' || c.client_id, c.jwks_url, 'client add'
			FROM client c JOIN here t USING (tenant_id)
			WHERE c.jwks_url IS NOT NULL AND c.revoked_at IS NULL
			UNION ALL
			SELECT 'EHR of ' || t.name || ' ' || i.issuer, i.issuer || '/.well-known/smart-configuration', 'issuer add'
			FROM ehr_issuer i JOIN here t USING (tenant_id)
			UNION ALL
			SELECT 'identity provider ' || p.name, rtrim(p.issuer, '/') || '/.well-known/openid-configuration', 'provider add'
			FROM provider p
			ORDER BY 1`)
		if err != nil {
			return err
		}
		targets, err = pgx.CollectRows(rows, pgx.RowToStructByName[target])
		return err
	})
	if err != nil {
		return []finding{{"destinations", fail, err.Error(), "run: overread migrate"}}
	}
	var findings []finding
	client := guard.Client(outbound.Limits{Timeout: 5 * time.Second, MaxBody: 16 << 20})
	for _, d := range targets {
		f := finding{Check: d.Name, Verdict: ok}
		status, _, err := administration.Reach(ctx, client, d.URL)
		f.Detail = fmt.Sprintf("%s answered %d", d.URL, status)
		if err != nil {
			f.Verdict, f.Detail, f.Mend = fail, err.Error(), "start it, open the way to it, or correct it: overread "+d.Verb
		}
		findings = append(findings, f)
	}
	return findings
}

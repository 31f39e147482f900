package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/outbound"
)

// checkDestinations asks every destination for its CapabilityStatement; any
// answer at all shows that it can be reached, as deliveries reach it.
func checkDestinations(ctx context.Context, conn *pgx.Conn, guard *outbound.Guard) []finding {
	type target struct{ Tenant, Destination, BaseURL string }
	var targets []target
	err := inSystem(ctx, conn, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.name AS tenant, d.destination, d.base_url
			FROM destination d JOIN tenant t USING (tenant_id)
			ORDER BY 1, 2`)
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
		f := finding{Check: "destination " + d.Tenant + "/" + d.Destination, Verdict: ok}
		status, err := reach(ctx, client, d.BaseURL+"/metadata")
		f.Detail = fmt.Sprintf("%s answered %d", d.BaseURL, status)
		if err != nil {
			f.Verdict, f.Detail, f.Mend = fail, err.Error(), "start it, open the way to it, or correct it: overread destination add"
		}
		findings = append(findings, f)
	}
	return findings
}

func reach(ctx context.Context, client *http.Client, url string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.CopyN(io.Discard, resp.Body, 1<<20)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

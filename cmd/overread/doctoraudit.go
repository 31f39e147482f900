package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pg"
)

// checkCheckpoints looks how long ago the oldest event was recorded that no
// checkpoint covers.
func checkCheckpoints(ctx context.Context, p patient) (verdict, string, error) {
	var unsigned, logs int
	var oldest float64
	var last *float64
	err := inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			WITH signed AS (
				SELECT tenant_id, max(size) AS size, max(signed_at) AS signed_at FROM audit_checkpoint GROUP BY tenant_id
			), log AS (
				SELECT tenant_id, max(index) + 1 AS size
				FROM audit_leaf
				WHERE tenant_id NOT IN (SELECT tenant_id FROM tenant WHERE state = 'moved')
				GROUP BY tenant_id
			)
			SELECT count(*) FILTER (WHERE l.size > coalesce(s.size, 0)), count(*),
			       coalesce(extract(epoch FROM now() - min((
			           SELECT recorded_at FROM audit_leaf f WHERE f.tenant_id = l.tenant_id AND f.index = coalesce(s.size, 0)))), 0),
			       extract(epoch FROM now() - max(s.signed_at))
			FROM log l
			LEFT JOIN signed s USING (tenant_id)`).Scan(&unsigned, &logs, &oldest, &last)
	})
	age := func(seconds float64) time.Duration {
		return time.Duration(seconds * float64(time.Second)).Round(time.Second)
	}
	v, signed := ok, "there is no checkpoint yet"
	if age(oldest) > 5*time.Minute {
		v = warn
	}
	if last != nil {
		signed = fmt.Sprintf("the last checkpoint is %s old", age(*last))
	}
	return v, fmt.Sprintf("%d of %d logs have events that no checkpoint covers, the oldest for %s; %s", unsigned, logs, age(oldest), signed), err
}

// checkOutside compares each log with the last note of its file in the directory of
// checkpoints: what the database says of itself proves nothing.
func checkOutside(ctx context.Context, f databaseFlags, dir string) finding {
	found := finding{Check: "audit log goes on from the checkpoints outside", Verdict: fail,
		Mend: "do not delete the file: it proves what is missing. If the database was restored from a backup: overread audit restored TENANT; if it was not, somebody has changed the log. See docs/audit.md, \"After a restore\""}
	db, err := f.open(ctx)
	if err != nil {
		found.Detail = err.Error()
		return found
	}
	defer db.Close()
	n, err := outsideLogs(ctx, db, dir)
	if err != nil {
		found.Detail = err.Error()
		return found
	}
	found.Detail = fmt.Sprintf("%d logs begin as the files in %s say", n, dir)
	if n == 0 {
		found.Verdict, found.Detail = warn, "there are no files of checkpoints in "+dir
		found.Mend = "see that the directory is the one of overread serve, and that its volume is mounted"
		return found
	}
	found.Verdict, found.Mend = ok, ""
	return found
}

// outsideLogs counts the logs with a file; the error is of the first that does not
// go on from it.
func outsideLogs(ctx context.Context, db *pg.DB, dir string) (n int, err error) {
	tenants, err := auditlog.LogsIn(dir)
	if err != nil {
		return 0, err
	}
	states := map[uuid.UUID]string{auditlog.Installation: "active"}
	err = db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT tenant_id, state FROM tenant`)
		if err != nil {
			return err
		}
		var id uuid.UUID
		var state string
		_, err = pgx.ForEachRow(rows, []any{&id, &state}, func() error {
			states[id] = state
			return nil
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, tenant := range tenants {
		switch states[tenant] {
		case "":
			return n, fmt.Errorf("tenant %s has a file of checkpoints and is not in this database", tenant)
		case "moved": // its log goes on elsewhere
			continue
		}
		if _, err := auditlog.Outside(ctx, db, tenant, dir); err != nil {
			return n, fmt.Errorf("tenant %s: %w", tenant, err)
		}
		n++
	}
	return n, nil
}

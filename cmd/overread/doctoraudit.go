package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/pg"
)

// checkCheckpoints looks how long ago the oldest event was recorded that no
// checkpoint covers.
func checkCheckpoints(ctx context.Context, p patient) (v verdict, detail string, err error) {
	var s administration.Signing
	err = inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		s, v, err = administration.Checkpoints(ctx, tx, uuid.Nil)
		return err
	})
	signed := "there is no checkpoint yet"
	if s.Last != nil {
		signed = fmt.Sprintf("the last checkpoint is %s old", *s.Last)
	}
	return v, fmt.Sprintf("%d of %d logs have events that no checkpoint covers, the oldest for %s; %s", s.Unsigned, s.Logs, s.Oldest, signed), err
}

const outsideCheck = "audit log goes on from the checkpoints outside"

// checkOutside compares each log with the last note of its file in the directory of
// checkpoints: what the database says of itself proves nothing. Each log that does
// not go on is a finding.
func checkOutside(ctx context.Context, f databaseFlags, dir string) []finding {
	db, err := f.open(ctx)
	if err != nil {
		return []finding{{outsideCheck, fail, err.Error(), "start PostgreSQL, or correct --database-url / OVERREAD_DATABASE_URL"}}
	}
	defer db.Close()
	logs, err := logsToCompare(ctx, db, dir)
	if err != nil {
		return []finding{{outsideCheck, fail, err.Error(), "give the directory of overread serve"}}
	}
	if dir == "" {
		return []finding{notCompared(logs)}
	}
	var found []finding
	good, without := 0, 0
	for _, l := range logs {
		switch bad := l.compare(ctx, db, dir); {
		case bad.Verdict != "":
			found = append(found, bad)
		case l.file && l.signed:
			good++
		case l.signed:
			without++
		}
	}
	switch {
	case without > 0:
		found = append(found, finding{outsideCheck, warn, fmt.Sprintf("%d logs have checkpoints and no file in %s, and never had one", without, dir),
			"see that overread serve has this directory (--audit-checkpoints / OVERREAD_AUDIT_CHECKPOINTS): it writes the files within a minute"})
	case good == 0 && len(found) == 0:
		found = append(found, finding{outsideCheck, warn, "there are no files of checkpoints in " + dir,
			"see that the directory is the one of overread serve, and that its volume is mounted"})
	case len(found) == 0:
		found = append(found, finding{outsideCheck, ok, fmt.Sprintf("%d logs begin as the files in %s say", good, dir), ""})
	}
	return found
}

// notCompared says what it means that no directory was given.
func notCompared(logs []outsideLog) finding {
	kept, signed := 0, 0
	for _, l := range logs {
		if l.kept {
			kept++
		}
		if l.signed {
			signed++
		}
	}
	switch {
	case kept > 0:
		return finding{outsideCheck, warn, fmt.Sprintf("not compared: the checkpoints of %d logs are kept outside the database, and the doctor was not told where", kept),
			"give it the directory of overread serve: --audit-checkpoints / OVERREAD_AUDIT_CHECKPOINTS"}
	case signed == 0:
		return finding{outsideCheck, ok, "not compared: there is no checkpoint yet", ""}
	}
	return finding{outsideCheck, warn, "not compared: no checkpoints are kept outside the database, so whoever has it can cut off the end of a log",
		"give overread serve a directory that is elsewhere: --audit-checkpoints / OVERREAD_AUDIT_CHECKPOINTS"}
}

// outsideLog is a log, and what there is of its checkpoints.
type outsideLog struct {
	Tenant uuid.UUID
	State  string // of the tenant; "" where it is not in this database
	signed bool   // the database has checkpoints
	kept   bool   // they were kept in a file
	file   bool   // there is one now
}

// compare is a finding without a verdict where the log goes on.
func (l outsideLog) compare(ctx context.Context, db *pg.DB, dir string) finding {
	if l.State == "" {
		return finding{outsideCheck, fail, fmt.Sprintf("tenant %s has a file of checkpoints and is not in this database", l.Tenant),
			"see that the directory and the database belong together"}
	}
	_, err := auditlog.Outside(ctx, db, l.Tenant, dir)
	if err == nil {
		return finding{}
	}
	mend := "do not delete the file: it proves what is missing. If the database was restored from a backup: overread audit restored TENANT; if it was not, somebody has changed the log or the file. See docs/audit.md, \"After a restore\""
	if _, missing := errors.AsType[*auditlog.MissingError](err); missing {
		mend = "mount the volume, or bring the file back. If it is gone for good: overread audit checkpoints-lost TENANT. See docs/audit.md, \"When the file is gone\""
	}
	return finding{outsideCheck, fail, fmt.Sprintf("tenant %s: %v", l.Tenant, err), mend}
}

// logsToCompare are the logs that the database or the directory has. What was moved
// away goes on elsewhere.
func logsToCompare(ctx context.Context, db *pg.DB, dir string) ([]outsideLog, error) {
	var logs []outsideLog
	err := db.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT t.tenant_id, t.state,
			       EXISTS (SELECT FROM audit_checkpoint c WHERE c.tenant_id = t.tenant_id),
			       EXISTS (SELECT FROM audit_outside o WHERE o.tenant_id = t.tenant_id)
			FROM (SELECT tenant_id, state FROM tenant UNION ALL SELECT @none, 'active') AS t
			ORDER BY t.tenant_id`, pgx.NamedArgs{"none": auditlog.Installation})
		if err != nil {
			return err
		}
		logs, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (l outsideLog, err error) {
			err = row.Scan(&l.Tenant, &l.State, &l.signed, &l.kept)
			return l, err
		})
		return err
	})
	if err != nil || dir == "" {
		return logs, err
	}
	files, err := auditlog.LogsIn(dir)
	for _, tenant := range files {
		if i := slices.IndexFunc(logs, func(l outsideLog) bool { return l.Tenant == tenant }); i >= 0 {
			logs[i].file = true
		} else {
			logs = append(logs, outsideLog{Tenant: tenant, file: true})
		}
	}
	return slices.DeleteFunc(logs, func(l outsideLog) bool { return l.State == "moved" }), err
}

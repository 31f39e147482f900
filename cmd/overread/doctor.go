package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
)

type doctorCmd struct {
	Database     databaseFlags `embed:""`
	Destinations bool          `name:"destinations" env:"OVERREAD_DOCTOR_DESTINATIONS" help:"Also ask every destination, key set, EHR and identity provider that is registered for what everybody may read there."`
	PACS         bool          `name:"pacs" env:"OVERREAD_DOCTOR_PACS" help:"Also ask every PACS about a study that there cannot be."`
	Outbound     outboundFlags `embed:""`
	AuditDir     string        `name:"audit-checkpoints" env:"OVERREAD_AUDIT_CHECKPOINTS" type:"path" placeholder:"DIR" help:"The directory of checkpoints, as serve has it: the audit log must go on from what is kept there."`
	JSON         bool          `name:"json" help:"Print JSON."`
}

// verdict is how a check came out.
type verdict = administration.Verdict

const (
	ok   = administration.OK
	warn = administration.Warn
	fail = administration.Fail
)

// finding is what one check found, and how to mend it.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Mend    string  `json:"mend,omitempty"`
}

// patient is whom the doctor examines: one connection, as the login.
type patient struct {
	url  string
	conn *pgx.Conn
}

// checks is the table of what the doctor looks at, in this order.
var checks = []struct {
	name string
	mend string // what to do when it does not pass
	run  func(ctx context.Context, p patient) (verdict, string, error)
}{
	{"PostgreSQL is 15 or later", "upgrade PostgreSQL", checkServerVersion},
	{"schema is this binary's", "run: overread migrate", checkSchema},
	{"login may take both roles", "as the schema's owner: GRANT overread_app, overread_system TO the login of the database URL", checkRoles},
	{"roles own nothing and row-level security binds them", "run overread migrate; take OWNER, SUPERUSER and BYPASSRLS from overread_app, overread_system and overread_search", checkRowSecurity},
	{"clocks agree", "let NTP keep the clocks of this machine and of the database", checkClock},
	{"next month has partitions", "keep `overread serve` running (job partitions) or call SELECT overread_make_partitions(3)", checkPartitions},
	{"agenda is worked off", "see that an `overread serve` runs against this database, and its log for the kind and the case", checkAgenda},
	{"audit log is up to date", "see that an `overread serve` runs against this database (job audit-log), and its log", checkSequencer},
	{"audit log is signed", "give `overread serve` a key: overread audit key FILE, then --audit-key / OVERREAD_AUDIT_KEY; where it has one, see its log (job audit-checkpoint)", checkCheckpoints},
	{"search index is this binary's", "keep `overread serve` running (job reindex): until it is done, searches may miss what is not indexed", checkIndex},
	{"PostgreSQL logs no values", "as a superuser: ALTER ROLE (the login of the database URL) SET log_error_verbosity = 'terse', and SET log_parameter_max_length = 0; see docs/security.md", checkQueryLog},
	{"auto_explain logs no plans", "as a superuser: ALTER ROLE (the login of the database URL) SET auto_explain.log_min_duration = -1; plans quote the values that were asked for", checkPlanLog},
	{"no record was opened in an emergency lately", "look at who opened them and why, and talk with them: overread break-glass list TENANT", checkEmergencies},
	{"deliveries leave the house", "see the destination's answers in delivery_attempt; after mending it, POST Task/{id}/$redeliver un-parks", checkDeliveries},
}

func (c doctorCmd) Run(ctx context.Context, t terminal) error {
	url, err := c.Database.url()
	if err != nil {
		return err
	}
	guard, err := c.Outbound.guard()
	if err != nil {
		return err
	}
	var asked []networkCheck
	if c.Destinations {
		asked = append(asked, checkDestinations)
	}
	if c.PACS {
		asked = append(asked, checkPACS)
	}
	findings := examine(ctx, url, guard, asked...)
	if len(findings) > 1 { // the database answers
		findings = append(findings, checkOutside(ctx, c.Database, c.AuditDir)...)
	}
	if c.JSON {
		err = printJSON(t, findings)
	} else {
		t.printf("%s\n", redacted(url))
		printFindings(t, findings)
	}
	if err != nil {
		return err
	}
	for _, f := range findings {
		if f.Verdict == fail {
			return fmt.Errorf("the doctor found something to mend: %s", f.Check)
		}
	}
	return nil
}

// networkCheck asks others than the database: only where it is wanted.
type networkCheck func(context.Context, *pgx.Conn, *outbound.Guard) []finding

// examine runs every check; without a connection there is only one finding.
func examine(ctx context.Context, url string, guard *outbound.Guard, asked ...networkCheck) []finding {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return []finding{{"database answers", fail, err.Error(), "start PostgreSQL, or correct --database-url / OVERREAD_DATABASE_URL"}}
	}
	defer conn.Close(context.WithoutCancel(ctx))

	findings := []finding{{Check: "database answers", Verdict: ok, Detail: "as " + conn.Config().User}}
	for _, check := range checks {
		v, detail, err := check.run(ctx, patient{url, conn})
		if err != nil {
			v, detail = fail, err.Error()
		}
		f := finding{Check: check.name, Verdict: v, Detail: detail}
		if v != ok {
			f.Mend = check.mend
		}
		findings = append(findings, f)
	}
	for _, ask := range asked {
		findings = append(findings, ask(ctx, conn, guard)...)
	}
	return findings
}

func printFindings(t terminal, findings []finding) {
	for _, f := range findings {
		t.printf("%-5s %s: %s\n", strings.ToUpper(string(f.Verdict)), f.Check, f.Detail)
		if f.Mend != "" {
			t.printf("      to mend it: %s\n", f.Mend)
		}
	}
}

func checkServerVersion(ctx context.Context, p patient) (verdict, string, error) {
	var number int
	var version string
	err := p.conn.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int, current_setting('server_version')`).Scan(&number, &version)
	if number < 150000 {
		return fail, version, err
	}
	return ok, version, err
}

func checkSchema(ctx context.Context, p patient) (verdict, string, error) {
	have, want, err := pg.SchemaVersion(ctx, p.url)
	detail := fmt.Sprintf("has version %d, this binary wants %d", have, want)
	switch {
	case have < want:
		return fail, detail, err
	case have > want:
		return warn, detail + " (a newer release has migrated it)", err
	}
	return ok, detail, err
}

func checkRoles(ctx context.Context, p patient) (verdict, string, error) {
	for _, role := range []string{"overread_app", "overread_system"} {
		err := pgx.BeginFunc(ctx, p.conn, func(tx pgx.Tx) error {
			_, err := tx.Exec(ctx, `SELECT set_config('role', $1, true)`, role)
			return err
		})
		if err != nil {
			return fail, "cannot take " + role, err
		}
	}
	return ok, "overread_app, overread_system", nil
}

// checkRowSecurity lists the tables that one of the two roles may touch
// although nothing keeps the tenants apart in them.
func checkRowSecurity(ctx context.Context, p patient) (verdict, string, error) {
	var bare, strong []string
	err := p.conn.QueryRow(ctx, `
		SELECT
			(SELECT array_agg(c.relname::text ORDER BY c.relname)
			 FROM pg_class c
			 JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'public'
			 CROSS JOIN (VALUES ('overread_app'), ('overread_system'), ('overread_search')) r (role)
			 WHERE c.relkind IN ('r', 'p')
			   AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
			   AND (has_table_privilege(r.role, c.oid, 'SELECT, INSERT, UPDATE, DELETE')
			        OR has_any_column_privilege(r.role, c.oid, 'SELECT, INSERT, UPDATE'))),
			(SELECT array_agg(rolname::text)
			 FROM pg_roles
			 WHERE rolname IN ('overread_app', 'overread_system', 'overread_search')
			   AND (rolsuper OR rolbypassrls
			        OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relkind IN ('r', 'p'))))`).Scan(&bare, &strong)
	switch {
	case err != nil:
		return fail, "", err
	case len(strong) > 0:
		return fail, "has more rights than it may: " + strings.Join(strong, ", "), nil
	case len(bare) > 0:
		return fail, "row-level security is not forced on " + strings.Join(bare, ", "), nil
	}
	return ok, "forced on every table that they may touch", nil
}

// checkClock compares the database's clock with the middle of the round trip.
func checkClock(ctx context.Context, p patient) (verdict, string, error) {
	var theirs time.Time
	before := time.Now()
	err := p.conn.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&theirs)
	ours := before.Add(time.Since(before) / 2)
	skew := theirs.Sub(ours).Abs().Round(time.Millisecond)
	return administration.Graded(skew, time.Second, 10*time.Second), "apart by " + skew.String(), err
}

func checkPartitions(ctx context.Context, p patient) (verdict, string, error) {
	var missing []string
	err := p.conn.QueryRow(ctx, `
		SELECT array_agg(name)
		FROM unnest(ARRAY['resource_history', 'audit_event', 'case_event']) parent,
		     LATERAL (SELECT parent || to_char((now() AT TIME ZONE 'UTC') + interval '1 month', '_YYYY_MM') AS name) next
		WHERE to_regclass(name) IS NULL`).Scan(&missing)
	if len(missing) > 0 {
		return warn, "missing: " + strings.Join(missing, ", "), err
	}
	return ok, "history, audit and case events", err
}

// ofSuspended says how much waits because its tenants are suspended, which is no
// illness. What was moved away does not wait at all: it stays as it is.
func ofSuspended(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d more wait as their tenants are suspended", n)
}

func checkAgenda(ctx context.Context, p patient) (v verdict, detail string, err error) {
	var lag administration.Lag
	err = inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		lag, v, err = administration.AgendaLag(ctx, tx, uuid.Nil)
		return err
	})
	return v, fmt.Sprintf("%d due, the oldest for %s%s", lag.Waiting, lag.Oldest, ofSuspended(lag.Still)), err
}

func checkDeliveries(ctx context.Context, p patient) (v verdict, detail string, err error) {
	var lag administration.Lag
	err = inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		lag, v, err = administration.OutboxLag(ctx, tx, uuid.Nil, "")
		return err
	})
	failing := ""
	if lag.Failing > 0 {
		failing = fmt.Sprintf(", %d of them tried three times or more in vain", lag.Failing)
	}
	return v, fmt.Sprintf("%d queued%s, the oldest for %s; %d parked%s", lag.Waiting, failing, lag.Oldest, lag.Stopped, ofSuspended(lag.Still)), err
}

// checkQueryLog looks at whether PostgreSQL's own log may quote what it was
// given: DETAIL lines quote rows, and statements are logged with parameters.
func checkQueryLog(ctx context.Context, p patient) (verdict, string, error) {
	var verbosity string
	var parameters, statements, onError bool
	err := p.conn.QueryRow(ctx, `
		SELECT current_setting('log_error_verbosity'),
		       current_setting('log_parameter_max_length') <> '0',
		       current_setting('log_statement') <> 'none' OR current_setting('log_min_duration_statement') <> '-1'
		           OR current_setting('log_min_duration_sample') <> '-1' OR current_setting('log_transaction_sample_rate') <> '0',
		       current_setting('log_parameter_max_length_on_error') <> '0'`).Scan(&verbosity, &parameters, &statements, &onError)
	switch {
	case err != nil:
		return fail, "", err
	case statements && parameters:
		return fail, "statements are logged with their parameters, which are patient data", nil
	case onError:
		return warn, "parameters of statements that fail are logged outside transactions of ours", nil
	case verbosity != "terse":
		return warn, "an error may be logged with the row that caused it (log_error_verbosity is " + verbosity + ")", nil
	}
	return ok, "errors are terse, parameters are left out", nil
}

// checkPlanLog asks for auto_explain's own setting: which libraries are loaded only
// a member of pg_read_all_settings may know, and this tells as much.
func checkPlanLog(ctx context.Context, p patient) (verdict, string, error) {
	var over *string
	err := p.conn.QueryRow(ctx, `SELECT current_setting('auto_explain.log_min_duration', true)`).Scan(&over)
	switch {
	case err != nil && pg.State(err) == "42501":
		return warn, "auto_explain's settings cannot be seen: as a superuser, GRANT pg_read_all_settings TO " + p.conn.Config().User, nil
	case err != nil:
		return fail, "", err
	case over == nil || *over == "":
		return ok, "it is not loaded", nil
	case *over != "-1":
		return fail, "plans of statements are logged, with values in them, which are patient data", nil
	}
	return ok, "it is loaded, and off", nil
}

// checkSequencer looks for AuditEvents that wait for their place in the log.
func checkSequencer(ctx context.Context, p patient) (v verdict, detail string, err error) {
	var lag administration.Lag
	err = inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		lag, v, err = administration.AuditLag(ctx, tx, uuid.Nil)
		return err
	})
	return v, fmt.Sprintf("%d AuditEvents wait, the oldest for %s", lag.Waiting, lag.Oldest), err
}

// checkIndex counts what an earlier release has indexed and this one has not.
func checkIndex(ctx context.Context, p patient) (verdict, string, error) {
	var resources, events, still int
	err := inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `
			WITH waits AS (
				SELECT tenant_id, true AS resource FROM resource WHERE `+fhir.ResourcesToIndex+`
				UNION ALL
				SELECT tenant_id, false FROM audit_event WHERE `+fhir.EventsToIndex+`
			)
			SELECT count(*) FILTER (WHERE w.resource AND t.state = 'active'), count(*) FILTER (WHERE NOT w.resource AND t.state = 'active'),
			       count(*) FILTER (WHERE t.state <> 'active')
			FROM waits w
			JOIN tenant t USING (tenant_id)
			WHERE t.state <> 'moved'`).Scan(&resources, &events, &still)
	})
	v := ok
	if resources+events > 0 {
		v = warn
	}
	return v, fmt.Sprintf("%d resources and %d AuditEvents wait%s", resources, events, ofSuspended(still)), err
}

func inSystem(ctx context.Context, conn *pgx.Conn, fn func(tx pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL ROLE overread_system`); err != nil {
			return err
		}
		return fn(tx)
	})
}

// checkEmergencies counts by tenant; why a record was opened the tenant's
// coordinators see, and overread break-glass list.
func checkEmergencies(ctx context.Context, p patient) (verdict, string, error) {
	var tenants []string
	err := inSystem(ctx, p.conn, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT n.name || ': ' || count(*)
			FROM break_glass g
			JOIN tenant n ON n.tenant_id = g.tenant_id
			WHERE g.till > now() - interval '7 days'
			GROUP BY n.name
			ORDER BY n.name`)
		if err != nil {
			return err
		}
		tenants, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	if len(tenants) > 0 {
		return warn, "in the last 7 days, at " + strings.Join(tenants, ", "), err
	}
	return ok, "in the last 7 days", err
}

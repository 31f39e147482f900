package administration

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// Vital is one of the things that are looked at. It has numbers, ages and names of
// parts, and nothing of patients; the pages have the words for it.
type Vital struct {
	Kind    string // a row of VitalKinds
	Of      string // short name of an endpoint or PACS
	Verdict Verdict
	Waiting int
	Stopped int
	Oldest  time.Duration
	Last    *time.Duration // since it last went well
	Have    string         // a version
	Want    string
	Bytes   int64 // that are free, or in use where it is not known of how many
	Room    int64 // how many there are; 0: not known
	Never   bool  // what it is about is not there: no mail server, no key
}

// VitalKinds are what is looked at, in this order.
var VitalKinds = []string{"database", "schema", "disk", "replicas", "agenda", "outbox", "pacs", "mail", "audit-log", "checkpoints"}

// Health is how the installation is, as far as a tenant is concerned.
type Health struct {
	At       time.Time // by the database's clock
	Vitals   []Vital
	Replicas []Replica
}

// Gone tells whether a server has not said for a minute that it is there.
func (h Health) Gone(r Replica) bool { return h.At.Sub(r.SeenAt) > replicaGone }

// Worst is the worst verdict.
func (h Health) Worst() Verdict {
	worst := OK
	for _, v := range h.Vitals {
		if v.Verdict == Fail || v.Verdict == Warn && worst == OK {
			worst = v.Verdict
		}
	}
	return worst
}

// Ill are the vitals that are not ok.
func (h Health) Ill() (all []Vital) {
	for _, v := range h.Vitals {
		if v.Verdict != OK {
			all = append(all, v)
		}
	}
	return all
}

// Health looks at all of it. What cannot be asked because the database does not
// answer is an error.
func (k Keeper) Health(ctx context.Context, tenant uuid.UUID) (h Health, err error) {
	began := time.Now()
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		h = Health{}
		if err := h.database(ctx, tx, began); err != nil {
			return err
		}
		if err := h.servers(ctx, tx); err != nil {
			return err
		}
		lag, v, err := AgendaLag(ctx, tx, tenant)
		if err != nil {
			return err
		}
		h.add(Vital{Kind: "agenda", Verdict: v, Waiting: lag.Waiting, Oldest: lag.Oldest})
		if err := h.outboxes(ctx, tx, tenant); err != nil {
			return err
		}
		if err := h.pacs(ctx, tx, tenant); err != nil {
			return err
		}
		if err := h.mail(ctx, tx, tenant); err != nil {
			return err
		}
		return h.log(ctx, tx, tenant)
	})
	return h, wrapped("health", err)
}

func (h *Health) add(v Vital) { h.Vitals = append(h.Vitals, v) }

// database looks at how fast it answers, its schema, and how large it is.
func (h *Health) database(ctx context.Context, tx pgx.Tx, began time.Time) error {
	var version string
	var have int64
	var size *int64
	err := tx.QueryRow(ctx, `
		SELECT now(), current_setting('server_version'), overread_schema_version(),
		       CASE WHEN has_database_privilege(current_database(), 'CONNECT') THEN pg_database_size(current_database()) END`).Scan(&h.At, &version, &have, &size)
	if err != nil {
		return err
	}
	took := time.Since(began)
	h.add(Vital{Kind: "database", Verdict: Graded(took, time.Second, 5*time.Second), Have: version, Oldest: took})
	want, err := pg.LatestSchema()
	if err != nil {
		return err
	}
	v := Vital{Kind: "schema", Verdict: OK, Have: number(have), Want: number(want)}
	switch {
	case have < want:
		v.Verdict = Fail
	case have > want: // a newer release has migrated it, and this one is to be replaced
		v.Verdict = Warn
	}
	h.add(v)
	if size != nil {
		h.add(Vital{Kind: "disk", Verdict: OK, Bytes: *size})
	}
	return nil
}

// servers looks at who works on the database, and at their disks.
func (h *Health) servers(ctx context.Context, tx pgx.Tx) (err error) {
	if h.Replicas, err = replicas(ctx, tx); err != nil {
		return err
	}
	v := Vital{Kind: "replicas", Verdict: OK}
	disk := Vital{Kind: "disk", Verdict: OK}
	var least float64 = 1
	for _, r := range h.Replicas {
		if h.Gone(r) {
			v.Stopped++
			continue
		}
		v.Waiting++
		if r.DiskFree != nil && r.DiskSize != nil && *r.DiskSize > 0 {
			if share := float64(*r.DiskFree) / float64(*r.DiskSize); disk.Room == 0 || share < least {
				least, disk.Of, disk.Bytes, disk.Room = share, r.Host, *r.DiskFree, *r.DiskSize
			}
		}
	}
	switch {
	case v.Waiting == 0:
		v.Verdict = Fail
	case v.Stopped > 0:
		v.Verdict = Warn
	}
	if disk.Room > 0 {
		switch {
		case least < 0.03:
			disk.Verdict = Fail
		case least < 0.10:
			disk.Verdict = Warn
		}
		h.add(disk)
	}
	h.add(v)
	return nil
}

// outboxes looks at each endpoint. One that somebody paused is a warning, whatever
// waits: nothing arrives there.
func (h *Health) outboxes(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	rows, err := tx.Query(ctx, `SELECT destination, paused_at IS NOT NULL FROM destination WHERE tenant_id = $1 ORDER BY destination`, tenant)
	if err != nil {
		return err
	}
	type end struct {
		Name   string
		Paused bool
	}
	ends, err := pgx.CollectRows(rows, pgx.RowToStructByPos[end])
	if err != nil {
		return err
	}
	if len(ends) == 0 {
		h.add(Vital{Kind: "outbox", Verdict: Warn, Never: true})
	}
	for _, e := range ends {
		lag, v, err := OutboxLag(ctx, tx, tenant, e.Name)
		if err != nil {
			return err
		}
		vital := Vital{Kind: "outbox", Of: e.Name, Verdict: v, Waiting: lag.Waiting, Stopped: lag.Stopped, Oldest: lag.Oldest}
		if e.Paused {
			vital.Have = "paused"
			if v == OK {
				vital.Verdict = Warn
			}
		}
		h.add(vital)
	}
	return nil
}

// pacs looks at which PACS does not answer, and what should have been asked by now.
func (h *Health) pacs(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	rows, err := tx.Query(ctx, `SELECT pacs, failures, coalesce(breaker_until > now(), false) FROM pacs WHERE tenant_id = $1 ORDER BY pacs`, tenant)
	if err != nil {
		return err
	}
	type archive struct {
		Name     string
		Failures int
		Resting  bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[archive])
	if err != nil {
		return err
	}
	if len(all) == 0 {
		h.add(Vital{Kind: "pacs", Verdict: OK, Never: true})
		return nil
	}
	var waiting int
	var oldest float64
	err = tx.QueryRow(ctx, `
		SELECT count(*), coalesce(extract(epoch FROM now() - min(due_at)), 0)
		FROM pacs_look
		WHERE tenant_id = $1 AND due_at <= now()`, tenant).Scan(&waiting, &oldest)
	if err != nil {
		return err
	}
	for _, a := range all {
		v := Vital{Kind: "pacs", Of: a.Name, Verdict: Graded(age(oldest), 5*time.Minute, time.Hour), Waiting: waiting, Stopped: a.Failures, Oldest: age(oldest)}
		switch {
		case a.Resting:
			v.Verdict, v.Have = Fail, "resting"
		case a.Failures > 0 && v.Verdict == OK:
			v.Verdict = Warn
		}
		h.add(v)
	}
	return nil
}

// mail looks at what waits to be sent and what was given up in the last week, and
// whether any server could send it.
func (h *Health) mail(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	v := Vital{Kind: "mail", Verdict: OK, Never: true}
	var oldest float64
	err := tx.QueryRow(ctx, `
		SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'parked'),
		       coalesce(extract(epoch FROM now() - min(queued_at) FILTER (WHERE state = 'queued')), 0)
		FROM mail
		WHERE tenant_id = $1 AND state IN ('queued', 'parked') AND queued_at > now() - interval '7 days'`, tenant).Scan(&v.Waiting, &v.Stopped, &oldest)
	if err != nil {
		return err
	}
	for _, r := range h.Replicas {
		v.Never = v.Never && (!r.Mails || h.Gone(r))
	}
	v.Oldest = age(oldest)
	v.Verdict = Graded(v.Oldest, 10*time.Minute, time.Hour)
	if (v.Stopped > 0 || v.Never && v.Waiting > 0) && v.Verdict == OK {
		v.Verdict = Warn
	}
	h.add(v)
	return nil
}

// log looks at the tenant's audit log.
func (h *Health) log(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) error {
	lag, v, err := AuditLag(ctx, tx, tenant)
	if err != nil {
		return err
	}
	h.add(Vital{Kind: "audit-log", Verdict: v, Waiting: lag.Waiting, Oldest: lag.Oldest})
	s, v, err := Checkpoints(ctx, tx, tenant)
	if err != nil {
		return err
	}
	h.add(Vital{Kind: "checkpoints", Verdict: v, Oldest: s.Oldest, Last: s.Last, Never: s.Last == nil})
	return nil
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

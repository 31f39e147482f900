package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/fhir"
	"github.com/overread/overread/integrations/smart"
	"github.com/overread/overread/internal/auditlog"
	"github.com/overread/overread/internal/oauth"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/workflow"
)

// job is something that the server does by the clock. A tick is a hint only:
// what is to be done is claimed in SQL, so that two replicas, or two ticks,
// never do the same thing twice.
type job struct {
	name   string
	every  time.Duration
	kicked bool // also runs soon after a client has changed something
	run    func(context.Context) (worked int, err error)
}

// jobTable is everything that runs by the clock.
func jobTable(db *pg.DB, engine *workflow.Engine, courier *workflow.Courier, postman *workflow.Postman, scout *workflow.Scout, surface *fhir.Server, tokens *oauth.Server, launch *smart.Client, sealer *auditlog.Sealer) []job {
	return []job{
		{name: "agenda", every: time.Second, kicked: true, run: engine.Tick},
		{name: "batch", every: 5 * time.Second, run: engine.BatchTick},
		{name: "credentials", every: 5 * time.Minute, run: engine.CredentialTick},
		{name: "reminders", every: 5 * time.Minute, run: engine.ReminderTick},
		{name: "mail", every: time.Second, kicked: true, run: postman.Tick},
		{name: "courier", every: time.Second, kicked: true, run: courier.Tick},
		{name: "undelivered", every: 5 * time.Second, run: surface.UndeliveredTick},
		{name: "pacs", every: time.Second, kicked: true, run: scout.Tick},
		{name: "export", every: time.Second, kicked: true, run: surface.ExportTick},
		{name: "export-expiry", every: time.Minute, run: surface.ExpireExports},
		{name: "tokens", every: time.Minute, run: tokens.Purge},
		{name: "launches", every: time.Minute, run: launch.Purge},
		{name: "reindex", every: time.Minute, run: surface.Reindex},
		{name: "facts", every: time.Minute, run: engine.BuildFacts},
		{name: "publications", every: time.Hour, run: surface.PublishTick},
		{name: "reports", every: time.Hour, run: surface.ReportTick},
		{name: "audit-log", every: time.Second, run: func(ctx context.Context) (int, error) { return placeEvents(ctx, db, surface) }},
		{name: "audit-checkpoint", every: time.Minute, run: sealer.Tick},
		{name: "partitions", every: 24 * time.Hour, run: func(ctx context.Context) (int, error) { return makePartitions(ctx, db) }},
	}
}

// placeEvents takes AuditEvents to where they are found, and gives them their
// places in the log.
func placeEvents(ctx context.Context, db *pg.DB, surface *fhir.Server) (int, error) {
	settled, err := surface.Settle(ctx)
	if err != nil {
		return settled, err
	}
	placed, err := auditlog.Sequence(ctx, db)
	return settled + placed, err
}

// makePartitions makes the partitions of the months to come.
func makePartitions(ctx context.Context, db *pg.DB) (int, error) {
	return 0, db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT overread_make_partitions(3)`)
		return err
	})
}

// clockwork runs the jobs.
type clockwork struct {
	scheduler gocron.Scheduler
	cancel    context.CancelFunc
	kicks     chan struct{}
	done      chan struct{}
}

// kickPause gathers the kicks of a busy moment into one.
const kickPause = 50 * time.Millisecond

// startJobs starts the clockwork. Call stop to end it.
func startJobs(log *slog.Logger, jobs []job) (*clockwork, error) {
	scheduler, err := gocron.NewScheduler(gocron.WithStopTimeout(10 * time.Second))
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &clockwork{scheduler: scheduler, cancel: cancel, kicks: make(chan struct{}, 1), done: make(chan struct{})}
	var kicked []gocron.Job
	for _, j := range jobs {
		scheduled, err := scheduler.NewJob(
			gocron.DurationJob(j.every),
			gocron.NewTask((&worker{job: j, log: log}).work, ctx),
			gocron.WithName(j.name),
			gocron.WithSingletonMode(gocron.LimitModeReschedule),
			gocron.WithStartAt(gocron.WithStartImmediately()),
		)
		if err != nil {
			cancel()
			return nil, fmt.Errorf("job %s: %w", j.name, err)
		}
		if j.kicked {
			kicked = append(kicked, scheduled)
		}
	}
	scheduler.Start()
	go c.passKicks(ctx, kicked)
	return c, nil
}

// kick hints that there is something to do; it never waits.
func (c *clockwork) kick() {
	select {
	case c.kicks <- struct{}{}:
	default:
	}
}

func (c *clockwork) passKicks(ctx context.Context, jobs []gocron.Job) {
	defer close(c.done)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.kicks:
		}
		for _, j := range jobs {
			_ = j.RunNow() // refused only while the scheduler stops
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(kickPause):
		}
	}
}

// stop asks running jobs to end and waits for them, ten seconds at most. What
// a job has claimed and not done is undone by its transaction or its lease.
func (c *clockwork) stop() error {
	c.cancel()
	<-c.done
	err := c.scheduler.StopJobs()
	return errors.Join(err, c.scheduler.Shutdown())
}

// worker does one job, one run at a time.
type worker struct {
	job
	log    *slog.Logger
	failed string // what it failed with last; "" when it went well
}

// work runs the job until nothing is left to do.
func (w *worker) work(ctx context.Context) {
	for {
		worked, err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		w.report(err)
		if err != nil || worked == 0 {
			return
		}
		w.log.Debug("job worked", "job", w.name, "worked", worked)
	}
}

// once does it once. A job that panics has failed, and takes nothing else with it:
// its transaction is undone.
func (w *worker) once(ctx context.Context) (worked int, err error) {
	defer func() {
		if found := recover(); found != nil {
			w.log.Error("job panicked", "job", w.name, "stack", string(debug.Stack()))
			worked, err = 0, errPanicked
		}
	}()
	return w.run(ctx)
}

var errPanicked = errors.New("panicked; the log has where")

// report logs a failure when it begins or changes, and its end: a database
// that is away for an hour is two lines, not seven thousand.
func (w *worker) report(err error) {
	text := ""
	if err != nil {
		text = pg.Describe(err)
	}
	switch text {
	case w.failed:
	case "":
		w.log.Info("job works again", "job", w.name)
	default:
		w.log.Error("job failed", "job", w.name, "error", text)
	}
	w.failed = text
}

package pg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PrivateDatabase is the database that every private PostgreSQL has from its
// first start.
const PrivateDatabase = "overread"

const (
	privateUser   = "overread" // the superuser of a private PostgreSQL
	startPatience = 2 * time.Minute
	stopPatience  = 30 * time.Second
	startAttempts = 4 // another program may take the port between choosing and using it
)

// Private is a PostgreSQL of our own, for the demo and for tests: its data,
// port, password and log are in one folder, it listens on 127.0.0.1 only, and
// it ends when this process ends, however that happens.
type Private struct {
	folder   *folder
	bin      binaries
	settings []string
	port     int
	password string
	process  *os.Process
	exited   chan struct{} // closed when the postmaster has ended
	stop     sync.Once
}

// StartPrivate starts the PostgreSQL whose folder is dir, or makes one there.
// It recovers the data after a kill -9 of everything, and stops a postmaster
// that an earlier run has left behind. As root it runs PostgreSQL as another
// user, because PostgreSQL refuses root; where that user cannot reach dir, the
// folder is below /var/lib/overread instead (Dir says where). What a person
// should know of all this is written to log.
//
// Settings are PostgreSQL's own, as "name=value"; "fsync=off" is for tests
// only. The context bounds the start, not the life.
//
// It returns an error that says what to do: when another process uses the
// folder, when no PostgreSQL is installed and none can be fetched, or when
// PostgreSQL does not start (with the end of its log).
func StartPrivate(ctx context.Context, dir string, log io.Writer, settings ...string) (*Private, error) {
	f, err := openFolder(ctx, dir, log)
	if err != nil {
		return nil, fmt.Errorf("private PostgreSQL: %w", err)
	}
	p := &Private{folder: f, settings: settings}
	if err := p.start(ctx, log); err != nil {
		_ = p.Stop()
		return nil, fmt.Errorf("private PostgreSQL in %s: %w", f.dir, err)
	}
	return p, nil
}

// Dir is the folder that holds the data.
func (p *Private) Dir() string { return p.folder.dir }

// URL is how to reach a database of this PostgreSQL as its superuser.
func (p *Private) URL(dbname string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(privateUser, p.password),
		Host:     "127.0.0.1:" + strconv.Itoa(p.port),
		Path:     dbname,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// Stop shuts PostgreSQL down: open connections are cut, nothing committed is
// lost. It may be called more than once.
func (p *Private) Stop() error {
	var err error
	p.stop.Do(func() {
		err = p.shutdown()
		p.folder.close()
	})
	return err
}

func (p *Private) start(ctx context.Context, log io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	var err error
	if p.bin, err = findOrFetch(ctx, p.folder, log); err != nil {
		return err
	}
	if err = p.folder.stopOrphans(p.bin); err != nil {
		return err
	}
	if err = p.initialise(ctx, log); err != nil {
		return err
	}
	if p.password, err = p.folder.read("password"); err != nil {
		return err
	}
	if err = p.launchOnFreePort(ctx); err != nil {
		return err
	}
	if err = p.createDatabase(ctx, PrivateDatabase); err != nil {
		return err
	}
	_, err = fmt.Fprintf(log, "PostgreSQL %d on 127.0.0.1:%d, data in %s\n", p.bin.major, p.port, p.folder.dir)
	return err
}

// initialise makes the data folder, once. It is built beside its place and
// renamed, so that a half-made one is never taken for whole.
func (p *Private) initialise(ctx context.Context, log io.Writer) error {
	if p.folder.initialised() {
		return nil
	}
	_, _ = fmt.Fprintf(log, "making a new PostgreSQL %d data folder in %s\n", p.bin.major, p.folder.dir)
	if err := p.folder.newPassword(); err != nil {
		return err
	}
	unfinished := p.folder.path("data.new")
	if err := os.RemoveAll(unfinished); err != nil {
		return err
	}
	args := []string{
		"--pgdata=" + unfinished, "--username=" + privateUser, "--pwfile=" + p.folder.path("password"),
		"--auth=scram-sha-256", "--encoding=UTF8", "--locale=C",
	}
	if slices.Contains(p.settings, "fsync=off") {
		args = append(args, "--no-sync")
	}
	cmd := p.folder.command(ctx, p.bin.path("initdb"), args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return os.Rename(unfinished, p.folder.data())
}

func (p *Private) launchOnFreePort(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		port, err := p.folder.choosePort()
		if err != nil {
			return err
		}
		p.port = port
		if err := p.launch(); err != nil {
			return fmt.Errorf("start PostgreSQL: %w", err)
		}
		err = p.waitUntilReady(ctx)
		if err == nil {
			return nil
		}
		_ = p.shutdown()
		if attempt == startAttempts || ctx.Err() != nil {
			return fmt.Errorf("PostgreSQL does not start: %w\n%s", err, p.folder.endOfLog())
		}
	}
}

// launch starts the postmaster as our child. On Linux the kernel sends it
// SIGINT, a fast shutdown, when the thread that started it ends; so this
// goroutine keeps that thread until the child has ended.
func (p *Private) launch() error {
	logFile, err := p.folder.openLog()
	if err != nil {
		return err
	}
	defer logFile.Close()
	args := []string{"-D", p.folder.data()}
	for _, s := range slices.Concat(p.folder.settings(p.port), p.settings) {
		args = append(args, "-c", s)
	}
	cmd := p.folder.command(context.Background(), p.bin.path("postgres"), args...)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	dieWithParent(cmd.SysProcAttr)

	started, exited := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(exited)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	p.process, p.exited = cmd.Process, exited
	return nil
}

// waitUntilReady waits for the end of crash recovery. That the password is
// taken proves that it is our PostgreSQL and not another on the same port.
func (p *Private) waitUntilReady(ctx context.Context) error {
	for {
		conn, err := pgx.Connect(ctx, p.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-p.exited:
			return errors.New("it ended at once")
		case <-ctx.Done():
			return fmt.Errorf("no answer in time: %w", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *Private) createDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, p.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize())
	var e *pgconn.PgError
	if errors.As(err, &e) && e.Code == "42P04" { // duplicate_database
		return nil
	}
	return err
}

// shutdown asks for a fast shutdown, then for an immediate one; the data
// survives either.
func (p *Private) shutdown() error {
	if p.process == nil {
		return nil
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := p.process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stop PostgreSQL: %w", err)
		}
		select {
		case <-p.exited:
			p.process = nil
			return nil
		case <-time.After(stopPatience):
		}
	}
	return errors.New("PostgreSQL does not stop")
}

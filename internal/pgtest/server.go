package pgtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/migrations"
)

// templateLock serialises the making of templates on one server.
const templateLock = 7238462

// server is where the tests' databases are.
type server struct {
	url      string    // of a superuser
	template string    // the database to clone
	alive    io.Closer // the pipe to the broom (see startPrivate); closed by the kernel
}

// shared is the server of this test process, started by the first test.
var shared = sync.OnceValues(func() (server, error) {
	ctx := context.Background()
	s := server{url: os.Getenv("OVERREAD_TEST_DATABASE_URL"), template: templateName()}
	if s.url == "" {
		var err error
		if s.url, s.alive, err = startPrivate(ctx); err != nil {
			return s, err
		}
	}
	return s, s.withAdmin(ctx, func(admin *pgx.Conn) error { return s.makeTemplate(ctx, admin) })
})

// startPrivate starts a PostgreSQL for this process. Nothing tells a package
// when the last test of its process has run; so the kernel stops PostgreSQL
// when the process ends (see pg.StartPrivate), and a shell that waits for the
// end of the pipe then removes the folder.
func startPrivate(ctx context.Context) (url string, alive io.Closer, err error) {
	dir, err := os.MkdirTemp("", "overread-pgtest-")
	if err != nil {
		return "", nil, err
	}
	p, err := pg.StartPrivate(ctx, dir, io.Discard,
		"fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=300")
	if err != nil {
		return "", nil, err
	}
	const sweep = `read -r _; i=0; while [ -e "$1/data/postmaster.pid" ] && [ $i -lt 100 ]; do sleep 0.1; i=$((i+1)); done; rm -rf "$1" "$2"`
	broom := exec.CommandContext(context.WithoutCancel(ctx), "/bin/sh", "-c", sweep, "sh", p.Dir(), dir)
	broom.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if alive, err = broom.StdinPipe(); err != nil {
		return "", nil, err
	}
	return p.URL("postgres"), alive, broom.Start()
}

// templateName changes with the migrations, so that a server which outlives
// the test process never serves an old schema.
func templateName() string {
	sum := sha256.New()
	_ = fs.WalkDir(migrations.Files, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			text, _ := migrations.Files.ReadFile(path) // embedded: cannot fail
			fmt.Fprintf(sum, "%s\n%s\n", path, text)
		}
		return err
	})
	return "overread_template_" + hex.EncodeToString(sum.Sum(nil)[:8])
}

// makeTemplate makes the template unless it is there. That it is marked as a
// template says that it was finished; the lock belongs to the connection.
func (s server) makeTemplate(ctx context.Context, admin *pgx.Conn) error {
	if _, err := admin.Exec(ctx, `SELECT pg_advisory_lock($1)`, templateLock); err != nil {
		return err
	}
	var finished bool
	err := admin.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)`, s.template).Scan(&finished)
	if err != nil || finished {
		return err
	}
	name := pgx.Identifier{s.template}.Sanitize()
	if _, err := admin.Exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`); err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, `CREATE DATABASE `+name); err != nil {
		return err
	}
	if _, err := pg.Migrate(ctx, s.database(s.template)); err != nil {
		return err
	}
	_, err = admin.Exec(ctx, `ALTER DATABASE `+name+` WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`)
	return err
}

// clone copies a database. A connection that has just left the template may
// stand in the way for a moment.
func (s server) clone(ctx context.Context, admin *pgx.Conn, template, name string) error {
	const objectInUse = "55006"
	for attempt := 1; ; attempt++ {
		_, err := admin.Exec(ctx, `CREATE DATABASE `+pgx.Identifier{name}.Sanitize()+` TEMPLATE `+pgx.Identifier{template}.Sanitize())
		var e *pgconn.PgError
		if err == nil || attempt == 100 || !errors.As(err, &e) || e.Code != objectInUse {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// withAdmin runs fn on a connection of its own to the server.
func (s server) withAdmin(ctx context.Context, fn func(admin *pgx.Conn) error) error {
	admin, err := pgx.Connect(ctx, s.url)
	if err != nil {
		return err
	}
	defer admin.Close(ctx)
	return fn(admin)
}

// database is the URL of another database of the server.
func (s server) database(name string) string {
	u, err := url.Parse(s.url)
	if err != nil { // then nothing could connect with it before
		return s.url
	}
	u.Path = "/" + name
	return u.String()
}

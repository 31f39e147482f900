package pg_test

import (
	"bytes"
	"context"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

func TestASecondStartFindsTheDataOfTheFirst(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	first := start(t, dir)
	query[string](t, first.URL(pg.PrivateDatabase), `CREATE TABLE kept AS SELECT 'it is here'::text AS said; SELECT said FROM kept`)
	if err := first.Stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, dir)
	if got := query[string](t, second.URL(pg.PrivateDatabase), `SELECT said FROM kept`); got != "it is here" {
		t.Errorf("got %q", got)
	}
	if first.URL("x") != second.URL("x") {
		t.Error("the second start has another port or password than the first")
	}
}

func TestOnlyThisMachineAndOnlyThePasswordOpenIt(t *testing.T) {
	t.Parallel()
	p := start(t, scratch(t))
	if got := query[string](t, p.URL("postgres"), `SHOW listen_addresses`); got != "127.0.0.1" {
		t.Errorf("listens on %q", got)
	}
	u, _ := url.Parse(p.URL("postgres"))
	u.User = url.UserPassword("overread", "guess")
	if _, err := pgx.Connect(context.Background(), u.String()); err == nil {
		t.Error("a wrong password is let in")
	}
	info, err := os.Stat(filepath.Join(p.Dir(), "password"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the password file: %v %v", info.Mode(), err)
	}
}

func TestAFolderInUseIsRefusedWithTheReason(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	start(t, dir)
	_, err := pg.StartPrivate(context.Background(), dir, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "another process is using") {
		t.Errorf("got %v", err)
	}
}

// The test runs itself as another process, which starts PostgreSQL and waits
// to be killed.
func TestKilledWithoutWarningItStartsAgainWithEverythingCommitted(t *testing.T) {
	if dir := os.Getenv("PRIVATE_TEST_DIR"); dir != "" {
		p, err := pg.StartPrivate(context.Background(), dir, os.Stderr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString("url " + p.URL(pg.PrivateDatabase) + "\n")
		select {}
	}
	t.Parallel()
	for _, all := range []bool{true, false} { // everything is killed, or only the parent
		dir := scratch(t)
		child, dbURL := startElsewhere(t, dir)
		query[int](t, dbURL, `CREATE TABLE kept AS SELECT 42 AS answer; SELECT answer FROM kept`)
		busy := keepBusy(t, dbURL)
		postmaster := postmasterOf(t, dir)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if all {
			_ = syscall.Kill(postmaster, syscall.SIGKILL)
		}
		_ = child.Wait()

		began := time.Now()
		p := start(t, dir)
		t.Logf("all killed: %v, running again after %v", all, time.Since(began))
		if got := query[int](t, p.URL(pg.PrivateDatabase), `SELECT answer FROM kept`); got != 42 {
			t.Errorf("got %d", got)
		}
		if <-busy == nil {
			t.Error("a connection survived its PostgreSQL")
		}
	}
}

func TestAPidFileWhoseNumberIsSomebodyElsesDoesNoHarm(t *testing.T) {
	t.Parallel()
	dir := scratch(t)
	p := start(t, dir)
	pidFile := filepath.Join(p.Dir(), "data", "postmaster.pid")
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	other := start(t, scratch(t)) // a process of the same user
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	number := strconv.Itoa(postmasterOf(t, other.Dir()))
	if err := os.WriteFile(pidFile, append([]byte(number+"\n"), rest...), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, dir)
	query[int](t, other.URL("postgres"), `SELECT 1`)
}

func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "overread-private-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func start(t *testing.T, dir string) *pg.Private {
	t.Helper()
	var log bytes.Buffer
	p, err := pg.StartPrivate(context.Background(), dir, &log)
	if err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	t.Cleanup(func() { _ = p.Stop() })
	return p
}

func startElsewhere(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWithoutWarning")
	cmd.Env = append(os.Environ(), "PRIVATE_TEST_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	var text []byte
	for buf := make([]byte, 1024); ; {
		n, err := out.Read(buf)
		text = append(text, buf[:n]...)
		if _, rest, ok := strings.Cut(string(text), "url "); ok && strings.HasSuffix(rest, "\n") {
			return cmd, strings.TrimSpace(rest)
		}
		if err != nil {
			t.Fatalf("the other process did not start PostgreSQL: %s", text)
		}
	}
}

// keepBusy runs a long statement; what becomes of it arrives on the channel.
func keepBusy(t *testing.T, dbURL string) <-chan error {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dbURL)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.Background(), `SELECT pg_sleep(3600)`)
		ended <- err
	}()
	return ended
}

func postmasterOf(t *testing.T, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "data", "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// query runs statements and returns the one value of the last.
func query[T any](t *testing.T, dbURL, sql string) T {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, dbURL)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	statements := strings.Split(sql, "; ")
	last := len(statements) - 1
	for _, s := range statements[:last] {
		if _, err := conn.Exec(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	var value T
	if err := conn.QueryRow(ctx, statements[last]).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

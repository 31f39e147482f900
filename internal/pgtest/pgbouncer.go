package pgtest

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// PgBouncer starts a PgBouncer in transaction mode before a database, with so many
// connections to it, and returns its URL; "" where none is installed
// (scripts/ensure pgbouncer).
func PgBouncer(t testing.TB, target string, connections int) string {
	t.Helper()
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		program = "/usr/sbin/pgbouncer" // Debian's, which is not in everybody's PATH
		if _, err := os.Stat(program); err != nil {
			return ""
		}
	}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // it is TCP
	_ = free.Close()
	password, _ := u.User.Password()
	dir, err := os.MkdirTemp("", "overread-pgbouncer-") // where another user may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	file, name := filepath.Join(dir, "pgbouncer.ini"), strings.TrimPrefix(u.Path, "/")
	text := fmt.Sprintf("[databases]\n%s = host=%s port=%s dbname=%s user=%s password=%s\n"+
		"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\ndefault_pool_size = %d\nserver_round_robin = 1\n",
		name, u.Hostname(), u.Port(), name, u.User.Username(), password, port, connections)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // the password is the test's
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // PgBouncer runs as another user
		t.Fatal(err)
	}
	args := []string{file}
	if os.Getuid() == 0 { // it refuses to run as root
		args = []string{"-u", "nobody", file}
	}
	run := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill()
		_ = run.Wait()
	})
	u.Host = fmt.Sprintf("127.0.0.1:%d", port)
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), u.String())
		if err == nil {
			_ = conn.Close(t.Context())
			return u.String()
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("PgBouncer does not answer: %v", err)
		}
	}
}

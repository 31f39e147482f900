package pg

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// folder is where a private PostgreSQL lives:
//
//	data/         PostgreSQL's own
//	socket/       its Unix socket, where the path is short enough for one
//	password      of the superuser, mode 0600
//	port          on 127.0.0.1, chosen at the first start
//	postgres.log
//	lock          held while a process of ours uses the folder
type folder struct {
	dir  string
	as   *syscall.Credential // who runs PostgreSQL; nil: we ourselves
	lock *os.File
}

// openFolder makes the folder where there is none, gives it to the user who
// will run PostgreSQL, and locks it for this process.
func openFolder(ctx context.Context, dir string, log io.Writer) (*folder, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	as, err := whoRuns(filepath.Join(dir, "data"))
	if err != nil {
		return nil, err
	}
	if wall := wallFor(as, dir); wall != "" {
		elsewhere := filepath.Join("/var/lib/overread", filepath.Base(dir)+"-"+shortHash(dir))
		_, _ = fmt.Fprintf(log, "PostgreSQL refuses to run as root, and the user it runs as instead cannot enter %s; its data is in %s\n", wall, elsewhere)
		dir = elsewhere
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	f := &folder{dir: dir, as: as}
	if err := f.own(dir, 0o700); err != nil {
		return nil, err
	}
	// A process that was killed a moment ago may still be about to let go.
	patience, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if f.lock, err = waitForLock(patience, f.path("lock")); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(f.path("socket"), 0o700); err != nil {
		return nil, err
	}
	return f, f.own(f.path("socket"), 0o700)
}

// close unlocks the folder. Closing alone would leave it locked while a child
// that another goroutine has just forked still holds a copy of the descriptor.
func (f *folder) close() {
	_ = syscall.Flock(int(f.lock.Fd()), syscall.LOCK_UN)
	_ = f.lock.Close()
}

func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f *folder) data() string { return f.path("data") }

func (f *folder) initialised() bool {
	_, err := os.Stat(filepath.Join(f.data(), "PG_VERSION"))
	return err == nil
}

// major is the major version of PostgreSQL that made the data, 0 before that.
func (f *folder) major() int {
	text, err := os.ReadFile(filepath.Join(f.data(), "PG_VERSION"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

func (f *folder) read(name string) (string, error) {
	text, err := os.ReadFile(f.path(name))
	return strings.TrimSpace(string(text)), err
}

func (f *folder) write(name, text string) error {
	if err := os.WriteFile(f.path(name), []byte(text+"\n"), 0o600); err != nil {
		return err
	}
	return f.own(f.path(name), 0o600)
}

func (f *folder) own(path string, mode os.FileMode) error {
	if f.as != nil {
		if err := os.Chown(path, int(f.as.Uid), int(f.as.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(path, mode)
}

func (f *folder) newPassword() error {
	return f.write("password", rand.Text())
}

// choosePort returns the folder's port if it is free, else another that is,
// and remembers it. The range lies below the one from which the kernel takes
// the ports of outgoing connections.
func (f *folder) choosePort() (int, error) {
	if text, err := f.read("port"); err == nil {
		if port, err := strconv.Atoi(text); err == nil && isFree(port) {
			return port, nil
		}
	}
	for range 200 {
		if port := 20000 + mathrand.IntN(12000); isFree(port) {
			return port, f.write("port", strconv.Itoa(port))
		}
	}
	return 0, errors.New("no free port on 127.0.0.1 between 20000 and 32000")
}

func isFree(port int) bool {
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

// settings are what the folder decides. The log keeps no statement, parameter
// or key: they are patient data.
func (f *folder) settings(port int) []string {
	socket := f.path("socket")
	if len(socket)+len("/.s.PGSQL.65535.lock") > 100 { // sun_path holds 104 to 108 bytes
		socket = ""
	}
	return []string{
		"listen_addresses=127.0.0.1",
		"port=" + strconv.Itoa(port),
		"unix_socket_directories=" + socket,
		"unix_socket_permissions=0700",
		"cluster_name=" + f.cluster(),
		"log_min_error_statement=panic",
		"log_error_verbosity=terse",
		"log_parameter_max_length=0",
	}
}

// cluster names this folder's server in the title of each of its processes.
func (f *folder) cluster() string { return "overread-" + shortHash(f.dir) }

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:6])
}

const logLimit = 10 << 20

func (f *folder) openLog() (*os.File, error) {
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if info, err := os.Stat(f.path("postgres.log")); err == nil && info.Size() > logLimit {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(f.path("postgres.log"), flags, 0o600)
	if err != nil {
		return nil, err
	}
	return file, f.own(file.Name(), 0o600)
}

func (f *folder) endOfLog() string {
	text, err := os.ReadFile(f.path("postgres.log"))
	if err != nil {
		return ""
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-8):], []byte("\n")))
}

// command is a program of PostgreSQL's, run as the folder's user, in a process
// group of its own (Ctrl-C in the terminal is for us, who then stop it in
// order), and blind to the PG* variables of the environment.
func (f *folder) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = f.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "HOME=" + f.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: f.as}
	return cmd
}

// whoRuns says who runs PostgreSQL on this data: we ourselves, unless we are
// root; then the data's owner, or else the system user postgres, or nobody.
func whoRuns(data string) (*syscall.Credential, error) {
	owner := -1
	var info syscall.Stat_t
	if syscall.Stat(data, &info) == nil {
		owner = int(info.Uid)
	}
	me := os.Geteuid()
	switch {
	case me != 0 && owner >= 0 && owner != me:
		return nil, fmt.Errorf("%s belongs to the user with id %d: run as that user or as root, or choose another folder", data, owner)
	case me != 0:
		return nil, nil
	case owner > 0:
		return &syscall.Credential{Uid: info.Uid, Gid: info.Gid}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user nobody to run it as; run as an ordinary user")
}

// wallFor returns the first parent of dir that the user may not pass through,
// "" if there is none.
func wallFor(as *syscall.Credential, dir string) string {
	if as == nil {
		return ""
	}
	wall := ""
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		var info syscall.Stat_t
		if syscall.Stat(parent, &info) == nil {
			pass := uint32(0o001)
			switch {
			case info.Uid == as.Uid:
				pass = 0o100
			case info.Gid == as.Gid:
				pass = 0o010
			}
			if uint32(info.Mode)&pass == 0 { //nolint:unconvert // has 16 bits elsewhere
				wall = parent
			}
		}
		if parent == filepath.Dir(parent) {
			return wall
		}
	}
}

// lockFile takes the lock that the kernel drops when the process ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("another process is using %s: stop it, or choose another folder", filepath.Dir(path))
	}
	return file, nil
}

// waitForLock waits as long as the context lets it, and returns an error that
// says who is in the way.
func waitForLock(ctx context.Context, path string) (*os.File, error) {
	for {
		lock, err := lockFile(path)
		if err == nil {
			return lock, nil
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

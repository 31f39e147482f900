package pg

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dieWithParent makes the kernel send SIGINT, PostgreSQL's fast shutdown, to
// the child when we die (prctl(2), PR_SET_PDEATHSIG).
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGINT }

// stopOrphans ends what an earlier run has left behind: a postmaster that did
// not die with its parent, or children whose postmaster was killed. We hold
// the folder's lock, so nobody else can be using them. They are known by their
// command lines, never by the number in postmaster.pid: that may belong to
// somebody else by now.
func (f *folder) stopOrphans(_ binaries) error {
	for _, step := range []struct {
		signal   syscall.Signal
		to       func([]string) bool
		patience time.Duration
	}{
		{syscall.SIGINT, f.isPostmaster, stopPatience}, // a fast shutdown
		{syscall.SIGQUIT, f.isOurs, 5 * time.Second},
		{syscall.SIGKILL, f.isOurs, 5 * time.Second},
	} {
		told := processes(step.to)
		for _, pid := range told {
			if err := syscall.Kill(pid, step.signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop the PostgreSQL process %d of an earlier run: %w", pid, err)
			}
		}
		for end := time.Now().Add(step.patience); len(told) > 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			if len(processes(f.isOurs)) == 0 {
				break
			}
		}
	}
	if len(processes(f.isOurs)) > 0 {
		return errors.New("PostgreSQL processes of an earlier run do not stop")
	}
	return f.removeLocks()
}

// removeLocks removes the lock files that a killed postmaster has left.
// PostgreSQL would refuse to start while a process of its user has their
// number: somebody else's by now, or a zombie that init has not yet reaped.
func (f *folder) removeLocks() error {
	locks, err := filepath.Glob(filepath.Join(f.path("socket"), ".s.PGSQL.*"))
	if err != nil {
		return err
	}
	for _, lock := range append(locks, filepath.Join(f.data(), "postmaster.pid")) {
		if err := os.Remove(lock); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// isPostmaster tells the folder's postmaster by its arguments.
func (f *folder) isPostmaster(args []string) bool {
	return filepath.Base(args[0]) == "postgres" && len(args) > 2 && args[1] == "-D" && args[2] == f.data()
}

// isOurs tells the postmaster and its children, whose titles begin with the
// cluster's name.
func (f *folder) isOurs(args []string) bool {
	return f.isPostmaster(args) || strings.HasPrefix(args[0], "postgres: "+f.cluster()+": ")
}

// processes returns the processes whose command line is wanted.
func processes(wanted func(args []string) bool) []int {
	entries, _ := os.ReadDir("/proc")
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && wanted(strings.Split(string(bytes.TrimRight(line, "\x00")), "\x00")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

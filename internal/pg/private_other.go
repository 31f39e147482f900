//go:build !linux

package pg

import (
	"context"
	"syscall"
)

// dieWithParent does nothing: only Linux can. stopOrphans mends it at the next
// start.
func dieWithParent(*syscall.SysProcAttr) {}

// stopOrphans ends a postmaster that an earlier run has left behind. pg_ctl
// fails when there is none, which is what we want; PostgreSQL itself refuses
// to start beside another.
func (f *folder) stopOrphans(bin binaries) error {
	if f.initialised() {
		_ = f.command(context.Background(), bin.path("pg_ctl"), "stop", "-D", f.data(), "-m", "fast", "-w").Run()
	}
	return nil
}

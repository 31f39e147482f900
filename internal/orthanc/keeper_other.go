//go:build !linux

package orthanc

import "syscall"

func attributes(way) *syscall.SysProcAttr { return nil }

// Keep is for Linux only.
func Keep(_, _, _ string) error { return ErrNotInstalled }

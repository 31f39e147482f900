package main

import "syscall"

// diskAt is how many bytes are free where a folder is, for whoever is no superuser, and
// how many there are; nil where that is not known.
func diskAt(folder string) (free, size *int64) {
	var s syscall.Statfs_t
	if syscall.Statfs(folder, &s) != nil || s.Bsize <= 0 {
		return nil, nil
	}
	unit := uint64(s.Bsize)
	f, all := int64(s.Bavail*unit), int64(s.Blocks*unit) //nolint:gosec // no disk has 2^63 bytes
	return &f, &all
}

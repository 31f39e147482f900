package pg

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestTheNewestCompletePostgreSQLIsTaken(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for _, tc := range []struct {
		name    string
		dirs    []string
		want    int
		finds   string
		message string
	}{
		{"the newest", []string{fake(t, home, "a", 15), fake(t, home, "b", 17), fake(t, home, "c", 16)}, 0, "b", ""},
		{"the one that made the data", []string{fake(t, home, "a", 15), fake(t, home, "b", 17)}, 15, "a", ""},
		{"never an old one", []string{fake(t, home, "d", 14)}, 0, "", "apt-get install postgresql"},
		{"never a lone program", []string{fake(t, home, "e", 16, "pg_ctl")}, 0, "", "apt-get install postgresql"},
		{"another major version than the data's", []string{fake(t, home, "b", 17)}, 16, "", "made by PostgreSQL 16, and only [17] is installed"},
		{"none at all", nil, 0, "", "apt-get install postgresql"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := findBinaries(context.Background(), tc.dirs, tc.want, nil)
			if tc.message != "" {
				if err == nil || !strings.Contains(err.Error(), tc.message) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || filepath.Base(got.dir) != tc.finds {
				t.Errorf("got %v %v", got, err)
			}
		})
	}
}

func TestBinariesBehindAWallAreNotTaken(t *testing.T) {
	t.Parallel()
	home := filepath.Join(t.TempDir(), "closed")
	dir := fake(t, home, "a", 16)
	if err := os.Chmod(home, 0o700); err != nil {
		t.Fatal(err)
	}
	stranger := &syscall.Credential{Uid: 65533, Gid: 65533}
	if _, err := findBinaries(context.Background(), []string{dir}, 0, stranger); !errors.Is(err, errNoPostgreSQL) {
		t.Errorf("got %v", err)
	}
}

// fake makes a folder that looks like PostgreSQL's, less what is missing.
func fake(t *testing.T, home, name string, major int, missing ...string) string {
	t.Helper()
	dir := filepath.Join(home, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %d.3'\n", major)
	for _, program := range []string{"initdb", "pg_ctl", "postgres"} {
		if len(missing) > 0 && missing[0] == program {
			continue
		}
		path := filepath.Join(dir, program)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

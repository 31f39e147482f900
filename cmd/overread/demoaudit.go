package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/overread/overread/internal/auditlog"
)

// The demo signs its audit log as a real service does: with a key in a folder that
// only its owner can enter, and checkpoints beside the database. What it prints
// proves the log from files alone.

// auditKey makes the key the first time, and says where it and the checkpoints are.
func (c *demoCmd) auditKey() (key, checkpoints string, err error) {
	key, checkpoints = c.path("audit/key"), c.path("audit/checkpoints")
	if err := os.MkdirAll(c.path("audit"), 0o700); err != nil {
		return "", "", err
	}
	if _, err := os.Stat(key); err == nil {
		return key, checkpoints, nil
	}
	private, public, err := auditlog.NewKey()
	if err != nil {
		return "", "", err
	}
	return key, checkpoints, errors.Join(writeNew(key+".pub", public+"\n", 0o644), writeNew(key, private+"\n", 0o600))
}

// forgetCheckpoints takes away the checkpoints of a database that is no more.
func (c *demoCmd) forgetCheckpoints() error {
	err := os.RemoveAll(c.path("audit/checkpoints"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// seal signs what has been recorded until now, as the jobs do each minute.
func (o *overread) seal(ctx context.Context) error {
	for n := 1; n > 0; {
		var err error
		if n, err = placeEvents(ctx, o.db, o.surface); err != nil {
			return err
		}
	}
	_, err := o.sealer.Tick(ctx)
	return err
}

// proofCommands are the commands that prove the log of mercy, and one that shows
// that a change is found.
func (c *demoCmd) proofCommands(ctx context.Context, o *overread, database string) (string, error) {
	tenant, err := findTenant(ctx, o.db, "mercy")
	if err != nil {
		return "", err
	}
	url := c.path("audit/database-url")
	if err := os.WriteFile(url, []byte(database+"\n"), 0o600); err != nil {
		return "", err
	}
	self, log := os.Args[0], c.path("audit/mercy.ndjson")
	verify := fmt.Sprintf("%s audit verify --checkpoints %s/%s --key %s.pub --export ", self, c.path("audit/checkpoints"), auditlog.CheckpointFile(tenant), c.path("audit/key"))
	return fmt.Sprintf("rm -f %[1]s; %[2]s audit export mercy --database-url-file %[3]s --out %[1]s\n%[4]s%[1]s\n"+
		"sed '3s/\"outcome\":\"0\"/\"outcome\":\"8\"/' %[1]s >%[1]s.changed; %[4]s%[1]s.changed\n", log, self, url, verify), nil
}

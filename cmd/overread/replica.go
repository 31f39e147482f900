package main

import (
	"cmp"
	"context"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/pg"
)

// newReplica is this process as it says of itself that it is there.
func (c *serveCmd) newReplica() (*administration.Replica, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	schema, err := pg.LatestSchema()
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return &administration.Replica{ReplicaID: id, Host: host, Version: version, Schema: schema, Mails: c.Mail.Server != "", Signs: c.AuditKey != ""}, nil
}

// sayHere is the job by which a server says that it is there, and how much is free on
// the disk of its checkpoints, or where it runs.
func sayHere(db *pg.DB, r *administration.Replica, dir string) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		r.DiskFree, r.DiskSize = diskAt(cmp.Or(dir, "."))
		return 0, r.Say(ctx, db)
	}
}

// leave says that this server ends in order, or else its page of health would have it gone
// without a word for a day. Where the database does not answer any more it ends all the same.
func (o *overread) leave(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), min(patience, 2*time.Second))
	defer cancel()
	if err := o.replica.Leave(ctx, o.db); err != nil {
		o.log.Warn("the database was not told that this server ends", "error", pg.Describe(err))
	}
}

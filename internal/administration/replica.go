package administration

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/pg"
)

// Replica is a server that works on the database, as it says of itself.
type Replica struct {
	ReplicaID uuid.UUID
	Host      string
	Version   string
	Schema    int64 // that its binary wants
	StartedAt time.Time
	SeenAt    time.Time
	Mails     bool // it has a mail server
	Signs     bool // it has the key of the audit log
	DiskFree  *int64
	DiskSize  *int64 // bytes where the checkpoints are kept; nil: not known
}

// A server says every replicaEvery that it is there, and is taken for gone after
// replicaGone.
const (
	ReplicaEvery = 15 * time.Second
	replicaGone  = time.Minute
)

// Say says that a server is there. What it has of disks is asked anew each time.
func (r *Replica) Say(ctx context.Context, db *pg.DB) error {
	return wrapped("say that this server is there", db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO replica (replica_id, host, version, schema, mails, signs, disk_free, disk_size)
			VALUES (@id, @host, @version, @schema, @mails, @signs, @free, @size)
			ON CONFLICT (replica_id) DO UPDATE SET seen_at = now(), stopped_at = NULL, disk_free = excluded.disk_free, disk_size = excluded.disk_size`,
			pgx.NamedArgs{"id": r.ReplicaID, "host": r.Host, "version": r.Version, "schema": r.Schema, "mails": r.Mails, "signs": r.Signs, "free": r.DiskFree, "size": r.DiskSize})
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM replica WHERE seen_at < now() - interval '7 days'`)
		return err
	}))
}

// Leave says that a server ends in order.
func (r *Replica) Leave(ctx context.Context, db *pg.DB) error {
	return wrapped("say that this server ends", db.System(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE replica SET stopped_at = now() WHERE replica_id = $1`, r.ReplicaID)
		return err
	}))
}

// replicas are those that are there, and those that went away without a word within a
// day.
func replicas(ctx context.Context, tx pgx.Tx) ([]Replica, error) {
	rows, err := tx.Query(ctx, `
		SELECT replica_id, host, version, schema, started_at, seen_at, mails, signs, disk_free, disk_size
		FROM replica
		WHERE stopped_at IS NULL AND seen_at > now() - interval '1 day'
		ORDER BY seen_at > now() - interval '1 minute' DESC, host, started_at DESC
		LIMIT 50`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Replica])
}

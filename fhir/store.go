package fhir

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Stored is one version of a resource as it is kept: Body is what is served,
// byte for byte.
type Stored struct {
	Type        string
	ID          string
	Version     int64
	LastUpdated time.Time
	Deleted     bool
	Body        []byte
}

// Reference is the relative reference to the resource: "Task/1".
func (r Stored) Reference() string { return r.Type + "/" + r.ID }

// Versioned is the version-specific reference: "Task/1/_history/2".
func (r Stored) Versioned() string { return fmt.Sprintf("%s/%s/_history/%d", r.Type, r.ID, r.Version) }

// ETag is the version as HTTP tells it, FHIR R4 http.html#versioning.
func (r Stored) ETag() string { return fmt.Sprintf(`W/"%d"`, r.Version) }

// store keeps the resources. Its methods work inside the caller's transaction,
// which sees one tenant (pg.DB.Tenant).
type store struct {
	resources map[string]*resourceType
	now       func() time.Time
	audit     func(ctx context.Context, tx pgx.Tx, actor access.Actor, e auditEntry) error
}

// Get returns the current version. It returns a fault of kind NotFound, or
// Gone when the resource was deleted.
func (s *store) Get(ctx context.Context, tx pgx.Tx, typ, id string) (Stored, error) {
	return one(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource
		WHERE type = @type AND id = @id`,
		pgx.NamedArgs{"type": typ, "id": id}))
}

// Lock is Get, and keeps everybody else from changing the resource until the
// transaction ends.
func (s *store) Lock(ctx context.Context, tx pgx.Tx, typ, id string) (Stored, error) {
	return one(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource
		WHERE type = @type AND id = @id
		FOR UPDATE`,
		pgx.NamedArgs{"type": typ, "id": id}))
}

// Version returns one version, current or superseded. It returns a fault of
// kind NotFound, or Gone for the version that is the deletion.
func (s *store) Version(ctx context.Context, tx pgx.Tx, typ, id string, version int64) (Stored, error) {
	return one(tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource
		WHERE type = @type AND id = @id AND version = @version
		UNION ALL
		SELECT type, id, version, last_updated, deleted, body
		FROM resource_history
		WHERE type = @type AND id = @id AND version = @version
		LIMIT 1`,
		pgx.NamedArgs{"type": typ, "id": id, "version": version}))
}

// one is the single row of a query of resources.
func one(rows pgx.Rows, err error) (Stored, error) {
	if err != nil {
		return Stored{}, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Stored])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Stored{}, notFound()
	case err != nil:
		return Stored{}, fmt.Errorf("read resource: %w", err)
	case r.Deleted:
		return r, fault.New(fault.Gone, "this resource was deleted")
	}
	return r, nil
}

func notFound() error {
	return fault.New(fault.NotFound, "there is no such resource here, or it is not yours to see")
}

// Put stores a resource that has its id: as version 1 where there is none yet,
// else as the next version of what is there, which moves to the history. It
// sets meta.versionId and meta.lastUpdated in n, and writes the search keys and
// the audit record. It does not call the hooks of the table.
//
// With expect, it returns a fault of kind VersionConflict unless the current
// version is that one (0: unless there is none yet).
func (s *store) Put(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node, expect *int64) (Stored, error) {
	for {
		current, err := s.Lock(ctx, tx, n.Type(), n.Text("id"))
		switch {
		case fault.Is(err, fault.NotFound):
			if expect != nil && *expect != 0 {
				return Stored{}, versionConflict(*expect, 0)
			}
			stored, ok, err := s.insert(ctx, tx, actor, n)
			if err != nil || ok {
				return stored, err
			}
			continue // somebody created it in this moment: lock theirs
		case err != nil && !fault.Is(err, fault.Gone): // a PUT brings back what was deleted
			return Stored{}, err
		case expect != nil && *expect != current.Version:
			return Stored{}, versionConflict(*expect, current.Version)
		}
		return s.replace(ctx, tx, actor, n, current)
	}
}

// Create stores a resource under an id that nobody has used, such as a new
// UUID, and saves Put's look.
func (s *store) Create(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (Stored, error) {
	stored, ok, err := s.insert(ctx, tx, actor, n)
	if err == nil && !ok {
		err = fmt.Errorf("create %s: the id is taken", n.Type())
	}
	return stored, err
}

func versionConflict(expected, current int64) error {
	switch expected {
	case noVersion:
		return fault.New(fault.VersionConflict, "it exists already, and was to be created only")
	case anyVersion:
		return fault.New(fault.VersionConflict, "it does not exist, and was to be changed only")
	}
	return fault.New(fault.VersionConflict,
		"the change was made to version %d, but the current version is %d: read it, and repeat the change on it", expected, current)
}

// insert stores version 1; ok is false when there is a resource of that id.
func (s *store) insert(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (_ Stored, ok bool, err error) {
	next := s.stamp(n, 1)
	args := s.index(actor, n).args(next, actor)
	tag, err := tx.Exec(ctx, `
		WITH created AS (
			INSERT INTO resource (tenant_id, type, id, version, last_updated, body, keys, indexed)
			VALUES (@tenant, @type, @id, 1, @last_updated, @body, @keys, @indexed)
			ON CONFLICT (tenant_id, type, id) DO NOTHING
			RETURNING tenant_id, type, id
		)`+indexRows("created")+`
		SELECT 1 FROM created`, args)
	if err != nil {
		return Stored{}, false, fmt.Errorf("store %s: %w", n.Type(), err)
	}
	if tag.RowsAffected() == 0 {
		return Stored{}, false, nil
	}
	return next, true, s.audit(ctx, tx, actor, auditEntry{
		Interaction: "create", Target: next.Versioned(), Patient: patientOf(n), RequestID: requestID(ctx)})
}

// replace stores the version after current, which is locked.
func (s *store) replace(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node, current Stored) (Stored, error) {
	next := s.stamp(n, current.Version+1)
	args := s.index(actor, n).args(next, actor)
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO resource_history (tenant_id, type, id, version, last_updated, deleted, body, xid)
		SELECT tenant_id, type, id, version, last_updated, deleted, body, xid
		FROM resource
		WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
	for _, table := range indexTables {
		batch.Queue(`DELETE FROM `+table+` WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
	}
	batch.Queue(`
		WITH updated AS (
			UPDATE resource
			SET version = @version, last_updated = @last_updated, deleted = false, body = @body, keys = @keys,
			    indexed = @indexed, xid = pg_current_xact_id()
			WHERE tenant_id = @tenant AND type = @type AND id = @id
			RETURNING tenant_id, type, id
		)`+indexRows("updated")+`
		SELECT 1 FROM updated`, args)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Stored{}, fmt.Errorf("store %s: %w", n.Type(), err)
	}
	return next, s.audit(ctx, tx, actor, auditEntry{
		Interaction: "update", Target: next.Versioned(), Patient: patientOf(n), RequestID: requestID(ctx)})
}

// indexVersion is raised when what is indexed of a resource changes; then
// everything that was indexed before is indexed again in the background, and a
// migration renews the index resource_not_indexed.
const indexVersion = 1

// indexTables hold what a resource can be found by, besides resource.keys.
var indexTables = []string{"resource_date", "resource_string", "resource_reference", "resource_quantity", "resource_sort"}

// indexRows are the parts of a WITH that write the rows of the indexTables for
// the one row of owner, from the arguments of index.args.
func indexRows(owner string) string {
	return strings.ReplaceAll(`, dates AS (
			INSERT INTO resource_date (tenant_id, type, id, param, low, high)
			SELECT tenant_id, type, id, param, low, high
			FROM owner, unnest(@date_params::text[], @lows::timestamptz[], @highs::timestamptz[]) AS d (param, low, high)
		), strings AS (
			INSERT INTO resource_string (tenant_id, type, id, param, folded, exact)
			SELECT tenant_id, type, id, param, folded, exact
			FROM owner, unnest(@text_params::text[], @folded::text[], @exact::text[]) AS t (param, folded, exact)
		), refs AS (
			INSERT INTO resource_reference (tenant_id, type, id, param, target_type, target_id)
			SELECT tenant_id, type, id, param, target_type, target_id
			FROM owner, unnest(@reference_params::text[], @target_types::text[], @target_ids::text[]) AS r (param, target_type, target_id)
		), sorts AS (
			INSERT INTO resource_sort (tenant_id, type, id, param, value, lowest, highest)
			SELECT tenant_id, type, id, param, value, lowest, highest
			FROM owner, unnest(@sort_params::text[], @sort_values::text[], @lowests::boolean[], @highests::boolean[]) AS s (param, value, lowest, highest)
		), quantities AS (
			INSERT INTO resource_quantity (tenant_id, type, id, param, low, high, system, code, unit)
			SELECT tenant_id, type, id, param, low::numeric, high::numeric, system, code, unit
			FROM owner, unnest(@quantity_params::text[], @quantity_lows::text[], @quantity_highs::text[], @systems::text[], @codes::text[], @units::text[])
			     AS q (param, low, high, system, code, unit)
		)`, "FROM owner", "FROM "+owner)
}

// stamp gives n its version and time, and returns it as it will be kept. What
// the client said of either is overwritten (FHIR R4 http.html#create).
func (s *store) stamp(n *Node, version int64) Stored {
	at := s.now().UTC().Truncate(time.Millisecond) // FHIR instants are kept to the millisecond
	meta := n.Get("meta")
	if !meta.IsObject() {
		meta = Object()
		n.Set("meta", meta)
	}
	meta.Set("versionId", fmt.Sprint(version))
	meta.Set("lastUpdated", instant(at))
	return Stored{Type: n.Type(), ID: n.Text("id"), Version: version, LastUpdated: at, Body: n.Bytes()}
}

// patientOf is the local Patient that a resource is about, for the audit.
func patientOf(n *Node) string {
	if n.Type() == "Patient" {
		return "Patient/" + n.Text("id")
	}
	for _, element := range []string{"subject", "patient", "for"} {
		if id := localID(n.Text(element, "reference"), "Patient"); id != nil {
			return "Patient/" + *id
		}
	}
	return ""
}

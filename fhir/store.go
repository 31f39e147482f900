package fhir

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/pg"
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
	if typ == auditEventType {
		return s.event(ctx, tx, id)
	}
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
		FOR NO KEY UPDATE`,
		pgx.NamedArgs{"type": typ, "id": id}))
}

// A strength is what a lock keeps others from. To refer to a resource keeps
// those away who delete it, and nobody else.
type strength int

const (
	toRefer strength = iota
	toChange
	toDelete
)

// clauses of SELECT: FOR NO KEY UPDATE lets FOR KEY SHARE pass, FOR UPDATE does
// not. What is only referred to need not be read.
var clauses = map[strength]struct{ body, lock string }{
	toRefer:  {"NULL::bytea AS body", "FOR KEY SHARE OF r"},
	toChange: {"r.body", "FOR NO KEY UPDATE OF r"},
	toDelete: {"r.body", "FOR UPDATE OF r"},
}

// lockAll takes locks in the order of the names ("Patient/1"), on one way to
// PostgreSQL and back, and returns what is there, deleted or not.
func (s *store) lockAll(ctx context.Context, tx pgx.Tx, locks map[string]strength) (map[string]Stored, error) {
	batch := &pgx.Batch{}
	names := slices.Sorted(maps.Keys(locks))
	for len(names) > 0 {
		run := 1 // names in a row that are locked alike
		for run < len(names) && locks[names[run]] == locks[names[0]] {
			run++
		}
		types, ids := splitReferences(names[:run])
		clause := clauses[locks[names[0]]]
		batch.Queue(`
			SELECT r.type, r.id, r.version, r.last_updated, r.deleted, `+clause.body+`
			FROM unnest(@types::text[], @ids::text[]) AS wanted (type, id)
			JOIN resource r ON r.type = wanted.type COLLATE "C" AND r.id = wanted.id COLLATE "C"
			ORDER BY r.type, r.id
			`+clause.lock, pgx.NamedArgs{"types": types, "ids": ids})
		names = names[run:]
	}
	there := map[string]Stored{}
	results := tx.SendBatch(ctx, batch)
	for range batch.Len() {
		rows, err := results.Query()
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock: %w", err), results.Close())
		}
		some, err := pgx.CollectRows(rows, pgx.RowToStructByName[Stored])
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock: %w", err), results.Close())
		}
		for _, r := range some {
			there[r.Reference()] = r
		}
	}
	return there, results.Close()
}

// Version returns one version, current or superseded. It returns a fault of
// kind NotFound, or Gone for the version that is the deletion.
func (s *store) Version(ctx context.Context, tx pgx.Tx, typ, id string, version int64) (Stored, error) {
	if typ == auditEventType && version == 1 {
		return s.event(ctx, tx, id)
	}
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
		return r, gone()
	}
	return r, nil
}

func gone() error { return fault.New(fault.Gone, "this resource was deleted") }

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
		return s.replace(ctx, tx, actor, "update", n, current)
	}
}

// Create stores a resource under an id that nobody has used, such as a new
// UUID, and saves Put's look. It returns pg.ErrAgain when somebody uses the id
// at this moment.
func (s *store) Create(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (Stored, error) {
	stored, ok, err := s.insert(ctx, tx, actor, n)
	if err == nil && !ok {
		err = fmt.Errorf("create %s: the id is taken: %w", n.Type(), pg.ErrAgain)
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
	if current == 0 {
		return fault.New(fault.VersionConflict, "the change was made to version %d, but there is no such resource", expected)
	}
	return fault.New(fault.VersionConflict,
		"the change was made to version %d, but the current version is %d: read it, and repeat the change on it", expected, current)
}

// insert stores version 1; ok is false when there is a resource of that id.
func (s *store) insert(ctx context.Context, tx pgx.Tx, actor access.Actor, n *Node) (_ Stored, ok bool, err error) {
	next := s.stamp(n, Stored{})
	x, err := s.index(ctx, tx, actor, n)
	if err != nil {
		return Stored{}, false, err
	}
	args := x.args(next, actor)
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

// replace stores the version after current, which is locked. The interaction is
// what the audit calls it: update or patch.
func (s *store) replace(ctx context.Context, tx pgx.Tx, actor access.Actor, interaction string, n *Node, current Stored) (Stored, error) {
	next := s.stamp(n, current)
	x, err := s.index(ctx, tx, actor, n)
	if err != nil {
		return Stored{}, err
	}
	args := x.args(next, actor)
	batch := supersede(args)
	batch.Queue(`
		WITH updated AS (
			UPDATE resource
			SET version = @version, last_updated = @last_updated, deleted = false, body = @body, keys = @keys,
			    indexed = @indexed, indexed_version = @version, xid = pg_current_xact_id()
			WHERE tenant_id = @tenant AND type = @type AND id = @id
			RETURNING tenant_id, type, id
		)`+indexRows("updated")+`
		SELECT 1 FROM updated`, args)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Stored{}, fmt.Errorf("store %s: %w", n.Type(), err)
	}
	return next, s.audit(ctx, tx, actor, auditEntry{
		Interaction: interaction, Target: next.Versioned(), Patient: patientOf(n), RequestID: requestID(ctx)})
}

// remove stores the version after current, which is locked, as its deletion:
// FHIR R4 http.html#delete. The versions before stay.
func (s *store) remove(ctx context.Context, tx pgx.Tx, actor access.Actor, current Stored) (Stored, error) {
	gone, err := Parse(current.Body, Limits{})
	if err != nil {
		return Stored{}, err
	}
	next := Stored{Type: current.Type, ID: current.ID, Version: current.Version + 1, LastUpdated: s.after(current), Deleted: true}
	args := pgx.NamedArgs{"tenant": actor.Tenant, "type": next.Type, "id": next.ID, "version": next.Version, "last_updated": next.LastUpdated}
	batch := supersede(args)
	batch.Queue(`
		UPDATE resource
		SET version = @version, last_updated = @last_updated, deleted = true, body = NULL, keys = '{}',
		    xid = pg_current_xact_id()
		WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return Stored{}, fmt.Errorf("delete %s: %w", next.Type, err)
	}
	return next, s.audit(ctx, tx, actor, auditEntry{
		Interaction: "delete", Target: next.Versioned(), Patient: patientOf(gone), RequestID: requestID(ctx)})
}

// supersede are the statements that move the current version to the history and
// take away what it was found by.
func supersede(args pgx.NamedArgs) *pgx.Batch {
	batch := &pgx.Batch{}
	batch.Queue(`
		INSERT INTO resource_history (tenant_id, type, id, version, last_updated, deleted, body, xid)
		SELECT tenant_id, type, id, version, last_updated, deleted, body, xid
		FROM resource
		WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
	for _, table := range indexTables {
		batch.Queue(`DELETE FROM `+table+` WHERE tenant_id = @tenant AND type = @type AND id = @id`, args)
	}
	return batch
}

// indexVersion is raised when what is indexed of a resource changes; then
// everything that was indexed before is indexed again in the background, and a
// migration renews the index resource_not_indexed. eventIndexVersion is the same of
// AuditEvents, and audit_event_not_indexed.
const (
	indexVersion      = 2
	eventIndexVersion = 6
)

// indexVersionOf is that by which a resource of the type is indexed.
func indexVersionOf(typ string) int {
	if typ == auditEventType {
		return eventIndexVersion
	}
	return indexVersion
}

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

// stamp gives n its version and time, those after what is there, and returns it
// as it will be kept. What the client said of either is overwritten (FHIR R4
// http.html#create).
func (s *store) stamp(n *Node, current Stored) Stored {
	version, at := current.Version+1, s.after(current)
	meta := n.Get("meta")
	if !meta.IsObject() {
		meta = Object()
		n.Set("meta", meta)
	}
	meta.Set("versionId", fmt.Sprint(version))
	meta.Set("lastUpdated", instant(at))
	return Stored{Type: n.Type(), ID: n.Text("id"), Version: version, LastUpdated: at, Body: n.Bytes()}
}

// after is now, and never before the version that is there: two replicas'
// clocks differ, and a history is told by its times. FHIR instants are kept to
// the millisecond.
func (s *store) after(current Stored) time.Time {
	at := s.now().UTC().Truncate(time.Millisecond)
	if at.After(current.LastUpdated) {
		return at
	}
	return current.LastUpdated.UTC().Add(time.Millisecond)
}

// namesPatient are the elements that say whom a resource is about.
var namesPatient = []string{"subject", "patient", "for"}

// patientOf is the local Patient that a resource is about, for the audit.
func patientOf(n *Node) string {
	if n.Type() == "Patient" {
		return "Patient/" + n.Text("id")
	}
	for _, element := range namesPatient {
		if id := localID(n.Text(element, "reference"), "Patient"); id != nil {
			return "Patient/" + *id
		}
	}
	return ""
}

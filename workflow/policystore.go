package workflow

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
)

// PolicyVersion is what a tenant said at one time: a row of tenant_policy,
// which never changes.
type PolicyVersion struct {
	Version    int
	SetAt      time.Time
	SetBy      string
	Note       string
	Text       string
	Document   json.RawMessage
	TextSHA256 []byte
}

// Digest is the SHA-256 of the text in hexadecimal digits.
func (v PolicyVersion) Digest() string { return hex.EncodeToString(v.TextSHA256) }

// SetPolicyTx makes the document the tenant's next version, in a System
// transaction. Cases in work keep the one that they began with. A document that
// says nothing new makes no version; then set is false, and the version is the
// one in force.
func SetPolicyTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, d PolicyDocument, by, note string) (v PolicyVersion, set bool, err error) {
	if _, err := tx.Exec(ctx, `SELECT FROM tenant WHERE tenant_id = $1 FOR UPDATE`, tenant); err != nil {
		return PolicyVersion{}, false, fmt.Errorf("lock tenant: %w", err)
	}
	before, err := PolicyVersionTx(ctx, tx, tenant, 0)
	switch {
	case err == nil && before.Text == string(d.Text):
		return before, false, nil
	case err != nil && !fault.Is(err, fault.NotFound):
		return PolicyVersion{}, false, err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO tenant_policy (tenant_id, version, set_by, note, text, document, text_sha256)
		VALUES (@tenant, @version, @by, @note, @text, @document, @sha256)`,
		pgx.NamedArgs{"tenant": tenant, "version": before.Version + 1, "by": by, "note": note, "text": string(d.Text), "document": string(d.JSON), "sha256": d.SHA256[:]})
	if err != nil {
		return PolicyVersion{}, false, fmt.Errorf("insert policy: %w", err)
	}
	if _, err := tx.Exec(ctx, `UPDATE tenant SET policy = $2 WHERE tenant_id = $1`, tenant, string(d.JSON)); err != nil {
		return PolicyVersion{}, false, fmt.Errorf("policy of the tenant: %w", err)
	}
	v, err = PolicyVersionTx(ctx, tx, tenant, before.Version+1)
	return v, true, err
}

// PolicyVersionTx returns one version of a tenant's policy, 0 for the newest;
// a fault of kind NotFound when there is none.
func PolicyVersionTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, version int) (PolicyVersion, error) {
	rows, err := tx.Query(ctx, `
		SELECT version, set_at, set_by, note, text, document, text_sha256
		FROM tenant_policy
		WHERE tenant_id = @tenant AND (@version = 0 OR version = @version)
		ORDER BY version DESC
		LIMIT 1`, pgx.NamedArgs{"tenant": tenant, "version": version})
	if err != nil {
		return PolicyVersion{}, fmt.Errorf("policy: %w", err)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[PolicyVersion])
	if errors.Is(err, pgx.ErrNoRows) {
		return PolicyVersion{}, fault.New(fault.NotFound, "the policy has no version %d", version)
	}
	if err != nil {
		return PolicyVersion{}, fmt.Errorf("policy: %w", err)
	}
	return v, nil
}

// PolicyVersionsTx returns all versions of a tenant's policy, the oldest first.
func PolicyVersionsTx(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) ([]PolicyVersion, error) {
	rows, err := tx.Query(ctx, `
		SELECT version, set_at, set_by, note, text, document, text_sha256
		FROM tenant_policy
		WHERE tenant_id = $1
		ORDER BY version`, tenant)
	if err != nil {
		return nil, fmt.Errorf("policies: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[PolicyVersion])
}

// inForce is a policy with the version that it is of.
type inForce struct {
	policy  Policy
	version int
	sha256  []byte
}

// policyTx is the policy of the transaction's tenant as it is now.
func policyTx(ctx context.Context, tx pgx.Tx) (now inForce, err error) {
	var raw []byte
	err = tx.QueryRow(ctx, `
		SELECT coalesce(p.document, t.policy), coalesce(p.version, 0), p.text_sha256
		FROM tenant t
		LEFT JOIN tenant_policy p ON p.tenant_id = t.tenant_id
		WHERE t.tenant_id = overread_tenant()
		ORDER BY p.version DESC
		LIMIT 1`).Scan(&raw, &now.version, &now.sha256)
	if err == nil {
		err = json.Unmarshal(raw, &now.policy) // it was judged when it was set
	}
	if err != nil {
		return inForce{}, fmt.Errorf("policy of the tenant: %w", err)
	}
	return now, nil
}

// PolicyChange is one setting that is not the same in two policies.
type PolicyChange struct {
	Path     string
	Old, New string // as JSON; "" where it is not there
}

// PolicyChanges says what is different in the second policy, defaults
// included, in the order of the paths.
func PolicyChanges(before, after Policy) ([]PolicyChange, error) {
	old, err := flat(before)
	if err != nil {
		return nil, err
	}
	then, err := flat(after)
	if err != nil {
		return nil, err
	}
	var changes []PolicyChange
	for _, path := range sortedKeys(old, then) {
		if !bytes.Equal(old[path], then[path]) {
			changes = append(changes, PolicyChange{Path: path, Old: string(old[path]), New: string(then[path])})
		}
	}
	return changes, nil
}

// flat is a policy as its settings by their paths, lists as a whole.
func flat(p Policy) (map[string]json.RawMessage, error) {
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	settings := map[string]json.RawMessage{}
	var walk func(path string, raw json.RawMessage) error
	walk = func(path string, raw json.RawMessage) error {
		if raw[0] != '{' {
			settings[path] = raw
			return nil
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			return err
		}
		for name, value := range object {
			if err := walk(inner(path, name), value); err != nil {
				return err
			}
		}
		return nil
	}
	return settings, walk("", raw)
}

func sortedKeys(a, b map[string]json.RawMessage) []string {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return slices.Sorted(maps.Keys(both))
}

// ZoneTx is the time zone of the tenant's calendar, as its policy has it now.
func ZoneTx(ctx context.Context, tx pgx.Tx) (*time.Location, error) {
	now, err := policyTx(ctx, tx)
	if err != nil {
		return nil, err
	}
	return time.LoadLocation(now.policy.Calendar.Zone)
}

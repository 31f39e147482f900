package administration

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// Launch is an EHR whose clinicians may open Overread for the patient in front of them
// (SMART App Launch), as `overread issuer list --json` prints it, too.
type Launch struct {
	Tenant         string     `json:"tenant" db:"-"`
	Issuer         string     `json:"issuer"`
	ClientID       string     `json:"clientId"`
	Authentication string     `json:"authentication"` // public, secret or key
	SecretFile     *string    `json:"secretFile,omitempty"`
	Scopes         string     `json:"scopes"`
	FrameOrigins   []string   `json:"frameOrigins,omitempty"`
	CreatedAt      time.Time  `json:"-"`
	LastLaunch     *time.Time `json:"-"` // as far as sessions are kept
}

// Launches are the EHRs of a tenant.
func (k Keeper) Launches(ctx context.Context, tenant uuid.UUID) (all []Launch, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT i.issuer, i.client_id, i.authentication, i.secret_file, i.scopes, i.frame_origins, i.created_at,
			       (SELECT max(s.opened_at)
			        FROM launched l
			        JOIN session s ON s.session_id = l.session_id
			        WHERE l.tenant_id = i.tenant_id AND l.issuer = i.issuer) AS last_launch
			FROM ehr_issuer i
			WHERE i.tenant_id = $1
			ORDER BY i.issuer`, tenant)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Launch])
		return err
	})
	return all, wrapped("EHRs that launch", err)
}

// AddLaunch lists an EHR, or changes how it is listed.
func (k Keeper) AddLaunch(ctx context.Context, by By, row Launch) error {
	if row.ClientID = strings.TrimSpace(row.ClientID); row.ClientID == "" {
		return fault.At(fault.Required, "client-id", "Say by which client id Overread was registered at the EHR.")
	}
	if err := k.CheckLaunch(row); err != nil {
		return err
	}
	if err := checkAddress("issuer", row.Issuer); err != nil {
		return err
	}
	if row.FrameOrigins == nil {
		row.FrameOrigins = []string{}
	}
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		_, err := tx.Exec(ctx, `
			INSERT INTO ehr_issuer (tenant_id, issuer, client_id, authentication, secret_file, scopes, frame_origins)
			VALUES (@tenant, @issuer, @client, @authentication, @secret, @scopes, @origins)
			ON CONFLICT (tenant_id, issuer) DO UPDATE SET
				client_id = excluded.client_id, authentication = excluded.authentication, secret_file = excluded.secret_file,
				scopes = excluded.scopes, frame_origins = excluded.frame_origins`,
			pgx.NamedArgs{"tenant": by.Actor.Tenant, "issuer": row.Issuer, "client": row.ClientID, "authentication": row.Authentication,
				"secret": row.SecretFile, "scopes": row.Scopes, "origins": row.FrameOrigins})
		return by.event(access.IssuerListed, row.Issuer), err
	})
	return wrapped("list an EHR", err)
}

// RemoveLaunch takes an EHR off the list at once; ended tells how many views that
// it had opened end with it.
func (k Keeper) RemoveLaunch(ctx context.Context, by By, issuer string) (ended int64, err error) {
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		removed, err := tx.Exec(ctx, `DELETE FROM ehr_issuer WHERE tenant_id = $1 AND issuer = $2`, by.Actor.Tenant, issuer)
		if err != nil {
			return access.Event{}, err
		}
		if removed.RowsAffected() == 0 {
			return access.Event{}, fault.At(fault.NotFound, "issuer", "There is no such EHR in the list.")
		}
		tag, err := tx.Exec(ctx, `
			UPDATE session s
			SET ended_at = now(), end_reason = 'operator'
			FROM launched l
			WHERE l.tenant_id = $1 AND l.issuer = $2 AND s.session_id = l.session_id AND s.ended_at IS NULL`, by.Actor.Tenant, issuer)
		ended = tag.RowsAffected()
		return by.event(access.IssuerRemoved, issuer), err
	})
	return ended, wrapped("remove an EHR", err)
}

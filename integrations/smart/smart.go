// Package smart is the app side of SMART App Launch 2.2: a clinician opens
// Overread inside their EHR and sees the second opinions of the patient in
// context.
//
// The EHR sends the browser to our launch address with its own FHIR base (iss)
// and an opaque launch. Only an iss that the operator has listed for a tenant is
// believed, letter by letter (issuer.go). We ask it where its authorization server
// is (discover.go), send the browser there (launch.go), and judge what it comes
// back with (callback.go): the code is changed for a token (token.go), the ID token
// says who it is (idtoken.go), and with the token we read the Patient once, to find
// out who that is here (context.go). Then the token is forgotten. What comes of it
// is a session (internal/session) that is good for this patient only.
//
// Everything that is asked of an EHR goes through the guard of internal/outbound.
// Nothing of a token, of a patient or of what an EHR said is logged.
package smart

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/outbound"
	"github.com/overread/overread/internal/pg"
	"github.com/overread/overread/internal/session"
)

// Limits bound one answer of an EHR.
var Limits = outbound.Limits{Timeout: 8 * time.Second, MaxBody: mostAnswer + 1}

const mostAnswer = 512 << 10

// Config is what a Client needs. All but Now and Log must be given.
type Config struct {
	DB       *pg.DB
	Sessions *session.Store
	Guard    *outbound.Guard // judges every address that an EHR names
	Limits   outbound.Limits // default: Limits
	Root     string          // where our pages are, as browsers see it, without a slash at its end
	Record   access.Recorder
	Now      func() time.Time
	Log      *slog.Logger

	// Patient finds whom an EHR means by a Patient of its own: all who fit, by id
	// below base and by identifiers (system|value).
	Patient func(ctx context.Context, actor access.Actor, base, id string, identifiers []string) ([]string, error)
	// Order finds the Task of an order of the EHR about the actor's patient, "" for
	// none.
	Order func(ctx context.Context, actor access.Actor, base, id string, identifiers []string) (string, error)
}

// Client launches.
type Client struct {
	Config

	http *http.Client
}

// New makes a Client.
func New(cfg Config) *Client {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Limits == (outbound.Limits{}) {
		cfg.Limits = Limits
	}
	if cfg.Record == nil {
		cfg.Record = func(context.Context, pgx.Tx, access.Event) error { return nil }
	}
	return &Client{Config: cfg, http: cfg.Guard.Client(cfg.Limits)}
}

// Callback is our redirect URI, as it is registered at every EHR.
func (c *Client) Callback() string { return c.Root + "/launch/callback" }

// Context is what a launched session shows besides its patient.
type Context struct {
	Issuer       string
	TaskID       *string
	OrderUnknown bool
	Banner       bool
	FrameOrigins []string
}

// Context is that of a session, also after its end. It returns pgx.ErrNoRows where
// there was none.
func (c *Client) Context(ctx context.Context, id uuid.UUID) (found Context, err error) {
	err = c.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT issuer, task_id, order_unknown, banner, frame_origins
			FROM launched
			WHERE session_id = $1`, id)
		if err != nil {
			return err
		}
		found, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Context])
		return err
	})
	return found, err
}

// Purge removes launches that were begun and not finished in time.
func (c *Client) Purge(ctx context.Context) (removed int, err error) {
	err = c.DB.System(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM ehr_launch WHERE expires_at < now()`)
		removed = int(tag.RowsAffected())
		return err
	})
	return removed, err
}

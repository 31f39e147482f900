package smart

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
)

// Life is the longest that a launched session lasts; the EHR's token may end it
// before.
const Life = time.Hour

// Opened is a launch that came to its end.
type Opened struct {
	Session uuid.UUID
	Cookie  string
	Life    time.Duration
	Locale  string // in which the clinician reads (BCP 47), as the ID token says; "" where it does not
}

// Finish judges what a browser comes back with, and opens a session for the
// patient in context. browser is what Begin gave it; userAgent is what it says it
// is. Its errors are faults that the clinician may read; every refusal is an event.
func (c *Client) Finish(ctx context.Context, browser, userAgent string, query url.Values) (opened Opened, framers []string, err error) {
	var d door
	opened, framers, err = c.finish(ctx, &d, browser, userAgent, query)
	return opened, framers, c.tell(ctx, d, err)
}

func (c *Client) finish(ctx context.Context, d *door, browser, userAgent string, query url.Values) (Opened, []string, error) {
	state := one(query, "state")
	if state == "" || browser == "" {
		return Opened{}, nil, refuse(tryAgain, "no state, or another browser")
	}
	begun, err := c.take(ctx, state, browser)
	if errors.Is(err, pgx.ErrNoRows) {
		return Opened{}, nil, refuse(tryAgain, "unknown state, or another browser, or too late")
	}
	if err != nil {
		return Opened{}, nil, fmt.Errorf("find a launch: %w", err)
	}
	d.tenant = begun.TenantID
	if begun.Suspended {
		return Opened{}, begun.FrameOrigins, refuse(suspended, "the tenant is suspended")
	}
	said := one(query, "iss") // RFC 9207
	switch {
	case query.Has("iss") && said != begun.Found.Issuer, said == "" && begun.Found.SaysIssuer:
		return Opened{}, begun.FrameOrigins, refuse(tryAgain, "the answer is of another issuer")
	case query.Has("error"):
		return Opened{}, begun.FrameOrigins, refuse("Your EHR has refused to open Overread for this patient. Nothing was shown.", "the EHR refused")
	case one(query, "code") == "":
		return Opened{}, begun.FrameOrigins, refuse(tryAgain, "no code")
	}
	opened, err := c.open(ctx, d, begun, one(query, "code"), userAgent)
	return opened, begun.FrameOrigins, err
}

// under is a launch that is under way.
type under struct {
	Issuer

	Nonce, Verifier string
	Found           endpoints
}

// take takes a launch that was begun in this browser: it is good once.
func (c *Client) take(ctx context.Context, state, browser string) (*under, error) {
	type row struct {
		Issuer

		Nonce, Verifier string
		Found           []byte
	}
	var taken row
	err := c.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			DELETE FROM ehr_launch l
			USING ehr_issuer i, tenant t
			WHERE l.state_sha256 = @state AND l.browser_sha256 = @browser AND l.expires_at > now()
			  AND i.tenant_id = l.tenant_id AND i.issuer = l.issuer AND t.tenant_id = l.tenant_id
			RETURNING i.tenant_id, t.name AS tenant_name, i.issuer, i.client_id, i.authentication, i.secret_file, i.scopes, i.frame_origins, t.state <> 'active' AS suspended,
			          l.nonce, l.verifier, l.found::text::bytea AS found`,
			pgx.NamedArgs{"state": hash(state), "browser": hash(browser)})
		if err != nil {
			return err
		}
		taken, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[row])
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &under{Issuer: taken.Issuer, Nonce: taken.Nonce, Verifier: taken.Verifier}
	return l, json.Unmarshal(taken.Found, &l.Found)
}

// open changes the code for a token, finds out who has come and whom it is about,
// and opens the session.
func (c *Client) open(ctx context.Context, d *door, l *under, code, userAgent string) (Opened, error) {
	token, err := c.redeem(ctx, l, code)
	if err != nil {
		return Opened{}, err
	}
	who, err := c.identify(ctx, l, token)
	if err != nil {
		return Opened{}, err
	}
	d.actor = access.Actor{Tenant: l.TenantID, Role: access.Placer, Display: who.display}
	patient, err := c.patient(ctx, l, token)
	if err != nil {
		return Opened{}, err
	}
	d.patient = patient
	order, err := c.order(ctx, l, token, patient)
	if err != nil {
		return Opened{}, err
	}
	life := min(Life, token.life())
	opened := Opened{Life: life, Locale: who.locale}
	var turnedAway error
	err = c.DB.System(ctx, func(tx pgx.Tx) error {
		turnedAway = nil
		person, _, err := c.Sessions.Known(ctx, tx, session.Person{Issuer: l.Found.Issuer, Subject: who.subject, Display: who.display})
		if fault.Is(err, fault.Forbidden) {
			turnedAway = refuse("Your access to Overread has been ended. Please ask your coordinator if this is a mistake.", "the person was ended")
			return nil
		}
		if err != nil {
			return err
		}
		actor := access.Actor{Tenant: l.TenantID, ID: person, Role: access.Placer, Display: who.display, Patient: patient}
		opened.Session, opened.Cookie, err = c.Sessions.OpenLaunched(ctx, tx, person, userAgent, actor, life)
		if err != nil {
			return err
		}
		if err := note(ctx, tx, l, opened.Session, order, token.banner()); err != nil {
			return err
		}
		actor.Token = access.SessionURN(opened.Session)
		return c.Record(ctx, tx, access.Event{Kind: access.Launch, Tenant: l.TenantID, Actor: actor, Patient: patient, Case: order.reference(), Scopes: token.Scope})
	})
	return opened, errors.Join(err, turnedAway)
}

// note keeps what the session shows.
func note(ctx context.Context, tx pgx.Tx, l *under, id uuid.UUID, order order, banner bool) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO launched (tenant_id, session_id, issuer, task_id, order_unknown, banner, frame_origins)
		VALUES (@tenant, @session, @issuer, nullif(@task, ''), @unknown, @banner, @origins)`,
		pgx.NamedArgs{"tenant": l.TenantID, "session": id, "issuer": l.Issuer.Issuer, "task": order.task, "unknown": order.unknown, "banner": banner, "origins": l.FrameOrigins})
	if err != nil {
		return fmt.Errorf("keep what a launched session shows: %w", err)
	}
	return nil
}

package oidc

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
)

// Return is a browser that comes back from a provider.
type Return struct {
	Provider  string // by the address that it came to
	Browser   string // what only this browser knows, as in Begin
	Query     url.Values
	UserAgent string
	Client    string // its IP address, for the audit
	RequestID string
}

// Done is a login that has succeeded.
type Done struct {
	Cookie   string
	ReturnTo string
}

// refused is a login that failed. What the person is told and what stands in log
// and audit differ: why is one of our own words.
type refused struct {
	why  string
	text string
}

func (r *refused) Error() string { return r.why }

const tryAgain = "This sign-in did not work out, or is too old, or was begun in another browser. Nothing was done; please begin again."

func refuse(why string) error { return &refused{why, tryAgain} }

// Finish judges what a browser comes back with, and opens a session. Its errors
// are faults that the person may read; every refusal is an event.
func (c *Client) Finish(ctx context.Context, r Return) (Done, error) {
	done, err := c.finish(ctx, r)
	why, ok := errors.AsType[*refused](err)
	if !ok {
		return done, err
	}
	name := "none of ours" // what stands in an address may be anybody's text
	if p, err := c.provider(ctx, r.Provider); err == nil {
		name = p.Name
	}
	c.log.Info("login refused", "provider", name, "reason", why.why, "request_id", r.RequestID)
	told := c.record(ctx, nil, access.Event{Kind: access.LoginRefused, Why: why.why, Client: r.Client, RequestID: r.RequestID})
	return Done{}, errors.Join(fault.New(fault.Forbidden, "%s", why.text), told)
}

func (c *Client) finish(ctx context.Context, r Return) (Done, error) {
	one := func(name string) string {
		if values := r.Query[name]; len(values) == 1 {
			return values[0]
		}
		return ""
	}
	if r.Browser == "" || one("state") == "" {
		return Done{}, refuse("no state, or another browser")
	}
	began, err := c.take(ctx, one("state"), r.Browser)
	if errors.Is(err, pgx.ErrNoRows) {
		return Done{}, refuse("unknown state, or another browser")
	}
	if err != nil {
		return Done{}, fmt.Errorf("find a login: %w", err)
	}
	if began.Provider != r.Provider {
		return Done{}, refuse("the answer came to another provider's address")
	}
	p, err := c.provider(ctx, began.Provider)
	if err != nil {
		return Done{}, err
	}
	at, err := c.discover(ctx, p.Issuer)
	if err != nil {
		return Done{}, err
	}
	said := one("iss") // RFC 9207
	switch {
	case r.Query.Has("iss") && said != p.Issuer, said == "" && at.extra.SaysIssuer:
		return Done{}, refuse("the answer is of another issuer")
	case r.Query.Has("error"):
		return Done{}, refuse("the provider refused")
	case one("code") == "":
		return Done{}, refuse("no code")
	}
	claims, err := c.redeem(ctx, p, at, began, one("code"))
	if err != nil {
		return Done{}, err
	}
	cookie, err := c.admit(ctx, p, claims, r)
	return Done{cookie, began.ReturnTo}, err
}

// redeem changes a code for the claims of an ID token.
func (c *Client) redeem(ctx context.Context, p Provider, at *provider, began begun, code string) (*claims, error) {
	flow, err := c.flow(p, at)
	if err != nil {
		return nil, err
	}
	ctx = gooidc.ClientContext(ctx, c.http)
	token, err := flow.Exchange(ctx, code, oauth2.VerifierOption(began.Verifier))
	if err != nil {
		if _, answered := errors.AsType[*oauth2.RetrieveError](err); answered {
			return nil, refuse("the provider did not take the code")
		}
		return nil, fmt.Errorf("ask %s for a token: %w", p.Name, bare(err))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, refuse("no ID token")
	}
	return c.judge(ctx, p, at, began.Nonce, raw, token)
}

// admit opens a session for a person, with what they may be here.
func (c *Client) admit(ctx context.Context, p Provider, who *claims, r Return) (cookie string, err error) {
	var turnedAway error
	err = c.db.System(ctx, func(tx pgx.Tx) error {
		cookie, turnedAway = "", nil
		person, reader, err := c.sessions.Known(ctx, tx, session.Person{Issuer: p.Issuer, Subject: who.subject, Display: who.display})
		if fault.Is(err, fault.Forbidden) {
			turnedAway = &refused{"the person was ended", "Your access to Overread has been ended. Please ask your coordinator if this is a mistake."}
			return nil
		}
		if err != nil {
			return err
		}
		actors, err := places(ctx, tx, p, who, person, reader)
		if err != nil {
			return err
		}
		if len(actors) == 0 {
			turnedAway = &refused{"no role anywhere", "We know who you are, but you have no role here: none of your groups at " + p.Display + " means anything to Overread, or you are not credentialed as a reader. Please ask your coordinator."}
			return nil
		}
		var id uuid.UUID
		if id, cookie, err = c.sessions.Open(ctx, tx, person, session.FromOIDC, r.UserAgent, actors); err != nil {
			return err
		}
		return c.tell(ctx, tx, actors, id, r)
	})
	return cookie, errors.Join(err, turnedAway)
}

// tell records a login at each tenant where the person has a role.
func (c *Client) tell(ctx context.Context, tx pgx.Tx, actors []access.Actor, id uuid.UUID, r Return) error {
	told := map[uuid.UUID]bool{}
	for _, a := range actors {
		if told[a.Tenant] {
			continue
		}
		told[a.Tenant] = true
		err := c.record(ctx, tx, access.Event{Kind: access.Login, Tenant: a.Tenant, Actor: a, Token: access.SessionURN(id), Client: r.Client, RequestID: r.RequestID})
		if err != nil {
			return err
		}
	}
	return nil
}

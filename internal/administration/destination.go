package administration

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
)

// Destination is an endpoint as it is set.
type Destination struct {
	Name        string
	BaseURL     string
	Packaging   string // transaction or report
	TokenFile   string // on the server; "" for none. Only the operator names one
	Timeout     time.Duration
	InFlightMax int
}

// Check refuses what is none, before anything is asked.
func (d *Destination) Check() error {
	d.Name, d.BaseURL = strings.TrimSpace(d.Name), strings.TrimRight(strings.TrimSpace(d.BaseURL), "/")
	switch {
	case !ShortName.MatchString(d.Name):
		return checkShortName(d.Name)
	case !BaseURL.MatchString(d.BaseURL):
		return fault.At(fault.Value, "base", "This is no http or https URL.")
	case d.Packaging != "transaction" && d.Packaging != "report":
		return fault.At(fault.Value, "packaging", "Choose what is sent.")
	case d.Timeout < 100*time.Millisecond || d.Timeout > 2*time.Minute:
		return fault.At(fault.Value, "timeout", "It is not between 100ms and 2m.")
	case d.InFlightMax < 1 || d.InFlightMax > 64:
		return fault.At(fault.Value, "in-flight-max", "It is not between 1 and 64.")
	}
	return checkAddress("base", d.BaseURL)
}

// SetDestination adds an endpoint, or changes the one of this name, as the operator says.
func (k Keeper) SetDestination(ctx context.Context, by By, d Destination) error {
	if err := d.Check(); err != nil {
		return err
	}
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		return by.event(access.DestinationSet, d.Name), setDestination(ctx, tx, by.Actor.Tenant, d)
	})
	return wrapped("endpoint "+d.Name, err)
}

func setDestination(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, d Destination) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO destination (tenant_id, destination, base_url, packaging, token_file, timeout_ms, in_flight_max)
		VALUES (@tenant_id, @destination, @base_url, @packaging, nullif(@token_file, ''), @timeout_ms, @in_flight_max)
		ON CONFLICT (tenant_id, destination) DO UPDATE SET
			base_url = excluded.base_url, packaging = excluded.packaging, token_file = excluded.token_file,
			timeout_ms = excluded.timeout_ms, in_flight_max = excluded.in_flight_max,
			failures = 0, failed_lanes = '{}', breaker_until = NULL`,
		pgx.NamedArgs{"tenant_id": tenant, "destination": d.Name, "base_url": d.BaseURL, "packaging": d.Packaging,
			"token_file": d.TokenFile, "timeout_ms": d.Timeout.Milliseconds(), "in_flight_max": d.InFlightMax})
	return err
}

// Proposal is an endpoint as an administrator wants it. Whoever says where reports go could
// have them all sent to themselves, so a second administrator has to agree.
type Proposal struct {
	Destination
	Follows string // the address that it had then; "" for a new one
	Now     string // the address that it has now; "" for none
	Reason  string
	By      uuid.UUID
	ByName  string
	At      time.Time
	Token   bool // there is a token, which does not go to another server
}

// New tells whether the endpoint is not there yet.
func (p Proposal) New() bool { return p.Follows == "" }

// Moves tells whether reports would go to another address.
func (p Proposal) Moves() bool { return p.Follows != p.BaseURL }

// Void tells whether the endpoint was given another address meanwhile.
func (p Proposal) Void() bool { return p.Follows != p.Now }

// LosesToken tells whether the endpoint would be left without its token, since it would be
// at another server: the token is a secret of the server of before.
func (p Proposal) LosesToken() bool { return p.Token && !sameOrigin(p.Now, p.BaseURL) }

func sameOrigin(a, b string) bool {
	one, err := url.Parse(a)
	other, err2 := url.Parse(b)
	return err == nil && err2 == nil && one.Scheme == other.Scheme && strings.EqualFold(one.Host, other.Host)
}

// Proposals are those of a tenant that wait for a second administrator.
func (k Keeper) Proposals(ctx context.Context, tenant uuid.UUID) (all []Proposal, err error) {
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		all, err = proposals(ctx, tx, tenant)
		return err
	})
	return all, wrapped("proposals", err)
}

func proposals(ctx context.Context, tx pgx.Tx, tenant uuid.UUID) ([]Proposal, error) {
	rows, err := tx.Query(ctx, `
		SELECT p.destination, p.base_url, p.packaging, p.timeout_ms, p.in_flight_max, coalesce(p.follows, ''), coalesce(d.base_url, ''), coalesce(d.token_file, ''),
		       p.reason, p.proposed_by, p.proposed_by_name, p.proposed_at
		FROM destination_proposal p
		LEFT JOIN destination d ON d.tenant_id = p.tenant_id AND d.destination = p.destination
		WHERE p.tenant_id = $1
		ORDER BY p.destination`, tenant)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Proposal, err error) {
		var timeout int64
		err = row.Scan(&p.Name, &p.BaseURL, &p.Packaging, &timeout, &p.InFlightMax, &p.Follows, &p.Now, &p.TokenFile, &p.Reason, &p.By, &p.ByName, &p.At)
		p.Timeout, p.Token = time.Duration(timeout)*time.Millisecond, p.TokenFile != ""
		return p, err
	})
}

// CheckProposal refuses what Propose would, and returns it with what is there now. Beyond what
// the operator's command refuses, it refuses an address that this server does not call: the
// operator may list one before it is allowed, an administrator has nobody to wait for.
func (k Keeper) CheckProposal(ctx context.Context, by By, d Destination, reason string) (p Proposal, err error) {
	if err := d.Check(); err != nil {
		return p, err
	}
	if _, err := k.Guard.Check(d.BaseURL + "/metadata"); err != nil {
		if refusal := outbound.Refused(err); refusal != nil {
			return p, &fault.Error{Issues: []fault.Issue{{Kind: fault.Value, Expression: "base", Text: refusal.Text}}}
		}
		return p, err
	}
	if reason, err = reasonOf(reason); err != nil {
		return p, err
	}
	p = Proposal{Destination: d, Reason: reason, By: by.Person, ByName: by.Actor.Display}
	err = k.DB.System(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT base_url, coalesce(token_file, '') FROM destination WHERE tenant_id = $1 AND destination = $2`, by.Actor.Tenant, d.Name)
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, []any{&p.Now, &p.TokenFile}, func() error { return nil })
		return err
	})
	p.Follows, p.Token = p.Now, p.TokenFile != ""
	return p, wrapped("endpoint "+d.Name, err)
}

// Propose says how an administrator wants an endpoint. What was proposed of it before is
// replaced.
func (k Keeper) Propose(ctx context.Context, by By, d Destination, reason string) error {
	p, err := k.CheckProposal(ctx, by, d, reason)
	if err != nil {
		return err
	}
	err = k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		_, err := tx.Exec(ctx, `
			INSERT INTO destination_proposal (tenant_id, destination, base_url, packaging, timeout_ms, in_flight_max, follows, reason, proposed_by, proposed_by_name)
			VALUES (@tenant, @name, @base, @packaging, @timeout, @in_flight, nullif(@follows, ''), @reason, @person, @by)
			ON CONFLICT (tenant_id, destination) DO UPDATE SET
				base_url = excluded.base_url, packaging = excluded.packaging, timeout_ms = excluded.timeout_ms, in_flight_max = excluded.in_flight_max,
				follows = excluded.follows, reason = excluded.reason, proposed_by = excluded.proposed_by, proposed_by_name = excluded.proposed_by_name, proposed_at = now()`,
			pgx.NamedArgs{"tenant": by.Actor.Tenant, "name": p.Name, "base": p.BaseURL, "packaging": p.Packaging, "timeout": p.Timeout.Milliseconds(),
				"in_flight": p.InFlightMax, "follows": p.Follows, "reason": p.Reason, "person": by.Person, "by": by.Actor.Display})
		return by.proposalEvent(access.DestinationProposed, p), err
	})
	return wrapped("propose an endpoint", err)
}

func (b By) proposalEvent(kind access.EventKind, p Proposal) access.Event {
	e := b.event(kind, p.Name)
	e.Reason = p.BaseURL + ": " + p.Reason
	return e
}

// proposal is one of a tenant, locked; NotFound where it is not there any more.
func proposal(ctx context.Context, tx pgx.Tx, tenant uuid.UUID, name string) (p Proposal, err error) {
	var locked string
	err = tx.QueryRow(ctx, `SELECT destination FROM destination_proposal WHERE tenant_id = $1 AND destination = $2 FOR UPDATE`, tenant, name).Scan(&locked)
	if err = found(err, "This proposal is not there any more: somebody has decided on it."); err != nil {
		return p, err
	}
	all, err := proposals(ctx, tx, tenant)
	for _, p := range all {
		if p.Name == name {
			return p, err
		}
	}
	return p, err
}

// Agree puts a proposal in force, of another administrator. base is the address that who agrees
// has looked at. An endpoint with another address begins paused, so that somebody tries it
// before a report goes there; and at another server it has no token.
func (k Keeper) Agree(ctx context.Context, by By, name, base string) error {
	err := k.change(ctx, by, func(tx pgx.Tx) (done access.Event, err error) {
		p, err := proposal(ctx, tx, by.Actor.Tenant, name)
		if err != nil {
			return done, err
		}
		same, err := samePerson(ctx, tx, p.By, by.Person)
		switch {
		case err != nil:
			return done, err
		case same:
			return done, fault.New(fault.Forbidden, "Nobody agrees to what they have proposed themselves: another administrator does it.")
		case p.Void() || p.BaseURL != base:
			return done, fault.New(fault.Conflict, "The endpoint or the proposal has changed meanwhile. Please look at it again.")
		}
		if p.LosesToken() {
			p.TokenFile = ""
		}
		if err := setDestination(ctx, tx, by.Actor.Tenant, p.Destination); err != nil {
			return done, err
		}
		if p.Moves() {
			_, err = tx.Exec(ctx, `
				UPDATE destination
				SET paused_at = now(), paused_by = @by, pause_reason = @reason
				WHERE tenant_id = @tenant AND destination = @name`,
				pgx.NamedArgs{"tenant": by.Actor.Tenant, "name": p.Name, "by": by.Actor.Display, "reason": pausedAsNew})
		}
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM destination_proposal WHERE tenant_id = $1 AND destination = $2`, by.Actor.Tenant, p.Name)
		}
		return by.proposalEvent(access.DestinationSet, Proposal{Destination: p.Destination, Reason: p.ByName + ": " + p.Reason}), err
	})
	return wrapped("agree to an endpoint", err)
}

// pausedAsNew is why an endpoint begins paused.
const pausedAsNew = "another address: try the connection, then resume"

// samePerson tells whether two people are one, as far as it is known here: one who is the
// same reader by two providers is.
func samePerson(ctx context.Context, tx pgx.Tx, a, b uuid.UUID) (same bool, err error) {
	err = tx.QueryRow(ctx, `
		SELECT @a::uuid = @b::uuid OR EXISTS (
			SELECT
			FROM person one
			JOIN person other ON other.reader_id = one.reader_id
			WHERE one.person_id = @a AND other.person_id = @b)`, pgx.NamedArgs{"a": a, "b": b}).Scan(&same)
	return same, err
}

// Withdraw takes a proposal away, whosever it is.
func (k Keeper) Withdraw(ctx context.Context, by By, name string) error {
	err := k.change(ctx, by, func(tx pgx.Tx) (done access.Event, err error) {
		p, err := proposal(ctx, tx, by.Actor.Tenant, name)
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM destination_proposal WHERE tenant_id = $1 AND destination = $2`, by.Actor.Tenant, name)
		}
		return by.proposalEvent(access.DestinationWithdrawn, p), err
	})
	return wrapped("withdraw a proposal", err)
}

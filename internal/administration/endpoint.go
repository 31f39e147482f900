package administration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/outbound"
)

// Endpoint is a FHIR server that gets a tenant's reports, and how it goes with it.
type Endpoint struct {
	Name          string
	BaseURL       string
	Packaging     string // transaction or report
	Authenticated bool   // by a bearer token from a file on the server
	Timeout       time.Duration
	InFlightMax   int
	PausedAt      *time.Time
	PausedBy      string
	PauseReason   string
	BreakerUntil  *time.Time // it failed too often, and is left alone until then
	Failures      int        // in a row
	Queued        int
	Parked        int        // that nobody takes without a person
	Oldest        *time.Time // of those that are queued
	LastDone      *time.Time // when a report last arrived
}

// State is how it is: paused, failing (it is left alone for a while), stopped
// (something waits for a person) or open.
func (e Endpoint) State(now time.Time) string {
	switch {
	case e.PausedAt != nil:
		return "paused"
	case e.BreakerUntil != nil && e.BreakerUntil.After(now):
		return "failing"
	case e.Parked > 0:
		return "stopped"
	}
	return "open"
}

// Endpoints are those of a tenant.
func (k Keeper) Endpoints(ctx context.Context, tenant uuid.UUID) (all []Endpoint, err error) {
	err = k.DB.Tenant(ctx, tenant, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT e.destination AS name, e.base_url, e.packaging, e.token_file IS NOT NULL AS authenticated,
			       e.timeout_ms * interval '1 millisecond' AS timeout, e.in_flight_max, e.paused_at, coalesce(e.paused_by, '') AS paused_by, coalesce(e.pause_reason, '') AS pause_reason, e.breaker_until, e.failures,
			       coalesce(w.queued, 0) AS queued, coalesce(w.parked, 0) AS parked, w.oldest,
			       (SELECT max(d.done_at) FROM delivery d WHERE d.tenant_id = e.tenant_id AND d.destination = e.destination AND d.state = 'done') AS last_done
			FROM destination e
			LEFT JOIN (
				SELECT destination, count(*) FILTER (WHERE state = 'queued') AS queued, count(*) FILTER (WHERE state = 'parked') AS parked,
				       min(queued_at) FILTER (WHERE state = 'queued') AS oldest
				FROM delivery
				WHERE tenant_id = overread_tenant() AND state IN ('queued', 'parked')
				GROUP BY destination) w ON w.destination = e.destination
			WHERE e.tenant_id = overread_tenant()
			ORDER BY e.destination`)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowToStructByName[Endpoint])
		return err
	})
	return all, wrapped("endpoints", err)
}

// Pause sends nothing to an endpoint until Resume; what is signed waits. What is on
// the network at that moment is let finish.
func (k Keeper) Pause(ctx context.Context, by By, name, reason string) error {
	reason, err := reasonOf(reason)
	if err != nil {
		return err
	}
	return k.turn(ctx, by, access.DestinationPaused, name, reason, `
		UPDATE destination
		SET paused_at = now(), paused_by = @by, pause_reason = @reason
		WHERE tenant_id = @tenant AND destination = @name AND paused_at IS NULL`)
}

// Resume sends to an endpoint again. That it failed before is forgotten: whoever
// resumes it has looked.
func (k Keeper) Resume(ctx context.Context, by By, name string) error {
	return k.turn(ctx, by, access.DestinationResumed, name, "", `
		UPDATE destination
		SET paused_at = NULL, paused_by = NULL, pause_reason = NULL, failures = 0, failed_lanes = '{}', breaker_until = NULL
		WHERE tenant_id = @tenant AND destination = @name AND paused_at IS NOT NULL`)
}

func (k Keeper) turn(ctx context.Context, by By, what access.EventKind, name, reason, sql string) error {
	err := k.change(ctx, by, func(tx pgx.Tx) (access.Event, error) {
		tag, err := tx.Exec(ctx, sql, pgx.NamedArgs{"tenant": by.Actor.Tenant, "name": name, "by": by.Actor.Display, "reason": reason})
		if err == nil && tag.RowsAffected() == 0 {
			err = fault.New(fault.Conflict, "There is no such endpoint, or it is so already: somebody may have been faster.")
		}
		done := by.event(what, name)
		done.Reason = reason
		return done, err
	})
	return wrapped("endpoint "+name, err)
}

// Trial is what came of a try to reach an endpoint.
type Trial struct {
	Outcome  string // a row of TrialOutcomes
	Status   int    // of its answer; 0: there was none
	Took     time.Duration
	FHIR     string // the version that it says it speaks
	Software string // what it says it is
	Why      string // of what the fence refuses: which setting of the server would allow it
}

// TrialOutcomes are what may come of it.
var TrialOutcomes = []string{"answers", "asks", "other", "fenced", "untrusted", "silent", "unreachable"}

// trialLimits bound a try: a CapabilityStatement is some hundred kilobytes.
var trialLimits = outbound.Limits{Timeout: 10 * time.Second, MaxBody: 8 << 20}

// Try asks an endpoint for its CapabilityStatement, which everybody may read, as the
// server reaches it: through the fence, and without any secret. That it was tried is
// recorded.
func (k Keeper) Try(ctx context.Context, by By, name string) (Trial, error) {
	var base string
	err := k.DB.Tenant(ctx, by.Actor.Tenant, func(tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT base_url FROM destination WHERE tenant_id = overread_tenant() AND destination = $1`, name).Scan(&base)
	})
	if err = found(err, noEndpoint); err != nil {
		return Trial{}, wrapped("endpoint "+name, err)
	}
	began := time.Now()
	t := k.ask(ctx, base+"/metadata")
	t.Took = time.Since(began).Round(time.Millisecond)
	err = k.change(ctx, by, func(pgx.Tx) (access.Event, error) {
		return by.event(access.DestinationTried, name), nil
	})
	return t, err
}

const noEndpoint = "There is no such endpoint."

// Reach asks an address for what everybody may read there, and returns the status of
// the answer: any answer at all shows that it can be reached.
func Reach(ctx context.Context, client *http.Client, address string) (status int, body []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Accept", "application/fhir+json, application/json;q=0.9, */*;q=0.1")
	answer, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, trialLimits.MaxBody))
	return answer.StatusCode, body, err
}

func (k Keeper) ask(ctx context.Context, address string) (t Trial) {
	status, body, err := Reach(ctx, k.Guard.Client(trialLimits), address)
	t.Status = status
	if err != nil {
		t.Outcome, t.Why = whyNot(err)
		return t
	}
	var said struct {
		ResourceType string `json:"resourceType"`
		FHIRVersion  string `json:"fhirVersion"`
		Software     struct {
			Name    string `json:"name"`
			Version string `json:"version"`
		} `json:"software"`
	}
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		t.Outcome = "asks"
	case status == http.StatusOK && json.Unmarshal(body, &said) == nil && said.ResourceType == "CapabilityStatement":
		t.Outcome, t.FHIR, t.Software = "answers", short(said.FHIRVersion), short(said.Software.Name+" "+said.Software.Version)
	default:
		t.Outcome = "other"
	}
	return t
}

// whyNot says of an error in a word why there was no answer.
func whyNot(err error) (outcome, why string) {
	if refusal := outbound.Refused(err); refusal != nil {
		return "fenced", refusal.Text
	}
	var (
		record  tls.RecordHeaderError
		invalid *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
		late    interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &record), errors.As(err, &invalid), errors.As(err, &unknown):
		return "untrusted", ""
	case errors.As(err, &late) && late.Timeout():
		return "silent", ""
	}
	return "unreachable", ""
}

// short bounds what another system says of itself.
func short(text string) string {
	letters := []rune(text)
	return string(letters[:min(len(letters), 80)])
}

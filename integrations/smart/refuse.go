package smart

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// refused is a launch that does not come to its end. The clinician is told what
// they can do; why, in one of our own words, stands in log and audit.
type refused struct {
	why  string
	text string
	err  error // for the log; of the way to the EHR
}

func (r *refused) Error() string { return r.why }
func (r *refused) Unwrap() error { return r.err }

const (
	tryAgain  = "This did not work out, or took too long, or was begun in another browser. Nothing was shown. Please open Overread again from the patient's record in your EHR."
	tellThem  = "Your EHR and Overread do not agree on how to open second opinions. Nothing was shown. Please tell the team that looks after your EHR."
	notListed = "Overread does not know the EHR from which it was opened. Nothing was shown. Please tell the team that looks after your EHR: it has to be listed with Overread first."
	suspended = "Your hospital's second opinions are not available at present. Nothing was shown. Please try again later, or ask your coordinator."
	unknown   = "Overread has no record that is certainly this patient's. Nothing is shown: second opinions are found by record numbers only, never by name. If one was ordered, ask your coordinator."
	ambiguous = "More than one record in Overread could be this patient's. Nothing is shown, since it might be somebody else's. Please ask your coordinator to mend the record numbers."
)

func refuse(text, why string) error { return &refused{why: why, text: text} }

func refuseFor(text, why string, err error) error { return &refused{why: why, text: text, err: err} }

// door is where a refusal is told: whose log, from where, about whom.
type door struct {
	tenant  uuid.UUID
	actor   access.Actor
	patient string
}

// tell makes a refusal what the page may show, records and logs it. Other errors
// pass.
func (c *Client) tell(ctx context.Context, d door, err error) error {
	r, ok := errors.AsType[*refused](err)
	if !ok {
		return err
	}
	cause := ""
	if r.err != nil {
		cause = describe(r.err)
	}
	c.Log.LogAttrs(ctx, slog.LevelInfo, "launch refused", slog.String("reason", r.why), slog.String("cause", cause), slog.String("tenant", d.tenant.String()))
	told := c.Record(ctx, nil, access.Event{Kind: access.Launch, Tenant: d.tenant, Actor: d.actor, Patient: d.patient, Why: r.why})
	return errors.Join(fault.New(fault.Forbidden, "%s", r.text), told)
}

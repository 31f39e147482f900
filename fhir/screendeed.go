package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// knows has what is offered look at what the order means now and at who there is to stand in,
// where that decides: a reading goes on after a correction only where the images are those
// that were read, and an amendment is given only to somebody who may have it. Where it is
// neither, the page says why, and what leads on.
func (d *deskCase) knows(ctx context.Context) error {
	var wanted []workflow.Event
	switch {
	case d.c.State == workflow.OnHold && d.c.Correction != nil:
		now, err := d.dossier(ctx, d.tx, d.c)
		if err != nil {
			return err
		}
		d.offers.Knowing(now.facts(d.secondOpinion))
		wanted = []workflow.Event{"continue-reading"}
	case d.c.State == workflow.Amending:
		var err error
		if d.standIns, err = workflow.StandInsTx(ctx, d.tx, d.c, d.now()); err != nil {
			return err
		}
		wanted = []workflow.Event{"reassign", "withdraw-amendment"}
	default:
		return nil
	}
	for _, ev := range wanted {
		refused, err := d.offers.May(ctx, ev, 0)
		if err != nil {
			return err
		}
		if refused != nil && refused.Issues[0].Kind == fault.BusinessRule {
			d.file.Barred = append(d.file.Barred, refused.Issues[0].Text)
		}
	}
	return nil
}

// deeds are the operations that are offered to the actor, with what they take.
func (d *deskCase) deeds(ctx context.Context) error {
	if err := d.knows(ctx); err != nil {
		return err
	}
	for _, op := range operations {
		offered, err := d.offered(ctx, op)
		if err != nil {
			return err
		}
		if !offered {
			continue
		}
		deed := screen.Deed{Name: op.Name}
		for _, p := range op.Takes {
			if f, ok := d.field(op.Name, p); ok {
				deed.Fields = append(deed.Fields, f)
			}
		}
		d.file.Deeds = append(d.file.Deeds, deed)
	}
	return nil
}

// offered tells whether the actor is offered an operation on this page.
func (d *deskCase) offered(ctx context.Context, op operation) (bool, error) {
	switch op.Name {
	case "redeliver": // no event of the case
		return d.actor.Role == access.Coordinator && slices.ContainsFunc(d.file.Deliveries, func(x screen.CaseDelivery) bool { return x.State == "parked" || x.State == "queued" }), nil
	case "offer", "reassign": // they have a page of their own: the candidates
		if d.c.State != workflow.Amending {
			return false, nil
		}
	case "continue-reading":
		if d.c.Correction == nil {
			return false, nil
		}
	}
	if d.aboutMatter(op.Name) {
		return slices.ContainsFunc(d.file.Matters, func(m screen.CaseMatter) bool { return m.May[op.Name] }), nil
	}
	refused, err := d.offers.May(ctx, workflow.Event(op.Name), 0)
	return err == nil && refused == nil, err
}

func (*deskCase) aboutMatter(name string) bool {
	for _, events := range aboutMatters {
		if slices.Contains(events, workflow.Event(name)) {
			return true
		}
	}
	return false
}

// field is a parameter as a form asks for it; ok is false for what a form leaves out.
func (d *deskCase) field(op string, p parameter) (f screen.DeedField, ok bool) {
	f = screen.DeedField{Name: p.Name, Kind: "line", Required: p.Min > 0}
	switch {
	case p.Name == "reason" || p.Name == "note":
		f.Kind = "text"
	case p.Name == "reader":
		f.Kind, f.Choices = "choice", d.readers()
	case slices.Contains([]string{"finding", "number"}, p.Name):
		f.Kind = "choice"
		for _, m := range d.file.Matters {
			if m.May[op] {
				f.Choices = append(f.Choices, screen.Choice{Value: fmt.Sprint(m.No), Words: fmt.Sprintf("%d: %s", m.No, m.Text)})
			}
		}
	case p.Type == "code":
		f.Kind = "choice"
		for _, code := range p.Codes {
			f.Choices = append(f.Choices, screen.Choice{Value: code, Words: code})
		}
	case p.Type == "boolean":
		f.Kind = "check"
	case p.Type != "string":
		return f, false
	}
	return f, true
}

// readers are those who may have the amendment, by name.
func (d *deskCase) readers() (all []screen.Choice) {
	for id, name := range d.names {
		if name.Active && slices.Contains(d.standIns, id) {
			all = append(all, screen.Choice{Value: "Practitioner/" + name.PractitionerID, Words: name.Display})
		}
	}
	slices.SortFunc(all, func(a, b screen.Choice) int { return strings.Compare(a.Words, b.Words) })
	return all
}

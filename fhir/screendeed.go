package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// deeds are the operations that are offered to the actor, with what they take.
func (d *deskCase) deeds(ctx context.Context) error {
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

// readers are those of the tenant, by name.
func (d *deskCase) readers() (all []screen.Choice) {
	for _, name := range d.names {
		if name.Active {
			all = append(all, screen.Choice{Value: "Practitioner/" + name.PractitionerID, Words: name.Display})
		}
	}
	slices.SortFunc(all, func(a, b screen.Choice) int { return strings.Compare(a.Words, b.Words) })
	return all
}

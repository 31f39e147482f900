package fhir

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// mostIssues bounds an answer of $validate, which lists more than a refusal does.
const mostIssues = 200

func validateServices() []service {
	return []service{{
		name: "validate", id: "resource-validate", base: "http://hl7.org/fhir/OperationDefinition/Resource-validate",
		does: "Tells everything that is wrong with a resource, and stores nothing. Without mode it looks at the content; with create, update " +
			"or delete also at whether this server would do it now: references, conditions, and the rules of the case.",
		types: writableTypes(), atType: true, instance: true, by: anybody, bare: "resource", gives: "OperationOutcome",
		takes: []parameter{
			{Name: "resource", Type: "Resource", Doc: "What is to be validated. At an instance it may be left out: then what is stored is."},
			{Name: "mode", Type: "code", Codes: []string{"create", "update", "delete", "profile"}, Doc: "What it is for."},
			{Name: "profile", Type: "uri", Doc: "A profile of ours, or the StructureDefinition of the type, beside those that the resource claims."},
		},
		handle: (*Server).validate,
	}}
}

// writableTypes are those that clients may write.
func writableTypes() []string {
	var names []string
	for _, row := range resourceTable() {
		if row.allows("create") || row.allows("update") {
			names = append(names, row.name)
		}
	}
	return names
}

// review is what $validate finds.
type review struct {
	typ    string // of the address
	id     string // "" at the type
	n      *Node
	mode   string
	issues []*Node
}

func (r *review) add(severity string, issues ...fault.Issue) {
	for _, i := range issues {
		r.issues = append(r.issues, issue(severity, kinds[i.Kind].code, i.Text, i.Expression, ""))
	}
}

func (r *review) tell(text, expression string) {
	r.issues = append(r.issues, issue("information", "informational", text, expression, ""))
}

func (r *review) failed() bool {
	return slices.ContainsFunc(r.issues, func(i *Node) bool { return i.Text("severity") == "error" })
}

// validate is [type]/$validate and [type]/[id]/$validate, FHIR R4
// resource-operation-validate.html. It answers 200 whatever it finds.
func (s *Server) validate(c echo.Context, actor access.Actor, in *Node) error {
	ctx := c.Request().Context()
	r := &review{typ: typeOfPath(c), id: c.Param("id"), n: given(in, "resource"), mode: given(in, "mode").Text()}
	asked := given(in, "profile").Text()
	if err := s.reviewable(ctx, actor, r, asked); err != nil {
		return err
	}
	done, err := s.turns.wait(ctx, len(in.Bytes()))
	if err != nil {
		return err
	}
	defer done()
	if r.n != nil {
		s.reviewContent(r, asked)
	}
	if !r.failed() {
		if err := s.rehearse(ctx, actor, r); err != nil {
			return err
		}
	}
	if len(r.issues) == 0 {
		r.tell("no issues", "")
	}
	slices.SortStableFunc(r.issues, func(a, b *Node) int { return gravity[a.Text("severity")] - gravity[b.Text("severity")] })
	return write(c, http.StatusOK, outcome(r.issues[:min(len(r.issues), mostIssues)]...).Bytes())
}

var gravity = map[string]int{"error": 0, "warning": 1, "information": 2}

// reviewable finds what is to be validated, and refuses what cannot be.
func (s *Server) reviewable(ctx context.Context, actor access.Actor, r *review, profile string) error {
	needed := map[string]access.Permission{"create": access.Create, "update": access.Update, "delete": access.Delete}
	switch {
	case !actor.May(r.typ, anyPermission...):
		return beyond(r.typ, "r")
	case needed[r.mode] != 0 && !actor.May(r.typ, needed[r.mode]):
		return beyond(r.typ, string(needed[r.mode]))
	case r.id != "" && r.n == nil && r.mode != "delete" && !actor.May(r.typ, access.Read):
		return beyond(r.typ, "r")
	case r.mode != "" && !slices.Contains([]string{"create", "update", "delete", "profile"}, r.mode):
		return fault.New(fault.Value, "mode is one of create, update, delete, profile")
	case r.mode == "profile" && profile == "":
		return fault.New(fault.Required, "mode profile needs the parameter profile: the canonical URL of the profile")
	case (r.mode == "update" || r.mode == "delete") && r.id == "":
		return fault.New(fault.Value, "mode %s is about a resource that is here: call %s/{id}/$validate", r.mode, r.typ)
	case r.mode == "create" && r.id != "":
		return fault.New(fault.Value, "mode create is about a resource that is not here yet: call %s/$validate", r.typ)
	case profile != "" && profileOf(profile) == nil && profile != "http://hl7.org/fhir/StructureDefinition/"+r.typ:
		// FHIR R4 resource-operation-validate.html: what cannot be validated against is an error.
		return fault.New(fault.NotSupported, "this profile is not known here; /fhir/StructureDefinition lists those that are")
	case r.n == nil && r.id == "":
		return fault.New(fault.Required, "send the resource as the body, or in a Parameters resource as the parameter resource")
	case r.n != nil && !r.n.IsObject():
		return fault.New(fault.Structure, "the parameter resource must be a resource")
	case r.n != nil || r.mode == "delete":
		return nil
	}
	stored, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (Stored, error) {
		return s.store.Visible(ctx, tx, actor, r.typ, r.id)
	})
	if err == nil {
		stored, err = redacted(actor, stored)
	}
	if err == nil {
		r.n, err = Parse(stored.Body, documentLimits)
	}
	return err
}

// reviewContent is what can be said of the resource by itself.
func (s *Server) reviewContent(r *review, asked string) {
	c := &checker{warn: true, most: mostIssues}
	c.all(r.n)
	r.add("error", c.issues...)
	r.add("warning", c.warnings...)
	if typ := r.n.Type(); typ != r.typ && resourceShape(typ) != nil {
		r.add("error", fault.Issue{Kind: fault.Structure, Expression: typ + ".resourceType", Text: "this is a " + typ + ", and the address is of a " + r.typ + ": call " + typ + "/$validate"})
		return
	}
	if r.id != "" && r.mode == "update" && r.n.Text("id") != r.id {
		r.add("error", fault.Issue{Kind: fault.Value, Expression: r.typ + ".id", Text: "the id must be that of the address"})
	}
	p := &profileCheck{codes: s.valueSetCodes}
	p.claims(r.n, r.typ)
	claimed := false
	for _, claim := range r.n.Each("meta", "profile") {
		ours := profileOf(claim.Text())
		claimed = claimed || ours != nil && ours == profileOf(asked)
		if ours == nil && !strings.HasPrefix(claim.Text(), coreProfiles) {
			r.tell("a profile that the resource claims is not known here, and was not looked at", r.typ+".meta.profile")
		}
	}
	if ours := profileOf(asked); ours != nil && !claimed {
		p.resource(ours, r.n, r.typ)
	}
	r.add("error", p.issues...)
}

const coreProfiles = "http://hl7.org/fhir/StructureDefinition/"

var errRehearsed = errors.New("rehearsed: nothing is kept")

// rehearse does what the mode names, in a transaction that is then undone: what
// it would be refused for is an issue.
func (s *Server) rehearse(ctx context.Context, actor access.Actor, r *review) error {
	method := map[string]string{"create": http.MethodPost, "update": http.MethodPut, "delete": http.MethodDelete}[r.mode]
	switch row := s.resources[r.typ]; {
	case method == "":
		return nil
	case !row.allows(r.mode):
		r.add("error", fault.Issue{Kind: fault.MethodNotAllowed, Text: "this server does not " + r.mode + " resources of this type"})
		return nil
	case !slices.Contains(writers, actor.Role), !row.isFor(actor.Role):
		r.add("error", fault.Issue{Kind: fault.Forbidden, Text: "the role " + string(actor.Role) + " may not write"})
		return nil
	}
	existing := ""
	_, err := inTenant(ctx, s, actor, func(tx pgx.Tx) (any, error) {
		c := &change{method: method, row: s.resources[r.typ], sent: r.n, path: r.typ, id: r.id}
		if err := s.apply(ctx, tx, actor, []*change{c}); err != nil {
			return nil, err
		}
		if c.existing {
			existing = c.stored.Reference()
		}
		return nil, errRehearsed
	})
	var refused *fault.Error
	switch {
	case errors.As(err, &refused):
		r.add("error", refused.Issues...)
	case !errors.Is(err, errRehearsed):
		return err
	case existing != "":
		r.tell("this is here already, as "+existing+": a create would be answered with that", "")
	}
	return nil
}

package fhir

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// service is an operation that is none on a case (those are in operation.go):
// $everything, $validate, $expand. One row of the table of services gives its
// routes, its OperationDefinition and its place in the CapabilityStatement.
// FHIR R4 operations.html
type service struct {
	name     string
	id       string // of its OperationDefinition, and the last part of base
	base     string // URL of the definition in FHIR R4 or a guide; "" for one of ours alone
	does     string
	types    []string // that have it, at type or instance level
	system   bool
	atType   bool
	instance bool
	affects  bool // changes something: POST only
	recorded bool // writes its AuditEvent itself
	by       []access.Role
	scope    []access.Permission // what it needs of the type in its address, all of them
	takes    []parameter         // Set is not used: the handler reads the Parameters
	bare     string              // the parameter that a body which is no Parameters is taken for
	gives    string              // type of the out parameter "return"; "" where the answer is no resource
	tells    []parameter         // instead of it, the out parameters
	handle   func(s *Server, c echo.Context, actor access.Actor, in *Node) error
}

// services is the table of them.
func services() []service {
	return slices.Concat(everythingServices(), triageServices(), checkServices(), readingServices(), templateServices(), candidateServices(), comparisonServices(), changeServices(), patientSummaryServices(), matterServices(), qualityServices(), measureServices(), feedbackServices(), packServices(), exportServices(),
		validateServices(), terminologyServices())
}

// serviceRoutes are the rows of the table of routes that serve them.
func (s *Server) serviceRoutes() []route {
	var rows []route
	for _, v := range services() {
		for _, at := range v.paths() {
			rows = append(rows, route{http.MethodPost, at, v.by, s.serve(v)})
			if !v.affects {
				rows = append(rows, route{http.MethodGet, at, v.by, s.serve(v)})
			}
		}
	}
	return rows
}

func (v service) paths() []string {
	var at []string
	if v.system {
		at = append(at, "/fhir/$"+v.name)
	}
	for _, typ := range v.types {
		if v.atType {
			at = append(at, "/fhir/"+typ+"/$"+v.name)
		}
		if v.instance {
			at = append(at, "/fhir/"+typ+"/:id/$"+v.name)
		}
	}
	return at
}

// serve reads the input of a service by its row, as a Parameters resource
// whatever form it came in, and hands over to its handler.
func (s *Server) serve(v service) handler {
	return func(c echo.Context, actor access.Actor) error {
		if err := v.needs(c, actor); err != nil {
			return err
		}
		in, err := s.input(c, v)
		if err != nil {
			return err
		}
		if err := v.handle(s, c, actor, in); err != nil {
			return err
		}
		if c.Get("access") == nil && !v.recorded {
			note(c, callOf(c, v, in))
		}
		return nil
	}
}

// callOf is a call of a service as the audit tells it: with its parameters, save
// resources that were sent.
func callOf(c echo.Context, v service, in *Node) auditEntry {
	e := auditEntry{Interaction: "operation", Query: "$" + v.name}
	values := url.Values{}
	for _, p := range in.Get("parameter").Items() {
		if p.Get("resource") == nil {
			values.Add(p.Text("name"), parameterValue(p).Text())
		}
	}
	if len(values) > 0 {
		e.Query += "?" + values.Encode()
	}
	if typ := typeOfPath(c); c.Param("id") != "" {
		e.Target = typ + "/" + c.Param("id")
		if typ == "Patient" {
			e.Patient = e.Target
		}
	}
	return e
}

// typeOfPath is the type in the path of a service: they have no parameter for it.
func typeOfPath(c echo.Context) string {
	typ, _, _ := strings.Cut(strings.TrimPrefix(c.Path(), "/fhir/"), "/")
	return typ
}

// input is what a service is asked for: the Parameters of a POST, or the
// parameters of the address, which may be of primitive types only (FHIR R4
// operations.html#request). What the row does not know is refused.
func (s *Server) input(c echo.Context, v service) (*Node, error) {
	in := Object("resourceType", "Parameters")
	if c.Request().Method == http.MethodPost && c.Request().ContentLength != 0 {
		body, err := s.body(c, fhirTypes...)
		if err != nil {
			return nil, err
		}
		sent, err := Parse(body, documentLimits)
		switch {
		case err != nil && v.bare != "": // for $validate everything else too
			_, err = s.decode(c.Request().Context(), body, "")
			return nil, err
		case err != nil:
			return nil, err
		case sent.Type() == "Parameters":
			in = sent
		case v.bare != "" && sent.Type() != "":
			in.Append("parameter", Object("name", v.bare, "resource", sent))
		default:
			return nil, fault.New(fault.Structure, "the body of $%s must be a FHIR Parameters resource", v.name)
		}
	}
	for name, values := range c.QueryParams() {
		if name == "_format" || name == "_pretty" {
			continue
		}
		row, ok := rowOf(v.takes, name)
		if !ok || row.Type == "" || row.Type[0] < 'a' {
			return nil, fault.New(fault.Value, "$%s knows no parameter of this name in its address; %s", v.name, allowed(v.takes))
		}
		for _, value := range values {
			if value == "" {
				return nil, fault.New(fault.Value, "the parameter %s of $%s has no value", name, v.name)
			}
			in.Append("parameter", Object("name", name, valueElements(row.Type)[0], value))
		}
	}
	return in, checkInput(v, in)
}

func checkInput(v service, in *Node) error {
	count := map[string]int{}
	for i, p := range in.Get("parameter").Items() {
		at := fmt.Sprintf("Parameters.parameter[%d]", i)
		row, ok := rowOf(v.takes, p.Text("name"))
		if !ok {
			return fault.At(fault.Value, at+".name", "$%s knows no parameter of this name; %s", v.name, allowed(v.takes))
		}
		if count[row.Name]++; count[row.Name] > 1 && !row.Many {
			return fault.At(fault.Value, at, "$%s takes the parameter %s once only", v.name, row.Name)
		}
	}
	for _, row := range v.takes {
		if count[row.Name] < row.Min {
			return fault.Lacks("Parameters.parameter", "$"+v.name, row.Name, row.Doc)
		}
	}
	return nil
}

// given is the value of a parameter, nil when it was not given: the resource,
// or what stands in value[x].
func given(in *Node, name string) *Node {
	if all := allGiven(in, name); len(all) > 0 {
		return all[0]
	}
	return nil
}

// allGiven are the values of a parameter that repeats.
func allGiven(in *Node, name string) []*Node {
	var values []*Node
	for _, p := range in.Get("parameter").Items() {
		if v := parameterValue(p); v != nil && p.Text("name") == name {
			values = append(values, v)
		}
	}
	return values
}

// parameterValue is what one parameter of a Parameters resource has: a resource,
// or a value of any type.
func parameterValue(p *Node) *Node {
	for _, m := range p.members {
		if m.name == "resource" || strings.HasPrefix(m.name, "value") {
			return m.value
		}
	}
	return nil
}

// serviceDefinition is the OperationDefinition of a row.
func serviceDefinition(v service) *Node {
	n := conformance("OperationDefinition", v.id, "$"+v.name, v.does)
	n.Set("kind", "operation")
	n.Set("affectsState", v.affects)
	n.Set("code", v.name)
	n.Set("base", v.base)
	n.Set("resource", v.types)
	n.Set("system", v.system)
	n.Set("type", v.atType)
	n.Set("instance", v.instance)
	rows := append(parameterDefinitions("in", v.takes), parameterDefinitions("out", v.tells)...)
	if v.gives != "" {
		rows = append(rows, Object("name", "return", "use", "out", "min", 1, "max", "1", "type", v.gives))
	}
	n.Set("parameter", rows)
	return n
}

// serviceCapabilities are the services of a type, "" for the system, as the
// CapabilityStatement lists them.
func serviceCapabilities(typ string) []*Node {
	var rows []*Node
	for _, v := range services() {
		here := typ == "" && v.system || typ != "" && slices.Contains(v.types, typ)
		if here {
			rows = append(rows, Object("name", v.name, "definition", Canonical+"/OperationDefinition/"+v.id, "documentation", v.does))
		}
	}
	return rows
}

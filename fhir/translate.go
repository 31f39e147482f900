package fhir

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/workflow"
)

func translateService(code, coding, concept parameter) service {
	return service{
		name: "translate", id: "concept-map-translate", base: coreOperations + "ConceptMap-translate", types: []string{"ConceptMap"}, atType: true, instance: true, by: anybody, scope: reading,
		does: "What a code is in another code system, by our maps.",
		takes: []parameter{
			{Name: "url", Type: "uri", Doc: "The map, unless it is in the address. Without either all maps are tried."},
			{Name: "conceptMapVersion", Type: "string", Doc: "Only in this version."},
			code, {Name: "system", Type: "uri", Doc: "The code system of the code."},
			{Name: "source", Type: "uri", Doc: "Only maps from this value set."}, coding, concept,
			{Name: "target", Type: "uri", Doc: "Only maps to this value set."},
			{Name: "targetsystem", Type: "uri", Doc: "Only into this code system."},
			{Name: "reverse", Type: "boolean", Doc: "From the target of the maps to their source."},
		},
		tells: []parameter{
			{Name: "result", Type: "boolean", Min: 1, Doc: "True if there is a match that is none of unmatched and disjoint."},
			{Name: "message", Type: "string", Doc: "Why there is none."},
			{Name: "match", Many: true, Doc: "A translation.", Parts: []parameter{
				{Name: "equivalence", Type: "code", Doc: "How the meaning of the target is to that of the source."},
				{Name: "concept", Type: "Coding", Doc: "The translation."},
				{Name: "source", Type: "uri", Doc: "The map."},
			}},
		},
		handle: (*Server).translate,
	}
}

// translate is ConceptMap/$translate, FHIR R4 conceptmap-operation-translate.html.
func (s *Server) translate(c echo.Context, _ access.Actor, in *Node) error {
	asked, err := codingsGiven(in, "system")
	if err != nil {
		return err
	}
	if asked[0].System == "" {
		return fault.New(fault.Required, "$translate needs the system of the code: in system, or in the coding")
	}
	maps := conceptMaps()
	if c.Param("id") != "" || given(in, "url") != nil {
		one, err := s.published(c, in, "ConceptMap", "url", "conceptMapVersion")
		if err != nil {
			return err
		}
		maps = []*Node{one}
	}
	reverse := given(in, "reverse").Text() == "true"
	var matches []*Node
	for _, m := range maps {
		from, to := m.Text("sourceUri"), m.Text("targetUri")
		if reverse {
			from, to = to, from
		}
		if wants(in, "source", from) && wants(in, "target", to) {
			matches = append(matches, translations(m, asked, given(in, "targetsystem").Text(), reverse)...)
		}
	}
	out := parametersOf("result", toNode(len(matches) > 0))
	if len(matches) == 0 {
		out = parametersOf("result", toNode(false), "message", String("no map that is published here has a translation of this code"))
	}
	for _, match := range matches {
		out.Append("parameter", match)
	}
	return write(c, http.StatusOK, out.Bytes())
}

// wants tells whether a parameter leaves this value; one that is not given does.
func wants(in *Node, name, value string) bool {
	asked, _, _ := strings.Cut(given(in, name).Text(), "|")
	return asked == "" || asked == value
}

// opposite is the equivalence, read the other way round.
var opposite = map[string]string{"wider": "narrower", "narrower": "wider", "subsumes": "specializes", "specializes": "subsumes"}

// translations are the matches of a map, as parts of the answer.
func translations(m *Node, asked []workflow.Coding, targetSystem string, reverse bool) []*Node {
	var found []*Node
	add := func(equivalence string, to workflow.Coding) {
		if reverse && opposite[equivalence] != "" {
			equivalence = opposite[equivalence]
		}
		if targetSystem == "" || targetSystem == to.System {
			found = append(found, Object("name", "match", "part", []*Node{
				Object("name", "equivalence", "valueCode", equivalence),
				Object("name", "concept", "valueCoding", coding(to.System, to.Code, to.Display)),
				Object("name", "source", "valueUri", m.Text("url")),
			}))
		}
	}
	for _, g := range m.Get("group").Items() {
		for _, e := range g.Get("element").Items() {
			for _, t := range e.Get("target").Items() {
				source := workflow.Coding{System: g.Text("source"), Code: e.Text("code"), Display: e.Text("display")}
				target := workflow.Coding{System: g.Text("target"), Code: t.Text("code"), Display: t.Text("display")}
				if reverse {
					source, target = target, source
				}
				if _, ok := ValueSet(asked).find(source); ok {
					add(t.Text("equivalence"), target)
				}
			}
		}
	}
	return found
}

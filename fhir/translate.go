package fhir

import (
	"net/http"
	"slices"
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
			{Name: "dependency", Many: true, Doc: "What else the translation depends on (dependsOn in the map).", Parts: []parameter{
				{Name: "element", Type: "uri", Doc: "The property of dependsOn."},
				{Name: "concept", Type: "CodeableConcept", Doc: "Its value, whose system may be left out."},
			}},
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
	known := dependencies(in)
	var matches []*Node
	var open []string
	for _, m := range maps {
		from, to := m.Text("sourceUri"), m.Text("targetUri")
		if reverse {
			from, to = to, from
		}
		if wants(in, "source", from) && wants(in, "target", to) {
			found, needs := translations(m, asked, given(in, "targetsystem").Text(), reverse, known)
			matches, open = append(matches, found...), append(open, needs...)
		}
	}
	translated := slices.ContainsFunc(matches, func(m *Node) bool { return !slices.Contains(noTranslation, m.Text("part", "valueCode")) })
	out := parametersOf("result", toNode(translated))
	switch slices.Sort(open); {
	case !translated && len(open) > 0:
		out = parametersOf("result", toNode(false), "message", String("the translation depends on more than the code; give as dependency: "+strings.Join(slices.Compact(open), ", ")))
	case !translated:
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

// noTranslation are the equivalences of what is no translation (FHIR R4
// conceptmap-operation-translate.html: result).
var noTranslation = []string{"unmatched", "disjoint"}

// dependencies are what the client says besides the code, by the property that it
// is of.
func dependencies(in *Node) map[string][]workflow.Coding {
	known := map[string][]workflow.Coding{}
	for _, p := range in.Get("parameter").Items() {
		if p.Text("name") != "dependency" {
			continue
		}
		var element string
		var codes []workflow.Coding
		for _, part := range p.Get("part").Items() {
			v := parameterValue(part)
			switch part.Text("name") {
			case "element":
				element = v.Text()
			case "concept":
				for _, c := range v.Each("coding") {
					codes = append(codes, workflow.Coding{System: c.Text("system"), Code: c.Text("code")})
				}
			}
		}
		known[element] = append(known[element], codes...)
	}
	return known
}

// holds tells whether the target of a map is one with these dependencies. What is
// not said at all is named.
func holds(target *Node, known map[string][]workflow.Coding) (ok bool, open []string) {
	ok = true
	for _, d := range target.Get("dependsOn").Items() {
		codes, said := known[d.Text("property")]
		if !said {
			open = append(open, d.Text("property"))
		}
		ok = ok && slices.ContainsFunc(codes, func(c workflow.Coding) bool {
			return c.Code == d.Text("value") && (c.System == "" || c.System == d.Text("system"))
		})
	}
	return ok, open
}

// translations are the matches of a map, as parts of the answer, and what those
// depend on of which nothing was said. Backwards nothing needs to be
// said.
func translations(m *Node, asked []workflow.Coding, targetSystem string, reverse bool, known map[string][]workflow.Coding) (found []*Node, open []string) {
	add := func(equivalence string, to workflow.Coding) {
		if reverse && opposite[equivalence] != "" {
			equivalence = opposite[equivalence]
		}
		if targetSystem == "" || targetSystem == to.System {
			parts := []*Node{Object("name", "equivalence", "valueCode", equivalence)}
			if to.Code != "" {
				parts = append(parts, Object("name", "concept", "valueCoding", coding(to.System, to.Code, to.Display)))
			}
			found = append(found, Object("name", "match", "part", append(parts, Object("name", "source", "valueUri", m.Text("url")))))
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
				if _, ok := ValueSet(asked).find(source); !ok {
					continue
				}
				fits, needs := holds(t, known)
				switch {
				case fits || reverse:
					add(t.Text("equivalence"), target)
				default:
					open = append(open, needs...)
				}
			}
		}
	}
	return found, open
}

package fhir

import (
	"regexp"
	"strings"

	"github.com/overread/overread/internal/fault"
)

var likeAName = regexp.MustCompile(`^_?[A-Za-z][A-Za-z0-9_]{0,63}$`)

// unknown says what to do about a name that the type does not have. A name that does
// not look like one is not repeated: it may be anything.
func (c *checker) unknown(name string, s *shape) {
	if choices := s.choices[name]; choices != nil {
		c.add(fault.Structure, "%s needs its type in its name: write %s", name, choices[0]+orMore(choices))
		return
	}
	for known := range s.elements {
		if strings.EqualFold(known, name) {
			c.addOf(fault.Structure, known, "names are written in exactly one case: write %s", known)
			return
		}
	}
	const remedy = "%s does not have %s in FHIR R4: leave it out, or use an extension"
	if !likeAName.MatchString(name) {
		c.add(fault.Structure, remedy, s.name, "an element with this name")
		return
	}
	c.addOf(fault.Structure, name, remedy, s.name, name)
}

func orMore(choices []string) string {
	if len(choices) == 1 {
		return ""
	}
	return " or another of its types"
}

// choice holds a value[x] to one type.
func (c *checker) choice(before []member, name string, e *element, s *shape) {
	name = strings.TrimPrefix(name, "_")
	for _, m := range before {
		other := s.elements[m.name]
		if other != nil && other.choice && other.name == e.name && strings.TrimPrefix(m.name, "_") != name {
			c.add(fault.Structure, "%s[x] may have one type only: keep one", e.name)
			return
		}
	}
}

package fhir

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/overread/overread/internal/fault"
)

// asking is where a question about one parameter is understood: whose it is,
// of which type and parameter, and how references are known here.
type asking struct {
	space keySpace
	known lookup
}

// modifiers are those that parameters of each kind have, besides :missing and,
// of references, :[type]. FHIR R4 search.html#modifiers
var modifiers = map[string][]string{
	"string":    {"", "exact", "contains"},
	"token":     {"", "not", "text", "of-type", "above", "below"},
	"reference": {"", "identifier"},
	"uri":       {"", "above", "below"},
	"date":      {""},
	"number":    {""},
	"quantity":  {""},
	"composite": {""},
}

// leaf understands one parameter of the type itself.
func (q *query) leaf(p searchParam, modifier, value string, known lookup) (criterion, error) {
	a := asking{keySpace{q.tenant, q.row.name, p.key}, known}
	switch {
	case modifier == "missing" && p.kind != "composite":
		return a.missing(p, value)
	case slices.Contains(modifiers[p.kind], modifier):
	case p.kind == "reference" && resourceShape(modifier) != nil:
	default:
		return criterion{}, fault.New(fault.NotSupported, "the search parameter %s does not have this modifier here", p.name)
	}
	return a.question(p, modifier, value)
}

// question understands what is asked of a parameter, or of a part of one.
func (a asking) question(p searchParam, modifier, value string) (c criterion, err error) {
	c = criterion{param: p.key, rows: []string{a.space.param}}
	switch p.kind {
	case "date":
		c.spans, err = spans(value)
	case "string":
		c.texts, err = texts(p, modifier, value)
	case "token":
		err = a.tokenQuestion(&c, p, modifier, value)
	case "reference":
		c.keys, c.ids, err = a.referenceQuestion(p, modifier, value)
	case "uri":
		err = a.uriQuestion(&c, modifier, value)
	case "number", "quantity":
		c.amounts, err = amounts(p, value)
	case "composite":
		return a.compositeQuestion(p, value)
	}
	return c, err
}

// missing is :missing=true or false, FHIR R4 search.html#modifiers.
func (a asking) missing(p searchParam, value string) (criterion, error) {
	if value != "true" && value != "false" {
		return criterion{}, fault.New(fault.Value, "%s:missing must be true or false", p.name)
	}
	return criterion{param: p.key, not: value == "true", keys: []uuid.UUID{a.space.key(formPresent)}}, nil
}

func ids(value string) ([]string, error) {
	list := alternatives(value)
	for _, id := range list {
		if !idPattern.MatchString(id) {
			return nil, fault.New(fault.Value, "_id must be one or more ids, separated by commas")
		}
	}
	return list, nil
}

// prefixes are those of FHIR R4 search.html#prefix.
var prefixes = []string{"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"}

func cutPrefix(value string) (prefix, rest string) {
	if len(value) > 2 && slices.Contains(prefixes, value[:2]) {
		return value[:2], value[2:]
	}
	return "eq", value
}

func spans(value string) ([]span, error) {
	var list []span
	for _, v := range alternatives(value) {
		prefix, v := cutPrefix(v)
		i, ok := parseInterval(strings.ReplaceAll(v, " ", "+")) // a + that was not escaped
		if !ok {
			return nil, fault.New(fault.Value, "a date must look like 2026, 2026-01, 2026-01-31 or 2026-01-31T09:30:00Z, after an optional prefix: %s", strings.Join(prefixes, ", "))
		}
		list = append(list, span{prefix, i}.approximate())
	}
	return list, nil
}

// amounts are number, number|system|code and number||code, FHIR R4
// search.html#quantity.
func amounts(p searchParam, value string) ([]amount, error) {
	var list []amount
	for _, v := range alternatives(value) {
		prefix, v := cutPrefix(v)
		number, unit, hasUnit := cutAt(v, '|')
		d, ok := parseDecimal(strings.ReplaceAll(number, " ", "+"))
		if !ok {
			return nil, fault.New(fault.Value, "%s must be a number like 5.4, -5 or 5.40e-3, after an optional prefix: %s", p.name, strings.Join(prefixes, ", "))
		}
		a := amount{prefix: prefix, value: d, unitNeeded: hasUnit}.around()
		if hasUnit {
			system, code, split := cutUnescaped(unit)
			if p.kind == "number" || !split || system == "" && code == "" {
				return nil, fault.New(fault.Value, "%s: after the number come system and code, as 5.4|http://unitsofmeasure.org|mg, or the unit, as 5.4||mg; a number has neither", p.name)
			}
			a.system, a.code = system, code
		}
		list = append(list, a)
	}
	return list, nil
}

// textMatch is a text asked for, folded where the text it is compared with is.
type textMatch struct{ modifier, text string }

func texts(p searchParam, modifier, value string) ([]textMatch, error) {
	var list []textMatch
	for _, v := range alternatives(value) {
		v = unescape(v)
		if modifier != "exact" {
			v = fold(v)
		}
		if v == "" {
			return nil, fault.New(fault.Value, "a text to search for is empty, or only punctuation")
		}
		if p.key == phonetic {
			if modifier != "" {
				return nil, fault.New(fault.NotSupported, "%s does not have this modifier", p.name)
			}
			for _, word := range words(v) {
				list = append(list, textMatch{"is", soundOf(word)})
			}
			continue
		}
		list = append(list, textMatch{modifier, v})
	}
	return list, nil
}

// uriQuestion: a URL is found by itself, with :below by the beginning of it and
// with :above by what goes on after it (FHIR R4 search.html#uri).
func (a asking) uriQuestion(c *criterion, modifier, value string) error {
	for _, v := range alternatives(value) {
		v = unescape(v)
		if modifier == "" {
			c.keys = append(c.keys, a.space.key(formURI, v))
			continue
		}
		if !strings.Contains(v, "://") || len(v) > longestFold {
			return fault.New(fault.Value, ":above and :below are for URLs of up to %d characters, not for URNs such as OIDs", longestFold)
		}
		c.texts = append(c.texts, textMatch{modifier, v})
	}
	return nil
}

// plain tells whether nothing that the parameter looks at has a system that
// could be asked for.
func (p searchParam) plain() bool {
	return !slices.ContainsFunc(p.paths, func(path valuePath) bool {
		return slices.Contains([]string{"CodeableConcept", "Coding", "Identifier"}, path.typ)
	})
}

func (p searchParam) leadsTo(typ string) bool {
	return slices.ContainsFunc(p.paths, func(path valuePath) bool { return path.typ == typ })
}

func (a asking) tokenQuestion(c *criterion, p searchParam, modifier, value string) error {
	switch modifier {
	case "text":
		if a.space.typ == auditEventType {
			return fault.New(fault.NotSupported, "%s of %s does not have this modifier: search by its codes", p.name, a.space.typ)
		}
		var err error
		c.texts, err = texts(p, "contains", value)
		return err
	case "of-type":
		return a.ofType(c, p, value)
	case "above", "below":
		return fault.New(fault.NotSupported, "%s:%s needs a code system with a hierarchy, and none of ours has one", p.name, modifier)
	}
	c.not = modifier == "not"
	for _, v := range alternatives(value) {
		keys, err := a.token(p, v)
		if err != nil {
			return err
		}
		c.keys = append(c.keys, keys...)
	}
	return nil
}

// token are the keys of code, system|code, |code and system|, FHIR R4
// search.html#token.
func (a asking) token(p searchParam, value string) ([]uuid.UUID, error) {
	system, code, split := cutUnescaped(value)
	code = bareUID(code)
	switch {
	case system == "" && code == "":
		return nil, fault.New(fault.Value, "a token must be a code, system|code, |code or system|")
	case p.leadsTo("ContactPoint"), p.plain() && p.leadsTo("String"):
		code = strings.ToLower(code)
	}
	switch {
	case split && system != "" && p.leadsTo("ContactPoint"):
		return nil, fault.New(fault.Value, "%s has no system: give the number or address alone", p.name)
	case split && code == "":
		return []uuid.UUID{a.space.key(formSystem, system)}, nil
	case split && system == "" && p.plain():
		return []uuid.UUID{a.space.key(formCode, code)}, nil
	case split:
		if (p.leadsTo("Coding") || p.leadsTo("CodeableConcept")) && anyCase(system) {
			code = strings.ToLower(code)
		}
		return []uuid.UUID{a.space.key(formSystemCode, system, code)}, nil
	case p.leadsTo("Coding"), p.leadsTo("CodeableConcept"):
		return []uuid.UUID{a.space.key(formCode, code), a.space.key(formAnyCase, strings.ToLower(code))}, nil
	}
	return []uuid.UUID{a.space.key(formCode, code)}, nil
}

// ofType is :of-type=system|code|value, the system and code of Identifier.type.
func (a asking) ofType(c *criterion, p searchParam, value string) error {
	if !p.leadsTo("Identifier") {
		return fault.New(fault.NotSupported, "%s does not have this modifier: it is for identifiers", p.name)
	}
	for _, v := range alternatives(value) {
		system, rest, one := cutAt(v, '|')
		code, identifier, two := cutAt(rest, '|')
		if !one || !two || system == "" || code == "" || identifier == "" {
			return fault.New(fault.Value, "%s:of-type must be system|code|value: those of the identifier's type, and its value", p.name)
		}
		c.keys = append(c.keys, a.space.key(formOfType, unescape(system), unescape(code), bareUID(unescape(identifier))))
	}
	return nil
}

// referenceQuestion are the keys of id, Type/id, a URL, or with :identifier of
// a logical reference, FHIR R4 search.html#reference; and the ids of what is
// meant besides.
func (a asking) referenceQuestion(p searchParam, modifier, value string) (keys []uuid.UUID, ids []string, err error) {
	for _, v := range alternatives(value) {
		if modifier == "identifier" {
			key, err := a.identifier(v)
			if err != nil {
				return nil, nil, err
			}
			keys = append(keys, key)
			continue
		}
		v = unescape(v)
		switch {
		case v == "":
			return nil, nil, fault.New(fault.Value, "a reference must be an id, Type/id or a URL")
		case modifier != "" && !strings.Contains(v, "/"):
			v = modifier + "/" + v
		case modifier != "" && parseReference(v).typ != modifier:
			return nil, nil, fault.New(fault.Value, "%s:%s is asked for a resource of another type", p.name, modifier)
		}
		ways, others := a.known(a.space, v)
		ids = append(ids, others...)
		if !strings.ContainsAny(v, "/:") {
			keys = append(keys, a.space.key(formID, v))
			continue
		}
		for _, way := range ways {
			keys = append(keys, a.space.key(formReference, way))
		}
	}
	return keys, ids, nil
}

func (a asking) identifier(value string) (uuid.UUID, error) {
	system, code, split := cutUnescaped(value)
	code = bareUID(code)
	switch {
	case code == "":
		return uuid.UUID{}, fault.New(fault.Value, "an identifier must be a value, system|value or |value")
	case split:
		return a.space.key(formIdentifier, system, code), nil
	}
	return a.space.key(formIdentifier, code), nil
}

// alternatives splits at commas that are not escaped, FHIR R4
// search.html#escaping. What it returns is still escaped.
func alternatives(value string) []string {
	var list []string
	for {
		i := indexUnescaped(value, ',')
		if i < 0 {
			return append(list, value)
		}
		list, value = append(list, value[:i]), value[i+1:]
	}
}

// cutUnescaped cuts a token at its first | that is not escaped; without one,
// all of it is the code.
func cutUnescaped(value string) (system, code string, split bool) {
	system, code, split = cutAt(value, '|')
	if !split {
		return "", unescape(value), false
	}
	return unescape(system), unescape(code), true
}

// cutAt cuts at the first b that is not escaped; the parts are still escaped.
func cutAt(value string, b byte) (before, after string, found bool) {
	if i := indexUnescaped(value, b); i >= 0 {
		return value[:i], value[i+1:], true
	}
	return value, "", false
}

// indexUnescaped is where b first stands without a backslash before it, or -1.
func indexUnescaped(value string, b byte) int {
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case b:
			return i
		}
	}
	return -1
}

var unescaper = strings.NewReplacer(`\\`, `\`, `\,`, `,`, `\|`, `|`, `\$`, `$`)

func unescape(value string) string { return unescaper.Replace(value) }

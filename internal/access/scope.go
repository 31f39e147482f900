package access

import (
	"cmp"
	"errors"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Permission is one letter of a SMART v2 scope, SMART App Launch 2.2
// scopes-and-launch-context.html.
type Permission byte

// The permissions, in the order in which a scope has them. Update is for patch
// too, and for the update that creates; Read for the versions of one resource,
// Search for those of a type.
const (
	Create Permission = 'c'
	Read   Permission = 'r'
	Update Permission = 'u'
	Delete Permission = 'd'
	Search Permission = 's'
)

const permissions = "cruds"

// An Area is what the letters of a scope hold for.
type Area struct {
	Level string // system, user or patient
	Type  string // or "*" for all of them
	Query string // only what meets it, in its one form; "" for all of the type
}

// Grant is what a token may do besides what its role may: letters of cruds in
// their order, by area.
type Grant map[Area]string

var (
	scopePattern = regexp.MustCompile(`^(system|user|patient)/(\*|[A-Z][A-Za-z]{0,63})\.([a-z]+|\*)(?:\?(.*))?$`)
	paramPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z-]{0,63}$`)
)

// earlier are the permissions of SMART v1.
var earlier = map[string]string{"read": "rs", "write": "cud", "*": permissions}

// The errors of scopes that are not granted here.
var (
	ErrScope = errors.New("scopes are written system/Type.cruds or system/*.cruds, with the letters in this order, and may be restricted by search parameters: system/Observation.rs?category=laboratory; those of people (patient/, user/) are for tokens of people")
	ErrQuery = errors.New("the restriction of a scope is a query of one type by search parameters that stand alone, system/Observation.rs?category=laboratory: no modifiers (:), no chains (.), none that begins with _, each with a value, ten at most, and no restriction of * or of a scope of SMART v1")
)

// maxRestrictions bounds the parameters of one restriction.
const maxRestrictions = 10

// ParseGrant reads scopes, separated by spaces. Those of SMART v1 (read, write,
// *) mean their letters. One that cannot be read makes all of them an ErrScope or
// ErrQuery. Whether the types have the parameters of restrictions is asked
// elsewhere (fhir.CheckGrant).
func ParseGrant(text string) (Grant, error) {
	g := Grant{}
	for scope := range strings.FieldsSeq(text) {
		found := scopePattern.FindStringSubmatch(scope)
		if found == nil {
			return nil, ErrScope
		}
		letters := found[3]
		v1, old := earlier[letters]
		if old {
			letters = v1
		}
		if !inOrder(letters) {
			return nil, ErrScope
		}
		area := Area{Level: found[1], Type: found[2]}
		if strings.Contains(scope, "?") {
			var ok bool
			if area.Query, ok = canonicalQuery(found[4]); !ok || old || area.Type == "*" {
				return nil, ErrQuery
			}
		}
		g.add(area, letters)
	}
	if len(g) == 0 {
		return nil, ErrScope
	}
	return g, nil
}

// ParseSystemGrant is ParseGrant for systems, which have no patient in context.
func ParseSystemGrant(text string) (Grant, error) {
	g, err := ParseGrant(text)
	for area := range g {
		if area.Level != "system" {
			return nil, ErrScope
		}
	}
	return g, err
}

// canonicalQuery is the one form of a restriction: its parameters sorted, each
// once, and nothing escaped that need not be.
func canonicalQuery(text string) (string, bool) {
	values, err := url.ParseQuery(strings.ReplaceAll(text, "+", "%2B")) // a space would have ended the scope
	if err != nil || len(values) == 0 {
		return "", false
	}
	var pairs []string
	for name, all := range values {
		for _, value := range all {
			if !paramPattern.MatchString(name) || strings.Trim(value, ",| ") == "" {
				return "", false
			}
			pairs = append(pairs, name+"="+plain.Replace(url.QueryEscape(value)))
		}
	}
	return joined(pairs)
}

var plain = strings.NewReplacer("+", "%20", "%7C", "|", "%3A", ":", "%2F", "/", "%2C", ",")

func joined(pairs []string) (string, bool) {
	slices.Sort(pairs)
	pairs = slices.Compact(pairs)
	return strings.Join(pairs, "&"), len(pairs) <= maxRestrictions
}

// inOrder tells whether letters are some of cruds, each once and in its order.
func inOrder(letters string) bool {
	last := -1
	for _, letter := range letters {
		at := strings.IndexRune(permissions, letter)
		if at <= last {
			return false
		}
		last = at
	}
	return last >= 0
}

func (g Grant) add(area Area, letters string) {
	if merged := keep(func(l rune) bool { return strings.ContainsRune(letters+g[area], l) }); merged != "" {
		g[area] = merged
	}
}

// keep are those of cruds that fulfil a condition.
func keep(wanted func(rune) bool) string {
	return strings.Map(func(l rune) rune {
		if wanted(l) {
			return l
		}
		return -1
	}, permissions)
}

// Within is what of an asked grant this one allows: a server may grant less than
// is asked for. Where both are restricted, both restrictions hold.
func (g Grant) Within(asked Grant) Grant {
	both := Grant{}
	for want, letters := range asked {
		for registered, allowed := range g {
			narrower := want
			switch {
			case want.Level != registered.Level:
				continue
			case want.Type == registered.Type, registered.Type == "*":
			case want.Type == "*":
				narrower.Type = registered.Type
			default:
				continue
			}
			var ok bool
			if narrower.Query, ok = joined(append(pairsOf(want.Query), pairsOf(registered.Query)...)); ok {
				both.add(narrower, keep(func(l rune) bool { return strings.ContainsRune(letters, l) && strings.ContainsRune(allowed, l) }))
			}
		}
	}
	return both
}

func pairsOf(query string) []string {
	if query == "" {
		return nil
	}
	return strings.Split(query, "&")
}

// covers tells whether an area has the permission for the type, all of it or some.
func (g Grant) covers(area Area, do Permission, typ string) bool {
	return (area.Type == typ || area.Type == "*") && strings.IndexByte(g[area], byte(do)) >= 0
}

// String is the grant as the scopes of a token, always in the same order.
func (g Grant) String() string {
	scopes := make([]string, 0, len(g))
	for area, letters := range g {
		scope := area.Level + "/" + area.Type + "." + letters
		if area.Query != "" {
			scope += "?" + area.Query
		}
		scopes = append(scopes, scope)
	}
	slices.Sort(scopes)
	return strings.Join(scopes, " ")
}

// Areas are the areas of the grant, in the order of their names.
func (g Grant) Areas() []Area {
	return slices.SortedFunc(maps.Keys(g), func(a, b Area) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Query, b.Query), cmp.Compare(a.Level, b.Level))
	})
}

// Limited tells whether scopes bound what the actor may do. Those of tokens
// that the operator made without scopes do not: they have all scopes of their role.
func (a Actor) Limited() bool { return a.Grant != nil }

// May tells whether the scopes of the actor's token allow one of these with
// resources of the type, be it with some of them only. What the role allows is
// asked elsewhere.
func (a Actor) May(typ string, any ...Permission) bool {
	if !a.Limited() {
		return true
	}
	for area := range a.Grant {
		if a.inContext(area) && slices.ContainsFunc(any, func(do Permission) bool { return a.Grant.covers(area, do, typ) }) {
			return true
		}
	}
	return false
}

// inContext tells whether a scope means anything: one for a patient does not
// where the token has none.
func (a Actor) inContext(area Area) bool { return area.Level != "patient" || a.Patient != "" }

// Restrictions are by type the queries of which a resource must meet one, for the
// actor to do any of these with it. A type that is not there is open as a whole,
// or not at all (May).
func (a Actor) Restrictions(any ...Permission) map[string][]string {
	var queries map[string][]string
	for _, area := range a.Grant.Areas() {
		if area.Query == "" || !a.inContext(area) || a.whole(area.Type, any) {
			continue
		}
		if slices.ContainsFunc(any, func(do Permission) bool { return a.Grant.covers(area, do, area.Type) }) {
			if queries == nil {
				queries = map[string][]string{}
			}
			queries[area.Type] = append(queries[area.Type], area.Query)
		}
	}
	return queries
}

// whole tells whether a scope without restriction has one of these for the type.
func (a Actor) whole(typ string, any []Permission) bool {
	for area := range a.Grant {
		if area.Query == "" && a.inContext(area) && slices.ContainsFunc(any, func(do Permission) bool { return a.Grant.covers(area, do, typ) }) {
			return true
		}
	}
	return false
}

// Restricted tells whether the actor may see but some of a type: by the
// restriction of a scope, or because all is of one patient.
func (a Actor) Restricted() bool {
	if a.Patient != "" {
		return true
	}
	for area := range a.Grant {
		if area.Query != "" {
			return true
		}
	}
	return false
}

// Scopes are the scopes of the actor's token as text, "" where nothing bounds it.
func (a Actor) Scopes() string { return a.Grant.String() }

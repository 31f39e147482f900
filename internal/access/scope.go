package access

import (
	"errors"
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

// Grant is what a token may do besides what its role may: by type, or "*" for
// all of them, letters of cruds in their order.
type Grant map[string]string

var scopePattern = regexp.MustCompile(`^system/(\*|[A-Z][A-Za-z]{0,63})\.([a-z]+|\*)$`)

// earlier are the permissions of SMART v1.
var earlier = map[string]string{"read": "rs", "write": "cud", "*": permissions}

// ErrScope is the error of a scope that is none that is granted here.
var ErrScope = errors.New("scopes are written system/Type.cruds or system/*.cruds, with the letters in this order; restrictions by a query (?) and the scopes of people (patient/, user/) are not granted here")

// ParseGrant reads scopes, separated by spaces. Those of SMART v1 (read, write,
// *) mean their letters. One that cannot be read makes all of them an ErrScope.
func ParseGrant(text string) (Grant, error) {
	g := Grant{}
	for scope := range strings.FieldsSeq(text) {
		found := scopePattern.FindStringSubmatch(scope)
		if found == nil {
			return nil, ErrScope
		}
		letters := found[2]
		if v1, ok := earlier[letters]; ok {
			letters = v1
		}
		if !inOrder(letters) {
			return nil, ErrScope
		}
		g.add(found[1], letters)
	}
	if len(g) == 0 {
		return nil, ErrScope
	}
	return g, nil
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

func (g Grant) add(typ, letters string) {
	if merged := keep(func(l rune) bool { return strings.ContainsRune(letters+g[typ], l) }); merged != "" {
		g[typ] = merged
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
// is asked for.
func (g Grant) Within(asked Grant) Grant {
	both := Grant{}
	for typ, letters := range asked {
		for registered, allowed := range g {
			narrower := typ
			switch {
			case typ == registered, registered == "*":
			case typ == "*":
				narrower = registered
			default:
				continue
			}
			both.add(narrower, keep(func(l rune) bool { return strings.ContainsRune(letters, l) && strings.ContainsRune(allowed, l) }))
		}
	}
	return both
}

// allows tells whether the grant has the permission for the type.
func (g Grant) allows(do Permission, typ string) bool {
	return strings.IndexByte(g[typ], byte(do)) >= 0 || strings.IndexByte(g["*"], byte(do)) >= 0
}

// String is the grant as the scopes of a token, always in the same order.
func (g Grant) String() string {
	scopes := make([]string, 0, len(g))
	for typ, letters := range g {
		scopes = append(scopes, "system/"+typ+"."+letters)
	}
	slices.Sort(scopes)
	return strings.Join(scopes, " ")
}

// Limited tells whether scopes bound what the actor may do. Those of tokens
// that the operator made do not: they have all scopes of their role.
func (a Actor) Limited() bool { return a.Grant != nil }

// May tells whether the scopes of the actor's token allow one of these with
// resources of the type. What the role allows is asked elsewhere.
func (a Actor) May(typ string, any ...Permission) bool {
	return !a.Limited() || slices.ContainsFunc(any, func(do Permission) bool { return a.Grant.allows(do, typ) })
}

// Scopes are the scopes of the actor's token as text, "" where nothing bounds it.
func (a Actor) Scopes() string { return a.Grant.String() }

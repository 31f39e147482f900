package fhir

import (
	"regexp"
	"slices"
	"strings"
	"time"
)

// What the rules about several elements (invariant.go, profile.go) ask of an
// object. They read as the FHIRPath functions that they stand for.

var programName = regexp.MustCompile(`^[A-Z][A-Za-z0-9_]{0,254}$`)

// has is exists(): the element has a value, or as a primitive an extension.
func has(n *Node, name string) bool {
	return n != nil && slices.ContainsFunc(n.members, func(m member) bool { return strings.TrimPrefix(m.name, "_") == name })
}

// hasChoice is exists() of an element of several types: value[x].
func hasChoice(n *Node, name string) bool {
	return n != nil && slices.ContainsFunc(n.members, func(m member) bool {
		rest, ok := strings.CutPrefix(strings.TrimPrefix(m.name, "_"), name)
		return ok && rest != "" && rest[0] >= 'A' && rest[0] <= 'Z'
	})
}

// none is empty() of a path; its last name may be a primitive with extensions only.
func none(n *Node, path ...string) bool {
	last := len(path) - 1
	return all(n, path[:last], func(parent *Node) bool { return !has(parent, path[last]) })
}

// all tells whether everything at a path fulfils a condition.
func all(n *Node, path []string, holds func(*Node) bool) bool {
	return !slices.ContainsFunc(n.Each(path...), func(found *Node) bool { return !holds(found) })
}

func oneOf(text string, words ...string) bool { return slices.Contains(words, text) }

func isZero(number string) bool {
	mantissa, _, _ := strings.Cut(strings.ToLower(number), "e")
	return !strings.ContainsAny(mantissa, "123456789")
}

// mayFollow tells whether the second of two dates may be the later one, or the
// same. Dates that are less precise than each other are compared by what they
// may mean: a year ends after all of its days. (R4's FHIRPath says nothing of
// such a pair; R5 wrote per-1 anew to this effect.) What cannot be read is not
// judged here.
func mayFollow(first, second string) bool {
	from, ok := parseInterval(first)
	until, also := parseInterval(second)
	if !ok || !also {
		return true
	}
	high := until.high.Time
	if hasZone(first) != hasZone(second) { // a day is a day somewhere on earth
		high = high.Add(26 * time.Hour)
	}
	return from.low.Time.Before(high)
}

func hasZone(date string) bool { return strings.Contains(date, "T") }

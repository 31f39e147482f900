package fhir

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// longestFold is how much of a text is compared; an index entry has its limits.
const longestFold = 500

// fold is a text as string parameters compare it: lower case, no accents, one
// space for many (FHIR R4 search.html#string).
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > longestFold {
		s = strings.ToValidUTF8(s[:longestFold], "")
	}
	return s
}

// stringsOf are the texts of a string, HumanName or Address that a string
// parameter looks at: each part stands for itself.
func stringsOf(value *Node) []string {
	if !value.IsObject() {
		return nonEmpty(value.Text())
	}
	var found []string
	for _, part := range []string{
		"text", "family", "given", "prefix", "suffix", // HumanName
		"line", "city", "district", "state", "postalCode", "country", // Address
	} {
		for _, text := range value.Each(part) {
			found = append(found, nonEmpty(text.Text())...)
		}
	}
	return found
}

func nonEmpty(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	return []string{s}
}

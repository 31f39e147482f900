package letter

import (
	"maps"
	"slices"
)

// PlainKeys are the sentences that a language of a summary has.
func PlainKeys(language string) []string { return slices.Sorted(maps.Keys(plainWords[language])) }

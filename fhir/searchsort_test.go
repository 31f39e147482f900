package fhir

import (
	"cmp"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersAreSortedAsNumbers(t *testing.T) {
	t.Parallel()
	decimal := rapid.StringMatching(`-?[0-9]{1,6}(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := decimal.Draw(t, "a"), decimal.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got := strings.Compare(sortableNumber(a), sortableNumber(b)); got != cmp.Compare(x.Cmp(y), 0) {
			t.Fatalf("%s and %s are compared as %d (%s, %s)", a, b, got, sortableNumber(a), sortableNumber(b))
		}
	})
}

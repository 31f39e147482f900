package fhir

import (
	"cmp"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/overread/overread/internal/access"
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

// FHIR R4 search.html#sort. Without a value is last in both directions.
func TestASearchIsSortedByAnyKeys(t *testing.T) {
	t.Parallel()
	w := startWard(t)
	w.check(access.Placer, []finding{
		{"/ServiceRequest?_sort=authored", "order later undated"},
		{"/ServiceRequest?_sort=-authored", "later order undated"},
		{"/ServiceRequest?_sort=-priority", "order later undated"},
		{"/ServiceRequest?_sort=priority", "later order undated"},
		{"/ServiceRequest?_sort=status,-authored", "later order undated"},
		{"/ServiceRequest?_sort=-status,authored", "undated order later"},
		{"/ServiceRequest?_sort=code", "order later undated"},
		{"/ServiceRequest?_sort=intent,_id", "order later undated"},
		{"/ServiceRequest?_sort=-intent,-_id", "undated later order"},
		{"/ServiceRequest?_sort=_lastUpdated", "order later undated"},
		{"/ServiceRequest?_sort=-_lastUpdated", "undated later order"},
		{"/Patient?_sort=family", "max zoe nobody"},
		{"/Patient?_sort=-family", "max zoe nobody"}, // Zz is the last of Adler's
		{"/Patient?_sort=birthdate", "zoe max nobody"},
		{"/Patient?_sort=-birthdate", "max zoe nobody"},
		{"/Patient?_sort=gender,-birthdate", "zoe max nobody"},
		{"/Patient?_sort=-birthdate&organization.name=region", "max"},
		{"/Organization?_sort=name", "hospital region"},
		{"/OperationDefinition?_sort=-url&_id=nothing", ""},
	})
	w.refuses(access.Placer, []refusal{
		{"/ServiceRequest?_sort=subject", "not-supported", "authored, code"},
		{"/ServiceRequest?_sort=colour", "not-supported", "authored"},
		{"/ServiceRequest?_sort=", "not-supported", "authored"},
		{"/ServiceRequest?_sort=status,-status", "value", "twice"},
		{"/ServiceRequest?_sort=status&_sort=code", "value", "once"},
		{"/ServiceRequest?_sort:desc=status", "not-supported", "modifier"},
		{"/ServiceRequest?_sort=status,priority,intent,code,authored,occurrence", "not-supported", "5 keys"},
		{"?_type=Patient,ServiceRequest&_sort=birthdate", "not-supported", "ServiceRequest"},
	})
}

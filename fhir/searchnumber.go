package fhir

import (
	"math/big"
	"regexp"
	"strconv"
	"strings"
)

// decimal is a decimal number of any precision: n / 10^scale, or infinite. Its
// zero value is 0.
type decimal struct {
	n        *big.Int
	scale    int
	infinite int // -1 or 1
}

var decimalForm = regexp.MustCompile(`^([+-]?)([0-9]{1,40})(?:\.([0-9]{1,40}))?(?:[eE]([+-]?[0-9]{1,3}))?$`)

// parseDecimal reads a number as JSON and search parameters write it: 5.40e-3.
// The scale is that of its last digit. Numbers of more than 40 digits before or
// after the point are none that somebody has measured.
func parseDecimal(text string) (decimal, bool) {
	m := decimalForm.FindStringSubmatch(text)
	if m == nil {
		return decimal{}, false
	}
	exponent, _ := strconv.Atoi(m[4]) // "" is 0
	n, ok := new(big.Int).SetString(strings.TrimPrefix(m[1], "+")+m[2]+m[3], 10)
	return decimal{n: n, scale: len(m[3]) - exponent}, ok
}

// plus is d and as many halves or tenths of the unit of the next digit.
func (d decimal) plus(units *big.Int) decimal {
	n := new(big.Int).Mul(d.n, big.NewInt(10))
	return decimal{n: n.Add(n, units), scale: d.scale + 1}
}

// precision is the range that the digits of a number mean: 5.4 is from 5.35 to
// 5.45 (FHIR R4 search.html#number).
func (d decimal) precision() (low, high decimal) {
	return d.plus(big.NewInt(-5)), d.plus(big.NewInt(5))
}

// tenth is the range of a tenth of the number around it.
func (d decimal) tenth() (low, high decimal) {
	by := new(big.Int).Abs(d.n)
	return d.plus(new(big.Int).Neg(by)), d.plus(by)
}

func (d decimal) compare(e decimal) int {
	if d.infinite != e.infinite {
		return d.infinite - e.infinite
	}
	if d.infinite != 0 {
		return 0
	}
	scale := max(d.scale, e.scale)
	return d.at(scale).Cmp(e.at(scale))
}

// at is n at another scale, which is not smaller.
func (d decimal) at(scale int) *big.Int {
	if d.n == nil {
		return new(big.Int)
	}
	power := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-d.scale)), nil)
	return power.Mul(power, d.n)
}

// String is the number as PostgreSQL reads it.
func (d decimal) String() string {
	switch {
	case d.infinite < 0:
		return "-Infinity"
	case d.infinite > 0:
		return "Infinity"
	case d.n == nil:
		return "0"
	}
	return d.n.String() + "e" + strconv.Itoa(-d.scale)
}

func (d decimal) times(e decimal) decimal {
	return decimal{n: new(big.Int).Mul(d.n, e.n), scale: d.scale + e.scale}
}

func (d decimal) add(e decimal) decimal {
	scale := max(d.scale, e.scale)
	return decimal{n: new(big.Int).Add(d.at(scale), e.at(scale)), scale: scale}
}

// amountOf is a number, Quantity, Range or SampledData of a resource. Numbers
// there are exactly what is written: only what is asked for has a precision.
func amountOf(typ string, value *Node) (quantityRow, bool) {
	switch typ {
	case "Range":
		return rangeOf(value)
	case "SampledData":
		return sampledOf(value)
	case "Money":
		d, ok := parseDecimal(value.Text("value"))
		return quantityRow{low: d, high: d, system: "urn:iso:std:iso:4217", code: value.Text("currency"), unit: value.Text("currency")}, ok
	}
	if !value.IsObject() {
		d, ok := parseDecimal(value.Text())
		return quantityRow{low: d, high: d}, ok
	}
	d, ok := parseDecimal(value.Text("value"))
	row := quantityRow{low: d, high: d, system: value.Text("system"), code: value.Text("code"), unit: value.Text("unit")}
	switch value.Text("comparator") { // <5 may be anything below 5
	case "<", "<=":
		row.low = decimal{infinite: -1}
	case ">", ">=":
		row.high = decimal{infinite: 1}
	}
	return row, ok
}

// finite is the low end of a range, or its high end where it has no low one.
func (q quantityRow) finite() decimal {
	if q.low.infinite != 0 {
		return q.high
	}
	return q.low
}

// rangeOf has the ends of a Range; one that is not there is infinitely far.
func rangeOf(value *Node) (quantityRow, bool) {
	low, hasLow := amountOf("Quantity", value.Get("low"))
	high, hasHigh := amountOf("Quantity", value.Get("high"))
	row := low
	switch {
	case !hasLow:
		row = high
		row.low = decimal{infinite: -1}
	case !hasHigh:
		row.high = decimal{infinite: 1}
	default:
		row.high = high.high
	}
	return row, (hasLow || hasHigh) && row.low.compare(row.high) <= 0
}

// sampledOf is from the least to the greatest of the values that were sampled,
// in the unit of their origin.
func sampledOf(value *Node) (row quantityRow, found bool) {
	row, ok := amountOf("Quantity", value.Get("origin"))
	if !ok {
		return row, false
	}
	origin, factor := row.low, decimal{n: big.NewInt(1)}
	if f, ok := parseDecimal(value.Text("factor")); ok {
		factor = f
	}
	for sample := range strings.FieldsSeq(value.Text("data")) {
		d, ok := parseDecimal(sample)
		if !ok {
			continue // E, L, U: an error, below or above what could be measured
		}
		d = d.times(factor).add(origin)
		if !found || d.compare(row.low) < 0 {
			row.low = d
		}
		if !found || d.compare(row.high) > 0 {
			row.high = d
		}
		found = true
	}
	return row, found
}

// amount is a number or quantity asked for: the number itself, the range that
// its precision means, and the unit.
type amount struct {
	prefix     string
	value      decimal
	low, high  decimal
	system     string
	code       string
	unitNeeded bool
}

// amountTests compare the range [low, high] of a value with what is asked for:
// FHIR R4 search.html#number. Only eq, ne and ap look at its precision.
var amountTests = map[string]string{
	"eq": `low >= @low AND low < @high AND high < @high`, // twice, for the index
	"ne": `NOT (low >= @low AND high < @high)`,
	"gt": `high > @value`,
	"lt": `low < @value`,
	"ge": `high >= @value`,
	"le": `low <= @value`,
	"sa": `low > @value`,
	"eb": `high < @value`,
	"ap": `low <= @high AND high >= @low`,
}

// holds is the test of the amount in memory.
func (a amount) holds(v quantityRow) bool {
	switch {
	case !a.unitNeeded:
	case a.system == "" && a.code != v.code && a.code != v.unit,
		a.system != "" && (a.system != v.system || a.code != "" && a.code != v.code):
		return false
	}
	within := v.low.compare(a.low) >= 0 && v.high.compare(a.high) < 0
	switch a.prefix {
	case "ne":
		return !within
	case "gt":
		return v.high.compare(a.value) > 0
	case "lt":
		return v.low.compare(a.value) < 0
	case "ge":
		return v.high.compare(a.value) >= 0
	case "le":
		return v.low.compare(a.value) <= 0
	case "sa":
		return v.low.compare(a.value) > 0
	case "eb":
		return v.high.compare(a.value) < 0
	case "ap":
		return v.low.compare(a.high) <= 0 && v.high.compare(a.low) >= 0
	}
	return within
}

// around is the range that an amount asked for has: its precision, and with ap
// a tenth of it to either side (FHIR R4 search.html#prefix).
func (a amount) around() amount {
	a.low, a.high = a.value.precision()
	if a.prefix == "ap" {
		low, high := a.value.tenth()
		if low.compare(a.low) < 0 {
			a.low = low
		}
		if high.compare(a.high) > 0 {
			a.high = high
		}
	}
	return a
}

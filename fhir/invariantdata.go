package fhir

import (
	"slices"
	"strconv"
	"strings"
)

func datatypeInvariants() []invariant {
	rows := []invariant{
		{key: "att-1", on: "Attachment", expression: "data.empty() or contentType.exists()", at: "contentType",
			text:  "content without its type cannot be read: add contentType",
			holds: func(n *Node) bool { return !has(n, "data") || has(n, "contentType") }},
		{key: "cpt-2", on: "ContactPoint", expression: "value.empty() or system.exists()", at: "system",
			text:  "say in system what the value is: phone, email, ...",
			holds: func(n *Node) bool { return !has(n, "value") || has(n, "system") }},
		{key: "exp-1", on: "Expression", expression: "expression.exists() or reference.exists()",
			text:  "an Expression needs expression or reference: add one",
			holds: func(n *Node) bool { return has(n, "expression") || has(n, "reference") }},
		{key: "per-1", on: "Period", expression: "start.hasValue().not() or end.hasValue().not() or (start <= end)", at: "end",
			text:  "the period ends before it starts: mend one of its ends",
			holds: func(n *Node) bool { return mayFollow(n.Text("start"), n.Text("end")) }},
		{key: "rat-1", on: "Ratio", expression: "(numerator.empty() xor denominator.exists()) and (numerator.exists() or extension.exists())",
			text: "a ratio has both numerator and denominator, or neither and an extension",
			holds: func(n *Node) bool {
				return has(n, "numerator") == has(n, "denominator") && (has(n, "numerator") || has(n, "extension"))
			}},
	}
	for _, typ := range []string{"Quantity", "Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"} {
		rows = append(rows, invariant{key: "qty-3", on: typ, expression: "code.empty() or system.exists()", at: "system",
			text:  "a coded unit needs the system of its code, such as http://unitsofmeasure.org: add system",
			holds: func(n *Node) bool { return !has(n, "code") || has(n, "system") }})
	}
	return slices.Concat(rows, quantityInvariants(), timingInvariants(), triggerInvariants())
}

const ucum = "http://unitsofmeasure.org"

// quantityInvariants: what the kinds of Quantity add to it.
func quantityInvariants() []invariant {
	inUCUM := func(n *Node) bool { return !has(n, "system") || n.Text("system") == ucum }
	coded := func(n *Node) bool { return has(n, "code") || !has(n, "value") }
	positive := func(n *Node) bool { v := n.Text("value"); return v == "" || !strings.HasPrefix(v, "-") && !isZero(v) }
	return []invariant{
		{key: "age-1", on: "Age", expression: "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (value.empty() or value.hasValue().not() or value > 0)",
			text:  "an age is above zero and has the code of a unit of UCUM, in the system " + ucum,
			holds: func(n *Node) bool { return coded(n) && inUCUM(n) && positive(n) }},
		{key: "cnt-3", on: "Count", expression: "(code.exists() or value.empty()) and (system.empty() or system = %ucum) and (code.empty() or code = '1') and (value.empty() or value.hasValue().not() or value.toString().contains('.').not())",
			text: "a count is a whole number, with the code 1 in the system " + ucum,
			holds: func(n *Node) bool {
				return coded(n) && inUCUM(n) && (!has(n, "code") || n.Text("code") == "1") && !strings.Contains(n.Text("value"), ".")
			}},
		{key: "dis-1", on: "Distance", expression: "(code.exists() or value.empty()) and (system.empty() or system = %ucum)",
			text:  "a distance has the code of a unit of UCUM, in the system " + ucum,
			holds: func(n *Node) bool { return coded(n) && inUCUM(n) }},
		{key: "drt-1", on: "Duration", expression: "code.exists() implies ((system = %ucum) and value.exists())",
			text:  "a duration with a code has a value, and the system " + ucum,
			holds: func(n *Node) bool { return !has(n, "code") || n.Text("system") == ucum && has(n, "value") }},
		{key: "sqty-1", on: "SimpleQuantity", expression: "comparator.empty()", at: "comparator",
			text:  "this quantity has no comparator: leave it out",
			holds: func(n *Node) bool { return !has(n, "comparator") }},
		{key: "rng-2", on: "Range", expression: "low.empty() or high.empty() or (low <= high)", at: "high",
			text:  "the range ends before it begins: mend one of its ends",
			holds: func(n *Node) bool { return mayBeAbove(n.Get("low"), n.Get("high")) }},
	}
}

// mayBeAbove compares quantities of one unit; others cannot be compared here.
func mayBeAbove(low, high *Node) bool {
	for _, unit := range []string{"system", "code", "unit"} {
		if low.Text(unit) != high.Text(unit) {
			return true
		}
	}
	from, err := strconv.ParseFloat(low.Text("value"), 64)
	until, also := strconv.ParseFloat(high.Text("value"), 64)
	return err != nil || also != nil || from <= until
}

// triggerInvariants are of what a Task may have as input.
func triggerInvariants() []invariant {
	either := func(n *Node) bool { return has(n, "path") != has(n, "searchParam") }
	return []invariant{
		{key: "drq-1", on: "DataRequirement.codeFilter", expression: "path.exists() xor searchParam.exists()", text: "give path or searchParam, not both", holds: either},
		{key: "drq-2", on: "DataRequirement.dateFilter", expression: "path.exists() xor searchParam.exists()", text: "give path or searchParam, not both", holds: either},
		{key: "trd-1", on: "TriggerDefinition", expression: "data.empty() or timing.empty()", at: "data",
			text:  "give data or timing, not both",
			holds: func(n *Node) bool { return !has(n, "data") || !hasChoice(n, "timing") }},
		{key: "trd-2", on: "TriggerDefinition", expression: "condition.exists() implies data.exists()", at: "condition",
			text:  "a condition needs data: add it",
			holds: func(n *Node) bool { return !has(n, "condition") || has(n, "data") }},
		{key: "trd-3", on: "TriggerDefinition", expression: "(type = 'named-event' implies name.exists()) and (type = 'periodic' implies timing.exists()) and (type.startsWith('data-') implies data.exists())", at: "type",
			text: "a named event needs its name, what is periodic timing, and an event of data data",
			holds: func(n *Node) bool {
				typ := n.Text("type")
				return (typ != "named-event" || has(n, "name")) && (typ != "periodic" || hasChoice(n, "timing")) && (!strings.HasPrefix(typ, "data-") || has(n, "data"))
			}},
	}
}

// timingInvariants: a number that has no meaning without another element.
func timingInvariants() []invariant {
	var rows []invariant
	for _, pair := range []struct{ key, name, needs string }{
		{"tim-1", "duration", "durationUnit"}, {"tim-2", "period", "periodUnit"}, {"tim-6", "periodMax", "period"},
		{"tim-7", "durationMax", "duration"}, {"tim-8", "countMax", "count"},
	} {
		rows = append(rows, invariant{key: pair.key, on: "Timing.repeat", expression: pair.name + ".empty() or " + pair.needs + ".exists()", at: pair.needs,
			text:  pair.name + " means nothing without " + pair.needs + ": add it",
			holds: func(n *Node) bool { return !has(n, pair.name) || has(n, pair.needs) }})
	}
	for _, number := range []struct{ key, name string }{{"tim-4", "duration"}, {"tim-5", "period"}} {
		rows = append(rows, invariant{key: number.key, on: "Timing.repeat", expression: number.name + ".exists() implies " + number.name + " >= 0", at: number.name,
			text:  "this is not below zero",
			holds: func(n *Node) bool { return !strings.HasPrefix(n.Text(number.name), "-") || isZero(n.Text(number.name)) }})
	}
	return append(rows,
		invariant{key: "tim-9", on: "Timing.repeat", expression: "offset.empty() or (when.exists() and ((when in ('C' | 'CM' | 'CD' | 'CV')).not()))", at: "offset",
			text: "an offset needs a when that is an event, and no meal as such (C, CM, CD, CV)",
			holds: func(n *Node) bool {
				return !has(n, "offset") || has(n, "when") && !slices.ContainsFunc(n.Each("when"), func(w *Node) bool { return oneOf(w.Text(), "C", "CM", "CD", "CV") })
			}},
		invariant{key: "tim-10", on: "Timing.repeat", expression: "timeOfDay.empty() or when.empty()", at: "when",
			text:  "give timeOfDay or when, not both",
			holds: func(n *Node) bool { return !has(n, "timeOfDay") || !has(n, "when") }})
}

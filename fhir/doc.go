// Package fhir is the FHIR R4 surface of Overread, and the only package that
// knows FHIR's JSON or imports google/fhir.
//
// A body comes in through Decode, which refuses early and says what to mend:
//
//	scan.go     the text: strict JSON within limits, built into a tree (node.go)
//	element.go  the names: which elements each type has, from google/fhir's descriptors
//	check.go    what a name and a type do not say: references, URLs, narrative
//	decode.go   all of these, and then google/fhir's own validation
//
// The tree keeps the order of names and the text of numbers and dates, so what was
// stored is what was sent. Refusals are fault.Errors; outcome.go is the one place that
// turns them into an OperationOutcome and an HTTP status.
package fhir

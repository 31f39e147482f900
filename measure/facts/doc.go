// Package facts counts what is known of cases (workflow/fact.go) as of a moment: the
// measures that there are (definition.go), and the tables of counts that they are made
// of (count.go, times.go). It tells no patient, and knows nothing of FHIR.
//
// Who may see which of its counts is not decided here: the role of quality may see
// all of them, others what measure/disclosure lets through.
package facts

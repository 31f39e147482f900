// Package workflow is the life of a case: one second opinion, from the order
// to its closure. It knows no HTTP and no FHIR JSON.
//
// Read transitions.go first: the table there is the specification. engine.go
// fires its rows, each in one transaction with everything that follows from
// it. What the rules look at is pure and stands apart: intake.go (is the order
// complete?), matching.go (who may read it?), grading.go (how far do the two
// opinions differ?), calendar.go and policy.go (how long may it take?). What
// the clock does is in agenda.go; what leaves the house in delivery.go.
package workflow

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/overread/overread/workflow"
)

// showcases are what a newcomer is told to open first.
var showcases = []struct {
	row sampleCase
	is  string
}{
	{sampleCase{"mercy", "head-ct", "urgent", workflow.Conferring, "okafor", twoRead}, "two have read it, and differ: as Dr. Okafor or Dr. Sato, ask for $readings, then $concur or $refer"},
	{sampleCase{"mercy", "brain", "urgent", workflow.Arbitration, "okafor", twoRead}, "a third reader is to decide: as Dr. Petrov (adjudicator) $claim it, ask for $readings, $arbitrate"},
	{sampleCase{"mercy", "head-ct", "asap", workflow.Final, "okafor", twoRead}, "two have read it, a third has decided and signed; the bleeding waits to be told ($matters)"},
	{sampleCase{"mercy", "liver", "asap", workflow.Final, "haddad", asItShouldBe}, "amended after the signature ($difference?from=1&to=2); the placer is to $acknowledge the new version"},
	{sampleCase{"mercy", "spine", "routine", workflow.Closed, "okafor", asItShouldBe}, "corrected, and then added to, each version acknowledged ($difference?from=1&to=3)"},
	{sampleCase{"mercy", "pulmonary-angio", "stat", workflow.Reading, "lindqvist", asItShouldBe}, "an emergency, told by telephone before the report is there ($matters)"},
	{sampleCase{"mercy", "thyroid", "routine", workflow.Closed, "okafor", asItShouldBe}, "a question about the report is open: as Dr. Okafor, $answer it"},
}

// showcaseLines name the showcases by the numbers of their orders.
func showcaseLines() string {
	var lines strings.Builder
	for _, show := range showcases {
		fmt.Fprintf(&lines, "    %s  %s\n", sampleNumber(slices.Index(sampleCases, show.row)), show.is)
	}
	return lines.String()
}

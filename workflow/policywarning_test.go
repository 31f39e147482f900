package workflow

import (
	"strings"
	"testing"
)

func TestWhatAPolicyPerhapsDoesNotMeanIsAWarning(t *testing.T) {
	for text, want := range map[string]string{
		"{}":              "",
		"escalations: []": "line 1: escalations have nothing for the clock acknowledge of priority stat: nobody is told of a report that the clinician has not read",
		"escalations: [{clock: acknowledge, at: 100, chain: [{tell: coordinator, by: [mail]}]}]": "escalations[0].chain[0] tells the coordinator by mail alone",
		"clocks: {stat: {gross: 1h, final: 2h}}":                                                 "line 1: clocks.stat.gross is 1h, shorter than final (2h)",
		"clocks: {stat: {final: 90h}}":                                                           "clocks.stat.final is 90h, longer than that of asap (8h)",
		"triage: [{when: {}, then: {subspecialty: astrology}}]":                                  "triage[0].then.subspecialty names the subspecialty astrology",
		"related: [{subspecialty: neuro, related: [astrology]}]":                                 "related[0].related names the subspecialty astrology",
		"triage: [{when: {}, then: {subspecialty: neuro, needs: [paediatric]}}]":                 "",
		"findings: {emergent: 7h}":                                                               "findings.emergent is 7h, longer than urgent (6h), which presses less",
		"findings: {emergent: 30d, urgent: 1m, nonCritical: 1m}":                                 "findings.emergent is 30d, very long",
		"findings: {urgent: 8d}":                                                                 "findings.urgent is 8d, longer than nonCritical (7d)",
		"findings: {nonCritical: 90d}":                                                           "findings.nonCritical is 90d, very long",
		"escalations: [{clock: acknowledge, at: 50, chain: [{tell: reader, by: [page]}]}]":       "escalations tell nobody but the reader of the clock acknowledge of priority stat",
	} {
		d, err := ReadPolicy([]byte(text))
		if got := d.Odd.Error(); err != nil || want == "" && len(d.Odd) > 0 || !strings.Contains(got, want) {
			t.Errorf("%s: %v, %s", text, err, got)
		}
	}
	page := "escalations:\n  - {clock: acknowledge, at: 100, chain: [{tell: coordinator, by: [page]}]}\n"
	for text, want := range map[string]string{
		"escalations: []": "line 1: escalations must tell somebody when a report of priority stat is not acknowledged",
		"escalations: [{clock: acknowledge, priorities: [stat, asap, urgent], at: 100, chain: [{tell: coordinator, by: [page]}]}]":            "report of priority routine is not acknowledged",
		"escalations: [{clock: acknowledge, at: 100, chain: [{tell: coordinator, by: [mail]}]}]":                                              "report of priority urgent is not acknowledged",
		"contacts: {coordinator: [desk@example.org]}\nescalations: [{clock: acknowledge, at: 100, chain: [{tell: coordinator, by: [mail]}]}]": "",
		"escalations: [{clock: acknowledge, at: 100, chain: [{tell: coordinator, by: [page]}]}]":                                              "",
		"{}": "",
		"escalations: [{clock: acknowledge, at: 50, chain: [{tell: reader, by: [mail]}]}]":                         "report of priority stat is not acknowledged",
		page + "  - {clock: finding-emergent, at: 100, chain: [{tell: coordinator, by: [mail]}]}":                  "report of priority stat has an emergent finding that is not acknowledged",
		page + "  - {clock: finding-urgent, at: 100, chain: [{tell: reader, by: [mail]}]}":                         "report of priority routine has an urgent finding that is not acknowledged",
		page + "  - {clock: finding-emergent, priorities: [stat], at: 100, chain: [{tell: director, by: [page]}]}": "report of priority asap has an emergent finding",
		page + "  - {clock: finding-emergent, at: 50, chain: [{tell: reader, by: [page]}]}":                        "",
		page:                                    "",
		"findings: {emergent: 30d, urgent: 1m}": "findings.emergent is 30d, but",
		"findings: {emergent: 1bd}":             "findings.emergent is 1bd, but",
		"findings: {emergent: 24h}":             "",
	} {
		_, err := ReadNewPolicy([]byte(text))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, holiday := range []string{"02-30", "2026-02-30", "04-31 observed"} {
		if _, err := ReadPolicy([]byte(`calendar: {holidays: ["` + holiday + `"]}`)); err == nil {
			t.Errorf("%s is a holiday", holiday)
		}
	}
}

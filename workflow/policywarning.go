package workflow

import (
	"slices"
	"time"
)

// KnownFields are the subspecialties of the CodeSystem reading-subspecialty, and two
// that many departments have besides.
// KnownFields are the subspecialties that every tenant has; it may have others.
func KnownFields() []string { return slices.Clone(knownFields) }

var knownFields = []string{General, "neuro", "head-neck", "chest", "cardiac", "vascular", "abdominal", "genitourinary", "musculoskeletal", "breast", "nuclear", "paediatric", "oncologic", "emergency"}

// warnings are what a policy says that a hospital might mean, but most do not.
func (p Policy) warnings() (odd PolicyErrors) {
	return slices.Concat(p.untoldWarnings(), p.readerWarnings(), p.limitWarnings(), p.findingWarnings(), p.fieldWarnings())
}

// untoldWarnings names the clocks that run out and nobody hears of it, and who is
// told by mail and has no address.
func (p Policy) untoldWarnings() (odd PolicyErrors) {
	for _, clock := range []ClockName{ClockAcknowledge, ClockFinal, ClockAssign, ClockIntake, ClockAdjudicate} {
		what := map[ClockName]string{ClockAcknowledge: Phrase("of a report that the clinician has not read"), ClockFinal: Phrase("of a report that is late"), ClockAssign: Phrase("of a case that has no reader"),
			ClockIntake: Phrase("of an order that cannot be read"), ClockAdjudicate: Phrase("of a third reading that is late")}[clock]
		for _, priority := range Priorities {
			told := slices.ContainsFunc(p.Escalations, func(e Escalation) bool {
				return e.Clock == clock && (len(e.Priorities) == 0 || slices.Contains(e.Priorities, priority))
			})
			if !told {
				odd = append(odd, PolicyFault{Path: "escalations", Text: Phrase("have nothing for the clock %v of priority %v: nobody is told %s", clock, priority, what)})
			}
		}
	}
	for i, rule := range p.Escalations {
		for j, link := range rule.Chain {
			if p.reachesNobody(link) {
				odd = append(odd, PolicyFault{Path: element(element("escalations", i)+".chain", j), Text: Phrase("tells the %v by mail alone, and contacts have no address: nobody is told", link.Tell)})
			}
		}
	}
	return odd
}

// readerWarnings names the clocks of mustBeHeard that nobody but the reader hears of,
// who may be away.
func (p Policy) readerWarnings() (odd PolicyErrors) {
	for _, must := range mustBeHeard {
		for _, priority := range Priorities {
			if p.heard(must.clock, priority, TellReader) && !p.heard(must.clock, priority, TellCoordinator, TellDirector) {
				odd = append(odd, PolicyFault{Path: "escalations", Text: Phrase("tell nobody but the reader of the clock %v of priority %v: while the reader is away, nobody hears of %s", must.clock, priority, must.lost)})
			}
		}
	}
	return odd
}

// reachesNobody: mail alone, and no address.
func (p Policy) reachesNobody(link Link) bool {
	nobody := link.Tell == TellCoordinator && len(p.Contacts.Coordinator) == 0 || link.Tell == TellDirector && len(p.Contacts.Director) == 0
	return nobody && onlyMail(link)
}

func onlyMail(link Link) bool {
	return !slices.ContainsFunc(link.By, func(w Way) bool { return w != ByMail })
}

// mustBeHeard are the clocks that never run out without somebody who hears of it, and
// what nobody would hear of.
var mustBeHeard = []struct {
	clock ClockName
	when  string // "when a report of priority stat ..."
	lost  string
}{
	{ClockAcknowledge, Phrase("is not acknowledged"), Phrase("an unread report")},
	{ClockEmergent, Phrase("has an emergent finding that is not acknowledged"), Phrase("an emergent finding")},
	{ClockUrgent, Phrase("has an urgent finding that is not acknowledged"), Phrase("an urgent finding")},
}

// unheardFaults names, for each clock of mustBeHeard, the priorities of which nobody
// is told that it runs.
func (p Policy) unheardFaults() (wrong PolicyErrors) {
	for _, must := range mustBeHeard {
		for _, priority := range Priorities {
			if !p.heard(must.clock, priority, TellReader, TellCoordinator, TellDirector) {
				wrong = append(wrong, PolicyFault{Path: "escalations", Text: Phrase("must tell somebody when a report of priority %v %s: a rule of the clock %v, with one in its chain who can be reached (mail alone needs an address in contacts, and of a reader none is known to be there). Without it nobody hears of %s", priority, must.when, must.clock, must.lost)})
			}
		}
	}
	return wrong
}

// heard tells whether a rule in force has one of these in its chain who is reached for
// certain: a reader by mail alone may have no address.
func (p Policy) heard(clock ClockName, priority string, who ...Addressee) bool {
	reached := func(link Link) bool {
		return slices.Contains(who, link.Tell) && !p.reachesNobody(link) && (link.Tell != TellReader || !onlyMail(link))
	}
	return slices.ContainsFunc(p.rules(), func(e Escalation) bool {
		return e.Clock == clock && (len(e.Priorities) == 0 || slices.Contains(e.Priorities, priority)) && slices.ContainsFunc(e.Chain, reached)
	})
}

// mostEmergent is the longest limit of an emergent finding that can be meant: the ACR
// Actionable Reporting Work Group (2014) says minutes.
const mostEmergent = day

// findingFaults refuses a limit of emergent findings that cannot be meant. A business
// day may be days away.
func (p Policy) findingFaults() PolicyErrors {
	if e := p.Findings.Emergent; e.Length > mostEmergent || e.Business {
		return PolicyErrors{{Path: "findings.emergent", Text: Phrase("is %v, but an emergent finding must be acknowledged within minutes: say %v or less, by the clock and not in business days", e, Span{Length: mostEmergent})}}
	}
	return nil
}

// findingWarnings names limits of findings that cannot be meant: longer than that of a
// category that presses less, or than anybody waits.
func (p Policy) findingWarnings() (odd PolicyErrors) {
	limits := []struct {
		name string
		span Span
		most time.Duration
	}{{"emergent", p.Findings.Emergent, 2 * time.Hour}, {"urgent", p.Findings.Urgent, 3 * day}, {"nonCritical", p.Findings.NonCritical, 60 * day}}
	for i, l := range limits {
		path := "findings." + l.name
		if l.span.Length > l.most {
			odd = append(odd, PolicyFault{Path: path, Text: Phrase("is %v, very long for findings of this category (ACR Actionable Reporting Work Group: minutes, hours, days)", l.span)})
		}
		if i+1 < len(limits) && l.span.Length > limits[i+1].span.Length {
			odd = append(odd, PolicyFault{Path: path, Text: Phrase("is %v, longer than %v (%v), which presses less", l.span, limits[i+1].name, limits[i+1].span)})
		}
	}
	return odd
}

// limitWarnings names limits that cannot be meant. A business day is compared with
// business days only.
func (p Policy) limitWarnings() (odd PolicyErrors) {
	longer := func(a, b Span) bool { return a.Business == b.Business && a.Length > b.Length }
	for i, priority := range Priorities {
		path, limits := "clocks."+priority, p.Clocks.For(priority)
		if limits.Gross != nil && longer(limits.Final, *limits.Gross) {
			odd = append(odd, PolicyFault{Path: path + ".gross", Text: Phrase("is %v, shorter than final (%v): gross is the whole time, final less the pauses", limits.Gross, limits.Final)})
		}
		if i == len(Priorities)-1 {
			break
		}
		next := Priorities[i+1]
		for _, clock := range []ClockName{ClockIntake, ClockOffer, ClockAssign, ClockFinal, ClockAcknowledge, ClockAdjudicate, ClockQuestion, ClockReverify} {
			if a, b := limits.named(clock), p.Clocks.For(next).named(clock); longer(a, b) {
				odd = append(odd, PolicyFault{Path: path + "." + string(clock), Text: Phrase("is %v, longer than that of %v (%v), which presses less", a, next, b)})
			}
		}
	}
	return odd
}

// fieldWarnings names subspecialties that are perhaps misspelt: a reader has them
// only by the same word.
func (p Policy) fieldWarnings() (odd PolicyErrors) {
	see := func(path string, fields ...Privilege) {
		for _, field := range fields {
			if !slices.Contains(knownFields, string(field)) {
				odd = append(odd, PolicyFault{Path: path, Text: Phrase("names the subspecialty %v, which only readers have whose credentials say the same word", field)})
			}
		}
	}
	for i, rule := range p.Triage {
		see(element("triage", i)+".then.subspecialty", rule.Then.Subspecialty)
		see(element("triage", i)+".then.needs", rule.Then.Needs...)
	}
	for i, kin := range p.Related {
		see(element("related", i)+".subspecialty", kin.Subspecialty)
		see(element("related", i)+".related", kin.Related...)
	}
	if p.Sampling != nil {
		for i, rate := range p.Sampling.Rates {
			see(element("sampling.rates", i)+".subspecialty", rate.Subspecialty...)
		}
	}
	return odd
}

package workflow

import (
	"fmt"
	"slices"
)

// knownFields are the subspecialties of the CodeSystem reading-subspecialty, and two
// that many departments have besides.
var knownFields = []string{General, "neuro", "head-neck", "chest", "cardiac", "vascular", "abdominal", "genitourinary", "musculoskeletal", "breast", "nuclear", "paediatric", "oncologic", "emergency"}

// warnings are what a policy says that a hospital might mean, but most do not.
func (p Policy) warnings() (odd PolicyErrors) {
	return slices.Concat(p.untoldWarnings(), p.limitWarnings(), p.fieldWarnings())
}

// untoldWarnings names the clocks that run out and nobody hears of it, and who is
// told by mail and has no address.
func (p Policy) untoldWarnings() (odd PolicyErrors) {
	for _, clock := range []ClockName{ClockAcknowledge, ClockFinal, ClockAssign, ClockIntake, ClockAdjudicate} {
		what := map[ClockName]string{ClockAcknowledge: "of a report that the clinician has not read", ClockFinal: "of a report that is late", ClockAssign: "of a case that has no reader",
			ClockIntake: "of an order that cannot be read", ClockAdjudicate: "of a third reading that is late"}[clock]
		for _, priority := range Priorities {
			told := slices.ContainsFunc(p.Escalations, func(e Escalation) bool {
				return e.Clock == clock && (len(e.Priorities) == 0 || slices.Contains(e.Priorities, priority))
			})
			if !told {
				odd = append(odd, PolicyFault{Path: "escalations", Text: fmt.Sprintf("have nothing for the clock %s of priority %s: nobody is told %s", clock, priority, what)})
			}
		}
	}
	for i, rule := range p.Escalations {
		for j, link := range rule.Chain {
			if p.reachesNobody(link) {
				odd = append(odd, PolicyFault{Path: element(element("escalations", i)+".chain", j), Text: fmt.Sprintf("tells the %s by mail alone, and contacts have no address: nobody is told", link.Tell)})
			}
		}
	}
	return odd
}

// reachesNobody: mail alone, and no address.
func (p Policy) reachesNobody(link Link) bool {
	nobody := link.Tell == TellCoordinator && len(p.Contacts.Coordinator) == 0 || link.Tell == TellDirector && len(p.Contacts.Director) == 0
	return nobody && !slices.ContainsFunc(link.By, func(w Way) bool { return w != ByMail })
}

// unreadFaults names the priorities of which nobody is told that a signed report was
// not read in time.
func (p Policy) unreadFaults() (wrong PolicyErrors) {
	for _, priority := range Priorities {
		told := slices.ContainsFunc(p.Escalations, func(e Escalation) bool {
			return e.Clock == ClockAcknowledge && (len(e.Priorities) == 0 || slices.Contains(e.Priorities, priority)) &&
				slices.ContainsFunc(e.Chain, func(link Link) bool { return !p.reachesNobody(link) })
		})
		if !told {
			wrong = append(wrong, PolicyFault{Path: "escalations", Text: fmt.Sprintf("must tell somebody when a report of priority %s is not acknowledged: a rule of the clock acknowledge, with one in its chain who can be reached (mail alone needs an address in contacts). Without it nobody hears of an unread report", priority)})
		}
	}
	return wrong
}

// limitWarnings names limits that cannot be meant. A business day is compared with
// business days only.
func (p Policy) limitWarnings() (odd PolicyErrors) {
	longer := func(a, b Span) bool { return a.Business == b.Business && a.Length > b.Length }
	for i, priority := range Priorities {
		path, limits := "clocks."+priority, p.Clocks.For(priority)
		if limits.Gross != nil && longer(limits.Final, *limits.Gross) {
			odd = append(odd, PolicyFault{Path: path + ".gross", Text: fmt.Sprintf("is %s, shorter than final (%s): gross is the whole time, final less the pauses", limits.Gross, limits.Final)})
		}
		if i == len(Priorities)-1 {
			break
		}
		next := Priorities[i+1]
		for _, clock := range []ClockName{ClockIntake, ClockOffer, ClockAssign, ClockFinal, ClockAcknowledge, ClockAdjudicate, ClockQuestion, ClockReverify} {
			if a, b := limits.named(clock), p.Clocks.For(next).named(clock); longer(a, b) {
				odd = append(odd, PolicyFault{Path: path + "." + string(clock), Text: fmt.Sprintf("is %s, longer than that of %s (%s), which presses less", a, next, b)})
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
				odd = append(odd, PolicyFault{Path: path, Text: fmt.Sprintf("names the subspecialty %s, which only readers have whose credentials say the same word", field)})
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

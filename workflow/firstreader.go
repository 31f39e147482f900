package workflow

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Nobody judges their own reading. The original names its readers in many ways: here
// they are compared with a reader of the tenant.

// FirstReaders are those who read the study first, as its report, its results, its
// other reports, the study itself and documents name them.
type FirstReaders struct {
	Authors []string // of Readers those who made the original: whom feedback reaches
	Readers []string // "Practitioner/{id}" here and system|value of each identifier
	Groups  []string // their organisations: "Organization/{id}" here and system|value
	Names   []string // of those whom only a name names
}

// UnnamedReader says what becomes of an original that does not say by an identifier
// who read it.
type UnnamedReader string

// What may become of it.
const (
	UnnamedReview  UnnamedReader = "review"  // a doubt for the coordinator
	UnnamedCompare UnnamedReader = "compare" // names and organisations are compared; one without either is a doubt
	UnnamedAccept  UnnamedReader = "accept"  // it is read; names are compared
)

// unnamed is the setting; compare, where the policy does not say.
func (p Policy) unnamed() UnnamedReader {
	if p.UnnamedOriginalReader == "" {
		return UnnamedCompare
	}
	return p.UnnamedOriginalReader
}

// unnamedReader tells an original of which nobody can say who read it, as far as the
// policy wants that to be known.
func (f Facts) unnamedReader(p Policy) bool {
	who := f.First
	if !f.Reported || len(who.Readers) > 0 {
		return false
	}
	switch p.unnamed() {
	case UnnamedAccept:
		return false
	case UnnamedReview:
		return true
	}
	return len(who.Names)+len(who.Groups) == 0
}

// readFirst says why the reader is, or may be, who read the study first; "" when not.
func (exam Exam) readFirst(r Reader, p UnnamedReader) string {
	switch {
	case exam.identifies(r):
		return Phrase("is the original reader")
	case slices.ContainsFunc(exam.OriginalNames, func(name string) bool { return calledSo(name, r.Display) }):
		return Phrase("bears the name of the original reader")
	case p != UnnamedAccept && len(exam.OriginalReaders)+len(exam.OriginalNames) == 0 && meet(exam.OriginalGroups, r.Groups):
		return Phrase("may be the original reader: the report names only their organisation")
	}
	return ""
}

// identifies tells that the reader is named as who read the study first by an identifier,
// and not only by a name that others bear, or by their organisation.
func (exam Exam) identifies(r Reader) bool { return meet(exam.OriginalReaders, r.names()) }

// newFirstReaders tells that somebody is named as the original reader of whom the
// case does not know yet.
func (exam Exam) newFirstReaders(f FirstReaders) bool {
	beyond := func(known, now []string) bool {
		return slices.ContainsFunc(now, func(name string) bool { return !slices.Contains(known, name) })
	}
	return beyond(exam.OriginalReaders, f.Readers) || beyond(exam.OriginalGroups, f.Groups) || beyond(exam.OriginalNames, f.Names)
}

// originalDiffers: what is here of the first reading is not what the case noted of it.
func (c *Case) originalDiffers(f Facts) bool {
	if c.Comparable == nil { // nothing is noted yet
		return false
	}
	changed := false
	if f.Original != nil && c.comparable() && c.OriginalReportID != nil && c.OriginalReportVersion != nil {
		changed = f.Original.ID != *c.OriginalReportID || f.Original.Version != cmp.Or(c.Exam.OriginalNow, *c.OriginalReportVersion)
	}
	return changed || c.Exam.newFirstReaders(f.First)
}

var noteOriginal = Effect{"noteOriginal", "who read first is noted again, and which version is compared with; where it says something else than when it was revealed, what was graded before compares nothing",
	func(ctx context.Context, t *turn) error {
		f, c := t.in.Facts, t.c
		if o := f.Original; o != nil && c.comparable() {
			if was := c.OriginalReportID; was != nil && c.RevealedAt != nil && (o.ID != *was || !o.says(c.Exam.OriginalSaid)) {
				c.Exam.OriginalRevised = &t.now
			}
			c.OriginalReportID, c.OriginalReportVersion = &o.ID, &o.Version
			c.noteWhatItSays(*o)
		}
		return t.noteFirstReaders(ctx, f.First)
	}}

// doctorTitles are no part of a name.
var doctorTitles = []string{"dr", "prof", "professor", "doctor", "mr", "mrs", "ms", "md", "do", "mbbs", "mbchb", "phd", "frcr", "facr", "franzcr", "med", "pd", "priv", "doz", "radiologist"}

// calledSo tells whether two texts may name one person: the words of the shorter one
// are in the longer one, or are initials there. A family name alone is enough: rather
// somebody is kept away in vain.
func calledSo(a, b string) bool {
	for _, fold := range []func(string) string{plainLetters, spelledOut} {
		bare := func(name string) []string {
			return slices.DeleteFunc(words(fold(name)), func(w string) bool { return slices.Contains(doctorTitles, w) })
		}
		if x, y := bare(a), bare(b); len(x) > 0 && len(y) > 0 && sameWords(x, y) {
			return true
		}
	}
	return false
}

// sameSystems are identifier systems of people that have two addresses: an OID and the
// URI that FHIR gives them (FHIR R4 identifier-registry.html; Nictiz for the Dutch ones).
var sameSystems = map[string]string{
	"urn:oid:2.16.840.1.113883.4.6": "http://hl7.org/fhir/sid/us-npi",
	"urn:oid:2.16.528.1.1007.5.1":   "http://fhir.nl/fhir/NamingSystem/big",
	"urn:oid:2.16.528.1.1007.3.1":   "http://fhir.nl/fhir/NamingSystem/uzi-nr-pers",
}

// oneName writes system|value with the URI of a system that has an OID too.
func oneName(name string) string {
	if !strings.HasPrefix(name, "urn:oid:") {
		return name
	}
	system, value, _ := strings.Cut(name, "|")
	if uri := sameSystems[system]; uri != "" {
		return uri + "|" + value
	}
	return name
}

// meet tells whether two lists name somebody in common.
func meet(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool {
		return slices.ContainsFunc(b, func(y string) bool { return x == y || oneName(x) == oneName(y) })
	})
}

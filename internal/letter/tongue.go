package letter

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A letter is written in a language: its own words by tongueWords, days as the language
// writes them. What people wrote, and names of exams, sites and modalities, stays as it is.

// Languages are those that a letter can be written in, as in BCP 47.
func Languages() []string { return append([]string{"en"}, slices.Sorted(maps.Keys(tongues))...) }

// In is a text of this package, or a label of a letter, in a language. One that is not
// known there stays in English.
func In(language, text string, args ...any) string {
	if words, ok := tongues[language][text]; ok {
		text = words
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// Day writes a FHIR date or dateTime, of whatever precision, as a person would: "2 March
// 1956", "März 1956", "1956". What is not a date is returned as it is.
func Day(language, fhir string) string {
	if len(fhir) > 10 {
		fhir = fhir[:10]
	}
	if t, err := time.Parse(time.DateOnly, fhir); err == nil {
		return dayOf(language, t)
	}
	if t, err := time.Parse("2006-01", fhir); err == nil {
		return monthOf(language, t) + " " + t.Format("2006")
	}
	return fhir
}

func wordsFor(language string) Plain { return Plain{Language: language} }

func dayOf(language string, t time.Time) string { return wordsFor(language).day(t) }

func monthOf(language string, t time.Time) string {
	return strings.Split(wordsFor(language).say("months"), " ")[t.Month()-1]
}

// momentOf is a day with its time and zone.
func momentOf(language string, t time.Time) string {
	return dayOf(language, t) + t.Format(", 15:04 MST")
}

// t is a text of the letter in its language.
func (l Letter) t(text string, args ...any) string { return In(l.Language, text, args...) }

// language is that of the letter, for what reads it aloud.
func (l Letter) language() string {
	if slices.Contains(Languages(), l.Language) {
		return l.Language
	}
	return "en"
}

// coded are the labels whose values are words of ours.
var coded = []string{"Sex", "Status"}

// lines are those that say something, in the language of the letter.
func (l Letter) lines(all []Line) (said []Line) {
	for _, line := range filled(all) {
		if slices.Contains(coded, line.Label) {
			line.Value = l.t(line.Value)
		}
		line.Label = l.t(line.Label)
		said = append(said, line)
	}
	return said
}

var tongues = map[string]map[string]string{"de": german}

var german = map[string]string{ //nolint:gosec // G101: words, and no credentials
	// words.go
	"Agrees with the original report":                                   "Stimmt mit dem Erstbefund überein",
	"Differs from the original report in a point of lesser importance":  "Weicht vom Erstbefund in einem Punkt von geringerer Bedeutung ab",
	"Differs from the original report in a point that matters for care": "Weicht vom Erstbefund in einem Punkt ab, der für die Behandlung wichtig ist",
	"The reading could not be compared with an original report":         "Der Befund konnte nicht mit einem Erstbefund verglichen werden",
	"No finding that calls for action of its own":                       "Kein Befund, der für sich Handeln verlangt",
	"A finding that needs follow-up, not urgently":                      "Ein Befund, der verfolgt werden sollte, nicht dringend",
	"URGENT: a finding that needs action within hours":                  "DRINGEND: ein Befund, der Handeln innerhalb von Stunden verlangt",
	"EMERGENCY: a finding that needs action within minutes":             "NOTFALL: ein Befund, der Handeln innerhalb von Minuten verlangt",
	"No change expected":              "Keine Änderung zu erwarten",
	"Further examination":             "Weitere Untersuchung",
	"Change of treatment":             "Änderung der Therapie",
	"Change of stage":                 "Änderung des Stadiums",
	"Referral":                        "Überweisung",
	"Not yet reported":                "Noch nicht befundet",
	"Preliminary report, not final":   "Vorläufiger Befund, nicht endgültig",
	"Final report":                    "Endgültiger Befund",
	"Final report with addendum":      "Endgültiger Befund mit Nachtrag",
	"Corrected report":                "Berichtigter Befund",
	"Amended report":                  "Geänderter Befund",
	"Cancelled":                       "Storniert",
	"Entered in error: do not use":    "Irrtümlich erfasst: nicht verwenden",
	"%s, version %d":                  "%s, Version %d",
	"What differs":                    "Was abweicht",
	"Recommendation":                  "Empfehlung",
	"Effect on management":            "Folge für die Behandlung",
	"Urgency":                         "Dringlichkeit",
	"Addendum to version %d of %s":    "Nachtrag zu Version %d vom %s",
	"Addendum":                        "Nachtrag",
	"Reason":                          "Grund",
	"Withdrawn: was version %d of %s": "Zurückgezogen: war Version %d vom %s",
	"Replaces version %d of %s":       "Ersetzt Version %d vom %s",
	"What changed":                    "Was sich geändert hat",
	"Version %d":                      "Version %d",
	"Clinical question":               "Klinische Fragestellung",
	"Original report":                 "Erstbefund",
	"none was available":              "lag nicht vor",
	"Struck through: removed. Underlined: added. Where the text is copied or read aloud, words in brackets say which.": "Durchgestrichen: entfernt. Unterstrichen: hinzugefügt. Wo der Text kopiert oder vorgelesen wird, sagen es Worte in Klammern.",
	"removed:":                               "entfernt:",
	"added:":                                 "hinzugefügt:",
	"What changed, word by word":             "Was sich geändert hat, Wort für Wort",
	"The original report":                    "Der Erstbefund",
	"Versions of this report":                "Versionen dieses Befunds",
	"Signed electronically":                  "Elektronisch unterschrieben",
	"Second opinion report":                  "Zweitbefund",
	"To: ":                                   "An: ",
	"Page %d of %d":                          "Seite %d von %d",
	"Page":                                   "Seite",
	"of":                                     "von",
	"Summary":                                "Zusammenfassung",
	"Change to an earlier version":           "Änderung einer früheren Version",
	"Changes against the version before":     "Änderungen gegenüber der vorigen Version",
	"The reader's own opinion was sealed on": "Die eigene Beurteilung wurde versiegelt am",
	"before the original report was shown":   "bevor der Erstbefund gezeigt wurde",
	"The reader had seen the original report in an emergency before sealing the opinion on %s: it is no independent reading.":  "Der Erstbefund war in einem Notfall schon eingesehen worden, bevor die Beurteilung am %s versiegelt wurde: Es ist keine unabhängige Befundung.",
	"Some letters cannot be printed here and are shown without their accents or as %s. The HTML form of this report is exact.": "Manche Buchstaben lassen sich hier nicht drucken; sie stehen ohne Akzent oder als %s. Die HTML-Form dieses Befunds ist genau.",
	"Some letters cannot be printed here and are shown without their accents or as %s. The HTML form of this pack is exact.":   "Manche Buchstaben lassen sich hier nicht drucken; sie stehen ohne Akzent oder als %s. Die HTML-Form dieser Mappe ist genau.",

	// What is told of findings (finding.go, internal/calls).
	"Cat 3 Non-critical Actionable Finding":                                       "Kategorie 3: Befund mit Handlungsbedarf, nicht kritisch",
	"Cat 2 Urgent Actionable Finding":                                             "Kategorie 2: dringender Befund mit Handlungsbedarf",
	"Cat 1 Emergent Actionable Finding":                                           "Kategorie 1: Notfallbefund mit Handlungsbedarf",
	"It came from another text than the one that is signed, and was let stand%s.": "Er stammt aus einem anderen Text als dem unterschriebenen und wurde aufrechterhalten%s.",
	", by %s":                               ", durch %s",
	" by %s":                                " durch %s",
	"Told to %[1]s %[2]s on %[3]s at %[4]s": "Am %[3]s um %[4]s %[2]s mitgeteilt an %[1]s",
	"Could not reach %[1]s %[2]s on %[3]s at %[4]s": "Am %[3]s um %[4]s %[2]s nicht erreicht: %[1]s",
	"by phone":                    "telefonisch",
	"in person":                   "persönlich",
	"by secure message":           "durch sichere Nachricht",
	", read back":                 ", rückbestätigt",
	", not read back":             ", nicht rückbestätigt",
	"Acknowledged%s on %s at %s.": "Zur Kenntnis genommen%s am %s um %s.",
	"Nobody had been told by word of mouth when this was signed.": "Bei der Unterschrift war noch niemandem mündlich Bescheid gegeben.",

	// Labels and headings that come from outside (fhir/presented.go).
	"Name": "Name", "Born": "Geboren", "Sex": "Geschlecht", "male": "männlich", "female": "weiblich", "other": "divers", "unknown": "unbekannt", "Record number": "Patientennummer",
	"Examination": "Untersuchung", "Made on": "Erstellt am", "Modality": "Modalität", "Body site": "Körperregion", "Accession number": "Accession-Nummer",
	"Technique": "Technik", "Comparison": "Voraufnahmen", "Findings": "Befund", "Impression": "Beurteilung",
	"Report": "Befund", "Issued": "Ausgestellt", "Status": "Stand", "Identifier": "Nummer", "Our number": "Unsere Nummer", "Your order": "Ihr Auftrag", "Study Instance UID": "Study Instance UID",
	"registered": "angelegt", "partial": "teilweise", "preliminary": "vorläufig", "final": "endgültig", "amended": "geändert", "corrected": "berichtigt", "appended": "mit Nachtrag", "cancelled": "storniert", "entered-in-error": "irrtümlich erfasst",
	"Reader": "Befunder", "Second reader": "Zweiter Befunder", "Third reader": "Dritter Befunder", "Supervisor": "Aufsicht",
	"Radiology second opinion": "Radiologische Zweitmeinung", " (with addendum)": " (mit Nachtrag)", " (corrected)": " (berichtigt)", " (amended)": " (geändert)", " (entered in error)": " (irrtümlich erfasst)",

	// The pack of a learning meeting (fhir/pack.go).
	"Learning meeting": "Lernkonferenz",
	"For learning only: no patient, no reader, no score. Quality work product; not to be passed on, and no part of any chart.": "Nur zum Lernen: kein Patient, kein Befunder, keine Note. Unterlage der Qualitätsarbeit; nicht weiterzugeben und kein Teil einer Akte.",
	"Figures of the quarter from %s": "Zahlen des Quartals ab %s", "Case %d: %s": "Fall %d: %s", "Imaging study": "Untersuchung", "Subspecialty": "Teilgebiet", "Age": "Alter",
	"Compared with the original report": "Verglichen mit dem Erstbefund", "Changed for the patient": "Für den Patienten geändert", "Right, as it turned out": "Recht hatte, wie sich zeigte", "Tags": "Schlagwörter",
	"Good call": "Gut gesehen", "the original saw what is easily missed": "der Erstbefund sah, was leicht übersehen wird", "The readings differ": "Die Befunde weichen ab", "Cause": "Ursache", "To be learnt": "Zu lernen",
	"The second reading agrees with the original report": "Die Zweitbefundung stimmt mit dem Erstbefund überein", "The readings differ in a point of lesser importance": "Die Befunde weichen in einem Punkt von geringerer Bedeutung ab",
	"The readings differ in a way that may change management": "Die Befunde weichen so ab, dass sich die Behandlung ändern kann", "The second reading could not be compared with an original report": "Die Zweitbefundung konnte nicht mit einem Erstbefund verglichen werden",
	"No change of management": "Keine Änderung der Behandlung", "Further work-up": "Weitere Abklärung", "Change of staging": "Änderung des Stadiums",
	"none": "ohne Bedeutung", "unimportant": "unwichtig", "important": "wichtig",
	"It was not seen": "Es wurde nicht gesehen", "It was seen and understood otherwise": "Es wurde gesehen und anders gedeutet", "It was understood and not clearly said": "Es wurde verstanden und nicht klar gesagt", "Technique of the images": "Technik der Aufnahmen",
	"missed": "übersehen", "called too little": "zu gering eingeschätzt", "called too much": "zu hoch eingeschätzt", "taken for something else": "für etwas anderes gehalten", "elsewhere": "an anderer Stelle",
	"The first reader lacked earlier examinations": "Dem Erstbefunder fehlten Voraufnahmen", "The first reader lacked the history": "Dem Erstbefunder fehlte die Vorgeschichte", "The first reader lacked the pathology": "Dem Erstbefunder fehlte die Pathologie",
	"perception": "Wahrnehmung", "interpretation": "Deutung", "communication": "Mitteilung", "system": "Ablauf",
	"the first reader": "der Erstbefunder", "the second reader": "der Zweitbefunder", "both": "beide", "neither": "keiner von beiden", "undetermined": "nicht zu klären",
	"by pathology": "nach der Pathologie", "by surgery": "nach der Operation", "by later images": "nach späteren Aufnahmen", "by the laboratory": "nach dem Labor", "by the clinical course": "nach dem Verlauf", "by something else": "nach anderem",
}

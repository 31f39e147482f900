package letter

// plainWords are the sentences of a summary for the patient, by language: short, in
// words that need no dictionary, and nothing that a code does not say. A sentence
// ends in a colon where somebody's own words follow.
var plainWords = map[string]map[string]string{
	"en": {
		"title": "Your second opinion, in plain words",
		"intro": "A second doctor has looked at your images. This page tells you what came of it. It does not replace a talk with your doctor.",
		"name":  "Name", "born": "Born", "exam": "Examination", "made": "Made on",
		"day":    "%[1]d %[2]s %[3]d",
		"months": "January February March April May June July August September October November December",
		"page":   "Page %d of %d",
		"lossy":  "Some letters cannot be printed here and are shown without their accents or as " + string(missing) + ". The page on the screen is exact.",

		"asked":         "What was asked",
		"asked-nothing": "Your doctor asked for a second look at your images.",
		"asked-this":    "Your doctor asked for a second look at your images. This is what they wrote:",

		"found":                      "What the second look found",
		"agreement-agreement":        "The second doctor agrees with the first report.",
		"agreement-minor-difference": "The second doctor sees something differently from the first report. It is a point of lesser importance.",
		"agreement-major-difference": "The second doctor sees something differently from the first report. It may matter for your care.",
		"agreement-no-comparison":    "The second doctor could not compare with a first report.",
		"found-difference":           "This is how the doctor describes what is different:",
		"found-impression":           "This is the summary in the report:",
		"found-note":                 "Reports are written for doctors. If something is not clear to you, please ask.",

		"next":                    "What comes next",
		"actionable-non-critical": "There is something that should be followed up. It is not urgent.",
		"actionable-urgent":       "There is something that needs action within hours. If nobody has talked with you about it yet, call your doctor now.",
		"actionable-emergent":     "There is something that needs action at once. If nobody has talked with you about it yet, call your doctor or the emergency number now.",
		"management-none":         "No change of your care is expected because of this.",
		"management-work-up":      "You may need another examination.",
		"management-treatment":    "Your treatment may change.",
		"management-staging":      "The stage of your illness may be judged differently.",
		"management-referral":     "You may be sent to another specialist.",
		"next-recommended":        "This is what the doctor recommends:",
		"next-together":           "Your doctor will decide with you what to do.",

		"ask":           "Whom to ask",
		"ask-contact":   "If you have a question, please ask:",
		"ask-requester": "If you have a question, please ask the doctor who asked for the second opinion:",
		"ask-anybody":   "If you have a question, please ask the doctor who asked for the second opinion.",

		"who":      "Who looked at your images",
		"who-read": "The second look was done by:",
		"from":     "Made from version %d of the report, signed on %s.",
		"changed":  "The report was changed. Older pages like this one no longer hold.",
		"how":      "Medical words on this page are quoted from your doctors. All other sentences are fixed.",
	},
	"de": {
		"title": "Ihre Zweitmeinung in einfachen Worten",
		"intro": "Eine zweite Ärztin oder ein zweiter Arzt hat Ihre Bilder angesehen. Hier steht, was dabei herauskam. Das ersetzt kein Gespräch mit Ihrer Ärztin oder Ihrem Arzt.",
		"name":  "Name", "born": "Geboren", "exam": "Untersuchung", "made": "Gemacht am",
		"day":    "%[1]d. %[2]s %[3]d",
		"months": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
		"page":   "Seite %d von %d",
		"lossy":  "Manche Buchstaben lassen sich hier nicht drucken; sie stehen ohne Akzent oder als " + string(missing) + ". Die Seite am Bildschirm ist genau.",

		"asked":         "Was gefragt wurde",
		"asked-nothing": "Ihre Ärztin oder Ihr Arzt bat um einen zweiten Blick auf Ihre Bilder.",
		"asked-this":    "Ihre Ärztin oder Ihr Arzt bat um einen zweiten Blick auf Ihre Bilder. So lautet die Frage:",

		"found":                      "Was der zweite Blick ergab",
		"agreement-agreement":        "Der zweite Befund stimmt mit dem ersten überein.",
		"agreement-minor-difference": "Der zweite Befund weicht in einem Punkt vom ersten ab. Der Punkt ist weniger wichtig.",
		"agreement-major-difference": "Der zweite Befund weicht in einem Punkt vom ersten ab. Der Punkt kann für Ihre Behandlung wichtig sein.",
		"agreement-no-comparison":    "Es gab keinen ersten Befund, mit dem verglichen werden konnte.",
		"found-difference":           "So wird der Unterschied beschrieben:",
		"found-impression":           "Das ist die Beurteilung im Befund:",
		"found-note":                 "Befunde werden für Ärzte geschrieben. Wenn Ihnen etwas nicht klar ist, fragen Sie bitte.",

		"next":                    "Wie es weitergeht",
		"actionable-non-critical": "Etwas sollte noch einmal angesehen werden. Es eilt nicht.",
		"actionable-urgent":       "Etwas muss innerhalb von Stunden behandelt werden. Wenn noch niemand mit Ihnen darüber gesprochen hat, rufen Sie jetzt Ihre Ärztin oder Ihren Arzt an.",
		"actionable-emergent":     "Etwas muss sofort behandelt werden. Wenn noch niemand mit Ihnen darüber gesprochen hat, rufen Sie jetzt Ihre Ärztin, Ihren Arzt oder den Notruf an.",
		"management-none":         "Ihre Behandlung ändert sich dadurch voraussichtlich nicht.",
		"management-work-up":      "Vielleicht brauchen Sie noch eine Untersuchung.",
		"management-treatment":    "Vielleicht ändert sich Ihre Behandlung.",
		"management-staging":      "Vielleicht wird das Stadium Ihrer Krankheit anders eingeschätzt.",
		"management-referral":     "Vielleicht werden Sie an eine andere Fachrichtung überwiesen.",
		"next-recommended":        "Das wird empfohlen:",
		"next-together":           "Was zu tun ist, entscheiden Sie mit Ihrer Ärztin oder Ihrem Arzt.",

		"ask":           "Wen Sie fragen können",
		"ask-contact":   "Wenn Sie eine Frage haben, wenden Sie sich bitte an:",
		"ask-requester": "Wenn Sie eine Frage haben, wenden Sie sich bitte an die Stelle, die um die Zweitmeinung bat:",
		"ask-anybody":   "Wenn Sie eine Frage haben, wenden Sie sich bitte an die Stelle, die um die Zweitmeinung bat.",

		"who":      "Wer Ihre Bilder angesehen hat",
		"who-read": "Den zweiten Blick übernahmen:",
		"from":     "Nach Version %d des Befunds, unterschrieben am %s.",
		"changed":  "Der Befund wurde geändert. Ältere Seiten wie diese gelten nicht mehr.",
		"how":      "Medizinische Worte auf dieser Seite sind von Ihren Ärzten übernommen. Alle anderen Sätze sind fest vorgegeben.",
	},
}

package letter

// Brief is what a letter says before anything else, for a page that lists
// several of them: in words, and as lines with labels.
type Brief struct {
	Standing string // "Corrected report, version 2"
	Headline string // how the two readings relate
	Tone     string // calm, caution, alarm or neutral: of the headline
	Haste    string // "" unless somebody must act within hours
	Notice   string // of a version that changed an earlier one; else ""
	Changed  []Line // what and why, below the notice
	Summary  []Line // what differs, what to do, who read it and when
}

// Brief is the beginning of the letter.
func (l Letter) Brief() Brief {
	b := Brief{Standing: l.standing(), Headline: l.agreement().text, Tone: l.agreement().tone.name, Summary: l.summary()}
	if l.inHaste() {
		b.Haste = l.urgency().text
	}
	b.Notice, b.Changed = l.notice()
	b.Changed = filled(b.Changed)
	if l.Status == "entered-in-error" { // what was said is taken back
		b.Headline, b.Tone, b.Haste, b.Summary = l.status().text, l.status().tone.name, "", nil
	}
	return b
}

// StatusText is what a FHIR diagnostic-report-status says to a clinician.
func StatusText(status string) string { return say(statuses, status).text }

package letter

import "fmt"

// tone is how something is emphasised. Colour is never the only sign: the
// words say the same.
type tone struct {
	name       string // class in HTML
	ink, paper rgb
}

type rgb struct{ r, g, b int }

func (c rgb) String() string { return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b) }

var (
	black = rgb{0x1a, 0x1f, 0x26}
	grey  = rgb{0x55, 0x5f, 0x6b}
	white = rgb{0xff, 0xff, 0xff}
	rule  = rgb{0xc4, 0xcb, 0xd3}

	calm    = tone{"calm", rgb{0x17, 0x5c, 0x3a}, rgb{0xee, 0xf6, 0xf1}}
	caution = tone{"caution", rgb{0x85, 0x4a, 0x00}, rgb{0xfd, 0xf5, 0xe8}}
	alarm   = tone{"alarm", rgb{0x9c, 0x1a, 0x1a}, rgb{0xfc, 0xf0, 0xf0}}
	neutral = tone{"neutral", rgb{0x2c, 0x4a, 0x6b}, rgb{0xf0, 0xf4, 0xf8}}
)

// phrase is what a code says to a clinician.
type phrase struct {
	text string
	tone tone
}

var agreements = map[string]phrase{
	"agreement":        {"Agrees with the original report", calm},
	"minor-difference": {"Differs from the original report in a point of lesser importance", caution},
	"major-difference": {"Differs from the original report in a point that matters for care", alarm},
	"no-comparison":    {"The reading could not be compared with an original report", neutral},
}

var urgencies = map[string]phrase{
	"":             {"", neutral},
	"none":         {"No finding that calls for action of its own", neutral},
	"non-critical": {"A finding that needs follow-up, not urgently", caution},
	"urgent":       {"URGENT: a finding that needs action within hours", alarm},
	"emergent":     {"EMERGENCY: a finding that needs action within minutes", alarm},
}

var managements = map[string]string{
	"":          "",
	"none":      "No change expected",
	"work-up":   "Further examination",
	"treatment": "Change of treatment",
	"staging":   "Change of stage",
	"referral":  "Referral",
}

var statuses = map[string]phrase{
	"registered":       {"Not yet reported", caution},
	"preliminary":      {"Preliminary report, not final", caution},
	"final":            {"Final report", neutral},
	"appended":         {"Final report with addendum", caution},
	"corrected":        {"Corrected report", caution},
	"amended":          {"Amended report", caution},
	"cancelled":        {"Cancelled", alarm},
	"entered-in-error": {"Entered in error: do not use", alarm},
}

// say looks a code up; a code that is not in the table speaks for itself.
func say(table map[string]phrase, code string) phrase {
	if p, ok := table[code]; ok {
		return p
	}
	return phrase{code, neutral}
}

func (l Letter) agreement() phrase { return l.in(say(agreements, l.Agreement)) }
func (l Letter) urgency() phrase   { return l.in(say(urgencies, l.Actionable)) }
func (l Letter) status() phrase    { return l.in(say(statuses, l.Status)) }

func (l Letter) in(p phrase) phrase { return phrase{l.t(p.text), p.tone} }

// standing is the status with the version: "Corrected report, version 2".
func (l Letter) standing() string { return l.t("%s, version %d", l.status().text, l.Number) }

// inHaste tells whether the urgency belongs above everything else.
func (l Letter) inHaste() bool { return l.urgency().tone == alarm }

// summary is the box that is read first, below its headline.
func (l Letter) summary() []Line {
	management, ok := managements[l.Management]
	if !ok {
		management = l.Management
	}
	lines := []Line{
		{"What differs", l.Difference},
		{"Recommendation", l.Recommendation},
		{"Effect on management", l.t(management)},
	}
	if !l.inHaste() {
		lines = append(lines, Line{"Urgency", l.urgency().text})
	}
	for _, s := range l.Signatures {
		lines = append(lines, Line{s.Role, s.Name + ", " + l.moment(s.At)})
	}
	return l.lines(lines)
}

// notice says, for a version that changed an earlier one, what and why.
func (l Letter) notice() (title string, lines []Line) {
	change, ok := l.change()
	if !ok {
		return "", nil
	}
	before := l.History[len(l.History)-2]
	title, lines = "Replaces version %d of %s", []Line{{"What changed", change.Text}, {"Reason", change.Reason}}
	switch change.Status {
	case "appended":
		title, lines[0].Label = "Addendum to version %d of %s", "Addendum"
	case "entered-in-error":
		title, lines = "Withdrawn: was version %d of %s", []Line{{"Reason", change.Reason}, {"", change.Text}}
	}
	return l.t(title, before.Number, l.moment(before.At)), l.lines(lines)
}

// history is the list of versions, once there is more than one.
func (l Letter) history() []Line {
	if len(l.History) < 2 {
		return nil
	}
	var lines []Line
	for _, v := range l.History {
		text := l.t(say(statuses, v.Status).text) + ", " + l.moment(v.At)
		if v.By != "" {
			text += ", " + v.By
		}
		if v.Reason != "" {
			text += ". " + l.t("Reason") + ": " + v.Reason
		}
		if v.Text != "" {
			text += "\n" + v.Text
		}
		lines = append(lines, Line{l.t("Version %d", v.Number), text})
	}
	return lines
}

// sections are the body of the report, without the empty ones.
func (l Letter) sections() []Section {
	all := append([]Section{{"Clinical question", l.Question}}, l.Sections...)
	for _, f := range l.Told {
		all = append(all, f.Section(l.Language, l.zone()))
	}
	var kept []Section
	for _, s := range all {
		if s.Text != "" {
			kept = append(kept, Section{l.t(s.Heading), s.Text})
		}
	}
	return kept
}

// original is the identity of the report that was read a second time.
func (l Letter) original() []Line {
	if len(filled(l.Original)) == 0 {
		return []Line{{l.t("Original report"), l.t("none was available")}}
	}
	return l.lines(l.Original)
}

// sealed tells how independent the second reading was.
func (l Letter) sealed() string {
	if l.SealedAt.IsZero() {
		return ""
	}
	if l.Unveiled {
		return l.t("The reader had seen the original report in an emergency before sealing the opinion on %s: it is no independent reading.", l.moment(l.SealedAt))
	}
	text := l.t("The reader's own opinion was sealed on") + " " + l.moment(l.SealedAt)
	if len(filled(l.Original)) > 0 {
		text += ", " + l.t("before the original report was shown")
	}
	return text + "."
}

func filled(lines []Line) []Line {
	var kept []Line
	for _, line := range lines {
		if line.Value != "" {
			kept = append(kept, line)
		}
	}
	return kept
}

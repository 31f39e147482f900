package letter

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"
)

// Plain is a summary of a signed report for the patient, in plain words. What it
// says of medicine was either written by a human, and is then quoted as it is, or
// follows from a code by a fixed wording (plainwords.go). Nothing is invented, and
// nothing of what people wrote is put into other words.
type Plain struct {
	Language string // one of PlainLanguages
	From     Party  // the service that gave the second opinion
	Name     string // the patient's
	Born     string // a FHIR date, of whatever precision
	Exam     string
	Made     string // when the examination was made, a FHIR date or dateTime

	Number  int // version of the report
	Changed bool
	Signed  time.Time

	Question       string // in the words of the order
	Agreement      string // codes, as in a Letter
	Management     string
	Actionable     string
	Difference     string // in the words of who signed
	Impression     string
	Recommendation string

	Requester string   // who asked for it, by name; ""
	Contact   string   // whom to ask, in the hospital's words; "": the requester
	Readers   []string // who has read and signed; empty where they are not named

	Zone  *time.Location
	Paper string
}

// PlainLanguages are those that a summary can be written in, as in BCP 47.
func PlainLanguages() []string { return slices.Sorted(maps.Keys(plainWords)) }

// plainPart is a part of it: sentences of ours, and what people wrote.
type plainPart struct {
	Heading string
	Said    []plainSaid
}

// plainSaid is a sentence of ours, with the words of somebody after it.
type plainSaid struct{ Text, Quote string }

func (p Plain) words() map[string]string {
	if words, ok := plainWords[p.Language]; ok {
		return words
	}
	return plainWords["en"]
}

func (p Plain) say(key string, args ...any) string {
	if len(args) == 0 {
		return p.words()[key]
	}
	return fmt.Sprintf(p.words()[key], args...)
}

// day is a date as the language writes it.
func (p Plain) day(t time.Time) string {
	month := strings.Split(p.say("months"), " ")[t.Month()-1]
	return p.say("day", t.Day(), month, t.Year())
}

// fhirDay is the day of a FHIR date or dateTime, "" for one that names no day.
func (p Plain) fhirDay(text string) string {
	if len(text) > 10 {
		text = text[:10]
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return ""
	}
	return p.day(t)
}

func (p Plain) signed() string {
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	return p.day(p.Signed.In(zone))
}

// facts are whom and what it is about.
func (p Plain) facts() []Line {
	return filled([]Line{
		{p.say("name"), p.Name}, {p.say("born"), p.fhirDay(p.Born)}, {p.say("exam"), p.Exam}, {p.say("made"), p.fhirDay(p.Made)},
	})
}

// parts are what it says, in the order in which a patient asks.
func (p Plain) parts() []plainPart {
	asked := plainPart{p.say("asked"), []plainSaid{{p.say("asked-nothing"), ""}}}
	if p.Question != "" {
		asked.Said = []plainSaid{{p.say("asked-this"), p.Question}}
	}
	found := plainPart{Heading: p.say("found")}
	found.add(p.say("agreement-"+p.Agreement), "")
	found.quote(p.say("found-difference"), p.Difference)
	found.quote(p.say("found-impression"), p.Impression)
	found.add(p.say("found-note"), "")

	next := plainPart{Heading: p.say("next")}
	next.add(p.say("actionable-"+p.Actionable), "")
	next.add(p.say("management-"+p.Management), "")
	next.quote(p.say("next-recommended"), p.Recommendation)
	next.add(p.say("next-together"), "")

	ask := plainPart{Heading: p.say("ask")}
	switch {
	case p.Contact != "":
		ask.add(p.say("ask-contact"), p.Contact)
	case p.Requester != "":
		ask.add(p.say("ask-requester"), p.Requester)
	default:
		ask.add(p.say("ask-anybody"), "")
	}
	parts := []plainPart{asked, found, next, ask}
	if len(p.Readers) > 0 {
		parts = append(parts, plainPart{p.say("who"), []plainSaid{{p.say("who-read"), strings.Join(p.Readers, "\n")}}})
	}
	return parts
}

// add says a sentence; one that there is no wording for is left out.
func (part *plainPart) add(text, quote string) {
	if text != "" {
		part.Said = append(part.Said, plainSaid{text, quote})
	}
}

// quote says what somebody wrote, if they did.
func (part *plainPart) quote(text, quote string) {
	if quote != "" {
		part.add(text, quote)
	}
}

// from is which report it was made from.
func (p Plain) from() string {
	text := p.say("from", p.Number, p.signed())
	if p.Changed {
		text += " " + p.say("changed")
	}
	return text
}

//go:embed plain.html
var plainPage string

var plainTemplate = template.Must(template.New("plain").Parse(plainPage))

// HTML is the summary as one page that needs nothing else. Every value is escaped.
func (p Plain) HTML() []byte {
	language := p.Language
	if plainWords[language] == nil {
		language = "en"
	}
	paper := "A4"
	if p.Paper == "Letter" {
		paper = p.Paper
	}
	var out bytes.Buffer
	if err := plainTemplate.Execute(&out, map[string]any{
		"Language": language, "Paper": template.CSS(paper), "From": p.From, "Title": p.say("title"), "Intro": p.say("intro"), "Facts": p.facts(), "Parts": p.parts(),
		"Made": p.from(), "How": p.say("how"), "Alarm": p.Actionable == "urgent" || p.Actionable == "emergent",
	}); err != nil {
		panic(err) // the template and the data are both ours; a buffer never fails
	}
	return out.Bytes()
}

// PDF is the summary on paper, in large letters. The same summary gives the same
// bytes. It returns an error only where the PDF library does, which is a fault of ours.
func (p Plain) PDF() ([]byte, error) { return proved(p.print) }

func (p Plain) print(before proof) proof {
	text := style{"", 12, 6.6, black}
	paper := "A4"
	if p.Paper == "Letter" {
		paper = p.Paper
	}
	s := newSheet(paper, p.say("title"), p.Signed)
	s.pdf.SetLang(p.Language)
	s.top = func() {}
	s.foot = func(page int) {
		s.put(s.left(), s.height-footRoom+7.5, s.inner(), small, "R", p.say("page", page, before.pages))
	}
	s.newPage()
	s.text(p.From.Name, style{"B", 11, 5.6, neutral.ink})
	s.y += 3
	s.text(p.say("title"), style{"B", 20, 9.5, black})
	s.y += 2
	s.text(p.say("intro"), text)
	if before.lossy {
		s.y++
		s.text(p.say("lossy"), italic)
	}
	s.y += 4
	s.facts(p.facts(), style{"", 11, 6, grey}, style{"", 12, 6, black})
	for _, part := range p.parts() {
		s.y += 4
		s.heading(part.Heading, 3*text.leading)
		for _, said := range part.Said {
			s.y++
			s.text(said.Text, text)
			if said.Quote != "" {
				s.y++
				s.text(said.Quote, style{"I", 12, 6.6, black})
			}
		}
	}
	s.y += 6
	s.text(p.from(), small)
	s.text(p.say("how"), small)
	return s.proof()
}

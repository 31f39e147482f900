package letter

import (
	"bytes"
	_ "embed"
	"html/template"
)

//go:embed letter.html
var page string

// tones are colours from the tables of this package, never from the letter;
// so they may stand in a style sheet.
var pageTemplate = template.Must(template.New("letter").
	Funcs(template.FuncMap{"t": In, "tones": func() []toneCSS {
		var all []toneCSS
		for _, t := range []tone{calm, caution, alarm, neutral} {
			all = append(all, toneCSS{template.CSS(t.name), template.CSS(t.ink.String()), template.CSS(t.paper.String())})
		}
		return all
	}}).
	Parse(page))

type toneCSS struct{ Name, Ink, Paper template.CSS }

// view is a Letter as the page shows it: words instead of codes.
type view struct {
	Letter
	Paper                template.CSS
	Standing, StatusTone string
	Date                 string
	Notice               string
	NoticeLines          []Line
	Haste                string
	Headline, Tone       string
	Summary              []Line
	Body                 []Section
	OriginalLines        []Line
	HistoryLines         []Line
	ChangedTitle         string
	ChangedLegend        string
	Lang                 string
	Counted              template.CSS // page of pages
	Signed               []signed
	Sealed               string
}

type signed struct {
	Signature
	When string
}

// HTML is the letter as one page that needs nothing else: no script, no link,
// no picture. Every value is escaped.
func (l Letter) HTML() []byte {
	v := view{
		Letter:        l,
		Paper:         template.CSS(l.paper()),
		Standing:      l.standing(),
		StatusTone:    l.status().tone.name,
		Date:          l.moment(l.signedAt()),
		Headline:      l.agreement().text,
		Tone:          l.agreement().tone.name,
		Summary:       l.summary(),
		Body:          l.sections(),
		OriginalLines: l.original(),
		HistoryLines:  l.history(),
		ChangedTitle:  l.t(changedTitle),
		ChangedLegend: l.t(changedLegend),
		Lang:          l.language(),
		Counted:       template.CSS(`"` + l.t("Page") + ` " counter(page) " ` + l.t("of") + ` " counter(pages)`),
		Sealed:        l.sealed(),
	}
	v.Notice, v.NoticeLines = l.notice()
	if l.inHaste() {
		v.Haste = l.urgency().text
	}
	v.Patient, v.Study, v.Identifiers = l.lines(l.Patient), l.lines(l.Study), l.lines(l.Identifiers)
	for _, s := range l.Signatures {
		s.Role = l.t(s.Role)
		v.Signed = append(v.Signed, signed{s, l.moment(s.At)})
	}
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, v); err != nil {
		panic(err) // the template and the data are both ours; a buffer never fails
	}
	return out.Bytes()
}

// paper is the size of the sheet: A4, or Letter where that is asked for.
func (l Letter) paper() string {
	if l.Paper == "Letter" {
		return "Letter"
	}
	return "A4"
}

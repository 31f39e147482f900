package letter

import (
	"bytes"
	"cmp"
	_ "embed"
	"html/template"
	"time"
)

// Pack is the cases of a learning meeting on paper. It names no patient and no
// reader, and has no score; whoever fills it sees to that.
type Pack struct {
	Language string // of its own words, as Letter.Language; "" is English
	Title    string
	Note     string // what it is, on its first page
	Made     time.Time
	Cases    []PackCase
}

// Head is what stands on each page.
func (p Pack) Head() string { return In(p.Language, "Learning meeting") }

// Lang is the language for what reads the pack aloud.
func (p Pack) Lang() string { return cmp.Or(p.Language, "en") }

// PackCase is one case of it.
type PackCase struct {
	Heading  string // "Case 1: CT chest"
	Facts    []Line
	Sections []Section
}

//go:embed pack.html
var packPage string

var packTemplate = template.Must(template.New("pack").Parse(packPage))

// HTML is the pack as one page that needs nothing else. Every value is escaped.
func (p Pack) HTML() []byte {
	for i := range p.Cases {
		p.Cases[i].Facts = filled(p.Cases[i].Facts)
	}
	var out bytes.Buffer
	if err := packTemplate.Execute(&out, p); err != nil {
		panic(err) // the template and the data are both ours; a buffer never fails
	}
	return out.Bytes()
}

// PDF is the pack on paper, the same bytes for the same pack. It returns an error
// only where the PDF library does, which is a fault of ours.
func (p Pack) PDF() ([]byte, error) { return proved(p.print) }

func (p Pack) print(before proof) proof {
	s := newSheet("A4", p.Head(), p.Made)
	s.top = func() { s.put(s.left(), margin-4, s.inner(), small, "L", p.Head()) }
	s.foot = func(page int) {
		s.put(s.left(), s.height-footRoom+7.5, s.inner(), small, "R", In(p.Language, "Page %d of %d", page, before.pages))
	}
	s.newPage()
	s.text(p.Title, style{"B", 18, 8.5, black})
	s.y++
	s.text(p.Note, italic)
	if before.lossy {
		s.y++
		s.text(In(p.Language, lostInPack, string(missing)), italic)
	}
	for _, c := range p.Cases {
		s.y += 3
		s.heading(c.Heading, 3*plain.leading)
		s.facts(filled(c.Facts), label, plain)
		for _, section := range c.Sections {
			s.room(2*plain.leading + 2)
			s.y += 2
			s.text(section.Heading, bold)
			s.text(section.Text, plain)
		}
	}
	return s.proof()
}

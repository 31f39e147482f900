package letter

import (
	"strings"
	"time"

	"codeberg.org/go-pdf/fpdf"
)

// Millimetres on the page.
const (
	margin   = 20.0
	topNext  = 27.0 // where text begins on the second page and after
	footRoom = 22.0
	padding  = 4.0 // inside a box
	barWidth = 1.6 // left of a box
)

// style is how text looks; size in points, leading (line height) in
// millimetres.
type style struct {
	face    string // "", "B", "I"
	size    float64
	leading float64
	color   rgb
}

var (
	plain   = style{"", 10, 5, black}
	bold    = style{"B", 10, 5, black}
	italic  = style{"I", 9, 4.5, grey}
	label   = style{"", 9, 5, grey}
	small   = style{"", 8, 4, grey}
	heading = style{"B", 11, 5.6, neutral.ink}
)

// sheet is the paper, with a pen that moves down and turns the page.
type sheet struct {
	pdf           *fpdf.Fpdf
	printer       printer
	width, height float64 // of the paper
	y             float64
	top           func() // what stands at the head of a page from the second on
	foot          func(page int)
}

// newSheet is a document without a page yet. The same title and time make the same
// bytes.
func newSheet(paper, title string, made time.Time) *sheet {
	pdf := fpdf.New("P", "mm", paper, "")
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(made.UTC())
	pdf.SetModificationDate(made.UTC())
	pdf.SetTitle(title, true)
	pdf.SetProducer("Overread", true)
	pdf.SetCreator("Overread", true)
	pdf.SetLang("en")
	pdf.SetAutoPageBreak(false, 0)
	pdf.SetCellMargin(0)
	for _, face := range []string{"", "B", "I"} {
		pdf.AddUTF8FontFromBytes("Go", face, faces[face])
	}
	s := &sheet{pdf: pdf}
	s.width, s.height = pdf.GetPageSize()
	return s
}

// proof is the document as it was printed.
func (s *sheet) proof() proof { return proof{s.pdf, s.pdf.PageNo(), s.printer.lossy} }

// What a document says in which letters were replaced.
const (
	lostInReport = "Some letters cannot be printed here and are shown without their accents or as %s. The HTML form of this report is exact."
	lostInPack   = "Some letters cannot be printed here and are shown without their accents or as %s. The HTML form of this pack is exact."
)

func (s *sheet) left() float64  { return margin }
func (s *sheet) inner() float64 { return s.width - 2*margin }

// newPage turns the page.
func (s *sheet) newPage() {
	s.pdf.AddPage()
	page := s.pdf.PageNo()
	s.foot(page)
	s.y = margin
	if page > 1 {
		s.top()
		s.y = topNext
	}
}

// room turns the page unless so much of it is left.
func (s *sheet) room(height float64) {
	if s.y+height > s.height-footRoom {
		s.newPage()
	}
}

func (s *sheet) use(st style) {
	s.pdf.SetFont("Go", st.face, st.size)
	s.pdf.SetTextColor(st.color.r, st.color.g, st.color.b)
}

// put writes one line; y is its upper edge. align is L or R.
func (s *sheet) put(x, y, w float64, st style, align, text string) {
	s.use(st)
	s.pdf.SetXY(x, y)
	s.pdf.CellFormat(w, st.leading, text, "", 0, align+"M", false, 0, "")
}

// wrap breaks text into lines no wider than w: at spaces, and inside a word
// that is wider than a line.
func (s *sheet) wrap(text string, w float64, st style) []string {
	s.use(st)
	var lines []string
	for paragraph := range strings.SplitSeq(strings.TrimRight(s.printer.clean(text), "\n "), "\n") {
		line := ""
		for word := range strings.FieldsSeq(paragraph) {
			if joined := strings.TrimLeft(line+" "+word, " "); s.fits(joined, w) {
				line = joined
				continue
			}
			if line != "" {
				lines = append(lines, line)
			}
			var full []string
			full, line = s.cut(word, w)
			lines = append(lines, full...)
		}
		lines = append(lines, line)
	}
	return lines
}

func (s *sheet) fits(text string, w float64) bool { return s.pdf.GetStringWidth(text) <= w }

// cut breaks a word into full lines and what remains of it.
func (s *sheet) cut(word string, w float64) (full []string, rest string) {
	for _, r := range word {
		if rest != "" && !s.fits(rest+string(r), w) {
			full, rest = append(full, rest), ""
		}
		rest += string(r)
	}
	return full, rest
}

// text writes paragraphs over the whole width. An empty line is half a line.
func (s *sheet) text(text string, st style) {
	for _, line := range s.wrap(text, s.inner(), st) {
		if line == "" {
			s.y += st.leading / 2
			continue
		}
		s.room(st.leading)
		s.put(s.left(), s.y, s.inner(), st, "L", line)
		s.y += st.leading
	}
}

// section writes a heading and its text, and never leaves the heading alone
// at the foot of a page.
func (s *sheet) section(title, text string) {
	s.heading(title, 2*plain.leading)
	s.text(text, plain)
}

func (s *sheet) heading(title string, follows float64) {
	s.room(3 + heading.leading + 0.6 + follows)
	s.y += 3
	s.put(s.left(), s.y, s.inner(), heading, "L", s.printer.clean(title))
	s.y += heading.leading + 0.6
}

// row is a label and the lines of its value, ready to be written.
type row struct {
	label string
	lines []string
	style style // of the value
}

// rows prepares facts for a column of this width.
func (s *sheet) rows(lines []Line, labelWidth, w float64, st style) []row {
	var rows []row
	for _, l := range lines {
		rows = append(rows, row{s.printer.clean(l.Label), s.wrap(l.Value, w-labelWidth, st), st})
	}
	return rows
}

// labelWidth is the room that the longest label needs.
func (s *sheet) labelWidth(lines []Line, st style) float64 {
	s.use(st)
	widest := 0.0
	for _, l := range lines {
		widest = max(widest, s.pdf.GetStringWidth(s.printer.clean(l.Label)))
	}
	return min(widest+5, 50)
}

// facts writes labels and values over the whole width.
func (s *sheet) facts(lines []Line, labels, values style) {
	w := s.labelWidth(lines, labels)
	for _, r := range s.rows(lines, w, s.inner(), values) {
		for i, line := range r.lines {
			s.room(values.leading)
			if i == 0 {
				s.put(s.left(), s.y, w, labels, "L", r.label)
			}
			s.put(s.left()+w, s.y, s.inner()-w, values, "L", line)
			s.y += values.leading
		}
	}
}

// columns writes two lists of facts side by side.
func (s *sheet) columns(a, b []Line) {
	const gutter = 8.0
	w := (s.inner() - gutter) / 2
	start, end, page := s.y, s.y, s.pdf.PageNo()
	for i, lines := range [][]Line{a, b} {
		x, labels := s.left()+float64(i)*(w+gutter), s.labelWidth(lines, label)
		if s.pdf.PageNo() == page {
			s.y = start
		}
		for _, r := range s.rows(lines, labels, w, plain) {
			for j, line := range r.lines {
				s.room(plain.leading)
				if j == 0 {
					s.put(x, s.y, labels, label, "L", r.label)
				}
				s.put(x+labels, s.y, w-labels, plain, "L", line)
				s.y += plain.leading
			}
		}
		if s.pdf.PageNo() > page {
			end, page = s.y, s.pdf.PageNo()
		}
		end = max(end, s.y)
	}
	s.y = end
}

// box writes a headline and facts on a tinted ground with a bar at its left.
// It is painted line by line, so that it may go on over the page.
func (s *sheet) box(t tone, headline string, lines []Line) {
	title := style{"B", 13, 6.4, t.ink}
	w := s.inner() - 2*padding - barWidth
	labels := s.labelWidth(lines, bold)
	heads := s.wrap(headline, w, title)
	rows := s.rows(lines, labels, w, plain)

	height := 2*padding + float64(len(heads))*title.leading
	for _, r := range rows {
		height += float64(len(r.lines))*plain.leading + 0.8
	}
	if height < s.height-topNext-footRoom { // keep it together where a page can hold it
		s.room(height)
	}
	x := s.left() + barWidth + padding
	s.ground(t, padding)
	for _, line := range heads {
		s.room(title.leading)
		y := s.ground(t, title.leading)
		s.put(x, y, w, title, "L", line)
	}
	for _, r := range rows {
		s.ground(t, 0.8)
		for i, line := range r.lines {
			s.room(plain.leading)
			y := s.ground(t, plain.leading)
			if i == 0 {
				s.put(x, y, labels, bold, "L", r.label)
			}
			s.put(x+labels, y, w-labels, r.style, "L", line)
		}
	}
	s.ground(t, padding)
}

// ground paints a strip of a box, moves below it, and returns its upper edge.
func (s *sheet) ground(t tone, height float64) float64 {
	const overlap = 0.1 // else a hair of white shows between two strips
	s.fill(t.paper, s.left(), s.y, s.inner(), height+overlap)
	s.fill(t.ink, s.left(), s.y, barWidth, height+overlap)
	y := s.y
	s.y += height
	return y
}

func (s *sheet) fill(c rgb, x, y, w, h float64) {
	s.pdf.SetFillColor(c.r, c.g, c.b)
	s.pdf.Rect(x, y, w, h, "F")
}

func (s *sheet) line(c rgb, thick, y float64) {
	s.fill(c, s.left(), y, s.inner(), thick)
}

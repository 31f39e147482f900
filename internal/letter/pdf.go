package letter

import (
	"bytes"
	"fmt"

	"codeberg.org/go-pdf/fpdf"
)

// PDF is the letter on paper. The same letter gives the same bytes. It returns
// an error only where the PDF library does, which is a fault of ours.
func (l Letter) PDF() ([]byte, error) { return proved(l.print) }

// proof is a printed document.
type proof struct {
	pdf   *fpdf.Fpdf
	pages int
	lossy bool // a letter was replaced
}

// proved prints twice: only the first printing tells how many pages there are and
// whether the fonts have every letter, and the first page says both.
func proved(print func(before proof) proof) ([]byte, error) {
	second := print(print(proof{}))
	var out bytes.Buffer
	if err := second.pdf.Output(&out); err != nil {
		return nil, fmt.Errorf("letter: %w", err)
	}
	return out.Bytes(), nil
}

func (l Letter) print(before proof) proof {
	s := newSheet(l.paper(), l.t("Second opinion report"), l.signedAt()) // no name: titles show in lists and tabs
	s.pdf.SetLang(l.language())
	s.pdf.SetDisplayMode("default", "continuous")
	s.top = func() { l.runningHead(s) }
	s.foot = func(page int) { l.foot(s, page, before.pages) }
	l.write(s, before.lossy)
	return s.proof()
}

// write is the letter from top to bottom.
func (l Letter) write(s *sheet, lossy bool) {
	s.newPage()
	l.writeHead(s)
	if lossy {
		s.y++
		s.text(l.t(lostInReport, string(missing)), italic)
	}
	if title, lines := l.notice(); title != "" {
		s.y += 4
		s.box(caution, title, lines)
	}
	l.writeFacts(s)
	l.writeSummary(s)
	for _, section := range l.sections() {
		s.section(section.Heading, section.Text)
	}
	s.heading(l.t("The original report"), 2*plain.leading)
	s.facts(l.original(), label, plain)
	l.writeChanges(s)
	if lines := l.history(); len(lines) > 0 {
		s.heading(l.t("Versions of this report"), 2*plain.leading)
		s.facts(lines, label, plain)
	}
	l.writeSignatures(s)
	l.writeIdentifiers(s)
}

// writeHead is the head of the first page: who writes, to whom, about what.
func (l Letter) writeHead(s *sheet) {
	name := style{"B", 14, 6.5, neutral.ink}
	half := s.inner() / 2
	right, y := s.left()+half, s.y
	for _, line := range s.wrap(l.From.Name, half, name) {
		s.put(s.left(), s.y, half, name, "L", line)
		s.y += name.leading
	}
	for _, line := range l.From.Lines {
		for _, part := range s.wrap(line, half, small) {
			s.put(right, y, half, small, "R", part)
			y += small.leading
		}
	}
	s.y = max(s.y, y) + 2
	s.line(neutral.ink, 0.6, s.y)
	s.y += 5

	y = s.y
	s.put(right, y, half, plain, "R", l.moment(l.signedAt()))
	if l.To.Name != "" {
		for _, line := range s.wrap(l.t("To: ")+l.To.Name, half, bold) {
			s.put(s.left(), s.y, half, bold, "L", line)
			s.y += bold.leading
		}
	}
	for _, line := range l.To.Lines {
		for _, part := range s.wrap(line, half, plain) {
			s.put(s.left(), s.y, half, plain, "L", part)
			s.y += plain.leading
		}
	}
	s.y = max(s.y, y+plain.leading) + 5

	s.text(l.t("Second opinion report"), style{"B", 18, 8.5, black})
	s.text(l.Exam, style{"", 12, 6, black})
	s.y++
	s.text(l.standing(), style{"B", 10, 5, l.status().tone.ink})
}

// writeFacts is the patient on the left and the examination on the right.
func (l Letter) writeFacts(s *sheet) {
	s.y += 4
	s.line(rule, 0.25, s.y)
	s.y += 2
	s.columns(l.lines(l.Patient), l.lines(l.Study))
	s.y += 2
	s.line(rule, 0.25, s.y)
	s.y += 5
}

// writeSummary is what is read first.
func (l Letter) writeSummary(s *sheet) {
	if l.inHaste() {
		loud := style{"B", 12, 6, white}
		for _, line := range s.wrap(l.urgency().text, s.inner()-2*padding, loud) {
			s.room(12)
			s.fill(alarm.ink, s.left(), s.y, s.inner(), 10.1)
			s.put(s.left()+padding+barWidth, s.y+2, s.inner()-2*padding, loud, "L", line)
			s.y += 10
		}
	}
	s.box(l.agreement().tone, l.agreement().text, l.summary())
	s.y++
}

func (l Letter) writeSignatures(s *sheet) {
	s.heading(l.t("Signed electronically"), 3*plain.leading)
	for _, sig := range l.Signatures {
		who := sig.Name
		if sig.Qualification != "" {
			who += ", " + sig.Qualification
		}
		s.room(2*plain.leading + 2)
		s.text(who, bold)
		s.text(l.t(sig.Role)+", "+l.moment(sig.At), plain)
		s.y += 2
	}
	if sealed := l.sealed(); sealed != "" {
		s.text(sealed, italic)
	}
}

func (l Letter) writeIdentifiers(s *sheet) {
	lines := l.lines(l.Identifiers)
	s.room(6 + float64(len(lines))*small.leading)
	s.y += 3
	s.line(rule, 0.25, s.y)
	s.y += 2
	s.facts(lines, small, small)
}

// runningHead says on every later page whose letter it is.
func (l Letter) runningHead(s *sheet) {
	y := margin - 4
	s.put(s.left(), y, s.inner(), small, "L", l.t("Second opinion report"))
	s.put(s.left(), y, s.inner(), small, "R", s.oneLine(l.PatientInBrief, s.inner()-45))
	s.line(rule, 0.25, y+small.leading+1)
}

func (l Letter) foot(s *sheet, page, pages int) {
	y := s.height - footRoom + 6
	s.line(rule, 0.25, y)
	s.put(s.left(), y+1.5, s.inner(), small, "L", s.oneLine(l.From.Name, 70)+" – "+l.standing())
	s.put(s.left(), y+1.5, s.inner(), small, "R", l.t("Page %d of %d", page, pages))
}

// oneLine shortens text to a width, in the small style.
func (s *sheet) oneLine(text string, w float64) string {
	lines := s.wrap(text, w, small)
	if len(lines) > 1 {
		return lines[0] + " …"
	}
	return lines[0]
}

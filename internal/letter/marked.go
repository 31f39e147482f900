package letter

import (
	"encoding/binary"
	"encoding/hex"
	"strings"
	"unicode/utf16"
)

// Words that were removed or added, on paper: the ones struck through, the others
// underlined, so that nobody needs to see colours.

var (
	removed = style{"S", plain.size, plain.leading, alarm.ink}
	added   = style{"U", plain.size, plain.leading, calm.ink}
)

func (r Run) style() style {
	switch {
	case r.Removed:
		return removed
	case r.Added:
		return added
	}
	return plain
}

// writeChanges is what this version changed, section by section.
func (l Letter) writeChanges(s *sheet) {
	if len(l.Changes) == 0 {
		return
	}
	s.heading(l.t(changedTitle), 3*plain.leading)
	s.text(l.t(changedLegend), italic)
	var labels []Line
	for _, c := range l.Changes {
		labels = append(labels, Line{Label: l.t(c.Heading)})
	}
	w := s.labelWidth(labels, label)
	for i, c := range l.Changes {
		for n, line := range s.wrapRuns(c.Runs, s.inner()-w) {
			s.room(plain.leading)
			if n == 0 {
				s.put(s.left(), s.y, w, label, "L", s.printer.clean(labels[i].Label))
			}
			s.putRuns(s.left()+w, line, l.t)
			s.y += plain.leading
		}
	}
}

// wrapRuns breaks runs into lines no wider than w, as wrap does with text. Blanks stay with
// the word before them.
func (s *sheet) wrapRuns(runs []Run, w float64) (lines [][]Run) {
	s.use(plain) // the others are as wide
	var line []Run
	var width float64
	turn := func() { lines, line, width = append(lines, line), nil, 0 }
	add := func(r Run, text string) {
		r.Text = text
		line, width = append(line, r), width+s.pdf.GetStringWidth(text)
	}
	for _, r := range runs {
		for i, paragraph := range strings.Split(s.printer.clean(r.Text), "\n") {
			if i > 0 {
				turn()
			}
			for part := range strings.SplitAfterSeq(paragraph, " ") {
				word := strings.TrimRight(part, " ")
				if word == "" && len(line) == 0 {
					continue // no line begins with a blank
				}
				if len(line) > 0 && width+s.pdf.GetStringWidth(word) > w {
					turn()
				}
				full, rest := s.cut(word, w)
				for _, piece := range full {
					add(r, piece)
					turn()
				}
				add(r, rest+part[len(word):])
			}
		}
	}
	if len(line) > 0 {
		turn()
	}
	for i := range lines {
		lines[i] = joined(lines[i])
	}
	return lines
}

// joined puts together what stands beside its like, so that one line goes through all of it.
func joined(runs []Run) (out []Run) {
	for _, r := range runs {
		if n := len(out) - 1; n >= 0 && out[n].style() == r.style() {
			out[n].Text += r.Text
			continue
		}
		out = append(out, r)
	}
	return out
}

// putRuns writes one line at the pen's height. What is copied or read aloud of the marked
// words says in words what they are: that is their replacement text (ISO 32000-1, 14.9.4).
func (s *sheet) putRuns(x float64, line []Run, t func(string, ...any) string) {
	for _, r := range line {
		st, text := r.style(), strings.TrimRight(r.Text, " ")
		s.use(st)
		width := s.pdf.GetStringWidth(text)
		if said := r.aloud(); said != "" && text != "" {
			s.pdf.RawWriteStr("/Span <</ActualText <" + textString("["+t(said)+" "+text+"]") + ">>> BDC")
			s.put(x, s.y, width, st, "L", text)
			s.pdf.RawWriteStr("EMC")
		} else {
			s.put(x, s.y, width, st, "L", text)
		}
		x += s.pdf.GetStringWidth(r.Text)
	}
}

// textString is a text string of PDF in hexadecimal: UTF-16, its mark first (ISO 32000-1,
// 7.9.2.2).
func textString(text string) string {
	raw := []byte{0xfe, 0xff}
	for _, unit := range utf16.Encode([]rune(text)) {
		raw = binary.BigEndian.AppendUint16(raw, unit)
	}
	return hex.EncodeToString(raw)
}

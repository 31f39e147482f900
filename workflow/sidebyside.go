package workflow

import (
	"slices"
	"strings"
	"unicode"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// textSentence is one of a text, with the blanks that follow it, so that all of them make up
// the text again.
type textSentence struct {
	text string
	said string // without regard to blanks
	of   string // the heading that it stands under: "Spleen:"
}

// ofTheWhole are headings that do not say what of the body a sentence is about.
var ofTheWhole = []string{"findings", "impression", "conclusion", "report", "opinion", "befund", "befunde", "beurteilung", "bewertung"}

// sentencesOf splits a text behind a full stop that a blank follows, and at the end of a
// line. That "approx." ends none does not matter: shorter parts are compared as well.
func sentencesOf(text string) (all []textSentence) {
	heading := ""
	for rest := text; rest != ""; {
		end := sentenceEnd(rest)
		s := textSentence{text: rest[:end], said: strings.Join(strings.Fields(rest[:end]), " "), of: heading}
		if strings.HasSuffix(s.said, ":") {
			if heading = strings.ToLower(s.said); slices.Contains(ofTheWhole, strings.TrimSuffix(heading, ":")) {
				heading = ""
			}
		}
		if strings.Count(strings.ReplaceAll(s.text[len(strings.TrimRightFunc(s.text, unicode.IsSpace)):], "\r", ""), "\n") > 1 {
			heading = "" // an empty line ends what stands under a heading
		}
		all, rest = append(all, s), rest[end:]
	}
	return all
}

func sentenceEnd(text string) int {
	ended, broken, last := false, false, ' '
	for i, r := range text {
		switch {
		case !unicode.IsSpace(r):
			if ended || broken && !unicode.IsLower(r) {
				return i
			}
			broken = false // a line of the sentence goes on in the next
		case strings.TrimSpace(text[:i]) == "":
		case strings.ContainsRune(".!?;:", last) && (last != ':' || r == '\n' || r == '\r'), r == '\n' && broken:
			ended = true
		case r == '\n':
			broken = true
		}
		last = r
	}
	return len(text)
}

func sentencesText(sentences []textSentence) string {
	var b strings.Builder
	for _, s := range sentences {
		b.WriteString(s.text)
	}
	return b.String()
}

// sentencePart is a sentence that two texts share, or what each has between two of them.
type sentencePart struct {
	was, is []textSentence
	shared  bool
}

// sharedSentences are the parts of two texts, in their order.
func sharedSentences(was, is []textSentence) (parts []sentencePart) {
	said := func(all []textSentence) (out []string) {
		for _, s := range all {
			out = append(out, s.of+"\n"+s.said)
		}
		return out
	}
	names := tokenNames{}
	differ := diffmatchpatch.New()
	differ.DiffTimeout = 0
	between := sentencePart{}
	for _, d := range differ.DiffMainRunes(names.of(said(was)), names.of(said(is)), false) {
		n := len([]rune(d.Text))
		switch d.Type {
		case diffmatchpatch.DiffDelete:
			between.was, was = append(between.was, was[:n]...), was[n:]
		case diffmatchpatch.DiffInsert:
			between.is, is = append(between.is, is[:n]...), is[n:]
		case diffmatchpatch.DiffEqual:
			if between.was != nil || between.is != nil {
				parts = append(parts, between)
			}
			between = sentencePart{}
			for i := range n {
				parts = append(parts, sentencePart{was[i : i+1], is[i : i+1], true})
			}
			was, is = was[n:], is[n:]
		}
	}
	if between.was != nil || between.is != nil {
		parts = append(parts, between)
	}
	return parts
}

// fewestMoved is how many words a sentence has that says the same wherever it stands;
// "Normal." does not.
const fewestMoved = 3

// SideBySide compares two texts that are shown beside each other: the runs of the one are
// kept or removed, those of the other kept or added. A sentence that both have is kept in
// both, even where it stands elsewhere, as in the findings of one and the impression of the
// other; under another heading it is about something else.
func SideBySide(was, is string) (first, second []Run) {
	left, right := sentencesOf(was), sentencesOf(is)
	has := func(all []textSentence) func(textSentence) bool {
		known := map[string]bool{}
		for _, s := range all {
			known[s.of+"\n"+s.said] = true
		}
		return func(s textSentence) bool {
			return len(strings.Fields(s.said)) >= fewestMoved && known[s.of+"\n"+s.said]
		}
	}
	inLeft, inRight := has(left), has(right)
	for _, part := range sharedSentences(left, right) {
		var words []Run
		if !part.shared {
			words = apart(wordRuns(sentencesText(without(part.was, inRight)), sentencesText(without(part.is, inLeft)), true))
		}
		first = appendSide(first, part, part.was, words, Removed, inRight)
		second = appendSide(second, part, part.is, words, Added, inLeft)
	}
	return first, second
}

func without(sentences []textSentence, known func(textSentence) bool) []textSentence {
	return slices.DeleteFunc(slices.Clone(sentences), known)
}

// appendSide adds what a side has of a part: what is known of the other side is kept, the
// rest is as the comparison of the words has it.
func appendSide(side []Run, part sentencePart, sentences []textSentence, words []Run, edit Edit, known func(textSentence) bool) []Run {
	add := func(r Run) {
		if last := len(side) - 1; last >= 0 && side[last].Edit == r.Edit {
			side[last].Text += r.Text
		} else {
			side = append(side, r)
		}
	}
	own := slices.DeleteFunc(slices.Clone(words), func(r Run) bool { return r.Edit != Kept && r.Edit != edit })
	for _, s := range sentences {
		if part.shared || known(s) {
			add(Run{Kept, s.text})
			continue
		}
		for todo := len(s.text); todo > 0; {
			n := min(todo, len(own[0].Text))
			add(Run{own[0].Edit, own[0].Text[:n]})
			todo -= n
			if own[0].Text = own[0].Text[n:]; own[0].Text == "" {
				own = own[1:]
			}
		}
	}
	return side
}

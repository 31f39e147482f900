package letter

import (
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goitalic"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/text/unicode/norm"
)

// faces are the Go fonts, which cover the letters of WGL4: Latin of Europe,
// Greek, Cyrillic.
var faces = map[string][]byte{"": goregular.TTF, "B": gobold.TTF, "I": goitalic.TTF}

// missing stands for a letter that the fonts do not have.
const missing = '\u25a1' // white square

// simpler are characters that another one can stand for without loss.
var simpler = map[rune]rune{
	'\u00a0': ' ', '\u2002': ' ', '\u2003': ' ', '\u2009': ' ', '\u200a': ' ', '\u202f': ' ', '\t': ' ',
	'\u2010': '-', '\u2011': '-', '\u2043': '-', '\u2012': '–', '\u2015': '—',
	'\u2028': '\n', '\u2029': '\n',
}

// printer turns text into what the fonts can print, and remembers whether
// anything was lost.
type printer struct {
	lossy bool
}

// clean composes accents, drops what is invisible, and replaces what the fonts
// lack: by the letter without its accent where there is one, else by a square.
func (p *printer) clean(text string) string {
	var out strings.Builder
	for _, r := range norm.NFC.String(strings.ReplaceAll(text, "\r\n", "\n")) {
		if s, ok := simpler[r]; ok {
			r = s
		}
		switch {
		case r == '\n' || hasGlyph(r) && unicode.IsPrint(r):
			out.WriteRune(r)
		case unicode.In(r, unicode.Cf, unicode.Cc):
			// formatting and control characters have no shape of their own
		default:
			p.lossy = true
			out.WriteRune(withoutAccent(r))
		}
	}
	return out.String()
}

func withoutAccent(r rune) rune {
	base, _ := utf8.DecodeRuneInString(norm.NFD.String(string(r)))
	if base != r && hasGlyph(base) {
		return base
	}
	return missing
}

// hasGlyph tells whether all faces have the character.
func hasGlyph(r rune) bool { return r <= 0xffff && coverage()[r] }

var coverage = sync.OnceValue(func() []bool {
	covered := make([]bool, 0x10000)
	var buf sfnt.Buffer
	for r := range covered {
		covered[r] = true
	}
	for _, ttf := range faces {
		face, err := sfnt.Parse(ttf)
		if err != nil {
			panic(err) // it is embedded
		}
		for r := range covered {
			i, err := face.GlyphIndex(&buf, rune(r))
			covered[r] = covered[r] && err == nil && i != 0
		}
	}
	return covered
})

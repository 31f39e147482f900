package fhir

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// longestFold is how much of a text is compared; an index entry has its limits.
const longestFold = 500

// fold is a text as string parameters compare it: lower case, no accents, no
// punctuation, one space for many (FHIR R4 search.html#string). A hyphen is a
// space: Müller-Ødegård is muller odegard.
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case unicode.Is(unicode.Pd, r), r == '/', r == '_':
			return ' '
		case unicode.IsPunct(r):
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
	s = strings.Join(strings.Fields(foldLetters.Replace(s)), " ")
	return clip(s)
}

// foldLetters are letters whose mark is part of them in Unicode.
var foldLetters = strings.NewReplacer("ø", "o", "ł", "l", "đ", "d", "ð", "d", "ħ", "h", "ı", "i", "ŧ", "t",
	"ß", "ss", "æ", "ae", "œ", "oe", "þ", "th")

// clip is as much of a text as is compared.
func clip(s string) string {
	if len(s) > longestFold {
		s = strings.ToValidUTF8(s[:longestFold], "")
	}
	return s
}

// stringsOf are the texts of a string, HumanName or Address that a string
// parameter looks at: each part stands for itself.
func stringsOf(value *Node) []string {
	if !value.IsObject() {
		return nonEmpty(value.Text())
	}
	var found []string
	for _, part := range []string{
		"text", "family", "given", "prefix", "suffix", // HumanName
		"line", "city", "district", "state", "postalCode", "country", // Address
	} {
		for _, text := range value.Each(part) {
			found = append(found, nonEmpty(text.Text())...)
		}
	}
	return found
}

func nonEmpty(s string) []string {
	if strings.TrimSpace(s) == "" {
		return nil
	}
	return []string{s}
}

func words(folded string) []string { return strings.Fields(folded) }

// tails are a folded text from each of its words on.
func tails(folded string) []string {
	all := []string{folded}
	for {
		_, rest, more := strings.Cut(folded, " ")
		if !more {
			return all
		}
		all, folded = append(all, rest), rest
	}
}

// phonetic is the parameter that compares how names sound.
const phonetic = "phonetic"

// soundGroups are the letters that Soundex takes for the same sound.
const soundGroups = "01230120022455012623010202" // of a to z

// soundOf is the Soundex code of a folded word, made as the United States
// census makes it: Robert and Rupert are both r163. What has no Latin letters
// sounds like itself.
func soundOf(word string) string {
	code := []byte{}
	last := byte(0)
	for _, r := range word {
		if r < 'a' || r > 'z' {
			continue
		}
		group := soundGroups[r-'a']
		switch {
		case len(code) == 0:
			code = append(code, byte(r))
		case group != '0' && group != last:
			code = append(code, group)
		}
		if r != 'h' && r != 'w' { // they do not part equal sounds, vowels do
			last = group
		}
	}
	if len(code) == 0 {
		return word
	}
	return string(append(code, "000"...)[:4])
}

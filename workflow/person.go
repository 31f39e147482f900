package workflow

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"
)

// Person is who a patient is, as one system knows them. Two systems never agree
// in every letter; compare says in what they contradict each other.
type Person struct {
	IDs       []PersonID   `json:"ids,omitempty"`
	Names     []PersonName `json:"names,omitempty"`     // each is a name of the same person: in another script, before a marriage
	BirthDate string       `json:"birthDate,omitempty"` // YYYY-MM-DD, YYYY-MM or YYYY
	Sex       string       `json:"sex,omitempty"`       // male, female, other, or "" for unknown
}

// PersonID is an identifier; System "" means that nobody knows whose it is.
type PersonID struct {
	System string `json:"system,omitempty"`
	Value  string `json:"value"`
}

// PersonName is a name.
type PersonName struct {
	Family string `json:"family,omitempty"`
	Given  string `json:"given,omitempty"`
}

// likeness is how two statements about one thing stand to each other.
type likeness int

const (
	untold likeness = iota // one of them says nothing, or they cannot be compared
	alike
	unlike
)

// compare says in what two systems contradict each other about a patient, and
// whether enough agrees to call it the same one: an identifier, or name and birth
// date.
func (p Person) compare(q Person) (differences []string, same bool) {
	id, name, born, sex := idsAlike(p.IDs, q.IDs), namesAlike(p.Names, q.Names), datesAlike(p.BirthDate, q.BirthDate), sexesAlike(p.Sex, q.Sex)
	for _, c := range []struct {
		what string
		like likeness
	}{{"identifier", id}, {"name", name}, {"birth date", born}, {"sex", sex}} {
		if c.like == unlike {
			differences = append(differences, c.what)
		}
	}
	return differences, id == alike || name == alike && born == alike
}

// idsAlike: one that both have decides. Identifiers of different or unknown
// systems say nothing when their values differ: each hospital has its own.
func idsAlike(a, b []PersonID) likeness {
	like := untold
	for _, x := range a {
		for _, y := range b {
			known := x.System != "" && y.System != ""
			switch {
			case x.Value == y.Value && (!known || x.System == y.System):
				return alike
			case known && x.System == y.System:
				like = unlike
			}
		}
	}
	return like
}

func namesAlike(a, b []PersonName) likeness {
	like := untold
	for _, x := range a {
		for _, y := range b {
			if one := x.like(y); one == alike {
				return alike
			} else if one == unlike {
				like = unlike
			}
		}
	}
	return like
}

// like compares words, however they are split into names: each of the shorter
// name's must be in the other one, or be the initial of one there. Names in
// different scripts cannot be compared.
func (n PersonName) like(m PersonName) likeness {
	like := untold
	for _, fold := range []func(string) string{plainLetters, spelledOut} {
		a, b := words(fold(n.Family+" "+n.Given)), words(fold(m.Family+" "+m.Given))
		if len(a) == 0 || len(b) == 0 || latin(a) != latin(b) {
			continue
		}
		switch {
		case strings.Join(a, "") == strings.Join(b, ""):
			return alike
		case !sameWords(a, b):
			like = unlike
		case min(len(a), len(b)) == 1: // a family name alone is too little
			return untold
		default:
			return alike
		}
	}
	return like
}

func sameWords(a, b []string) bool {
	if len(a) > len(b) {
		a, b = b, a
	}
	left := slices.Clone(b)
	whole := 0
	for _, word := range a {
		i := slices.Index(left, word)
		if i >= 0 {
			whole++
		} else if i = slices.IndexFunc(left, func(w string) bool { return initial(w, word) || initial(word, w) }); i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return whole > 0
}

func initial(letter, word string) bool {
	return len([]rune(letter)) == 1 && strings.HasPrefix(word, letter)
}

func latin(words []string) bool {
	return strings.IndexFunc(strings.Join(words, ""), func(r rune) bool { return unicode.In(r, unicode.Latin) }) >= 0
}

// words are runs of letters.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
}

// plainLetters is a name without accents: Müller is muller.
func plainLetters(name string) string {
	plain, _, err := transform.String(transform.Chain(norm.NFKD, runes.Remove(runes.In(unicode.Mn))), name)
	if err != nil {
		plain = name
	}
	return strokes.Replace(apostrophes.Replace(strings.ToLower(plain)))
}

// spelledOut is a name as machines without umlauts write it: Müller is mueller.
func spelledOut(name string) string {
	return plainLetters(umlauts.Replace(strings.ToLower(norm.NFC.String(name))))
}

var (
	umlauts     = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ø", "oe", "å", "aa", "æ", "ae")
	strokes     = strings.NewReplacer("ß", "ss", "ø", "o", "ł", "l", "đ", "d", "æ", "ae", "œ", "oe", "ı", "i")
	apostrophes = strings.NewReplacer("'", "", "’", "", "-", " ")
)

// datesAlike compares as far as both say.
func datesAlike(a, b string) likeness {
	n := min(len(a), len(b))
	switch {
	case n < len("2006"):
		return untold
	case a[:n] != b[:n]:
		return unlike
	}
	return alike
}

func sexesAlike(a, b string) likeness {
	certain := []string{"male", "female"}
	switch {
	case !slices.Contains(certain, a) || !slices.Contains(certain, b):
		return untold
	case a != b:
		return unlike
	}
	return alike
}

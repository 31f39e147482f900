package web

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/overread/overread/workflow"
)

// What records and answers of the API say of a case is English (workflow.Phrase): why a
// reader may not have it, what the intake checks have found, what a Task waits for. The
// forms of these phrases, with their parameters, are the keys of catalogue/LANGUAGE/phrases.json;
// so what was stored by any release is said in the language of the page. What has no form,
// as what a person wrote, is said as it is.

// phrasesFile has the forms.
const phrasesFile = "phrases.json"

// phraseForm is the form of a phrase, as it is looked for in a text.
type phraseForm struct {
	key    string
	whole  *regexp.Regexp
	verbs  []byte // of its parameters: s are words, d numbers, v is said as it stands
	weight int    // how much of it is words
}

var phraseVerb = regexp.MustCompile(`%[sdv]`)

func newPhraseForm(key string) phraseForm {
	f := phraseForm{key: key}
	pattern, at := "^", 0
	for _, span := range phraseVerb.FindAllStringIndex(key, -1) {
		pattern += regexp.QuoteMeta(key[at:span[0]])
		verb := key[span[0]+1]
		pattern += map[bool]string{true: `(\d+)`, false: `(.+?)`}[verb == 'd']
		f.verbs, at = append(f.verbs, verb), span[1]
	}
	f.whole = regexp.MustCompile(`(?s)` + pattern + regexp.QuoteMeta(key[at:]) + "$")
	f.weight = len(phraseVerb.ReplaceAllString(key, ""))
	return f
}

// formsOf are the forms with parameters among keys, those of most words first.
func formsOf(keys []string) (forms []phraseForm) {
	for _, key := range keys {
		if phraseVerb.MatchString(key) {
			forms = append(forms, newPhraseForm(key))
		}
	}
	slices.SortFunc(forms, func(a, b phraseForm) int {
		if a.weight != b.weight {
			return b.weight - a.weight
		}
		return strings.Compare(a.key, b.key)
	})
	return forms
}

// said is a text of a record in the language: the whole of it is a phrase, or several
// with "; " between them, as a sentence or not.
func (c *catalogue) said(text string) string {
	return ofTask.ReplaceAllString(c.saidWhole(text), "")
}

// ofTask is the id of another case after what is said of it: people find it by other ways.
var ofTask = regexp.MustCompile(` \(Task/[A-Za-z0-9.-]+\)`)

func (c *catalogue) saidWhole(text string) string {
	text = ofElement.ReplaceAllString(text, "$1")
	if c.Code == english && !dated.MatchString(text) { // its phrases are English; days are written as the language has them
		return text
	}
	if words, ok := c.phrase(text); ok {
		return words
	}
	parts := strings.Split(text, "; ")
	var out []string
	for i := 0; i < len(parts); {
		end, words := i+1, parts[i]
		for j := len(parts); j > i; j-- { // a phrase may have a semicolon of its own
			if said, ok := c.phrase(strings.Join(parts[i:j], "; ")); ok {
				end, words = j, said
				break
			}
		}
		out, i = append(out, words), end
	}
	return strings.Join(out, "; ")
}

// ofElement is the path of an element before what the intake checks say of it, as what is
// asked of a placer has it ("ServiceRequest.bodySite: "): people are told the sentence.
var ofElement = regexp.MustCompile(`(^|; )[A-Z][A-Za-z]+(?:\.[A-Za-z]+(?:\[\d+\])?)+: `)

// dated is a text that has a day in it.
var dated = regexp.MustCompile(`\b\d{4}-\d{2}-\d{2}\b`)

// phrase is one phrase in the language; ok is false where the text is none.
func (c *catalogue) phrase(text string) (words string, ok bool) {
	if _, ok := c.Texts[text]; ok {
		return c.say(text), true
	}
	for _, f := range c.forms {
		if given := f.whole.FindStringSubmatch(text); given != nil {
			args := make([]any, len(f.verbs))
			for i, verb := range f.verbs {
				switch args[i] = given[i+1]; verb {
				case 'd':
					args[i], _ = strconv.Atoi(given[i+1])
				case 's':
					args[i] = c.parameter(given[i+1])
				}
			}
			return c.say(f.key, args...), true
		}
	}
	bare := strings.TrimSuffix(text, ".")
	first, size := utf8.DecodeRuneInString(bare)
	if lower := string(unicode.ToLower(first)) + bare[size:]; lower != text && size > 0 { // written as a sentence
		if words, ok := c.phrase(lower); ok {
			first, size := utf8.DecodeRuneInString(words)
			return string(unicode.ToUpper(first)) + words[size:] + text[len(bare):], true
		}
	}
	return "", false
}

// counted is a phrase with how often it stands: "absent (2)".
var counted = regexp.MustCompile(`^(.+) \((\d+)\)$`)

// parameter is what stands in a phrase: a day, a word of ours, phrases again, or what
// is said as it is.
func (c *catalogue) parameter(value string) string {
	if day, err := time.Parse(time.DateOnly, value); err == nil {
		return day.Format(c.Day)
	}
	if words, ok := boardWords["in phrases"][value]; ok {
		return c.say(words)
	}
	if _, whole := c.Texts[value]; whole {
		return c.say(value)
	}
	if parts := strings.Split(value, "; "); len(parts) > 1 || counted.MatchString(value) {
		for i, part := range parts {
			if found := counted.FindStringSubmatch(part); found != nil {
				parts[i] = c.said(found[1]) + " (" + found[2] + ")"
			} else {
				parts[i] = c.said(part)
			}
		}
		return strings.Join(parts, "; ")
	}
	for _, between := range []string{" and the ", " or ", ", "} {
		if parts := strings.Split(value, between); len(parts) > 1 {
			for i := range parts {
				parts[i] = c.parameter(parts[i])
			}
			return strings.Join(parts, c.words("in phrases", between))
		}
	}
	return c.said(value)
}

// wordsInPhrases are the parameters that are words of ours.
var wordsInPhrases = func() map[string]string {
	all := map[string]string{
		"patient": "patient", "study": "study", "exam": "exam", "body part": "body part", "side": "side", "consent": "consent",
		"identifier": "identifier", "name": "name", "birth date": "birth date", "sex": "sex",
		" and the ": " and the ", " or ": " or ",
		"stat": "stat", "asap": "asap", "urgent": "urgent", "routine": "routine",
	}
	for _, field := range workflow.KnownFields() {
		all[field] = field
	}
	return all
}()

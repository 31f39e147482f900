package letter_test

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/overread/overread/internal/calls"
	"github.com/overread/overread/internal/letter"
)

// inGerman are the same in both.
var inGerman = []string{"Version %d", "Name", "Study Instance UID"}

// textsIn are the texts that the sources have translated.
func textsIn(t *testing.T, forms map[string]string) (all []string) {
	t.Helper()
	for file, form := range forms {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(form).FindAllSubmatch(source, -1)
		if len(found) == 0 {
			t.Errorf("%s has no text", file)
		}
		for _, one := range found {
			all = append(all, string(one[1]))
		}
	}
	return all
}

func TestEveryTextOfALetterIsThereInEachLanguage(t *testing.T) {
	t.Parallel()
	texts := slices.Concat(letter.Phrases(), textsIn(t, map[string]string{
		"letter.html": `\{\{t \$?\.Lang "([^"]+)"`, "words.go": `l\.t\("([^"]+)"`, "pdf.go": `l\.t\("([^"]+)"`, "html.go": `l\.t\("([^"]+)"`, "finding.go": `In\(language, "([^"]+)"`,
		"../../fhir/presented.go": `(?:Label|Heading): "([^"]+)"`, "../../fhir/reporttext.go": `letter\.In\(language, "([^"(]+)"\)`,
	}), textsIn(t, map[string]string{"words.go": `\{"([A-Z][^"]+)", (?:l\.|change\.)`, "../calls/call.go": `"((?:[A-Z][a-z]+ [^"]*%\[4\]s|(?:by|in) [a-z ]+|, (?:not )?read back))"`}))
	for _, language := range letter.Languages()[1:] {
		for _, text := range texts {
			if letter.In(language, text) == text && !slices.Contains(inGerman, text) {
				t.Errorf("%s: there are no words for %q", language, text)
			}
		}
	}
}

func TestALetterIsWrittenInItsLanguage(t *testing.T) {
	t.Parallel()
	l := major()
	l.Language, l.Patient = "de", []letter.Line{{Label: "Born", Value: letter.Day("de", "1974-12-25")}, {Label: "Sex", Value: "male"}}
	l.Told = []letter.Finding{{Category: "Cat 1 Emergent Actionable Finding", Calls: []letter.Call{{Call: calls.Call{At: at("2026-11-23T16:00:00Z"), Recipient: "Dr. Berger", Role: "ward", Medium: "phone", Reached: true, ReadBack: true}}}}}
	page := string(l.HTML())
	for _, want := range []string{`lang="de"`, "Zweitbefund", "NOTFALL: ein Befund", "Weicht vom Erstbefund in einem Punkt ab, der für die Behandlung wichtig ist", "23. November 2026, 16:41 UTC", "25. Dezember 1974", "männlich",
		"Endgültiger Befund, Version 1", "Empfehlung", "Dritter Befunder", `"Seite " counter(page) " von " counter(pages)`, "Am 23. November 2026 um 16:00 UTC telefonisch mitgeteilt an Dr. Berger (ward), rückbestätigt.",
		"Neurosurgical consultation now."} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, never := range []string{"Second opinion report", "Recommendation", "Signed electronically", "Third reader", "version 1", "Technique<", "%!"} {
		if strings.Contains(page, never) {
			t.Errorf("the page says %q", never)
		}
	}
	one, err := l.PDF()
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.PDF()
	if err != nil || !bytes.Equal(one, other) || !bytes.Contains(one, []byte("/Lang (de)")) {
		t.Errorf("%d and %d bytes, %v", len(one), len(other), err)
	}
}

func TestWhoWasToldOfAFindingIsSaidAsItWas(t *testing.T) {
	t.Parallel()
	call := letter.Call{Call: calls.Call{At: at("2026-11-23T16:00:00Z"), Recipient: "Dr. Berger", Medium: "phone", Reached: true}, By: "Dr. Okafor"}
	for want, f := range map[string]letter.Finding{
		"Nobody had been told by word of mouth when this was signed.":                                                                                         {},
		"Bleeding.\nNobody had been told by word of mouth when this was signed.":                                                                              {Text: "Bleeding."},
		"Acknowledged by Dr. Weiss on 23 November 2026 at 17:00 CET.":                                                                                         {KnownAt: call.At, KnownBy: "Dr. Weiss"},
		"Told to Dr. Berger by phone on 23 November 2026 at 17:00 CET, not read back, by Dr. Okafor.":                                                         {KnownAt: call.At, Calls: []letter.Call{call}},
		"Could not reach Dr. Berger in person on 23 November 2026 at 17:00 CET (in theatre).":                                                                 {Calls: []letter.Call{{Call: calls.Call{At: call.At, Recipient: "Dr. Berger", Medium: "in-person", Note: "in theatre"}}}},
		"It came from another text than the one that is signed, and was let stand, by Dr. Sato.\nNobody had been told by word of mouth when this was signed.": {StandsBy: "Dr. Sato"},
	} {
		zone, err := time.LoadLocation("Europe/Berlin")
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Section("en", zone).Text; got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

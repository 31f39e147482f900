package letter_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/injection"
	"github.com/overread/overread/internal/letter"
)

func summary() letter.Plain {
	return letter.Plain{
		Language: "en", From: letter.Party{Name: "Second look"}, Name: "Ada Quillfeather", Born: "1961-02-03", Exam: "MR Knee", Made: "2026-11-20T08:00:00Z",
		Number: 1, Signed: at("2026-11-24T23:30:00Z"), Question: "Is the meniscus torn?",
		Agreement: "major-difference", Management: "treatment", Actionable: "none", Difference: "The tear was not seen.", Impression: "Bucket-handle tear.", Recommendation: "See a surgeon.",
	}
}

func TestASummaryForThePatientSaysWhatWasAskedFoundAndComesNext(t *testing.T) {
	t.Parallel()
	for language, want := range map[string][]string{
		"en": {`lang="en"`, "Ada Quillfeather", "3 February 1961", "20 November 2026", "Is the meniscus torn?", "It may matter for your care.", "The tear was not seen.", "Bucket-handle tear.",
			"Your treatment may change.", "See a surgeon.", "please ask the doctor who asked for the second opinion.", "Made from version 1 of the report, signed on 24 November 2026."},
		"de": {`lang="de"`, "3. Februar 1961", "Vielleicht ändert sich Ihre Behandlung.", "See a surgeon.", "unterschrieben am 24. November 2026"},
		"xx": {`lang="en"`, "Your treatment may change."},
	} {
		p := summary()
		p.Language = language
		page := string(p.HTML())
		for _, text := range want {
			if !strings.Contains(page, text) {
				t.Errorf("%s: the page does not say %q", language, text)
			}
		}
		for _, never := range []string{"Who looked at", "Wer Ihre", "no longer hold", "needs action", "map[", "%!"} {
			if strings.Contains(page, never) {
				t.Errorf("%s: the page says %q", language, never)
			}
		}
		one, err := p.PDF()
		if err != nil {
			t.Fatal(err)
		}
		other, err := p.PDF()
		if err != nil || !bytes.Equal(one, other) || len(one) > 100<<10 {
			t.Errorf("%s: %d and %d bytes, %v", language, len(one), len(other), err)
		}
	}
}

// What a code does not say is not said, and who has read is named only where they are given.
func TestASummaryForThePatientSaysNothingThatNobodyHasSaid(t *testing.T) {
	t.Parallel()
	p := summary()
	p.Question, p.Management, p.Actionable, p.Difference, p.Impression, p.Recommendation, p.Agreement = "", "", "", "", "", "", "odd"
	page := string(p.HTML())
	for _, never := range []string{"blockquote>", "may change", "agrees", "sees something", "recommends", "odd"} {
		if strings.Contains(strings.SplitN(page, "</style>", 2)[1], never) {
			t.Errorf("the page says %q", never)
		}
	}
	p.Readers, p.Contact, p.Requester, p.Changed, p.Actionable = []string{"Dr. Ines Okafor"}, "The clinic, 555-0100", "Dr. Asker", true, "emergent"
	page = string(p.HTML())
	for _, text := range []string{"Dr. Ines Okafor", "The clinic, 555-0100", "no longer hold", "needs action at once", `class="alarm"`} {
		if !strings.Contains(page, text) {
			t.Errorf("the page does not say %q", text)
		}
	}
	if strings.Contains(page, "Dr. Asker") {
		t.Error("two are named whom to ask")
	}
}

func TestEachLanguageOfASummaryHasEverySentence(t *testing.T) {
	t.Parallel()
	english := letter.PlainKeys("en")
	for _, language := range letter.PlainLanguages() {
		if diff := cmp.Diff(english, letter.PlainKeys(language)); diff != "" {
			t.Errorf("%s: %s", language, diff)
		}
	}
}

func TestWhatIsWrittenInASummaryIsTextOnItsPage(t *testing.T) {
	t.Parallel()
	written := func(text string) letter.Plain {
		p := summary()
		p.From.Name, p.Name, p.Exam, p.Question, p.Difference, p.Impression, p.Recommendation, p.Contact, p.Readers = text, text, text, text, text, text, text, text, []string{text}
		return p
	}
	plain, err := injection.ReadPage(written("word").HTML())
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range injection.Corpus {
		page, err := injection.ReadPage(written(payload.Text).HTML())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain.Skeleton(), page.Skeleton()); diff != "" {
			t.Errorf("%s is more than text: %s", payload.Name, diff)
		}
		if found := page.Dangers("default-src 'none'; style-src 'unsafe-inline'"); len(found) > 0 {
			t.Errorf("%s: %v", payload.Name, found)
		}
	}
}

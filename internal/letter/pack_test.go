package letter_test

import (
	"bytes"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/injection"
	"github.com/overread/overread/internal/letter"
)

func meeting() letter.Pack {
	return letter.Pack{Title: "November", Note: "For learning only.", Made: at("2026-11-20T08:00:00Z"), Cases: []letter.PackCase{
		{Heading: "Case 1: CT Chest", Facts: []letter.Line{{Label: "Age", Value: "60 to 69"}, {Label: "Tags", Value: ""}},
			Sections: []letter.Section{{Heading: "To be learnt", Text: strings.Repeat("Look behind the heart. ", 400)}}},
		{Heading: "Case 2: MR Head"},
	}}
}

func TestTheSamePackGivesTheSameBytes(t *testing.T) {
	one, err := meeting().PDF()
	if err != nil {
		t.Fatal(err)
	}
	other, err := meeting().PDF()
	if err != nil || !bytes.Equal(one, other) || !bytes.HasPrefix(one, []byte("%PDF-")) {
		t.Errorf("%v, %d and %d bytes", err, len(one), len(other))
	}
	page := string(meeting().HTML())
	if !strings.Contains(page, "Case 2: MR Head") || !strings.Contains(page, "60 to 69") || strings.Contains(page, "Tags") {
		t.Error(page)
	}
}

func TestADocumentOnPaperTellsWhetherLettersWereReplaced(t *testing.T) {
	t.Parallel()
	pack := func(point string) ([]byte, error) {
		p := meeting()
		p.Cases[1].Sections = []letter.Section{{Heading: "To be learnt", Text: point}}
		return p.PDF()
	}
	report := func(finding string) ([]byte, error) {
		l := major()
		l.Sections = append(l.Sections, letter.Section{Heading: "Findings", Text: finding})
		return l.PDF()
	}
	for _, c := range []struct {
		document string
		print    func(string) ([]byte, error)
		text     string
		want     bool
	}{
		{"pack", pack, "Ångström, Δ, Пётр", false},
		{"pack", pack, "山田", true},
		{"report", report, "Ångström, Δ, Пётр", false},
		{"report", report, "Nguyễn", true},
	} {
		pdf, err := c.print(c.text)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"Some letters cannot be printed here", "The HTML form of this " + c.document} {
			if got := bytes.Contains(drawn(t, pdf), utf16(line)); got != c.want {
				t.Errorf("a %s of %q says %q: %t", c.document, c.text, line, got)
			}
		}
	}
}

// drawn is what stands in the packed streams of a PDF.
func drawn(t *testing.T, pdf []byte) (all []byte) {
	t.Helper()
	for _, part := range bytes.Split(pdf, []byte("\nstream\n"))[1:] {
		z, err := zlib.NewReader(bytes.NewReader(part))
		if err != nil {
			continue // not packed
		}
		content, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, content...)
	}
	return all
}

func TestWhatIsWrittenInAPackIsTextOnItsPageAndOnPaper(t *testing.T) {
	t.Parallel()
	full := func(text string) letter.Pack {
		p := meeting()
		p.Title, p.Note = text, text
		p.Cases[0].Heading, p.Cases[0].Facts[0].Value = text, text
		p.Cases[0].Sections[0] = letter.Section{Heading: text, Text: text}
		return p
	}
	plain, err := injection.ReadPage(full("word").HTML())
	if err != nil {
		t.Fatal(err)
	}
	for i, hostile := range injection.Corpus {
		page, err := injection.ReadPage(full(hostile.Text).HTML())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain.Skeleton(), page.Skeleton()); diff != "" {
			t.Errorf("%s is more than text: %s", hostile.Name, diff)
		}
		if found := page.Dangers("default-src 'none'; style-src 'unsafe-inline'"); len(found) > 0 {
			t.Errorf("%s: %v", hostile.Name, found)
		}
		if i%10 > 0 {
			continue // a PDF takes a while
		}
		pdf, err := full(hostile.Text).PDF()
		if err != nil {
			t.Fatal(err)
		}
		if paper, err := injection.ReadPaper(pdf); err != nil || len(paper.Dangers()) > 0 {
			t.Errorf("%s on paper: %v %v", hostile.Name, err, paper.Dangers())
		}
	}
}

package fhir

import (
	"html"
	"strings"
	"testing"

	"github.com/overread/overread/internal/injection"
)

// Others show the narratives that we keep, as XML or as HTML. What is taken runs
// nothing in either.
func TestNoPayloadIsTakenAsANarrativeThatRuns(t *testing.T) {
	t.Parallel()
	const open, end = `<div xmlns="http://www.w3.org/1999/xhtml">`, `</div>`
	taken := 0
	for _, p := range injection.Corpus {
		for form, div := range map[string]string{
			"as it is":          open + p.Text + end,
			"in a paragraph":    open + `<p>result ` + p.Text + `</p>` + end,
			"in a title":        open + `<p title="` + p.Text + `">result</p>` + end,
			"in a style":        open + `<p style="` + p.Text + `">result</p>` + end,
			"in a link":         open + `<a href="` + p.Text + `">result</a>` + end,
			"in a picture":      open + `<img src="` + p.Text + `" alt="x"/>` + end,
			"in a comment":      open + `result<!--` + p.Text + `-->` + end,
			"escaped":           open + html.EscapeString(p.Text) + " " + end,
			"in a title, tidy":  open + `<p title="` + html.EscapeString(p.Text) + `">result</p>` + end,
			"in a style, tidy":  open + `<p style="` + html.EscapeString(p.Text) + `">result</p>` + end,
			"in a link, tidy":   open + `<a href="` + html.EscapeString(p.Text) + `">result</a>` + end,
			"in a picture, too": open + `<img src="` + html.EscapeString(p.Text) + `" alt="x"/>` + end,
		} {
			if narrativeProblem(div) != "" {
				continue
			}
			taken++
			page, err := injection.ReadPage([]byte("<!doctype html><title>x</title>" + div))
			if err != nil {
				t.Fatal(err)
			}
			for _, danger := range page.Dangers("default-src 'none'") {
				// FHIR R4 narrative.html allows links and pictures of elsewhere: they
				// load something, and run nothing.
				if address, ok := strings.CutPrefix(danger, "an address "); ok && !strings.Contains(strings.ToLower(address), "script:") && !strings.HasPrefix(address, "data:text") && !strings.HasPrefix(address, "blob:") {
					continue
				}
				t.Errorf("%s, %s, is taken: %s", p.Name, form, danger)
			}
		}
	}
	if taken < 200 {
		t.Errorf("only %d narratives were taken: nothing was proved of them", taken)
	}
}

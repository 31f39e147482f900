package fhir

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/letter"
	"github.com/overread/overread/workflow"
)

// A report has its forms in each language of the policy, which says the same as the table
// of letters what there is.
func TestAReportIsWrittenInTheLanguagesOfThePolicy(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(letter.Languages(), workflow.LetterLanguages); diff != "" {
		t.Error(diff)
	}
	c := startClinic(t)
	c.sql(`UPDATE tenant SET policy = '{"letterLanguages": ["de", "en"]}'`)
	report := c.report(c.signed("77"))
	var forms []string
	for _, form := range report.Each("presentedForm") {
		forms = append(forms, form.Text("language")+" "+form.Text("contentType")+": "+form.Text("title"))
		content, err := base64.StdEncoding.DecodeString(form.Text("data"))
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]string{"de": "Klinische Fragestellung", "en": "Clinical question"}[form.Text("language")]
		if form.Text("contentType") == "text/html" && !strings.Contains(string(content), words) {
			t.Errorf("the page does not say %q", words)
		}
	}
	if len(forms) != 4 || !slices.IsSortedFunc(report.Each("presentedForm"), func(a, b *Node) int { return strings.Compare(a.Text("language"), b.Text("language")) }) ||
		!strings.HasPrefix(forms[0], "de text/html: Radiologische Zweitmeinung") || !strings.HasPrefix(forms[3], "en application/pdf: Radiology second opinion") {
		t.Error(forms)
	}
}

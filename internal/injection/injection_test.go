package injection_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/overread/overread/internal/injection"
)

func TestTheCorpusIsLargeAndEachOfItsTextsIsAnother(t *testing.T) {
	t.Parallel()
	names, texts := map[string]bool{}, map[string]bool{}
	for _, p := range injection.Corpus {
		if names[p.Name] || texts[p.Text] || p.Text == "" {
			t.Errorf("%s is there twice, or empty", p.Name)
		}
		names[p.Name], texts[p.Text] = true, true
		if strings.ContainsFunc(p.Text, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) && r != '\u2028' }) {
			t.Errorf("%s is no string of FHIR", p.Name)
		}
	}
	if len(injection.Corpus) < 120 {
		t.Errorf("only %d payloads", len(injection.Corpus))
	}
}

// A judge that finds nothing where something is would prove nothing.
func TestTheJudgeOfPagesFindsWhatIsNotEscaped(t *testing.T) {
	t.Parallel()
	const policy = "default-src 'none'"
	missed := 0
	for _, p := range injection.Corpus {
		if !strings.Contains(p.Text, "<") || strings.HasPrefix(p.Text, "<%") || strings.Contains(p.Name, "PDF") {
			continue
		}
		bare, err := injection.ReadPage([]byte(`<!doctype html><title>x</title><main><p class="a">` + p.Text + `</p></main>`))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := injection.ReadPage([]byte(`<!doctype html><title>x</title><main><p class="a">word</p></main>`))
		if err != nil {
			t.Fatal(err)
		}
		if bare.Skeleton() == plain.Skeleton() {
			t.Errorf("%s changes nothing of a page in which it stands as it is", p.Name)
		}
		if len(bare.Dangers(policy)) == 0 {
			missed++
		}
	}
	if missed > 20 { // forms, buttons, comments: seen by the skeleton alone
		t.Errorf("in %d of them no danger is found", missed)
	}
	for attribute, text := range map[string]string{"href": `javascript:fetch("/owned")`, "src": "data:text/html,x", "action": "//owned.example"} {
		page, _ := injection.ReadPage([]byte(`<a ` + attribute + `='` + text + `'>x</a>`))
		if len(page.Dangers(policy)) == 0 {
			t.Errorf("%s=%s is not found", attribute, text)
		}
	}
	for _, weak := range []string{
		"", "script-src 'self'", "default-src 'none'; script-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
		"default-src *; base-uri 'none'; frame-ancestors 'none'; form-action 'self'", "default-src 'none'; base-uri 'none'; form-action 'self'",
		"default-src 'none'; frame-ancestors 'none'; form-action 'self'", "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
	} {
		if injection.WeakPolicy(weak) == "" {
			t.Errorf("nothing is said against %q", weak)
		}
	}
}

func TestTheJudgeOfPDFsFindsActionsAndNoTexts(t *testing.T) {
	t.Parallel()
	pdf := func(more, content string) []byte {
		return []byte("%PDF-1.4\n1 0 obj\n<< /Type /Catalog " + more + " /Title (no \\(/JS\\) here (/Launch)) >>\nendobj\n" +
			"2 0 obj\n<< /Length " + itoa(len(content)) + " >>\nstream\n" + content + "\nendstream\nendobj\ntrailer << /Root 1 0 R >>\n%%EOF /URI\n")
	}
	const plain = "BT /F1 12 Tf (a \\) /JS \\( b) Tj ET"
	quiet, err := injection.ReadPaper(pdf("", plain))
	if err != nil || len(quiet.Dangers()) > 0 || !slices.Equal(quiet.Operators, []string{"BT", "ET", "Tf", "Tj"}) {
		t.Errorf("%+v %v: %v", quiet, err, quiet.Dangers())
	}
	for _, more := range []string{"/OpenAction << /S /JavaScript /JS (x) >>", "/AA << >>", "/Names << /EmbeddedFiles << /Names [ (x) << /Type /Filespec >> ] >> >>", "/Annots [ << /A << /S /URI /URI (x) >> >> ]"} {
		if p, err := injection.ReadPaper(pdf(more, plain)); err != nil || len(p.Dangers()) == 0 {
			t.Errorf("%s: %+v %v", more, p, err)
		}
	}
	for _, broken := range []string{"BT /F1 12 Tf (a ) /JS () b) Tj ET", "BT /F1 12 Tf (a \\", "BT /F1 12 Tf (a) Tj /X Do ET"} {
		if p, err := injection.ReadPaper(pdf("", broken)); err == nil && len(p.Dangers()) == 0 {
			t.Errorf("%s: %+v", broken, p)
		}
	}
}

func itoa(n int) string {
	var digits []byte
	for ; n > 0; n /= 10 {
		digits = append([]byte{byte('0' + n%10)}, digits...)
	}
	return string(digits)
}

package web

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// phrasesUsed are the forms that the program makes phrases of: what is given to
// workflow.Phrase, which is a literal.
func phrasesUsed(t *testing.T) (forms []string) {
	t.Helper()
	for _, pattern := range []string{"../workflow/*.go", "../fhir/*.go"} {
		sources, _ := filepath.Glob(pattern)
		for _, source := range sources {
			if strings.HasSuffix(source, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 || !isPhrase(call.Fun) {
					return true
				}
				lit, ok := call.Args[0].(*ast.BasicLit)
				if !ok {
					t.Errorf("%s: a phrase whose form is no literal", source)
					return true
				}
				form, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				forms = append(forms, form)
				return true
			})
		}
	}
	if len(forms) < 60 {
		t.Errorf("only %d phrases were found", len(forms))
	}
	return forms
}

// What is wrong with a policy or a template is told as a phrase, or the German page would
// say it in English.
func TestFaultsOfPoliciesArePhrases(t *testing.T) {
	sources, _ := filepath.Glob("../workflow/*.go")
	found := 0
	for _, source := range sources {
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.CompositeLit)
			if !ok || strings.HasSuffix(source, "_test.go") {
				return true
			}
			if name, isIdent := lit.Type.(*ast.Ident); !isIdent || name.Name != "PolicyFault" {
				return true
			}
			for _, e := range lit.Elts {
				pair, ok := e.(*ast.KeyValueExpr)
				if !ok {
					continue
				}
				if key, ok := pair.Key.(*ast.Ident); !ok || key.Name != "Text" {
					continue
				}
				found++
				switch v := pair.Value.(type) {
				case *ast.BasicLit, *ast.BinaryExpr:
					t.Errorf("%s: the text of a fault is no phrase", source)
				case *ast.CallExpr:
					if sel, ok := v.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" {
						t.Errorf("%s: the text of a fault is made by Sprintf and not by Phrase", source)
					}
				}
			}
			return true
		})
	}
	if found < 25 {
		t.Errorf("only %d faults were found", found)
	}
}

func isPhrase(e ast.Expr) bool {
	switch f := e.(type) {
	case *ast.Ident:
		return f.Name == "Phrase"
	case *ast.SelectorExpr:
		return f.Sel.Name == "Phrase"
	}
	return false
}

// What is told in English by records is said in German, whatever stands in it, and what
// a person wrote is left alone.
func TestPhrasesOfRecordsAreSaidInTheLanguageOfThePage(t *testing.T) {
	de := languages["de"]
	for text, want := range map[string]string{
		"licence for US-NY expired 2026-03-01":                                         "Approbation für US-NY abgelaufen am 01.03.2026",
		"privilege for neuro ended 2026-03-01":                                         "Berechtigung für Neuroradiologie endete am 01.03.2026",
		"no privilege for dental":                                                      "keine Berechtigung für dental",
		"has 6 open cases, at most 6":                                                  "hat 6 offene Fälle, höchstens 6",
		"is the original reader":                                                       "ist der Erstbefunder",
		"say who asks: requester; say what is asked: reasonCode.text, or note":         "bitte sagen, wer anfordert: requester; bitte sagen, was gefragt ist: reasonCode.text oder note",
		"the study is not in the PACS; send its images there; say who asks: requester": "die Studie ist nicht im PACS; bitte ihre Bilder dorthin senden; bitte sagen, wer anfordert: requester",
		"as the third reader, none of 3 readers is eligible: absent until 2026-07-14 (1); not on shift (2)":                                               "als dritter Befunder: keiner von 3 Befundern kommt infrage: abwesend bis 14.07.2026 (1); nicht im Dienst (2)",
		"Who has read, or countersigned, this second opinion turns out to be, or may be, who read the study first.":                                       "Wer diese Zweitmeinung befundet oder gegengezeichnet hat, hat die Studie, wie sich zeigt, auch zuerst befundet, oder es kann so sein.",
		"who has read, or countersigned, this second opinion turns out to be, or may be, who read the study first; the study has 9 images now, and had 7": "wer diese Zweitmeinung befundet oder gegengezeichnet hat, hat die Studie, wie sich zeigt, auch zuerst befundet, oder es kann so sein; die Studie hat jetzt 9 Bilder und hatte 7",
		"the patient and the side of the order was corrected while it was read; the reading service looks whether the reading can go on":                  "während der Befundung wurde am Auftrag berichtigt: Patient und Seite; der Befundungsdienst prüft, ob die Befundung weitergehen kann",
		"must be one of neuro, stat, patient": "muss eines von diesen sein: neuro, stat, patient", // what is written in a policy is not translated
		"must be text, not a list":            "muss Text sein, nicht eine Liste",
		"must be a length of time such as 90m, 72h, 7d or 1bd (business day), and more than nothing": "muss so geschrieben sein: eine Dauer wie 90m, 72h, 7d oder 1bd (Werktag), und mehr als nichts",
		"must tell somebody when a report of priority stat is not acknowledged: a rule of the clock acknowledge, with one in its chain who can be reached (mail alone needs an address in contacts, and of a reader none is known to be there). Without it nobody hears of an unread report": "müssen jemanden benachrichtigen, wenn ein Befund der Dringlichkeit stat nicht zur Kenntnis genommen wird: durch eine Regel der Frist acknowledge, in deren Kette jemand erreichbar ist (E-Mail allein braucht eine Adresse in contacts, und von Befundern ist keine sicher bekannt). Ohne sie hört niemand von einem ungelesenen Befund",
		"is no setting; there are a, b":              "ist keine Einstellung; es gibt a, b",
		"The ward has <b>called</b>; nobody answers": "The ward has <b>called</b>; nobody answers",
		"": "",
	} {
		if got := de.said(text); got != want {
			t.Errorf("%q:\n got %q\nwant %q", text, got, want)
		}
		if got, want := languages[english].said(text), dated.ReplaceAllStringFunc(text, languages[english].date); got != want { // its own words, days as it writes them
			t.Errorf("in English %q is %q", text, got)
		}
	}
}

// What is asked of a placer has the path of the element before the sentence: the sentence is
// in the language all the same, and people are told no path.
func TestWhatIsAskedOfAPlacerIsSaidInTheLanguage(t *testing.T) {
	t.Parallel()
	const side = "the order's side is not that of the ImagingStudy; refer to the right study or correct the order"
	for code, c := range languages {
		if got := c.said("ServiceRequest.bodySite: " + side); got != c.said(side) || strings.Contains(got, "ServiceRequest.") {
			t.Errorf("%s: %q", code, got)
		}
	}
	if got := languages["de"].said(side); got == side {
		t.Error("it is not translated")
	}
	if got := languages["de"].said("Dr. Petrov: seen"); got != "Dr. Petrov: seen" {
		t.Errorf("what a person wrote: %q", got)
	}
}

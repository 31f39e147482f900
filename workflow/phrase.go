package workflow

import "fmt"

// Phrase makes what is said of a case in words that stand in records and answers,
// and are English there. Its form, with the verbs of fmt, is a key of the catalogues of
// the pages (web/catalogue/*/phrases.json), which say it in their language with the
// same parameters: it is always a literal.
func Phrase(form string, args ...any) string {
	if len(args) == 0 {
		return form
	}
	return fmt.Sprintf(form, args...)
}

package web

import (
	"io/fs"
	"regexp"
	"strings"
	"testing"
)

// A style sheet keeps what something can match, and what that uses.
func TestAStyleSheetGoesWithoutWhatNoPageHas(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ sheet, want string }{
		{`a{color:red}progress{color:red}`, `a{color:red}`},
		{`a,[data-tooltip]:focus,b{color:red}`, `a,b{color:red}`},
		{`input:not([type=range],[type=file]):is(a,b){color:red}`, `input:not([type=range],[type=file]):is(a,b){color:red}`},
		{`@media (x){progress{a:b}}@media (y){p{a:b}hgroup{a:b}}@keyframes k{to{a:b}}`, `@media (y){p{a:b}}@keyframes k{to{a:b}}`},
		{`:root{--pico-a:url("x;}y");--pico-b:var(--pico-c);--pico-c:1;--pico-d:2}/* no {} */p{width:var(--pico-b)}`, `:root{--pico-b:var(--pico-c);--pico-c:1;--pico-d:2}p{width:var(--pico-b)}`},
		{`:root{--pico-e:var(--pico-f);--pico-f:1}`, ``},
	} {
		if got := string(lean([]byte(row.sheet), []byte(`q{x:var(--pico-d)}`))); strings.ReplaceAll(got, ":root{}", "") != row.want {
			t.Errorf("%s: %s", row.sheet, got)
		}
	}
}

// What is left out of Pico must not come into a page without coming back into the sheet.
func TestNoPageHasWhatTheStyleSheetGoesWithout(t *testing.T) {
	t.Parallel()
	names, err := fs.Glob(files, "pages/*.html")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	names = append(names, "launched/gallery.html", "assets/app.js")
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range noPage {
			in := `<` + regexp.QuoteMeta(part) + `[ >]`
			if strings.HasPrefix(part, "[") {
				key, value, ofValue := strings.Cut(strings.Trim(part, "[]"), "=")
				if in = `\s` + key; ofValue {
					in += `="?` + value + `\b`
				}
			}
			if found := regexp.MustCompile(in).Find(text); found != nil {
				t.Errorf("%s has %s, and the style sheet leaves %s out", name, found, part)
			}
		}
	}
}

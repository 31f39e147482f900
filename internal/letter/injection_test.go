package letter_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/overread/overread/internal/injection"
	"github.com/overread/overread/internal/letter"
)

// codes are the fields of a Letter that come out of tables of ours.
var codes = []string{"Status", "Agreement", "Management", "Actionable", "Paper"}

// written is a letter in each of whose texts stands what next gives.
func written(next func() string) letter.Letter {
	l := major()
	l.History = append(l.History, letter.Version{Number: 2, Status: "corrected", At: l.Signatures[0].At, By: "x", Reason: "x", Text: "x"})
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() { //nolint:exhaustive // a letter has no others
		case reflect.String:
			v.SetString(next())
		case reflect.Slice:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); f.IsExported() && !slices.Contains(codes, f.Name) && f.Type.Kind() != reflect.Pointer && f.Type.String() != "time.Time" {
					fill(v.Field(i))
				}
			}
		}
	}
	fill(reflect.ValueOf(&l).Elem())
	return l
}

// plainly is how a text stands in what a parser read.
func plainly(text string) string { return strings.ReplaceAll(text, "\r\n", "\n") }

func TestWhatIsWrittenInALetterIsTextOnItsPage(t *testing.T) {
	t.Parallel()
	fields := 0
	plain, err := injection.ReadPage(written(func() string { fields++; return "word" }).HTML())
	if err != nil {
		t.Fatal(err)
	}
	if fields < 30 {
		t.Fatalf("only %d texts are in the letter", fields)
	}
	for _, p := range injection.Corpus {
		page, err := injection.ReadPage(written(func() string { return p.Text }).HTML())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain.Skeleton(), page.Skeleton()); diff != "" {
			t.Errorf("%s is more than text: %s", p.Name, diff)
		}
		if found := page.Dangers("default-src 'none'; style-src 'unsafe-inline'"); len(found) > 0 {
			t.Errorf("%s: %v", p.Name, found)
		}
		if got := strings.Count(page.Text(), plainly(p.Text)); got < fields-5 { // some stand on paper only
			t.Errorf("%s stands there %d times, want %d", p.Name, got, fields)
		}
	}
}

// A letter of payloads draws and holds what a letter of words does.
func TestWhatIsWrittenInALetterIsTextOnPaper(t *testing.T) {
	t.Parallel()
	const each = 12 // in one letter; a PDF takes a while
	plain := paper(t, func() string { return "word in the letter (with brackets)" })
	for from := 0; from < len(injection.Corpus); from += each {
		some := injection.Corpus[from:min(from+each, len(injection.Corpus))]
		n := 0
		got := paper(t, func() string { n++; return some[n%len(some)].Text })
		if len(got.Dangers()) > 0 || !slices.Equal(got.Names, plain.Names) || !slices.Equal(got.Operators, plain.Operators) {
			t.Errorf("one of %q ... is more than text: %v\n%s", some[0].Name, got.Dangers(), cmp.Diff(plain, got))
		}
	}
}

func paper(t *testing.T, next func() string) injection.Paper {
	t.Helper()
	pdf, err := written(next).PDF()
	if err != nil {
		t.Fatal(err)
	}
	p, err := injection.ReadPaper(pdf)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

package workflow

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPolicyIsLaidOverTheDefaults(t *testing.T) {
	for _, text := range []string{
		`{"assignment": "offer", "clocks": {"stat": {"final": "90m"}}}`,
		"# ours\nassignment: offer\nclocks:\n  stat: {final: 90m}\n",
		"assignment: \"offer\"\nclocks: {\"stat\": {\"final\": '90m'}}\n",
	} {
		got, err := ParsePolicy([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want := DefaultPolicy()
		want.Assignment = ByOffer
		want.Clocks.Stat.Final = minutes(90)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		written, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ParsePolicy(written)
		if diff := cmp.Diff(got, again); diff != "" || err != nil {
			t.Error(err, diff)
		}
	}
}

func TestAWrongPolicyNamesTheSettingTheLineAndWhatIsAllowed(t *testing.T) {
	for text, want := range map[string]string{
		`{"asignment": "offer"}`:                               "line 1: asignment is no setting; did you mean assignment?",
		`{"clocks": {"stat": {"x": "1h"}}}`:                    "line 1: clocks.stat.x is no setting; there are acknowledge, adjudicate, assign, final, ",
		`{"assignment": "lottery"}`:                            "assignment must be one of offer, pool",
		"{\n \"clocks\": {\"stat\": {\n\"final\": \"soon\"}}}": "line 3: clocks.stat.final must be a length of time such as 90m",
		`{"clocks": {"stat": {"final": "0h"}}}`:                "clocks.stat.final must be more than nothing",
		`{"clocks": {"stat": {"final": 90}}}`:                  "clocks.stat.final must be text, not a number",
		`{"clocks": {"stat": {"final": null}}}`:                "clocks.stat.final must be text, not nothing",
		`{"calendar": {"zone": "Mars/Olympus"}}`:               "line 1: calendar.zone must be an IANA time zone",
		`{"calendar": {"zone": ""}}`:                           "calendar.zone must not be empty",
		`{"calendar": {"weekend": ["sat"]}}`:                   "calendar.weekend[0] must be one of monday, ",
		`{"calendar": {"weekend": ["sunday", "sunday"]}}`:      "calendar.weekend must not say the same twice",
		`{"imagesGiveUpDays": 0}`:                              "imagesGiveUpDays must be at least 1",
		`{"imagesGiveUpDays": 1.5}`:                            "imagesGiveUpDays must be a whole number, not a number",
		`{"duplicateWithinDays": 4000}`:                        "duplicateWithinDays must be at most 3660",
		`{"questionRequired": "yes"}`:                          "questionRequired must be true or false, not text",
		`{"assignment": "pool", "assignment": "offer"}`:        "duplicate object member name",
		"{\n\"assignment\": \"pool\"\n":                        "line 2 is no JSON",
		`{} {}`:                                                "more after the end",
		`[]`:                                                   "must be an object, not a list",
		``:                                                     "says nothing",
		"# nothing\n":                                          "says nothing",
		"assignment: pool\nclocks:\n  stat:\n    final: soon":  "line 4: clocks.stat.final must be a length",
		"assignment: pool\nassignment: offer\n":                "line 2: assignment is said twice",
		"assignment: &a pool\nprotocol: *a\n":                  "line 1: assignment must be written out",
		"assignment: !!str pool\n":                             "line 1: assignment must be written without a tag",
		"imagesGiveUpDays: 0x1F\n":                             "line 1: imagesGiveUpDays must be a number in plain digits",
		"assignment: pool\n---\nassignment: offer\n":           "one document",
		"assignment: [pool\n":                                  "is no YAML",
		"1: pool\n":                                            "must have names that are text",
		"clocks:\n":                                            "line 1: clocks must be an object, not nothing",
		"calendar:\n  holidays:\n    - 2026-02-30\n":           "line 3: calendar.holidays[0] is no date",
		"<<: {assignment: pool}\n":                             "must have names that are text",
		"assignment: \"po\x00ol\"\n":                           "is no text in UTF-8",
	} {
		if _, err := ParsePolicy([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v\nwant it to say %q", text, err, want)
		}
	}
}

func TestEveryFaultIsToldAtOnceInTheOrderOfTheText(t *testing.T) {
	_, err := ReadPolicy([]byte(`protocol: open
clocks:
  stat:
    final: soon
    offer: 0m
  rotine: {}
imagesGiveUpDays: 0
`))
	var faults PolicyErrors
	if !errors.As(err, &faults) {
		t.Fatal(err)
	}
	var got []string
	for _, f := range faults {
		got = append(got, fmt.Sprintf("%d %s", f.Line, f.Path))
	}
	want := []string{"1 protocol", "4 clocks.stat.final", "5 clocks.stat.offer", "6 clocks.rotine", "7 imagesGiveUpDays"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A text of a few lines that means a billion values, in the way that aliases
// make possible, is refused at once.
func TestABombIsNoPolicy(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'j'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 10), ", "))
	}
	for _, text := range []string{bomb, strings.Repeat("[", 100_000), strings.Repeat("{\"a\":", 40_000), strings.Repeat("a: ", 50_000), strings.Repeat("x", maxPolicy+1)} {
		if _, err := ReadPolicy([]byte(text)); err == nil {
			t.Errorf("%.40q is taken", text)
		}
	}
}

func TestPolicyChangesAreToldByTheirPaths(t *testing.T) {
	changed, err := ParsePolicy([]byte("assignment: offer\ncalendar: {holidays: [2026-12-25]}\noriginalReportWait: 2h\n"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := PolicyChanges(DefaultPolicy(), changed)
	if err != nil {
		t.Fatal(err)
	}
	want := []PolicyChange{
		{"assignment", `"pool"`, `"offer"`},
		{"calendar.holidays", "", `["2026-12-25"]`},
		{"originalReportWait", "", `"2h"`},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// docs/policy.md lists the rules of triage that every tenant has; -update
// writes them.
func TestTheDocumentationListsTheDefaultRulesOfTriage(t *testing.T) {
	page, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "Made from `workflow/triagedefault.go`:\n\n", "\n## Example"
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatal("docs/policy.md has no place for them")
	}
	var list strings.Builder
	for i, rule := range defaultTriage {
		fmt.Fprintf(&list, "%d. %s\n", i+1, rule)
	}
	want := before + begin + list.String() + end + after
	if *update {
		if err := os.WriteFile("../docs/policy.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(page)); diff != "" {
		t.Errorf("run `go generate ./workflow`:\n%s", diff)
	}
}

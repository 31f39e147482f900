package workflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
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

// What the schema says is what is done: a document that fits it is refused
// only for what it cannot say, and never fails to be read; one that does not
// fit is refused.
func TestTheSchemaDecides(t *testing.T) {
	schema, _ := policySchema()
	spoilt := false
	var walk func(rt *rapid.T, s *jsonschema.Schema, name string) any
	walk = func(rt *rapid.T, s *jsonschema.Schema, name string) any {
		if spoilt && rapid.IntRange(0, 30).Draw(rt, name+"?") == 0 {
			return rapid.SampledFrom([]any{nil, true, "x", json.Number("-1"), []any{}, map[string]any{"x": "y"}}).Draw(rt, name+" spoilt")
		}
		switch {
		case s.Enum != nil:
			return rapid.SampledFrom(s.Enum.Values).Draw(rt, name)
		case s.Pattern != nil && s.Not == nil:
			var fit []any
			for _, word := range []string{"2026-12-25", "2024-02-29", "12-25 moved", "easter+1", "last monday of may observed", "02-30", "neuro", "head", "desk@north.example"} {
				if s.Pattern.MatchString(word) {
					fit = append(fit, word)
				}
			}
			return rapid.SampledFrom(fit).Draw(rt, name)
		case s.Pattern != nil:
			return rapid.SampledFrom([]any{"90m", "72h", "7d", "1bd", "1.5h", "2h30m", "0h"}).Draw(rt, name)
		case slices.Contains(s.Types.ToStrings(), "object"):
			object := map[string]any{}
			for key, of := range s.Properties {
				if slices.Contains(s.Required, key) || rapid.Bool().Draw(rt, name+"."+key+" said") {
					object[key] = walk(rt, of, name+"."+key)
				}
			}
			return object
		case slices.Contains(s.Types.ToStrings(), "array"):
			list := []any{}
			least := 0
			if s.MinItems != nil {
				least = *s.MinItems
			}
			for i := range rapid.IntRange(least, max(least, 2)).Draw(rt, name+" length") {
				one := walk(rt, s.Items2020, fmt.Sprintf("%s[%d]", name, i))
				if !slices.ContainsFunc(list, func(said any) bool { return cmp.Equal(said, one) }) {
					list = append(list, one)
				}
			}
			return list
		case slices.Contains(s.Types.ToStrings(), "integer"):
			least, most := int64(0), int64(5000)
			if s.Minimum != nil {
				least = s.Minimum.Num().Int64()
			}
			if s.Maximum != nil {
				most = s.Maximum.Num().Int64()
			}
			return json.Number(fmt.Sprint(rapid.Int64Range(least, most).Draw(rt, name)))
		case slices.Contains(s.Types.ToStrings(), "boolean"):
			return rapid.Bool().Draw(rt, name)
		}
		return rapid.SampledFrom([]any{"UTC", "America/New_York"}).Draw(rt, name)
	}
	fits, refused := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		spoilt = rapid.Bool().Draw(rt, "spoilt")
		tree := walk(rt, schema, "policy")
		text, err := json.Marshal(tree)
		if err != nil {
			rt.Fatal(err)
		}
		d, err := ReadPolicy(text)
		if schema.Validate(tree) != nil {
			refused++
			if err == nil {
				rt.Fatalf("does not fit the schema and is taken: %s", text)
			}
			return
		}
		fits++
		var faults PolicyErrors
		if errors.As(err, &faults) && slices.ContainsFunc(faults, func(f PolicyFault) bool { return f.Path == "" }) {
			rt.Fatalf("fits the schema and cannot be read: %v\n%s", err, text)
		}
		if err == nil {
			if again, err := ReadPolicy(d.JSON); err != nil || !cmp.Equal(again.Policy, d.Policy) {
				rt.Fatalf("not the same again: %v", err)
			}
		}
	})
	if fits == 0 || refused == 0 {
		t.Errorf("%d fit, %d refused: the test shows nothing", fits, refused)
	}
}

func TestTheSchemaIsOneAndHasTheDefaults(t *testing.T) {
	var schema struct {
		ID         string `json:"$id"`
		Properties map[string]struct {
			Description string
			Default     any
			Properties  map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(PolicySchema(), &schema); err != nil {
		t.Fatal(err)
	}
	if schema.ID != PolicySchemaURL || schema.Properties["protocol"].Default != "blinded" || schema.Properties["protocol"].Description == "" {
		t.Errorf("%+v", schema.Properties["protocol"])
	}
	if !bytes.Contains(PolicySchema(), []byte(`"default": "1bd"`)) {
		t.Error("the schema does not tell the defaults of clocks")
	}
	whole, err := json.Marshal(DefaultPolicy())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPolicy(whole); err != nil {
		t.Errorf("the default policy is none: %v", err)
	}
	for name := range settings {
		object, field, _ := strings.Cut(name, ".")
		if !bytes.Contains(PolicySchema(), []byte(`"`+field+`":`)) {
			t.Errorf("%s of the table is no setting of %s", field, object)
		}
	}
}

// docs/policy.md shows a policy that says everything.
func TestTheExampleOfTheDocumentationIsAPolicyThatSaysEverySetting(t *testing.T) {
	page, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), "```yaml\n")
	example, _, ended := strings.Cut(rest, "```")
	if !ok || !ended {
		t.Fatal("docs/policy.md has no example")
	}
	d, err := ReadPolicy([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	schema, _ := policySchema()
	var missing func(path string, s *jsonschema.Schema, said any)
	missing = func(path string, s *jsonschema.Schema, said any) {
		if list, is := said.([]any); is && s.Items2020 != nil && s.Items2020.Properties != nil {
			var all any
			for _, one := range list {
				all = merged(all, one)
			}
			missing(path+"[]", s.Items2020, all)
			return
		}
		for name, of := range s.Properties {
			object, _ := said.(map[string]any)
			value, has := object[name]
			if !has {
				t.Errorf("the example says nothing of %s", inner(path, name))
				continue
			}
			missing(inner(path, name), of, value)
		}
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(d.JSON))
	if err != nil {
		t.Fatal(err)
	}
	missing("", schema, tree)
}

// merged is everything that either of two values says.
func merged(a, b any) any {
	switch into := a.(type) {
	case map[string]any:
		for k, v := range b.(map[string]any) {
			into[k] = merged(into[k], v)
		}
		return into
	case []any:
		return append(into, b.([]any)...)
	}
	return b
}

func TestACaseKeepsTheVersionThatItBeganWith(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	before := h.ready()
	if before.PolicyVersion != 0 || before.PolicySHA256 != nil {
		t.Errorf("version %d", before.PolicyVersion)
	}
	first := h.setPolicy("assignment: offer\n")
	c := h.ready()
	second := h.setPolicy("assignment: pool\nclocks: {routine: {final: 10h}}\n")
	h.tick()
	later := h.ready()
	for _, test := range []struct {
		c    Case
		want PolicyVersion
		in   State
	}{{c, first, Offered}, {later, second, Ready}} {
		got := h.stands(test.c, test.in)
		if got.PolicyVersion != test.want.Version || !bytes.Equal(got.PolicySHA256, test.want.TextSHA256) {
			t.Errorf("version %d, want %d", got.PolicyVersion, test.want.Version)
		}
	}
	if h.find(c).Policy.Assignment != ByOffer || h.find(c).Policy.Clocks.Routine.Final != hours(72) {
		t.Error("a new version has changed a case in work")
	}
	h.stands(before, Ready)
	h.replays(c)
}

func TestVersionsAreCountedAndWhatSaysNothingNewIsNone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	first := h.setPolicy("assignment: offer # as agreed\n")
	again := h.setPolicy("assignment: offer # as agreed\n")
	if first.Version != 1 || again.Version != 1 {
		t.Errorf("versions %d and %d", first.Version, again.Version)
	}
	h.setPolicy("{}")
	var versions []PolicyVersion
	err := h.db.System(t.Context(), func(tx pgx.Tx) (err error) {
		versions, err = PolicyVersionsTx(t.Context(), tx, h.tenant)
		return err
	})
	if err != nil || len(versions) != 2 || versions[0].Text != "assignment: offer # as agreed\n" || versions[1].Version != 2 {
		t.Errorf("%v: %+v", err, versions)
	}
}

func TestManyWhoSetAPolicyAtOnceMakeAVersionEach(t *testing.T) {
	t.Parallel()
	h := newHouse(t, `{}`)
	results := make(chan int, 8)
	for i := range cap(results) {
		go func() { results <- h.setPolicy(fmt.Sprintf("imagesGiveUpDays: %d\n", i+1)).Version }()
	}
	var got []int
	for range cap(results) {
		got = append(got, <-results)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]int{1, 2, 3, 4, 5, 6, 7, 8}, got); diff != "" {
		t.Error(diff)
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

// setPolicy makes a text the tenant's next version.
func (h *house) setPolicy(text string) (v PolicyVersion) {
	h.Helper()
	d, err := ReadPolicy([]byte(text))
	if err != nil {
		h.Error(err)
		return v
	}
	err = h.db.System(context.Background(), func(tx pgx.Tx) error {
		v, _, err = SetPolicyTx(context.Background(), tx, h.tenant, d, "somebody", "")
		return err
	})
	if err != nil {
		h.Error(err)
	}
	return v
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

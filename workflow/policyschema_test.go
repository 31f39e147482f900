package workflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"
)

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
			for _, word := range []string{"2026-12-25", "2024-02-29", "12-25 moved", "easter+1", "last monday of may observed", "02-30", "neuro", "head", "desk@north.example", "https://viewer.north.example/?study={StudyInstanceUID}"} {
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

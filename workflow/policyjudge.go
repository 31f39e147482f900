package workflow

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// judge holds a document against the published schema.
func judge(tree any) PolicyErrors {
	schema, _ := policySchema()
	return judgeBy(schema, tree)
}

func judgeBy(schema *jsonschema.Schema, tree any) PolicyErrors {
	err := schema.Validate(tree)
	if invalid, ok := errors.AsType[*jsonschema.ValidationError](err); ok {
		return complaints(schema, tree, invalid)
	}
	if err != nil {
		return PolicyErrors{{Text: err.Error()}}
	}
	return nil
}

// complaints are the leaves of the validator's tree of errors, in our words.
func complaints(schema *jsonschema.Schema, tree any, e *jsonschema.ValidationError) (faults PolicyErrors) {
	for _, cause := range e.Causes {
		faults = append(faults, complaints(schema, tree, cause)...)
	}
	if len(e.Causes) > 0 {
		return faults
	}
	path := pathOf(tree, e.InstanceLocation)
	if unknown, ok := e.ErrorKind.(*kind.AdditionalProperties); ok {
		for _, name := range unknown.Properties {
			faults = append(faults, PolicyFault{Path: inner(path, name), Text: known(schema, path, name)})
		}
		return faults
	}
	return PolicyErrors{{Path: path, Text: complaint(e)}}
}

// complaint says what the value must be.
func complaint(e *jsonschema.ValidationError) string {
	switch k := e.ErrorKind.(type) {
	case *kind.Enum:
		var allowed []string
		for _, v := range k.Want {
			allowed = append(allowed, fmt.Sprint(v))
		}
		return Phrase("must be one of %v", strings.Join(allowed, ", "))
	case *kind.Type:
		return Phrase("must be %s, not %s", plainType(k.Want[0]), plainType(k.Got))
	case *kind.Minimum:
		return Phrase("must be at least %v", k.Want.RatString())
	case *kind.Maximum:
		return Phrase("must be at most %v", k.Want.RatString())
	case *kind.MinItems:
		return Phrase("must have at least %d", k.Want)
	case *kind.MaxItems:
		return Phrase("must have at most %d", k.Want)
	case *kind.UniqueItems:
		return Phrase("must not say the same twice (items %d and %d)", k.Duplicates[0], k.Duplicates[1])
	case *kind.MinLength:
		return Phrase("must not be empty")
	case *kind.Required:
		return Phrase("must have %v", strings.Join(k.Missing, ", "))
	case *kind.Pattern:
		for _, f := range forms {
			if f.pattern == k.Want {
				return Phrase("must be %s", f.want)
			}
		}
	case *kind.Not:
		return Phrase("must be more than nothing")
	}
	return e.Error()
}

func plainType(json string) string {
	for _, t := range [][2]string{{"object", Phrase("an object")}, {"array", Phrase("a list")}, {"string", Phrase("text")}, {"integer", Phrase("a whole number")}, {"number", Phrase("a number")}, {"boolean", Phrase("true or false")}, {"null", Phrase("nothing")}} {
		if t[0] == json {
			return t[1]
		}
	}
	return json
}

// known says that there is no such setting, and names those that stand beside an unknown one, the likely one
// first.
func known(schema *jsonschema.Schema, path, name string) string {
	for _, step := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' }) {
		if strings.HasSuffix(step, "]") {
			schema = schema.Items2020
			continue
		}
		schema = schema.Properties[step]
	}
	var names []string
	for setting := range schema.Properties {
		names = append(names, setting)
	}
	slices.Sort(names)
	slices.SortStableFunc(names, func(a, b string) int { return strayed(name, a) - strayed(name, b) })
	if strayed(name, names[0]) <= 2 {
		return Phrase("is no setting; did you mean %v?", names[0])
	}
	slices.Sort(names)
	return Phrase("is no setting; there are %v", strings.Join(names, ", "))
}

// strayed is how many letters lie between two names, without regard to case
// (Levenshtein's distance).
func strayed(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := corner
			if a[i] != b[j] {
				cost++
			}
			corner = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// pathOf writes a location in a document as a path.
func pathOf(tree any, location []string) (path string) {
	for _, step := range location {
		switch at := tree.(type) {
		case []any:
			var i int
			_, _ = fmt.Sscan(step, &i)
			path, tree = element(path, i), at[i]
		case map[string]any:
			path, tree = inner(path, step), at[step]
		}
	}
	return path
}

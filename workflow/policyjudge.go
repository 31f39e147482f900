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
			faults = append(faults, PolicyFault{Path: inner(path, name), Text: "is no setting; " + known(schema, path, name)})
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
		return "must be one of " + strings.Join(allowed, ", ")
	case *kind.Type:
		return "must be " + plainType(k.Want[0]) + ", not " + plainType(k.Got)
	case *kind.Minimum:
		return "must be at least " + k.Want.RatString()
	case *kind.Maximum:
		return "must be at most " + k.Want.RatString()
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d", k.Want)
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d", k.Want)
	case *kind.UniqueItems:
		return fmt.Sprintf("must not say the same twice (items %d and %d)", k.Duplicates[0], k.Duplicates[1])
	case *kind.MinLength:
		return "must not be empty"
	case *kind.Required:
		return "must have " + strings.Join(k.Missing, ", ")
	case *kind.Pattern:
		for _, f := range forms {
			if f.pattern == k.Want {
				return "must be " + f.want
			}
		}
	case *kind.Not:
		return "must be more than nothing"
	}
	return e.Error()
}

func plainType(json string) string {
	for _, t := range [][2]string{{"object", "an object"}, {"array", "a list"}, {"string", "text"}, {"integer", "a whole number"}, {"number", "a number"}, {"boolean", "true or false"}, {"null", "nothing"}} {
		if t[0] == json {
			return t[1]
		}
	}
	return json
}

// known names the settings that stand beside an unknown one, the likely one
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
		return "did you mean " + names[0] + "?"
	}
	slices.Sort(names)
	return "there are " + strings.Join(names, ", ")
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

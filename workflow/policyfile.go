package workflow

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v4"
)

// PolicyDocument is a policy as somebody has written it: JSON or YAML.
type PolicyDocument struct {
	Text   []byte            // as it was written, comments and all
	JSON   []byte            // what it says, in the one form of RFC 8785
	SHA256 [sha256.Size]byte // of the text
	Policy Policy            // laid over the defaults
	Odd    PolicyErrors      // what is said and perhaps not meant; it hinders nothing
}

// PolicyFault is one thing that is wrong with a policy.
type PolicyFault struct {
	Path string // e.g. clocks.stat.final or calendar.holidays[2]; "" is the whole
	Line int    // in the text; 0 where it has no place
	Text string // what is wrong and what is allowed
}

func (f PolicyFault) String() string {
	where := f.Path
	if f.Line > 0 {
		where = strings.TrimSpace(fmt.Sprintf("line %d: %s", f.Line, f.Path))
	}
	return strings.TrimSpace(strings.TrimSuffix(where, ":") + " " + f.Text)
}

// PolicyErrors are all that is wrong, in the order of the text.
type PolicyErrors []PolicyFault

func (f PolicyErrors) Error() string {
	texts := make([]string, len(f))
	for i, one := range f {
		texts[i] = one.String()
	}
	return "policy: " + strings.Join(texts, "; ")
}

// maxPolicy bounds the text of a policy, in bytes.
const maxPolicy = 256 << 10

// ReadPolicy reads a policy of a tenant, JSON (where it begins with a brace)
// or YAML. What it does not say is as in DefaultPolicy. The error is a
// PolicyErrors with everything that is wrong.
func ReadPolicy(text []byte) (PolicyDocument, error) {
	d := PolicyDocument{Text: text, SHA256: sha256.Sum256(text)}
	tree, lines, faults := readDocument(text)
	if faults == nil {
		faults = judge(tree)
	}
	if faults == nil {
		var err error
		if d.JSON, _, err = canonical(tree); err != nil {
			return d, err
		}
		if err := json.Unmarshal(d.JSON, &d.Policy); err != nil {
			return d, PolicyErrors{{Text: err.Error()}}
		}
		faults = d.Policy.faults()
	}
	if faults != nil {
		return d, lines.place(faults)
	}
	d.Odd = lines.place(d.Policy.warnings())
	return d, nil
}

// ReadNewPolicy is ReadPolicy of a policy that is to be set, which refuses besides
// what a policy of before may say still: that nobody is told of a report that no
// clinician has read, or of a finding that presses, or that an emergent one may wait
// for days. Every signed report has a way to be acknowledged.
func ReadNewPolicy(text []byte) (PolicyDocument, error) {
	d, err := ReadPolicy(text)
	if err != nil {
		return d, err
	}
	if faults := slices.Concat(d.Policy.unheardFaults(), d.Policy.findingFaults()); len(faults) > 0 {
		_, lines, _ := readDocument(text)
		return d, lines.place(faults)
	}
	return d, nil
}

// readDocument reads JSON or YAML.
func readDocument(text []byte) (any, places, PolicyErrors) {
	switch {
	case len(text) > maxPolicy:
		return nil, nil, PolicyErrors{{Text: Phrase("is longer than %d kB", maxPolicy>>10)}}
	case !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0:
		return nil, nil, PolicyErrors{{Text: Phrase("is no text in UTF-8")}}
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		return readJSON(text)
	}
	return readYAML(text)
}

// places is the line on which each path of a document is said.
type places map[string]int

// place gives each fault its line, or that of what it is part of.
func (p places) place(faults PolicyErrors) PolicyErrors {
	for i := range faults {
		for path := faults[i].Path; faults[i].Line == 0 && path != ""; path = outer(path) {
			faults[i].Line = p[path]
		}
	}
	slices.SortStableFunc(faults, func(a, b PolicyFault) int { return a.Line - b.Line })
	return slices.Compact(faults)
}

// outer is the path of what this path is part of.
func outer(path string) string { return path[:max(0, strings.LastIndexAny(path, ".["))] }

func inner(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func element(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// readJSON reads JSON by RFC 8259; names that occur twice are refused.
func readJSON(text []byte) (any, places, PolicyErrors) {
	r := jsonReader{dec: jsontext.NewDecoder(bytes.NewReader(text)), text: text, lines: places{}}
	tree, err := r.value("")
	if err == nil {
		_, err = r.dec.ReadToken()
		if err == nil {
			err = errors.New("there is more after the end of the policy")
		} else if errors.Is(err, io.EOF) {
			return tree, r.lines, nil
		}
	}
	return nil, nil, PolicyErrors{{Line: r.line(), Text: Phrase("is no JSON: %v", jsonComplaint(err))}}
}

// jsonComplaint is the error without the names of Go's packages.
func jsonComplaint(err error) string {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return syntactic.Err.Error()
	}
	return err.Error()
}

type jsonReader struct {
	dec   *jsontext.Decoder
	text  []byte
	lines places
}

func (r jsonReader) line() int { return 1 + bytes.Count(r.text[:r.dec.InputOffset()], []byte("\n")) }

func (r jsonReader) value(path string) (any, error) {
	token, err := r.dec.ReadToken()
	if err != nil {
		return nil, err
	}
	if _, said := r.lines[path]; !said {
		r.lines[path] = r.line()
	}
	switch token.Kind() {
	case '{':
		object := map[string]any{}
		for r.dec.PeekKind() != '}' {
			name, err := r.dec.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			r.lines[inner(path, key)] = r.line()
			if object[key], err = r.value(inner(path, key)); err != nil {
				return nil, err
			}
		}
		_, err = r.dec.ReadToken()
		return object, err
	case '[':
		list := []any{}
		for r.dec.PeekKind() != ']' {
			v, err := r.value(element(path, len(list)))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = r.dec.ReadToken()
		return list, err
	case '0':
		return json.Number(token.String()), nil
	case 't', 'f':
		return token.Bool(), nil
	case 'n':
		return nil, nil
	}
	return token.String(), nil
}

// readYAML reads one document of YAML 1.2. What JSON cannot say is refused:
// anchors and aliases (with them a short text may mean a huge one), tags, keys
// that are no text or occur twice.
func readYAML(text []byte) (any, places, PolicyErrors) {
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, nil, PolicyErrors{{Text: err.Error()}}
	}
	var document, another yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil, PolicyErrors{{Text: Phrase("says nothing; the policy of nothing but defaults is {}")}}
	case err != nil:
		return nil, nil, PolicyErrors{{Text: Phrase("is no YAML: %v", strings.TrimPrefix(err.Error(), "yaml: "))}}
	}
	if err := loader.Load(&another); !errors.Is(err, io.EOF) {
		return nil, nil, PolicyErrors{{Text: Phrase("must be one document of YAML")}}
	}
	r := yamlReader{lines: places{}}
	node := &document
	if node.Kind == yaml.DocumentNode {
		node = node.Content[0]
	}
	tree := r.value(node, "")
	return tree, r.lines, r.faults
}

type yamlReader struct {
	lines  places
	faults PolicyErrors
}

func (r *yamlReader) wrong(n *yaml.Node, path, text string) any {
	r.faults = append(r.faults, PolicyFault{Path: path, Line: n.Line, Text: text})
	return nil
}

func (r *yamlReader) value(n *yaml.Node, path string) any {
	if _, said := r.lines[path]; !said {
		r.lines[path] = n.Line
	}
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return r.wrong(n, path, Phrase("must be written out: anchors and aliases are not taken"))
	case n.Style&yaml.TaggedStyle != 0:
		return r.wrong(n, path, Phrase("must be written without a tag"))
	case n.Kind == yaml.MappingNode:
		return r.object(n, path)
	case n.Kind == yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, one := range n.Content {
			list[i] = r.value(one, element(path, i))
		}
		return list
	}
	return r.scalar(n, path)
}

func (r *yamlReader) object(n *yaml.Node, path string) any {
	object := map[string]any{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := inner(path, key.Value)
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" || key.Anchor != "" {
			r.wrong(key, path, Phrase("must have names that are text"))
			continue
		}
		if _, twice := object[key.Value]; twice {
			r.wrong(key, at, Phrase("is said twice"))
			continue
		}
		r.lines[at] = key.Line
		object[key.Value] = r.value(value, at)
	}
	return object
}

func (r *yamlReader) scalar(n *yaml.Node, path string) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return strings.EqualFold(n.Value, "true")
	case "!!int", "!!float":
		if !json.Valid([]byte(n.Value)) {
			return r.wrong(n, path, Phrase("must be a number in plain digits, or text in quotes"))
		}
		return json.Number(n.Value)
	}
	return n.Value // text; a date that is not in quotes too
}

package fhir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/overread/overread/internal/fault"
)

// Limits bound what Parse builds. A limit of 0 is the default's.
type Limits struct {
	Depth  int // objects within objects
	Names  int // names of one object; no type of FHIR R4 has a hundred elements
	Values int // objects, arrays, strings, numbers and booleans of one body
}

// Extensions in a resource in a Bundle reach a depth of 8 in practice. A body of
// 1 MB has some 30,000 values.
var documentLimits = Limits{Depth: 32, Names: 256, Values: 100_000}

// longestNumber allows more digits than FHIR asks for (18, datatypes.html#decimal).
const longestNumber = 40

// Parse reads one JSON object strictly and builds its tree, within limits that it
// checks before it builds. It returns a *fault.Error: TooLarge over a limit,
// otherwise Structure. It knows how FHIR writes JSON, and nothing of the types.
//
// FHIR R4 json.html: no name twice, nothing empty, null only in arrays (where it
// keeps the place of a primitive that has but extensions).
func Parse(body []byte, limits Limits) (*Node, error) {
	n, empty, err := parse(body, limits)
	if err == nil && len(empty) > 0 {
		err = &fault.Error{Issues: empty[:min(len(empty), maxIssues)]}
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

// parse is Parse for those who tell everything that is wrong: what is no value
// (empty, null, a text with control characters) it leaves out of the tree, and
// returns beside it.
func parse(body []byte, limits Limits) (*Node, []fault.Issue, error) {
	s := &scanner{body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body)), limits: limits.orDefault()}
	switch {
	case len(bytes.TrimSpace(body)) == 0:
		return nil, nil, fault.New(fault.Structure, "the body is empty: send one FHIR resource as JSON")
	case bytes.HasPrefix(body, []byte("\xEF\xBB\xBF")):
		return nil, nil, fault.New(fault.Structure, "the body begins with a byte order mark: send UTF-8 without one")
	}
	if kind := s.dec.PeekKind(); kind != '{' && kind != jsontext.KindInvalid {
		return nil, nil, fault.New(fault.Structure, "the body must be one JSON object with a resourceType")
	}
	n, err := s.value(false)
	if err != nil {
		return nil, nil, err
	}
	if _, err := s.dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, nil, s.fault(fault.Structure, "something follows the resource: send one resource and nothing else")
	}
	if n.IsNull() { // nothing in it has a value
		return nil, nil, &fault.Error{Issues: s.empty[:min(len(s.empty), maxIssues)]}
	}
	return n, s.empty, nil
}

func (l Limits) orDefault() Limits {
	if l.Depth == 0 {
		l.Depth = documentLimits.Depth
	}
	if l.Names == 0 {
		l.Names = documentLimits.Names
	}
	if l.Values == 0 {
		l.Values = documentLimits.Values
	}
	return l
}

type scanner struct {
	body   []byte
	dec    *jsontext.Decoder
	limits Limits
	values int
	open   []opened // the objects that are not closed yet, outermost first
	slab   []Node   // nodes are made a few at a time

	empty []fault.Issue // what is no value, and is left out
}

// none notes that something is no value, and stands for it in the tree. Beyond
// mostIssues it gives up.
func (s *scanner) none(format string, args ...any) (*Node, error) {
	return s.noneOf(fault.Structure, format, args...)
}

func (s *scanner) noneOf(kind fault.Kind, format string, args ...any) (*Node, error) {
	issue := s.issue(kind, s.dec.InputOffset(), fmt.Sprintf(format, args...))
	if len(s.empty) == mostIssues {
		return nil, &fault.Error{Issues: s.empty[:maxIssues]}
	}
	s.empty = append(s.empty, issue)
	return s.node(nullNode, ""), nil
}

// opened is one object on the way to where the scanner is.
type opened struct {
	object *Node
	name   string // the member being read
	index  int    // and its place in an array, -1 where it is in none
}

func (s *scanner) value(inArray bool) (*Node, error) {
	token, err := s.dec.ReadToken()
	if err != nil {
		return nil, s.syntax(err)
	}
	if s.values++; s.values > s.limits.Values {
		return nil, s.fault(fault.TooLarge, "the body has more than %d values: send it in parts", s.limits.Values)
	}
	switch kind := token.Kind(); {
	case kind == '{':
		return s.object()
	case kind == '[' && inArray:
		return nil, s.fault(fault.Structure, "an array lies directly in an array, which FHIR does not have")
	case kind == '[':
		return s.array()
	case kind == '"':
		return s.text(token.String())
	case kind == '0':
		return s.number(token.String())
	case kind == 't' || kind == 'f':
		return s.node(boolNode, token.String()), nil
	case inArray:
		return s.node(nullNode, ""), nil
	}
	return s.none("null is no value: leave the element out")
}

func (s *scanner) node(kind nodeKind, text string) *Node {
	if len(s.slab) == 0 {
		s.slab = make([]Node, 32)
	}
	n := &s.slab[0]
	s.slab = s.slab[1:]
	n.kind, n.text = kind, text
	return n
}

func (s *scanner) object() (*Node, error) {
	n, before := s.node(objectNode, ""), len(s.empty)
	if len(s.open) == s.limits.Depth {
		return nil, s.fault(fault.TooLarge, "elements are nested more than %d levels deep: flatten them", s.limits.Depth)
	}
	s.open = append(s.open, opened{object: n, index: -1})
	defer func() { s.open = s.open[:len(s.open)-1] }()
	for s.dec.PeekKind() == '"' {
		if len(n.members) == s.limits.Names {
			return nil, s.fault(fault.TooLarge, "an object has more than %d names, more than any type of FHIR", s.limits.Names)
		}
		token, err := s.dec.ReadToken()
		if err != nil {
			return nil, s.syntax(err)
		}
		name := token.String()
		s.at().name = name
		child, err := s.value(false)
		if err != nil {
			return nil, err
		}
		if !child.IsNull() {
			n.members = append(n.members, member{name, child})
		}
		s.at().name = ""
	}
	if _, err := s.dec.ReadToken(); err != nil {
		return nil, s.syntax(err)
	}
	switch {
	case len(n.members) > 0:
		return n, nil
	case len(s.empty) > before: // it had members, which were told of
		return s.node(nullNode, ""), nil
	}
	return s.none("an empty object is no value: leave the element out")
}

func (s *scanner) array() (*Node, error) {
	n, before := s.node(arrayNode, ""), len(s.empty)
	gaps := 0
	for s.dec.PeekKind() != ']' {
		s.place(len(n.items))
		item, err := s.value(true)
		if err != nil {
			return nil, err
		}
		if item.kind == nullNode {
			gaps++
		}
		n.items = append(n.items, item)
	}
	s.place(-1)
	if _, err := s.dec.ReadToken(); err != nil {
		return nil, s.syntax(err)
	}
	switch {
	case gaps < len(n.items):
		return n, nil
	case len(s.empty) > before:
		return s.node(nullNode, ""), nil
	}
	return s.none("an empty array, or one of nulls only, is no value: leave the element out")
}

func (s *scanner) text(text string) (*Node, error) {
	if text == "" {
		return s.none("an empty string is no value: leave the element out")
	}
	if strings.IndexFunc(text, isForbidden) >= 0 {
		return s.noneOf(fault.Value, "the text has a control character: only tab, line feed and carriage return are allowed")
	}
	return s.node(stringNode, text), nil
}

// isForbidden: FHIR R4 datatypes.html#string. NUL could not be stored either.
func isForbidden(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' }

func (s *scanner) number(text string) (*Node, error) {
	if len(text) > longestNumber {
		return s.noneOf(fault.Value, "the number is longer than %d characters: round it", longestNumber)
	}
	if _, exponent, ok := strings.Cut(strings.ToLower(text), "e"); ok && len(strings.TrimLeft(exponent, "+-0")) > 3 {
		return s.noneOf(fault.Value, "the exponent of the number is beyond 999")
	}
	return s.node(numberNode, text), nil
}

func (s *scanner) at() *opened { return &s.open[len(s.open)-1] }

func (s *scanner) place(index int) {
	if len(s.open) > 0 {
		s.at().index = index
	}
}

// syntax says what jsontext refused, without quoting it as jsontext does.
func (s *scanner) syntax(err error) error {
	text := "the text is not well-formed JSON: mend it"
	offset := s.dec.InputOffset()
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	if ok {
		offset = syntactic.ByteOffset
	}
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		if ok && len(s.open) > 0 {
			s.at().name, s.at().index = syntactic.JSONPointer.LastToken(), -1
		}
		text = "an object has the same name twice: keep one"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		text = "the JSON ends too early: send all of it"
	case strings.Contains(err.Error(), "UTF-8"), strings.Contains(err.Error(), "surrogate"):
		text = "the text is not valid UTF-8, or escapes half of a surrogate pair: send Unicode"
	}
	return s.faultAt(fault.Structure, offset, text)
}

func (s *scanner) fault(kind fault.Kind, format string, args ...any) error {
	return s.faultAt(kind, s.dec.InputOffset(), fmt.Sprintf(format, args...))
}

func (s *scanner) faultAt(kind fault.Kind, offset int64, text string) error {
	return &fault.Error{Issues: []fault.Issue{s.issue(kind, offset, text)}}
}

func (s *scanner) issue(kind fault.Kind, offset int64, text string) fault.Issue {
	before := s.body[:min(int(offset), len(s.body))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := len(before) - bytes.LastIndexByte(before, '\n')
	return fault.Issue{Kind: kind, Expression: s.expression(), Text: fmt.Sprintf("%s (line %d, column %d)", text, line, column)}
}

// expression names the element being read, as far as the names are FHIR's: what is
// not an element of its type might be anything, and is not repeated to anyone.
func (s *scanner) expression() string {
	var p path
	var in *shape
	for i, level := range s.open {
		if level.object.Type() != "" || i == 0 {
			in = resourceShape(level.object.Type())
			if i == 0 && in != nil {
				p = append(p, segment{name: in.name, index: -1})
			}
		}
		if in == nil || in.elements[level.name] == nil {
			break
		}
		e := in.elements[level.name]
		p = append(p, segment{name: e.name, index: level.index})
		in = e.shape()
	}
	return p.String()
}

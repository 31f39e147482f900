package fhir

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	engine "github.com/gofhir/fhirpath"
)

// patchPath is a path of a FHIRPath Patch: the names, indexes and filters that
// lead to elements which a patch can change. FHIR R4 fhirpath.html#simple, with
// where, extension, ofType, first and last. The criteria of where are evaluated
// by an engine that knows all of FHIRPath.
type patchPath struct{ steps []placeStep }

// placeStep is one of: a name, an index, a function with its argument.
type placeStep struct {
	name     string
	index    int // -1 for none
	function string
	argument string
}

const (
	maxPathLength = 500
	criteriaTime  = 200 * time.Millisecond // for one element
	patchTime     = 2 * time.Second        // for all elements of a patch
	patchElements = 20_000
)

// allowance is what one patch may spend on the criteria of its paths: others
// wait for what it has locked.
type allowance struct {
	ctx   context.Context //nolint:containedctx // it lives for one patch
	until time.Time
	left  int // elements
}

func newAllowance(ctx context.Context) *allowance {
	return &allowance{ctx: ctx, until: time.Now().Add(patchTime), left: patchElements}
}

// next is the time for the next element, or why there is none.
func (a *allowance) next() (time.Duration, error) {
	if err := a.ctx.Err(); err != nil {
		return 0, err
	}
	a.left--
	left := time.Until(a.until)
	if a.left < 0 || left <= 0 {
		return 0, errSpent
	}
	return min(left, criteriaTime), nil
}

var (
	errPath     = errors.New("it must be made of names, [index], where(...), extension('...'), ofType(...), first() and last(), such as Patient.name[0].given")
	errCriteria = errors.New("the criteria of its where(...) cannot be evaluated")
	errSpent    = errors.New("the criteria of its paths are evaluated for too many elements, or take too long: name them by their index")
	errElement  = errors.New("its path names an element that there is not in this type")
)

// pathFunctions says which functions take an argument.
var pathFunctions = map[string]bool{"where": true, "extension": true, "ofType": true, "as": true, "first": false, "last": false}

// parsePath reads a path. Its errors do not repeat it.
func parsePath(text string) (*patchPath, error) {
	if text == "" || len(text) > maxPathLength {
		return nil, errPath
	}
	p := &patchPath{}
	for rest := text; rest != ""; {
		word := nameAt(rest)
		if word == "" {
			return nil, errPath
		}
		rest = rest[len(word):]
		step := placeStep{name: word, index: -1}
		if strings.HasPrefix(rest, "(") {
			end := closing(rest)
			takes, known := pathFunctions[word]
			if !known || end < 0 || takes == (strings.TrimSpace(rest[1:end]) == "") {
				return nil, errPath
			}
			step = placeStep{index: -1, function: word, argument: strings.TrimSpace(rest[1:end])}
			rest = rest[end+1:]
		}
		p.steps = append(p.steps, step)
		for strings.HasPrefix(rest, "[") {
			number, after, ok := strings.Cut(rest[1:], "]")
			index, err := strconv.Atoi(number)
			if !ok || err != nil || index < 0 {
				return nil, errPath
			}
			p.steps = append(p.steps, placeStep{index: index})
			rest = after
		}
		if rest != "" {
			var dotted bool
			if rest, dotted = strings.CutPrefix(rest, "."); !dotted || rest == "" {
				return nil, errPath
			}
		}
	}
	return p, nil
}

func nameAt(text string) string {
	end := 0
	for end < len(text) && (text[end] >= 'a' && text[end] <= 'z' || text[end] >= 'A' && text[end] <= 'Z' || end > 0 && text[end] >= '0' && text[end] <= '9') {
		end++
	}
	return text[:end]
}

// closing is where the parenthesis at the beginning is closed, -1 for nowhere.
// What stands in quotes does not count.
func closing(text string) int {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		case c == '/' || c == '`' || c == '"': // comments, and other quotes
			return -1
		}
	}
	return -1
}

// cut takes the last step off, which must be a name.
func (p *patchPath) cut() (before *patchPath, last string, ok bool) {
	n := len(p.steps) - 1
	if n < 1 || p.steps[n].name == "" {
		return nil, "", false
	}
	return &patchPath{p.steps[:n]}, p.steps[n].name, true
}

// place is where an element stands: a member of parent, or an item of one.
type place struct {
	node    *Node
	parent  *Node // nil for the resource itself
	name    string
	index   int // -1 where it is in no list
	in      *shape
	element *element
}

// inside is the shape of what is there; one without elements for a primitive.
func (p place) inside() *shape {
	var s *shape
	switch {
	case p.element == nil || p.element.resource:
		s = resourceShape(p.node.Type())
	default:
		s = p.element.shape()
	}
	if s == nil {
		return &shape{}
	}
	return s
}

// element is what a type has under a name of FHIRPath; of a choice, any.
func (s *shape) element(name string) *element {
	if choices := s.choices[name]; len(choices) > 0 {
		return s.elements[choices[0]]
	}
	if e := s.elements[name]; e != nil && !e.choice && !e.companion {
		return e
	}
	return nil
}

// find finds the elements that a path means.
func (p *patchPath) find(root *Node, spend *allowance) ([]place, error) {
	found := []place{{node: root, index: -1}}
	steps := p.steps
	if steps[0].name == root.Type() {
		steps = steps[1:]
	}
	for _, step := range steps {
		var err error
		if found, err = step.follow(found, spend); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (st placeStep) follow(from []place, spend *allowance) (to []place, err error) {
	switch {
	case st.index >= 0:
		if st.index < len(from) {
			to = from[st.index : st.index+1]
		}
		return to, nil
	case st.function == "first" && len(from) > 0:
		return from[:1], nil
	case st.function == "last" && len(from) > 0:
		return from[len(from)-1:], nil
	case st.function == "first", st.function == "last":
		return nil, nil
	case st.function == "extension":
		all, err := placeStep{name: "extension", index: -1}.follow(from, spend)
		if err != nil {
			return nil, err
		}
		return filter(all, "url = "+st.argument, spend)
	case st.function == "ofType", st.function == "as":
		for _, p := range from {
			if p.element != nil && p.element.choice && p.name == p.element.name+strings.ToUpper(st.argument[:1])+st.argument[1:] {
				to = append(to, p)
			}
		}
		return to, nil
	case st.function == "where":
		return filter(from, st.argument, spend)
	}
	for _, p := range from {
		in := p.inside()
		if in.element(st.name) == nil {
			return nil, errElement
		}
		names := in.choices[st.name]
		if len(names) == 0 {
			names = []string{st.name}
		}
		for _, name := range names {
			to = append(to, p.members(in, name)...)
		}
	}
	return to, nil
}

// members are the values of one name in JSON.
func (p place) members(in *shape, name string) []place {
	value := p.node.Get(name)
	at := place{node: value, parent: p.node, name: name, index: -1, in: in, element: in.elements[name]}
	switch {
	case value == nil:
		return nil
	case !value.IsArray():
		return []place{at}
	}
	var all []place
	for i, item := range value.Items() {
		at.node, at.index = item, i
		all = append(all, at)
	}
	return all
}

// filter keeps what meets the criteria. They are evaluated for each element by
// itself, as $this.
func filter(from []place, criteria string, spend *allowance) ([]place, error) {
	expression, err := engine.Compile("this.where(" + criteria + ").exists()")
	if err != nil {
		return nil, errCriteria
	}
	var kept []place
	for _, p := range from {
		time, err := spend.next()
		if err != nil {
			return nil, err
		}
		result, err := expression.EvaluateWithOptions(Object("this", p.node).Bytes(),
			engine.WithTimeout(time), engine.WithMaxDepth(documentLimits.Depth), engine.WithMaxCollectionSize(10_000))
		if err != nil {
			return nil, errCriteria
		}
		if len(result) == 1 && result[0].String() == "true" {
			kept = append(kept, p)
		}
	}
	return kept, nil
}

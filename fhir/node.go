package fhir

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

type nodeKind byte

const (
	nullNode nodeKind = iota // only inside arrays of primitives, FHIR R4 json.html#primitive
	objectNode
	arrayNode
	stringNode
	numberNode
	boolNode
)

// Node is one JSON value of a resource. Objects keep the order of their names,
// and numbers their text: 1.50 is not 1.5 (FHIR R4 datatypes.html#decimal).
//
// The methods that read are safe on a nil Node, which stands for "absent".
type Node struct {
	kind    nodeKind
	text    string // of a string, a number; "true" or "false"
	members []member
	items   []*Node
	json    []byte // of what nobody changes any more (fixed): its JSON
}

type member struct {
	name  string
	value *Node
}

// Object builds an object from pairs of name and value:
//
//	Object("resourceType", "Task", "status", "requested", "focus", ref)
//
// A value is a string, int, int64, bool, *Node, []*Node or []string. FHIR knows
// no empty values, so what is empty is left out: nil, "", a slice of no items.
// Anything else is a mistake of the caller and panics.
func Object(members ...any) *Node {
	n := &Node{kind: objectNode, members: make([]member, 0, len(members)/2)}
	for i := 0; i < len(members); i += 2 {
		n.Set(members[i].(string), members[i+1]) //nolint:gosec // a name without a value is a mistake of the caller
	}
	return n
}

// Array builds an array. Its items are values as of Object; empty ones are left out.
func Array(items ...any) *Node {
	n := &Node{kind: arrayNode, items: make([]*Node, 0, len(items))}
	for _, item := range items {
		if v := toNode(item); v != nil {
			n.items = append(n.items, v)
		}
	}
	return n
}

// String builds a string.
func String(text string) *Node { return &Node{kind: stringNode, text: text} }

// Number builds a number of exactly this text, and panics if it is none.
func Number(literal string) *Node {
	if v := jsontext.Value(literal); v.Kind() != '0' || !v.IsValid() {
		panic("fhir: not a JSON number")
	}
	return &Node{kind: numberNode, text: literal}
}

func toNode(v any) *Node {
	switch v := v.(type) {
	case nil:
		return nil
	case *Node:
		return v
	case string:
		if v == "" {
			return nil
		}
		return String(v)
	case bool:
		return &Node{kind: boolNode, text: strconv.FormatBool(v)}
	case int:
		return &Node{kind: numberNode, text: strconv.Itoa(v)}
	case int64:
		return &Node{kind: numberNode, text: strconv.FormatInt(v, 10)}
	case []*Node:
		return toArray(v)
	case []string:
		return toArray(v)
	}
	panic(fmt.Sprintf("fhir: a Node cannot hold a %T", v))
}

func toArray[T any](values []T) *Node {
	n := &Node{kind: arrayNode}
	for _, each := range values {
		if v := toNode(each); v != nil {
			n.items = append(n.items, v)
		}
	}
	if len(n.items) == 0 {
		return nil
	}
	return n
}

// IsObject reports whether n is an object.
func (n *Node) IsObject() bool { return n != nil && n.kind == objectNode }

// IsArray reports whether n is an array.
func (n *Node) IsArray() bool { return n != nil && n.kind == arrayNode }

// IsString reports whether n is a string.
func (n *Node) IsString() bool { return n != nil && n.kind == stringNode }

// IsNumber reports whether n is a number.
func (n *Node) IsNumber() bool { return n != nil && n.kind == numberNode }

// IsBool reports whether n is true or false.
func (n *Node) IsBool() bool { return n != nil && n.kind == boolNode }

// IsNull reports whether n is the null that fills a gap in an array of primitives.
func (n *Node) IsNull() bool { return n != nil && n.kind == nullNode }

// Type is the resourceType, "" where n is no resource.
func (n *Node) Type() string {
	if t := n.member("resourceType"); t.IsString() {
		return t.text
	}
	return ""
}

// Names lists the names of an object in their order.
func (n *Node) Names() []string {
	if n == nil {
		return nil
	}
	names := make([]string, len(n.members))
	for i, m := range n.members {
		names[i] = m.name
	}
	return names
}

// Items are the items of an array.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

func (n *Node) member(name string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.members {
		if n.members[i].name == name {
			return n.members[i].value
		}
	}
	return nil
}

// Get walks objects by name; nil where one is absent.
func (n *Node) Get(path ...string) *Node {
	for _, name := range path {
		n = n.member(name)
	}
	return n
}

// Each walks objects by name and flattens the arrays on its way:
// Each("code", "coding", "code") are all the codes.
func (n *Node) Each(path ...string) []*Node {
	if n == nil {
		return nil
	}
	return n.each(nil, path)
}

func (n *Node) each(found []*Node, path []string) []*Node {
	switch {
	case n == nil || n.kind == nullNode:
		return found
	case n.kind == arrayNode:
		for _, item := range n.items {
			found = item.each(found, path)
		}
		return found
	case len(path) == 0:
		return append(found, n)
	}
	return n.member(path[0]).each(found, path[1:])
}

// Text is the first string, number or boolean that Each finds, as text, or "".
func (n *Node) Text(path ...string) string {
	for _, found := range n.Each(path...) {
		if found.kind != objectNode {
			return found.text
		}
	}
	return ""
}

// Set replaces or appends the member of an object; an empty value, as Object
// understands it, removes it.
func (n *Node) Set(name string, v any) {
	child := toNode(v)
	if child == nil {
		n.Remove(name)
		return
	}
	if n.kind != objectNode {
		panic("fhir: Set on a Node that is no object")
	}
	for i := range n.members {
		if n.members[i].name == name {
			n.members[i].value = child
			return
		}
	}
	n.members = append(n.members, member{name, child})
}

// Append adds an item to the array of that name, which it makes where absent.
func (n *Node) Append(name string, v any) {
	item := toNode(v)
	if item == nil {
		return
	}
	if list := n.member(name); list.IsArray() {
		list.items = append(list.items, item)
		return
	}
	n.Set(name, Array(item))
}

// Remove takes a member out of an object.
func (n *Node) Remove(name string) {
	for i := range n.members {
		if n.members[i].name == name {
			n.members = append(n.members[:i], n.members[i+1:]...)
			return
		}
	}
}

// SetText changes the text of a string in place, as rewriting a reference does.
func (n *Node) SetText(text string) {
	if n.kind != stringNode {
		panic("fhir: SetText on a Node that is no string")
	}
	n.text = text
}

// Walk calls fn for n and everything below it, parents first, with the path of each:
// ServiceRequest.code.coding[0].system. The names are those of JSON, so that a caller
// can tell valueUri from valueString; only _birthDate is birthDate. Arrays themselves
// are not visited, their items are.
func (n *Node) Walk(fn func(path string, n *Node)) { n.walk(n.Type(), fn) }

func (n *Node) walk(path string, fn func(string, *Node)) {
	if n == nil {
		return
	}
	if n.kind == arrayNode {
		for i, item := range n.items {
			item.walk(path+"["+strconv.Itoa(i)+"]", fn)
		}
		return
	}
	fn(path, n)
	for _, m := range n.members {
		name := strings.TrimPrefix(m.name, "_")
		if path != "" {
			name = path + "." + name
		}
		m.value.walk(name, fn)
	}
}

// Clone is a deep copy.
func (n *Node) Clone() *Node {
	if n == nil {
		return nil
	}
	c := &Node{kind: n.kind, text: n.text}
	if n.members != nil {
		c.members = make([]member, len(n.members))
		for i, m := range n.members {
			c.members[i] = member{m.name, m.value.Clone()}
		}
	}
	if n.items != nil {
		c.items = make([]*Node, len(n.items))
		for i, item := range n.items {
			c.items[i] = item.Clone()
		}
	}
	return c
}

// Bytes is the compact JSON of n. Resources begin with resourceType, id and meta,
// as the specification writes them; everything else keeps its order.
func (n *Node) Bytes() []byte { return n.append(make([]byte, 0, n.size())) }

// size is how many bytes the JSON of n has, but for escapes: of a large report the buffer
// would otherwise be copied many times.
func (n *Node) size() int {
	switch {
	case n == nil || n.kind == nullNode:
		return len("null")
	case n.json != nil:
		return len(n.json)
	}
	size := len(n.text) + 2
	for i := range n.members {
		size += len(n.members[i].name) + len(`"":,`) + n.members[i].value.size()
	}
	for _, item := range n.items {
		size += item.size() + 1
	}
	return size
}

// fixed is n, which nobody changes from now on, so that it is written once where it
// stands in many places of a resource. What is cloned may be changed again.
func (n *Node) fixed() *Node {
	if n != nil {
		n.json = n.Bytes()
	}
	return n
}

func (n *Node) append(b []byte) []byte {
	switch {
	case n != nil && n.json != nil:
		return append(b, n.json...)
	case n == nil || n.kind == nullNode:
		return append(b, "null"...)
	case n.kind == objectNode:
		return n.appendObject(b)
	case n.kind == arrayNode:
		b = append(b, '[')
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			b = item.append(b)
		}
		return append(b, ']')
	case n.kind == stringNode:
		return appendQuoted(b, n.text)
	}
	return append(b, n.text...)
}

var firstNames = [...]string{"resourceType", "id", "meta"}

func (n *Node) appendObject(b []byte) []byte {
	b = append(b, '{')
	start := len(b)
	write := func(m member) {
		if len(b) > start {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, m.name), ':')
		b = m.value.append(b)
	}
	resource := n.Type() != ""
	if resource {
		for _, name := range firstNames {
			if v := n.member(name); v != nil {
				write(member{name, v})
			}
		}
	}
	for _, m := range n.members {
		if !resource || !isFirst(m.name) {
			write(m)
		}
	}
	return append(b, '}')
}

func isFirst(name string) bool {
	return name == firstNames[0] || name == firstNames[1] || name == firstNames[2]
}

// appendQuoted cannot fail on what Parse made; in a string that the program
// built, invalid UTF-8 becomes U+FFFD.
func appendQuoted(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' { // all others stand for themselves: RFC 8259, 7
			b, _ = jsontext.AppendQuote(b, text)
			return b
		}
	}
	b = append(b, '"')
	b = append(b, text...)
	return append(b, '"')
}

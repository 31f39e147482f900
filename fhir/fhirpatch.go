package fhir

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/fault"
)

// A FHIRPath Patch is a Parameters resource with one parameter "operation" for
// each change: FHIR R4 fhirpatch.html.

// maxPathOperations bounds the operations of one FHIRPath Patch.
const maxPathOperations = 100

// pathOperation is one operation as it was read.
type pathOperation struct {
	at    string // Parameters.parameter[0]
	path  *patchPath
	name  string
	value *Node // the part with the value
	index int
	from  int
	to    int
	spend *allowance // of the patch that it is part of
}

// pathOperations is the table of them: the parts that each needs, and what it
// does.
var pathOperations = map[string]struct {
	needs []string
	do    func(op pathOperation, root *Node) error
}{
	"add":     {[]string{"path", "name", "value"}, pathOperation.add},
	"insert":  {[]string{"path", "index", "value"}, pathOperation.insert},
	"delete":  {[]string{"path"}, pathOperation.delete},
	"replace": {[]string{"path", "value"}, pathOperation.replace},
	"move":    {[]string{"path", "source", "destination"}, pathOperation.move},
}

// readFHIRPathPatch reads the operations. What is wrong with them is refused
// here; what does not fit the resource, when they are done.
func readFHIRPathPatch(n *Node) (patch, error) {
	given := n.Get("parameter").Items()
	if len(given) > maxPathOperations {
		return nil, fault.New(fault.TooLarge, "a FHIRPath Patch may have %d operations: PUT the resource instead", maxPathOperations)
	}
	var steps []func(root *Node, spend *allowance) error
	for i, p := range given {
		step, err := readPathOperation(p, fmt.Sprintf("Parameters.parameter[%d]", i))
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return func(ctx context.Context, current *Node) (*Node, error) {
		spend := newAllowance(ctx)
		for _, step := range steps {
			if err := step(current, spend); err != nil {
				return nil, err
			}
		}
		return current, nil
	}, nil
}

func readPathOperation(p *Node, at string) (func(root *Node, spend *allowance) error, error) {
	if p.Text("name") != "operation" {
		return nil, fault.At(fault.Value, at+".name", "the parameters of a FHIRPath Patch are named operation")
	}
	op := pathOperation{at: at}
	parts := map[string]*Node{}
	for _, part := range p.Get("part").Items() {
		name := part.Text("name")
		if parts[name] != nil {
			return nil, fault.At(fault.Value, at, "an operation has the part %s once only", name)
		}
		parts[name] = part
	}
	kind, ok := pathOperations[partText(parts["type"])]
	if !ok {
		return nil, fault.At(fault.Value, at, "the part type must be add, insert, delete, replace or move")
	}
	for _, need := range kind.needs {
		if parts[need] == nil {
			return nil, fault.At(fault.Required, at, "the operation %s needs the part %s", partText(parts["type"]), need)
		}
	}
	var err error
	if op.path, err = parsePath(partText(parts["path"])); err != nil {
		return nil, fault.At(fault.Value, at, "the part path: %s", err)
	}
	op.name, op.value = partText(parts["name"]), parts["value"]
	for name, into := range map[string]*int{"index": &op.index, "source": &op.from, "destination": &op.to} {
		if parts[name] == nil {
			continue
		}
		if *into, err = strconv.Atoi(partText(parts[name])); err != nil || *into < 0 {
			return nil, fault.At(fault.Value, at, "the part %s must be a number from 0", name)
		}
	}
	return func(root *Node, spend *allowance) error {
		once := op
		once.spend = spend
		return kind.do(once, root)
	}, nil
}

// partText is the value of a part of a primitive type.
func partText(part *Node) string {
	if part == nil {
		return ""
	}
	for _, m := range part.members {
		if strings.HasPrefix(m.name, "value") && !m.value.IsObject() {
			return m.value.Text()
		}
	}
	return ""
}

func (op pathOperation) fails(format string, args ...any) error {
	return fault.At(fault.BusinessRule, op.at, "the operation fails, and nothing was changed: "+format, args...)
}

// one finds the one element that the path means.
func (op pathOperation) one(root *Node) (place, error) {
	found, err := op.path.find(root, op.spend)
	switch {
	case err != nil && op.spend.ctx.Err() != nil:
		return place{}, err // the client has gone
	case err != nil:
		return place{}, op.fails("%s", err)
	case len(found) != 1:
		return place{}, op.fails("its path means %d elements, and must mean one", len(found))
	}
	return found[0], nil
}

// add appends to a list, or gives an element that is not there yet.
func (op pathOperation) add(root *Node) error {
	at, err := op.one(root)
	if err != nil {
		return err
	}
	e, name, value, err := op.element(at.inside(), op.name)
	switch {
	case err != nil:
		return err
	case !at.node.IsObject():
		return op.fails("what its path means has no elements")
	case e.list:
		at.node.Append(name, value)
		if twin := at.node.Get("_" + name); twin.IsArray() {
			twin.items = append(twin.items, &Node{})
		}
		return nil
	case at.has(op.name):
		return op.fails("the element is there already and does not repeat: replace it")
	}
	at.node.Set(name, value)
	return nil
}

// has tells whether an element, or one of its choices, is there.
func (p place) has(name string) bool {
	for _, each := range append([]string{name}, p.inside().choices[name]...) {
		if p.node.Get(each) != nil {
			return true
		}
	}
	return false
}

func (op pathOperation) insert(root *Node) error {
	parent, list, err := op.list(root)
	if err != nil {
		return err
	}
	_, _, value, err := op.element(parent.inside(), list)
	if err != nil {
		return err
	}
	items := parent.node.Get(list).Items()
	if op.index > len(items) {
		return op.fails("its index is beyond the end of the list")
	}
	parent.node.Set(list, slices.Insert(slices.Clone(items), op.index, value))
	if twin := parent.node.Get("_" + list); len(twin.Items()) > op.index {
		twin.items = slices.Insert(twin.items, op.index, &Node{})
	}
	return nil
}

// delete: what is not there is deleted all the same.
func (op pathOperation) delete(root *Node) error {
	found, err := op.path.find(root, op.spend)
	switch {
	case err != nil && op.spend.ctx.Err() != nil:
		return err
	case err != nil:
		return op.fails("%s", err)
	case len(found) == 0:
		return nil
	case len(found) > 1 || found[0].parent == nil:
		return op.fails("its path means %d elements, and must mean one element of the resource", len(found))
	}
	at := found[0]
	if at.index < 0 {
		at.parent.Remove(at.name)
		at.parent.Remove("_" + at.name)
		return nil
	}
	for _, name := range []string{at.name, "_" + at.name} {
		if items := at.parent.Get(name).Items(); at.index < len(items) {
			at.parent.setList(name, slices.Delete(slices.Clone(items), at.index, at.index+1))
		}
	}
	return nil
}

func (op pathOperation) replace(root *Node) error {
	at, err := op.one(root)
	if err != nil {
		return err
	}
	if at.parent == nil {
		return op.fails("its path means the whole resource: PUT it instead")
	}
	_, name, value, err := op.element(at.in, at.element.name)
	if err != nil {
		return err
	}
	if at.index >= 0 {
		at.parent.Get(at.name).items[at.index] = value
		return nil
	}
	if name != at.name { // another type of a choice
		at.parent.Remove(at.name)
		at.parent.Remove("_" + at.name)
	}
	at.parent.Set(name, value)
	return nil
}

func (op pathOperation) move(root *Node) error {
	parent, list, err := op.list(root)
	if err != nil {
		return err
	}
	length := len(parent.node.Get(list).Items())
	if op.from >= length || op.to >= length {
		return op.fails("its source or destination is beyond the end of the list")
	}
	for _, name := range []string{list, "_" + list} {
		items := slices.Clone(parent.node.Get(name).Items())
		if items == nil {
			continue
		}
		for len(items) < length {
			items = append(items, &Node{})
		}
		moved := items[op.from]
		items = slices.Insert(slices.Delete(items, op.from, op.from+1), op.to, moved)
		parent.node.setList(name, items)
	}
	return nil
}

// list is the list that the path means, and what it belongs to. It may be empty.
func (op pathOperation) list(root *Node) (parent place, name string, err error) {
	before, last, ok := op.path.cut()
	if !ok {
		return place{}, "", op.fails("its path must end with the name of a list")
	}
	parent, err = pathOperation{at: op.at, path: before}.one(root)
	if err != nil {
		return place{}, "", err
	}
	if e := parent.inside().element(last); e == nil || !e.list || !parent.node.IsObject() {
		return place{}, "", op.fails("its path must end with the name of a list")
	}
	return parent, last, nil
}

// element reads the value for an element of a type: what the element is, and its
// name in JSON, which is that of the choice where there is one.
func (op pathOperation) element(in *shape, name string) (*element, string, *Node, error) {
	e := in.element(name)
	if e == nil {
		return nil, "", nil, op.fails("there is no such element in what its path means")
	}
	suffix, value := valueOf(op.value, e)
	if value == nil {
		return nil, "", nil, fault.At(fault.Value, op.at, "the part value has no value that this element could have")
	}
	if len(in.choices[name]) > 0 {
		name += suffix
	}
	return e, name, value, nil
}

// valueOf is the value of a part: value[x], a resource, or parts, which are the
// elements of a type that has no name (FHIR R4 fhirpatch.html#anonymous).
func valueOf(part *Node, e *element) (suffix string, value *Node) {
	for _, m := range part.members {
		if rest, ok := strings.CutPrefix(m.name, "value"); ok {
			return rest, m.value.Clone()
		}
	}
	if resource := part.Get("resource"); resource != nil {
		return "", resource.Clone()
	}
	in := e.shape()
	if in == nil || part.Get("part") == nil {
		return "", nil
	}
	n := Object()
	for _, each := range part.Get("part").Items() {
		name := each.Text("name")
		member := in.element(name)
		if member == nil {
			return "", nil
		}
		suffix, v := valueOf(each, member)
		if v == nil {
			return "", nil
		}
		if len(in.choices[name]) > 0 {
			name += suffix
		}
		if member.list {
			n.Append(name, v)
		} else {
			n.Set(name, v)
		}
	}
	return "", n
}

// setList replaces a list; one that says nothing any more is taken away.
func (n *Node) setList(name string, items []*Node) {
	if !slices.ContainsFunc(items, func(i *Node) bool { return !i.IsNull() }) {
		n.Remove(name)
		return
	}
	n.Get(name).items = items
}

package fhir

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sort"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"

	"github.com/overread/overread/internal/fault"
)

// Limits of a JSON Patch. Copies may add up to the size of a large resource.
const (
	maxPatchOperations = 500
	maxPatchBytes      = 1 << 20
	maxPatchCopies     = 1 << 20
)

// patchMembers says what each operation needs, RFC 6902 section 4.
var patchMembers = map[string][]string{
	"add": {"path", "value"}, "remove": {"path"}, "replace": {"path", "value"},
	"move": {"from", "path"}, "copy": {"from", "path"}, "test": {"path", "value"},
}

// readJSONPatch reads a JSON Patch, RFC 6902. What is wrong with the patch
// itself is refused here; what does not fit the resource, when it is applied.
func readJSONPatch(body []byte) (patch, error) {
	if len(body) > maxPatchBytes {
		return nil, fault.New(fault.TooLarge, "a patch may have %d bytes: PUT the resource instead", maxPatchBytes)
	}
	var operations []map[string]json.RawMessage
	if err := json.Unmarshal(body, &operations); err != nil {
		return nil, &fault.Error{Issues: []fault.Issue{{Kind: fault.Structure, Text: `a JSON Patch is an array of operations: [{"op":"replace","path":"/status","value":"..."}]`}}, Cause: nil}
	}
	if len(operations) > maxPatchOperations {
		return nil, fault.New(fault.TooLarge, "a patch may have %d operations: PUT the resource instead", maxPatchOperations)
	}
	for i, op := range operations {
		if err := checkOperation(op); err != nil {
			return nil, fault.New(fault.Structure, "operation %d of the patch: %s", i, err)
		}
	}
	decoded, err := jsonpatch.DecodePatch(body)
	if err != nil {
		return nil, fault.New(fault.Structure, "this is no JSON Patch as RFC 6902 has it")
	}
	return func(_ context.Context, current *Node) (*Node, error) { return applyJSONPatch(decoded, current) }, nil
}

// checkOperation says what is wrong with one operation, without its values.
func checkOperation(op map[string]json.RawMessage) error {
	var name string
	if json.Unmarshal(op["op"], &name) != nil || patchMembers[name] == nil {
		return errors.New("op must be add, remove, replace, move, copy or test")
	}
	for _, member := range patchMembers[name] {
		value, given := op[member]
		if !given {
			return fmt.Errorf("%s needs %s", name, member)
		}
		var pointer string
		if member != "value" && (json.Unmarshal(value, &pointer) != nil || !isPointer(pointer)) {
			return fmt.Errorf("%s must be a JSON Pointer such as /name/0/family", member)
		}
	}
	return nil
}

// isPointer: RFC 6901. The whole document is no place for a patch of a resource.
func isPointer(text string) bool {
	return strings.HasPrefix(text, "/") && !strings.Contains(strings.NewReplacer("~0", "", "~1", "").Replace(text), "~")
}

func patchOptions() *jsonpatch.ApplyOptions {
	o := jsonpatch.NewApplyOptions()
	o.SupportNegativeIndices = false
	o.EscapeHTML = false
	o.AccumulatedCopySizeLimit = maxPatchCopies
	return o
}

// applyJSONPatch applies all operations or none. The library keeps the text of
// what is not touched, and its errors have the values in them, so of those only
// the number of the operation is told.
func applyJSONPatch(p jsonpatch.Patch, current *Node) (*Node, error) {
	before := current.Bytes()
	after, err := p.ApplyWithOptions(before, patchOptions())
	var tooMuch *jsonpatch.AccumulatedCopySizeError
	switch {
	case errors.As(err, &tooMuch):
		return nil, fault.New(fault.TooLarge, "what the patch copies adds up to more than %d bytes", maxPatchCopies)
	case err != nil:
		first := sort.Search(len(p), func(n int) bool { // every patch that goes beyond the first failure fails
			_, err := p[:n+1].ApplyWithOptions(before, patchOptions())
			return err != nil
		})
		why := "there is nothing at its path, or nothing of the kind that it needs"
		if errors.Is(err, jsonpatch.ErrTestFailed) {
			why = "the test does not hold"
		}
		return nil, fault.New(fault.BusinessRule, "operation %d of the patch fails: %s; nothing was changed", first, why)
	}
	n, err := Parse(after, Limits{})
	return n, invalidAfter(err)
}

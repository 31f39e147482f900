package fhir

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
)

// A patch makes the next version of a resource from the current one, which it
// may change. Its refusals are faults.
type patch func(ctx context.Context, current *Node) (next *Node, err error)

// patchFormats are the media types of a patch, FHIR R4 http.html#patch.
var patchFormats = []string{"application/json-patch+json", "application/fhir+json"}

// patch reads a PATCH.
func (s *Server) patch(c echo.Context) (change, error) {
	row, err := s.rowFor(c, "patch")
	if err != nil {
		return change{}, err
	}
	body, err := s.body(c, patchFormats...)
	if err != nil {
		return change{}, err
	}
	wanted := change{method: http.MethodPatch, row: row, path: row.name}
	if wanted.patch, err = readPatch(mediaType(c.Request().Header.Get("Content-Type")), body); err != nil {
		return change{}, err
	}
	wanted.ifMatch, err = expectedForUpdate(c.Request().Header.Get("If-Match"), c.Request().Header.Get("If-None-Match"))
	return wanted, err
}

// readPatch reads a patch of one of the patchFormats.
func readPatch(format string, body []byte) (patch, error) {
	if format == patchFormats[0] {
		return readJSONPatch(body)
	}
	n, err := Decode(body, "Parameters")
	if err != nil {
		return nil, err
	}
	return readFHIRPathPatch(n)
}

// applyPatch makes what is to be written, as if it had been PUT, and checks it
// as that would be. A large resource waits for its turn, as a large body does.
func (c *change) applyPatch(ctx context.Context, t turns) error {
	before, after, err := c.patched(ctx, t)
	if err != nil {
		return err
	}
	for _, name := range []string{"resourceType", "id"} {
		if after.Text(name) != before.Text(name) {
			return fault.At(fault.BusinessRule, c.row.name+"."+name, "a patch cannot change what resource this is")
		}
	}
	if version := after.Text("meta", "versionId"); version != "" && version != before.Text("meta", "versionId") {
		return fault.At(fault.BusinessRule, c.row.name+".meta.versionId", "the version is counted here: a patch cannot set it")
	}
	if err := safeNarrative(before, after); err != nil {
		return err
	}
	body := after.Bytes()
	done, err := t.wait(ctx, len(body))
	if err != nil {
		return err
	}
	defer done()
	c.sent, err = Decode(body, c.row.name)
	return invalidAfter(err)
}

// patched is the current version and what the patch makes of it.
func (c *change) patched(ctx context.Context, t turns) (before, after *Node, err error) {
	done, err := t.wait(ctx, len(c.current.Body))
	if err != nil {
		return nil, nil, err
	}
	defer done()
	if before, err = Parse(c.current.Body, Limits{}); err != nil {
		return nil, nil, err
	}
	after, err = c.patch(ctx, before.Clone())
	return before, after, err
}

// safeNarrative keeps the narrative from telling what the elements no longer
// say, FHIR R4 http.html#patch: one that was generated from them is dropped,
// one that somebody wrote must be patched with them.
func safeNarrative(before, after *Node) error {
	what := changed(before, after)
	if len(slices.DeleteFunc(slices.Clone(what), func(name string) bool { return name == "meta" })) == 0 || slices.Contains(what, "text") {
		return nil
	}
	switch after.Text("text", "status") {
	case "generated", "extensions":
		after.Remove("text")
	case "additional":
		return fault.At(fault.BusinessRule, before.Type()+".text", "the narrative of this resource was written by somebody and may say what the patch changes: replace or remove text in the same patch")
	}
	return nil
}

// invalidAfter says that it was the patch that would make a resource invalid,
// with all that would be wrong then.
func invalidAfter(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) {
		return err
	}
	first := fault.Issue{Kind: fault.BusinessRule, Text: "with this patch the resource would not be valid any more; what would be wrong follows"}
	return &fault.Error{Issues: append([]fault.Issue{first}, f.Issues...), Cause: f.Cause}
}

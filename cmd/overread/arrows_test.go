package main

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/overread/overread"

// arrows says what each part may not import (docs/architecture.md). The first
// row whose prefix fits a package is its row.
var arrows = []struct {
	from      string
	forbidden []string
}{
	{"/internal/standin", []string{module, "github.com/google/fhir"}},
	// What pages show is said in the engine's words.
	{"/internal/screen", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/web", "github.com/google/fhir"}},
	// Policies and templates are the engine's, and are judged by it.
	{"/internal/administration", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/web", "github.com/google/fhir"}},
	{"/internal/bedside", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/web", "github.com/google/fhir"}},
	{"/internal", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/workflow", module + "/web", "github.com/google/fhir"}},
	{"/migrations", []string{module}},
	{"/measure/disclosure", []string{module, "net/http", "github.com/google/fhir"}},
	{"/measure/facts", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/web", "net/http", "github.com/google/fhir"}},
	{"/measure", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/workflow", module + "/web", "net/http", "github.com/google/fhir"}},
	{"/workflow", []string{module + "/cmd", module + "/fhir", module + "/web", module + "/integrations", "net/http", "github.com/google/fhir"}},
	{"/integrations", []string{module + "/cmd", module + "/fhir", module + "/web", module + "/internal/devidp", "github.com/google/fhir"}},
	{"/fhir", []string{module + "/cmd", module + "/integrations", module + "/web", module + "/internal/devidp"}},
	{"/web", []string{module + "/cmd", module + "/fhir", module + "/integrations", module + "/internal/devidp", "github.com/google/fhir"}},
	{"/cmd", []string{"github.com/google/fhir"}},
}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-json=ImportPath,Imports", module+"/...")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for _, wrong := range againstTheArrows(p.ImportPath, p.Imports) {
			t.Errorf("%s imports %s", p.ImportPath, wrong)
		}
	}
}

func againstTheArrows(pkg string, imports []string) (wrong []string) {
	for _, row := range arrows {
		if !within(strings.TrimPrefix(pkg, module), row.from) {
			continue
		}
		for _, imported := range imports {
			for _, forbidden := range row.forbidden {
				if within(imported, forbidden) && !within(imported, pkg) {
					wrong = append(wrong, imported)
				}
			}
		}
		return wrong
	}
	return nil
}

func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// unguarded are the names by which a program calls out without the guard of
// internal/outbound.
var unguarded = map[string][]string{
	"net/http":   {"Client", "Transport", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm"},
	"net":        {"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "DialUnix", "Dialer"},
	"crypto/tls": {"Dial", "DialWithDialer", "Dialer"},
	"net/smtp":   {"Dial", "SendMail"},
	"net/rpc":    {"Dial", "DialHTTP"},
}

// callsOut are the files that may use them, each with the reason. Nothing of
// these addresses came from outside.
var callsOut = map[string]string{
	"cmd/overread/client.go":           "the operator's own commands, to the server that the operator names",
	"internal/orthanc/keeper_linux.go": "the keeper passes connections on to Orthanc, on its own loopback",
	"internal/orthanc/orthanc.go":      "asks Orthanc, which it has just started, whether it is there",
	"internal/orthanc/store.go":        "puts images into Orthanc, likewise",
	"internal/outbound/dial.go":        "the guard itself",
	"internal/outbound/outbound.go":    "the guard itself",
}

func TestWhatCallsOutGoesThroughTheGuard(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	files := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, path)
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		files++
		for _, found := range outgoing(t, path) {
			if callsOut[name] == "" {
				t.Errorf("%s uses %s: addresses from outside go through internal/outbound; a file that calls nothing but ours is a row in callsOut", name, found)
			}
			used[name] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range callsOut {
		if !used[name] {
			t.Errorf("%s calls nothing: take its row out of callsOut", name)
		}
	}
	if files < 200 {
		t.Errorf("only %d files were read", files)
	}
}

// outgoing are the names of unguarded that a file uses, whatever it calls their
// packages.
func outgoing(t *testing.T, path string) (found []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	called := map[string]string{}
	for _, spec := range file.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if unguarded[imported] == nil {
			continue
		}
		name := imported[strings.LastIndexByte(imported, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			found = append(found, "all of "+imported)
		}
		called[name] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.StarExpr: // *http.Client is given to somebody: who made it is looked at
			if _, ok := n.X.(*ast.SelectorExpr); ok {
				return false
			}
		case *ast.SelectorExpr:
			if pkg, ok := n.X.(*ast.Ident); ok && slices.Contains(unguarded[called[pkg.Name]], n.Sel.Name) {
				found = append(found, called[pkg.Name]+"."+n.Sel.Name)
			}
		}
		return true
	})
	return found
}

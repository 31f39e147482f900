package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	testFunction = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz|Benchmark)[A-Z]\w*)\(`)
	testName     = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Z]\\w*)`")
	makeName     = regexp.MustCompile("`make ([a-z][a-z-]*)`")
	fileLink     = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

// A promise that names a test which is no longer there would be a lie, and so
// would a link or a target.
func TestTheDocumentationNamesTestsThatExist(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	var pages []string
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "bin" || d.Name() == "node_modules"):
			return fs.SkipDir
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			for _, found := range testFunction.FindAllSubmatch(text, -1) {
				there[string(found[1])] = true
			}
		case strings.HasSuffix(path, ".md") && (strings.HasPrefix(path, filepath.Join(root, "docs")) || filepath.Dir(path) == root):
			pages = append(pages, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		name, _ := filepath.Rel(root, page)
		for _, found := range testName.FindAllSubmatch(text, -1) {
			named++
			if !there[string(found[1])] {
				t.Errorf("%s names %s, and there is no such test", name, found[1])
			}
		}
		for _, found := range makeName.FindAllSubmatch(text, -1) {
			if !strings.Contains(string(makefile), "\n"+string(found[1])+":") {
				t.Errorf("%s names make %s, and there is no such target", name, found[1])
			}
		}
		for _, found := range fileLink.FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), string(found[1]))); err != nil {
				t.Errorf("%s leads to %s, which is not there", name, found[1])
			}
		}
	}
	if named < 100 {
		t.Errorf("only %d names were looked for", named)
	}
}

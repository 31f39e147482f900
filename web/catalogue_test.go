package web

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template/parse"

	"github.com/overread/overread/internal/letter"
)

var update = flag.Bool("update", false, "write the texts that are missing into the catalogues, as they are in English, and take away what is not used")

// TestEachCatalogueHasEveryTextOfThePages: with -update it writes what is missing
// into the catalogues, where a translation then begins with "TODO".
func TestEachCatalogueHasEveryTextOfThePages(t *testing.T) {
	used := textsUsed(t)
	for code, c := range languages {
		if *update {
			writeCatalogue(t, code, used)
			continue
		}
		for key := range used {
			forms, ok := c.Texts[key]
			if !ok {
				t.Errorf("%s has no %q: go test ./web -run Catalogue -update, and translate it", code, key)
			}
			for form, words := range forms {
				if strings.HasPrefix(words, "TODO") {
					t.Errorf("%s: %q is not translated", code, key)
				}
				if got, want := verbs.FindAllString(words, -1), verbs.FindAllString(key, -1); !sameVerbs(got, want) && form == "other" {
					t.Errorf("%s: %q has the verbs %v, %q has %v", code, words, got, key, want)
				}
			}
		}
		for key := range c.Texts {
			if !used[key] {
				t.Errorf("%s has %q, which no page says", code, key)
			}
		}
	}
}

// TestNoTextStandsInTwoFilesOfALanguage: of two the later would win, unseen. What pages
// share stands in common.json.
func TestNoTextStandsInTwoFilesOfALanguage(t *testing.T) {
	for code := range languages {
		in := map[string]string{}
		names, _ := fs.Glob(catalogues, "catalogue/"+code+"/*.json")
		for _, name := range names {
			raw, err := catalogues.ReadFile(name)
			var c catalogue
			if err == nil {
				err = json.Unmarshal(raw, &c)
			}
			if err != nil {
				t.Fatal(err)
			}
			for key := range c.Texts {
				if before, twice := in[key]; twice {
					t.Errorf("%q stands in %s and in %s", key, before, name)
				}
				in[key] = name
			}
		}
	}
}

var verbs = regexp.MustCompile(`%(\[\d\])?[dsqv]`)

// sameVerbs compares verbs in any order: %[2]s counts as %s.
func sameVerbs(a, b []string) bool {
	plain := func(all []string) []string {
		out := make([]string, len(all))
		for i, v := range all {
			out[i] = "%" + v[len(v)-1:]
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(plain(a), plain(b))
}

// textsUsed are the texts of the templates ({{t "..."}}), and of the code: what is
// given to fault.New, and strings marked by a call of say or in a table of texts.
func textsUsed(t *testing.T) map[string]bool {
	t.Helper()
	used := map[string]bool{}
	paths, _ := fs.Glob(files, "pages/*.html")
	framed, _ := fs.Glob(files, "launched/*.html")
	for _, path := range append(paths, framed...) {
		raw, err := files.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		builtins := map[string]any{}
		for name := range languages[english].functions() {
			builtins[name] = true
		}
		trees := map[string]*parse.Tree{}
		tree := parse.New(path)
		tree.Mode = parse.SkipFuncCheck
		if _, err := tree.Parse(string(raw), "{{", "}}", trees, builtins); err != nil {
			t.Fatal(err)
		}
		for _, sub := range trees {
			textsOfNode(sub.Root, used)
		}
	}
	sources, _ := filepath.Glob("*.go")
	for _, source := range sources {
		if !strings.HasSuffix(source, "_test.go") {
			textsOfSource(t, source, used)
		}
	}
	doors, _ := filepath.Glob("../integrations/smart/*.go")        // why a launch did not work out
	offices, _ := filepath.Glob("../internal/administration/*.go") // why something is refused to an administrator
	doors = append(doors, offices...)
	for _, source := range doors {
		if !strings.HasSuffix(source, "_test.go") {
			refusals(t, source, used)
		}
	}
	refusals(t, "../internal/administration/setting.go", used)
	for _, phrase := range phrasesUsed(t) {
		used[phrase] = true
	}
	for _, words := range textsOfTables() {
		if words != "" {
			used[words] = true
		}
	}
	return used
}

func textsOfNode(node parse.Node, used map[string]bool) {
	switch n := node.(type) {
	case *parse.ListNode:
		if n != nil {
			for _, c := range n.Nodes {
				textsOfNode(c, used)
			}
		}
	case *parse.ActionNode:
		textsOfNode(n.Pipe, used)
	case *parse.IfNode:
		textsOfBranch(&n.BranchNode, used)
	case *parse.RangeNode:
		textsOfBranch(&n.BranchNode, used)
	case *parse.WithNode:
		textsOfBranch(&n.BranchNode, used)
	case *parse.TemplateNode:
		textsOfNode(n.Pipe, used)
	case *parse.PipeNode:
		if n != nil {
			for _, c := range n.Cmds {
				textsOfNode(c, used)
			}
		}
	case *parse.CommandNode:
		if id, ok := n.Args[0].(*parse.IdentifierNode); ok && id.Ident == "t" && len(n.Args) > 1 {
			if s, ok := n.Args[1].(*parse.StringNode); ok {
				used[s.Text] = true
			}
		}
		for _, a := range n.Args {
			textsOfNode(a, used)
		}
	}
}

func textsOfBranch(n *parse.BranchNode, used map[string]bool) {
	textsOfNode(n.Pipe, used)
	textsOfNode(n.List, used)
	textsOfNode(n.ElseList, used)
}

// textsOfSource finds the texts of a file of the package: the words of fault.New,
// the Title and Message of a View, the title given to show, and what stands in a call of say.
func textsOfSource(t *testing.T, path string, used map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	literal := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if words, err := strconv.Unquote(lit.Value); err == nil && words != "" {
				used[words] = true
			}
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if f, ok := n.Fun.(*ast.SelectorExpr); ok {
				name := f.Sel.Name
				if x, ok := f.X.(*ast.Ident); ok && x.Name == "fault" && name == "New" && len(n.Args) == 2 {
					literal(n.Args[1])
				}
				if name == "show" && len(n.Args) > 3 {
					literal(n.Args[3])
				}
				if name == "say" && len(n.Args) > 0 {
					literal(n.Args[0])
				}
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "Title" || key.Name == "Message") {
				literal(n.Value)
			}
		}
		return true
	})
}

// refusals are the texts by which package smart turns somebody away: its constants that
// end as a sentence, and what stands in a call of refuse, refuseFor or fault.New.
func refusals(t *testing.T, path string, used map[string]bool) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	take := func(e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return
		}
		if words, err := strconv.Unquote(lit.Value); err == nil && strings.HasSuffix(words, ".") && strings.Contains(words, " ") {
			used[words] = true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for _, v := range n.Values {
				take(v)
			}
		case *ast.CallExpr:
			for _, a := range n.Args {
				take(a)
			}
		}
		return true
	})
}

// part is the file that -update writes what is missing into.
var part = flag.String("part", "common", "the file of catalogue/LANGUAGE that -update writes what is missing into")

func writeCatalogue(t *testing.T, code string, used map[string]bool) {
	t.Helper()
	missing := maps.Clone(used)
	maps.DeleteFunc(missing, func(key string, _ bool) bool { _, there := languages[code].Texts[key]; return there })
	target := filepath.Join("catalogue", code, *part+".json")
	paths, _ := filepath.Glob(filepath.Join("catalogue", code, "*.json"))
	if !slices.Contains(paths, target) {
		paths = append(paths, target)
	}
	for _, path := range paths {
		whole := map[string]any{}
		if raw, err := os.ReadFile(path); err == nil {
			if err := json.Unmarshal(raw, &whole); err != nil {
				t.Fatal(err)
			}
		}
		texts, _ := whole["texts"].(map[string]any)
		if texts == nil {
			texts = map[string]any{}
		}
		maps.DeleteFunc(texts, func(key string, _ any) bool { return !used[key] })
		if path == target {
			for key := range missing {
				texts[key] = map[bool]string{true: key, false: "TODO " + key}[code == english]
			}
		}
		whole["texts"] = texts
		var text strings.Builder
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(whole); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A percentile may have a lower bound and no upper one, where too few cases have ended.
func TestTheEndOfAnIntervalThatIsNotReachedIsSaidSo(t *testing.T) {
	t.Parallel()
	low := 10.766
	for code, want := range map[string][2]string{"en": {"10.77", "not reached"}, "de": {"10,77", "nicht erreicht"}} {
		c := languages[code]
		if got := [2]string{c.decimal(&low), c.decimal(nil)}; got != want {
			t.Errorf("%s: %q", code, got)
		}
	}
}

// A letter says a code in the words of the pages.
func TestALetterAndThePagesSayTheSame(t *testing.T) {
	t.Parallel()
	for _, code := range letter.Languages() {
		for _, phrase := range letter.Phrases() {
			if page, paper := languages[code].say(phrase), letter.In(code, phrase); page != paper {
				t.Errorf("%s: the page says %q, the letter %q", code, page, paper)
			}
		}
	}
}

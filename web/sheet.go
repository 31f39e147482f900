package web

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Every page carries its style sheet, and may weigh 150 kB with it: so Pico goes without
// what no page has.

// noPage has these: a test holds it to that (sheet_test.go).
var noPage = []string{"[type=range]", "[type=color]", "[type=file]", "[type=reset]", "::file-selector-button", "[role=switch]", "[role=button]", "[role=link]",
	"[data-tooltip]", "[data-placement", "[aria-busy", "progress", "hgroup", "audio", "video", "iframe"}

// ruledElsewhere are selectors whose rules are ours alone.
var ruledElsewhere = []string{"[role=search]", "[role=group]", ":host"}

// lean is a style sheet without rules of what is never there, and without the properties
// that nothing uses then; ours is what else uses them.
func lean(sheet, ours []byte) []byte {
	text := leanRules(comment.ReplaceAllString(string(sheet), ""))
	for {
		used := map[string]bool{}
		for _, found := range propertyUsed.FindAllStringSubmatch(text+string(ours), -1) {
			used[found[1]] = true
		}
		declared := map[string]bool{}
		for _, found := range propertySet.FindAllStringSubmatch(text, -1) {
			declared[found[2]] = !used[found[2]]
		}
		maps.DeleteFunc(declared, func(_ string, unused bool) bool { return !unused })
		if len(declared) == 0 {
			return []byte(text)
		}
		text = withoutProperties(text, declared)
	}
}

var (
	comment      = regexp.MustCompile(`/\*(?s:.*?)\*/`)
	propertyUsed = regexp.MustCompile(`var\((--pico-[a-z0-9-]+)`)
	propertySet  = regexp.MustCompile(`([{;])(--pico-[a-z0-9-]+):`)
)

// leanRules keeps the rules that something can match.
func leanRules(text string) string {
	var kept strings.Builder
	for text != "" {
		open := endIn(text, '{')
		if open == len(text) {
			break
		}
		head, rest := text[:open], text[open+1:]
		end := endIn(rest, '}')
		body := rest[:end]
		text = rest[min(end+1, len(rest)):]
		switch {
		case strings.HasPrefix(head, "@media"), strings.HasPrefix(head, "@supports"):
			body = leanRules(body)
		case !strings.HasPrefix(head, "@"):
			head = strings.Join(slices.DeleteFunc(splitOutside(head), neverMatches), ",")
		}
		if head != "" && body != "" {
			kept.WriteString(head + "{" + body + "}")
		}
	}
	return kept.String()
}

// neverMatches tells whether a selector wants what no page has; what is within :not() is not wanted.
func neverMatches(selector string) bool {
	for {
		before, after, found := strings.Cut(selector, ":not(")
		if !found {
			break
		}
		end := endIn(after, ')')
		selector = before + after[min(end+1, len(after)):]
	}
	in := func(part string) bool { return strings.Contains(selector, part) }
	return slices.ContainsFunc(noPage, in) || slices.ContainsFunc(ruledElsewhere, in)
}

// splitOutside parts a list of selectors at its own commas.
func splitOutside(list string) (all []string) {
	for {
		end := endIn(list, ',')
		all = append(all, list[:end])
		if end == len(list) {
			return all
		}
		list = list[end+1:]
	}
}

// endIn is where a mark stands that is in no brackets and no string; else the text's length.
func endIn(text string, mark byte) int {
	depth, quote := 0, byte(0)
	for i := range len(text) {
		switch c := text[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case depth == 0 && c == mark:
			return i
		case c == '(' || c == '[' || c == '{':
			depth++
		case c == ')' || c == ']' || c == '}':
			depth--
		}
	}
	return len(text)
}

// withoutProperties leaves out declarations of custom properties.
func withoutProperties(text string, unused map[string]bool) string {
	var kept strings.Builder
	done := 0
	for _, at := range propertySet.FindAllStringSubmatchIndex(text, -1) {
		start, name := at[4], text[at[4]:at[5]]
		if !unused[name] {
			continue
		}
		end := start + min(endIn(text[start:], ';'), endIn(text[start:], '}'))
		if end < len(text) && text[end] == ';' {
			end++
		}
		kept.WriteString(text[done:start])
		done = end
	}
	return kept.String() + text[done:]
}

package fhir

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
)

const xhtml = "http://www.w3.org/1999/xhtml"

// FHIR R4 narrative.html, invariant txt-1: what a narrative may be made of. The
// lists leave out all that can run, load or submit something.
var (
	narrativeElements = wordSet(`a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt
		em h1 h2 h3 h4 h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead
		tr tt ul var`)
	narrativeAttributes = wordSet(`abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing
		cellvalign char charoff charset cite class colspan compact coords dir frame headers height href hreflang
		hspace id lang longdesc name nowrap rel rev rowspan rules scope shape span src start style summary tabindex
		title type valign value vspace width`)
	linkAttributes = wordSet(`href src cite longdesc`)
	linkSchemes    = wordSet(`http https mailto tel urn`)
)

func wordSet(words string) map[string]bool {
	set := map[string]bool{"": false}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// narrativeProblem says what is wrong with the XHTML of text.div; "" if nothing. It
// is strict because others will show this text beside patient data, some as HTML and
// not as XML: so what the two read differently (CDATA, comments with markup in them,
// other namespaces) is refused as well.
func narrativeProblem(text string) string {
	if strings.Contains(text, "<![") || strings.Contains(text, "<!D") || strings.Contains(text, "<?") {
		return "the narrative has a CDATA section, a DOCTYPE or a processing instruction: leave it out"
	}
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Entity = xml.HTMLEntity
	depth, roots, content := 0, 0, false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "the narrative is not well-formed XHTML: mend it"
		}
		switch token := token.(type) {
		case xml.StartElement:
			if depth == 0 {
				roots++
			}
			if roots > 1 || depth == 0 && token.Name.Local != "div" {
				return "the narrative must be one <div> element"
			}
			if problem := elementProblem(token); problem != "" {
				return problem
			}
			depth++
			content = content || token.Name.Local == "img"
		case xml.EndElement:
			depth--
		case xml.CharData:
			blank := strings.TrimSpace(string(token)) == ""
			if depth == 0 && !blank {
				return "the narrative must be one <div> element, with nothing around it"
			}
			content = content || !blank
		case xml.Comment:
			if strings.ContainsAny(string(token), "<>") {
				return "the narrative has a comment with markup in it: leave it out"
			}
		}
	}
	if !content {
		return "the narrative has no text: leave it out, or say something" // txt-2
	}
	return ""
}

func elementProblem(start xml.StartElement) string {
	switch {
	case start.Name.Space != xhtml:
		return `the narrative's elements must be XHTML: begin with <div xmlns="` + xhtml + `">, without prefixes`
	case !narrativeElements[start.Name.Local]:
		return "the narrative has an element that FHIR does not allow there, such as a script, a form or a frame: leave it out"
	}
	for _, attribute := range start.Attr {
		if problem := attributeProblem(start.Name.Local, attribute); problem != "" {
			return problem
		}
	}
	return ""
}

func attributeProblem(element string, a xml.Attr) string {
	name, value := a.Name.Local, strings.ToLower(a.Value)
	switch {
	case a.Name.Space == "" && name == "xmlns":
		return ""
	case a.Name.Space == "http://www.w3.org/XML/1998/namespace" || a.Name.Space == "xml":
		if name == "lang" || name == "space" || name == "id" {
			return ""
		}
		fallthrough
	case a.Name.Space != "", !narrativeAttributes[name]:
		return "the narrative has an attribute that FHIR does not allow there, such as an event handler: leave it out"
	case linkAttributes[name] && !safeLink(element, name, value):
		return "a link in the narrative may be relative or http, https, mailto, tel or urn, an image also data:image"
	case name == "style" && unsafeStyle(value):
		return "a style in the narrative loads or runs something, or puts it over the page: leave it out"
	}
	return ""
}

// safeLink reads the address as browsers do, which skip blanks within a scheme.
func safeLink(element, attribute, value string) bool {
	value = strings.Map(func(r rune) rune {
		if isBlank(r) {
			return -1
		}
		return r
	}, value)
	s := scheme(value)
	if s == "data" {
		return element == "img" && attribute == "src" && strings.HasPrefix(value, "data:image/") && !strings.HasPrefix(value, "data:image/svg")
	}
	return s == "" || linkSchemes[s]
}

func unsafeStyle(value string) bool {
	for _, part := range []string{"url(", "src(", "image(", "image-set(", "cross-fade(", "element(", "paint(", "expression", "@import", "behavior", "binding", "javascript", `\`, "/*"} {
		if strings.Contains(value, part) {
			return true
		}
	}
	return outOfPlace.MatchString(value)
}

// outOfPlace takes a text out of its place, over what the viewer itself shows.
var outOfPlace = regexp.MustCompile(`(^|;)\s*position\s*:\s*(fixed|absolute|sticky|-webkit-sticky)`)

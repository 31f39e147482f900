package fhir

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// target is where a reference points, taken apart: FHIR R4
// references.html#literal. At most one of these is set: typ (with id or query),
// other, fragment.
type target struct {
	base     string // of an absolute URL: what stands before Type/id
	typ      string
	id       string
	version  string // of a version-specific reference
	query    string // of a conditional one: Patient?identifier=...
	other    string // urn:uuid:..., urn:oid:..., or a URL that is not of a FHIR server
	fragment bool   // of a contained resource: #id
}

var (
	idPattern   = regexp.MustCompile(`^[A-Za-z0-9.-]{1,64}$`) // FHIR R4 datatypes.html#id
	typePattern = regexp.MustCompile(`^[A-Z][A-Za-z]{1,63}$`)
)

// parseReference takes a reference apart. "" is no target at all.
func parseReference(text string) target {
	switch {
	case text == "":
		return target{}
	case strings.HasPrefix(text, "#"):
		return target{fragment: true}
	case strings.HasPrefix(text, "urn:"):
		return target{other: text}
	}
	if typ, query, ok := strings.Cut(text, "?"); ok && typePattern.MatchString(typ) {
		return target{typ: typ, query: query}
	}
	var t target
	rest, version, versioned := strings.Cut(text, "/_history/")
	segments := strings.Split(rest, "/")
	n := len(segments)
	if n < 2 || !typePattern.MatchString(segments[n-2]) || !idPattern.MatchString(segments[n-1]) || versioned && !idPattern.MatchString(version) {
		return target{other: text}
	}
	t.typ, t.id, t.version = segments[n-2], segments[n-1], version
	if t.base = strings.Join(segments[:n-2], "/"); t.base != "" && !isHTTP(t.base) {
		return target{other: text}
	}
	return t
}

func isHTTP(url string) bool {
	return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")
}

func (t target) local() bool    { return t.id != "" && t.base == "" }
func (t target) absolute() bool { return t.id != "" && t.base != "" }

// relative is Type/id, without the version.
func (t target) relative() string { return t.typ + "/" + t.id }

// atVersion tells whether the version of a reference, if it has one, is among
// those up to the current one.
func (t target) atVersion(current int64) bool {
	if t.version == "" {
		return true
	}
	version, ok := versionNumber(t.version)
	return ok && version >= 1 && version <= current
}

// versionNumber reads the number of a version. One version has one address: 1 is not 01.
func versionNumber(text string) (int64, bool) {
	version, err := strconv.ParseInt(text, 10, 64)
	return version, err == nil && strconv.FormatInt(version, 10) == text
}

// versioned is s with the version that t had.
func (t target) versionedAs(s, version string) string {
	if t.version == "" {
		return s
	}
	return s + "/_history/" + version
}

// link is one place in a resource that points somewhere.
type link struct {
	path   string // FHIRPath, for the client
	node   *Node  // the string to rewrite
	isURI  bool   // an element of type url or uri: points only if it equals a fullUrl
	target target
}

// linksOf finds the references and addresses of a resource, in extensions and
// contained resources too; root stands for the resource itself in their paths.
func linksOf(n *Node, root string) []link {
	var links []link
	n.collectLinks(resourceShape(n.Type()), root, &links)
	return links
}

// addressTypes are the types whose values are rewritten with the references of a
// Bundle. FHIR R4 http.html#trules leaves canonical URLs alone. It names oid and
// uuid too, but Patient/1 is neither, and would not be valid there. An
// Identifier.value is none of them, even if it looks like one.
var addressTypes = []string{"Uri", "Url"}

func (n *Node) collectLinks(in *shape, at string, links *[]link) {
	if in == nil {
		return
	}
	for _, m := range n.members {
		e := in.elements[m.name]
		if e == nil {
			continue
		}
		for i, value := range m.value.listed() {
			path := at + "." + strings.TrimPrefix(m.name, "_")
			if m.value.IsArray() {
				path += "[" + strconv.Itoa(i) + "]"
			}
			reference := in.name == "Reference" && m.name == "reference"
			switch {
			case value.IsString() && (reference || slices.Contains(addressTypes, e.primitive)):
				*links = append(*links, link{path: path, node: value, isURI: !reference, target: parseReference(value.Text())})
			case value.IsObject() && e.resource:
				value.collectLinks(resourceShape(value.Type()), path, links)
			case value.IsObject():
				value.collectLinks(e.shape(), path, links)
			}
		}
	}
}

// listed is n itself, or its items.
func (n *Node) listed() []*Node {
	if n.IsArray() {
		return n.items
	}
	return []*Node{n}
}

// narrativeLink finds where a narrative points, FHIR R4 bundle.html#references.
var narrativeLink = regexp.MustCompile(`\b(href|src)(\s*=\s*)("[^"]*"|'[^']*')`)

// rewriteNarrative gives every href and src of the narratives of a resource, its
// contained ones included, to fn, which returns what shall stand there.
func rewriteNarrative(n *Node, fn func(url string) string) {
	for _, resource := range append([]*Node{n}, n.Each("contained")...) {
		div := resource.Get("text", "div")
		if !div.IsString() {
			continue
		}
		div.SetText(narrativeLink.ReplaceAllStringFunc(div.Text(), func(attribute string) string {
			part := narrativeLink.FindStringSubmatch(attribute)
			quote, url := part[3][:1], part[3][1:len(part[3])-1]
			return part[1] + part[2] + quote + fn(url) + quote
		}))
	}
}

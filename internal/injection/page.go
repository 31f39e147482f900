package injection

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Page is what a browser makes of a page: the same parser that HTML prescribes.
type Page struct{ root *html.Node }

// ReadPage reads a page, or a part of one.
func ReadPage(text []byte) (Page, error) {
	root, err := html.Parse(bytes.NewReader(text))
	return Page{root}, err
}

func (p Page) each(visit func(n *html.Node)) {
	var walk func(n *html.Node)
	walk = func(n *html.Node) {
		visit(n)
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(p.root)
}

// Skeleton is the page without its texts: elements, the names of their
// attributes, comments. Whatever a text says, it is the same.
func (p Page) Skeleton() string {
	var b strings.Builder
	p.each(func(n *html.Node) {
		switch n.Type {
		case html.ElementNode:
			b.WriteString("<" + n.Data)
			for _, a := range n.Attr {
				b.WriteString(" " + a.Key)
			}
			b.WriteString(">\n")
		case html.CommentNode:
			b.WriteString("<!-->\n")
		case html.ErrorNode, html.TextNode, html.DocumentNode, html.DoctypeNode, html.RawNode:
		}
	})
	return b.String()
}

// Text is what the page says, without scripts and styles.
func (p Page) Text() string {
	var b strings.Builder
	p.each(func(n *html.Node) {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			b.WriteString(n.Data)
			b.WriteByte('\n')
		}
	})
	return b.String()
}

// active are elements that run, load, embed or lead away.
var active = []string{"iframe", "frame", "frameset", "object", "embed", "applet", "base", "portal", "math", "xss", "video", "audio", "source", "track", "marquee", "noscript", "template", "plaintext"}

// drawing are the elements of SVG that draw and do nothing else.
var drawing = []string{"svg", "g", "path", "circle", "ellipse", "rect", "line", "polyline", "polygon", "text", "tspan", "title", "desc", "defs"}

// addresses are attributes that hold one.
var addresses = []string{"href", "src", "action", "formaction", "srcset", "data", "poster", "background", "ping", "cite", "longdesc", "xlink:href", "manifest"}

// Dangers are what the page could run, load or lead away to, other than what its
// policy (Content-Security-Policy) lets only its own author do.
func (p Page) Dangers(policy string) (found []string) {
	directives := directivesOf(policy)
	p.each(func(n *html.Node) {
		if n.Type != html.ElementNode {
			return
		}
		switch {
		case n.Data == "noscript" && n.FirstChild != nil && n.FirstChild.NextSibling == nil && ownLeave.MatchString(n.FirstChild.Data):
		case slices.Contains(active, n.Data), n.Namespace == "svg" && !slices.Contains(drawing, n.Data):
			found = append(found, "an element "+n.Data)
		case n.Data == "a" && attribute(n, "id") == "csrf", n.Data == "form" && attribute(n, "name") == "cookie":
			found = append(found, "a name that clobbers")
		case n.Data == "script":
			found = append(found, scriptDangers(n, directives["script-src"])...)
		case n.Data == "meta" && strings.EqualFold(attribute(n, "http-equiv"), "refresh") && !ownRefresh.MatchString(attribute(n, "content")):
			found = append(found, "a refresh to "+attribute(n, "content"))
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on"), a.Key == "srcdoc":
				found = append(found, "an attribute "+a.Key)
			case slices.Contains(addresses, a.Key) && !harmless(n, a.Val):
				found = append(found, "an address "+a.Val+" in "+n.Data)
			case a.Key == "style" && loads.MatchString(a.Val):
				found = append(found, "a style "+a.Val)
			}
		}
	})
	return found
}

// loads is what a style loads, runs, or puts over the rest of the page with.
var loads = regexp.MustCompile(`(?i)(url|src|image|image-set|cross-fade|element|paint|expression)\s*\(|@import|\\|(^|;)\s*position\s*:\s*(fixed|absolute|sticky)`)

// ownRefresh leads to a page of the same host, as to the sign-in page when a
// session has ended.
var ownRefresh = regexp.MustCompile(`^[0-9]+; url=/signin[a-z/?=-]*$`)

// ownLeave is how a page of a session ends in a browser without scripts.
var ownLeave = regexp.MustCompile(`^<meta http-equiv="refresh" content="[0-9]+; url=[a-z/]*/signin\?why=idle">$`)

func scriptDangers(n *html.Node, sources []string) (found []string) {
	if src := attribute(n, "src"); src != "" {
		if !slices.Contains(sources, "'self'") || !strings.HasPrefix(src, "/") || strings.HasPrefix(src, "//") || strings.HasPrefix(src, "/owned") {
			return []string{"a script from " + src}
		}
		return nil
	}
	text := ""
	if n.FirstChild != nil {
		text = n.FirstChild.Data
	}
	sum := sha256.Sum256([]byte(text))
	nonce := attribute(n, "nonce")
	switch {
	case slices.Contains(sources, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'"), nonce != "" && slices.Contains(sources, "'nonce-"+nonce+"'"):
		return nil
	case attribute(n, "type") == "application/json" && !strings.Contains(text, "<"):
		return nil
	}
	return []string{"a script that the policy does not name"}
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// harmless tells of addresses that run nothing: http, https, mailto and tel,
// relative ones of this host, and pictures.
func harmless(n *html.Node, address string) bool {
	address = strings.ToLower(strings.Map(func(r rune) rune {
		if r <= ' ' {
			return -1
		}
		return r
	}, address))
	if strings.HasPrefix(address, "/owned") || strings.HasPrefix(address, "//") || strings.Contains(address, "owned.example") || strings.HasPrefix(address, `\`) {
		return false
	}
	scheme, _, found := strings.Cut(address, ":")
	if !found || strings.ContainsAny(scheme, "/?#") {
		return true
	}
	return slices.Contains([]string{"http", "https", "mailto", "tel", "urn"}, scheme) ||
		n.Data == "img" && strings.HasPrefix(address, "data:image/") ||
		n.Data == "link" && attribute(n, "rel") == "icon" && (address == "data:," || strings.HasPrefix(address, "data:image/"))
}

// WeakPolicy says what is wrong with the policy of a page of ours; "" if nothing.
func WeakPolicy(policy string) string {
	d := directivesOf(policy)
	scripts, ok := d["script-src"]
	if !ok {
		scripts = d["default-src"]
	}
	objects, ok := d["object-src"]
	if !ok {
		objects = d["default-src"]
	}
	switch {
	case len(d["default-src"]) == 0:
		return "it has no default-src"
	case slices.ContainsFunc(scripts, func(s string) bool {
		return s == "'unsafe-inline'" || s == "'unsafe-eval'" || s == "*" || s == "data:" || s == "https:" || s == "http:" || s == "blob:"
	}):
		return "it lets scripts of others run: " + strings.Join(scripts, " ")
	case !slices.Equal(objects, []string{"'none'"}):
		return "it allows objects"
	case !slices.Equal(d["base-uri"], []string{"'none'"}) && !slices.Equal(d["base-uri"], []string{"'self'"}):
		return "it allows another base"
	case len(d["frame-ancestors"]) == 0:
		return "it lets anybody frame the page"
	case len(d["form-action"]) == 0:
		return "it lets forms go anywhere"
	}
	return ""
}

func directivesOf(policy string) map[string][]string {
	all := map[string][]string{}
	for directive := range strings.SplitSeq(policy, ";") {
		words := strings.Fields(directive)
		if len(words) > 0 {
			if _, twice := all[words[0]]; !twice { // the first one counts, CSP level 3
				all[words[0]] = words[1:]
			}
		}
	}
	return all
}

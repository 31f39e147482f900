package fhir

import (
	"context"
	"errors"
	"fmt"
	"html"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
)

// A linker makes every reference of what is about to be stored lead where it
// should (FHIR R4 bundle.html#references):
//
//   - to an entry of the same Bundle: to the id that the entry gets here
//   - conditional: to the one resource that matches
//   - absolute below our own base: relative
//   - absolute below the EHR's base: to our copy where there is one
//   - relative: must exist here; in an entry whose fullUrl is absolute, it means
//     the server of that fullUrl
//
// Other absolute URLs, logical and contained references stay as they are.
type linker struct {
	server  *Server
	tx      pgx.Tx
	actor   access.Actor
	ehrBase string
	entries map[string]destination // of a Bundle: fullUrl, or Type/id of a PUT
	fresh   []*Node                // of a Bundle: what it is about to store
	bundle  bool
}

// destination is what a fullUrl becomes.
type destination struct {
	reference string // Type/id
	version   string
}

// linkable is one resource to be linked.
type linkable struct {
	n    *Node
	root string // its path: "ServiceRequest", or "Bundle.entry[2].resource"
	base string // of its fullUrl, where that is absolute
}

// link rewrites the references of all of these. It returns a fault with every
// reference that leads nowhere.
func (l *linker) link(ctx context.Context, resources []linkable) error {
	var links []link
	for _, r := range resources {
		for _, k := range linksOf(r.n, r.root) {
			if k.target.local() && r.base != "" {
				k.target.base = r.base
			}
			links = append(links, k)
		}
		rewriteNarrative(r.n, l.inNarrative)
	}
	for _, step := range []func(context.Context, []link) ([]link, error){l.withinBundle, l.conditional, l.absolute, l.local} {
		var err error
		if links, err = step(ctx, links); err != nil {
			return err
		}
	}
	return l.targets(resources)
}

// renew makes the references of a version that was stored lead where they would
// if it came today: what the EHR's address stood for may be here by now. Then it
// can be compared with the version that came today.
func (s *Server) renew(ctx context.Context, tx pgx.Tx, stored *Node) error {
	base, err := s.ehrBase(ctx, tx)
	if err != nil {
		return err
	}
	l := &linker{server: s, tx: tx, ehrBase: base}
	links := slices.DeleteFunc(linksOf(stored, stored.Type()), func(k link) bool { return k.isURI })
	_, err = l.absolute(ctx, links)
	return err
}

// targets holds the references within a Bundle to the types that FHIR R4 lets
// them have: what a urn: leads to is known only now. All others were checked
// when the Bundle was decoded.
func (l *linker) targets(resources []linkable) error {
	if !l.bundle {
		return nil
	}
	var wrong dangling
	for _, r := range resources {
		misdirected(r.n, resourceShape(r.n.Type()), r.root, &wrong)
	}
	return wrong.err()
}

// misdirected adds the local references below n that lead to a wrong type.
func misdirected(n *Node, in *shape, at string, wrong *dangling) {
	if in == nil {
		return
	}
	for _, m := range n.members {
		e := in.elements[m.name]
		if e == nil || e.primitive != "" {
			continue
		}
		for i, value := range m.value.Each() {
			path := at + "." + e.name
			if m.value.IsArray() {
				path += "[" + strconv.Itoa(i) + "]"
			}
			below := e.shape()
			if e.resource {
				below = resourceShape(value.Type())
			}
			target := parseReference(value.Text("reference"))
			if len(e.targets) > 0 && target.local() && !slices.Contains(e.targets, target.typ) {
				*wrong = append(*wrong, fault.Issue{Kind: fault.Value, Expression: path + ".reference", Text: "this may refer to " + strings.Join(e.targets, " or ") + " only"})
			}
			misdirected(value, below, path, wrong)
		}
	}
}

// entry is what a URL leads to when it is the fullUrl of an entry.
func (l *linker) entry(t target, text string) (string, bool) {
	if t.id != "" {
		text = t.relative()
		if t.base != "" {
			text = t.base + "/" + text
		}
	}
	to, ok := l.entries[text]
	if !ok {
		return "", false
	}
	if !l.bundle { // only within a Bundle does a version stand for the one that is being written
		return t.versionedAs(to.reference, t.version), true
	}
	return t.versionedAs(to.reference, to.version), true
}

// inNarrative is what stands in a narrative for a URL there: an entry's place is
// taken with its version and what follows #.
func (l *linker) inNarrative(url string) string {
	text, fragment, inside := strings.Cut(html.UnescapeString(url), "#")
	t, versioned := parseReference(text), false
	if t.other != "" {
		text, _, versioned = strings.Cut(text, "/_history/")
	}
	to, ok := l.entry(t, text)
	if !ok {
		return url
	}
	if versioned {
		to += "/_history/" + l.entries[text].version
	}
	if inside {
		to += "#" + fragment
	}
	return html.EscapeString(to)
}

// withinBundle rewrites what leads to an entry, and returns the references that
// are left. A urn: that is no entry's leads nowhere.
func (l *linker) withinBundle(_ context.Context, links []link) (rest []link, err error) {
	var lost dangling
	for _, k := range links {
		text := k.node.Text()
		if k.target.absolute() {
			text = k.target.base + "/" + k.target.relative()
		}
		if to, ok := l.entry(k.target, text); ok {
			k.node.SetText(to)
			continue
		}
		switch {
		case k.isURI:
		case strings.HasPrefix(text, "urn:uuid:"):
			lost.add(k.path, "no entry of this Bundle has this urn:uuid as its fullUrl")
		default:
			rest = append(rest, k)
		}
	}
	return rest, lost.err()
}

// conditional rewrites Patient?identifier=... to the one match, whether it is
// kept already or part of this Bundle (FHIR R4 http.html#trules).
func (l *linker) conditional(ctx context.Context, links []link) (rest []link, err error) {
	var lost dangling
	for _, k := range links {
		if k.target.query == "" {
			rest = append(rest, k)
			continue
		}
		if !l.bundle {
			lost.add(k.path, "a conditional reference is allowed in a transaction Bundle only: give Type/id or an identifier")
			continue
		}
		to, err := l.server.matchReference(ctx, l.tx, l.actor, k.target, l.fresh)
		var f *fault.Error
		switch {
		case errors.As(err, &f) && f.Kind() == fault.Forbidden:
			return nil, fault.At(fault.Forbidden, k.path, "%s", f.Issues[0].Text)
		case errors.As(err, &f):
			lost.add(k.path, f.Issues[0].Text)
		case err != nil:
			return nil, err
		default:
			k.node.SetText(to)
		}
	}
	return rest, lost.err()
}

// absolute rewrites what is absolute and yet known here, and returns the local
// references.
func (l *linker) absolute(ctx context.Context, links []link) (local []link, err error) {
	var theirs []link
	var names []string
	for _, k := range links {
		switch {
		case k.target.local():
			local = append(local, k)
		case !k.target.absolute():
		case k.target.base == l.server.baseURL:
			k.node.SetText(k.target.versionedAs(k.target.relative(), k.target.version))
			k.target.base = ""
			local = append(local, k)
		case k.target.base == l.ehrBase:
			theirs = append(theirs, k)
			names = append(names, k.target.relative())
		default: // relative to a fullUrl on another server
			k.node.SetText(k.target.versionedAs(k.target.base+"/"+k.target.relative(), k.target.version))
		}
	}
	known, err := localsOf(ctx, l.tx, names)
	if err != nil {
		return nil, err
	}
	seen, err := inside(ctx, l.tx, l.actor, slices.Collect(maps.Values(known)), access.Read, access.Search)
	if err != nil {
		return nil, err
	}
	for _, k := range theirs {
		ours, ok := known[k.target.relative()]
		ok = ok && seen[ours]
		switch {
		case ok: // the version is the EHR's own count, not ours
			k.node.SetText(ours)
			k.target = parseReference(ours)
			local = append(local, k)
		default:
			k.node.SetText(k.target.versionedAs(l.ehrBase+"/"+k.target.relative(), k.target.version))
		}
	}
	return local, nil
}

// local checks that every local reference leads to a resource that is kept
// here.
func (l *linker) local(ctx context.Context, links []link) ([]link, error) {
	names := make([]string, len(links))
	for i, k := range links {
		names[i] = k.target.relative()
	}
	found, err := existing(ctx, l.tx, names)
	if err != nil {
		return nil, err
	}
	seen, err := inside(ctx, l.tx, l.actor, names, access.Read, access.Search)
	if err != nil {
		return nil, err
	}
	var lost dangling
	for _, k := range links {
		switch current, here := found[k.target.relative()]; {
		case !here || !seen[k.target.relative()]:
			lost.add(k.path, "there is no such resource here: send it in the same transaction Bundle, or refer to it by its absolute URL or its identifier")
		case !k.target.atVersion(current):
			lost.add(k.path, fmt.Sprintf("there is no such version of that resource here: its current version is %d", current))
		}
	}
	return nil, lost.err()
}

// dangling collects the references that lead nowhere.
type dangling []fault.Issue

func (d *dangling) add(path, text string) {
	*d = append(*d, fault.Issue{Kind: fault.BusinessRule, Expression: path, Text: text})
}

func (d dangling) err() error {
	if len(d) == 0 {
		return nil
	}
	return &fault.Error{Issues: d}
}

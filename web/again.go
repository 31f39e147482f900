package web

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/overread/overread/internal/session"
)

// A form that is refused is shown again where it was sent: on its page as that is now,
// with what was written in its fields, why it was refused above them, and the field that
// is meant marked (WCAG 2.2 criteria 3.3.1 and 3.3.7). The page is asked for anew with
// the rights of who sent the form, so that no page has to know of it.

// refusedForm is a form that was refused, and why, in the language of its page.
type refusedForm struct {
	action string     // where the form was sent
	sent   url.Values // its fields
	tried  string     // the page of the form
	title  string
	text   string
	field  string                    // that is meant, "" for none in particular
	fillIn func(label string) string // what is to be done where the field is missing, nil where it is there and wrong
	spare  string                    // the heading of what was written and has no field now
}

// again is the page with the form filled in; false where it has no such form (any more).
func again(c echo.Context, page string, r refusedForm) ([]byte, bool) {
	where, err := url.Parse(page)
	if err != nil {
		return nil, false
	}
	request := c.Request().Clone(c.Request().Context())
	request.Method, request.URL, request.RequestURI = http.MethodGet, where, where.RequestURI()
	request.Body, request.ContentLength, request.Form, request.PostForm = http.NoBody, 0, nil, nil
	for _, of := range []string{"Accept-Encoding", "Content-Length", "Content-Type", "Origin"} {
		request.Header.Del(of)
	}
	answer := &caught{header: http.Header{}, status: http.StatusOK}
	c.Echo().ServeHTTP(answer, request)
	if answer.status != http.StatusOK || !strings.HasPrefix(answer.header.Get("Content-Type"), "text/html") {
		return nil, false
	}
	document, err := html.Parse(&answer.body)
	if err != nil || !r.fill(document) {
		return nil, false
	}
	var text bytes.Buffer
	err = html.Render(&text, document)
	return text.Bytes(), err == nil
}

// caught is an answer that is not sent.
type caught struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *caught) Header() http.Header               { return a.header }
func (a *caught) WriteHeader(status int)            { a.status = status }
func (a *caught) Write(content []byte) (int, error) { return a.body.Write(content) }

// fill writes what was sent into its form, and above it why it was refused.
func (r refusedForm) fill(document *html.Node) bool {
	var form *html.Node
	for n := range document.Descendants() {
		switch {
		case n.DataAtom == atom.Form && form == nil && r.isOf(n):
			form = n
		case n.DataAtom == atom.Title && n.Parent.DataAtom == atom.Head:
			n.InsertBefore(textNode(r.title+" · "), n.FirstChild)
		}
		unset(n, "autofocus")
	}
	if form == nil {
		return false
	}
	left, meant := url.Values{}, (*html.Node)(nil)
	for name, values := range r.sent {
		if !slices.Contains(givenAnew, name) {
			left[name] = slices.Clone(values)
		}
	}
	for n := range form.Descendants() {
		name := attribute(n, "name")
		if name == "" || slices.Contains(givenAnew, name) {
			continue
		}
		fillIn(n, name, left)
		if meant == nil && attribute(n, "type") != "hidden" && r.means(name) {
			meant = n
		}
	}
	if label := labelOf(form, meant); r.fillIn != nil && label != "" {
		r.text = r.fillIn(label)
	}
	for n := range form.Ancestors() {
		switch n.DataAtom {
		case atom.Details:
			set(n, "open", "")
		case atom.Dialog:
			set(n, "class", strings.TrimSpace(attribute(n, "class")+" again")) // app.js opens it
		}
	}
	r.explain(form, meant, left)
	if r.tried != "" {
		form.AppendChild(element(atom.Input, "type", "hidden", "name", triedField, "value", r.tried))
	}
	return true
}

// means tells whether a field is the one that is meant: it has its name, or is missing in the
// part of the form that was begun (discrepancy.0.significance of what a discrepancy is).
func (r refusedForm) means(name string) bool {
	part, ends := strings.CutSuffix(name, "."+r.field)
	if name == r.field || r.field == "" || !ends || r.fillIn == nil {
		return r.field != "" && name == r.field
	}
	for sent, values := range r.sent {
		if strings.HasPrefix(sent, part+".") && strings.Join(values, "") != "" {
			return strings.Join(r.sent[name], "") == ""
		}
	}
	return false
}

// labelOf is what a field is called on its page: its label, or the legend of its choices.
func labelOf(form, field *html.Node) string {
	if field == nil {
		return ""
	}
	choice := attribute(field, "type") == "radio" || attribute(field, "type") == "checkbox"
	if choice {
		for n := range field.Ancestors() {
			if n.DataAtom == atom.Fieldset {
				return labelText(n, func(l *html.Node) bool { return l.DataAtom == atom.Legend })
			}
		}
	}
	return labelText(form, func(l *html.Node) bool {
		return l.DataAtom == atom.Label && attribute(l, "for") != "" && attribute(l, "for") == attribute(field, "id")
	})
}

// labelText is the text of the first label there that is meant, without what is quiet in it.
func labelText(within *html.Node, meant func(*html.Node) bool) string {
	for n := range within.Descendants() {
		if !meant(n) {
			continue
		}
		var text strings.Builder
		for part := range n.ChildNodes() {
			if part.Type == html.TextNode {
				text.WriteString(part.Data)
			}
		}
		return strings.TrimSpace(text.String())
	}
	return ""
}

// explain says above a form why it was refused, and what of it has no field any more.
func (r refusedForm) explain(form, meant *html.Node, left url.Values) {
	note := element(atom.Div, "class", "note bad refused", "role", "alert", "id", "refused", "tabindex", "-1")
	why := element(atom.P)
	why.AppendChild(textNode(r.text))
	note.AppendChild(why)
	if words := wordsOf(left); words != nil {
		heading := element(atom.P)
		heading.AppendChild(textNode(r.spare))
		note.AppendChild(heading)
		for _, text := range words {
			area := element(atom.Textarea, "readonly", "", "aria-label", r.spare)
			area.AppendChild(textNode(text))
			note.AppendChild(area)
		}
	}
	if meant == nil {
		meant = note
	} else {
		set(meant, "aria-invalid", "true")
		set(meant, "aria-describedby", "refused")
		for n := range meant.Ancestors() {
			if n.DataAtom == atom.Details {
				set(n, "open", "")
			}
		}
	}
	set(meant, "autofocus", "")
	form.InsertBefore(note, form.FirstChild)
}

// wordsOf are the texts of fields that somebody wrote, and no codes.
func wordsOf(fields url.Values) (words []string) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(givenAnew, name) || name == "answers" {
			continue
		}
		for _, value := range fields[name] {
			if value = strings.TrimSpace(value); value != "" && (inWords.MatchString(name) || !codeAlone.MatchString(value)) {
				words = append(words, value)
			}
		}
	}
	return words
}

// inWords are the fields that are written in words; codeAlone is what others may have.
var (
	inWords   = regexp.MustCompile(`(^|[.])(reason|comment|difference|description|technique|comparison|findings|impression|recommendation|text|note|question|answer|how|noComparison)$|^q[.]text[.]`)
	codeAlone = regexp.MustCompile(`^[A-Za-z0-9:/_|.-]*$`)
)

// triedField names in a form that is shown again the page that it stands on: the browser
// knows the address that has refused it.
const triedField = "tried"

// givenAnew are the fields of a form that are the page's own: of the version that is amended
// too it shows the one in force.
var givenAnew = []string{session.CSRFField, "then", "task-version", "amends", triedField}

// isOf tells whether it is the form that was sent: there are several to one address where
// each is of another thing, which its hidden fields name.
func (r refusedForm) isOf(form *html.Node) bool {
	sends := attribute(form, "action") == r.action
	for n := range form.Descendants() {
		name, value := attribute(n, "name"), attribute(n, "value")
		if attribute(n, "type") == "hidden" && !slices.Contains(givenAnew, name) && r.sent.Get(name) != value {
			return false
		}
		sends = sends || attribute(n, "formaction") == r.action
	}
	return sends && strings.EqualFold(attribute(form, "method"), http.MethodPost)
}

// fillIn gives a field what was sent for it, and takes that out of what is left.
func fillIn(n *html.Node, name string, left url.Values) {
	kind := attribute(n, "type")
	switch {
	case n.DataAtom == atom.Input && (kind == "checkbox" || kind == "radio"):
		unset(n, "checked")
		if taken(left, name, attribute(n, "value")) {
			set(n, "checked", "")
		}
	case n.DataAtom == atom.Select:
		for option := range n.Descendants() {
			if option.DataAtom == atom.Option {
				unset(option, "selected")
				if taken(left, name, optionValue(option)) {
					set(option, "selected", "")
				}
			}
		}
	case n.DataAtom == atom.Textarea || n.DataAtom == atom.Input && kind != "file" && kind != "password":
		values := left[name]
		if len(values) == 0 {
			return
		}
		left[name] = values[1:]
		if n.DataAtom == atom.Input {
			set(n, "value", values[0])
			return
		}
		for n.FirstChild != nil {
			n.RemoveChild(n.FirstChild)
		}
		n.AppendChild(textNode(values[0]))
	}
}

// taken tells whether a value was sent under a name, and takes it.
func taken(left url.Values, name, value string) bool {
	at := slices.Index(left[name], value)
	if at < 0 {
		return false
	}
	left[name] = slices.Delete(left[name], at, at+1)
	return true
}

func optionValue(option *html.Node) string {
	if i := slices.IndexFunc(option.Attr, func(a html.Attribute) bool { return a.Key == "value" }); i >= 0 {
		return option.Attr[i].Val
	}
	var text strings.Builder
	for n := range option.Descendants() {
		text.WriteString(n.Data)
	}
	return strings.TrimSpace(text.String())
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func unset(n *html.Node, key string) {
	n.Attr = slices.DeleteFunc(n.Attr, func(a html.Attribute) bool { return a.Key == key })
}

func set(n *html.Node, key, value string) {
	unset(n, key)
	n.Attr = append(n.Attr, html.Attribute{Key: key, Val: value})
}

func textNode(text string) *html.Node { return &html.Node{Type: html.TextNode, Data: text} }

func element(tag atom.Atom, attributes ...string) *html.Node {
	n := &html.Node{Type: html.ElementNode, DataAtom: tag, Data: tag.String()}
	for i := 0; i+1 < len(attributes); i += 2 {
		set(n, attributes[i], attributes[i+1])
	}
	return n
}

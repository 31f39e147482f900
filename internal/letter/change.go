package letter

import (
	"html/template"
	"strings"
)

// Change is a section that this version changed, word by word.
type Change struct {
	Heading string
	Runs    []Run
}

// Run is a run of words with what became of it.
type Run struct {
	Text           string
	Added, Removed bool
}

var changeTemplate = template.Must(template.New("change").Parse(
	`{{range .Runs}}{{if .Added}}<ins>{{.Text}}</ins>{{else if .Removed}}<del>{{.Text}}</del>{{else}}{{.Text}}{{end}}{{end}}`))

// HTML is the change with the elements ins and del, every word escaped.
func (c Change) HTML() string {
	var out strings.Builder
	if err := changeTemplate.Execute(&out, c); err != nil {
		panic(err) // the template and the data are both ours; a builder never fails
	}
	return out.String()
}

// changedTitle is the heading over what this version changed; changedLegend says how it is
// shown.
const (
	changedTitle  = "What changed, word by word"
	changedLegend = "Struck through: removed. Underlined: added. Where the text is copied or read aloud, words in brackets say which."
)

// aloud are the words before what was removed or added, for who does not see the lines: they
// stand in brackets, with the text.
func (r Run) aloud() string {
	switch {
	case r.Removed:
		return "removed:"
	case r.Added:
		return "added:"
	}
	return ""
}

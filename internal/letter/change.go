package letter

import (
	"html/template"
	"strings"
)

// Change is a section that this version changed, word by word.
type Change struct {
	Heading string
	Runs    []Run
	Marked  string // the same as plain text: [-what was removed-] {+what was added+}
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

// changedTitle is the heading over what this version changed.
const changedTitle = "What changed, word by word"

// markedLines are the changes for paper that shows no colours.
func (l Letter) markedLines() (lines []Line) {
	for _, c := range l.Changes {
		lines = append(lines, Line{l.t(c.Heading), c.Marked})
	}
	return lines
}

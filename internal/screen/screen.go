// Package screen is what people see and do at their pages, as plain data: package
// fhir fills it from what they may see, package web shows it. Each file is a role's.
package screen

import "net/url"

// Errand is an operation of a case that somebody asks for by a form.
type Errand struct {
	Task      string
	Operation string     // by its name in the table of operations, without $
	Version   string     // of the Task that the page showed; "" does not ask for one
	Fields    url.Values // by parameter; the parts of the nth of several as parameter.n.part
}

// Done is what came of it.
type Done struct {
	Version int64  `json:"version"`           // of the Task
	State   string `json:"state"`             // of the case
	DraftNo int    `json:"draftNo,omitempty"` // of the draft that was saved
}

// File is one to keep.
type File struct {
	Name        string
	ContentType string
	Content     []byte
}

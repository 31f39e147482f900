package web

import (
	"net/url"
	"slices"
	"strings"
)

// saidCell is what a source says of an element, as a coordinator reads it.
type saidCell struct {
	Text  string
	Of    string // the system whose name it is
	Link  string // of a case
	State bool   // it is a state of a case
	Here  bool   // it is this case
	Code  bool   // it is an id
}

// Cell is a value of the table of a doubt (fhir/comparisonrows.go): of an identifier its
// value comes first, of an id its end, which tells two of them apart; a case is a link.
func (v fileView) Cell(element, value string) saidCell {
	_, id, isRef := strings.Cut(value, "/")
	switch at := strings.LastIndex(value, "|"); {
	case element == "state":
		return saidCell{Text: value, State: true}
	case element == "case" && isRef:
		return saidCell{Here: id == v.Task, Link: v.At + "/board/" + url.PathEscape(id)}
	case slices.Contains([]string{"record", "reportedStudy"}, element):
		return saidCell{Text: endOf(value), Code: true}
	case at > 0 && strings.Contains(value[:at], ":"):
		_, of, _ := strings.Cut(value[:at], ":")
		return saidCell{Text: value[at+1:], Of: strings.TrimPrefix(of, "//")}
	case element == "requester" && isRef:
		return saidCell{Text: endOf(value), Code: true}
	}
	return saidCell{Text: value}
}

// endOf is the last part of a long id.
func endOf(id string) string {
	if at := strings.LastIndex(id, "-"); len(id) > 30 && at > 0 {
		return "…" + id[at+1:]
	}
	return id
}

// Differs tells whether two sources that say this differently are in doubt: two cases are
// two, each in its own state, and ordered in its own time.
func (fileView) Differs(element, agreement string) bool {
	return agreement == "differs" && !slices.Contains([]string{"case", "order", "state", "ordered"}, element)
}

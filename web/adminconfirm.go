package web

import (
	"github.com/labstack/echo/v4"
)

// What could do harm is done in two steps: a form, and a page that says what will change,
// which sends the same fields again with confirm. Both are judged by the same functions,
// and what is done is judged once more in its transaction.

// confirmation is the second page.
type confirmation struct {
	At      string // of the rooms, for the crumb
	Title   string
	Message string
	Lines   []change
	Notes   []caution
	Fields  []field // that were sent
	Action  string  // where they are sent again
	Back    string
	Button  caution
	Danger  bool
}

// change is one line of what will change, or with Said of what it is about.
type change struct{ Title, Before, After, Said string }

// caution is a sentence about it.
type caution struct{ Message string }

// field is a field of the form.
type field struct{ Name, Value string }

// fieldsOf are fields of the form that was sent.
func fieldsOf(c echo.Context, names ...string) (all []field) {
	for _, name := range names {
		all = append(all, field{name, c.FormValue(name)})
	}
	return all
}

func confirmed(c echo.Context) bool { return c.FormValue("confirm") == "yes" }

// confirm asks whether somebody at a place means it.
func (s *Server) confirm(c echo.Context, at seat, v confirmation) error {
	v.At = s.at(at.place)
	return s.show(c, at, "adminconfirm", v.Title, v)
}

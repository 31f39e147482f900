// Package calls says in words whom somebody tried to tell of a finding. The case's rules, the
// letter and the API say it; the words are here, in English, for whoever translates them too.
package calls

import (
	"fmt"
	"time"
)

// Call is an attempt to tell somebody.
type Call struct {
	At              time.Time
	Recipient, Role string
	Medium          string // phone, in-person, secure-message
	Reached         bool
	ReadBack        bool
	Note            string
}

// Language is how one writes in it.
type Language struct {
	Say func(text string, args ...any) string // a text of this package
	Day func(time.Time) string
}

// English is the language that the words are in.
var English = Language{fmt.Sprintf, func(t time.Time) string { return t.Format("2 January 2006") }}

var media = map[string]string{"phone": "by phone", "in-person": "in person", "secure-message": "by secure message"}

// Words say whom, how and when, as a sentence without its full stop.
func (c Call) Words(in Language, zone *time.Location) string {
	who, at := c.Recipient, c.At.In(zone)
	if c.Role != "" {
		who += " (" + c.Role + ")"
	}
	form := "Told to %[1]s %[2]s on %[3]s at %[4]s"
	if !c.Reached {
		form = "Could not reach %[1]s %[2]s on %[3]s at %[4]s"
	}
	text := in.Say(form, who, in.Say(media[c.Medium]), in.Day(at), at.Format("15:04 MST"))
	switch {
	case c.ReadBack:
		text += in.Say(", read back")
	case c.Reached && c.Medium != "secure-message":
		text += in.Say(", not read back")
	}
	if c.Note != "" {
		text += " (" + c.Note + ")"
	}
	return text
}

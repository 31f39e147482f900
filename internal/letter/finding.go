package letter

import (
	"strings"
	"time"

	"github.com/overread/overread/internal/calls"
)

// Finding is an actionable finding as a report tells of it.
type Finding struct {
	Category string // its words in English: "Urgent"
	Text     string // "" where the report says it anyway
	StandsBy string // who let it stand though it came from another text; ""
	Calls    []Call
	KnownAt  time.Time // somebody acknowledged it; zero: nobody yet
	KnownBy  string
}

// Call is an attempt to tell somebody of a finding, and who made it.
type Call struct {
	calls.Call

	By string // ""
}

// Section is the finding as a part of the report: whom somebody told of it, and who knows.
// Its heading is in English, as those of all sections are.
func (f Finding) Section(language string, zone *time.Location) Section {
	var text []string
	if f.Text != "" {
		text = append(text, f.Text)
	}
	if f.StandsBy != "" {
		text = append(text, In(language, "It came from another text than the one that is signed, and was let stand%s.", In(language, ", by %s", f.StandsBy)))
	}
	for _, call := range f.Calls {
		text = append(text, call.words(language, zone))
	}
	switch {
	case len(f.Calls) > 0:
	case f.KnownAt.IsZero():
		text = append(text, In(language, "Nobody had been told by word of mouth when this was signed."))
	default:
		by, at := "", f.KnownAt.In(zone)
		if f.KnownBy != "" {
			by = In(language, " by %s", f.KnownBy)
		}
		text = append(text, In(language, "Acknowledged%s on %s at %s.", by, dayOf(language, at), at.Format("15:04 MST")))
	}
	return Section{f.Category, strings.Join(text, "\n")}
}

func (c Call) words(language string, zone *time.Location) string {
	text := c.Words(calls.Language{
		Say: func(text string, args ...any) string { return In(language, text, args...) },
		Day: func(t time.Time) string { return dayOf(language, t) },
	}, zone)
	if c.By != "" {
		text += In(language, ", by %s", c.By)
	}
	return text + "."
}

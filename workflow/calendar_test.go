package workflow

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var newYork = Calendar{Zone: "America/New_York", Weekend: []string{"saturday", "sunday"}, Holidays: []Holiday{"2026-12-25"}}

func TestBusinessTimeStandsStillOnWeekendsAndHolidays(t *testing.T) {
	for _, test := range []struct{ from, span, want string }{
		{"2026-06-02 09:00", "1bd", "2026-06-03 09:00"},    // Tuesday
		{"2026-06-05 15:30", "1bd", "2026-06-08 15:30"},    // Friday
		{"2026-06-06 15:30", "1bd", "2026-06-09 00:00"},    // Saturday: begins on Monday
		{"2026-12-24 10:00", "1bd", "2026-12-28 10:00"},    // Christmas is a Friday
		{"2026-06-05 12:00", "0.5bd", "2026-06-06 00:00"},  // the end of Friday
		{"2026-06-05 12:00", "0.75bd", "2026-06-08 06:00"}, // into Monday
		{"2026-03-06 12:00", "2bd", "2026-03-10 12:00"},    // over the change to summer time
		{"2026-06-05 15:30", "24h", "2026-06-06 15:30"},    // hours do not care
		{"2026-06-05 15:30", "7d", "2026-06-12 15:30"},
	} {
		var span Span
		if err := span.UnmarshalText([]byte(test.span)); err != nil {
			t.Fatal(err)
		}
		if got := wall(newYork.Add(at(t, test.from), span)); got != test.want {
			t.Errorf("%s + %s = %s, want %s", test.from, test.span, got, test.want)
		}
	}
}

func TestGoingBackUndoesGoingForth(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := at(t, "2026-01-05 00:00").Add(time.Duration(rapid.IntRange(0, 400*24*60).Draw(rt, "minute")) * time.Minute)
		s := Span{Length: time.Duration(rapid.IntRange(0, 20*24*60).Draw(rt, "span")) * time.Minute, Business: true}
		there := newYork.Add(start, s)
		if got := newYork.Between(start, there, true); got != s {
			rt.Errorf("between %s and %s lie %s, want %s", wall(start), wall(there), got, s)
		}
		back := newYork.Add(there, s.Percent(-100))
		if got := newYork.Between(back, there, true); got.Length != s.Percent(100).Length {
			rt.Errorf("back from %s to %s: %s, want %s", wall(there), wall(back), got, s)
		}
	})
}

// In Chile clocks go from midnight to one: that Sunday has no midnight, and
// counting days by their midnights would never get past it.
func TestADateWithoutMidnightIsADayLikeOthers(t *testing.T) {
	for _, test := range []struct{ zone, from string }{
		{"America/Santiago", "2026-09-04T15:30:00-04:00"}, // Friday; the change is on Sunday 6 September
		{"America/Havana", "2026-03-06T15:30:00-05:00"},
		{"Africa/Cairo", "2026-04-23T15:30:00+02:00"}, // Thursday; the change is on Friday
	} {
		cal := Calendar{Zone: test.zone, Weekend: []string{"saturday", "sunday"}}
		from, err := time.Parse(time.RFC3339, test.from)
		if err != nil {
			t.Fatal(err)
		}
		to := cal.Add(from, businessDays(2))
		if got := cal.Between(from, to, true); got != businessDays(2) {
			t.Errorf("%s: between %s and %s lie %s", test.zone, from, to, got)
		}
		if back := cal.Add(to, businessDays(-2)); !back.Equal(from) {
			t.Errorf("%s: back from %s is %s", test.zone, to, back)
		}
	}
}

func TestStagesAreCountedBackFromTheDeadline(t *testing.T) {
	deadline := newYork.Add(at(t, "2026-06-05 12:00"), businessDays(1))
	var got []string
	for _, stage := range stages {
		got = append(got, wall(stageAt(newYork, deadline, businessDays(1), stage)))
	}
	want := []string{"2026-06-08 00:00", "2026-06-08 06:00", "2026-06-08 09:36", "2026-06-08 12:00"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestASpanReadsWhatItWrites(t *testing.T) {
	for _, text := range []string{"5m", "90m", "2h", "1d", "7d", "1bd", "0.5bd", "1m30s"} {
		var s Span
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Error(err)
		}
		if s.String() != text {
			t.Errorf("%s is written as %s", text, s)
		}
	}
	for _, text := range []string{"", "soon", "-1h", "xbd", "-1d", "1e9d"} {
		var s Span
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is read as %s", text, s)
		}
	}
}

func at(t testing.TB, wall string) time.Time {
	t.Helper()
	moment, err := time.ParseInLocation("2006-01-02 15:04", wall, newYork.location())
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func wall(t time.Time) string { return t.In(newYork.location()).Format("2006-01-02 15:04") }

package workflow

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// The federal holidays of the USA, as opm.gov lists the days off of these years.
func TestTheHolidaysOfTheUSA(t *testing.T) {
	usa := Calendar{Zone: "America/New_York", Weekend: []string{"saturday", "sunday"}, Holidays: []Holiday{
		"01-01 observed", "third monday of january", "third monday of february", "last monday of may", "06-19 observed", "07-04 observed",
		"first monday of september", "second monday of october", "11-11 observed", "fourth thursday of november", "12-25 observed",
	}}
	for year, want := range map[int]string{
		2021: "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24 12-31", // the last is that of 2022
		2022: "01-17 02-21 05-30 06-20 07-04 09-05 10-10 11-11 11-24 12-26",
		2023: "01-02 01-16 02-20 05-29 06-19 07-04 09-04 10-09 11-10 11-23 12-25",
		2026: "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25",
	} {
		if diff := cmp.Diff(want, daysOff(usa, year)); diff != "" {
			t.Errorf("%d: %s", year, diff)
		}
	}
}

// The bank holidays of England and Wales, as gov.uk lists them.
func TestTheHolidaysOfEngland(t *testing.T) {
	england := Calendar{Zone: "Europe/London", Weekend: []string{"saturday", "sunday"}, Holidays: []Holiday{
		"01-01 moved", "easter-2", "easter+1", "first monday of may", "last monday of may", "last monday of august", "12-25 moved", "12-26 moved",
	}}
	for year, want := range map[int]string{
		2021: "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28", // both on a weekend
		2023: "01-02 04-07 04-10 05-01 05-29 08-28 12-25 12-26",
		2024: "01-01 03-29 04-01 05-06 05-27 08-26 12-25 12-26",
		2027: "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28", // 26 on a Sunday, and the substitute of 25 first
	} {
		if diff := cmp.Diff(want, daysOff(england, year)); diff != "" {
			t.Errorf("%d: %s", year, diff)
		}
	}
}

func TestEasterIsAsInTheTables(t *testing.T) {
	for year, want := range map[int]string{1818: "03-22", 1943: "04-25", 2000: "04-23", 2008: "03-23", 2019: "04-21", 2024: "03-31", 2025: "04-20", 2026: "04-05", 2038: "04-25", 2285: "03-22"} {
		if got := easter(year).Format("01-02"); got != want {
			t.Errorf("%d: %s, want %s", year, got, want)
		}
	}
	for year := 1583; year < 4000; year++ {
		if e := easter(year); e.Weekday() != time.Sunday || e.Format("01-02") < "03-22" || e.Format("01-02") > "04-25" {
			t.Fatalf("%s is no Easter", e)
		}
	}
}

func TestADateThatAYearDoesNotHaveIsNoHolidayInIt(t *testing.T) {
	cal := Calendar{Zone: "UTC", Weekend: []string{}, Holidays: []Holiday{"02-29", "2026-06-01"}}
	if got := daysOff(cal, 2024) + "|" + daysOff(cal, 2025) + "|" + daysOff(cal, 2026); got != "02-29||06-01" {
		t.Error(got)
	}
}

func TestWhatIsNoHolidayIsRefused(t *testing.T) {
	for _, text := range []string{"", "christmas", "13-01", "02-30", "2026-02-29", "fifth monday of may", "last mon of may", "easter+", "easter+1 moved twice", "12-25  moved", "12-25 observed moved"} {
		if _, err := Holiday(text).read(); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// daysOff are the weekdays without business of a year.
func daysOff(c Calendar, year int) string {
	var off []string
	work := c.workdays()
	for d := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
		if !work.weekend[d.Weekday()] && !work.business(d) {
			off = append(off, d.Format("01-02"))
		}
	}
	return strings.Join(off, " ")
}

// odd are zones whose clocks do odd things: a change at midnight forward
// (Santiago, Cairo, Beirut) and back (Havana, Asuncion), by half an hour (Lord
// Howe), by two hours (Troll), for a fast (Casablanca), one in the southern half
// of the year, offsets that are no whole hours, none at all, and a date left out
// (Apia, 2011).
var odd = []string{"America/New_York", "Europe/London", "America/Santiago", "Africa/Cairo", "Asia/Beirut", "America/Havana", "America/Asuncion",
	"Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca", "Australia/Sydney", "Asia/Kathmandu", "UTC", "Pacific/Apia", "America/St_Johns"}

// drawMoment draws a moment, more often than not within hours of a change.
func drawMoment(rt *rapid.T, loc *time.Location, name string) time.Time {
	t := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 25*365*24*60).Draw(rt, name)) * time.Minute)
	if rapid.IntRange(0, 3).Draw(rt, name+" anywhere") == 0 {
		return t
	}
	if _, end := t.In(loc).ZoneBounds(); !end.IsZero() {
		return end.Add(time.Duration(rapid.IntRange(-3*24*60, 3*24*60).Draw(rt, name+" from change")) * time.Minute)
	}
	return t
}

func drawCalendar(rt *rapid.T) Calendar {
	c := Calendar{Zone: rapid.SampledFrom(odd).Draw(rt, "zone"), Holidays: []Holiday{"01-01 observed", "easter+1", "12-25 moved", "12-26 moved"}}
	c.Weekend = rapid.SampledFrom([][]string{{}, {"saturday", "sunday"}, {"friday", "saturday"}, {"sunday"}}).Draw(rt, "weekend")
	return c
}

func TestBusinessTimeNeverGoesBackWhateverTheClocksDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cal := drawCalendar(rt)
		loc := cal.location()
		a, b, c := drawMoment(rt, loc, "a"), drawMoment(rt, loc, "b"), drawMoment(rt, loc, "c")
		short := Span{Length: time.Duration(rapid.IntRange(0, 5*24*60).Draw(rt, "short")) * time.Minute, Business: true}
		long := Span{Length: short.Length + time.Duration(rapid.IntRange(0, 5*24*60).Draw(rt, "more"))*time.Minute, Business: true}
		show := func(t time.Time) string { return t.In(loc).Format("Mon 2006-01-02 15:04 -07:00") }

		there := cal.Add(a, short)
		if there.Before(a) {
			rt.Fatalf("%s + %s = %s, which is before", show(a), short, show(there))
		}
		if further := cal.Add(a, long); further.Before(there) {
			rt.Fatalf("%s + %s = %s, and + %s = %s", show(a), short, show(there), long, show(further))
		}
		if b.After(a) && cal.Add(b, short).Before(there) {
			rt.Fatalf("%s + %s = %s, and %s later %s", show(a), short, show(there), show(b), show(cal.Add(b, short)))
		}
		if back := cal.Add(a, Span{Length: -short.Length, Business: true}); back.After(a) {
			rt.Fatalf("%s - %s = %s, which is after", show(a), short, show(back))
		}
		sum := cal.Between(a, b, true).Length + cal.Between(b, c, true).Length
		if got := cal.Between(a, c, true).Length; got != sum {
			rt.Fatalf("%s to %s to %s: %s, and straight %s", show(a), show(b), show(c), sum, got)
		}
		if cal.Between(a, b, true).Length < 0 == b.After(a) && cal.Between(a, b, true).Length != 0 {
			rt.Fatalf("between %s and %s lies %s", show(a), show(b), cal.Between(a, b, true))
		}
		// There and back again: exact, but for what a clock that is set forward leaves out.
		got := cal.Between(a, there, true).Length
		if _, clock := wallClock(there.In(loc)); got != short.Length {
			start, back := setBack(there.In(loc))
			if !there.Equal(start) || back >= 0 || got < short.Length || got-short.Length > -back {
				rt.Fatalf("%s + %s = %s (%s), and between them lie %s", show(a), short, show(there), clock, got)
			}
		}
	})
}

func TestWhatIsDueInOneBusinessDayIsDueAtTheSameTimeOfTheDay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cal := drawCalendar(rt)
		loc := cal.location()
		a := drawMoment(rt, loc, "a").In(loc)
		if !cal.IsBusinessDay(a) {
			return
		}
		there := cal.Add(a, businessDays(1)).In(loc)
		if _, end := a.ZoneBounds(); !end.IsZero() && there.Equal(end) {
			return // that time is left out on the day
		}
		shown := a
		if start, back := setBack(a); back > 0 && a.Sub(start) < back {
			return // it is shown twice on this day
		}
		if there.Format("15:04") != shown.Format("15:04") || !cal.IsBusinessDay(there) && there.Format("15:04") != "00:00" {
			rt.Fatalf("%s and one business day is %s", a, there)
		}
	})
}

func TestClocksThatAreSetAtMidnightOrShowAnHourAgain(t *testing.T) {
	for _, test := range []struct{ zone, from, span, want string }{
		{"America/New_York", "2026-10-31T01:30:00-04:00", "1bd", "2026-11-01T01:30:00-04:00"},     // shown twice: the first
		{"America/New_York", "2026-11-01T01:30:00-04:00", "1bd", "2026-11-02T01:30:00-05:00"},     // of 25 hours
		{"America/New_York", "2026-11-01T01:30:00-05:00", "0.125bd", "2026-11-01T05:00:00-05:00"}, // the hour that is shown again does not count
		{"America/New_York", "2026-03-07T02:30:00-05:00", "1bd", "2026-03-08T03:00:00-04:00"},     // left out: when it is set forward
		{"America/Santiago", "2026-09-05T00:30:00-04:00", "1bd", "2026-09-06T01:00:00-03:00"},     // no midnight
		{"America/Havana", "2026-10-31T00:30:00-04:00", "1bd", "2026-11-01T00:30:00-04:00"},       // two midnights
		{"Australia/Lord_Howe", "2026-04-04T01:45:00+11:00", "1bd", "2026-04-05T01:45:00+11:00"},  // half an hour
		{"Pacific/Apia", "2011-12-29T12:00:00-10:00", "1bd", "2011-12-31T00:00:00+14:00"},         // no 30 December
		{"Pacific/Apia", "2011-12-29T12:00:00-10:00", "2bd", "2011-12-31T12:00:00+14:00"},
	} {
		from, err := time.Parse(time.RFC3339, test.from)
		if err != nil {
			t.Fatal(err)
		}
		var span Span
		if err := span.UnmarshalText([]byte(test.span)); err != nil {
			t.Fatal(err)
		}
		cal := Calendar{Zone: test.zone}
		if got := cal.Add(from, span).In(cal.location()).Format(time.RFC3339); got != test.want {
			t.Errorf("%s: %s + %s = %s, want %s", test.zone, test.from, test.span, got, test.want)
		}
	}
}

func BenchmarkThirtyBusinessDays(b *testing.B) {
	cal := Calendar{Zone: "America/New_York", Weekend: []string{"saturday", "sunday"}, Holidays: []Holiday{"01-01 observed", "easter-2", "last monday of may", "fourth thursday of november", "12-25 observed"}}
	from := time.Date(2026, 11, 20, 15, 0, 0, 0, time.UTC)
	for b.Loop() {
		_ = cal.Add(from, businessDays(30))
	}
}

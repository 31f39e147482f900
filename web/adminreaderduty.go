package web

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// The part of a reader's role that says when they work and whose reports they do not second.

// weekdays in the order of ISO 8601.
var weekdays = []string{"monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"}

// Weekdays are those to choose from.
func (readerView) Weekdays() []string { return weekdays }

// Forms are the roles to change, and one more. Where no role says anything yet, that one
// begins as what the operator has said, which a first role replaces.
func (v readerView) Forms() []screen.ReaderRole {
	more := screen.ReaderRole{Active: true, Parts: []string{"reader"}, Zone: v.Zone}
	if len(v.Roles) == 0 {
		more = v.saidByOperator()
	}
	return append(slices.Clone(v.Roles), more)
}

func (v readerView) saidByOperator() screen.ReaderRole {
	role := screen.ReaderRole{Active: true, Subspecialties: v.Subspecialties, Modalities: v.Modalities, From: v.ValidFrom, To: v.ValidTo,
		Capacity: v.Capacity, Zone: v.Zone, Absences: v.Absences, Shifts: v.Shifts, Conflicts: v.Conflicts, Mail: v.Mail}
	if v.Ages != nil {
		role.AgeFrom, role.AgeTo = v.Ages.From, v.Ages.To
	}
	for _, part := range []struct {
		is   bool
		code string
	}{{true, "reader"}, {v.Trainee, "trainee"}, {v.Locum, "locum"}, {v.MayAdjudicate, "adjudicator"}, {v.MaySupervise, "supervisor"}} {
		if part.is {
			role.Parts = append(role.Parts, part.code)
		}
	}
	return role
}

// Work are the shifts of a role with an empty one.
func (readerView) Work(role screen.ReaderRole) []workflow.Shift {
	return append(slices.Clone(role.Shifts), workflow.Shift{})
}

// Name is whom a conflict is declared with, "" where only its key is known.
func (v readerView) Name(key string) string { return v.Names[key] }

// Clock is the end of a shift as a field of time has it: the end of a day is 00:00.
func (readerView) Clock(to string) string { return strings.Replace(to, "24:00", "00:00", 1) }

var (
	clockTime = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	partyKey  = regexp.MustCompile(`^((Organization|Practitioner)/[A-Za-z0-9.-]{1,64}|[^|\s]{1,200}\|\S{1,200})$`)
)

// shiftsOf are the shifts of a role's form: of each row the days and the hours.
func shiftsOf(form url.Values) (shifts []workflow.Shift, err error) {
	for i := range form["shiftfrom"] {
		s := workflow.Shift{From: nth(form, "shiftfrom", i), To: nth(form, "shiftto", i)}
		for _, day := range form["day"+strconv.Itoa(i)] {
			if slices.Contains(weekdays, day) {
				s.Days = append(s.Days, day)
			}
		}
		if s.From == "" && s.To == "" && s.Days == nil {
			continue
		}
		if s.To == "00:00" {
			s.To = "24:00"
		}
		if s.Days == nil || !clockTime.MatchString(s.From) || s.To != "24:00" && !clockTime.MatchString(s.To) || s.From == s.To {
			return nil, fault.New(fault.Value, "A shift has days and hours, such as 08:00 to 17:00; one that ends before it begins goes on to the next day.")
		}
		shifts = append(shifts, s)
	}
	return shifts, nil
}

// conflictsOf are those that stay and those that are new.
func conflictsOf(form url.Values) (keys []string, err error) {
	for _, key := range form["conflict"] {
		key = strings.TrimSpace(key)
		if key == "" || slices.Contains(keys, key) {
			continue
		}
		if !partyKey.MatchString(key) {
			return nil, fault.New(fault.Value, "A conflict is with somebody of the list, or with a number in the form system|value.")
		}
		keys = append(keys, key)
	}
	return keys, nil
}

package fhir

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// When a reader works, and whose reports they do not second: what a PractitionerRole
// says of it in availableTime, notAvailable and the extension reader-conflict, read from it and, as
// its form has it, written into it.

// weekdays have codes of FHIR (http://hl7.org/fhir/ValueSet/days-of-week), and names here.
var weekdays = []weekday{{"mon", "monday"}, {"tue", "tuesday"}, {"wed", "wednesday"}, {"thu", "thursday"}, {"fri", "friday"}, {"sat", "saturday"}, {"sun", "sunday"}}

type weekday struct{ code, name string }

// weekdayOf finds a day by its code or its name; none has neither.
func weekdayOf(text string) weekday {
	i := slices.IndexFunc(weekdays, func(d weekday) bool { return d.code == text || d.name == text })
	if i < 0 {
		return weekday{}
	}
	return weekdays[i]
}

// takeTimes reads shifts, which hold as long as the role does, and absences.
func takeTimes(r *workflow.Reader, scope workflow.Scope, n *Node) (err error) {
	for i, at := range n.Each("availableTime") {
		shift := workflow.Shift{From: "00:00", To: "24:00", ValidFrom: scope.ValidFrom, ValidTo: scope.ValidTo}
		for _, code := range at.Each("daysOfWeek") {
			shift.Days = append(shift.Days, weekdayOf(code.Text()).name)
		}
		if shift.Days == nil {
			for _, day := range weekdays {
				shift.Days = append(shift.Days, day.name)
			}
		}
		if from, to := at.Text("availableStartTime"), at.Text("availableEndTime"); at.Text("allDay") != "true" {
			if len(from) < len("15:04") || len(to) < len("15:04") {
				return fault.At(fault.Required, fmt.Sprintf("PractitionerRole.availableTime[%d]", i), "give availableStartTime and availableEndTime, or allDay")
			}
			shift.From, shift.To = from[:len("15:04")], to[:len("15:04")]
			if shift.To == "00:00" {
				shift.To = "24:00"
			}
		}
		r.Shifts = append(r.Shifts, shift)
	}
	for i, not := range n.Each("notAvailable") {
		absence := workflow.Absence{}
		at := fmt.Sprintf("PractitionerRole.notAvailable[%d].during", i)
		if absence.From, absence.To, err = days(not.Get("during"), at); err != nil {
			return err
		}
		if absence == (workflow.Absence{}) {
			return fault.At(fault.Required, at, "say from when or until when the reader is not available; for ever is active: false")
		}
		r.Absences = append(r.Absences, absence)
	}
	return nil
}

// setShifts writes when a reader works; without any they count as always at work. A time
// of FHIR has seconds, and the end of a day is the midnight of the next.
func setShifts(n *Node, shifts []workflow.Shift) {
	n.Remove("availableTime")
	var all []*Node
	for _, s := range shifts {
		var days []string
		for _, day := range s.Days {
			days = append(days, weekdayOf(day).code)
		}
		one := Object("daysOfWeek", days)
		if from, to := s.From, strings.Replace(s.To, "24:00", "00:00", 1); from == to {
			one.Set("allDay", true)
		} else {
			one.Set("availableStartTime", from+":00")
			one.Set("availableEndTime", to+":00")
		}
		all = append(all, one)
	}
	if all != nil {
		n.Set("availableTime", all)
	}
}

// setConflicts writes whose reports a reader does not second: the references that are
// still meant stay as they are, others come as Type/{id} or by their identifier.
func setConflicts(n *Node, conflicts []string) {
	var ext []*Node
	said := map[string]bool{}
	for _, e := range n.Each("extension") {
		keys := keysOf(e.Get("valueReference"))
		if e.Text("url") == extConflict && !slices.ContainsFunc(keys, func(k string) bool { return slices.Contains(conflicts, k) }) {
			continue
		}
		if e.Text("url") == extConflict {
			for _, k := range keys {
				said[k] = true
			}
		}
		ext = append(ext, e)
	}
	for _, key := range conflicts {
		if said[key] {
			continue
		}
		whose := Object("reference", key)
		if system, value, byIdentifier := strings.Cut(key, "|"); byIdentifier {
			whose = Object("identifier", Object("system", system, "value", value))
		}
		ext = append(ext, Object("url", extConflict, "valueReference", whose))
		said[key] = true
	}
	n.Remove("extension")
	if ext != nil {
		n.Set("extension", ext)
	}
}

// setMail writes where escalations go, in place of the first address of mail.
func setMail(n *Node, mail workflow.Address) {
	var telecom []*Node
	replaced := false
	for _, t := range n.Each("telecom") {
		if t.Text("system") == "email" && !replaced {
			if replaced = true; mail == "" {
				continue
			}
			t.Set("value", string(mail))
		}
		telecom = append(telecom, t)
	}
	if !replaced && mail != "" {
		telecom = append(telecom, Object("system", "email", "value", string(mail)))
	}
	n.Remove("telecom")
	if telecom != nil {
		n.Set("telecom", telecom)
	}
}

// nameParties gives each party that a conflict is declared with its name, and lists
// those of the hospital with whom one may be: its readers and organizations.
func (s *Server) nameParties(ctx context.Context, tx pgx.Tx, c *screen.ReaderCredentials, readers []workflow.Reader) error {
	for _, r := range readers {
		if r.PractitionerID != c.PractitionerID {
			c.Parties = append(c.Parties, screen.Party{Key: "Practitioner/" + r.PractitionerID, Name: r.Display})
		}
	}
	rows, err := tx.Query(ctx, `
		SELECT type, id, version, last_updated, deleted, body
		FROM resource
		WHERE type = 'Organization' AND NOT deleted
		ORDER BY id
		LIMIT 200`)
	if err != nil {
		return err
	}
	organizations, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Stored])
	if err != nil {
		return err
	}
	for _, o := range organizations {
		n, err := Parse(o.Body, Limits{})
		if err != nil {
			return err
		}
		c.Parties = append(c.Parties, screen.Party{Key: "Organization/" + o.ID, Name: n.Text("name")})
	}
	c.Names = map[string]string{}
	for _, p := range c.Parties {
		c.Names[p.Key] = p.Name
	}
	for _, key := range c.Conflicts {
		typ, id, isReference := strings.Cut(key, "/")
		if c.Names[key] != "" || !isReference || strings.Contains(key, "|") || typ != "Practitioner" {
			continue
		}
		stored, err := s.store.Get(ctx, tx, typ, id)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Gone) {
			continue
		}
		if err != nil {
			return err
		}
		n, err := Parse(stored.Body, Limits{})
		if err != nil {
			return err
		}
		c.Names[key] = humanName(n)
	}
	return nil
}

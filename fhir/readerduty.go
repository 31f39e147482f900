package fhir

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// When a reader works, and whose reports they do not second: what a PractitionerRole
// says of it in availableTime and in the extension reader-conflict, as its form has it.

// dayCodes are the codes of FHIR for days (http://hl7.org/fhir/ValueSet/days-of-week).
var dayCodes = map[string]string{"monday": "mon", "tuesday": "tue", "wednesday": "wed", "thursday": "thu", "friday": "fri", "saturday": "sat", "sunday": "sun"}

// setShifts writes when a reader works; without any they count as always at work. A time
// of FHIR has seconds, and the end of a day is the midnight of the next.
func setShifts(n *Node, shifts []workflow.Shift) {
	n.Remove("availableTime")
	var all []*Node
	for _, s := range shifts {
		var days []string
		for _, day := range s.Days {
			days = append(days, dayCodes[day])
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

package web

import (
	"net/url"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// mostEscalations is how many lines a page of the desk of escalations has.
const mostEscalations = 40

// escalationChoices are what the desk can be narrowed to.
var escalationChoices = []struct{ Code, Words string }{
	{string(workflow.EverythingLate), "All that is late or escalated"},
	{string(workflow.NobodyHeeded), "Escalated, nobody has taken note"},
	{string(workflow.OnlyLate), "The time is over"},
}

// clocksInOrder are the families of clocks, in the order of a case's life.
var clocksInOrder = []string{"intake", "assign", "offer", "final", "gross", "adjudicate", "acknowledge", "finding-emergent", "finding-urgent", "finding-non-critical", "question", "reverify", "first-reader", "credential"}

// escalationView is the page of the desk.
type escalationView struct {
	screen.Escalations
	At, Here, Which, Priority, Clock string
	First, More                      string // addresses of the first and of the next page
	Now                              time.Time
}

// Choices, Priorities and Clocks are the choices of the filters.
func (escalationView) Choices() any         { return escalationChoices }
func (escalationView) Priorities() []string { return workflow.Priorities }
func (escalationView) Clocks() []string     { return clocksInOrder }

func (s *Server) escalations(c echo.Context, at seat) error {
	v := escalationView{At: s.at(at.place), Now: s.Now()}
	f := workflow.EscalationFilter{After: c.QueryParam("after"), Most: mostEscalations}
	query := url.Values{}
	if which := c.QueryParam("which"); which == string(workflow.NobodyHeeded) || which == string(workflow.OnlyLate) {
		v.Which, f.Which = which, workflow.EscalationWhich(which)
		query.Set("which", which)
	}
	if priority := c.QueryParam("priority"); slices.Contains(v.Priorities(), priority) {
		v.Priority, f.Priority = priority, priority
		query.Set("priority", priority)
	}
	if clock := c.QueryParam("clock"); slices.Contains(clocksInOrder, clock) {
		v.Clock, f.Clock = clock, clock
		query.Set("clock", clock)
	}
	var err error
	if v.Escalations, err = s.Desk.Board.Escalations(c.Request().Context(), at.place.Actor, f, s.caller(c)); err != nil {
		return err
	}
	for i := range v.Lines {
		line := &v.Lines[i]
		line.DeadlineAt = timeIn(line.DeadlineAt, v.Zone)
		for j := range line.Told {
			told := &line.Told[j]
			told.ToldAt, told.NextAt, told.HeededAt = told.ToldAt.In(v.Zone), timeIn(told.NextAt, v.Zone), timeIn(told.HeededAt, v.Zone)
		}
	}
	path := v.At + "/escalations"
	v.Here = addressOf(path, query, f.After)
	if f.After != "" {
		v.First = addressOf(path, query, "")
	}
	if v.Next != "" {
		v.More = addressOf(path, query, v.Next)
	}
	return s.show(c, at, "escalations", "Escalations", v)
}

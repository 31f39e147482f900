package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// BoardDesk is what the rooms of coordinators and directors ask for (fhir/screenboard.go).
type BoardDesk struct {
	Board func(ctx context.Context, actor access.Actor, f workflow.BoardFilter, from Caller) (workflow.BoardPage, error)
	Case  func(ctx context.Context, actor access.Actor, task string, from Caller) (screen.CaseFile, error)
	// Escalations is fhir/screenescalation.go.
	Escalations func(ctx context.Context, actor access.Actor, f workflow.EscalationFilter, from Caller) (screen.Escalations, error)
	// Candidates, Expiring, Deliveries and Settle are fhir/screendesk.go.
	Candidates func(ctx context.Context, actor access.Actor, task string, from Caller) (screen.Candidates, error)
	Expiring   func(ctx context.Context, actor access.Actor, days int) ([]screen.Expiring, error)
	Deliveries func(ctx context.Context, actor access.Actor, f workflow.DeliveryFilter, from Caller) (screen.Deliveries, error)
	Settle     func(ctx context.Context, actor access.Actor, task string, done workflow.Settlement, from Caller) error
}

var offices = []access.Role{access.Coordinator, access.Director}

// boardRooms are those of who leads cases and answers for them.
func (s *Server) boardRooms() []room {
	return []room{
		{http.MethodGet, "/board", "Board", offices, s.board},
		{http.MethodGet, "/escalations", "Escalations", offices, s.escalations},
		{http.MethodGet, "/board/:task", "", offices, s.caseFile},
		{http.MethodPost, "/board/find", "", offices, s.findOnBoard},
	}
}

// mostOnBoard is how many cases a page of the board has.
const mostOnBoard = 50

// groupsOfStates are what a board can be narrowed to besides one state.
var groupsOfStates = []struct {
	Code, Words string
	States      []workflow.State
}{
	{"open", "All open cases", nil},
	{"intake", "At intake", []workflow.State{workflow.Received, workflow.IntakeReview, workflow.AwaitingInformation, workflow.AwaitingImages}},
	{"matching", "Without a reader", []workflow.State{workflow.Ready, workflow.Unassignable, workflow.Offered}},
	{"work", "Being read", []workflow.State{workflow.Accepted, workflow.Reading, workflow.Conferring, workflow.Arbitration, workflow.Locked, workflow.Comparing, workflow.Adjudication, workflow.AwaitingCosign}},
	{"signed", "Signed, not closed", []workflow.State{workflow.Final, workflow.Amending}},
	{"all", "All, closed ones too", nil},
}

// boardView is the page of the board.
type boardView struct {
	workflow.BoardPage
	At, State, Priority, Party, Sort string
	Number                           string // that was looked for
	More                             string // address of the next page
	Now                              time.Time
}

// Groups, States, Priorities, Parties and Sorts are the choices of the filters.
func (boardView) Groups() any          { return groupsOfStates }
func (boardView) States() any          { return workflow.States }
func (boardView) Priorities() []string { return workflow.Priorities }
func (boardView) Parties() []string    { return workflow.BoardParties }
func (boardView) Sorts() any           { return workflow.BoardSorts }

func (s *Server) board(c echo.Context, at seat) error {
	v := boardView{At: s.at(at.place), State: c.QueryParam("state"), Priority: c.QueryParam("priority"), Party: c.QueryParam("party"), Sort: c.QueryParam("sort"), Now: s.Now()}
	f := workflow.BoardFilter{After: c.QueryParam("after"), Most: mostOnBoard, Sort: workflow.BoardSort(v.Sort)}
	if slices.Contains(v.Priorities(), v.Priority) {
		f.Priority = v.Priority
	}
	if slices.Contains(v.Parties(), v.Party) {
		f.Party = v.Party
	}
	f.States, f.Ended = statesOf(v.State)
	var err error
	if v.BoardPage, err = s.Desk.Board.Board(c.Request().Context(), at.place.Actor, f, s.caller(c)); err != nil {
		return err
	}
	if v.Next != "" {
		v.More = v.At + "/board?" + url.Values{"state": {v.State}, "priority": {v.Priority}, "party": {v.Party}, "sort": {v.Sort}, "after": {v.Next}}.Encode()
	}
	v.inZone()
	return s.show(c, at, "board", "Board", v)
}

func (v *boardView) inZone() {
	for i := range v.Cases {
		row := &v.Cases[i]
		row.OpenedAt, row.Since, row.Due = row.OpenedAt.In(v.Zone), row.Since.In(v.Zone), timeIn(row.Due, v.Zone)
	}
}

// mostFound is how many cases of one number are shown.
const mostFound = 20

// findOnBoard leads to the case of a number, or shows those that have it. The number
// comes in the body: it is of a patient's order, and stands in no address.
func (s *Server) findOnBoard(c echo.Context, at seat) error {
	v := boardView{At: s.at(at.place), Number: strings.TrimSpace(c.FormValue("number")), Now: s.Now()}
	if v.Number == "" {
		return c.Redirect(http.StatusSeeOther, v.At+"/board")
	}
	var err error
	if v.BoardPage, err = s.Desk.Board.Board(c.Request().Context(), at.place.Actor, workflow.BoardFilter{Number: v.Number, Most: mostFound}, s.caller(c)); err != nil {
		return err
	}
	if len(v.Cases) == 1 {
		return c.Redirect(http.StatusSeeOther, v.At+"/board/"+url.PathEscape(v.Cases[0].TaskID))
	}
	v.inZone()
	return s.show(c, at, "board", "Board", v)
}

// statesOf are the states that a filter means, and whether those of ended cases are
// among them.
func statesOf(code string) (states []workflow.State, ended bool) {
	for _, g := range groupsOfStates {
		if g.Code == code {
			return g.States, code == "all"
		}
	}
	for _, row := range workflow.States {
		if string(row.State) == code {
			return []workflow.State{row.State}, true
		}
	}
	return nil, false
}

// fileView is the page of a case.
type fileView struct {
	screen.CaseFile
	At   string
	Here string // where its forms lead back to
}

// shownDeed is what is said of an operation.
type shownDeed struct {
	screen.Deed
	Button, Does string
	Danger       bool
}

// Shown are the operations with their words, those that end something last.
func (v fileView) Shown() []shownDeed {
	var safe, dangerous []shownDeed
	for _, d := range v.Deeds {
		switch words, known := deedWords[d.Name]; {
		case !known:
		case words.Danger:
			dangerous = append(dangerous, shownDeed{d, words.Button, words.Does, true})
		default:
			safe = append(safe, shownDeed{d, words.Button, words.Does, false})
		}
	}
	return append(safe, dangerous...)
}

// Emergency is the clock of the most pressing finding that nobody has acknowledged; ""
// where there is none that cannot wait.
func (v fileView) Emergency() string {
	for _, clock := range []workflow.ClockName{workflow.ClockEmergent, workflow.ClockUrgent} {
		if slices.ContainsFunc(v.Matters, func(m screen.CaseMatter) bool { return m.Settled == nil && "finding-"+m.Category == string(clock) }) {
			return string(clock)
		}
	}
	return ""
}

// Seeks tells whether the case is to be given to a reader, or may be taken from one.
func (v fileView) Seeks() bool {
	return slices.Contains([]string{"ready", "unassignable", "offered", "accepted", "reading", "locked", "comparing", "arbitration", "adjudication", "awaiting-cosign"}, v.State)
}

// Told is what an event is called.
func (fileView) Told(event string) string {
	if words, known := eventWords[event]; known {
		return words
	}
	return event
}

func (s *Server) caseFile(c echo.Context, at seat) error {
	file, err := s.Desk.Board.Case(c.Request().Context(), at.place.Actor, c.Param("task"), s.caller(c))
	if err != nil {
		return err
	}
	v := fileView{file, s.at(at.place), s.at(at.place) + "/board/" + url.PathEscape(file.Task)}
	v.inZone()
	return s.show(c, at, "casefile", "Case", v)
}

// inZone has every moment in the zone of the hospital.
func (v *fileView) inZone() {
	zone := v.Zone
	v.Opened, v.Since, v.Due = v.Opened.In(zone), v.Since.In(zone), timeIn(v.Due, zone)
	for i := range v.Clocks {
		v.Clocks[i].Started, v.Clocks[i].Deadline = v.Clocks[i].Started.In(zone), timeIn(v.Clocks[i].Deadline, zone)
	}
	for i := range v.Waits {
		v.Waits[i].Began, v.Waits[i].Ended = v.Waits[i].Began.In(zone), timeIn(v.Waits[i].Ended, zone)
	}
	for i := range v.Asked {
		v.Asked[i].At = v.Asked[i].At.In(zone)
	}
	for i := range v.Matters {
		m := &v.Matters[i]
		m.Opened, m.Due, m.Settled = m.Opened.In(zone), m.Due.In(zone), timeIn(m.Settled, zone)
	}
	for i := range v.Deliveries {
		deliveryIn(&v.Deliveries[i], zone)
	}
	for i := range v.History {
		v.History[i].At = v.History[i].At.In(zone)
	}
}

// timeIn is a moment in a zone, nil for none.
func timeIn(t *time.Time, zone *time.Location) *time.Time {
	if t == nil {
		return nil
	}
	moved := t.In(zone)
	return &moved
}

func deliveryIn(d *screen.CaseDelivery, zone *time.Location) {
	d.Queued, d.Next, d.Done = d.Queued.In(zone), timeIn(d.Next, zone), timeIn(d.Done, zone)
	if d.Settled != nil {
		d.Settled.At = d.Settled.At.In(zone)
	}
	for i := range d.Attempts {
		d.Attempts[i].At = d.Attempts[i].At.In(zone)
	}
}

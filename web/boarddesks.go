package web

import (
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/screen"
	"github.com/overread/overread/workflow"
)

// deskRooms are the desks of coordinators and directors, besides the board.
func (s *Server) deskRooms() []room {
	return []room{
		{http.MethodGet, "/missing", "Missing information", offices, s.missing},
		{http.MethodGet, "/matching", "Matching", offices, s.matching},
		{http.MethodGet, "/board/:task/candidates", "", offices, s.candidates},
		{http.MethodGet, "/deliveries", "Deliveries", offices, s.deliveries},
		{http.MethodPost, "/board/:task/settle", "", offices, s.settle},
	}
}

// mostAtDesk is how many cases a desk shows, the most pressing ones.
const mostAtDesk = 50

// expiringWithin is how many days ahead a desk shows what ends.
const expiringWithin = 60

// missingGroup are the cases that one finding keeps.
type missingGroup struct {
	Reason string
	Cases  []workflow.BoardCase
}

func (s *Server) missing(c echo.Context, at seat) error {
	states, _ := statesOf("intake")
	page, err := s.Desk.Board.Board(c.Request().Context(), at.place.Actor, workflow.BoardFilter{States: states[1:], Most: mostAtDesk}, s.caller(c))
	if err != nil {
		return err
	}
	v := struct {
		At     string
		Now    time.Time
		More   bool
		Groups []*missingGroup
	}{At: s.at(at.place), Now: s.Now(), More: page.Next != ""}
	by := map[string]*missingGroup{}
	for _, b := range page.Cases {
		if by[b.Reason] == nil {
			by[b.Reason] = &missingGroup{Reason: b.Reason}
			v.Groups = append(v.Groups, by[b.Reason])
		}
		by[b.Reason].Cases = append(by[b.Reason].Cases, b)
	}
	return s.show(c, at, "missing", "Missing information", v)
}

func (s *Server) matching(c echo.Context, at seat) error {
	ctx := c.Request().Context()
	states, _ := statesOf("matching")
	page, err := s.Desk.Board.Board(ctx, at.place.Actor, workflow.BoardFilter{States: states, Most: mostAtDesk}, s.caller(c))
	if err != nil {
		return err
	}
	v := struct {
		workflow.BoardPage
		At       string
		Now      time.Time
		Expiring []screen.Expiring
	}{BoardPage: page, At: s.at(at.place), Now: s.Now()}
	if v.Expiring, err = s.Desk.Board.Expiring(ctx, at.place.Actor, expiringWithin); err != nil {
		return err
	}
	return s.show(c, at, "matching", "Matching", v)
}

func (s *Server) candidates(c echo.Context, at seat) error {
	all, err := s.Desk.Board.Candidates(c.Request().Context(), at.place.Actor, c.Param("task"), s.caller(c))
	if err != nil {
		return err
	}
	v := struct {
		screen.Candidates
		At, Here    string
		First, More string // addresses of the first and of the next page
	}{Candidates: all, At: s.at(at.place), Here: s.at(at.place) + "/board/" + url.PathEscape(all.File.Task)}
	v.All, v.First, v.More = cut(c, all.All, mostReaders, v.Here+"/candidates", url.Values{})
	return s.show(c, at, "candidates", "Candidates", v)
}

// deliveryChoices are what the desk of deliveries can be narrowed to.
var deliveryChoices = []struct {
	Code, Words string
	States      []string
	Stuck       bool
}{
	{"waiting", "Waiting or stopped", []string{"queued", "parked"}, false},
	{"stuck", "Stopped or failing", nil, true},
	{"parked", "Stopped", []string{"parked"}, false},
	{"done", "Arrived", []string{"done"}, false},
	{"withdrawn", "Not to be sent", []string{"withdrawn"}, false},
	{"all", "All of them", nil, false},
}

// mostDeliveries is how many deliveries a page of their desk has.
const mostDeliveries = 40

func (s *Server) deliveries(c echo.Context, at seat) error {
	v := struct {
		screen.Deliveries
		At, Here, State string
		Choices         any
		First, More     string // addresses of the first and of the next page
	}{At: s.at(at.place), State: c.QueryParam("state"), Choices: deliveryChoices}
	f := workflow.DeliveryFilter{After: c.QueryParam("after"), Most: mostDeliveries}
	query := url.Values{}
	shown := deliveryChoices[0]
	for _, choice := range deliveryChoices {
		if choice.Code == v.State {
			shown = choice
			query.Set("state", choice.Code)
		}
	}
	v.State, f.States, f.Stuck = shown.Code, shown.States, shown.Stuck
	var err error
	if v.Deliveries, err = s.Desk.Board.Deliveries(c.Request().Context(), at.place.Actor, f, s.caller(c)); err != nil {
		return err
	}
	for i := range v.All {
		deliveryIn(&v.All[i], v.Zone)
	}
	v.Here = addressOf(v.At+"/deliveries", query, f.After)
	if f.After != "" {
		v.First = addressOf(v.At+"/deliveries", query, "")
	}
	if v.Next != "" {
		v.More = addressOf(v.At+"/deliveries", query, v.Next)
	}
	return s.show(c, at, "deliveries", "Deliveries", v)
}

// addressOf is a page of a list with its filters, after a place in it.
func addressOf(path string, filters url.Values, after string) string {
	query := maps.Clone(filters)
	if after != "" {
		query.Set("after", after)
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// settle ends a delivery by hand.
func (s *Server) settle(c echo.Context, at seat) error {
	no, err := strconv.Atoi(c.FormValue("number"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such delivery.")
	}
	done := workflow.Settlement{ReportNo: no, Destination: c.FormValue("destination"), How: c.FormValue("how"), Reason: c.FormValue("reason")}
	if err := s.Desk.Board.Settle(c.Request().Context(), at.place.Actor, c.Param("task"), done, s.caller(c)); err != nil {
		return err
	}
	then := c.FormValue("then")
	if !s.ours(then) {
		then = s.at(at.place) + "/deliveries"
	}
	return c.Redirect(http.StatusSeeOther, then)
}

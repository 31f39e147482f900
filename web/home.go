package web

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// mostWork is how much of each place is shown.
const mostWork = 25

// elsewhere says where the work of a role is that has no part in the life of a case.
var elsewhere = map[access.Role]string{
	access.Auditor: "As auditor you have figures and the audit trail, and no worklist. The clinical record is not for auditors.",
	access.Quality: "For quality there are figures and the peer-learning room, and no worklist. That you open how a case was graded is recorded.",
	access.Admin:   "As administrator you have no worklist: your rooms are below. Practitioners, organizations and locations are kept by the API; what concerns the whole installation is done by its operator.",
}

// work is what there is to do at a place.
type work struct {
	Place   access.Place
	Pages   []paged
	Notices []workflow.Notice
	More    bool // messages than these
	Items   []workflow.WorkItem
	At      string // of the rooms there
}

// Page is where a case of the list is opened; one that is nobody's yet is claimed from
// the worklist.
func (w work) Page(item workflow.WorkItem) string {
	switch {
	case slices.Contains(offices, w.Place.Role):
		return w.At + "/board/" + item.TaskID
	case item.Pool:
		return w.At + "/worklist?whose=pool"
	case slices.Contains(whoRead, w.Place.Role):
		return w.At + "/case/" + item.TaskID
	}
	return ""
}

// paged is a line about which somebody was told, with the address of its case.
type paged struct {
	workflow.Page
	At string
}

// paged are they at a place.
func (s *Server) paged(c echo.Context, p access.Place) (all []paged, err error) {
	pages, err := s.Desk.Pages(c.Request().Context(), p.Actor, s.caller(c))
	for _, page := range pages {
		room := "/case/"
		if slices.Contains(offices, p.Role) {
			room = "/board/"
		}
		all = append(all, paged{page, s.at(p) + room + url.PathEscape(page.TaskID)})
	}
	return all, err
}

// place is where somebody works in one role, and the pages that they have there.
type place struct {
	Place access.Place
	Doors []door
}

// home shows who somebody is, and what there is to do at all their places, each
// of which is asked by itself.
func (s *Server) home(c echo.Context, found *session.Session) error {
	ctx := c.Request().Context()
	data := struct {
		Work      []work
		Told      []told
		Tenants   []access.Place
		Desks     []place        // all their roles, and the pages of each
		Open      []access.Place // where a record is open in an emergency now
		Now       time.Time
		Worker    bool     // one of their roles has a worklist
		Elsewhere []string // where the work of their other roles is
		Steward   bool     // they operate the installation
	}{Tenants: found.Tenants(), Now: s.Now()}
	for _, p := range found.Places {
		if p.Suspended { // it stands still, for people too
			data.Desks = append(data.Desks, place{p, nil})
			continue
		}
		data.Desks = append(data.Desks, place{p, s.doors(p, "")})
		if words, ok := elsewhere[p.Role]; !ok {
			data.Worker = true
		} else if !slices.Contains(data.Elsewhere, words) {
			data.Elsewhere = append(data.Elsewhere, words)
		}
		items, err := s.Desk.Worklist(ctx, p.Actor, mostWork, s.caller(c))
		if err != nil {
			return err
		}
		notices, err := s.Desk.Notices(ctx, p.Actor, 0, mostMessages+1, s.caller(c))
		if err != nil {
			return err
		}
		pages, err := s.paged(c, p)
		if err != nil {
			return err
		}
		if len(items) > 0 || len(notices) > 0 || len(pages) > 0 {
			data.Work = append(data.Work, work{p, pages, first(notices, mostMessages), len(notices) > mostMessages, items, s.at(p)})
		}
		if p.Role == access.Coordinator || p.Role == access.Director && !s.coordinates(found, p.TenantName) {
			list, err := s.Desk.Emergencies(ctx, p.Actor, workflow.EmergencyWindow{Within: recent, Most: mostEmergencies}, s.caller(c))
			if err != nil {
				return err
			}
			data.Told = append(data.Told, told{p, list})
		}
	}
	var err error
	if data.Steward, _, err = s.Desk.Admin.Operates(ctx, found.PersonID); err != nil {
		return err
	}
	for _, p := range data.Tenants {
		if len(p.Opened) > 0 {
			data.Open = append(data.Open, p)
		}
	}
	return s.reply(c, http.StatusOK, "home", View{Title: "Your work", Session: found, Data: data})
}

func (*Server) coordinates(found *session.Session, tenant string) bool {
	_, is := found.At(tenant, access.Coordinator)
	return is
}

// whoAmI tells a program in the browser who is signed in, and the token that its
// changes have to bring.
func (*Server) whoAmI(c echo.Context, found *session.Session) error {
	type place struct {
		Tenant  string      `json:"tenant"`
		Display string      `json:"display"`
		Role    access.Role `json:"role"`
	}
	places := []place{}
	for _, p := range found.Places {
		places = append(places, place{p.TenantName, p.TenantDisplay, p.Role})
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.JSON(http.StatusOK, map[string]any{"display": found.Display, "places": places, "csrf": found.CSRF(), "endsAt": found.EndsAt})
}

func (s *Server) sessions(c echo.Context, found *session.Session) error {
	all, err := s.Sessions.Of(c.Request().Context(), found.PersonID)
	if err != nil {
		return err
	}
	return s.reply(c, http.StatusOK, "sessions", View{Title: "Your sessions", Session: found, Data: all})
}

// endSession ends another session of the same person.
func (s *Server) endSession(c echo.Context, found *session.Session) error {
	id, err := uuid.Parse(c.FormValue("session"))
	if err != nil {
		return fault.New(fault.NotFound, "There is no such session of yours.")
	}
	if _, err := s.Sessions.End(c.Request().Context(), found.PersonID, id, session.Elsewhere, s.from(c)); err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, s.prefix+"/sessions")
}

// clinicalPlaces are where the person may open a record in an emergency, one for
// each tenant: as reader, if they are one there.
func clinicalPlaces(found *session.Session) (places []access.Place, any bool) {
	byRole := slices.SortedStableFunc(slices.Values(found.Places), func(a, b access.Place) int {
		return slices.Index(workflow.Clinical, a.Role) - slices.Index(workflow.Clinical, b.Role)
	})
	for _, p := range byRole {
		if workflow.MayOpen(p.Actor) && !p.Suspended && !slices.ContainsFunc(places, func(o access.Place) bool { return o.Tenant == p.Tenant }) {
			places = append(places, p)
		}
	}
	return places, len(places) > 0
}

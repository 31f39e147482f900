package web

import (
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/tenant"
)

// AdminDesk is what the rooms of administrators show and do.
type AdminDesk struct {
	administration.Keeper

	Tenants func(by administration.By) tenant.Keeper // does what is done to a whole hospital, as somebody

	Version      string // of this program
	Built        time.Time
	TokenAt      string // where systems get their tokens
	LaunchScopes string // what is asked of an EHR that launches
}

// administrators are whose rooms these are, and nobody else's: who keeps a hospital's
// settings reads no patient's record (docs/decisions/0019-the-administrator.md).
var administrators = []access.Role{access.Admin}

// adminRooms are the rooms of administrators.
func (s *Server) adminRooms() []room {
	return []room{
		{http.MethodGet, "/overview", "Overview", administrators, s.adminOverview},
		{http.MethodGet, "/hospital", "", administrators, s.hospitalForm},
		{http.MethodPost, "/hospital", "", administrators, s.setHospital},

		{http.MethodGet, "/systems", "Systems", administrators, s.systems},
		{http.MethodPost, "/systems", "", administrators, s.addSystem},
		{http.MethodGet, "/systems/new", "", administrators, s.newSystem},
		{http.MethodGet, "/systems/:client", "", administrators, s.system},
		{http.MethodPost, "/systems/:client/keys", "", administrators, s.rotateSystem},
		{http.MethodPost, "/systems/:client/revoke", "", administrators, s.revokeSystem},
		{http.MethodPost, "/keys/revoke", "", administrators, s.revokeKeys},
		{http.MethodPost, "/launches", "", administrators, s.addLaunch},
		{http.MethodGet, "/launches/new", "", administrators, s.newLaunch},
		{http.MethodPost, "/launches/remove", "", administrators, s.removeLaunch},

		{http.MethodGet, "/people", "People", administrators, s.people},
		{http.MethodPost, "/people", "", administrators, s.invite},
		{http.MethodGet, "/people/new", "", administrators, s.newPerson},
		{http.MethodGet, "/people/:person", "", administrators, s.person},
		{http.MethodGet, "/people/reader", "", administrators, s.readerLinkForm},
		{http.MethodPost, "/people/reader", "", administrators, s.linkReader},
		{http.MethodPost, "/people/:person/roles", "", administrators, s.changeRole},
		{http.MethodPost, "/people/:person/sessions", "", administrators, s.endSessionsOf},
		{http.MethodPost, "/groups", "", administrators, s.addGroup},
		{http.MethodPost, "/groups/remove", "", administrators, s.removeGroup},

		{http.MethodGet, "/endpoints", "Endpoints", administrators, s.endpoints},
		{http.MethodGet, "/endpoints/set", "", administrators, s.endpointForm},
		{http.MethodPost, "/endpoints/set", "", administrators, s.proposeEndpoint},
		{http.MethodPost, "/endpoints/agree", "", administrators, s.agreeEndpoint},
		{http.MethodPost, "/endpoints/withdraw", "", administrators, s.withdrawEndpoint},
		{http.MethodPost, "/endpoints/pause", "", administrators, s.pauseEndpoint},
		{http.MethodPost, "/endpoints/resume", "", administrators, s.resumeEndpoint},
		{http.MethodPost, "/endpoints/try", "", administrators, s.tryEndpoint},

		{http.MethodGet, "/health", "Health", administrators, s.health},
	}
}

// adminPage is what the pages of administrators have in common.
type adminPage struct {
	Hospital administration.Hospital
	Zone     *time.Location
	Now      time.Time
	At       string
	Done     string // what has just been done, "" for nothing
	Wrong    wrong  // what is wrong with what was sent
}

// wrong is a refusal of a form, with the field that it is about.
type wrong struct{ Field, Text string }

// Is tells whether it is about a field, for the field's aria-invalid.
func (w wrong) Is(field string) bool { return w.Text != "" && w.Field == field }

func (s *Server) adminPage(c echo.Context, at seat) (adminPage, error) {
	h, err := s.Desk.Admin.Hospital(c.Request().Context(), at.place.Tenant)
	p := adminPage{Hospital: h, Zone: time.UTC, Now: s.Now(), At: s.at(at.place), Done: adminDone[c.QueryParam("done")]}
	if zone, err := time.LoadLocation(h.Zone); err == nil {
		p.Zone = zone
	}
	return p, err
}

// refusalOf is what a page says again of a form that was refused; anything else stays
// the error that it is.
func refusalOf(err error) (wrong, int, error) {
	known, ok := errors.AsType[*fault.Error](err)
	if !ok || known.Kind() == fault.NotFound && known.Issues[0].Expression == "" {
		return wrong{}, 0, err
	}
	status, ok := statuses[known.Kind()]
	if !ok {
		status = http.StatusBadRequest
	}
	return wrong{known.Issues[0].Expression, known.Issues[0].Text}, status, nil
}

// goes leads to a page of the place after something was done.
func (s *Server) goes(c echo.Context, at seat, path, done string) error {
	return c.Redirect(http.StatusSeeOther, s.at(at.place)+path+"?done="+done)
}

// adminView is the overview.
type adminView struct {
	adminPage

	Version  string
	Built    time.Time
	Health   administration.Health
	Systems  int // in force
	Keys     int
	Launches int
	People   int
	Admins   int
	Sessions int
	Ends     []administration.Endpoint
	Paused   int
	Proposed int // endpoints that wait for a second administrator
}

func (s *Server) adminOverview(c echo.Context, at seat) error {
	ctx, desk, here := c.Request().Context(), s.Desk.Admin, at.place.Tenant
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := adminView{adminPage: page, Version: desk.Version, Built: desk.Built}
	if v.Health, err = desk.Health(ctx, here); err != nil {
		return err
	}
	clients, err := desk.Clients(ctx, here)
	if err != nil {
		return err
	}
	for _, client := range clients {
		if client.RevokedAt == nil {
			v.Systems++
		}
	}
	keys, err := desk.Keys(ctx, here)
	if err != nil {
		return err
	}
	launches, err := desk.Launches(ctx, here)
	if err != nil {
		return err
	}
	v.Keys, v.Launches = len(keys), len(launches)
	members, err := desk.Members(ctx, here)
	if err != nil {
		return err
	}
	for _, m := range members {
		v.Sessions += m.Sessions
		if len(m.Roles()) > 0 && !m.Ended {
			v.People++
		}
		if m.Has(access.Admin) && !m.Ended {
			v.Admins++
		}
	}
	if v.Ends, err = desk.Endpoints(ctx, here); err != nil {
		return err
	}
	for _, e := range v.Ends {
		if e.PausedAt != nil {
			v.Paused++
		}
	}
	proposed, err := desk.Proposals(ctx, here)
	if err != nil {
		return err
	}
	v.Proposed = len(proposed)
	return s.show(c, at, "adminoverview", "Overview", v)
}

package web

import (
	"slices"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/administration"
)

// endpointsView is the page of endpoints.
type endpointsView struct {
	adminPage

	All    []administration.Endpoint
	Asked  []proposed
	Tried  string // which one was asked
	Trial  administration.Trial
	Failed string // whose form was refused
	Reason string
}

func (s *Server) endpointsView(c echo.Context, at seat) (v endpointsView, err error) {
	if v.adminPage, err = s.adminPage(c, at); err == nil {
		v.All, err = s.Desk.Admin.Endpoints(c.Request().Context(), at.place.Tenant)
	}
	if err != nil {
		return v, err
	}
	all, err := s.Desk.Admin.Proposals(c.Request().Context(), at.place.Tenant)
	for _, p := range all {
		v.Asked = append(v.Asked, proposed{p, p.By == at.session.PersonID})
	}
	return v, err
}

// proposed is an endpoint that waits for a second administrator.
type proposed struct {
	administration.Proposal
	Own bool // who looks has proposed it
}

func (s *Server) endpoints(c echo.Context, at seat) error {
	v, err := s.endpointsView(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminendpoints", "Endpoints", &v)
}

func (s *Server) pauseEndpoint(c echo.Context, at seat) error {
	name, reason := c.FormValue("endpoint"), c.FormValue("reason")
	err := s.Desk.Admin.Pause(c.Request().Context(), s.by(c, at), name, reason)
	if err == nil {
		return s.goes(c, at, "/endpoints", "endpoint-paused")
	}
	v, failed := s.endpointsView(c, at)
	if failed != nil {
		return failed
	}
	v.Failed, v.Reason = name, reason
	return s.formAgain(c, at, err, "adminendpoints", "Endpoints", &v.Wrong, &v)
}

func (s *Server) resumeEndpoint(c echo.Context, at seat) error {
	if err := s.Desk.Admin.Resume(c.Request().Context(), s.by(c, at), c.FormValue("endpoint")); err != nil {
		return err
	}
	return s.goes(c, at, "/endpoints", "endpoint-resumed")
}

// tryEndpoint asks an endpoint, at a pace that lets nobody use us to knock elsewhere.
func (s *Server) tryEndpoint(c echo.Context, at seat) error {
	if err := s.Pace(c); err != nil {
		return err
	}
	v, err := s.endpointsView(c, at)
	if err != nil {
		return err
	}
	name := c.FormValue("endpoint")
	if v.Trial, err = s.Desk.Admin.Try(c.Request().Context(), s.by(c, at), name); err != nil {
		return err
	}
	if slices.ContainsFunc(v.All, func(e administration.Endpoint) bool { return e.Name == name }) {
		v.Tried = name
	}
	return s.show(c, at, "adminendpoints", "Endpoints", &v)
}

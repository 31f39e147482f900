package web

import (
	"time"

	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/administration"
)

// healthView is the page that says how the installation is.
type healthView struct {
	adminPage

	Health  administration.Health
	Version string
	Built   time.Time
}

func (s *Server) health(c echo.Context, at seat) error {
	page, err := s.adminPage(c, at)
	if err != nil {
		return err
	}
	v := healthView{adminPage: page, Version: s.Desk.Admin.Version, Built: s.Desk.Admin.Built}
	if v.Health, err = s.Desk.Admin.Health(c.Request().Context(), at.place.Tenant); err != nil {
		return err
	}
	return s.show(c, at, "adminhealth", "Health", &v)
}

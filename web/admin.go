package web

import (
	"context"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
)

// AdminDesk is what the rooms of administrators show and do (internal/administration).
type AdminDesk struct {
	Hospital func(ctx context.Context, tenant uuid.UUID) (administration.Hospital, error)
}

// administrators are whose rooms these are, and nobody else's: who keeps a hospital's
// settings reads no patient's record (docs/decisions/0019-the-administrator.md).
var administrators = []access.Role{access.Admin}

// adminRooms are the rooms of administrators.
func (s *Server) adminRooms() []room {
	return []room{
		{http.MethodGet, "/overview", "Overview", administrators, s.adminOverview},
	}
}

// adminView is the overview.
type adminView struct {
	administration.Hospital
	At string
}

func (s *Server) adminOverview(c echo.Context, at seat) error {
	h, err := s.Desk.Admin.Hospital(c.Request().Context(), at.place.Tenant)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminoverview", "Overview", adminView{h, s.at(at.place)})
}

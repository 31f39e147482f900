package web

import (
	"errors"
	"net/http"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/fault"
	"github.com/overread/overread/internal/session"
	"github.com/overread/overread/workflow"
)

// glass is what the form shows.
type glass struct {
	Places  []access.Place
	Tenant  string
	Patient string
	Reason  string
	Problem string
	Opened  *workflow.Emergency
	Where   string
}

func (s *Server) breakGlassForm(c echo.Context, found *session.Session) error {
	places, may := clinicalPlaces(found)
	if !may {
		return fault.New(fault.Forbidden, "None of your roles opens records in an emergency.")
	}
	return s.reply(c, http.StatusOK, "breakglass", View{Title: "Open a record in an emergency", Session: found, Data: glass{Places: places}})
}

// breakGlass opens the record, and gives the session a new cookie: its rights have
// grown.
func (s *Server) breakGlass(c echo.Context, found *session.Session) error {
	places, may := clinicalPlaces(found)
	if !may {
		return fault.New(fault.Forbidden, "None of your roles opens records in an emergency.")
	}
	form := glass{Places: places, Tenant: c.FormValue("tenant"), Patient: strings.TrimPrefix(strings.TrimSpace(c.FormValue("patient")), "Patient/"), Reason: c.FormValue("reason")}
	if form.Tenant == "" && len(places) == 1 {
		form.Tenant = places[0].TenantName
	}
	var place *access.Place
	for i := range places {
		if places[i].TenantName == form.Tenant {
			place = &places[i]
		}
	}
	if place == nil {
		return s.again(c, found, form, fault.New(fault.Value, "Choose one of your hospitals."))
	}
	ctx := c.Request().Context()
	opened, err := s.Desk.BreakGlass(ctx, place.Actor, found.PersonID, form.Patient, form.Reason, s.caller(c))
	if err != nil {
		return s.again(c, found, form, err)
	}
	var cookie string
	err = s.DB.System(ctx, func(tx pgx.Tx) (err error) {
		cookie, err = s.Sessions.Renew(ctx, tx, found.ID)
		return err
	})
	if err != nil {
		return err
	}
	s.Sessions.SetCookie(c.Response(), cookie)
	fresh, err := s.Sessions.Find(ctx, cookie)
	if err != nil {
		return err
	}
	if wantsJSON(c.Request()) {
		c.Response().Header().Set("Cache-Control", "no-store")
		return c.JSON(http.StatusCreated, map[string]any{"id": opened.BreakID, "till": opened.Till, "csrf": fresh.CSRF()})
	}
	return s.reply(c, http.StatusOK, "breakglass", View{Title: "The record is open", Session: fresh, Data: glass{Opened: &opened, Where: place.TenantDisplay}})
}

// again shows the form with what is wrong, and what was written in it.
func (s *Server) again(c echo.Context, found *session.Session, form glass, err error) error {
	known, ok := errors.AsType[*fault.Error](err)
	if !ok || wantsJSON(c.Request()) {
		return err
	}
	form.Problem = known.Issues[0].Text
	return s.reply(c, statuses[known.Kind()], "breakglass", View{Title: "Open a record in an emergency", Session: found, Data: form})
}

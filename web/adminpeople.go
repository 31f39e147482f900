package web

import (
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"

	"github.com/overread/overread/internal/access"
	"github.com/overread/overread/internal/administration"
	"github.com/overread/overread/internal/fault"
)

// peopleView is the page of people and roles.
type peopleView struct {
	adminPage

	Members   []administration.Member
	All       int
	Name      string // filters
	Role      string
	Groups    []administration.Group
	Providers []administration.Provider
	Form      administration.Group // of the form for a group, where it was refused
}

// Roles are those that a person may have.
func (peopleView) Roles() []access.Role { return administration.Roles }

func (s *Server) peopleView(c echo.Context, at seat) (v peopleView, err error) {
	ctx := c.Request().Context()
	if v.adminPage, err = s.adminPage(c, at); err != nil {
		return v, err
	}
	all, err := s.Desk.Admin.Members(ctx, at.place.Tenant)
	if err != nil {
		return v, err
	}
	v.All, v.Name, v.Role = len(all), c.QueryParam("name"), c.QueryParam("role")
	for _, m := range all {
		if strings.Contains(strings.ToLower(m.Display), strings.ToLower(strings.TrimSpace(v.Name))) && (v.Role == "" || m.Has(access.Role(v.Role))) {
			v.Members = append(v.Members, m)
		}
	}
	if v.Groups, err = s.Desk.Admin.Groups(ctx, s.by(c, at)); err != nil {
		return v, err
	}
	v.Providers, err = s.Desk.Admin.Providers(ctx)
	return v, err
}

func (s *Server) people(c echo.Context, at seat) error {
	v, err := s.peopleView(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminpeople", "People and roles", &v)
}

func (s *Server) addGroup(c echo.Context, at seat) error {
	v, err := s.peopleView(c, at)
	if err != nil {
		return err
	}
	v.Form = administration.Group{Provider: c.FormValue("provider"), ClaimValue: c.FormValue("value"), Role: access.Role(c.FormValue("role"))}
	if err := s.Desk.Admin.AddGroup(c.Request().Context(), s.by(c, at), v.Form); err != nil {
		return s.formAgain(c, at, err, "adminpeople", "People and roles", &v.Wrong, &v)
	}
	return s.goes(c, at, "/people", "group-added")
}

func (s *Server) removeGroup(c echo.Context, at seat) error {
	g := administration.Group{Provider: c.FormValue("provider"), ClaimValue: c.FormValue("value"), Role: access.Role(c.FormValue("role"))}
	if _, err := s.Desk.Admin.RemoveGroup(c.Request().Context(), s.by(c, at), g); err != nil {
		return err
	}
	return s.goes(c, at, "/people", "group-removed")
}

// newcomerView is the form that gives a role to somebody who was not here yet.
type newcomerView struct {
	adminPage

	Who       administration.Newcomer
	Role      string
	Reason    string
	Providers []administration.Provider
}

// Roles are those that a person may have.
func (newcomerView) Roles() []access.Role { return administration.Roles }

func (s *Server) newcomer(c echo.Context, at seat) (v newcomerView, err error) {
	if v.adminPage, err = s.adminPage(c, at); err == nil {
		v.Providers, err = s.Desk.Admin.Providers(c.Request().Context())
	}
	return v, err
}

func (s *Server) newPerson(c echo.Context, at seat) error {
	v, err := s.newcomer(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminnewperson", "Give somebody a role", &v)
}

func (s *Server) invite(c echo.Context, at seat) error {
	v, err := s.newcomer(c, at)
	if err != nil {
		return err
	}
	v.Who = administration.Newcomer{Provider: c.FormValue("provider"), Subject: c.FormValue("subject"), Display: c.FormValue("display")}
	v.Role, v.Reason = c.FormValue("role"), c.FormValue("reason")
	id, err := s.Desk.Admin.Invite(c.Request().Context(), s.by(c, at), v.Who, access.Role(v.Role), v.Reason)
	if err != nil {
		return s.formAgain(c, at, err, "adminnewperson", "Give somebody a role", &v.Wrong, &v)
	}
	return s.goes(c, at, "/people/"+id.String(), "role-granted")
}

// personView is the page of a person.
type personView struct {
	adminPage

	Member   administration.Member
	Sessions []administration.Open
	Self     bool // it is who looks
	This     uuid.UUID
	Failed   string // the role whose form was refused
	Reason   string
}

// Roles are those that a person may have.
func (personView) Roles() []access.Role { return administration.Roles }

func (s *Server) personAt(c echo.Context, at seat) (v personView, err error) {
	id, err := uuid.Parse(c.Param("person"))
	if err != nil {
		return v, fault.New(fault.NotFound, "There is no such person here.")
	}
	if v.adminPage, err = s.adminPage(c, at); err != nil {
		return v, err
	}
	ctx := c.Request().Context()
	if v.Member, err = s.Desk.Admin.Member(ctx, at.place.Tenant, id); err != nil {
		return v, err
	}
	v.Self, v.This = id == at.session.PersonID, at.session.ID
	v.Sessions, err = s.Desk.Admin.Sessions(ctx, at.place.Tenant, id)
	return v, err
}

func (s *Server) person(c echo.Context, at seat) error {
	v, err := s.personAt(c, at)
	if err != nil {
		return err
	}
	return s.show(c, at, "adminperson", "Person", &v)
}

// changeRole grants or revokes one role of a person.
func (s *Server) changeRole(c echo.Context, at seat) error {
	v, err := s.personAt(c, at)
	if err != nil {
		return err
	}
	ctx, by, role := c.Request().Context(), s.by(c, at), access.Role(c.FormValue("role"))
	v.Failed, v.Reason = string(role), c.FormValue("reason")
	done := "role-granted"
	if c.FormValue("do") == "revoke" {
		done = "role-revoked"
		_, err = s.Desk.Admin.Revoke(ctx, by, v.Member.PersonID, role, v.Reason)
	} else {
		err = s.Desk.Admin.Grant(ctx, by, v.Member.PersonID, role, v.Reason)
	}
	if err != nil {
		return s.formAgain(c, at, err, "adminperson", "Person", &v.Wrong, &v)
	}
	return s.goes(c, at, "/people/"+v.Member.PersonID.String(), done)
}

// endSessionsOf ends one session of a person, or all of them at this hospital.
func (s *Server) endSessionsOf(c echo.Context, at seat) error {
	v, err := s.personAt(c, at)
	if err != nil {
		return err
	}
	id := uuid.Nil
	if text := c.FormValue("session"); text != "" {
		if id, err = uuid.Parse(text); err != nil {
			return fault.New(fault.NotFound, "There is no such session.")
		}
	}
	if _, err := s.Desk.Admin.EndSessions(c.Request().Context(), s.by(c, at), v.Member.PersonID, id); err != nil {
		return s.formAgain(c, at, err, "adminperson", "Person", &v.Wrong, &v)
	}
	return s.goes(c, at, "/people/"+v.Member.PersonID.String(), "sessions-ended")
}
